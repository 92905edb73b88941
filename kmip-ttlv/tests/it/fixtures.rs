//! Our own fixtures: messages in all three forms, and items that must be refused.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use kmip_ttlv::dump::Dump;
use kmip_ttlv::{Limits, TextErrorKind, json, xml};

use crate::tables::unhex;
use crate::tree::{Item, small_tables};

const LIMITS: Limits = Limits::DEFAULT;
const MESSAGES: [&str; 3] = ["every-type", "create-request-1.4", "get-response-2.1"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/ttlv").join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(fixture(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn messages_look_as_written_down() {
    let tables = small_tables();
    for name in MESSAGES {
        let ttlv = Bytes::from(unhex(&text(&format!("{name}.hex"))));
        let (as_xml, as_json) = (text(&format!("{name}.xml")), text(&format!("{name}.json")));
        assert_eq!(Item::decode(&ttlv, LIMITS).unwrap().encode(), ttlv, "{name}");
        assert_eq!(&*xml::to_ttlv(as_xml.as_bytes(), &tables, LIMITS).unwrap(), &ttlv[..], "{name}");
        assert_eq!(&*json::to_ttlv(as_json.as_bytes(), &tables, LIMITS).unwrap(), &ttlv[..], "{name}");
        let written = xml::from_ttlv(&ttlv, &tables, LIMITS).unwrap();
        assert_eq!(std::str::from_utf8(&written).unwrap(), as_xml);
        let written = json::from_ttlv(&ttlv, &tables, LIMITS).unwrap();
        assert_eq!(std::str::from_utf8(&written).unwrap(), as_json.trim_end());
        let dump = Dump::new(&ttlv, &tables, LIMITS).to_string();
        assert_eq!(dump, text(&format!("{name}.dump")));
    }
}

#[test]
fn malformed_items_are_refused() {
    let lines = text("malformed.txt");
    for line in lines.lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.splitn(3, ' ');
        let (expected, bytes) = (fields.next().unwrap(), Bytes::from(unhex(fields.next().unwrap())));
        let error = Item::decode(&bytes, LIMITS).expect_err(line);
        assert_eq!(format!("{:?}", error.kind), expected, "{line}");
        assert!(json::from_ttlv(&bytes, &small_tables(), LIMITS).is_err(), "{line}");
        assert!(Dump::new(&bytes, &small_tables(), LIMITS).to_string().contains("malformed: "), "{line}");
    }
}

/// Item in XML, item in JSON: other spellings of the same value, which are accepted but not written.
#[test]
fn other_spellings_are_accepted() {
    let tables = small_tables();
    for (item_type, tag, values) in [
        ("Integer", "BatchCount", vec!["10", "0x0000000a", "0x0000000A", "+10"]),
        ("Integer", "BatchCount", vec!["-1", "0xffffffff"]),
        (
            "Integer",
            "CryptographicUsageMask",
            vec![
                "12",
                "0x0000000c",
                "Encrypt Decrypt",
                "Decrypt|Encrypt",
                "Encrypt 0x00000008",
                "0x00000004|0x00000008",
            ],
        ),
        ("LongInteger", "BatchCount", vec!["-2", "0xfffffffffffffffe"]),
        ("BigInteger", "BatchCount", vec!["0000000000000001", "0x0000000000000001"]),
        ("Enumeration", "ObjectType", vec!["SymmetricKey", "0x00000002"]),
        ("Enumeration", "AttributeReference", vec!["ObjectType", "0x00420057"]),
        ("Boolean", "BatchOrderOption", vec!["true", "1", "0x0000000000000001"]),
        ("ByteString", "KeyMaterial", vec!["C50F77", "c50f77"]),
        (
            "DateTime",
            "TimeStamp",
            vec![
                "2001-01-01T10:00:00+10:00",
                "2001-01-01T00:00:00Z",
                "2001-01-01T00:00:00.5Z",
                "0x000000003a4fc880",
            ],
        ),
        ("Interval", "LeaseTime", vec!["27", "0x0000001b"]),
        ("DateTimeExtended", "TimeStamp", vec!["-1", "0xffffffffffffffff"]),
    ] {
        let as_xml = |value: &str| {
            let text = format!(
                "<k:{tag} xmlns:k=\"urn:oasis:tc:kmip:xmlns\" type='{item_type}' value='{value}'></k:{tag}>"
            );
            xml::to_ttlv(text.as_bytes(), &tables, LIMITS)
                .unwrap_or_else(|error| panic!("{text}: {error}"))
                .to_vec()
        };
        let as_json = |value: &str| {
            let text =
                format!(r#" {{ "value": "{value}", "name": "x", "type": "{item_type}", "tag": "{tag}" }} "#);
            json::to_ttlv(text.as_bytes(), &tables, LIMITS)
                .unwrap_or_else(|error| panic!("{text}: {error}"))
                .to_vec()
        };
        for value in &values {
            assert_eq!(as_xml(value), as_xml(values[0]), "{value}");
            assert_eq!(as_json(value), as_xml(values[0]), "{value}");
        }
    }
}

#[test]
fn json_numbers_and_words_are_accepted() {
    let tables = small_tables();
    let same = |left: &str, right: &str| {
        let read = |text: &str| json::to_ttlv(text.as_bytes(), &tables, LIMITS).unwrap().to_vec();
        assert_eq!(read(left), read(right), "{left}");
    };
    for (item_type, number, word) in [
        ("Integer", "-10", "0xfffffff6"),
        ("LongInteger", "4503599627370495", "0x000fffffffffffff"),
        ("BigInteger", "-1", "0xffffffffffffffff"),
        ("Enumeration", "4294967295", "0xffffffff"),
        ("Boolean", "false", "0x0000000000000000"),
        ("Interval", "27", "0x0000001b"),
    ] {
        let item = |value: &str| format!(r#"{{"tag":"BatchCount","type":"{item_type}","value":{value}}}"#);
        same(&item(number), &item(&format!("\"{word}\"")));
    }
    same(r#"{"tag":"Attribute","value":null}"#, r#"{"tag":"0x420008","type":"Structure","value":[]}"#);
    same(r#"{"tag":"Attribute"}"#, r#"{"value":[],"tag":"Attribute"}"#);
}

#[test]
fn misspelled_values_are_refused() {
    let tables = small_tables();
    for (item_type, value) in [
        ("Integer", ""),
        ("Integer", "2147483648"),
        ("Integer", "0x1"),
        ("Integer", "0x000000010"),
        ("Integer", "ten"),
        ("Integer", "0x+0000001"),
        ("Integer", "1.0"),
        ("LongInteger", "9223372036854775808"),
        ("LongInteger", "0x00000001"),
        ("BigInteger", ""),
        ("BigInteger", "00"),
        ("BigInteger", "000000000000000g"),
        ("Enumeration", "Nonsense"),
        ("Enumeration", "0x01"),
        ("Enumeration", "2"),
        ("Boolean", "True"),
        ("Boolean", ""),
        ("ByteString", "0x00"),
        ("ByteString", "abc"),
        ("DateTime", "2001-01-01T10:00:00"),
        ("DateTime", "yesterday"),
        ("Interval", "-1"),
        ("Interval", "4294967296"),
    ] {
        let text = format!("<BatchCount type=\"{item_type}\" value=\"{value}\"/>");
        let error = xml::to_ttlv(text.as_bytes(), &tables, LIMITS).expect_err(&text);
        assert_eq!(error.kind, TextErrorKind::InvalidValue, "{text}");
        let text = format!(r#"{{"tag":"BatchCount","type":"{item_type}","value":"{value}"}}"#);
        let error = json::to_ttlv(text.as_bytes(), &tables, LIMITS).expect_err(&text);
        assert_eq!(error.kind, TextErrorKind::InvalidValue, "{text}");
    }
}

#[test]
fn misshapen_text_is_refused() {
    use TextErrorKind::*;
    let tables = small_tables();
    for (expected, text) in [
        (Syntax, ""),
        (Syntax, "<Attribute>"),
        (Syntax, "<Attribute></KeyBlock>"),
        (Syntax, "</Attribute>"),
        (Syntax, "<Attribute"),
        (UnknownTag, "<Nonsense/>"),
        (MissingTag, "<TTLV/>"),
        (UnknownTag, "<TTLV tag=\"0x430000\"/>"),
        (UnknownTag, "<TTLV tag=\"0x42\"/>"),
        (UnknownType, "<Attribute type=\"Float\" value=\"1\"/>"),
        (MissingValue, "<BatchCount type=\"Integer\"/>"),
        (UnexpectedValue, "<Attribute value=\"1\"/>"),
        (UnexpectedValue, "<BatchCount type=\"Integer\" value=\"1\"><Attribute/></BatchCount>"),
        (DuplicateProperty, "<BatchCount type=\"Integer\" value=\"1\" value=\"1\"/>"),
        (Syntax, "<BatchCount type=\"TextString\" value=\"&#0;\"/>"),
        (Syntax, "<BatchCount type=\"TextString\" value=\"&#xD800;\"/>"),
        (Syntax, "<BatchCount type=\"TextString\" value=\"&#+9;\"/>"),
        (Syntax, "<BatchCount type=\"TextString\" value=\"&amp\"/>"),
    ] {
        let error = xml::to_ttlv(text.as_bytes(), &tables, LIMITS).expect_err(text);
        assert_eq!(error.kind, expected, "{text}");
    }
    for (expected, text) in [
        (Syntax, ""),
        (Syntax, "{"),
        (Syntax, "[]"),
        (Syntax, "1"),
        (Syntax, r#"{"tag":"Attribute",}"#),
        (Syntax, r#"{"tag":1}"#),
        (Syntax, r#"{"tag":"Attribute","value":[{"tag":"Attribute"},]}"#),
        (Syntax, r#"{"tag":"Attribute" "value":[]}"#),
        (Syntax, r#"{"tag":"BatchCount","type":"Integer","value":01}"#),
        (Syntax, r#"{"tag":"BatchCount","type":"Integer","value":nul}"#),
        (InvalidValue, r#"{"tag":"BatchCount","type":"Integer","value":1.5}"#),
        (InvalidValue, r#"{"tag":"BatchCount","type":"Integer","value":true}"#),
        (InvalidValue, r#"{"tag":"BatchCount","type":"TextString","value":1}"#),
        (InvalidValue, r#"{"tag":"BatchCount","type":"Integer","value":null}"#),
        (UnexpectedMarkup, r#"{"tag":"Attribute"}{"tag":"Attribute"}"#),
        (UnexpectedMarkup, r#"{"tag":"Attribute","comment":"x"}"#),
        (UnknownTag, r#"{"tag":"Nonsense"}"#),
        (MissingTag, "{}"),
        (MissingTag, r#"{"value":[]}"#),
        (UnknownType, r#"{"tag":"Attribute","type":"Float"}"#),
        (MissingValue, r#"{"tag":"BatchCount","type":"Integer"}"#),
        (UnexpectedValue, r#"{"tag":"BatchCount","type":"Integer","value":[]}"#),
        (UnexpectedValue, r#"{"tag":"Attribute","value":"x"}"#),
        (UnexpectedValue, r#"{"tag":"Attribute","value":{}}"#),
        (DuplicateProperty, r#"{"tag":"Attribute","tag":"Attribute"}"#),
        (DuplicateProperty, r#"{"tag":"Attribute","value":[],"value":[]}"#),
    ] {
        let error = json::to_ttlv(text.as_bytes(), &tables, LIMITS).expect_err(text);
        assert_eq!(error.kind, expected, "{text}");
    }
}

#[test]
fn control_characters_have_no_xml_form() {
    let item = Item {
        tag: kmip_ttlv::Tag::new(0x42_0094),
        value: crate::tree::Value::TextString("a\u{0}".to_owned()),
    };
    let error = xml::from_ttlv(&item.encode(), &small_tables(), LIMITS).unwrap_err();
    assert_eq!((error.kind, error.tag), (TextErrorKind::Unrepresentable, Some(item.tag)));
}
