//! Get Usage Allocation (6.1.23): sets uses of a key aside for a client that protects data by itself.

use kmip_protocol::attribute::{Attribute, AttributeType, UsageLimits};
use kmip_protocol::enumeration::{ResultReason, State};
use kmip_protocol::lifecycle::{self, Purpose};
use kmip_protocol::operation::{GetUsageAllocationRequest, GetUsageAllocationResponse};

use crate::context::Context;
use crate::fault::Fault;
use crate::record::Record;
use crate::usage;

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: GetUsageAllocationRequest,
) -> Result<GetUsageAllocationResponse, Fault> {
    let record = context.live_object(request.unique_identifier.as_ref()).await?;
    if request.usage_limits_count <= 0 {
        return Err(Fault::invalid_field("Usage Limits Count is not positive"));
    }
    let Some(Attribute::UsageLimits(limits)) = record.attribute(AttributeType::UsageLimits) else {
        return Err(Fault::new(ResultReason::AttributeNotFound, "the object has no Usage Limits"));
    };
    if !lifecycle::allows(record.state().unwrap_or(State::PreActive), Purpose::Protect) {
        return Err(Fault::permission_denied("the state of the object does not allow it to protect"));
    }
    usage::judge_dates(context, &record, Purpose::Protect)
        .map_err(|_| Fault::permission_denied("the object does not protect any more"))?;
    context.admit(&record).await?;
    let limits = allocated(limits, request.usage_limits_count)?;
    let mut counted = Record::clone(&record);
    counted.set(Attribute::UsageLimits(limits));
    context.replace(counted);
    Ok(GetUsageAllocationResponse { unique_identifier: record.unique_identifier.clone() })
}

/// A negative total is no limit.
fn allocated(limits: &UsageLimits, wanted: i64) -> Result<UsageLimits, Fault> {
    let left = limits.count.unwrap_or(limits.total);
    if limits.total >= 0 && left < wanted {
        return Err(Fault::new(ResultReason::UsageLimitExceeded, "fewer uses are left"));
    }
    Ok(UsageLimits { count: Some(left.saturating_sub(wanted)), ..limits.clone() })
}
