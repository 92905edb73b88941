//! What is fed, and what must hold whatever it is fed: nothing panics, and what is accepted means the same once it has
//! been written again.

use bytes::Bytes;
use kmip_protocol::attribute::Attributes;
use kmip_protocol::dictionary::Names;
use kmip_protocol::message::{RequestMessage, ResponseMessage};
use kmip_protocol::operation::{Operation, Request};
use kmip_protocol::version::{V1_0, V2_1};
use kmip_ttlv::dump::Dump;
use kmip_ttlv::{Error, ItemType, Limits, Reader, Writer, json, message_length, xml};

use crate::corpus::Form;

const LIMITS: Limits = Limits::DEFAULT;

/// A reader of bytes that somebody else wrote.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    pub(crate) run: fn(&Bytes),
}

pub(crate) static TARGETS: &[Target] = &[
    Target { name: "ttlv", form: Form::Ttlv, run: ttlv },
    Target { name: "xml", form: Form::Xml, run: xml },
    Target { name: "json", form: Form::Json, run: json },
    Target { name: "request", form: Form::Request, run: request },
    Target { name: "response", form: Form::Response, run: response },
    Target { name: "record", form: Form::Record, run: record },
];

/// Items have one encoding only: what is accepted is written to the same bytes.
fn ttlv(input: &Bytes) {
    if let Some(first) = input.first_chunk() {
        let _ = message_length(first, &LIMITS);
    }
    let _ = Dump::new(input, &Names, LIMITS).to_string();
    let mut writer = Writer::new();
    if Reader::new(input, LIMITS).and_then(|mut reader| copy(&mut reader, &mut writer)).is_ok() {
        assert_eq!(writer.as_slice(), &input[..]);
    }
}

fn copy(reader: &mut Reader<'_>, writer: &mut Writer) -> Result<(), Error> {
    while let Some(header) = reader.peek()? {
        let tag = header.tag;
        match header.item_type {
            ItemType::Structure => {
                reader.structure(tag, |inside| writer.structure(tag, |writer| copy(inside, writer)))?;
            }
            ItemType::Integer => writer.integer(tag, reader.integer(tag)?),
            ItemType::LongInteger => writer.long_integer(tag, reader.long_integer(tag)?),
            ItemType::BigInteger => writer.big_integer(tag, reader.big_integer(tag)?),
            ItemType::Enumeration => writer.enumeration(tag, reader.enumeration(tag)?),
            ItemType::Boolean => writer.boolean(tag, reader.boolean(tag)?),
            ItemType::TextString => writer.text_string(tag, reader.text_string(tag)?),
            ItemType::ByteString => writer.byte_string(tag, reader.byte_string(tag)?),
            ItemType::DateTime => writer.date_time(tag, reader.date_time(tag)?),
            ItemType::Interval => writer.interval(tag, reader.interval(tag)?),
            ItemType::DateTimeExtended => writer.date_time_extended(tag, reader.date_time_extended(tag)?),
        }
    }
    Ok(())
}

/// What has been read from XML can be written as XML, and means the same then.
fn xml(input: &Bytes) {
    let Ok(ttlv) = xml::to_ttlv(input, &Names, LIMITS) else { return };
    let ttlv = ttlv.into_bytes();
    let text = xml::from_ttlv(&ttlv, &Names, LIMITS).expect("it has just been read");
    // Names and escapes may be longer than what they were read from.
    let limits = Limits { message_bytes: usize::MAX, ..LIMITS };
    assert_eq!(xml::to_ttlv(&text, &Names, limits).expect("it has just been written")[..], ttlv[..]);
}

/// As [`xml()`].
fn json(input: &Bytes) {
    let Ok(ttlv) = json::to_ttlv(input, &Names, LIMITS) else { return };
    let ttlv = ttlv.into_bytes();
    let text = json::from_ttlv(&ttlv, &Names, LIMITS).expect("it has just been read");
    let limits = Limits { message_bytes: usize::MAX, ..LIMITS };
    assert_eq!(json::to_ttlv(&text, &Names, limits).expect("it has just been written")[..], ttlv[..]);
}

/// What has been read as a request and can be written in its version, is read as the same request.
fn request(input: &Bytes) {
    let Some((message, payloads)) = read_request(input) else { return };
    let version = message.header.protocol_version;
    if version.is_supported() && payloads.iter().all(|payload| payload.is_known(version)) {
        let written = RequestMessage::write(&message.header, &payloads).into_bytes();
        let (again, payloads) = read_request(&written).expect("it has just been written");
        assert_eq!(RequestMessage::write(&again.header, &payloads)[..], written[..]);
    }
}

fn read_request(input: &Bytes) -> Option<(RequestMessage, Vec<Request>)> {
    let message = RequestMessage::read(input, LIMITS).ok()?;
    let version = message.header.protocol_version;
    let mut payloads = Vec::new();
    for item in &message.items {
        let operation = Operation::from_value(item.operation)?;
        for version in [V1_0, V2_1] {
            let _ = item.decode(operation, LIMITS, version);
        }
        payloads.push(item.decode(operation, LIMITS, version)?.ok()?);
    }
    Some((message, payloads))
}

/// As [`request`].
fn response(input: &Bytes) {
    let Ok(message) = ResponseMessage::read(input, LIMITS) else { return };
    let version = message.header.protocol_version;
    let mut payloads = message.items.iter().flat_map(|item| &item.payload);
    if version.is_supported() && payloads.all(|payload| payload.is_known(version)) {
        let written = write_response(&message);
        let again = ResponseMessage::read(&written, LIMITS).expect("it has just been written");
        assert_eq!(write_response(&again), written);
    }
}

fn write_response(message: &ResponseMessage) -> Bytes {
    let mut writer = Writer::new();
    message.write(&mut writer);
    writer.finish().into_bytes()
}

/// What has been read as a record is written to one that holds the same.
fn record(input: &Bytes) {
    let Ok(attributes) = read_record(input) else { return };
    let mut writer = Writer::new();
    attributes.write_record(&mut writer);
    let written = writer.finish().into_bytes();
    assert_eq!(read_record(&written).expect("it has just been written"), attributes);
}

fn read_record(input: &Bytes) -> Result<Attributes, Error> {
    let mut reader = Reader::new(input, LIMITS)?;
    let attributes = Attributes::read_record(&mut reader)?;
    reader.finish()?;
    Ok(attributes)
}
