//! The events of both servers, read by classes that we did not write: those of OpenTelemetry, for Python.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::system::System;

/// The records in files of OTLP JSON lines, as the official classes read them.
fn read(files: &[&Path]) -> Vec<Value> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = package.with_file_name(".venv/bin/python");
    assert!(python.exists(), "there is no .venv: `make test` makes it, as does `tools/setup.sh test`");
    let output =
        Command::new(python).arg(package.join("tests/opentelemetry/read.py")).args(files).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The records of an operation on an object that a server wrote.
fn of<'r>(records: &'r [Value], server: &str, operation: &str, object: &str) -> Vec<&'r Value> {
    let is_it = |record: &&Value| {
        record["resource"]["service.name"] == server
            && record["attributes"]["kmip.operation"] == operation
            && record["attributes"]["kmip.unique_identifier"] == object
    };
    records.iter().filter(is_it).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_is_read_by_opentelemetrys_own_classes() {
    let mut system = System::provision();
    let files = ["core", "gateway"].map(|server| system.run().join(format!("{server}.jsonl")));
    for (server, file) in ["core", "gateway"].iter().zip(&files) {
        system.set(server, &format!("audit.opentelemetry = {:?}", file.display().to_string()));
    }
    let begun = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() - Duration::from_secs(1);
    system.start_both();
    let (acme, globex) = (system.application("acme"), system.application("globex"));
    let key = acme.create("a \"name\" with\nall kinds of \u{1F511}").await.unwrap();
    acme.get(&key).await.unwrap();
    globex.get(&key).await.unwrap_err();
    acme.destroy(&key).await.unwrap();
    system.gateway.take().unwrap().stop();
    system.core.take().unwrap().stop();

    let records = read(&files.each_ref().map(|file| file.as_path()));
    let ended = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let within = (begun.as_nanos() as u64 - 1_000_000_000)..=(ended.as_nanos() as u64);
    for record in &records {
        assert_eq!(record["event"], "krypton.audit");
        assert_eq!(record["scope"], "krypton.audit");
        assert_eq!(record["resource"]["service.namespace"], "krypton");
        for time in ["time", "observed"] {
            assert!(within.contains(&record[time].as_u64().unwrap()), "{record}");
        }
    }
    let gets = of(&records, "krypton-gateway", "Get", &key);
    let by = |tenant: &str| gets.iter().find(|get| get["attributes"]["krypton.tenant"] == tenant).unwrap();
    let (get, refused) = (by("acme"), by("globex"));
    assert_eq!((&get["severity"], &get["severity_text"]), (&9.into(), &"INFO".into()));
    assert_eq!(get["attributes"]["kmip.outcome"], "Success");
    assert_eq!(get["attributes"]["user.name"], "app");
    assert_eq!(get["body"], format!("Get of {key} by acme/app: Success"));
    assert!(get["attributes"]["krypton.audit.index"].is_i64());
    assert_eq!((&refused["severity"], &refused["severity_text"]), (&13.into(), &"WARN".into()));
    assert_eq!(refused["attributes"]["kmip.outcome"], "Failure");
    assert!(!refused["attributes"]["error.type"].as_str().unwrap().is_empty());

    let destroys = of(&records, "krypton-gateway", "Destroy", &key);
    let outcomes: Vec<_> = destroys.iter().map(|destroy| &destroy["attributes"]["kmip.outcome"]).collect();
    assert_eq!(outcomes, ["Intent", "Success"]);
    for destroy in destroys {
        assert_eq!(destroy["attributes"]["krypton.tenant"], "acme");
        assert_eq!(destroy["attributes"]["user.name"], "app");
        assert_eq!(destroy["severity_text"], "INFO");
    }
    // At the Core it is the tombstone, asked for by the Gateway.
    let is_of_core = |record: &&Value| record["resource"]["service.name"] == "krypton-core";
    let buried = records.iter().filter(is_of_core).find(|record| {
        record["attributes"]["kmip.operation"] == "Destroy"
            && record["attributes"]["kmip.unique_identifier"]
                .as_str()
                .is_some_and(|name| name.ends_with(&*key))
    });
    assert!(buried.is_some(), "the Core tells of no tombstone");
}
