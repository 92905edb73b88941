//! The language from outside: published exchanges, arbitrary messages, strict writing and hostile input.
#![allow(missing_docs, clippy::unwrap_used)]

mod allocation;
mod hostile;
mod published;
mod reasons;
mod record;
mod round_trip;
mod sample;
mod strictness;
mod tree;
mod vectors;
