//! One focused test an operation, through the bytes of a message and back.

#![allow(clippy::unwrap_used)]

mod cryptography;
mod keys;
mod lifecycle;
mod streaming;
mod wrapping;
