//! Tests of the command line and of the tree as a whole.

#![allow(clippy::unwrap_used)]

mod application;
mod audit;
mod chain;
mod dev;
mod hsm;
mod policy;
mod protocol;
mod pykmip;
mod stack;
mod tidy;
