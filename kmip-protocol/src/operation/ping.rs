//! Ping (6.1.36 of KMIP 2.1): asks whether the server is alive.

use crate::codec::structure;

structure! {
    /// Asks whether the server is alive.
    pub struct PingRequest {}

    /// The answer to [`PingRequest`].
    pub struct PingResponse {}
}
