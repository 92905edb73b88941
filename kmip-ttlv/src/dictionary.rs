//! The names behind the numbers. This crate knows the syntax only; who knows the language implements [`Dictionary`].

use crate::Tag;

/// KMIP 1.x: the attribute's name, which says how the value beside it is to be read.
pub(crate) const ATTRIBUTE_NAME: Tag = Tag::new(0x42_000A);
/// KMIP 1.x: the attribute's value.
pub(crate) const ATTRIBUTE_VALUE: Tag = Tag::new(0x42_000B);
/// KMIP 2.x: an enumeration whose values are tags.
pub(crate) const ATTRIBUTE_REFERENCE: Tag = Tag::new(0x42_013B);

/// Names as the XML and JSON forms spell them: in CamelCase (Profiles 2.1, section 5.4.1.1).
pub trait Dictionary {
    /// The tag with this name.
    fn tag_by_name(&self, name: &str) -> Option<Tag>;

    /// The name of a tag. It must be usable as an XML element name.
    fn tag_name(&self, tag: Tag) -> Option<&str>;

    /// What `name` stands for in the enumeration that items with this tag hold.
    fn enumeration_value(&self, tag: Tag, name: &str) -> Option<u32>;

    /// The name of a value in the enumeration that items with this tag hold.
    fn enumeration_name(&self, tag: Tag, value: u32) -> Option<&str>;

    /// The bits that `name` stands for in the mask that items with this tag hold.
    fn mask_bits(&self, tag: Tag, name: &str) -> Option<i32>;

    /// The name of a single bit in the mask that items with this tag hold; none if the tag holds no mask.
    fn mask_name(&self, tag: Tag, bit: i32) -> Option<&str>;

    /// KMIP 1.x: the tag whose enumeration or mask an Attribute Value holds beside this Attribute Name. The name is
    /// spelled as in the specification, with spaces: `Cryptographic Usage Mask`.
    fn tag_of_attribute(&self, name: &str) -> Option<Tag>;

    /// Whether text strings with this tag may appear in a [`Dump`](crate::dump::Dump). By default none may.
    fn shows_text(&self, tag: Tag) -> bool {
        let _ = tag;
        false
    }
}

/// Knows no name: everything is spelled in hex.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoDictionary;

impl Dictionary for NoDictionary {
    fn tag_by_name(&self, _: &str) -> Option<Tag> {
        None
    }

    fn tag_name(&self, _: Tag) -> Option<&str> {
        None
    }

    fn enumeration_value(&self, _: Tag, _: &str) -> Option<u32> {
        None
    }

    fn enumeration_name(&self, _: Tag, _: u32) -> Option<&str> {
        None
    }

    fn mask_bits(&self, _: Tag, _: &str) -> Option<i32> {
        None
    }

    fn mask_name(&self, _: Tag, _: i32) -> Option<&str> {
        None
    }

    fn tag_of_attribute(&self, _: &str) -> Option<Tag> {
        None
    }
}

/// The tag whose enumeration or mask an item holds: its own, or that of the attribute it is the value of.
pub(crate) fn meaning(tag: Tag, attribute: Option<Tag>) -> Tag {
    match attribute {
        Some(attribute) if tag == ATTRIBUTE_VALUE => attribute,
        _ => tag,
    }
}

/// The name of an enumeration's value, of a tag where the values are tags.
pub(crate) fn enumeration_name(dictionary: &dyn Dictionary, meaning: Tag, value: u32) -> Option<&str> {
    match meaning {
        ATTRIBUTE_REFERENCE => dictionary.tag_name(Tag::checked(value)?),
        _ => dictionary.enumeration_name(meaning, value),
    }
}

/// The value of an enumeration's name, of a tag's name where the values are tags.
pub(crate) fn enumeration_value(dictionary: &dyn Dictionary, meaning: Tag, name: &str) -> Option<u32> {
    match meaning {
        ATTRIBUTE_REFERENCE => dictionary.tag_by_name(name).map(Tag::value),
        _ => dictionary.enumeration_value(meaning, name),
    }
}
