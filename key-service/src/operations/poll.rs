//! Poll (6.1.38): asks for the outcome of an asynchronous operation. There are none.

use kmip_protocol::operation::PollResponse;

use super::cancel::no_such_request;
use crate::fault::Fault;

pub(super) fn handle() -> Result<PollResponse, Fault> {
    Err(no_such_request())
}
