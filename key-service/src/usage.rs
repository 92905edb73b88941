//! Whether a key may be used: state, dates, mask and limits, judged before any key is unsealed.

use kmip_protocol::attribute::{Attribute, AttributeType};
use kmip_protocol::enumeration::{ResultReason, State, UsageLimitsUnit};
use kmip_protocol::lifecycle::{self, Purpose};
use kmip_protocol::mask::CryptographicUsageMask;

use crate::context::Context;
use crate::fault::Fault;
use crate::record::Record;

/// Judges whether `record` may be used now for an operation that needs `mask` and serves `purpose`.
///
/// # Errors
/// If the state, a date or the mask stands against it.
pub fn judge(
    context: &Context<'_>,
    record: &Record,
    mask: CryptographicUsageMask,
    purpose: Purpose,
) -> Result<(), Fault> {
    let state = record.state().unwrap_or(State::PreActive);
    if !lifecycle::allows(state, purpose) {
        return Err(Fault::wrong_state("the state of the key does not allow this use"));
    }
    judge_dates(context, record, purpose)?;
    if !record.usage_mask().contains(mask) {
        return Err(Fault::new(
            ResultReason::IncompatibleCryptographicUsageMask,
            "the Cryptographic Usage Mask of the key does not allow this use",
        ));
    }
    Ok(())
}

/// Process Start Date and Protect Stop Date bound the use of an active key (4.40, 4.41).
pub(crate) fn judge_dates(context: &Context<'_>, record: &Record, purpose: Purpose) -> Result<(), Fault> {
    let now = context.service.clock.now();
    let starts = record.date(AttributeType::ProcessStartDate);
    let stops = record.date(AttributeType::ProtectStopDate);
    match purpose {
        Purpose::Process if starts.is_some_and(|date| date > now) => {
            Err(Fault::wrong_state("the Process Start Date of the key has not come"))
        }
        Purpose::Protect if stops.is_some_and(|date| date <= now) => {
            Err(Fault::wrong_state("the Protect Stop Date of the key has passed"))
        }
        _ => Ok(()),
    }
}

/// Counts the protection of `bytes` bytes against the Usage Limits of a key (4.59). A further part of an operation in
/// several parts does not begin (`begins`) a use of its own: where objects are counted, it counts for nothing.
///
/// # Errors
/// If fewer uses are left.
pub fn count(context: &mut Context<'_>, record: &Record, bytes: usize, begins: bool) -> Result<(), Fault> {
    let Some(Attribute::UsageLimits(limits)) = record.attribute(AttributeType::UsageLimits) else {
        return Ok(());
    };
    let wanted = match limits.unit {
        UsageLimitsUnit::Byte => i64::try_from(bytes).unwrap_or(i64::MAX),
        _ => i64::from(begins),
    };
    if wanted == 0 {
        return Ok(());
    }
    let left = limits.count.unwrap_or(limits.total);
    if limits.total >= 0 && left < wanted {
        return Err(Fault::permission_denied("the Usage Limits of the key are used up"));
    }
    let mut limits = limits.clone();
    limits.count = Some(left.saturating_sub(wanted));
    let mut counted = record.clone();
    counted.set(Attribute::UsageLimits(limits));
    context.replace_silently(counted);
    Ok(())
}
