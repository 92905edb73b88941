//! OpenTelemetry log records: the JSON of the OTLP file exporter.

use std::fs;

use serde_json::{Value, json};

use super::super::{AuditLog, AuditSettings, ServerKind};
use super::event;
use crate::port::Audit;

fn open(folder: &std::path::Path) -> AuditLog {
    let settings =
        AuditSettings { opentelemetry: Some(folder.join("records.jsonl")), ..AuditSettings::default() };
    AuditLog::of_server(&settings, folder, ServerKind::Gateway).unwrap()
}

fn lines(path: &std::path::Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.ends_with('\n') && text.lines().all(|line| line.len() < 1 << 20));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn records(lines: &[Value]) -> Vec<&Value> {
    lines
        .iter()
        .flat_map(|line| line["resourceLogs"][0]["scopeLogs"][0]["logRecords"].as_array().unwrap())
        .collect()
}

/// Names of the messages of opentelemetry-proto (logs/v1, resource/v1, common/v1) in lower camel case; anything else is none.
fn is_known(path: &[&str], value: &Value) -> Result<(), String> {
    let known: &[&str] = match path.last().copied().unwrap_or("") {
        "" => &["resourceLogs"],
        "resourceLogs" => &["resource", "scopeLogs", "schemaUrl"],
        "resource" => &["attributes", "droppedAttributesCount"],
        "scopeLogs" => &["scope", "logRecords", "schemaUrl"],
        "scope" => &["name", "version", "attributes", "droppedAttributesCount"],
        "logRecords" => &[
            "timeUnixNano",
            "observedTimeUnixNano",
            "severityNumber",
            "severityText",
            "body",
            "attributes",
            "droppedAttributesCount",
            "flags",
            "traceId",
            "spanId",
            "eventName",
        ],
        "attributes" => &["key", "value"],
        "value" | "body" => &["stringValue", "boolValue", "intValue", "doubleValue"],
        // 64-bit numbers are texts.
        "timeUnixNano" | "observedTimeUnixNano" | "intValue" => {
            let is_number = value.as_str().is_some_and(|text| text.parse::<u64>().is_ok());
            return if is_number { Ok(()) } else { Err(format!("{path:?} is {value}")) };
        }
        _ => return Ok(()),
    };
    match value {
        Value::Array(values) => values.iter().try_for_each(|value| is_known(path, value)),
        Value::Object(fields) => fields.iter().try_for_each(|(name, value)| {
            if !known.contains(&&**name) {
                return Err(format!("{path:?} has no {name}"));
            }
            is_known(&[path, &[name.as_str()]].concat(), value)
        }),
        other => Err(format!("{path:?} is {other}")),
    }
}

#[tokio::test]
async fn events_are_log_records_too() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    for number in 0..2_000 {
        log.record_later(event(number)).await.unwrap();
    }
    log.append(&event(2_000)).await.unwrap();
    let path = folder.path().join("records.jsonl");
    let lines = lines(&path);
    let records = records(&lines);
    assert_eq!(records.len(), 2_001);
    for line in &lines {
        is_known(&[], line).unwrap();
    }
    let record = records[5];
    assert_eq!(record["timeUnixNano"], "1700000005000000000");
    assert_eq!((&record["severityNumber"], &record["severityText"]), (&json!(13), &json!("WARN")));
    let attributes = record["attributes"].as_array().unwrap();
    let attribute =
        |key: &str| &attributes.iter().find(|attribute| attribute["key"] == key).unwrap()["value"];
    assert_eq!(attribute("krypton.audit.index"), &json!({ "intValue": "5" }));
    assert_eq!(attribute("error.type"), &json!({ "stringValue": "PermissionDenied" }));
    assert_eq!(attribute("kmip.client_correlation_value"), &json!({ "stringValue": "request \"5\"é\n" }));
    let resource = &lines[0]["resourceLogs"][0]["resource"]["attributes"];
    assert_eq!(resource[0], json!({ "key": "service.name", "value": { "stringValue": "krypton-gateway" } }));
}

#[tokio::test]
async fn a_file_that_was_moved_away_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let (path, moved) = (folder.path().join("records.jsonl"), folder.path().join("records.jsonl.1"));
    log.append(&event(0)).await.unwrap();
    fs::rename(&path, &moved).unwrap();
    log.append(&event(1)).await.unwrap();
    log.reopen_records();
    log.read(|_| Ok(())).await.unwrap();
    log.append(&event(2)).await.unwrap();
    assert_eq!((records(&lines(&moved)).len(), records(&lines(&path)).len()), (2, 1));
}

#[tokio::test]
async fn records_that_cannot_be_written_stop_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let settings = AuditSettings {
        opentelemetry: Some(folder.path().join("no/such/folder/records")),
        ..AuditSettings::default()
    };
    let log = AuditLog::of_server(&settings, folder.path(), ServerKind::Core).unwrap();
    log.append(&event(0)).await.unwrap();
    assert!(log.ready().is_ok());
}
