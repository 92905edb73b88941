//! Check (6.1.5): asks whether an object may be used in a given way.

use kmip_protocol::attribute::{Attribute, AttributeType};
use kmip_protocol::enumeration::ResultReason;
use kmip_protocol::operation::{CheckRequest, CheckResponse};

use crate::context::Context;
use crate::fault::Fault;
use crate::record::Record;

pub(super) async fn handle(context: &mut Context<'_>, request: CheckRequest) -> Result<CheckResponse, Fault> {
    let record = context.live_object(request.unique_identifier.as_ref()).await?;
    if let Some(mask) = request.cryptographic_usage_mask
        && !record.usage_mask().contains(mask)
    {
        let message = "the Cryptographic Usage Mask of the object does not allow this use";
        return Err(Fault::new(ResultReason::IncompatibleCryptographicUsageMask, message));
    }
    if let Some(wanted) = request.usage_limits_count
        && uses_left(&record).is_some_and(|left| left < wanted)
    {
        return Err(Fault::new(ResultReason::UsageLimitExceeded, "fewer uses are left"));
    }
    if request.lease_time.is_some_and(|wanted| wanted > context.service.lease_time()) {
        return Err(Fault::permission_denied("leases are not given for so long"));
    }
    Ok(CheckResponse {
        unique_identifier: record.unique_identifier.clone(),
        usage_limits_count: None,
        cryptographic_usage_mask: None,
        lease_time: None,
    })
}

/// Uses left; `None` without a limit.
fn uses_left(record: &Record) -> Option<i64> {
    match record.attribute(AttributeType::UsageLimits) {
        Some(Attribute::UsageLimits(limits)) if limits.total >= 0 => {
            Some(limits.count.unwrap_or(limits.total))
        }
        _ => None,
    }
}
