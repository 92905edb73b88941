//! One focused test an operation, through the bytes of a message and back.

#![allow(clippy::unwrap_used)]

mod attributes;
mod batches;
mod batches_as_a_whole;
mod certificates;
mod cryptography;
mod guards;
mod intents;
mod keys;
mod known_answers;
mod lifecycle;
mod locate;
mod locate_by_index;
mod looks;
mod streaming;
mod wrapping;
