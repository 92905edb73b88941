//! Dates that move the state by themselves (KMIP 2.1 sections 4.1 and 4.18): worked out when an object is read, and
//! written down with its next change.

use std::sync::Arc;

use kmip_protocol::attribute::{Attribute, AttributeType};
use kmip_protocol::codec::DateTime;
use kmip_protocol::enumeration::State;

use crate::record::Record;

/// The record with the state that its dates have brought about by `now`.
pub fn settle(record: Arc<Record>, now: DateTime) -> Arc<Record> {
    match due_state(&record, now) {
        Some(state) => {
            let mut settled = Record::clone(&record);
            settled.set(Attribute::State(state));
            Arc::new(settled)
        }
        None => record,
    }
}

/// The state that is due and not written down yet.
fn due_state(record: &Record, now: DateTime) -> Option<State> {
    let state = record.state()?;
    let has_come = |attribute_type| record.date(attribute_type).is_some_and(|date| date <= now);
    let activated = state == State::PreActive && has_come(AttributeType::ActivationDate);
    if (activated || state == State::Active) && has_come(AttributeType::DeactivationDate) {
        return Some(State::Deactivated);
    }
    activated.then_some(State::Active)
}
