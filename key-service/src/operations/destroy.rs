//! Destroy (6.1.15): the sealed material goes; attributes stay, so that the object can be told from one that never was.
//! Needs the store alone: it works without the vault.

use kmip_protocol::attribute::Attribute;
use kmip_protocol::enumeration::State;
use kmip_protocol::lifecycle::Event;
use kmip_protocol::operation::{DestroyRequest, DestroyResponse};

use super::activate::advance;
use crate::context::Context;
use crate::fault::Fault;
use crate::record::Record;

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: DestroyRequest,
) -> Result<DestroyResponse, Fault> {
    let record = context.live_object_to_close(request.unique_identifier.as_ref()).await?;
    let mut changed = Record::clone(&record);
    match record.state() {
        Some(_) => advance(&mut changed, Event::Destroy)?,
        // Templates have no lifecycle, but they go all the same.
        None => {
            changed.set(Attribute::State(State::Destroyed));
            State::Destroyed
        }
    };
    changed.set(Attribute::DestroyDate(context.service.clock.now()));
    changed.retain_seals(|_| false);
    context.replace(changed);
    Ok(DestroyResponse { unique_identifier: record.unique_identifier.clone() })
}
