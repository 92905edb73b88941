//! How a request names an object (KMIP 2.1 section 4.58).

use bytestring::ByteString;
use kmip_ttlv::{Error, ErrorKind, ItemType, Reader, Tag, Writer};

use crate::codec::Item;
use crate::enumeration::UniqueIdentifierPlaceholder;
use crate::version::Version;

/// A Unique Identifier in a request. Responses always carry the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UniqueIdentifier {
    /// The identifier itself.
    Text(ByteString),
    /// The object that the named operation of this batch dealt with last (2.0 on).
    Placeholder(UniqueIdentifierPlaceholder),
    /// The object that the n-th item of this batch dealt with; negative counts back from this one (2.0 on).
    BatchItem(i32),
}

impl UniqueIdentifier {
    /// The identifier itself, if it is spelled out.
    pub fn as_text(&self) -> Option<&ByteString> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl From<ByteString> for UniqueIdentifier {
    fn from(text: ByteString) -> Self {
        Self::Text(text)
    }
}

impl Item for UniqueIdentifier {
    fn read(reader: &mut Reader<'_>, tag: Tag, version: Version) -> Result<Self, Error> {
        let Some(header) = reader.peek()? else {
            return Err(reader.error(ErrorKind::MissingItem { expected: tag }));
        };
        match header.item_type {
            ItemType::Enumeration => {
                UniqueIdentifierPlaceholder::read(reader, tag, version).map(Self::Placeholder)
            }
            ItemType::Integer => reader.integer(tag).map(Self::BatchItem),
            _ => reader.text(tag).map(Self::Text),
        }
    }

    fn write(&self, writer: &mut Writer, tag: Tag, version: Version) {
        match self {
            Self::Text(text) => writer.text_string(tag, text),
            Self::Placeholder(placeholder) => placeholder.write(writer, tag, version),
            Self::BatchItem(index) => writer.integer(tag, *index),
        }
    }

    fn is_known(&self, version: Version) -> bool {
        matches!(self, Self::Text(_)) || version.tags_attributes()
    }
}
