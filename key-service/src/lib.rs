//! KMIP rules: operations, lifecycle, attributes, and the ports they need.

pub mod crypto;
pub mod memory;
pub mod port;
pub mod record;
pub mod store;
