//! Obtain Lease: for how long a Gateway may use what an L3 sealed before it asks again. Granted only while the L3 could
//! be used here: a lease on a closed tenant would outlive its closing.

use bytestring::ByteString;
use governance::Action;
use key_service::context::Context;
use key_service::fault::Fault;
use kmip_protocol::attribute::AttributeType;
use kmip_protocol::codec::Interval;
use kmip_protocol::enumeration::ResultReason;
use kmip_protocol::operation::{ObtainLeaseRequest, ObtainLeaseResponse};

use super::encrypt::use_key;
use crate::leases::{Life, NoLease};
use crate::seat::Seat;
use crate::tombstones::Plot;

pub(super) async fn handle(
    seat: &Seat,
    context: &Context<'_>,
    request: ObtainLeaseRequest,
) -> Result<ObtainLeaseResponse, Fault> {
    let identifier = request.unique_identifier.as_ref();
    let life = life(context)?;
    // Not of a Gateway that was revoked: it writes nothing down here any more.
    drop(seat.admission.enter()?);
    seat.stores.note(&life).await?;
    let grant = || {
        // Granted while the key is held: whoever wipes it and recalls its leases then finds this one.
        use_key(seat, context, identifier, Action::Lease, |key, _| {
            let of = Plot::of(key.tenant(), key.record());
            let granted = seat.leases.grant(&key.record().unique_identifier, &of, &life);
            Ok((granted, key.record().date(AttributeType::LastChangeDate)))
        })
    };
    let (unique_identifier, (mut granted, mut changed)) = grant().await?;
    if granted == Err(NoLease::Owed) {
        // It is being told, as a rule: then the key is given up in a moment.
        seat.leases.given_up(&unique_identifier, &life).await;
        (granted, changed) = grant().await?.1;
    }
    let lease_time = granted.map_err(|why| match why {
        NoLease::Revoked => Fault::permission_denied("the key was revoked"),
        NoLease::Owed => Fault::general_failure(
            "this Gateway could not be told what to forget: it gets a lease on this key when its earlier one has ended",
        ),
        NoLease::TooManyLives => too_many_lives(),
    })?;
    Ok(ObtainLeaseResponse {
        unique_identifier,
        lease_time: Interval(u32::try_from(lease_time.as_secs()).unwrap_or(u32::MAX)),
        last_change_date: changed.unwrap_or_else(|| context.service.clock.now()),
    })
}

/// Each life of a Gateway delays revocations: there are not many of one certificate at a time.
pub(super) fn too_many_lives() -> Fault {
    Fault::new(
        ResultReason::ServerLimitExceeded,
        "too many lives of this Gateway hold leases; wait until those of earlier ones have ended",
    )
}

/// Bytes of the name of a life at most: the book of leases keeps it.
const MAXIMUM_INSTANCE_BYTES: usize = 64;

/// The life of the Gateway that asks. One that does not name its life shares a nameless one with others of its certificate: it
/// is never told of a revocation, and its leases delay one until they end.
///
/// # Errors
/// If the name of the life is too long.
pub(super) fn life(context: &Context<'_>) -> Result<Life, Fault> {
    let instance = context.client_correlation_value.as_deref().unwrap_or_default();
    if instance.len() > MAXIMUM_INSTANCE_BYTES {
        return Err(Fault::invalid_field(
            "Client Correlation Value, the name of a Gateway's life, is too long",
        ));
    }
    Ok(Life { gateway: ByteString::from(&*context.principal.name), instance: ByteString::from(instance) })
}
