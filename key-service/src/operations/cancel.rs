//! Cancel (6.1.5): cancels an asynchronous operation. There are none.

use kmip_protocol::enumeration::ResultReason;
use kmip_protocol::operation::CancelResponse;

use crate::fault::Fault;

pub(super) fn handle() -> Result<CancelResponse, Fault> {
    Err(no_such_request())
}

/// Every request is answered at once, so no correlation value was ever given out.
pub(super) fn no_such_request() -> Fault {
    let message = "no operation is outstanding under this Asynchronous Correlation Value";
    Fault::new(ResultReason::InvalidAsynchronousCorrelationValue, message)
}
