//! Check: as key-service answers it. Asked whether an L1 may unwrap keys, the Core lets it do so: the drill.

use key_service::context::Context;
use key_service::fault::Fault;
use key_service::operations;
use key_service::record::Record;
use kmip_protocol::enumeration::State;
use kmip_protocol::mask::CryptographicUsageMask;
use kmip_protocol::operation::{CheckRequest, CheckResponse, Request, Response};

use crate::chain::{self, Level};
use crate::seat::Seat;
use crate::store::of_tenant;
use crate::vault::VaultError;

pub(super) async fn handle(
    seat: &Seat,
    context: &mut Context<'_>,
    request: CheckRequest,
) -> Result<Response, Fault> {
    let record = context.live_object(request.unique_identifier.as_ref()).await?;
    let unwraps = request
        .cryptographic_usage_mask
        .is_some_and(|mask| mask.contains(CryptographicUsageMask::UNWRAP_KEY));
    if Level::of(&record) != Level::L1 || !unwraps {
        return operations::handle(context, Request::Check(request)).await;
    }
    drill(seat, context, &record).await?;
    let unique_identifier = record.unique_identifier.clone();
    Ok(CheckResponse {
        unique_identifier,
        usage_limits_count: None,
        cryptographic_usage_mask: None,
        lease_time: None,
    }
    .into())
}

/// Lets an L1 open every L2 that is sealed under it.
async fn drill(seat: &Seat, context: &Context<'_>, l1: &Record) -> Result<(), Fault> {
    if l1.state() != Some(State::Active) {
        return Err(Fault::wrong_state("the L1 is not Active: it opens nothing"));
    }
    let tenant = chain::tenant(l1).ok_or_else(|| Fault::general_failure("the key has no tenant"))?;
    let mut proved = 0;
    for l2 in of_tenant(&*context.service.store, tenant).await? {
        let in_use = matches!(l2.state(), Some(State::PreActive | State::Active));
        if Level::of(&l2) != Level::L2 || !in_use || !chain::is_wrapped_by(&l2, &l1.unique_identifier) {
            continue;
        }
        let anchors = seat.vault.anchors_of(&l2).await?;
        let anchor = anchors.iter().find(|anchor| anchor.unique_identifier == l1.unique_identifier);
        let anchor = anchor.ok_or(VaultError::Missing)?;
        seat.switch.prove(tenant, &l2.unique_identifier, anchor).await.map_err(VaultError::from)?;
        proved += 1;
    }
    match proved {
        0 => Err(Fault::wrong_state("nothing is sealed under this L1")),
        _ => Ok(()),
    }
}
