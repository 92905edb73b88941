//! The rules of KMIP: what operations do to objects, over ports for everything that has an effect.
//!
//! * [`batch`]: the way of a request message; [`operations`]: one file an operation.
//! * [`service`]: the rules bound to their ports and settings; [`context`]: what one operation works with.
//! * [`streams`]: operations in several parts; [`workers`]: long computations.
//! * [`record`]: what is kept of an object; [`guard`]: what vouches for it; [`creation`], [`attribute_rules`], [`lifecycle_dates`], [`usage`],
//!   [`replacement`]: the rules.
//! * [`key_material`], [`parameters`]: keys and their parameters as cryptography takes them; [`wrapping`]: key wrapping.
//! * [`chain`]: what Core and Gateway agree on.
//! * `index`: by what records are found; `search`: finding them.
//! * [`port`]: storage, sealing, time, randomness, audit; [`store`]: the stores.
//! * [`audit_log`]: what happened, for good, and receipts of it; [`auditing`]: what is recorded of requests.
//! * [`lease`]: why a Revoke means revoked; [`region`]: with several Cores, too.
//! * [`crypto`]: the only module that names a cryptography library; [`memory`]: locked memory; [`durable_files`]: files that are there
//!   whole or not at all.

#![deny(unsafe_code)]

pub mod attribute_rules;
pub mod audit_log;
pub mod auditing;
pub mod batch;
mod certificate;
pub mod chain;
pub mod context;
pub mod creation;
pub mod crypto;
pub mod durable_files;
pub mod fault;
pub mod guard;
mod index;
pub mod key_material;
pub mod lease;
pub mod lifecycle_dates;
pub mod memory;
pub mod operations;
pub mod parameters;
pub mod port;
pub mod principal;
pub mod record;
pub mod region;
pub mod replacement;
mod response_room;
mod search;
pub mod service;
#[cfg(test)]
mod simulation;
pub mod store;
pub mod streams;
#[cfg(test)]
mod testing;
pub mod usage;
pub mod workers;
pub mod wrapping;
