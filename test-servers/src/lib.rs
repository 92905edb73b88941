//! Real servers for tests: each on a free port of 127.0.0.1, in a folder of its own, and ended when it is dropped. For
//! tests only, so what fails here panics.
//!
//! A server's first process is our child, so whatever ends the test's process group ends the server too.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)]

mod postgres;
mod process;
mod redis;
mod server;

pub use postgres::{Postgres, PostgresOptions};
pub use process::free_port;
pub use redis::{Redis, RedisCluster, RedisOptions};
pub use server::Server;
