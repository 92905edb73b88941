//! Process (6.1.39): hurries an asynchronous operation. There are none.

use kmip_protocol::operation::ProcessResponse;

use super::cancel::no_such_request;
use crate::fault::Fault;

pub(super) fn handle() -> Result<ProcessResponse, Fault> {
    Err(no_such_request())
}
