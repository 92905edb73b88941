//! KMIP as a language: items to typed messages and back, one model for the versions 1.0 to 2.1.
//!
//! * [`tag`], [`enumeration`], [`mask`]: the tables of the specification.
//! * [`codec`]: how structures are declared; every wire fact is said on one line.
//! * [`attribute`], [`key_block`], [`object`]: what objects are made of.
//! * [`operation`]: one file each, and the table of them.
//! * [`message`]: headers and batches.
//! * [`lifecycle`]: the states of an object and what moves it between them.
//! * [`dictionary`]: names for the XML and JSON encodings.
//!
//! The specifications are the OASIS Standards KMIP 1.0 to 2.1; sections are those of 2.1 unless said otherwise.

#![forbid(unsafe_code)]

pub mod attribute;
pub mod codec;
pub mod dictionary;
pub mod enumeration;
pub mod identifier;
pub mod key_block;
pub mod lifecycle;
pub mod mask;
pub mod message;
pub mod object;
pub mod operation;
mod reason;
pub mod structures;
pub mod tag;
pub mod version;

pub use kmip_ttlv::Tag;
pub use version::Version;
