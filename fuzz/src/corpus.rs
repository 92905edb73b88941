//! What mutation starts from: messages of every operation, the shared fixtures, and the published test cases where
//! they are present (`KMIP_VECTORS`).

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use kmip_protocol::attribute::Attributes;
use kmip_protocol::dictionary::Names;
use kmip_protocol::message::{RequestMessage, ResponseMessage};
use kmip_protocol::operation::{Operation, Request, Response};
use kmip_ttlv::{Limits, Writer, json, xml};

const LIMITS: Limits = Limits::DEFAULT;
const OWN: &str = include_str!("../corpus/messages.txt");
/// Larger messages slow mutation down and hold nothing that others do not.
const MAXIMUM_SEED_BYTES: usize = 4096;

/// What a target reads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Ttlv,
    Xml,
    Json,
    Request,
    Response,
    Record,
}

impl Form {
    /// Whether the form is made of items.
    pub(crate) fn is_binary(self) -> bool {
        !matches!(self, Self::Xml | Self::Json)
    }

    /// A message in a text form.
    pub(crate) fn text(self, message: &Bytes) -> Option<Vec<u8>> {
        let text = match self {
            Self::Json => json::from_ttlv(message, &Names, LIMITS),
            _ => xml::from_ttlv(message, &Names, LIMITS),
        };
        text.ok().map(|text| text.to_vec())
    }
}

/// Well-formed inputs of one form; of the text forms, the messages to be written.
pub(crate) struct Corpus {
    pub(crate) form: Form,
    pub(crate) inputs: Vec<Bytes>,
}

impl Corpus {
    pub(crate) fn load(form: Form) -> Self {
        let messages = messages();
        let inputs = messages.iter().filter_map(|message| match form {
            Form::Ttlv | Form::Xml | Form::Json => Some(message.clone()),
            Form::Request => RequestMessage::read(message, LIMITS).is_ok().then(|| message.clone()),
            Form::Response => ResponseMessage::read(message, LIMITS).is_ok().then(|| message.clone()),
            Form::Record => record(message),
        });
        Self { form, inputs: inputs.filter(|input| input.len() <= MAXIMUM_SEED_BYTES).collect() }
    }
}

fn messages() -> Vec<Bytes> {
    let lines = OWN.lines().filter(|line| !line.starts_with('#'));
    let mut messages: Vec<_> = lines.filter_map(|line| unhex(line.split_once(' ')?.1)).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for file in files(&root.join("fixtures/ttlv"), "hex") {
        messages.extend(fs::read_to_string(file).ok().and_then(|text| unhex(&text)));
    }
    let vectors = root.join("../shared/kmip/vectors");
    for file in files(&std::env::var_os("KMIP_VECTORS").map_or(vectors, PathBuf::from), "xml") {
        messages.extend(fs::read_to_string(file).iter().flat_map(|text| published(text)));
    }
    messages
}

/// The messages of a published test case, with something in place of placeholders.
fn published(text: &str) -> Vec<Bytes> {
    let pieces = ["RequestMessage", "ResponseMessage"].into_iter().flat_map(|element| {
        let (opening, closing) = (format!("<{element}>"), format!("</{element}>"));
        let pieces = text.split(&opening).skip(1).filter_map(|rest| rest.split_once(&closing));
        pieces.map(|(inside, _)| format!("{opening}{inside}{closing}")).collect::<Vec<_>>()
    });
    let read = |text: String| xml::to_ttlv(text.as_bytes(), &Names, LIMITS).ok();
    pieces
        .map(|text| text.lines().map(fill).collect())
        .filter_map(read)
        .map(|ttlv| ttlv.into_bytes())
        .collect()
}

fn fill(line: &str) -> String {
    let Some((before, after)) = line.split_once("value=\"$") else { return line.to_owned() };
    let value = match () {
        () if line.contains("\"DateTime\"") => "2026-01-01T00:00:00Z",
        () if line.contains("\"ByteString\"") => "00112233",
        () => "identifier",
    };
    let rest = after.split_once('"').map_or("", |(_, rest)| rest);
    format!("{before}value=\"{value}\"{rest}")
}

/// The attributes of a message, as they would lie in a record.
fn record(message: &Bytes) -> Option<Bytes> {
    let mut writer = Writer::new();
    attributes(message).filter(|attributes| !attributes.is_empty())?.write_record(&mut writer);
    Some(writer.finish().into_bytes())
}

fn attributes(message: &Bytes) -> Option<Attributes> {
    if let Ok(request) = RequestMessage::read(message, LIMITS) {
        let item = request.items.first()?;
        let operation = Operation::from_value(item.operation)?;
        return match item.decode(operation, LIMITS, request.header.protocol_version)?.ok()? {
            Request::Create(request) => Some(request.attributes),
            Request::Register(request) => Some(request.attributes),
            Request::Locate(request) => Some(request.attributes),
            Request::CreateKeyPair(request) => Some(request.common_attributes),
            _ => None,
        };
    }
    match ResponseMessage::read(message, LIMITS).ok()?.items.into_iter().next()?.payload? {
        Response::GetAttributes(response) => Some(response.attributes),
        _ => None,
    }
}

/// All files of a folder and the folders in it whose names end so; none if there is no such folder.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let mut found: Vec<_> =
        files.into_iter().filter(|path| path.extension().is_some_and(|e| e == extension)).collect();
    found.extend(folders.iter().flat_map(|folder| self::files(folder, extension)));
    found.sort();
    found
}

fn unhex(text: &str) -> Option<Bytes> {
    let digits: Vec<_> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks(2).map(byte).collect::<Option<Vec<_>>>().map(Bytes::from)
}
