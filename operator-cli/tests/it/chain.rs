//! A tenant's chain from the command line: anchors added, removed, exchanged and drilled, and the tenant revoked.

use serde_json::Value;

use crate::stack::{Stack, krypton};

/// Runs a command with `--json`; returns whether it succeeded, and what it printed.
fn run(stack: &Stack, arguments: &[&str]) -> (bool, Value) {
    let output = krypton(stack.folder.path()).arg("--json").args(arguments).output().unwrap();
    let printed = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    if !output.status.success() {
        eprintln!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    (output.status.success(), printed)
}

fn done(stack: &Stack, arguments: &[&str]) -> Value {
    let (succeeded, printed) = run(stack, arguments);
    assert!(succeeded, "{arguments:?}: {printed}");
    printed
}

fn keys<'a>(chain: &'a Value, level: &str) -> Vec<&'a Value> {
    chain["keys"].as_array().unwrap().iter().filter(|key| key["level"] == level).collect()
}

/// The software root of that name, as a file.
fn root(stack: &Stack, name: &str) -> std::path::PathBuf {
    stack.folder.path().join("run/core/l1").join(format!("{name}.l1"))
}

#[test]
fn a_tenant_lives_through_all_its_anchors() {
    let stack = Stack::start();
    let chain = done(&stack, &["tenant", "add", "initech", "--l1", "software:one", "--l1", "software:two"]);
    assert_eq!((keys(&chain, "L1").len(), keys(&chain, "L3").len()), (2, 1));
    let anchors = keys(&chain, "L2")[0]["wrapping_keys"].as_array().unwrap();
    assert_eq!(anchors.len(), 2);
    assert!(!run(&stack, &["tenant", "add", "initech", "--l1", "software:one"]).0, "it is there already");

    // The drill names the one that fails.
    let kept = std::fs::read(root(&stack, "two")).unwrap();
    std::fs::remove_file(root(&stack, "two")).unwrap();
    let (succeeded, drill) = run(&stack, &["tenant", "drill", "initech"]);
    assert!(!succeeded);
    let opens = |drill: &Value, location: &str| {
        let of = drill.as_array().unwrap().iter().find(|report| report["location"] == location);
        of.map(|report| (report["opens"].as_bool().unwrap(), report["milliseconds"].is_u64()))
    };
    assert_eq!(opens(&drill, "software:one"), Some((true, true)));
    assert_eq!(opens(&drill, "software:two"), Some((false, true)));
    assert!(
        !run(&stack, &["tenant", "anchor", "remove", "initech", "software:one"]).0,
        "nothing else opens it"
    );
    std::fs::write(root(&stack, "two"), kept).unwrap();
    assert_eq!(done(&stack, &["tenant", "drill"]).as_array().unwrap().len(), 4, "of all three tenants");

    done(&stack, &["tenant", "anchor", "remove", "initech", "software:one"]);
    done(&stack, &["tenant", "anchor", "add", "initech", "software:three"]);
    assert!(!run(&stack, &["tenant", "anchor", "add", "initech", "software:three"]).0);
    let chain = done(&stack, &["tenant", "rewrap", "initech", "--to", "software:four"]);
    let states = keys(&chain, "L1").into_iter().map(|key| (&key["location"], key["state"].as_str().unwrap()));
    let mut states: Vec<_> =
        states.map(|(location, state)| format!("{} {state}", location.as_str().unwrap())).collect();
    states.sort();
    let expected = [
        "software:four Active",
        "software:one Deactivated",
        "software:three Deactivated",
        "software:two Deactivated",
    ];
    assert_eq!(states, expected);

    let of_initech = |status: &Value| {
        status.as_array().unwrap().iter().find(|row| row["tenant"] == "initech").cloned().unwrap()
    };
    let status = of_initech(&done(&stack, &["unseal", "status"]));
    assert_eq!(status["anchors"].as_array().unwrap().len(), 1);
    assert_eq!((&status["revoked"], &status["proof_overdue"]), (&Value::from(false), &Value::from(false)));

    let revoked = done(&stack, &["revoke", "--tenant", "initech"]);
    assert_eq!(revoked["revoked"].as_array().unwrap().len(), 5, "the L2 and all L1s that there ever were");
    let status = of_initech(&done(&stack, &["unseal", "status"]));
    assert_eq!((&status["revoked"], &status["unsealed"]), (&Value::from(true), &Value::from(false)));
    assert!(!run(&stack, &["tenant", "drill", "initech"]).0);
    assert!(!run(&stack, &["tenant", "anchor", "add", "initech", "software:five"]).0);
    // Given again, it is asked for again: the first answer may have been lost.
    let again = done(&stack, &["revoke", "--tenant", "initech"]);
    assert_eq!(again["revoked"], revoked["revoked"]);
    assert_eq!(again["parts"][0]["revoked_before"], 5);
    assert!(!run(&stack, &["revoke", "--tenant", "initech", "--service", "unheard-of"]).0);
}

#[test]
fn an_l1_that_cannot_be_used_leaves_no_half_tenant() {
    let stack = Stack::start();
    let bad = ["tenant", "add", "initech", "--l1", "software:one", "--l1", "pkcs11:token=none;object=none"];
    assert!(!run(&stack, &bad).0);
    assert!(!run(&stack, &["tenant", "show", "initech"]).0);
    done(&stack, &["tenant", "add", "initech", "--l1", "software:one"]);
}

#[test]
fn people_read_the_same() {
    let stack = Stack::start();
    for arguments in
        [&["tenant", "show", "acme"][..], &["unseal", "status"], &["tenant", "drill"], &["tenant", "list"]]
    {
        let output = krypton(stack.folder.path()).args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains("acme"), "{text}");
    }
}
