//! How a value becomes an item and an item a value: the trait [`Item`] and the `structure!` macro, which says each
//! wire fact (tag, type, cardinality, versions) on one line and derives reading and writing from it.
//!
//! Reading is tolerant: fields of a structure may come in any order and a field that the version does not know yet is
//! taken anyway (clients do send such). An item that a structure has no field for is an error, unless its tag is an
//! extension. Writing is strict: the specification's order, and nothing that the version does not know.

use bytes::Bytes;
use bytestring::ByteString;
use kmip_ttlv::{Error, ErrorKind, Header, ItemType, Limits, Reader, Tag, Writer};

use crate::version::{Since, V2_0, Version};
use crate::{enumeration, mask, tag};

/// A value that is one item on the wire.
pub trait Item: Sized {
    /// Reads the next item, which must carry `tag`.
    fn read(reader: &mut Reader<'_>, tag: Tag, version: Version) -> Result<Self, Error>;

    /// Writes the value as an item under `tag`.
    fn write(&self, writer: &mut Writer, tag: Tag, version: Version);

    /// Whether the value can be told to a peer of `version`: enumeration values and fields may be younger.
    fn is_known(&self, _version: Version) -> bool {
        true
    }
}

/// A value that stands under one of several tags, such as a managed object.
pub trait Choice: Sized {
    /// Whether the value may stand under `tag`.
    fn accepts(tag: Tag) -> bool;

    /// Reads the next item, whose tag has been accepted.
    fn read(reader: &mut Reader<'_>, version: Version) -> Result<Self, Error>;

    /// Writes the value under the tag that is its own.
    fn write(&self, writer: &mut Writer, version: Version);

    /// As [`Item::is_known`].
    fn is_known(&self, version: Version) -> bool;
}

/// A point in time: seconds since 1970-01-01T00:00:00Z (KMIP Date-Time).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DateTime(pub i64);

/// A length of time in seconds (KMIP Interval).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval(pub u32);

/// An integer of any length: two's complement, big-endian (KMIP Big Integer).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BigInteger(pub Bytes);

/// Bytes that may hold a key: not printed, compared in constant time by nobody (there is no `PartialEq`), and backed
/// by memory that is zeroized when its last holder drops it (a received frame or a [`kmip_ttlv::SecretBuffer`]).
pub struct Secret(Bytes);

impl Secret {
    /// Takes bytes that are part of a zeroizing buffer.
    pub fn from_zeroizing(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// Copies `bytes` into a zeroizing buffer of its own.
    pub fn copy_from_slice(bytes: &[u8]) -> Self {
        let mut buffer = kmip_ttlv::SecretBuffer::with_capacity(bytes.len());
        buffer.extend_from_slice(bytes);
        buffer.into()
    }

    /// The bytes themselves.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A second holder of the same memory; no byte is copied.
    pub fn share(&self) -> Self {
        Self(self.0.clone())
    }

    /// The buffer itself, for a reader that slices it.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl From<kmip_ttlv::SecretBuffer> for Secret {
    fn from(buffer: kmip_ttlv::SecretBuffer) -> Self {
        Self(buffer.into_bytes())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

macro_rules! primitive_items {
    ($($type:ty: $read:ident, $write:ident, |$value:ident| $inner:expr, $wrap:expr;)*) => {
        $(impl Item for $type {
            fn read(reader: &mut Reader<'_>, tag: Tag, _version: Version) -> Result<Self, Error> {
                reader.$read(tag).map($wrap)
            }

            fn write(&self, writer: &mut Writer, tag: Tag, _version: Version) {
                let $value = self;
                writer.$write(tag, $inner);
            }
        })*
    };
}

primitive_items! {
    i32: integer, integer, |value| *value, |value| value;
    i64: long_integer, long_integer, |value| *value, |value| value;
    bool: boolean, boolean, |value| *value, |value| value;
    ByteString: text, text_string, |value| value, |value| value;
    Bytes: bytes, byte_string, |value| value, |value| value;
    Secret: bytes, byte_string, |value| value.expose(), Secret;
    DateTime: date_time, date_time, |value| value.0, DateTime;
    Interval: interval, interval, |value| value.0, Interval;
}

/// Keeps a large value apart from where it stands; the wire does not tell.
impl<T: Item> Item for Box<T> {
    fn read(reader: &mut Reader<'_>, tag: Tag, version: Version) -> Result<Self, Error> {
        T::read(reader, tag, version).map(Self::new)
    }

    fn write(&self, writer: &mut Writer, tag: Tag, version: Version) {
        T::write(self, writer, tag, version);
    }

    fn is_known(&self, version: Version) -> bool {
        T::is_known(self, version)
    }
}

impl Item for BigInteger {
    fn read(reader: &mut Reader<'_>, tag: Tag, _version: Version) -> Result<Self, Error> {
        let value = reader.big_integer(tag)?;
        Ok(Self(Bytes::copy_from_slice(value)))
    }

    fn write(&self, writer: &mut Writer, tag: Tag, _version: Version) {
        writer.big_integer(tag, &self.0);
    }
}

macro_rules! enumeration_item {
    ($name:ident) => {
        impl $crate::codec::Item for $name {
            fn read(
                reader: &mut kmip_ttlv::Reader<'_>,
                tag: kmip_ttlv::Tag,
                _version: $crate::version::Version,
            ) -> Result<Self, kmip_ttlv::Error> {
                reader.known_enumeration(tag, Self::from_value)
            }

            fn write(
                &self,
                writer: &mut kmip_ttlv::Writer,
                tag: kmip_ttlv::Tag,
                _version: $crate::version::Version,
            ) {
                writer.enumeration(tag, self.value());
            }

            fn is_known(&self, version: $crate::version::Version) -> bool {
                self.since().knows(version)
            }
        }
    };
}
pub(crate) use enumeration_item;

macro_rules! mask_item {
    ($name:ident) => {
        impl $crate::codec::Item for $name {
            fn read(
                reader: &mut kmip_ttlv::Reader<'_>,
                tag: kmip_ttlv::Tag,
                _version: $crate::version::Version,
            ) -> Result<Self, kmip_ttlv::Error> {
                reader.integer(tag).map(Self)
            }

            fn write(
                &self,
                writer: &mut kmip_ttlv::Writer,
                tag: kmip_ttlv::Tag,
                version: $crate::version::Version,
            ) {
                writer.integer(tag, self.for_version(version).0);
            }
        }
    };
}
pub(crate) use mask_item;

/// Declares a structure: one line a field, `kind name: Type = TAG [versions];`.
///
/// | kind | in Rust | on the wire |
/// | --- | --- | --- |
/// | `required` | `Type` | exactly one item |
/// | `optional` | `Option<Type>` | none or one |
/// | `essential` | `Option<Type>` | none or one; never left out: who does not know the value does not know the structure |
/// | `repeated` | `Vec<Type>` | any number |
/// | `choice` | `Type: Choice` | exactly one item, under a tag that the value determines |
/// | `choices` | `Vec<Type: Choice>` | any number of such |
/// | `attributes` | [`Attributes`](crate::attribute::Attributes) | as the named spelling says for the version |
///
/// The versions in brackets (default: all) restrict writing only.
macro_rules! structure {
    ($($(#[$doc:meta])* $visibility:vis struct $name:ident {
        $($(#[$field_doc:meta])* $kind:ident $field:ident: $type:ty $(= $tag:ident)? $([$($since:ident),+])?;)*
    })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            $visibility struct $name {
                $($(#[$field_doc])* pub $field: $crate::codec::structure!(@type $kind $type),)*
            }

            impl $crate::codec::Item for $name {
                #[allow(unused_variables, unused_mut)]
                fn read(
                    reader: &mut kmip_ttlv::Reader<'_>,
                    tag: kmip_ttlv::Tag,
                    version: $crate::version::Version,
                ) -> Result<Self, kmip_ttlv::Error> {
                    reader.structure(tag, |reader| {
                        $(let mut $field = $crate::codec::structure!(@start $kind $type);)*
                        while let Some(next) = reader.peek_tag()? {
                            $($crate::codec::structure!(@read $kind $field $type, reader, version, next $(, $tag)?);)*
                            $crate::codec::skip_extension(reader, next)?;
                        }
                        Ok(Self { $($field: $crate::codec::structure!(@finish $kind $field, reader $(, $tag)?),)* })
                    })
                }

                #[allow(unused_variables)]
                fn write(
                    &self,
                    writer: &mut kmip_ttlv::Writer,
                    tag: kmip_ttlv::Tag,
                    version: $crate::version::Version,
                ) {
                    writer.structure(tag, |writer| {
                        $(if $crate::codec::structure!(@since version $($($since),+)?) {
                            $crate::codec::structure!(@write $kind self.$field, writer, version $(, $tag)?);
                        })*
                    });
                }

                #[allow(unused_variables)]
                fn is_known(&self, version: $crate::version::Version) -> bool {
                    true $(&& $crate::codec::structure!(@known $kind self.$field, version))*
                }
            }
        )*
    };

    (@type required $type:ty) => { $type };
    (@type optional $type:ty) => { Option<$type> };
    (@type essential $type:ty) => { Option<$type> };
    (@type repeated $type:ty) => { Vec<$type> };
    (@type choice $type:ty) => { $type };
    (@type choices $type:ty) => { Vec<$type> };
    (@type attributes $type:ty) => { $type };

    (@start required $type:ty) => { None::<$type> };
    (@start optional $type:ty) => { None::<$type> };
    (@start essential $type:ty) => { None::<$type> };
    (@start repeated $type:ty) => { Vec::<$type>::new() };
    (@start choice $type:ty) => { None::<$type> };
    (@start choices $type:ty) => { Vec::<$type>::new() };
    (@start attributes $type:ty) => { $crate::attribute::AttributeList::default() };

    (@read required $field:ident $type:ty, $reader:ident, $version:ident, $next:ident, $tag:ident) => {
        if $next == $crate::tag::$tag {
            $crate::codec::once(&mut $field, $reader, |reader| {
                <$type as $crate::codec::Item>::read(reader, $next, $version)
            })?;
            continue;
        }
    };
    (@read optional $($rest:tt)*) => { $crate::codec::structure!(@read required $($rest)*) };
    (@read essential $($rest:tt)*) => { $crate::codec::structure!(@read required $($rest)*) };
    (@read repeated $field:ident $type:ty, $reader:ident, $version:ident, $next:ident, $tag:ident) => {
        if $next == $crate::tag::$tag {
            $field.push(<$type as $crate::codec::Item>::read($reader, $next, $version)?);
            continue;
        }
    };
    (@read choice $field:ident $type:ty, $reader:ident, $version:ident, $next:ident) => {
        if <$type as $crate::codec::Choice>::accepts($next) {
            $crate::codec::once(&mut $field, $reader, |reader| {
                <$type as $crate::codec::Choice>::read(reader, $version)
            })?;
            continue;
        }
    };
    (@read choices $field:ident $type:ty, $reader:ident, $version:ident, $next:ident) => {
        if <$type as $crate::codec::Choice>::accepts($next) {
            $field.push(<$type as $crate::codec::Choice>::read($reader, $version)?);
            continue;
        }
    };
    (@read attributes $field:ident $type:ty, $reader:ident, $version:ident, $next:ident, $spelling:ident) => {
        if $crate::attribute::Spelling::$spelling.accepts($next) {
            $field.read_more($reader, $next, $version)?;
            continue;
        }
    };

    (@finish required $field:ident, $reader:ident, $tag:ident) => {
        $field.ok_or_else(|| $crate::codec::missing($reader, $crate::tag::$tag))?
    };
    (@finish choice $field:ident, $reader:ident) => {
        $field.ok_or_else(|| $reader.error(kmip_ttlv::ErrorKind::InvalidValue))?
    };
    (@finish attributes $field:ident, $reader:ident, $spelling:ident) => { $field.attributes };
    (@finish $kind:ident $field:ident, $reader:ident $(, $tag:ident)?) => { $field };

    (@since $version:ident) => { true };
    (@since $version:ident $($since:ident),+) => {
        const { $crate::version::Since::new(&[$($crate::version::$since),+]) }.knows($version)
    };

    (@write required $value:expr, $writer:ident, $version:ident, $tag:ident) => {
        $crate::codec::Item::write(&$value, $writer, $crate::tag::$tag, $version)
    };
    (@write optional $value:expr, $writer:ident, $version:ident, $tag:ident) => {
        for value in $value.iter().filter(|value| $crate::codec::Item::is_known(*value, $version)) {
            $crate::codec::Item::write(value, $writer, $crate::tag::$tag, $version);
        }
    };
    (@write essential $value:expr, $writer:ident, $version:ident, $tag:ident) => {
        if let Some(value) = &$value {
            $crate::codec::Item::write(value, $writer, $crate::tag::$tag, $version);
        }
    };
    (@write repeated $($rest:tt)*) => { $crate::codec::structure!(@write optional $($rest)*) };
    (@write choice $value:expr, $writer:ident, $version:ident) => {
        $crate::codec::Choice::write(&$value, $writer, $version)
    };
    (@write choices $value:expr, $writer:ident, $version:ident) => {
        for value in $value.iter().filter(|value| $crate::codec::Choice::is_known(*value, $version)) {
            $crate::codec::Choice::write(value, $writer, $version);
        }
    };
    (@write attributes $value:expr, $writer:ident, $version:ident, $spelling:ident) => {
        $value.write($writer, &$crate::attribute::Spelling::$spelling, $version)
    };

    (@known required $value:expr, $version:ident) => { $crate::codec::Item::is_known(&$value, $version) };
    (@known essential $value:expr, $version:ident) => {
        $value.iter().all(|value| $crate::codec::Item::is_known(value, $version))
    };
    (@known choice $value:expr, $version:ident) => { $crate::codec::Choice::is_known(&$value, $version) };
    (@known $kind:ident $value:expr, $version:ident) => { true };
}
pub(crate) use structure;

/// Reads a field that may stand only once.
pub(crate) fn once<'a, T>(
    field: &mut Option<T>,
    reader: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, Error>,
) -> Result<(), Error> {
    if field.is_some() {
        return Err(reader.error(ErrorKind::DuplicateItem));
    }
    *field = Some(read(reader)?);
    Ok(())
}

/// The error for a required field that did not come.
pub(crate) fn missing(reader: &Reader<'_>, expected: Tag) -> Error {
    reader.error(ErrorKind::MissingItem { expected })
}

/// The versions that know the type Date-Time Extended.
pub(crate) const DATE_TIME_EXTENDED: Since = Since::new(&[V2_0]);

/// Whether a peer of `version` knows items that are kept encoded: their tags, types, enumeration values and bits.
pub(crate) fn encoded_is_known(items: &Bytes, version: Version) -> bool {
    let limits = Limits {
        message_bytes: items.len(),
        value_bytes: items.len(),
        items: items.len(),
        ..Limits::default()
    };
    Reader::new(items, limits).and_then(|mut reader| judge_encoded(&mut reader, version)).is_ok()
}

fn judge_encoded(reader: &mut Reader<'_>, version: Version) -> Result<(), Error> {
    while let Some(Header { tag, item_type, .. }) = reader.peek()? {
        let unknown = reader.error(ErrorKind::InvalidValue);
        let is_extension = tag::is_extension(tag);
        let is_known = match item_type {
            ItemType::Structure => {
                reader.structure(tag, |inside| judge_encoded(inside, version)).map(|()| true)?
            }
            ItemType::Enumeration => {
                let value = reader.enumeration(tag)?;
                is_extension || enumeration::table(tag).is_some_and(|table| table.knows(value, version))
            }
            ItemType::Integer => {
                let bits = reader.integer(tag)?;
                mask::table(tag).is_none_or(|table| table.knows(bits, version))
            }
            ItemType::DateTimeExtended => reader.skip().map(|()| DATE_TIME_EXTENDED.knows(version))?,
            _ => reader.skip().map(|()| true)?,
        };
        if !is_known || !is_extension && !tag::row(tag).is_some_and(|row| row.since.knows(version)) {
            return Err(unknown);
        }
    }
    Ok(())
}

/// Passes over an extension; anything else is an item that does not belong here.
pub(crate) fn skip_extension(reader: &mut Reader<'_>, next: Tag) -> Result<(), Error> {
    if tag::is_extension(next) { reader.skip() } else { Err(reader.error(ErrorKind::UnexpectedItem)) }
}
