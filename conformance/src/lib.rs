//! Black-box conformance: OASIS cases over the wire against any KMIP server.
//!
//! * [`case`] reads the case files into trees of [`item`]s.
//! * [`placeholder`] fills in what symbolic identifiers stand for.
//! * [`wire`] sends a message and receives the answer, in any of KMIP's encodings.
//! * [`compare`] judges the answer; [`variation`] is the table of what may be otherwise than printed.
//! * [`run`] takes cases through all of that.
//! * [`expectation`] knows which verdicts are expected, and [`report`] says how it went.
//! * [`stack`] starts Krypton's own servers to run against.

#![forbid(unsafe_code)]

pub mod case;
pub mod compare;
pub mod expectation;
pub mod item;
pub mod placeholder;
pub mod report;
pub mod run;
pub mod stack;
pub mod variation;
pub mod wire;

pub(crate) use kmip_protocol::tag;
