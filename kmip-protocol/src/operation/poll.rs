//! Poll (6.1.38 of KMIP 2.1): asks for the result of an asynchronous operation.

use bytes::Bytes;

use crate::codec::structure;

structure! {
    /// Asks for the result of an asynchronous operation.
    pub struct PollRequest {
        /// Which operation.
        required asynchronous_correlation_value: Bytes = ASYNCHRONOUS_CORRELATION_VALUE;
    }

    /// The answer to [`PollRequest`].
    pub struct PollResponse {}
}
