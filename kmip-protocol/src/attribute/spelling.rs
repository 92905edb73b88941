//! Lists of attributes and how they are spelled: 1.x names each one in an `Attribute` structure, bare or inside a
//! `Template-Attribute`; 2.x puts them under their own tags inside `Attributes`.

use bytestring::ByteString;
use kmip_ttlv::{Error, ErrorKind, Reader, Tag, Writer};

use super::{Attribute, AttributeReference, AttributeType, CustomAttribute, CustomValue, Name};
use crate::codec::Item;
use crate::tag;
use crate::version::{V2_1, Version};

/// One instance of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// Attribute Index of 1.x: counts the instances of one attribute from 0; `None` where a message gave none.
    pub index: Option<i32>,
    /// The attribute.
    pub attribute: Attribute,
}

/// A list of attributes in a message, or of an object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attributes {
    /// The instances, in the order given.
    pub instances: Vec<Instance>,
    /// Names of templates whose attributes are to be taken too (1.x requests only).
    pub templates: Vec<Name>,
}

/// Where a message holds a list of attributes.
#[derive(Debug, Clone, Copy)]
pub struct Spelling {
    /// The structure around them in 1.x; `None`: bare `Attribute` items.
    template: Option<Tag>,
    /// The structure around them in 2.x; `None`: 2.x does not have them here.
    attributes: Option<Tag>,
    /// Whether an empty list is written in 2.x.
    written_empty: bool,
}

impl Spelling {
    /// `Template-Attribute` / `Attributes`.
    pub const TEMPLATE: Self = Self::new(Some(tag::TEMPLATE_ATTRIBUTE), tag::ATTRIBUTES, true);
    /// As [`TEMPLATE`](Self::TEMPLATE), left out when empty.
    pub const OPTIONAL_TEMPLATE: Self = Self::new(Some(tag::TEMPLATE_ATTRIBUTE), tag::ATTRIBUTES, false);
    /// `Common Template-Attribute` / `Common Attributes`.
    pub const COMMON: Self = Self::new(Some(tag::COMMON_TEMPLATE_ATTRIBUTE), tag::COMMON_ATTRIBUTES, false);
    /// `Private Key Template-Attribute` / `Private Key Attributes`.
    pub const PRIVATE_KEY: Self =
        Self::new(Some(tag::PRIVATE_KEY_TEMPLATE_ATTRIBUTE), tag::PRIVATE_KEY_ATTRIBUTES, false);
    /// `Public Key Template-Attribute` / `Public Key Attributes`.
    pub const PUBLIC_KEY: Self =
        Self::new(Some(tag::PUBLIC_KEY_TEMPLATE_ATTRIBUTE), tag::PUBLIC_KEY_ATTRIBUTES, false);
    /// Bare `Attribute` items / `Attributes`.
    pub const BARE: Self = Self::new(None, tag::ATTRIBUTES, true);
    /// As [`BARE`](Self::BARE), left out when empty.
    pub const OPTIONAL_BARE: Self = Self::new(None, tag::ATTRIBUTES, false);
    /// One bare `Attribute` / `New Attribute`.
    pub const NEW: Self = Self::new(None, tag::NEW_ATTRIBUTE, false);
    /// Nothing in 1.x / `Current Attribute`.
    pub const CURRENT: Self = Self::new(Some(tag::CURRENT_ATTRIBUTE), tag::CURRENT_ATTRIBUTE, false);

    /// One bare `Attribute` / nothing in 2.x.
    pub const ONLY_1X: Self = Self { template: None, attributes: None, written_empty: false };

    const fn new(template: Option<Tag>, attributes: Tag, written_empty: bool) -> Self {
        Self { template, attributes: Some(attributes), written_empty }
    }

    /// Whether `tag` begins the list. Bare lists are also taken from a Template-Attribute: shipping clients put their
    /// Locate criteria there, and to overlook them would match everything.
    pub fn accepts(&self, tag: Tag) -> bool {
        self.attributes == Some(tag)
            || match self.template {
                Some(template) => tag == template,
                None => tag == tag::ATTRIBUTE || tag == tag::TEMPLATE_ATTRIBUTE,
            }
    }
}

impl Attributes {
    /// A list of attributes without indexes.
    pub fn new(attributes: impl IntoIterator<Item = Attribute>) -> Self {
        let instances = attributes.into_iter().map(|attribute| Instance { index: None, attribute }).collect();
        Self { instances, templates: Vec::new() }
    }

    /// The attributes without their indexes.
    pub fn iter(&self) -> impl Iterator<Item = &Attribute> {
        self.instances.iter().map(|instance| &instance.attribute)
    }

    /// Whether there are neither attributes nor templates.
    pub fn is_empty(&self) -> bool {
        self.instances.is_empty() && self.templates.is_empty()
    }

    /// Reads the next item, which a spelling has accepted, and appends what it holds.
    pub(crate) fn read_more(
        &mut self,
        reader: &mut Reader<'_>,
        next: Tag,
        version: Version,
    ) -> Result<(), Error> {
        if next == tag::ATTRIBUTE {
            self.instances.push(read_attribute(reader, version)?);
            return Ok(());
        }
        reader.structure(next, |reader| {
            while let Some(next) = reader.peek_tag()? {
                match next {
                    tag::ATTRIBUTE => self.instances.push(read_attribute(reader, version)?),
                    tag::NAME if !version.tags_attributes() => {
                        self.templates.push(Name::read(reader, next, version)?);
                    }
                    _ => self.read_tagged(reader, next, version)?,
                }
            }
            Ok(())
        })
    }

    fn read_tagged(&mut self, reader: &mut Reader<'_>, next: Tag, version: Version) -> Result<(), Error> {
        let Some(attribute_type) = AttributeType::from_tag(next) else {
            return Err(reader.error(ErrorKind::UnexpectedItem));
        };
        let attribute = attribute_type.read_value(reader, next, version)?;
        self.instances.push(Instance { index: None, attribute });
        Ok(())
    }

    pub(crate) fn write(&self, writer: &mut Writer, spelling: &Spelling, version: Version) {
        if version.tags_attributes() {
            match spelling.attributes {
                Some(tag) if !self.instances.is_empty() || spelling.written_empty => {
                    writer.structure(tag, |writer| self.write_tagged(writer, version));
                }
                _ => (),
            }
        } else if let Some(template) = spelling.template {
            if !self.is_empty() || spelling.written_empty {
                writer.structure(template, |writer| {
                    for name in &self.templates {
                        name.write(writer, tag::NAME, version);
                    }
                    self.write_named(writer, version);
                });
            }
        } else {
            self.write_named(writer, version);
        }
    }

    fn write_tagged(&self, writer: &mut Writer, version: Version) {
        for attribute in self.iter().filter(|attribute| attribute.is_known(version)) {
            match (attribute.attribute_type(), attribute) {
                (Some(known), _) => attribute.write_value(writer, known.row().tag, version),
                (None, Attribute::Custom(custom)) => writer.structure(tag::ATTRIBUTE, |writer| {
                    writer.text_string(tag::VENDOR_IDENTIFICATION, &custom.vendor);
                    writer.text_string(tag::ATTRIBUTE_NAME, &custom.name);
                    attribute.write_value(writer, tag::ATTRIBUTE_VALUE, version);
                }),
                (None, _) => unreachable!("only custom attributes have no type"),
            }
        }
    }

    fn write_named(&self, writer: &mut Writer, version: Version) {
        for instance in self.instances.iter().filter(|instance| instance.attribute.is_known(version)) {
            writer.structure(tag::ATTRIBUTE, |writer| {
                writer.text_string(tag::ATTRIBUTE_NAME, &instance.attribute.reference().name());
                // Index 0 goes without saying (1.4 section 2.1.1); older clients read it either way.
                if let Some(index) = instance.index.filter(|index| *index > 0) {
                    writer.integer(tag::ATTRIBUTE_INDEX, index);
                }
                instance.attribute.write_value(writer, tag::ATTRIBUTE_VALUE, version);
            });
        }
    }
}

/// An object's attributes at rest: the 2.1 spelling, each instance followed by its index where that is not 0.
impl Attributes {
    /// Appends the attributes to a record, under the tag `Attributes`.
    pub fn write_record(&self, writer: &mut Writer) {
        writer.structure(tag::ATTRIBUTES, |writer| {
            for instance in &self.instances {
                let one = Self { instances: vec![instance.clone()], templates: Vec::new() };
                one.write_tagged_or_dropped(writer);
                if let Some(index) = instance.index.filter(|index| *index > 0) {
                    writer.integer(tag::ATTRIBUTE_INDEX, index);
                }
            }
        });
    }

    /// Reads what [`write_record`](Self::write_record) wrote.
    pub fn read_record(reader: &mut Reader<'_>) -> Result<Self, Error> {
        reader.structure(tag::ATTRIBUTES, |reader| {
            let mut attributes = Self::default();
            while let Some(next) = reader.peek_tag()? {
                match next {
                    tag::ATTRIBUTE => attributes.instances.push(read_attribute(reader, V2_1)?),
                    tag::ATTRIBUTE_INDEX => {
                        let index = reader.integer(next)?;
                        if let Some(last) = attributes.instances.last_mut() {
                            last.index = Some(index);
                        }
                    }
                    _ => attributes.read_tagged(reader, next, V2_1)?,
                }
            }
            for instance in &mut attributes.instances {
                instance.index.get_or_insert(0);
            }
            Ok(attributes)
        })
    }

    /// As [`write_tagged`](Self::write_tagged), but also what later versions have dropped: a record forgets nothing.
    fn write_tagged_or_dropped(&self, writer: &mut Writer) {
        for attribute in self.iter() {
            match attribute.attribute_type() {
                Some(known) => attribute.write_value(writer, known.row().tag, V2_1),
                None => self.write_tagged(writer, V2_1),
            }
        }
    }
}

/// Reads an `Attribute` structure of either spelling; the vendor tells them apart.
fn read_attribute(reader: &mut Reader<'_>, version: Version) -> Result<Instance, Error> {
    reader.structure(tag::ATTRIBUTE, |reader| {
        if reader.peek_tag()? == Some(tag::VENDOR_IDENTIFICATION) {
            let vendor = reader.text(tag::VENDOR_IDENTIFICATION)?;
            let name = reader.text(tag::ATTRIBUTE_NAME)?;
            let value = CustomValue::read(reader, tag::ATTRIBUTE_VALUE, version)?;
            return Ok(Instance {
                index: None,
                attribute: Attribute::Custom(CustomAttribute { vendor, name, value }),
            });
        }
        let unknown = reader.error(ErrorKind::InvalidValue);
        let name: ByteString = reader.text(tag::ATTRIBUTE_NAME)?;
        let index = match reader.peek_tag()? {
            Some(tag::ATTRIBUTE_INDEX) => Some(reader.integer(tag::ATTRIBUTE_INDEX)?),
            _ => None,
        };
        let attribute = match AttributeReference::from_name(&name) {
            AttributeReference::Known(known) => known.read_value(reader, tag::ATTRIBUTE_VALUE, version)?,
            AttributeReference::Custom { vendor, .. } if vendor.is_empty() => return Err(unknown),
            AttributeReference::Custom { vendor, name } => {
                let value = CustomValue::read(reader, tag::ATTRIBUTE_VALUE, version)?;
                Attribute::Custom(CustomAttribute { vendor, name, value })
            }
        };
        Ok(Instance { index, attribute })
    })
}
