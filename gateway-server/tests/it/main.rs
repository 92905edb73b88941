//! The Gateway with a real Core beside it: outages, kills, searches for secrets, hostile peers. Every test has servers of its own,
//! on free ports and in a folder of its own.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, unreachable_pub)]

mod application;
mod audit;
mod backup;
mod check;
mod cores;
mod crash;
mod delays;
mod edited_store;
mod export;
mod expulsion;
mod full_disk;
mod hostile;
mod isolation;
mod lines;
mod load;
mod memory;
mod opentelemetry;
mod operator;
mod outage;
mod partition;
mod postgres;
mod redis;
mod revocation;
mod rotation;
mod secrets;
mod shared_store;
mod shredding;
mod system;
