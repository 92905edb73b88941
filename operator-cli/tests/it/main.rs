//! Tests of the command line and of the tree as a whole.

#![allow(clippy::unwrap_used)]

mod dev;
mod protocol;
mod pykmip;
mod stack;
mod tidy;
