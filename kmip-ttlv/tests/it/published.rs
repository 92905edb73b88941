//! The published exchanges: XML, TTLV and JSON of the same messages, and every XML test case there is.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use kmip_ttlv::dump::Dump;
use kmip_ttlv::{Limits, json, xml};
use serde_json::Value;

use crate::tables::{Tables, unhex};

const LIMITS: Limits = Limits::DEFAULT;

fn material() -> Option<(PathBuf, Tables)> {
    let found = Tables::vectors().and_then(|folder| Some((folder, Tables::published()?)));
    if found.is_none() {
        eprintln!("skipped: no published vectors here (set KMIP_VECTORS)");
    }
    found
}

fn without_white_space(text: &[u8]) -> String {
    let text = String::from_utf8(text.to_vec()).unwrap();
    text.replace(">\n", ">").replace("> <", "><").trim().to_owned()
}

#[test]
fn the_three_encodings_agree() {
    let Some((folder, tables)) = material() else { return };
    let (mut messages, mut with_json) = (0, 0);
    for file in ["msgenc-1.0.json", "msgenc-1.2.json"] {
        let text = fs::read(folder.join("encodings").join(file)).unwrap();
        for message in serde_json::from_slice::<Value>(&text).unwrap().as_array().unwrap() {
            let name = format!("{} {}", message["case"], message["index"]);
            let ttlv = Bytes::from(unhex(message["ttlv"].as_str().unwrap()));
            let published_xml = message["xml"].as_str().unwrap().as_bytes();
            assert_eq!(&*xml::to_ttlv(published_xml, &tables, LIMITS).unwrap(), &ttlv[..], "{name}");
            let written = xml::from_ttlv(&ttlv, &tables, LIMITS).unwrap();
            assert_eq!(without_white_space(&written), without_white_space(published_xml), "{name}");
            messages += 1;

            let written = json::from_ttlv(&ttlv, &tables, LIMITS).unwrap();
            assert_eq!(&*json::to_ttlv(&written, &tables, LIMITS).unwrap(), &ttlv[..], "{name}");
            if message["json_well_formed"] == true {
                let published_json = message["json"].as_str().unwrap();
                assert_eq!(&*json::to_ttlv(published_json.as_bytes(), &tables, LIMITS).unwrap(), &ttlv[..]);
                assert_eq!(std::str::from_utf8(&written).unwrap(), published_json.trim(), "{name}");
                with_json += 1;
            }
        }
    }
    assert!(messages > 0 && with_json > 0);
}

#[test]
fn every_test_case_survives_all_forms() {
    let Some((folder, tables)) = material() else { return };
    let (mut files, mut messages) = (0, 0);
    for path in xml_files(&folder) {
        files += 1;
        let text = fs::read_to_string(&path).unwrap();
        for element in messages_of(&text) {
            let filled = fill_placeholders(element);
            let ttlv = xml::to_ttlv(filled.as_bytes(), &tables, LIMITS)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
                .into_bytes();
            let as_xml = xml::from_ttlv(&ttlv, &tables, LIMITS).unwrap();
            assert_eq!(&*xml::to_ttlv(&as_xml, &tables, LIMITS).unwrap(), &ttlv[..], "{}", path.display());
            let as_json = json::from_ttlv(&ttlv, &tables, LIMITS).unwrap();
            assert_eq!(&*json::to_ttlv(&as_json, &tables, LIMITS).unwrap(), &ttlv[..], "{}", path.display());
            serde_json::from_slice::<Value>(&as_json).unwrap();
            let dump = Dump::new(&ttlv, &tables, LIMITS).to_string();
            assert!(!dump.contains("malformed"), "{}", path.display());
            messages += 1;
        }
    }
    eprintln!("{messages} messages of {files} files");
    assert!(files > 100 && messages > files);
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

/// The message elements of a test case's file.
fn messages_of(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for name in ["RequestMessage", "ResponseMessage"] {
        let (opening, closing) = (format!("<{name}>"), format!("</{name}>"));
        let mut rest = text;
        while let Some(start) = rest.find(&opening) {
            let end = rest.find(&closing).unwrap() + closing.len();
            found.push(&rest[start..end]);
            rest = &rest[end..];
        }
    }
    found
}

/// Placeholders stand where a run has values of its own: something of the right type takes their place.
fn fill_placeholders(message: &str) -> String {
    let fill = |line: &str| {
        let Some((before, after)) = line.split_once("value=\"$") else { return line.to_owned() };
        let value = match () {
            () if line.contains("type=\"DateTime\"") => "2026-01-01T00:00:00+00:00",
            () if line.contains("type=\"ByteString\"") => "00112233",
            () => "identifier",
        };
        format!("{before}value=\"{value}{}", &after[after.find('"').unwrap()..])
    };
    message.lines().map(fill).collect::<Vec<_>>().join("\n")
}
