//! KMIP syntax: bytes to items and back (TTLV, XML, JSON).
#![forbid(unsafe_code)]

mod error;
mod item;
mod limits;
mod reader;
mod secret_buffer;
mod writer;

pub use error::{Error, ErrorKind};
pub use item::{Header, ItemType, Tag};
pub use limits::Limits;
pub use reader::{RawItem, Reader, message_length};
pub use secret_buffer::SecretBuffer;
pub use writer::Writer;
