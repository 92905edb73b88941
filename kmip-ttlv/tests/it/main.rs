//! The codec from outside: published vectors, own fixtures, round trips and hostile input.
#![allow(missing_docs, clippy::unwrap_used)]

mod fixtures;
mod hostile;
mod items;
mod published;
mod round_trip;
mod secret_buffer;
mod tables;
mod tree;
