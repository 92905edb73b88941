//! Activate (6.1.1): makes a Pre-Active object Active.

use kmip_protocol::attribute::Attribute;
use kmip_protocol::enumeration::State;
use kmip_protocol::lifecycle::{self, Event};
use kmip_protocol::operation::{ActivateRequest, ActivateResponse};

use crate::context::Context;
use crate::fault::Fault;
use crate::record::Record;

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: ActivateRequest,
) -> Result<ActivateResponse, Fault> {
    let record = context.live_object(request.unique_identifier.as_ref()).await?;
    let mut changed = Record::clone(&record);
    advance(&mut changed, Event::Activate)?;
    changed.set(Attribute::ActivationDate(context.service.clock.now()));
    context.replace(changed);
    Ok(ActivateResponse { unique_identifier: record.unique_identifier.clone() })
}

/// Moves the object to the state that `event` leads to.
///
/// # Errors
/// If the object has no state, or its state does not allow the event.
pub(super) fn advance(record: &mut Record, event: Event) -> Result<State, Fault> {
    let refused = || Fault::wrong_state("the state of the object does not allow this operation");
    let state = record.state().ok_or_else(refused)?;
    let next = lifecycle::next(state, event).ok_or_else(refused)?;
    record.set(Attribute::State(next));
    Ok(next)
}
