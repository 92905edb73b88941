//! The way from a text form into TTLV, under the same limits as the way in from the wire.

use super::TextErrorKind;
use super::spelling::{self, Scalar};
use crate::dictionary::{ATTRIBUTE_NAME, meaning};
use crate::{Dictionary, ErrorKind, ItemType, Limits, SecretBuffer, Tag, Writer};

type Built<T> = Result<T, TextErrorKind>;

/// Writes items as a form's parser meets them. Tags may come after what a structure holds, as in JSON they can.
pub(crate) struct Builder<'d> {
    dictionary: &'d dyn Dictionary,
    limits: Limits,
    items_left: usize,
    writer: Writer,
    open: Vec<OpenStructure>,
}

struct OpenStructure {
    start: usize,
    /// KMIP 1.x: what the last Attribute Name in here stands for.
    attribute: Option<Tag>,
}

impl<'d> Builder<'d> {
    pub(crate) fn new(dictionary: &'d dyn Dictionary, limits: Limits) -> Self {
        Self { dictionary, limits, items_left: limits.items, writer: Writer::new(), open: Vec::new() }
    }

    /// Opens a structure.
    pub(crate) fn begin(&mut self) -> Built<()> {
        if self.open.len() >= self.limits.depth {
            return Err(ErrorKind::TooDeep.into());
        }
        self.count_item()?;
        let start = self.writer.begin_structure();
        self.open.push(OpenStructure { start, attribute: None });
        self.judge_size()
    }

    /// Closes the structure opened last.
    pub(crate) fn end(&mut self, tag: Tag) {
        let structure = self.open.pop().expect("the parser closes what it has opened");
        self.writer.end_structure(tag, structure.start);
    }

    /// Writes an item that is not a structure.
    pub(crate) fn leaf(&mut self, tag: Tag, item_type: ItemType, value: &Scalar<'_>) -> Built<()> {
        self.count_item()?;
        let attribute = self.open.last().and_then(|structure| structure.attribute);
        self.write(tag, item_type, meaning(tag, attribute), value)?;
        if let (ATTRIBUTE_NAME, Scalar::Text(name), Some(structure)) = (tag, value, self.open.last_mut()) {
            structure.attribute = self.dictionary.tag_of_attribute(name);
        }
        self.judge_size()
    }

    /// The encoded message.
    pub(crate) fn finish(self) -> SecretBuffer {
        debug_assert!(self.open.is_empty(), "the parser closes what it has opened");
        self.writer.finish()
    }

    fn write(&mut self, tag: Tag, item_type: ItemType, meaning: Tag, value: &Scalar<'_>) -> Built<()> {
        let (dictionary, writer) = (self.dictionary, &mut self.writer);
        match item_type {
            ItemType::Structure => return Err(TextErrorKind::UnexpectedValue),
            ItemType::Integer => writer.integer(tag, spelling::integer(dictionary, meaning, value)?),
            ItemType::LongInteger => writer.long_integer(tag, spelling::long_integer(value)?),
            ItemType::BigInteger => {
                let bytes = spelling::big_integer(value)?;
                judge_value(&self.limits, bytes.len())?;
                writer.big_integer(tag, &bytes);
            }
            ItemType::Enumeration => {
                writer.enumeration(tag, spelling::enumeration(dictionary, meaning, value)?);
            }
            ItemType::Boolean => writer.boolean(tag, spelling::boolean(value)?),
            ItemType::TextString => {
                let text = spelling::text_string(value)?;
                judge_value(&self.limits, text.len())?;
                writer.text_string(tag, text);
            }
            ItemType::ByteString => {
                let bytes = spelling::byte_string(value)?;
                judge_value(&self.limits, bytes.len())?;
                writer.byte_string(tag, &bytes);
            }
            ItemType::DateTime => writer.date_time(tag, spelling::date_time(value)?),
            ItemType::Interval => writer.interval(tag, spelling::interval(value)?),
            ItemType::DateTimeExtended => writer.date_time_extended(tag, spelling::long_integer(value)?),
        }
        Ok(())
    }

    fn count_item(&mut self) -> Built<()> {
        self.items_left = self.items_left.checked_sub(1).ok_or(ErrorKind::TooManyItems)?;
        Ok(())
    }

    fn judge_size(&self) -> Built<()> {
        if self.writer.len() > self.limits.message_bytes {
            return Err(ErrorKind::MessageTooLarge.into());
        }
        Ok(())
    }
}

fn judge_value(limits: &Limits, length: usize) -> Built<()> {
    if length > limits.value_bytes { Err(ErrorKind::ValueTooLarge.into()) } else { Ok(()) }
}
