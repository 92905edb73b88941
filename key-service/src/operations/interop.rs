//! Interop (6.1.26): marks the beginning and the end of a test.

use kmip_protocol::enumeration::InteropFunction;
use kmip_protocol::operation::{InteropRequest, InteropResponse};

use crate::fault::Fault;

pub(super) fn handle(request: &InteropRequest) -> Result<InteropResponse, Fault> {
    match request.interop_function {
        InteropFunction::Begin | InteropFunction::End => Ok(InteropResponse {}),
        // Reset would empty a store that others use too.
        _ => Err(Fault::permission_denied("the server is not reset by clients")),
    }
}
