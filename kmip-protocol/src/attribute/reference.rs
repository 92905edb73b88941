//! Naming an attribute without its value: Attribute Name in 1.x, Attribute Reference in 2.x (7.5).

use bytestring::ByteString;
use kmip_ttlv::{Error, ErrorKind, ItemType, Reader, Tag, Writer};

use super::AttributeType;
use crate::codec::Choice;
use crate::tag;
use crate::version::Version;

/// Which attribute is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeReference {
    /// An attribute of the table.
    Known(AttributeType),
    /// A custom attribute. A 1.x name that is neither in the table nor begins with `x-` or `y-` has the empty vendor:
    /// no object has such an attribute.
    Custom {
        /// Vendor Identification.
        vendor: ByteString,
        /// The name, without the vendor.
        name: ByteString,
    },
}

impl AttributeReference {
    /// The attribute of a 1.x name.
    pub fn from_name(name: &ByteString) -> Self {
        if let Some(known) = AttributeType::from_name(name) {
            return Self::Known(known);
        }
        let (vendor, rest) = match name.get(..2) {
            Some("x-") => ("x", 2),
            Some("y-") => ("y", 2),
            _ => ("", 0),
        };
        Self::Custom { vendor: ByteString::from_static(vendor), name: ByteString::from(&name[rest..]) }
    }

    /// The 1.x name.
    pub fn name(&self) -> ByteString {
        match self {
            Self::Known(known) => ByteString::from_static(known.row().name),
            Self::Custom { vendor, name } if vendor.is_empty() => name.clone(),
            Self::Custom { vendor, name } => ByteString::from(format!("{vendor}-{name}")),
        }
    }
}

impl std::fmt::Display for AttributeReference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

impl Choice for AttributeReference {
    fn accepts(tag: Tag) -> bool {
        tag == tag::ATTRIBUTE_NAME || tag == tag::ATTRIBUTE_REFERENCE
    }

    fn read(reader: &mut Reader<'_>, _version: Version) -> Result<Self, Error> {
        let Some(header) = reader.peek()? else {
            return Err(reader.error(ErrorKind::MissingItem { expected: tag::ATTRIBUTE_REFERENCE }));
        };
        if header.tag == tag::ATTRIBUTE_NAME {
            return Ok(Self::from_name(&reader.text(tag::ATTRIBUTE_NAME)?));
        }
        if header.item_type == ItemType::Structure {
            return reader.structure(tag::ATTRIBUTE_REFERENCE, |reader| {
                let vendor = reader.text(tag::VENDOR_IDENTIFICATION)?;
                let name = reader.text(tag::ATTRIBUTE_NAME)?;
                Ok(Self::Custom { vendor, name })
            });
        }
        let unknown = reader.error(ErrorKind::InvalidValue);
        let number = reader.enumeration(tag::ATTRIBUTE_REFERENCE)?;
        Tag::checked(number).and_then(AttributeType::from_tag).map(Self::Known).ok_or(unknown)
    }

    fn write(&self, writer: &mut Writer, version: Version) {
        match self {
            _ if !version.tags_attributes() => writer.text_string(tag::ATTRIBUTE_NAME, &self.name()),
            Self::Known(known) => writer.enumeration(tag::ATTRIBUTE_REFERENCE, known.row().tag.value()),
            Self::Custom { vendor, name } => writer.structure(tag::ATTRIBUTE_REFERENCE, |writer| {
                writer.text_string(tag::VENDOR_IDENTIFICATION, vendor);
                writer.text_string(tag::ATTRIBUTE_NAME, name);
            }),
        }
    }

    fn is_known(&self, version: Version) -> bool {
        match self {
            Self::Known(known) => known.row().since.knows(version),
            Self::Custom { vendor, .. } => version.tags_attributes() || matches!(&**vendor, "x" | "y"),
        }
    }
}
