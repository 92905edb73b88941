//! `krypton audit` and the certificate of `krypton revoke`, from outside.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use key_service::audit_log::{VerifierKey, receipt};
use serde_json::Value;

use crate::stack::{Stack, krypton};

fn run(folder: &Path, arguments: &[&str]) -> Output {
    krypton(folder).args(arguments).output().unwrap()
}

fn done(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {text}{errors}");
    text.into_owned()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_revocation_has_a_certificate_that_a_third_party_verifies() {
    let stack = Stack::start();
    let folder = stack.folder.path();
    let told = done(folder, &["revoke", "--region", "--receipt", "certificate", "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["revoked"].as_array().unwrap().len(), told["certificates"].as_array().unwrap().len());
    let certificate = fs::read(folder.join("certificate")).unwrap();
    let count = receipt::each(&certificate).count();
    assert!(count >= 2);
    drop(stack.stop());
}

#[test]
fn a_receipt_needs_nothing_but_the_public_key() {
    let stack = Stack::start();
    done(stack.folder.path(), &["revoke", "--tenant", "acme", "--receipt", "certificate"]);
    let folder = stack.stop();
    let key = fs::read_to_string(folder.path().join("run/core/audit.key.pub")).unwrap();
    let verifier: VerifierKey = key.trim().parse().unwrap();
    // Elsewhere: the certificate and the key are all there is.
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().join("certificate");
    fs::copy(folder.path().join("certificate"), &path).unwrap();
    let verify = ["audit", "verify", "--offline", "certificate", "--key", key.trim(), "--json"];
    let told: Value = serde_json::from_str(&done(elsewhere.path(), &verify)).unwrap();
    let entry = &told["receipts"][0]["entry"];
    assert_eq!((&told["sound"], &entry["operation"]), (&Value::Bool(true), &Value::from("Revoke")));
    assert_eq!(entry["details"]["tenant"], "acme");

    let certificate = fs::read(&path).unwrap();
    let is_sound = |content: &[u8]| receipt::each(content).all(|one| receipt::verify(one, &verifier).is_ok());
    assert!(is_sound(&certificate));
    // One bit of each byte: the tests of receipts themselves change every bit of one.
    for at in 0..certificate.len() {
        let mut other = certificate.clone();
        other[at] ^= 1 << (at % 8);
        assert!(!is_sound(&other), "byte {at}");
    }
    let mut changed = certificate.clone();
    changed[60] ^= 1;
    fs::write(&path, changed).unwrap();
    let refused = run(elsewhere.path(), &verify);
    assert!(!refused.status.success());
    assert_eq!(lines(&String::from_utf8_lossy(&refused.stdout))[0]["sound"], false);
}

#[test]
fn logs_are_verified_proved_from_and_exported() {
    let stack = Stack::start();
    let status: Value = serde_json::from_str(&done(stack.folder.path(), &["status", "--json"])).unwrap();
    assert_eq!(status["audit_logs"].as_array().unwrap().len(), 2);
    let earlier = stack.folder.path().join("earlier");
    fs::copy(stack.folder.path().join("run/core/audit/checkpoint"), &earlier).unwrap();
    done(stack.folder.path(), &["revoke", "--tenant", "globex"]);
    let folder = stack.stop();
    let folder = folder.path();

    let reports = lines(&done(folder, &["audit", "verify", "--json", "--earlier", "earlier"]));
    assert!(reports.len() == 2 && reports.iter().all(|report| report["sound"] == true), "{reports:?}");
    assert!(reports[0]["earlier"].is_u64());
    let entries = lines(&done(folder, &["audit", "export", "--server", "core"]));
    assert_eq!(entries.len() as u64, reports[0]["entries"].as_u64().unwrap());
    assert_eq!(
        (&entries[0]["operation"], &entries.last().unwrap()["operation"]),
        (&"Start".into(), &"Stop".into())
    );
    let is_revoke = |entry: &&Value| entry["operation"] == "Revoke" && entry["outcome"] == "Success";
    let object = entries.iter().find(is_revoke).unwrap()["unique_identifier"].as_str().unwrap();
    done(folder, &["audit", "prove", "--object", object, "--operation", "Revoke", "--output", "receipt"]);
    done(folder, &["audit", "verify", "--offline", "receipt", "--key", "run/core/audit.key.pub"]);
    let proved = done(folder, &["audit", "prove", "--index", "0", "--server", "gateway", "--json"]);
    assert_eq!(lines(&proved)[0]["index"], 0);
    assert!(!run(folder, &["audit", "prove", "--object", "nothing"]).status.success());
    assert!(!run(folder, &["audit", "prove", "--index", "0"]).status.success());

    let bundle = bundles(&folder.join("run/core/audit/tile/entries")).remove(0);
    let mut content = fs::read(&bundle).unwrap();
    content[40] ^= 1;
    fs::write(&bundle, content).unwrap();
    let found = run(folder, &["audit", "verify", "--log", "run/core/audit"]);
    assert!(!found.status.success());
    assert!(String::from_utf8_lossy(&found.stdout).contains("DAMAGED"));
}

/// The bundles in a folder; the longest incomplete one first.
fn bundles(folder: &Path) -> Vec<PathBuf> {
    let incomplete = fs::read_dir(folder.join("000.p")).unwrap();
    let mut found: Vec<PathBuf> = incomplete.map(|entry| entry.unwrap().path()).collect();
    found.sort_by_key(|path| {
        std::cmp::Reverse(path.file_name().unwrap().to_str().unwrap().parse::<u32>().unwrap())
    });
    found
}
