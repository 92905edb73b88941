//! What can be wrong with a message, and where. Nothing of the message itself is kept.

use std::fmt;

use crate::{ItemType, Tag};

/// A fault in a message. Small and `Copy`; holds no bytes of the peer's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Error {
    /// What is wrong.
    pub kind: ErrorKind,
    /// Where, in bytes from the start of the message.
    pub offset: usize,
    /// The item at fault, if its name could be read.
    pub tag: Option<Tag>,
}

/// The kinds of faults.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorKind {
    /// The bytes end, or the enclosing structure ends, before the item does.
    Truncated,
    /// Bytes follow the last item of the message.
    TrailingBytes,
    /// The tag lies in no range that messages may use.
    InvalidTag,
    /// No type has this number.
    InvalidType,
    /// The type does not admit this length.
    InvalidLength,
    /// Padding bytes are not zero.
    NonZeroPadding,
    /// A boolean is neither 0 nor 1.
    InvalidBoolean,
    /// A text string is not UTF-8.
    InvalidUtf8,
    /// The message is longer than [`Limits::message_bytes`](crate::Limits::message_bytes).
    MessageTooLarge,
    /// The value is longer than [`Limits::value_bytes`](crate::Limits::value_bytes).
    ValueTooLarge,
    /// Structures nest deeper than [`Limits::depth`](crate::Limits::depth).
    TooDeep,
    /// The message has more items than [`Limits::items`](crate::Limits::items).
    TooManyItems,
    /// Another item stands where this one is expected.
    UnexpectedTag {
        /// The item looked for.
        expected: Tag,
    },
    /// The item has another type than expected.
    UnexpectedType {
        /// The type looked for.
        expected: ItemType,
        /// The type read.
        found: ItemType,
    },
    /// The structure ends where this item is expected.
    MissingItem {
        /// The item looked for.
        expected: Tag,
    },
    /// The structure holds an item that nothing asked for.
    UnexpectedItem,
    /// An item occurs more often than it may.
    DuplicateItem,
    /// The value lies outside its domain: an unknown enumeration, a mask with unknown bits.
    InvalidValue,
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} at byte {}", self.kind, self.offset)?;
        match self.tag {
            Some(tag) => write!(formatter, ", item {tag}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Truncated => "the item is cut off",
            Self::TrailingBytes => "bytes follow the message",
            Self::InvalidTag => "the tag is in no range of the specification",
            Self::InvalidType => "no type has this number",
            Self::InvalidLength => "the length does not fit the type",
            Self::NonZeroPadding => "the padding is not zero",
            Self::InvalidBoolean => "the boolean is neither 0 nor 1",
            Self::InvalidUtf8 => "the text is not UTF-8",
            Self::MessageTooLarge => "the message is too large",
            Self::ValueTooLarge => "the value is too large",
            Self::TooDeep => "the structures nest too deep",
            Self::TooManyItems => "the message has too many items",
            Self::UnexpectedTag { expected } => return write!(formatter, "item {expected} expected"),
            Self::UnexpectedType { expected, found } => {
                return write!(formatter, "type {} expected, {} found", expected.name(), found.name());
            }
            Self::MissingItem { expected } => return write!(formatter, "item {expected} is missing"),
            Self::UnexpectedItem => "the item does not belong here",
            Self::DuplicateItem => "the item occurs too often",
            Self::InvalidValue => "the value is outside its domain",
        };
        formatter.write_str(text)
    }
}

impl std::error::Error for Error {}
