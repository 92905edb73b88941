//! Revoke: an L3 unwraps only (Deactivated) or nothing at all (Compromised); an L1 or L2 closes all that is below it. By
//! the time of the answer the vault has forgotten the keys concerned (see [`WatchedStore`](crate::store::WatchedStore)).

use key_service::context::Context;
use key_service::fault::Fault;
use key_service::operations;
use key_service::record::Record;
use kmip_protocol::operation::{Request, Response, RevokeRequest, RevokeResponse};

use super::activate::drop_active_name;

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: RevokeRequest,
) -> Result<RevokeResponse, Fault> {
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
