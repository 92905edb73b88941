//! The rules of KMIP: what operations do to objects, over ports for everything that has an effect.
//!
//! * [`batch`]: the way of a request message; [`operations`]: one file an operation.
//! * [`service`]: the rules bound to their ports and settings; [`context`]: what one operation works with.
//! * [`record`]: what is kept of an object; [`creation`], [`attribute_rules`], [`lifecycle_dates`], [`usage`]: the rules.
//! * [`chain`]: what Core and Gateway agree on.
//! * [`port`]: storage, sealing, time, randomness, audit; [`store`]: the stores.
//! * [`crypto`]: the only module that names a cryptography library; [`memory`]: locked memory.

#![deny(unsafe_code)]

pub mod attribute_rules;
pub mod batch;
mod certificate;
pub mod chain;
pub mod context;
pub mod creation;
pub mod crypto;
pub mod fault;
pub mod lifecycle_dates;
pub mod memory;
pub mod operations;
pub mod port;
pub mod principal;
pub mod record;
pub mod service;
pub mod store;
pub mod usage;
