//! KMIP syntax: bytes to items and back (TTLV, XML, JSON).
//!
//! A message is a tree of items, each with a [`Tag`], an [`ItemType`] and a value (KMIP 2.1, section 9). This crate
//! knows how items are written down, and nothing of what they mean:
//!
//! * [`Reader`] and [`Writer`] are the binary form, TTLV: one method a type on either side. Reading is strict (what is
//!   accepted has exactly one encoding), bounded by [`Limits`], and neither copies nor allocates; writing goes into a
//!   [`SecretBuffer`] that zeroizes what it leaves behind.
//! * [`xml`] and [`json`] turn TTLV into the text forms and back; [`dump`] prints it for a debug log without its
//!   secrets. The names they use come from a [`Dictionary`] that the caller brings.
//! * [`message_length`] tells a transport how much to wait for.
//!
//! ```
//! use kmip_ttlv::{Error, Limits, Reader, Tag, Writer};
//!
//! const PROTOCOL_VERSION: Tag = Tag::new(0x42_0069);
//! const MAJOR: Tag = Tag::new(0x42_006A);
//! const MINOR: Tag = Tag::new(0x42_006B);
//!
//! let mut writer = Writer::new();
//! writer.structure(PROTOCOL_VERSION, |version| {
//!     version.integer(MAJOR, 2);
//!     version.integer(MINOR, 1);
//! });
//! let message = writer.finish().into_bytes();
//!
//! let mut reader = Reader::new(&message, Limits::default())?;
//! let version = reader.structure(PROTOCOL_VERSION, |version| {
//!     let major = version.integer(MAJOR)?;
//!     // An optional item: look first.
//!     let minor = match version.peek_tag()? {
//!         Some(MINOR) => version.integer(MINOR)?,
//!         _ => 0,
//!     };
//!     Ok::<_, Error>((major, minor))
//! })?;
//! reader.finish()?;
//! assert_eq!(version, (2, 1));
//! # Ok::<(), Error>(())
//! ```
#![forbid(unsafe_code)]

mod dictionary;
pub mod dump;
mod error;
mod item;
pub mod json;
mod limits;
mod reader;
mod secret_buffer;
mod text;
mod value;
mod writer;
pub mod xml;

pub use dictionary::{Dictionary, NoDictionary};
pub use error::{Error, ErrorKind};
pub use item::{Header, ItemType, Tag};
pub use limits::Limits;
pub use reader::{RawItem, Reader, message_length};
pub use secret_buffer::SecretBuffer;
pub use text::{TextError, TextErrorKind};
pub use writer::Writer;
