//! A Core as operators and Gateways see it: real TLS on loopback, typed messages, certificates made for each test.
#![allow(clippy::unwrap_used, clippy::print_stdout, unreachable_pub)]

mod anchors;
mod attributes;
mod audit;
mod binary;
mod binding;
mod chain;
mod client;
mod cold_start;
mod configuration;
mod expulsion;
mod governance;
mod ledger;
mod lifecycle;
mod memory;
mod pkcs11;
mod pki;
mod profile;
mod record_keys;
mod restart;
mod rig;
mod rotation;
mod shredding;
mod tenants;
mod tombstones;
mod wrapping;
