//! Lists of attributes and how they are spelled: 1.x names each one in an `Attribute` structure, bare or inside a
//! `Template-Attribute`; 2.x puts them under their own tags inside `Attributes`.

use bytestring::ByteString;
use kmip_ttlv::{Error, ErrorKind, Reader, Tag, Writer};

use super::{Attribute, AttributeReference, AttributeType, CustomValue, Name};
use crate::codec::{Item, skip_extension};
use crate::tag;
use crate::version::{AT_REST, Version};

/// One instance of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// Attribute Index of 1.x: counts the instances of one attribute from 0; `None` where a message gave none.
    pub index: Option<i32>,
    /// The attribute.
    pub attribute: Attribute,
}

/// One line of a processor's cache: a server keeps some twenty of these for each of millions of objects, and whoever looks
/// for an attribute runs through them.
const _: () = assert!(size_of::<Instance>() <= 64, "box what is larger in the table of attributes");

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
    /// In 1.x.
    named: Named,
    /// The structure around them in 2.x; `None`: 2.x does not have them here.
    attributes: Option<Tag>,
    /// Whether an empty list is written in 2.x, and in 1.x where there is a structure around it.
    written_empty: bool,
}

/// Where 1.x holds the attributes that it names.
#[derive(Debug, Clone, Copy)]
enum Named {
    /// Inside this structure.
    Inside(Tag),
    /// As bare `Attribute` items.
    Bare,
    /// Not here.
    Never,
}

impl Spelling {
    /// `Template-Attribute` / `Attributes`.
    pub const TEMPLATE: Self = Self { written_empty: true, ..Self::OPTIONAL_TEMPLATE };
    /// As [`TEMPLATE`](Self::TEMPLATE), left out when empty.
    pub const OPTIONAL_TEMPLATE: Self = Self::new(Named::Inside(tag::TEMPLATE_ATTRIBUTE), tag::ATTRIBUTES);
    /// `Common Template-Attribute` / `Common Attributes`.
    pub const COMMON: Self = Self::new(Named::Inside(tag::COMMON_TEMPLATE_ATTRIBUTE), tag::COMMON_ATTRIBUTES);
    /// `Private Key Template-Attribute` / `Private Key Attributes`.
    pub const PRIVATE_KEY: Self =
        Self::new(Named::Inside(tag::PRIVATE_KEY_TEMPLATE_ATTRIBUTE), tag::PRIVATE_KEY_ATTRIBUTES);
    /// `Public Key Template-Attribute` / `Public Key Attributes`.
    pub const PUBLIC_KEY: Self =
        Self::new(Named::Inside(tag::PUBLIC_KEY_TEMPLATE_ATTRIBUTE), tag::PUBLIC_KEY_ATTRIBUTES);
    /// Bare `Attribute` items / `Attributes`.
    pub const BARE: Self = Self { written_empty: true, ..Self::OPTIONAL_BARE };
    /// As [`BARE`](Self::BARE), left out when empty.
    pub const OPTIONAL_BARE: Self = Self::new(Named::Bare, tag::ATTRIBUTES);
    /// One bare `Attribute` / `New Attribute`.
    pub const NEW: Self = Self::new(Named::Bare, tag::NEW_ATTRIBUTE);
    /// Nothing in 1.x / `Current Attribute`.
    pub const CURRENT: Self = Self::new(Named::Never, tag::CURRENT_ATTRIBUTE);
    /// One bare `Attribute` / nothing in 2.x.
    pub const ONLY_1X: Self = Self { named: Named::Bare, attributes: None, written_empty: false };

    const fn new(named: Named, attributes: Tag) -> Self {
        Self { named, attributes: Some(attributes), written_empty: false }
    }

    /// Whether `tag` begins the list. Bare lists are also taken from a Template-Attribute: shipping clients put their
    /// Locate criteria there, and to overlook them would match everything.
    pub fn accepts(&self, tag: Tag) -> bool {
        self.attributes == Some(tag)
            || match self.named {
                Named::Inside(template) => tag == template,
                Named::Bare => tag == tag::ATTRIBUTE || tag == tag::TEMPLATE_ATTRIBUTE,
                Named::Never => false,
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

    fn read_tagged(&mut self, reader: &mut Reader<'_>, next: Tag, version: Version) -> Result<(), Error> {
        let Some(attribute_type) = AttributeType::from_tag(next) else {
            return skip_extension(reader, next);
        };
        let keep = |attribute| self.instances.push(Instance { index: None, attribute });
        attribute_type.read_value(reader, next, version, keep)
    }

    pub(crate) fn write(&self, writer: &mut Writer, spelling: &Spelling, version: Version) {
        let is_written = spelling.written_empty || self.holds_known(version);
        if version.tags_attributes() {
            match spelling.attributes {
                Some(tag) if is_written => {
                    writer.structure(tag, |writer| self.write_tagged(writer, version));
                }
                _ => (),
            }
            return;
        }
        match spelling.named {
            Named::Inside(template) if is_written => {
                writer.structure(template, |writer| {
                    for name in self.templates.iter().filter(|name| name.is_known(version)) {
                        name.write(writer, tag::NAME, version);
                    }
                    self.write_named(writer, version);
                });
            }
            Named::Bare => self.write_named(writer, version),
            Named::Inside(_) | Named::Never => (),
        }
    }

    /// Whether there is something to tell to a peer of `version`.
    fn holds_known(&self, version: Version) -> bool {
        self.iter().any(|attribute| attribute.is_known(version))
            || !version.tags_attributes() && self.templates.iter().any(|name| name.is_known(version))
    }

    fn write_tagged(&self, writer: &mut Writer, version: Version) {
        for attribute in self.iter().filter(|attribute| attribute.is_known(version)) {
            write_tagged(attribute, writer, version);
        }
    }

    fn write_named(&self, writer: &mut Writer, version: Version) {
        for instance in self.instances.iter().filter(|instance| instance.attribute.is_known(version)) {
            writer.structure(tag::ATTRIBUTE, |writer| {
                writer.text_string(tag::ATTRIBUTE_NAME, &instance.attribute.reference().name());
                // Index 0 goes without saying (1.4 section 2.1.1); older clients read it either way.
                if let Some(index) = instance.index.filter(|index| *index != 0) {
                    writer.integer(tag::ATTRIBUTE_INDEX, index);
                }
                instance.attribute.write_value(writer, tag::ATTRIBUTE_VALUE, version);
            });
        }
    }
}

/// A list of attributes that is being read, item by item.
#[derive(Default)]
pub(crate) struct AttributeList {
    pub(crate) attributes: Attributes,
    /// Whether it has come as a structure, which may stand only once.
    enclosed: bool,
}

impl AttributeList {
    /// Reads the next item, which a spelling has accepted, and appends what it holds.
    pub(crate) fn read_more(
        &mut self,
        reader: &mut Reader<'_>,
        next: Tag,
        version: Version,
    ) -> Result<(), Error> {
        let attributes = &mut self.attributes;
        if next == tag::ATTRIBUTE {
            attributes.instances.push(read_attribute(reader, version)?);
            return Ok(());
        }
        if std::mem::replace(&mut self.enclosed, true) {
            return Err(reader.error(ErrorKind::DuplicateItem));
        }
        reader.structure(next, |reader| {
            while let Some(next) = reader.peek_tag()? {
                match next {
                    tag::ATTRIBUTE => attributes.instances.push(read_attribute(reader, version)?),
                    tag::NAME if !version.tags_attributes() => {
                        attributes.templates.push(Name::read(reader, next, version)?);
                    }
                    _ => attributes.read_tagged(reader, next, version)?,
                }
            }
            Ok(())
        })
    }
}

/// An object's attributes at rest: the 2.1 spelling, each instance followed by its index where that is not 0. A record
/// forgets nothing: it also holds what later versions have dropped.
impl Attributes {
    /// Appends the attributes to a record, under the tag `Attributes`.
    pub fn write_record(&self, writer: &mut Writer) {
        writer.structure(tag::ATTRIBUTES, |writer| {
            for instance in &self.instances {
                write_tagged(&instance.attribute, writer, AT_REST);
                if let Some(index) = instance.index.filter(|index| *index != 0) {
                    writer.integer(tag::ATTRIBUTE_INDEX, index);
                }
            }
        });
    }

    /// Reads what [`write_record`](Self::write_record) wrote.
    pub fn read_record(reader: &mut Reader<'_>) -> Result<Self, Error> {
        reader.structure(tag::ATTRIBUTES, |reader| {
            let instances = Vec::with_capacity(instances_ahead(reader)?);
            let mut attributes = Self { instances, templates: Vec::new() };
            while let Some(next) = reader.peek_tag()? {
                match next {
                    tag::ATTRIBUTE => attributes.instances.push(read_attribute(reader, AT_REST)?),
                    tag::ATTRIBUTE_INDEX => {
                        let index = reader.integer(next)?;
                        if let Some(last) = attributes.instances.last_mut() {
                            last.index = Some(index);
                        }
                    }
                    _ => attributes.read_tagged(reader, next, AT_REST)?,
                }
            }
            for instance in &mut attributes.instances {
                instance.index.get_or_insert(0);
            }
            Ok(attributes)
        })
    }
}

/// How many instances a record has left: the list of them is kept long, so it is given no more room than it needs.
fn instances_ahead(reader: &Reader<'_>) -> Result<usize, Error> {
    let mut ahead = reader.clone();
    let mut instances = 0;
    while let Some(passed) = ahead.pass_over()? {
        instances += usize::from(passed != tag::ATTRIBUTE_INDEX);
    }
    Ok(instances)
}

/// Writes an attribute as 2.x does.
fn write_tagged(attribute: &Attribute, writer: &mut Writer, version: Version) {
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

/// Reads an `Attribute` structure of either spelling; the vendor tells them apart.
fn read_attribute(reader: &mut Reader<'_>, version: Version) -> Result<Instance, Error> {
    reader.structure(tag::ATTRIBUTE, |reader| {
        if reader.peek_tag()? == Some(tag::VENDOR_IDENTIFICATION) {
            let vendor = reader.text(tag::VENDOR_IDENTIFICATION)?;
            let name = reader.text(tag::ATTRIBUTE_NAME)?;
            let value = CustomValue::read(reader, tag::ATTRIBUTE_VALUE, version)?;
            return Ok(Instance { index: None, attribute: Attribute::custom(vendor, name, value) });
        }
        let unknown = reader.error(ErrorKind::InvalidValue);
        let name: ByteString = reader.text(tag::ATTRIBUTE_NAME)?;
        let index = match reader.peek_tag()? {
            Some(tag::ATTRIBUTE_INDEX) => Some(reader.integer(tag::ATTRIBUTE_INDEX)?),
            _ => None,
        };
        let attribute = match AttributeReference::from_name(&name) {
            AttributeReference::Known(known) => {
                known.read_value(reader, tag::ATTRIBUTE_VALUE, version, std::convert::identity)?
            }
            AttributeReference::Custom { vendor, .. } if vendor.is_empty() => return Err(unknown),
            AttributeReference::Custom { vendor, name } => {
                let value = CustomValue::read(reader, tag::ATTRIBUTE_VALUE, version)?;
                Attribute::custom(vendor, name, value)
            }
        };
        Ok(Instance { index, attribute })
    })
}
