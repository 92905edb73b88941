//! The published test cases as encoded messages. Placeholders are filled in with values of the right type and length.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use kmip_protocol::dictionary::Names;
use kmip_ttlv::{Limits, xml};

/// A message of a test case.
pub(crate) struct Message {
    /// The file and the position in it.
    pub(crate) name: String,
    pub(crate) is_request: bool,
    pub(crate) ttlv: Bytes,
}

/// The versions that have test cases.
const FOLDERS: [&str; 4] = ["2.1", "1.4", "1.2", "1.0"];

/// All messages of all test cases; `None` (and a remark) where the test cases are not present.
pub(crate) fn messages() -> Option<Vec<Message>> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/kmip/vectors");
    let folder = std::env::var_os("KMIP_VECTORS").map_or(default, PathBuf::from);
    if !folder.is_dir() {
        eprintln!("skipped: no published vectors here (set KMIP_VECTORS)");
        return None;
    }
    let files = FOLDERS.iter().flat_map(|version| xml_files(&folder.join(version)));
    let messages: Vec<_> = files.flat_map(|file| messages_of(&file)).collect();
    assert!(messages.len() > 500, "the folder of vectors holds too few of them");
    Some(messages)
}

fn xml_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let mut found: Vec<_> =
        files.into_iter().filter(|path| path.extension().is_some_and(|e| e == "xml")).collect();
    found.extend(folders.iter().flat_map(|folder| xml_files(folder)));
    found.sort();
    found
}

fn messages_of(file: &Path) -> Vec<Message> {
    let text = fs::read_to_string(file).unwrap();
    let mut found = Vec::new();
    for (element, is_request) in [("RequestMessage", true), ("ResponseMessage", false)] {
        let (opening, closing) = (format!("<{element}>"), format!("</{element}>"));
        for (at, rest) in text.split(&opening).skip(1).enumerate() {
            let inside = rest.split(&closing).next().unwrap();
            let filled = fill_placeholders(&format!("{opening}{inside}{closing}"));
            let name = format!("{} {element} {at}", file.display());
            let ttlv = xml::to_ttlv(filled.as_bytes(), &Names, Limits::DEFAULT)
                .unwrap_or_else(|error| panic!("{name}: {error}"))
                .into_bytes();
            found.push(Message { name, is_request, ttlv });
        }
    }
    found
}

/// A Short Unique Identifier has 32 bytes; nothing else that a run fills in has a length that matters here.
fn fill_placeholders(message: &str) -> String {
    let fill = |line: &str| {
        let Some((before, after)) = line.split_once("value=\"$") else { return line.to_owned() };
        let value = match () {
            () if line.contains("type=\"DateTime\"") => "2026-01-01T00:00:00+00:00".to_owned(),
            () if line.contains("type=\"ByteString\"") => "5a".repeat(32),
            () => "5f1c2a0e-94b1-4d0e-8a55-1f3fd3a1c0de".to_owned(),
        };
        format!("{before}value=\"{value}{}", &after[after.find('"').unwrap()..])
    };
    message.lines().map(fill).collect::<Vec<_>>().join("\n")
}
