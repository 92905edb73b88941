//! The transport as its users see it: real TLS on loopback, certificates made for each test.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod admin;
mod client;
mod exchange;
mod hostile;
mod https;
mod pki;
mod push;
mod reload;
mod rig;
mod shutdown;
