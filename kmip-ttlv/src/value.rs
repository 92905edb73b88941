//! Walks an encoded message item by item, for the forms that only look at it.

use crate::dictionary::{ATTRIBUTE_NAME, meaning};
use crate::{Dictionary, Error, Header, ItemType, Reader, Tag};

/// The value of an item that is not a structure.
pub(crate) enum Value<'a> {
    Integer(i32),
    LongInteger(i64),
    BigInteger(&'a [u8]),
    Enumeration(u32),
    Boolean(bool),
    TextString(&'a str),
    ByteString(&'a [u8]),
    DateTime(i64),
    Interval(u32),
    DateTimeExtended(i64),
}

/// Sees the items of a message in their order.
pub(crate) trait Visitor {
    type Error: From<Error>;

    /// A structure begins.
    fn open(&mut self, header: &Header) -> Result<(), Self::Error>;

    /// The structure ends.
    fn close(&mut self, header: &Header) -> Result<(), Self::Error>;

    /// Any other item. `meaning` is the tag whose enumeration or mask the value belongs to.
    fn value(&mut self, header: &Header, meaning: Tag, value: Value<'_>) -> Result<(), Self::Error>;
}

/// Shows all items left in `reader` to `visitor`. Recursion is bounded by the reader's limit on depth.
pub(crate) fn walk<V: Visitor>(
    reader: &mut Reader<'_>,
    dictionary: &dyn Dictionary,
    visitor: &mut V,
) -> Result<(), V::Error> {
    let mut attribute = None;
    while let Some(header) = reader.peek()? {
        if header.item_type == ItemType::Structure {
            reader.structure(header.tag, |inside| {
                visitor.open(&header)?;
                walk(inside, dictionary, visitor)
            })?;
            visitor.close(&header)?;
            continue;
        }
        let value = read(reader, &header)?;
        if let (ATTRIBUTE_NAME, Value::TextString(name)) = (header.tag, &value) {
            attribute = dictionary.tag_of_attribute(name);
        }
        visitor.value(&header, meaning(header.tag, attribute), value)?;
    }
    Ok(())
}

fn read<'a>(reader: &mut Reader<'a>, header: &Header) -> Result<Value<'a>, Error> {
    let tag = header.tag;
    Ok(match header.item_type {
        ItemType::Structure => unreachable!("walk enters structures"),
        ItemType::Integer => Value::Integer(reader.integer(tag)?),
        ItemType::LongInteger => Value::LongInteger(reader.long_integer(tag)?),
        ItemType::BigInteger => Value::BigInteger(reader.big_integer(tag)?),
        ItemType::Enumeration => Value::Enumeration(reader.enumeration(tag)?),
        ItemType::Boolean => Value::Boolean(reader.boolean(tag)?),
        ItemType::TextString => Value::TextString(reader.text_string(tag)?),
        ItemType::ByteString => Value::ByteString(reader.byte_string(tag)?),
        ItemType::DateTime => Value::DateTime(reader.date_time(tag)?),
        ItemType::Interval => Value::Interval(reader.interval(tag)?),
        ItemType::DateTimeExtended => Value::DateTimeExtended(reader.date_time_extended(tag)?),
    })
}
