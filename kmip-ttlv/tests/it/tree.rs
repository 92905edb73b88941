//! Items as plain data: something to generate, write, read back and compare.

use bytes::Bytes;
use kmip_ttlv::{Error, ItemType, Limits, Reader, Tag, Writer};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;

use crate::tables::Tables;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    pub(crate) tag: Tag,
    pub(crate) value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Structure(Vec<Item>),
    Integer(i32),
    LongInteger(i64),
    BigInteger(Vec<u8>),
    Enumeration(u32),
    Boolean(bool),
    TextString(String),
    ByteString(Vec<u8>),
    DateTime(i64),
    Interval(u32),
    DateTimeExtended(i64),
}

impl Item {
    pub(crate) fn write(&self, writer: &mut Writer) {
        match &self.value {
            Value::Structure(items) => writer.structure(self.tag, |inside| {
                for item in items {
                    item.write(inside);
                }
            }),
            Value::Integer(value) => writer.integer(self.tag, *value),
            Value::LongInteger(value) => writer.long_integer(self.tag, *value),
            Value::BigInteger(value) => writer.big_integer(self.tag, value),
            Value::Enumeration(value) => writer.enumeration(self.tag, *value),
            Value::Boolean(value) => writer.boolean(self.tag, *value),
            Value::TextString(value) => writer.text_string(self.tag, value),
            Value::ByteString(value) => writer.byte_string(self.tag, value),
            Value::DateTime(value) => writer.date_time(self.tag, *value),
            Value::Interval(value) => writer.interval(self.tag, *value),
            Value::DateTimeExtended(value) => writer.date_time_extended(self.tag, *value),
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let header = reader.peek()?.ok_or_else(|| reader.error(kmip_ttlv::ErrorKind::Truncated))?;
        let tag = header.tag;
        let value = match header.item_type {
            ItemType::Structure => Value::Structure(reader.structure(tag, Self::read_all)?),
            ItemType::Integer => Value::Integer(reader.integer(tag)?),
            ItemType::LongInteger => Value::LongInteger(reader.long_integer(tag)?),
            ItemType::BigInteger => Value::BigInteger(reader.big_integer(tag)?.to_vec()),
            ItemType::Enumeration => Value::Enumeration(reader.enumeration(tag)?),
            ItemType::Boolean => Value::Boolean(reader.boolean(tag)?),
            ItemType::TextString => Value::TextString(reader.text(tag)?.to_string()),
            ItemType::ByteString => Value::ByteString(reader.bytes(tag)?.to_vec()),
            ItemType::DateTime => Value::DateTime(reader.date_time(tag)?),
            ItemType::Interval => Value::Interval(reader.interval(tag)?),
            ItemType::DateTimeExtended => Value::DateTimeExtended(reader.date_time_extended(tag)?),
        };
        Ok(Self { tag, value })
    }

    fn read_all(reader: &mut Reader<'_>) -> Result<Vec<Self>, Error> {
        let mut items = Vec::new();
        while !reader.is_empty() {
            items.push(Self::read(reader)?);
        }
        Ok(items)
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut writer = Writer::new();
        self.write(&mut writer);
        writer.finish().into_bytes()
    }

    pub(crate) fn decode(source: &Bytes, limits: Limits) -> Result<Self, Error> {
        let mut reader = Reader::new(source, limits)?;
        let item = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(item)
    }
}

/// Names enough for the items that [`item`] likes to generate and for the fixtures.
pub(crate) fn small_tables() -> Tables {
    const TAGS: [(&str, &str, u32); 32] = [
        ("Attribute", "Attribute", 0x42_0008),
        ("Attribute Index", "AttributeIndex", 0x42_0009),
        ("Attribute Name", "AttributeName", 0x42_000A),
        ("Attribute Value", "AttributeValue", 0x42_000B),
        ("Batch Count", "BatchCount", 0x42_000D),
        ("Batch Item", "BatchItem", 0x42_000F),
        ("Batch Order Option", "BatchOrderOption", 0x42_0010),
        ("Cryptographic Algorithm", "CryptographicAlgorithm", 0x42_0028),
        ("Cryptographic Length", "CryptographicLength", 0x42_002A),
        ("Cryptographic Usage Mask", "CryptographicUsageMask", 0x42_002C),
        ("Key Block", "KeyBlock", 0x42_0040),
        ("Key Format Type", "KeyFormatType", 0x42_0042),
        ("Key Material", "KeyMaterial", 0x42_0043),
        ("Key Value", "KeyValue", 0x42_0045),
        ("Lease Time", "LeaseTime", 0x42_0049),
        ("Maximum Response Size", "MaximumResponseSize", 0x42_0050),
        ("Object Type", "ObjectType", 0x42_0057),
        ("Operation", "Operation", 0x42_005C),
        ("Protocol Version", "ProtocolVersion", 0x42_0069),
        ("Protocol Version Major", "ProtocolVersionMajor", 0x42_006A),
        ("Protocol Version Minor", "ProtocolVersionMinor", 0x42_006B),
        ("Request Header", "RequestHeader", 0x42_0077),
        ("Request Message", "RequestMessage", 0x42_0078),
        ("Request Payload", "RequestPayload", 0x42_0079),
        ("Response Header", "ResponseHeader", 0x42_007A),
        ("Response Message", "ResponseMessage", 0x42_007B),
        ("Response Payload", "ResponsePayload", 0x42_007C),
        ("Result Status", "ResultStatus", 0x42_007F),
        ("Symmetric Key", "SymmetricKey", 0x42_008F),
        ("Template-Attribute", "TemplateAttribute", 0x42_0091),
        ("Time Stamp", "TimeStamp", 0x42_0092),
        ("Attribute Reference", "AttributeReference", 0x42_013B),
    ];
    const VALUES: [(u32, &str, u32, bool); 9] = [
        (0x42_0028, "DES3", 2, false),
        (0x42_0028, "AES", 3, false),
        (0x42_0042, "Raw", 1, false),
        (0x42_0057, "SymmetricKey", 2, false),
        (0x42_005C, "Create", 1, false),
        (0x42_005C, "Get", 10, false),
        (0x42_007F, "Success", 0, false),
        (0x42_002C, "Encrypt", 4, true),
        (0x42_002C, "Decrypt", 8, true),
    ];
    let mut tables = Tables::default();
    for (name, spelling, value) in TAGS {
        tables.add_tag(name, spelling, value);
    }
    for (tag, spelling, value, is_mask) in VALUES {
        tables.add_value(Tag::new(tag), spelling, value, is_mask);
    }
    tables
}

/// A tree of items. Its tags are often ones whose names and meanings matter in the text forms.
pub(crate) fn item(text: impl Strategy<Value = String> + Clone + 'static) -> impl Strategy<Value = Item> {
    leaf(text).prop_recursive(6, 64, 8, |inner| {
        (tag(), vec(inner, 0..8)).prop_map(|(tag, items)| Item { tag, value: Value::Structure(items) })
    })
}

fn leaf(text: impl Strategy<Value = String> + Clone + 'static) -> impl Strategy<Value = Item> {
    let small = prop_oneof![0_u32..16, any::<u32>(), select(vec![0x42_002C, 0x42_0028, 0x54_0001])];
    let attribute =
        select(vec!["Cryptographic Usage Mask", "Cryptographic Algorithm", "Attribute Reference", "x-y"]);
    let value = Union::new([
        any::<i32>().prop_map(Value::Integer).boxed(),
        any::<i64>().prop_map(Value::LongInteger).boxed(),
        vec(any::<[u8; 8]>(), 1..6).prop_map(|words| Value::BigInteger(words.concat())).boxed(),
        small.prop_map(Value::Enumeration).boxed(),
        any::<bool>().prop_map(Value::Boolean).boxed(),
        text.prop_map(Value::TextString).boxed(),
        attribute.prop_map(|name| Value::TextString(name.to_owned())).boxed(),
        vec(any::<u8>(), 0..80).prop_map(Value::ByteString).boxed(),
        prop_oneof![any::<i64>(), 0..4_000_000_000_i64].prop_map(Value::DateTime).boxed(),
        any::<u32>().prop_map(Value::Interval).boxed(),
        any::<i64>().prop_map(Value::DateTimeExtended).boxed(),
    ]);
    (tag(), value).prop_map(|(tag, value)| Item { tag, value })
}

fn tag() -> impl Strategy<Value = Tag> {
    let telling = vec![0x42_0008, 0x42_000A, 0x42_000B, 0x42_002C, 0x42_0028, 0x42_013B];
    prop_oneof![select(telling), 0x42_0000..=0x42_FFFF_u32, 0x54_0000..=0x54_FFFF_u32].prop_map(Tag::new)
}

/// Text that XML can write: no control characters but white space.
pub(crate) fn xml_text() -> impl Strategy<Value = String> + Clone {
    let allowed =
        |character: &char| matches!(character, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..);
    any::<String>().prop_map(move |text| text.chars().filter(allowed).collect())
}
