//! Query Asynchronous Requests (6.1.41): lists the asynchronous operations. There are none.

use kmip_protocol::operation::QueryAsynchronousRequestsResponse;

use crate::fault::Fault;

pub(super) fn handle() -> Result<QueryAsynchronousRequestsResponse, Fault> {
    Ok(QueryAsynchronousRequestsResponse { asynchronous_requests: Vec::new() })
}
