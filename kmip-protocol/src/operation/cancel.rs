//! Cancel (6.1.5 of KMIP 2.1): cancels an asynchronous operation.

use bytes::Bytes;

use crate::codec::structure;
use crate::enumeration::CancellationResult;

structure! {
    /// Cancels an asynchronous operation.
    pub struct CancelRequest {
        /// Which operation.
        required asynchronous_correlation_value: Bytes = ASYNCHRONOUS_CORRELATION_VALUE;
    }

    /// The answer to [`CancelRequest`].
    pub struct CancelResponse {
        /// Which operation.
        required asynchronous_correlation_value: Bytes = ASYNCHRONOUS_CORRELATION_VALUE;
        /// What came of it.
        required cancellation_result: CancellationResult = CANCELLATION_RESULT;
    }
}
