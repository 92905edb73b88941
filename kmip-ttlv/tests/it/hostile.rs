//! Input that means harm: nothing may panic, overflow the stack, or be accepted beyond the limits.

use bytes::Bytes;
use kmip_ttlv::dump::Dump;
use kmip_ttlv::{Error, ErrorKind, Limits, NoDictionary, Reader, TextError, TextErrorKind, json, xml};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::tree::{Item, item, small_tables, xml_text};

const LIMITS: Limits = Limits::DEFAULT;

/// Reads in every way there is, and reports what strict decoding says.
fn read_in_all_ways(source: &Bytes) -> Result<Item, Error> {
    let tables = small_tables();
    let decoded = Item::decode(source, LIMITS);
    let _ = Dump::new(source, &tables, LIMITS).to_string();
    let as_json = json::from_ttlv(source, &tables, LIMITS);
    assert_eq!(as_json.is_ok(), decoded.is_ok());
    let _ = xml::from_ttlv(source, &tables, LIMITS);
    let mut reader = Reader::new(source, LIMITS)?;
    while let Ok(raw) = reader.raw() {
        let _ = (raw.value_bytes(), raw.reader(LIMITS).skip());
    }
    decoded
}

fn mutate(bytes: &mut [u8], changes: &[(Index, u8)]) {
    for (place, byte) in changes {
        bytes[place.index(bytes.len())] = *byte;
    }
}

proptest! {
    #[test]
    fn every_prefix_is_refused(item in item("[a-z]{0,9}")) {
        let whole = item.encode();
        for end in 0..whole.len() {
            let error = Item::decode(&whole.slice(..end), LIMITS).unwrap_err();
            prop_assert_eq!(error.kind, ErrorKind::Truncated);
        }
    }

    #[test]
    fn random_bytes_do_not_panic(bytes in vec(any::<u8>(), 0..256)) {
        let _ = read_in_all_ways(&Bytes::from(bytes));
    }

    #[test]
    fn mutated_messages_do_not_panic(
        item in item(any::<String>()),
        changes in vec((any::<Index>(), any::<u8>()), 1..4),
        small_changes in vec((any::<Index>(), 0_u8..16), 0..4),
    ) {
        let mut bytes = item.encode().to_vec();
        mutate(&mut bytes, &changes);
        mutate(&mut bytes, &small_changes);
        let bytes = Bytes::from(bytes);
        // What is accepted is the one encoding of what it means.
        if let Ok(read) = read_in_all_ways(&bytes) {
            prop_assert_eq!(read.encode(), bytes);
        }
    }

    #[test]
    fn random_text_does_not_panic(text in any::<String>(), bytes in vec(any::<u8>(), 0..64)) {
        for text in [text.as_bytes(), &bytes] {
            let _ = xml::to_ttlv(text, &NoDictionary, LIMITS);
            let _ = json::to_ttlv(text, &NoDictionary, LIMITS);
        }
    }

    #[test]
    fn mutated_text_does_not_panic(
        item in item(xml_text()),
        changes in vec((any::<Index>(), prop_oneof![any::<u8>(), b' '..b'~']), 1..4),
        end in any::<Index>(),
    ) {
        let (ttlv, tables) = (item.encode(), small_tables());
        let mut as_xml = xml::from_ttlv(&ttlv, &tables, LIMITS).unwrap();
        prop_assert!(xml::to_ttlv(&as_xml[..end.index(as_xml.len() - 1)], &tables, LIMITS).is_err());
        mutate(&mut as_xml, &changes);
        let _ = xml::to_ttlv(&as_xml, &tables, LIMITS);
        let mut as_json = json::from_ttlv(&ttlv, &tables, LIMITS).unwrap();
        prop_assert!(json::to_ttlv(&as_json[..end.index(as_json.len())], &tables, LIMITS).is_err());
        mutate(&mut as_json, &changes);
        let _ = json::to_ttlv(&as_json, &tables, LIMITS);
    }
}

/// Structures within each other, as many as fit a message of this many bytes.
fn nested(levels: usize) -> Bytes {
    let mut bytes = Vec::with_capacity(levels * 8);
    for level in 1..=levels {
        bytes.extend_from_slice(&[0x42, 0x00, 0x78, 0x01]);
        bytes.extend_from_slice(&((levels - level) as u32 * 8).to_be_bytes());
    }
    Bytes::from(bytes)
}

#[test]
fn deep_binary_is_refused() {
    assert!(Item::decode(&nested(Limits::DEFAULT_DEPTH), LIMITS).is_ok());
    for levels in [Limits::DEFAULT_DEPTH + 1, Limits::DEFAULT_MESSAGE_BYTES / 8] {
        let error = read_in_all_ways(&nested(levels)).unwrap_err();
        assert_eq!((error.kind, error.offset), (ErrorKind::TooDeep, Limits::DEFAULT_DEPTH * 8));
    }
}

fn kind<T>(outcome: Result<T, TextError>) -> TextErrorKind {
    outcome.err().expect("it is refused").kind
}

#[test]
fn deep_text_is_refused() {
    let too_deep = TextErrorKind::Item(ErrorKind::TooDeep);
    let tables = small_tables();
    let as_xml = |levels: usize| "<Attribute>".repeat(levels) + &"</Attribute>".repeat(levels);
    assert!(xml::to_ttlv(as_xml(Limits::DEFAULT_DEPTH).as_bytes(), &tables, LIMITS).is_ok());
    assert_eq!(kind(xml::to_ttlv(as_xml(Limits::DEFAULT_DEPTH + 1).as_bytes(), &tables, LIMITS)), too_deep);
    assert_eq!(kind(xml::to_ttlv("<Attribute>".repeat(90_000).as_bytes(), &tables, LIMITS)), too_deep);

    let object = |inner: &str| format!("{{\"tag\":\"Attribute\",\"value\":[{inner}]}}");
    let as_json = |levels: usize| (0..levels).fold(String::new(), |inner, _| object(&inner));
    assert!(json::to_ttlv(as_json(Limits::DEFAULT_DEPTH).as_bytes(), &tables, LIMITS).is_ok());
    assert_eq!(kind(json::to_ttlv(as_json(Limits::DEFAULT_DEPTH + 1).as_bytes(), &tables, LIMITS)), too_deep);
    assert_eq!(kind(json::to_ttlv("{\"value\":[".repeat(90_000).as_bytes(), &tables, LIMITS)), too_deep);
    let arrays = format!("{{\"value\":{}", "[".repeat(500_000));
    assert_eq!(kind(json::to_ttlv(arrays.as_bytes(), &tables, LIMITS)), TextErrorKind::Syntax);
}

#[test]
fn document_types_and_entities_are_refused() {
    let unexpected = TextErrorKind::UnexpectedMarkup;
    for text in [
        r#"<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><Attribute/>"#,
        r#"<!DOCTYPE a SYSTEM "file:///etc/passwd"><Attribute/>"#,
        r#"<UniqueIdentifier type="TextString" value="&b;"/>"#,
        "<Attribute>&b;</Attribute>",
        "<Attribute>&amp;</Attribute>",
        "<Attribute>text</Attribute>",
        "<Attribute><![CDATA[]]></Attribute>",
        "<Attribute/><Attribute/>",
    ] {
        let tables = {
            let mut tables = small_tables();
            tables.add_tag("Unique Identifier", "UniqueIdentifier", 0x42_0094);
            tables
        };
        assert_eq!(kind(xml::to_ttlv(text.as_bytes(), &tables, LIMITS)), unexpected, "{text}");
    }
}

#[test]
fn limits_hold_for_text() {
    let limits = Limits { message_bytes: 400, value_bytes: 16, items: 4, ..Limits::DEFAULT };
    let as_xml = |inner: &str| {
        xml::to_ttlv(format!("<TTLV tag=\"0x540001\">{inner}</TTLV>").as_bytes(), &NoDictionary, limits)
    };
    let as_json = |inner: &str| {
        json::to_ttlv(
            format!("{{\"tag\":\"0x540001\",\"value\":[{inner}]}}").as_bytes(),
            &NoDictionary,
            limits,
        )
    };
    let bytes = |count: usize| "ab".repeat(count);
    let xml_value =
        |count| format!("<TTLV tag=\"0x540001\" type=\"ByteString\" value=\"{}\"/>", bytes(count));
    let json_value =
        |count| format!("{{\"tag\":\"0x540001\",\"type\":\"ByteString\",\"value\":\"{}\"}}", bytes(count));
    assert!(as_xml(&xml_value(16)).is_ok() && as_json(&json_value(16)).is_ok());
    for (error, outcome) in [
        (ErrorKind::ValueTooLarge, as_xml(&xml_value(17))),
        (ErrorKind::ValueTooLarge, as_json(&json_value(17))),
        (ErrorKind::TooManyItems, as_xml(&"<TTLV tag=\"0x540001\"/>".repeat(4))),
        (ErrorKind::TooManyItems, as_json(&[r#"{"tag":"0x540001"}"#; 4].join(","))),
        (ErrorKind::MessageTooLarge, as_xml(&" ".repeat(400))),
        (ErrorKind::MessageTooLarge, as_json(&" ".repeat(400))),
    ] {
        assert_eq!(kind(outcome), TextErrorKind::Item(error));
    }
}

#[test]
fn many_attributes_take_linear_time() {
    let attributes: String = (0..100_000).map(|number| format!("a{number}=\"\" ")).collect();
    let text = format!("<TTLV {attributes} tag=\"0x540001\"/>");
    let limits = Limits { message_bytes: text.len(), ..LIMITS };
    assert!(xml::to_ttlv(text.as_bytes(), &NoDictionary, limits).is_ok());
}
