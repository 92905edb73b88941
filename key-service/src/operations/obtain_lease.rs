//! Obtain Lease (6.1.33): for how long a client may use an object before it asks again.

use kmip_protocol::attribute::AttributeType;
use kmip_protocol::operation::{ObtainLeaseRequest, ObtainLeaseResponse};

use crate::context::Context;
use crate::fault::Fault;

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: ObtainLeaseRequest,
) -> Result<ObtainLeaseResponse, Fault> {
    let record = context.live_object(request.unique_identifier.as_ref()).await?;
    context.admit(&record).await?;
    let last_change_date = record.date(AttributeType::LastChangeDate);
    Ok(ObtainLeaseResponse {
        unique_identifier: record.unique_identifier.clone(),
        lease_time: context.service.lease_time(),
        last_change_date: last_change_date.unwrap_or_else(|| context.service.clock.now()),
    })
}
