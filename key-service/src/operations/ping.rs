//! Ping (6.1.36): the server is alive.

use kmip_protocol::operation::PingResponse;

use crate::fault::Fault;

pub(super) fn handle() -> Result<PingResponse, Fault> {
    Ok(PingResponse {})
}
