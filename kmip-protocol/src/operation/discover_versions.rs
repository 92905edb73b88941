//! Discover Versions (6.1.16 of KMIP 2.1): asks for the protocol versions that the server speaks.

use crate::codec::structure;
use crate::version::Version;

structure! {
    /// Asks for the protocol versions that the server speaks.
    pub struct DiscoverVersionsRequest {
        /// The versions that the client speaks; all where none is named.
        repeated protocol_versions: Version = PROTOCOL_VERSION;
    }

    /// The answer to [`DiscoverVersionsRequest`].
    pub struct DiscoverVersionsResponse {
        /// Those that both speak, the preferred one first.
        repeated protocol_versions: Version = PROTOCOL_VERSION;
    }
}
