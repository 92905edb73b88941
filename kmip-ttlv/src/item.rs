//! What an item is made of on the wire: its tag, its type and the eight bytes that carry them.

use std::fmt;

/// Bytes in front of every value: three of tag, one of type, four of length.
pub(crate) const HEADER_BYTES: usize = 8;

/// The names a message may use begin with 0x42 (the specification's) or 0x54 (extensions).
const SPECIFIED_TAGS: u32 = 0x42;
const EXTENSION_TAGS: u32 = 0x54;

/// The 24-bit name of an item.
///
/// Constants of this type work as match patterns.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(u32);

impl Tag {
    /// Names a tag by its number. A number above 24 bits is a mistake of the program:
    ///
    /// # Panics
    /// Above 0xFFFFFF; in a constant this is an error at compile time.
    pub const fn new(value: u32) -> Self {
        assert!(value <= 0xFF_FFFF, "a tag has 24 bits");
        Self(value)
    }

    /// The tag with this number, if it has no more than 24 bits.
    pub const fn checked(value: u32) -> Option<Self> {
        if value <= 0xFF_FFFF { Some(Self(value)) } else { None }
    }

    /// The number, at most 24 bits.
    pub const fn value(self) -> u32 {
        self.0
    }

    /// Whether the number lies in a range that messages may use: 0x42xxxx, or 0x54xxxx for extensions.
    pub const fn is_assignable(self) -> bool {
        self.is_specified() || self.0 >> 16 == EXTENSION_TAGS
    }

    /// Whether the number lies in the specification's own range, 0x42xxxx.
    pub const fn is_specified(self) -> bool {
        self.0 >> 16 == SPECIFIED_TAGS
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "0x{:06X}", self.0)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}

/// The type of an item's value, with its number on the wire (KMIP 2.1, section 9.1.1.2 and below).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum ItemType {
    /// Items inside an item.
    Structure = 1,
    /// 32 bits, signed. Masks travel as this.
    Integer = 2,
    /// 64 bits, signed.
    LongInteger = 3,
    /// Two's complement, big-endian, a positive multiple of 8 bytes.
    BigInteger = 4,
    /// 32 bits, unsigned.
    Enumeration = 5,
    /// 8 bytes holding 0 or 1.
    Boolean = 6,
    /// UTF-8, not terminated.
    TextString = 7,
    /// Any bytes.
    ByteString = 8,
    /// Seconds since 1970, 64 bits, signed.
    DateTime = 9,
    /// Seconds, 32 bits, unsigned.
    Interval = 10,
    /// Microseconds since 1970, 64 bits, signed (KMIP 2.0 and later).
    DateTimeExtended = 11,
}

impl ItemType {
    /// Every type, in the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::Structure,
        Self::Integer,
        Self::LongInteger,
        Self::BigInteger,
        Self::Enumeration,
        Self::Boolean,
        Self::TextString,
        Self::ByteString,
        Self::DateTime,
        Self::Interval,
        Self::DateTimeExtended,
    ];

    /// The type with this number on the wire.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1..=11 => Some(Self::ALL[code as usize - 1]),
            _ => None,
        }
    }

    /// The number on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The name in the XML and JSON forms (Profiles 2.1, section 5.4.1.4).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Structure => "Structure",
            Self::Integer => "Integer",
            Self::LongInteger => "LongInteger",
            Self::BigInteger => "BigInteger",
            Self::Enumeration => "Enumeration",
            Self::Boolean => "Boolean",
            Self::TextString => "TextString",
            Self::ByteString => "ByteString",
            Self::DateTime => "DateTime",
            Self::Interval => "Interval",
            Self::DateTimeExtended => "DateTimeExtended",
        }
    }

    /// The type with this name in the XML and JSON forms.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|item_type| item_type.name() == name)
    }

    /// Whether a value of this type may declare this length in bytes, padding excluded.
    pub(crate) const fn admits_length(self, length: usize) -> bool {
        // Numbers and not conditions, so that they are looked up: no processor foresees which type comes next.
        let (least, most, odd_bits) = match self {
            Self::Integer | Self::Enumeration | Self::Interval => (4, 4, 0),
            Self::LongInteger | Self::Boolean | Self::DateTime | Self::DateTimeExtended => (8, 8, 0),
            Self::BigInteger => (8, usize::MAX, 7),
            Self::Structure => (0, usize::MAX, 7),
            Self::TextString | Self::ByteString => (0, usize::MAX, 0),
        };
        (least <= length) & (length <= most) & (length & odd_bits == 0)
    }
}

/// The head of an item, and where it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// The item's name.
    pub tag: Tag,
    /// The type of its value.
    pub item_type: ItemType,
    /// Bytes of value as declared, padding excluded.
    pub length: usize,
    /// Where the item begins, in bytes from the start of the message.
    pub offset: usize,
}

impl Header {
    /// Bytes of the whole item: header, value and padding.
    pub fn item_bytes(&self) -> usize {
        HEADER_BYTES + padded(self.length)
    }
}

/// Rounds a length up to the eight bytes that every item is aligned to.
pub(crate) const fn padded(length: usize) -> usize {
    length.next_multiple_of(8)
}
