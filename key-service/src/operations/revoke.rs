//! Revoke (6.1.44): deactivates an object or marks it as compromised. Needs the store alone: it works without the vault.

use kmip_protocol::attribute::Attribute;
use kmip_protocol::lifecycle::{self, Event};
use kmip_protocol::operation::{RevokeRequest, RevokeResponse};

use super::activate::advance;
use crate::context::Context;
use crate::creation::detach;
use crate::fault::Fault;
use crate::record::Record;

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: RevokeRequest,
) -> Result<RevokeResponse, Fault> {
    let record = context.object_to_close(request.unique_identifier.as_ref()).await?;
    let event = lifecycle::revocation(request.revocation_reason.code);
    let now = context.service.clock.now();
    let mut changed = Record::clone(&record);
    advance(&mut changed, event)?;
    match event {
        Event::Compromise => {
            changed.set(Attribute::CompromiseDate(now));
            changed
                .set(Attribute::CompromiseOccurrenceDate(request.compromise_occurrence_date.unwrap_or(now)));
        }
        _ => changed.set(Attribute::DeactivationDate(now)),
    }
    changed.set(detach(&Attribute::RevocationReason(request.revocation_reason))?);
    context.replace(changed);
    Ok(RevokeResponse { unique_identifier: record.unique_identifier.clone() })
}
