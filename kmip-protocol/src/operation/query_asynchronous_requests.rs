//! Query Asynchronous Requests (6.1.41 of KMIP 2.1): lists asynchronous operations.

use crate::codec::structure;
use crate::structures::{AsynchronousCorrelationValues, AsynchronousRequest, Operations};

structure! {
    /// Lists asynchronous operations.
    pub struct QueryAsynchronousRequestsRequest {
        /// Which ones; all where absent.
        optional asynchronous_correlation_values: AsynchronousCorrelationValues = ASYNCHRONOUS_CORRELATION_VALUES;
        /// Of which kind; all where absent.
        optional operations: Operations = OPERATIONS;
    }

    /// The answer to [`QueryAsynchronousRequestsRequest`].
    pub struct QueryAsynchronousRequestsResponse {
        /// The operations.
        repeated asynchronous_requests: AsynchronousRequest = ASYNCHRONOUS_REQUEST;
    }
}
