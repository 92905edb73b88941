//! Obtain Lease: for how long a Gateway may use what an L3 sealed before it asks again. Granted only while the L3 could
//! be used here: a lease on a closed tenant would outlive its closing.

use key_service::context::Context;
use key_service::fault::Fault;
use kmip_protocol::attribute::AttributeType;
use kmip_protocol::operation::{ObtainLeaseRequest, ObtainLeaseResponse};

use super::encrypt::use_key;
use crate::metrics::Use;
use crate::seat::Seat;

pub(super) async fn handle(
    seat: &Seat,
    context: &Context<'_>,
    request: ObtainLeaseRequest,
) -> Result<ObtainLeaseResponse, Fault> {
    let identifier = request.unique_identifier.as_ref();
    let (unique_identifier, changed) = use_key(seat, context, identifier, Use::Unwrap, |key, _| {
        Ok(key.record().date(AttributeType::LastChangeDate))
    })
    .await?;
    Ok(ObtainLeaseResponse {
        unique_identifier,
        lease_time: context.service.lease_time(),
        last_change_date: changed.unwrap_or_else(|| context.service.clock.now()),
    })
}
