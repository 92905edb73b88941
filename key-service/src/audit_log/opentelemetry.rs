//! Events as OpenTelemetry log records, in the JSON of the OTLP file exporter: each line is an `ExportLogsServiceRequest`, as the
//! collector's receiver `otlpjsonfile` reads it. The log itself does not depend on them.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::{Value, json};

use super::entry::ServerKind;
use super::settings::is_standard_error;
use crate::port::{Event, Outcome};

/// Bytes after which a line is ended: receivers take lines of 1 MiB as a rule.
const LINE_BYTES: usize = 512 << 10;

/// Severities of the data model.
const INFO: (u32, &str) = (9, "INFO");
const WARN: (u32, &str) = (13, "WARN");

/// Where records go.
#[derive(Debug)]
pub(super) struct Exporter {
    path: PathBuf,
    file: Option<File>,
    /// What every line begins with: who we are.
    head: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogRecord<'e> {
    time_unix_nano: String,
    observed_time_unix_nano: String,
    severity_number: u32,
    severity_text: &'static str,
    event_name: &'static str,
    body: AnyValue<'e>,
    attributes: Vec<KeyValue<'e>>,
}

#[derive(Serialize)]
struct KeyValue<'e> {
    key: std::borrow::Cow<'e, str>,
    value: AnyValue<'e>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum AnyValue<'e> {
    StringValue(std::borrow::Cow<'e, str>),
    /// 64-bit numbers are texts in the JSON of protocol buffers.
    IntValue(String),
}

impl Exporter {
    /// Records of the log `origin` to the file at `path`, or to the standard error stream.
    pub(super) fn new(path: &Path, origin: &str, server: ServerKind) -> Self {
        let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
        let resource: Value = json!({ "attributes": [
            text("service.name", &format!("krypton-{}", server.name())),
            text("service.namespace", "krypton"),
            text("service.version", env!("CARGO_PKG_VERSION")),
            text("service.instance.id", origin),
        ] });
        let scope = json!({ "name": "krypton.audit", "version": env!("CARGO_PKG_VERSION") });
        let head = format!(
            r#"{{"resourceLogs":[{{"resource":{resource},"scopeLogs":[{{"scope":{scope},"logRecords":["#
        );
        Self { path: path.to_owned(), file: None, head }
    }

    /// Lets go of the file: the next records go to the one that has its name then.
    pub(super) fn reopen(&mut self) {
        self.file = None;
    }

    /// Writes events, of which each has its index in the log.
    pub(super) fn write<'e>(&mut self, events: impl Iterator<Item = (u64, &'e Event)>) -> io::Result<()> {
        let (mut lines, mut line_begins) = (String::new(), None);
        for (index, event) in events {
            let record = serde_json::to_string(&record(index, event))?;
            match line_begins {
                None => {
                    line_begins = Some(lines.len());
                    lines.push_str(&self.head);
                }
                Some(_) => lines.push(','),
            }
            lines.push_str(&record);
            if line_begins.is_some_and(|begins| lines.len() - begins >= LINE_BYTES) {
                lines.push_str(TAIL);
                line_begins = None;
            }
        }
        if line_begins.is_some() {
            lines.push_str(TAIL);
        }
        self.out(lines.as_bytes())
    }

    fn out(&mut self, lines: &[u8]) -> io::Result<()> {
        if is_standard_error(&self.path) {
            return io::stderr().lock().write_all(lines);
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.path)?;
                self.file.insert(opened)
            }
        };
        file.write_all(lines)
    }
}

const TAIL: &str = "]}]}]}\n";

fn record(index: u64, event: &Event) -> LogRecord<'_> {
    let observed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (severity, outcome) = match event.outcome {
        Outcome::Success => (INFO, "Success"),
        Outcome::Intent => (INFO, "Intent"),
        Outcome::Failure(_) => (WARN, "Failure"),
    };
    let object = event.unique_identifier.as_deref().map(|object| format!(" of {object}")).unwrap_or_default();
    let body = format!("{}{object} by {}/{}: {outcome}", event.operation, event.tenant, event.principal);
    LogRecord {
        time_unix_nano: format!("{}000000000", event.time.0.max(0)),
        observed_time_unix_nano: observed.as_nanos().to_string(),
        severity_number: severity.0,
        severity_text: severity.1,
        event_name: "krypton.audit",
        body: AnyValue::StringValue(body.into()),
        attributes: attributes(index, event, outcome),
    }
}

/// The names of the semantic conventions where they have one (`user.name`, `error.type`); else names of our own.
fn attributes<'e>(index: u64, event: &'e Event, outcome: &'static str) -> Vec<KeyValue<'e>> {
    let texts = [
        ("kmip.operation", Some(&*event.operation)),
        ("kmip.outcome", Some(outcome)),
        ("kmip.unique_identifier", event.unique_identifier.as_deref()),
        ("kmip.client_correlation_value", event.client_correlation_value.as_deref()),
        ("kmip.server_correlation_value", event.server_correlation_value.as_deref()),
        ("krypton.tenant", Some(&*event.tenant)),
        ("user.name", Some(&*event.principal)),
    ];
    let mut attributes =
        vec![KeyValue { key: "krypton.audit.index".into(), value: AnyValue::IntValue(index.to_string()) }];
    attributes.extend(texts.into_iter().filter_map(|(key, text)| {
        Some(KeyValue { key: key.into(), value: AnyValue::StringValue(text?.into()) })
    }));
    if let Outcome::Failure(reason) = event.outcome {
        let value = AnyValue::StringValue(reason.to_string().into());
        attributes.push(KeyValue { key: "error.type".into(), value });
    }
    attributes.extend(event.details.iter().map(|(name, value)| KeyValue {
        key: format!("krypton.audit.detail.{name}").into(),
        value: AnyValue::StringValue((&**value).into()),
    }));
    attributes
}
