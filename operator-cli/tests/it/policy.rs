//! `krypton policy`, from the key of headquarters to a Core, and `krypton revoke` of Gateways and regions.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::stack::{Stack, krypton, python};

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
    // The development stack trusts its own headquarters: what another one brings is refused, and says why.
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
    let (revoked, told, text) = revoke(&["--gateway", "gateway-1"]);
    assert!(revoked && told["revoked"][0] == "gateway:gateway-1", "asked for again: {text}");
    let (revoked, told, text) = revoke(&["--region"]);
    assert!(revoked, "{text}");
    let names: Vec<&Value> = told["parts"].as_array().unwrap().iter().map(|part| &part["name"]).collect();
    assert_eq!(names, ["acme", "globex"]);
    assert!(told["parts"].as_array().unwrap().iter().all(|part| part["failure"].is_null()));
}

const RIGHTS: &str = r#"
@id("operators")
permit (principal is Krypton::Operator, action, resource);
@id("gateways")
permit (principal is Krypton::Gateway, action, resource);
"#;

const NO_GLOBEX: &str = r#"
@id("no-globex")
forbid (principal == Krypton::Gateway::"gateway-1", action, resource in Krypton::Service::"globex/default");
"#;

/// Makes a key and fetches it as an application of a tenant does, with PyKMIP.
const CREATE: &str = r#"
import sys
from kmip import enums
from kmip.pie.client import ProxyKmipClient
from kmip.pie.exceptions import KmipOperationFailure
port, pki, tenant = sys.argv[1:]
files = dict(ca=f"{pki}/ca.pem", cert=f"{pki}/clients/{tenant}.pem", key=f"{pki}/clients/{tenant}.key")
with ProxyKmipClient("127.0.0.1", int(port), **files) as client:
    try:
        print("served", len(client.get(client.create(enums.CryptographicAlgorithm.AES, 256)).value))
    except KmipOperationFailure as failure:
        print(failure)
"#;

/// What PyKMIP gets.
fn create(stack: &Stack, tenant: &str) -> String {
    let mut command = python();
    command.args(["-c", CREATE, &stack.port("gateway").to_string()]).arg(stack.pki("")).arg(tenant);
    let (succeeded, _, text) = run(&mut command);
    assert!(succeeded, "{text}");
    text
}

/// Until a Gateway's leases have ended, it goes on with what was permitted.
fn await_create(stack: &Stack, tenant: &str, wanted: &str) {
    let started = Instant::now();
    loop {
        let told = create(stack, tenant);
        if told.contains(wanted) {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{tenant}: {told}");
    }
}

#[test]
fn a_policy_of_the_development_stack_binds_an_application() {
    let stack = Stack::start();
    let folder = stack.folder.path();
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    write("policies.cedar", &(RIGHTS.to_owned() + NO_GLOBEX));
    let questions = ["globex/default => deny", "acme/default => allow"];
    let [globex, acme] = questions.map(|question| format!("gateway:gateway-1 wrap {question}"));
    let asked = ["--request", &globex, "--request", &acme];
    let (passed, told, text) = policy(folder, &[&["test", "policies.cedar"], &asked[..]].concat());
    assert!(passed && told["answers"][0]["policies"][0] == "no-globex", "{text}");

    let sign = |version: &str| {
        let of_bundle = ["--policy-version", version, "--region", "*", "--out", "bundle"];
        let (signed, told, text) = policy(folder, &[&["sign", "policies.cedar"], &of_bundle[..]].concat());
        assert!(signed && told["version"] == version.parse::<u64>().unwrap(), "{text}");
    };
    sign("1");
    let trust = ["--trusted-key", "run/pki/policy/headquarters.pub"];
    let (passed, told, text) = policy(folder, &[&["test", "bundle"], &trust[..], &asked].concat());
    assert!(passed && told["bundle"] == "bundle 1 of headquarters", "{text}");
    assert!(create(&stack, "globex").contains("served 32"));
    let (applied, told, text) = policy(folder, &["apply", "bundle"]);
    assert!(applied && told["applied"] == "1" && told["signer"] == "headquarters", "{text}");
    await_create(&stack, "globex", "PERMISSION_DENIED");
    assert!(create(&stack, "acme").contains("served 32"));
    // The client learns no more; the Core's audit log has the policy that decided.
    let export = run(krypton(folder).args(["audit", "export", "--server", "core"])).2;
    assert!(export.contains("no-globex"), "{export}");

    // A bad bundle changes nothing and says why.
    write("policies.cedar", RIGHTS);
    sign("1");
    let (applied, _, text) = policy(folder, &["apply", "bundle"]);
    assert!(!applied && text.contains("version 1, and differs"), "{text}");
    sign("2");
    let edited = fs::read_to_string(folder.join("bundle")).unwrap().replace("version: 2", "version: 3");
    write("edited", &edited);
    let (applied, _, text) = policy(folder, &["apply", "edited"]);
    assert!(!applied && text.contains("does not verify"), "{text}");
    assert_eq!(policy(folder, &["show"]).1["version"], "1");
    assert!(create(&stack, "globex").contains("PERMISSION_DENIED"));

    let (applied, told, text) = policy(folder, &["apply", "bundle"]);
    assert!(applied && told["applied"] == "2", "{text}");
    await_create(&stack, "globex", "served 32");
}
