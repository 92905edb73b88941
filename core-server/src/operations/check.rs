//! Check: as key-service answers it. Asked whether an L1 may unwrap keys, the Core lets it do so: the drill. It is work for
//! the root and may close the tenant, so a policy sees it as `manage`, and a tenant has one at a time.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytestring::ByteString;
use key_service::context::Context;
use key_service::fault::Fault;
use key_service::operations;
use key_service::record::Record;
use kmip_protocol::enumeration::{ResultReason, State};
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
    let request = Request::Check(request);
    if !is_drill(&request, &record) {
        return operations::handle(context, request).await;
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

/// Whether a request asks an L1 to open what is sealed under it.
pub(crate) fn is_drill(request: &Request, record: &Record) -> bool {
    match request {
        Request::Check(request) => {
            let mask = request.cryptographic_usage_mask;
            let unwraps = mask.is_some_and(|mask| mask.contains(CryptographicUsageMask::UNWRAP_KEY));
            unwraps && Level::of(record) == Level::L1
        }
        _ => false,
    }
}

/// The tenants that are being drilled.
#[derive(Default)]
pub(crate) struct Drills(Arc<Mutex<HashSet<ByteString>>>);

/// A drill of a tenant, until it is dropped.
struct Drill {
    drills: Drills,
    tenant: ByteString,
}

impl Drills {
    /// Begins a drill, unless one of the tenant goes on.
    fn begin(&self, tenant: &ByteString) -> Result<Drill, Fault> {
        match self.tenants().insert(tenant.clone()) {
            true => Ok(Drill { drills: Self(Arc::clone(&self.0)), tenant: tenant.clone() }),
            false => Err(Fault::new(
                ResultReason::ServerLimitExceeded,
                "an L1 of this tenant is being drilled: ask again when that has ended",
            )),
        }
    }

    fn tenants(&self) -> MutexGuard<'_, HashSet<ByteString>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Drill {
    fn drop(&mut self) {
        self.drills.tenants().remove(&self.tenant);
    }
}

/// Lets an L1 open every L2 that is sealed under it.
async fn drill(seat: &Seat, context: &Context<'_>, l1: &Record) -> Result<(), Fault> {
    if l1.state() != Some(State::Active) {
        return Err(Fault::wrong_state("the L1 is not Active: it opens nothing"));
    }
    let tenant = chain::tenant(l1).ok_or_else(|| Fault::general_failure("the key has no tenant"))?;
    let _alone = seat.drills.begin(tenant)?;
    let opening = seat.vault.begin_opening(tenant);
    let mut proved = 0;
    for l2 in of_tenant(&*context.service.store, tenant).await? {
        let in_use = matches!(l2.state(), Some(State::PreActive | State::Active));
        if Level::of(&l2) != Level::L2 || !in_use || !chain::is_wrapped_by(&l2, &l1.unique_identifier) {
            continue;
        }
        let anchors = seat.vault.anchors_of(&l2).await?;
        let anchor = anchors.iter().find(|anchor| anchor.unique_identifier == l1.unique_identifier);
        let anchor = anchor.ok_or(VaultError::Missing)?;
        seat.vault.prove(&opening, &l2.unique_identifier, anchor).await.map_err(VaultError::from)?;
        proved += 1;
    }
    match proved {
        0 => Err(Fault::wrong_state("nothing is sealed under this L1")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_tenant_is_drilled_by_one_at_a_time() {
        let (drills, acme, globex) = (Drills::default(), "acme".into(), "globex".into());
        let first = drills.begin(&acme).unwrap();
        assert_eq!(drills.begin(&acme).err().unwrap().reason, ResultReason::ServerLimitExceeded);
        drop(drills.begin(&globex).unwrap());
        assert!(drills.begin(&acme).is_err(), "who was refused has ended nothing");
        drop(first);
        drop(drills.begin(&acme).unwrap());
    }
}
