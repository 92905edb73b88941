//! Process (6.1.39 of KMIP 2.1): runs an asynchronous operation now.

use bytes::Bytes;

use crate::codec::structure;

structure! {
    /// Runs an asynchronous operation now.
    pub struct ProcessRequest {
        /// Which operation.
        required asynchronous_correlation_value: Bytes = ASYNCHRONOUS_CORRELATION_VALUE;
    }

    /// The answer to [`ProcessRequest`].
    pub struct ProcessResponse {}
}
