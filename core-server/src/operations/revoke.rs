//! Revoke: an L3 unwraps only (Deactivated) or nothing at all (Compromised); an L1 or L2 closes all that is below it. By
//! the time of the answer the vault has forgotten the keys concerned (see [`WatchedStore`](crate::store::WatchedStore)).
//!
//! What is revoked already may be revoked again: whoever got no answer, or a failure, asks once more, and is answered when nobody can
//! use it any more.

use bytestring::ByteString;
use key_service::context::Context;
use key_service::fault::Fault;
use key_service::operations;
use key_service::record::Record;
use kmip_protocol::enumeration::State;
use kmip_protocol::lifecycle::{self, Event};
use kmip_protocol::operation::{Request, Response, RevokeRequest, RevokeResponse};

use super::activate::drop_active_name;

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: RevokeRequest,
) -> Result<RevokeResponse, Fault> {
    let record = context.object_to_close(request.unique_identifier.as_ref()).await?;
    if is_repeated(&record, &request) {
        let unique_identifier = record.unique_identifier.clone();
        context.note("repeated", ByteString::from_static("true"));
        // As it is, once more: the same waiting follows.
        context.replace(Record::clone(&record));
        return Ok(RevokeResponse { unique_identifier });
    }
    let Response::Revoke(response) = operations::handle(context, Request::Revoke(request)).await? else {
        return Err(Fault::general_failure("Revoke was answered by another operation"));
    };
    if let Some(record) = context.fetch(&response.unique_identifier).await? {
        let mut record = Record::clone(&record);
        drop_active_name(&mut record);
        context.replace_silently(record);
    }
    Ok(response)
}

/// Whether an object is closed already, at least as far as is asked. A destroyed one is not: that is more, and is said.
fn is_repeated(record: &Record, request: &RevokeRequest) -> bool {
    match lifecycle::revocation(request.revocation_reason.code) {
        Event::Compromise => record.state() == Some(State::Compromised),
        _ => matches!(record.state(), Some(State::Deactivated | State::Compromised)),
    }
}
