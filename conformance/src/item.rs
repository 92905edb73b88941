//! A KMIP message as a plain tree, without meaning: what cases are written in, what is sent, and what comes back.
//!
//! Deliberately not the typed messages of `kmip-protocol`: a server that shares our codec must not also share our judgement.

use std::fmt;

use bytes::Bytes;
use kmip_protocol::dictionary::Names;
use kmip_ttlv::{Dictionary, Error, ErrorKind, ItemType, Limits, Reader, Tag, Writer};

use crate::tag;

/// Bounds on one response. Larger than a server's own, so that the runner is never what refuses.
pub const LIMITS: Limits =
    Limits { message_bytes: 4 * 1024 * 1024, value_bytes: 4 * 1024 * 1024, depth: 32, items: 65_536 };

/// Characters of a value that a report shows.
const SHOWN_CHARACTERS: usize = 80;

/// One item of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// What it is called.
    pub tag: Tag,
    /// What it holds.
    pub value: Value,
}

/// What an item holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// Items in their order.
    Structure(Vec<Item>),
    /// A number or a mask.
    Integer(i32),
    /// A longer number.
    LongInteger(i64),
    /// Two's complement, big-endian, a multiple of 8 bytes.
    BigInteger(Vec<u8>),
    /// A value of an enumeration, or a tag.
    Enumeration(u32),
    /// True or false.
    Boolean(bool),
    /// Text.
    TextString(String),
    /// Bytes.
    ByteString(Vec<u8>),
    /// Seconds since 1970.
    DateTime(i64),
    /// Seconds.
    Interval(u32),
    /// Microseconds since 1970.
    DateTimeExtended(i64),
    /// A symbolic identifier of a case, such as `$UNIQUE_IDENTIFIER_0` (Profiles 2.1, section 4), with the type that it stands
    /// for. Never sent and never received.
    Symbol(ItemType, String),
}

impl Item {
    /// An item.
    pub fn new(tag: Tag, value: Value) -> Self {
        Self { tag, value }
    }

    /// The items inside; none for an item that is no structure.
    pub fn children(&self) -> &[Item] {
        match &self.value {
            Value::Structure(children) => children,
            _ => &[],
        }
    }

    /// The first item inside with this tag.
    pub fn child(&self, tag: Tag) -> Option<&Item> {
        self.children().iter().find(|child| child.tag == tag)
    }

    /// The item that a chain of tags leads to.
    pub fn at(&self, path: &[Tag]) -> Option<&Item> {
        path.iter().try_fold(self, |item, tag| item.child(*tag))
    }

    /// All items inside with this tag.
    pub fn all(&self, tag: Tag) -> impl Iterator<Item = &Item> {
        self.children().iter().filter(move |child| child.tag == tag)
    }

    /// The text of a Text String.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::TextString(text) => Some(text),
            _ => None,
        }
    }

    /// The number of an Enumeration.
    pub fn enumeration(&self) -> Option<u32> {
        match self.value {
            Value::Enumeration(number) => Some(number),
            _ => None,
        }
    }

    /// The number of an Integer.
    pub fn integer(&self) -> Option<i32> {
        match self.value {
            Value::Integer(number) => Some(number),
            _ => None,
        }
    }

    /// The tag whose meaning the value has: the item's own, or in KMIP 1.x that of the attribute whose value this is. `around` is
    /// the structure that holds the item.
    pub fn meaning(&self, around: Option<&Item>) -> Tag {
        if self.tag != tag::ATTRIBUTE_VALUE {
            return self.tag;
        }
        let name = around.and_then(|attribute| attribute.child(tag::ATTRIBUTE_NAME)).and_then(Item::text);
        name.and_then(|name| Names.tag_of_attribute(name)).unwrap_or(self.tag)
    }

    /// Calls `visit` with every item in this one, itself included, and the structure around it.
    pub fn walk<'a>(&'a self, around: Option<&'a Item>, visit: &mut impl FnMut(&'a Item, Option<&'a Item>)) {
        visit(self, around);
        for child in self.children() {
            child.walk(Some(self), visit);
        }
    }

    /// The message as bytes.
    ///
    /// # Errors
    /// The first symbol that is still in it.
    pub fn encode(&self) -> Result<Vec<u8>, String> {
        let mut writer = Writer::new();
        self.write(&mut writer)?;
        Ok(writer.as_slice().to_vec())
    }

    /// The message in `bytes`.
    ///
    /// # Errors
    /// What is wrong with the bytes, bytes after the message included.
    pub fn decode(bytes: &Bytes) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes, LIMITS)?;
        let item = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(item)
    }

    fn write(&self, writer: &mut Writer) -> Result<(), String> {
        let tag = self.tag;
        match &self.value {
            Value::Structure(children) => {
                return writer
                    .structure(tag, |writer| children.iter().try_for_each(|child| child.write(writer)));
            }
            Value::Integer(number) => writer.integer(tag, *number),
            Value::LongInteger(number) => writer.long_integer(tag, *number),
            Value::BigInteger(bytes) => writer.big_integer(tag, bytes),
            Value::Enumeration(number) => writer.enumeration(tag, *number),
            Value::Boolean(value) => writer.boolean(tag, *value),
            Value::TextString(text) => writer.text_string(tag, text),
            Value::ByteString(bytes) => writer.byte_string(tag, bytes),
            Value::DateTime(seconds) => writer.date_time(tag, *seconds),
            Value::Interval(seconds) => writer.interval(tag, *seconds),
            Value::DateTimeExtended(microseconds) => writer.date_time_extended(tag, *microseconds),
            Value::Symbol(_, name) => return Err(name.clone()),
        }
        Ok(())
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let Some(header) = reader.peek()? else { return Err(reader.error(ErrorKind::Truncated)) };
        let tag = header.tag;
        let value = match header.item_type {
            ItemType::Structure => Value::Structure(reader.structure(tag, Self::read_all)?),
            ItemType::Integer => Value::Integer(reader.integer(tag)?),
            ItemType::LongInteger => Value::LongInteger(reader.long_integer(tag)?),
            ItemType::BigInteger => Value::BigInteger(reader.big_integer(tag)?.to_vec()),
            ItemType::Enumeration => Value::Enumeration(reader.enumeration(tag)?),
            ItemType::Boolean => Value::Boolean(reader.boolean(tag)?),
            ItemType::TextString => Value::TextString(reader.text_string(tag)?.to_owned()),
            ItemType::ByteString => Value::ByteString(reader.byte_string(tag)?.to_vec()),
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

    /// The value in words: names for enumerations and masks, hex for bytes, all of it cut short. `around` as in
    /// [`Self::meaning`].
    pub fn show(&self, around: Option<&Item>) -> String {
        let meaning = self.meaning(around);
        let text = match &self.value {
            Value::Structure(children) if children.is_empty() => "an empty structure".to_owned(),
            Value::Structure(children) => {
                let inside: Vec<_> = children
                    .iter()
                    .map(|child| format!("{} {}", name(child.tag), child.show(Some(self))))
                    .collect();
                format!("{{{}}}", inside.join(", "))
            }
            Value::Integer(number) => show_integer(meaning, *number),
            Value::Enumeration(number) => show_enumeration(meaning, *number),
            value => value.to_string(),
        };
        shorten(text)
    }
}

impl Value {
    /// The type on the wire.
    pub fn item_type(&self) -> ItemType {
        match self {
            Self::Structure(_) => ItemType::Structure,
            Self::Integer(_) => ItemType::Integer,
            Self::LongInteger(_) => ItemType::LongInteger,
            Self::BigInteger(_) => ItemType::BigInteger,
            Self::Enumeration(_) => ItemType::Enumeration,
            Self::Boolean(_) => ItemType::Boolean,
            Self::TextString(_) => ItemType::TextString,
            Self::ByteString(_) => ItemType::ByteString,
            Self::DateTime(_) => ItemType::DateTime,
            Self::Interval(_) => ItemType::Interval,
            Self::DateTimeExtended(_) => ItemType::DateTimeExtended,
            Self::Symbol(item_type, _) => *item_type,
        }
    }

    /// Whether two values say the same: Big Integers are compared as numbers, everything else as it is.
    pub fn says(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::BigInteger(one), Self::BigInteger(another)) => significant(one) == significant(another),
            _ => self == other,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Structure(children) => write!(f, "a structure of {}", children.len()),
            Self::Integer(number) => write!(f, "{number}"),
            Self::LongInteger(number) => write!(f, "{number}"),
            Self::Enumeration(number) => write!(f, "0x{number:08X}"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::TextString(text) => write!(f, "\"{text}\""),
            Self::BigInteger(bytes) | Self::ByteString(bytes) if bytes.is_empty() => f.write_str("no bytes"),
            Self::BigInteger(bytes) | Self::ByteString(bytes) => {
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::DateTime(seconds) => write!(f, "{seconds} s"),
            Self::Interval(seconds) => write!(f, "{seconds} s"),
            Self::DateTimeExtended(microseconds) => write!(f, "{microseconds} us"),
            Self::Symbol(_, name) => f.write_str(name),
        }
    }
}

/// The name of a tag, in hex where it has none.
pub fn name(tag: Tag) -> String {
    Names.tag_name(tag).map_or_else(|| tag.to_string(), str::to_owned)
}

fn show_integer(meaning: Tag, number: i32) -> String {
    let bits = (0..32).map(|shift| (1u32 << shift).cast_signed()).filter(|bit| number & bit != 0);
    let names: Option<Vec<_>> = bits.map(|bit| Names.mask_name(meaning, bit)).collect();
    match names {
        Some(names) if !names.is_empty() => names.join(" "),
        _ => number.to_string(),
    }
}

fn show_enumeration(meaning: Tag, number: u32) -> String {
    let name = match meaning {
        tag::ATTRIBUTE_REFERENCE => Tag::checked(number).and_then(|tag| Names.tag_name(tag)),
        _ => Names.enumeration_name(meaning, number),
    };
    name.map_or_else(|| format!("0x{number:08X}"), str::to_owned)
}

fn shorten(text: String) -> String {
    if text.chars().count() <= SHOWN_CHARACTERS {
        return text;
    }
    let kept: String = text.chars().take(SHOWN_CHARACTERS).collect();
    format!("{kept}... ({} characters)", text.chars().count())
}

/// The bytes of a two's complement number without those that only repeat its sign.
fn significant(bytes: &[u8]) -> &[u8] {
    let repeats_sign = |pair: &[u8]| match pair {
        [0x00, next, ..] => next & 0x80 == 0,
        [0xFF, next, ..] => next & 0x80 != 0,
        _ => false,
    };
    let mut rest = bytes;
    while repeats_sign(rest) {
        rest = &rest[1..];
    }
    rest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn big_integers_are_compared_as_numbers() {
        let number = |bytes: &[u8]| Value::BigInteger(bytes.to_vec());
        assert!(number(&[0, 0, 0, 1]).says(&number(&[1])));
        assert!(number(&[0xFF, 0xFF, 0x80]).says(&number(&[0x80])));
        assert!(!number(&[0, 0x80]).says(&number(&[0x80])), "128 is not -128");
        assert!(!number(&[1]).says(&number(&[1, 0])));
    }

    #[test]
    fn values_are_shown_by_name() {
        let state = Item::new(tag::STATE, Value::Enumeration(1));
        assert_eq!(state.show(None), "PreActive");
        let mask = Item::new(tag::CRYPTOGRAPHIC_USAGE_MASK, Value::Integer(12));
        assert_eq!(mask.show(None), "Encrypt Decrypt");
        let reference = Item::new(tag::ATTRIBUTE_REFERENCE, Value::Enumeration(tag::STATE.value()));
        assert_eq!(reference.show(None), "State");
    }

    #[test]
    fn a_symbol_cannot_be_sent() {
        let item = Item::new(tag::UNIQUE_IDENTIFIER, Value::Symbol(ItemType::TextString, "$X".into()));
        assert_eq!(item.encode().unwrap_err(), "$X");
    }
}
