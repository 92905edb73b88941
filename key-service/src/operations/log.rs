//! Log (6.1.29): a line of the client's in the log of the server.

use kmip_protocol::operation::{LogRequest, LogResponse};

use crate::context::Context;
use crate::fault::Fault;

/// Bytes of a message that are logged at most.
const MAXIMUM_LOG_MESSAGE_BYTES: usize = 4096;

pub(super) fn handle(context: &Context<'_>, request: &LogRequest) -> Result<LogResponse, Fault> {
    if request.log_message.len() > MAXIMUM_LOG_MESSAGE_BYTES {
        return Err(Fault::invalid_field("the log message is too long"));
    }
    tracing::info!(
        tenant = %context.principal.tenant,
        principal = %context.principal.name,
        // Quoted: a line break in it does not begin a line of the log.
        text = ?request.log_message.as_ref() as &str,
        "client log"
    );
    Ok(LogResponse {})
}
