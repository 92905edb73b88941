//! What the XML and JSON forms share: errors, the spelling of values, and the way back into TTLV.

pub(crate) mod builder;
pub(crate) mod instant;
pub(crate) mod spelling;

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::value::{Visitor, walk};
use crate::{Dictionary, Error, ErrorKind, Limits, Reader, Tag};

/// A fault in the XML or JSON form of a message, or in a message that is to be put into such a form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TextError {
    /// What is wrong.
    pub kind: TextErrorKind,
    /// Where: bytes from the start of what was read, the text or the encoded message.
    pub offset: usize,
    /// The item at fault, if it is known.
    pub tag: Option<Tag>,
}

/// The kinds of faults in a text form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TextErrorKind {
    /// The items themselves break a rule or a limit of the codec.
    Item(ErrorKind),
    /// The text is not well-formed XML or JSON.
    Syntax,
    /// Well-formed, but not part of a message: document types, entities, text between elements, unknown properties.
    UnexpectedMarkup,
    /// An attribute or a property is given twice.
    DuplicateProperty,
    /// An item has no tag.
    MissingTag,
    /// An item that is not a structure has no value.
    MissingValue,
    /// A structure has a plain value, or another item has items inside.
    UnexpectedValue,
    /// The tag is neither hex nor known by name.
    UnknownTag,
    /// No type has this name.
    UnknownType,
    /// The value is not spelled as its type wants.
    InvalidValue,
    /// The text holds a character that XML has no way to write.
    Unrepresentable,
}

impl From<Error> for TextError {
    fn from(error: Error) -> Self {
        Self { kind: TextErrorKind::Item(error.kind), offset: error.offset, tag: error.tag }
    }
}

impl From<ErrorKind> for TextErrorKind {
    fn from(kind: ErrorKind) -> Self {
        Self::Item(kind)
    }
}

impl fmt::Display for TextError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at byte {}", self.kind, self.offset)?;
        match self.tag {
            Some(tag) => write!(formatter, ", item {tag}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for TextErrorKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Item(kind) => return kind.fmt(formatter),
            Self::Syntax => "the text is not well-formed",
            Self::UnexpectedMarkup => "this does not belong in a message",
            Self::DuplicateProperty => "a property is given twice",
            Self::MissingTag => "the item has no tag",
            Self::MissingValue => "the item has no value",
            Self::UnexpectedValue => "the item may not hold this",
            Self::UnknownTag => "the tag is not known",
            Self::UnknownType => "the type is not known",
            Self::InvalidValue => "the value does not fit its type",
            Self::Unrepresentable => "the form has no way to write this character",
        })
    }
}

impl std::error::Error for TextError {}

/// Text of a message: a slice of the source, or where escapes had to be replaced a copy that is zeroized.
pub(crate) enum SecretText<'a> {
    Shared(&'a str),
    Owned(Zeroizing<String>),
}

impl Deref for SecretText<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Shared(text) => text,
            Self::Owned(text) => text,
        }
    }
}

/// The text of a form, if it is UTF-8 and no longer than a message may be.
pub(crate) fn admit<'a>(text: &'a [u8], limits: &Limits) -> Result<&'a str, TextError> {
    let fail = |kind, offset| TextError { kind: TextErrorKind::Item(kind), offset, tag: None };
    if text.len() > limits.message_bytes {
        return Err(fail(ErrorKind::MessageTooLarge, 0));
    }
    std::str::from_utf8(text).map_err(|error| fail(ErrorKind::InvalidUtf8, error.valid_up_to()))
}

/// Shows a message, which must be one item, to the writer of a form.
pub(crate) fn walk_message<V: Visitor<Error = TextError>>(
    message: &Bytes,
    dictionary: &dyn Dictionary,
    limits: Limits,
    visitor: &mut V,
) -> Result<(), TextError> {
    let mut reader = Reader::new(message, limits)?;
    let root = reader.raw()?;
    reader.finish()?;
    walk(&mut root.reader(limits), dictionary, visitor)
}
