//! `krypton policy`, from the key of headquarters to a Core, and `krypton revoke` of Gateways and regions.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::stack::{Stack, krypton};

const POLICIES: &str = r#"
@id("operators")
permit (principal is Krypton::Operator, action, resource);
@id("one-tenant")
permit (principal == Krypton::Gateway::"gateway", action, resource in Krypton::Tenant::"acme");
@id("no-nights")
forbid (principal, action == Krypton::Action::"unwrap", resource) when { context.hour < 6 };
"#;

fn run(command: &mut Command) -> (bool, Value, String) {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let told = serde_json::from_str(&text).unwrap_or(Value::Null);
    (output.status.success(), told, text + &String::from_utf8_lossy(&output.stderr))
}

fn policy(folder: &Path, arguments: &[&str]) -> (bool, Value, String) {
    run(krypton(folder).args(["--json", "policy"]).args(arguments))
}

/// A folder with policies and a key of headquarters; and what Cores are to trust.
fn headquarters() -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("policies.cedar"), POLICIES).unwrap();
    let (made, told, text) = policy(folder.path(), &["keygen", "headquarters", "--out", "key"]);
    assert!(made, "{text}");
    (folder, told["trusted_key"].as_str().unwrap().to_owned())
}

fn sign(folder: &Path, version: &str) -> (bool, Value, String) {
    let of_bundle = ["--policy-version", version, "--region", "*", "--out", "bundle"];
    policy(folder, &[&["sign", "policies.cedar", "--signing-key", "key"], &of_bundle[..]].concat())
}

#[test]
fn headquarters_tries_and_signs_without_a_core() {
    let (folder, trusted) = headquarters();
    let folder = folder.path();
    // A key is not overwritten.
    assert!(!policy(folder, &["keygen", "headquarters", "--out", "key"]).0);
    let questions = "gateway:gateway unwrap acme/mail time=2026-11-25T12:00:00Z => allow\n\
                     # at night\n\
                     gateway:gateway unwrap acme/mail time=2026-11-25T03:00:00Z => deny\n\n\
                     gateway:gateway wrap globex/mail => deny\n\
                     operator:olga manage tenant:initech => allow\n";
    fs::write(folder.join("questions"), questions).unwrap();
    let (passed, told, text) = policy(folder, &["test", "policies.cedar", "--requests", "questions"]);
    assert!(passed, "{text}");
    assert_eq!((&told["policies"], &told["unexpected"]), (&Value::from(3), &Value::from(0)));
    assert_eq!(told["answers"][1]["policies"][0], "no-nights");
    assert_eq!(told["answers"][2]["reason"], "no policy permits it");
    let question = "gateway:gateway wrap globex/mail => allow";
    assert!(!policy(folder, &["test", "policies.cedar", "--request", question]).0);

    let (signed, _, text) = sign(folder, "7");
    assert!(signed, "{text}");
    let (passed, _, text) =
        policy(folder, &["test", "bundle", "--trusted-key", &trusted, "--requests", "questions"]);
    assert!(passed, "{text}");
    let bundle = fs::read_to_string(folder.join("bundle")).unwrap();
    fs::write(folder.join("bundle"), bundle.replace("acme", "acne")).unwrap();
    let (passed, _, text) = policy(folder, &["test", "bundle", "--trusted-key", &trusted]);
    assert!(!passed && text.contains("does not verify"), "{text}");
    fs::write(folder.join("policies.cedar"), "permit (principal, action, resource) when { context.moon };")
        .unwrap();
    let (signed, _, text) = sign(folder, "8");
    assert!(!signed && text.contains("schema"), "{text}");
    for shown in ["--default", "--schema"] {
        let (_, told, _) = policy(folder, &["show", shown]);
        assert!(told["text"].as_str().unwrap().contains("Krypton"));
    }
}

#[test]
fn operators_apply_policies_and_expel_gateways() {
    let stack = Stack::start();
    let folder = stack.folder.path();
    let (_, told, _) = policy(folder, &["show"]);
    assert_eq!(told["version"], Value::Null);
    // The development stack trusts nobody: whatever is brought is refused, and says why.
    let (from, _) = headquarters();
    assert!(sign(from.path(), "7").0);
    let bundle = from.path().join("bundle").display().to_string();
    let (applied, _, text) = policy(folder, &["apply", &bundle]);
    assert!(!applied && text.contains("not signed by a trusted key"), "{text}");

    let revoke = |arguments: &[&str]| run(krypton(folder).args(["--json", "revoke"]).args(arguments));
    let (revoked, _, text) = revoke(&["--gateway", "unheard-of"]);
    assert!(!revoked, "{text}");
    let (revoked, told, text) = revoke(&["--gateway", "gateway-1"]);
    assert!(revoked, "{text}");
    assert_eq!(told["revoked"][0], "gateway:gateway-1");
    let (revoked, told, text) = revoke(&["--region"]);
    assert!(revoked, "{text}");
    let names: Vec<&Value> = told["parts"].as_array().unwrap().iter().map(|part| &part["name"]).collect();
    assert_eq!(names, ["acme", "globex"]);
    assert!(told["parts"].as_array().unwrap().iter().all(|part| part["failure"].is_null()));
}
