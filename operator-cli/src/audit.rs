//! `krypton audit`: verifies, proves and exports audit logs, with their files and public keys alone.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use key_service::audit_log::receipt::{self, VerifiedEntry};
use key_service::audit_log::{Checkpoint, Entry, LogError, LogReader, SignedCheckpoint, VerifierKey};
use serde_json::{Value, json};

use crate::arguments::{AuditCommand, LogChoice, Target};
use crate::dev::layout::Layout;
use crate::error::Error;
use crate::output;

/// The servers of a development stack, which have a log each.
const SERVERS: [&str; 2] = ["core", "gateway"];

/// A log and what verifies it.
pub struct Log {
    /// What it is called here.
    pub name: String,
    /// The folder.
    pub directory: PathBuf,
    /// The public key.
    pub key: VerifierKey,
}

/// `krypton audit`.
///
/// # Errors
/// If a file cannot be read. What is not as it was signed is no error but a finding.
pub fn run(target: &Target, command: &AuditCommand, json: bool) -> Result<ExitCode, Error> {
    let key = target.key.as_deref();
    match command {
        AuditCommand::Verify { offline: Some(path), .. } => verify_receipts(path, key, json),
        AuditCommand::Verify { log, earlier, .. } => {
            verify_logs(&logs(target, log)?, earlier.as_deref(), json)
        }
        AuditCommand::Prove { log, index, object, operation, output } => {
            let about = About { index: *index, object: object.as_deref(), operation: operation.as_deref() };
            prove(&logs(target, log)?, &about, output.as_deref(), json)
        }
        AuditCommand::Export { log, from, to, output } => {
            export(&logs(target, log)?, *from..to.unwrap_or(u64::MAX), output.as_deref())
        }
    }
}

/// The logs that the command line means: one by its folder, or those of the development stack.
fn logs(target: &Target, choice: &LogChoice) -> Result<Vec<Log>, Error> {
    if let Some(directory) = &choice.log {
        let key = match &target.key {
            Some(key) => verifier(key)?,
            None => verifier(&beside(directory))?,
        };
        let name = key.name().to_owned();
        return Ok(vec![Log { name, directory: directory.clone(), key }]);
    }
    let logs = stack_logs(&Layout::new(&target.dir)?)?;
    let is_meant = |log: &Log| choice.server.as_deref().is_none_or(|server| log.name == server);
    let logs: Vec<Log> = logs.into_iter().filter(is_meant).collect();
    if logs.is_empty() {
        let place = target.dir.display();
        return Err(Error::Option(format!(
            "there is no such audit log in {place}: name its folder by --log"
        )));
    }
    Ok(logs)
}

/// The logs of a development stack that are there.
///
/// # Errors
/// If the public key of one cannot be read.
pub fn stack_logs(layout: &Layout) -> Result<Vec<Log>, Error> {
    let log = |name: &str| -> Result<Option<Log>, Error> {
        let directory = layout.state(name).join("audit");
        if !directory.join("checkpoint").exists() {
            return Ok(None);
        }
        let key = verifier(&beside(&directory))?;
        Ok(Some(Log { name: name.to_owned(), directory, key }))
    };
    SERVERS.into_iter().filter_map(|name| log(name).transpose()).collect()
}

/// Where a server keeps the public key of its log by default.
fn beside(directory: &Path) -> PathBuf {
    directory.with_extension("key.pub")
}

/// A verifier key: its text, or the file that it stands in.
pub(crate) fn verifier(key: &Path) -> Result<VerifierKey, Error> {
    if let Some(key) = key.to_str().and_then(|text| text.parse().ok()) {
        return Ok(key);
    }
    let text = fs::read_to_string(key).map_err(Error::file("read the verifier key", key))?;
    text.trim().parse().map_err(|error| unfit(key, &error))
}

fn unfit(path: &Path, problem: &dyn std::fmt::Display) -> Error {
    Error::Unfit { path: path.to_owned(), problem: format!("cannot be used: {problem}") }
}

fn log_error(error: LogError) -> Error {
    Error::Log(error)
}

fn verify_receipts(path: &Path, key: Option<&Path>, json: bool) -> Result<ExitCode, Error> {
    let key = key.ok_or_else(|| Error::Option("--key is needed: the verifier key of the log".to_owned()))?;
    let key = verifier(key)?;
    let content = fs::read(path).map_err(Error::file("read", path))?;
    let verified: Result<Vec<VerifiedEntry>, _> =
        receipt::each(&content).map(|receipt| receipt::verify(receipt, &key)).collect();
    let entries = match verified {
        Ok(entries) => entries,
        Err(error) => {
            match json {
                true => output::line(&json!({ "sound": false, "problem": error.to_string() }).to_string()),
                false => output::line(&format!("VOID: {error}")),
            }
            return Ok(ExitCode::FAILURE);
        }
    };
    if json {
        let receipts: Vec<Value> = entries.iter().map(verified_json).collect();
        output::line(&json!({ "sound": true, "receipts": receipts }).to_string());
        return Ok(ExitCode::SUCCESS);
    }
    for VerifiedEntry { index, entry, checkpoint, .. } in &entries {
        let Checkpoint { origin, size, .. } = checkpoint;
        output::line(&format!("SOUND: entry {index} of {origin}, which had {size} entries then"));
        describe(entry).iter().for_each(|line| output::line(line));
    }
    Ok(ExitCode::SUCCESS)
}

fn verified_json(verified: &VerifiedEntry) -> Value {
    json!({
        "log": verified.checkpoint.origin,
        "index": verified.index,
        "size": verified.checkpoint.size,
        "entry": entry_json(&verified.json),
    })
}

fn entry_json(entry: &str) -> Value {
    serde_json::from_str(entry).unwrap_or(Value::Null)
}

/// An entry for people.
fn describe(entry: &Entry) -> Vec<String> {
    let mut rows = vec![
        ("operation", entry.operation.clone()),
        ("object", entry.unique_identifier.clone().unwrap_or_default()),
        ("outcome", entry.outcome.clone()),
        ("reason", entry.reason.clone().unwrap_or_default()),
        ("by", format!("{} {}", entry.tenant, entry.principal).trim().to_owned()),
        ("time", format!("{} s after 1970", entry.time)),
    ];
    rows.extend(entry.details.iter().map(|(name, value)| (name.as_str(), value.clone())));
    let told = rows.into_iter().filter(|(_, value)| !value.is_empty());
    told.map(|(name, value)| format!("  {name:<28} {value}")).collect()
}

fn verify_logs(logs: &[Log], earlier: Option<&Path>, json: bool) -> Result<ExitCode, Error> {
    let mut is_sound = true;
    for log in logs {
        let note = earlier.map(|path| fs::read_to_string(path).map_err(Error::file("read", path)));
        // A checkpoint of another log says nothing about this one.
        let note = note.transpose()?.map(|note| SignedCheckpoint::open(&note, &log.key));
        let earlier = match (note, logs.len()) {
            (Some(Ok(earlier)), _) => Some(earlier),
            (Some(Err(error)), 1) => return Err(Error::Option(format!("the earlier checkpoint: {error}"))),
            _ => None,
        };
        is_sound &= verify_log(log, earlier.as_ref(), json);
    }
    Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn verify_log(log: &Log, earlier: Option<&SignedCheckpoint>, json: bool) -> bool {
    let opened = LogReader::open(&log.directory, &log.key);
    let (size, faults) = match opened.map(|reader| reader.verify(earlier)) {
        Ok(report) => (Some(report.checkpoint.size), report.faults.iter().map(ToString::to_string).collect()),
        Err(error) => (None, vec![error.to_string()]),
    };
    let is_sound = faults.is_empty();
    if json {
        let (log, since) = (log.key.name(), earlier.map(SignedCheckpoint::size));
        let report =
            json!({ "log": log, "sound": is_sound, "entries": size, "earlier": since, "faults": faults });
        output::line(&report.to_string());
        return is_sound;
    }
    let word = if is_sound { "SOUND" } else { "DAMAGED" };
    let size = size.map_or("unknown".to_owned(), |size| size.to_string());
    output::line(&format!("{word}: {} ({}), {size} entries", log.name, log.key.name()));
    if let (true, Some(earlier)) = (is_sound, earlier) {
        output::line(&format!("  it goes on from the earlier checkpoint of {} entries", earlier.size()));
    }
    faults.iter().for_each(|fault| output::line(&format!("  {fault}")));
    is_sound
}

/// Which entry is meant.
struct About<'a> {
    index: Option<u64>,
    object: Option<&'a str>,
    operation: Option<&'a str>,
}

impl About<'_> {
    fn find(&self, reader: &LogReader) -> Result<Option<u64>, Error> {
        let size = reader.checkpoint().size();
        let is_meant = |entry: &Entry| self.operation.is_none_or(|operation| entry.operation == operation);
        match (self.index, self.object) {
            (Some(index), _) if index < size => Ok(Some(index)),
            (Some(_), _) => Ok(None),
            (None, Some(object)) => reader.find(object, is_meant).map_err(log_error),
            (None, None) => Err(Error::Option("which entry: --index or --object?".to_owned())),
        }
    }
}

fn prove(logs: &[Log], about: &About<'_>, path: Option<&Path>, json: bool) -> Result<ExitCode, Error> {
    if about.index.is_some() && logs.len() > 1 {
        let question = "which log has the entry: --server core, --server gateway or --log FOLDER?";
        return Err(Error::Option(question.to_owned()));
    }
    for log in logs {
        let reader = LogReader::open(&log.directory, &log.key).map_err(log_error)?;
        let Some(index) = about.find(&reader)? else { continue };
        let receipt = reader.receipt(index).map_err(log_error)?;
        if let Some(path) = path {
            fs::write(path, receipt.as_str()).map_err(Error::file("write", path))?;
        }
        match (json, path) {
            (true, _) => {
                let proved = json!({ "log": log.key.name(), "index": index, "receipt": receipt.as_str(), "file": path });
                output::line(&proved.to_string());
            }
            (false, Some(path)) => output::line(&format!(
                "entry {index} of {} is proved in {}; verify it with\n  krypton audit verify --offline {} --key {}",
                log.key.name(),
                path.display(),
                path.display(),
                log.key,
            )),
            (false, None) => output::text(receipt.as_str()),
        }
        return Ok(ExitCode::SUCCESS);
    }
    Err(Error::Option("there is no such entry".to_owned()))
}

fn export(logs: &[Log], range: std::ops::Range<u64>, path: Option<&Path>) -> Result<ExitCode, Error> {
    let mut out: Box<dyn Write> = match path {
        Some(path) => Box::new(fs::File::create(path).map_err(Error::file("write", path))?),
        None => Box::new(io::stdout().lock()),
    };
    let mut out = io::BufWriter::new(&mut out);
    for log in logs {
        let reader = LogReader::open(&log.directory, &log.key).map_err(log_error)?;
        reader.export(range.clone(), &mut out).map_err(log_error)?;
    }
    out.flush().map_err(|source| Error::System { action: "write the entries", source })?;
    Ok(ExitCode::SUCCESS)
}
