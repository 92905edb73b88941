//! What is recorded of requests, and when: uses of keys shortly after they are answered, changes before they are, and what cannot
//! be taken back also before it is done. `docs/AUDIT.md` gives the reasons.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use bytestring::ByteString;
use kmip_protocol::enumeration::ResultReason;
use kmip_protocol::message::{RequestBatchItem, RequestHeader};
use kmip_protocol::operation::{Operation, Response};
use kmip_ttlv::Limits;

use crate::audit_log::MAXIMUM_TEXT_BYTES;
use crate::audit_log::subject;
use crate::context::Context;
use crate::crypto::Entropy;
use crate::fault::Fault;
use crate::port::{Clock, Event, Outcome};
use crate::principal::Principal;
use crate::service::Service;

/// How much an operation weighs in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    /// It touches no object and reveals nothing: not recorded.
    Harmless,
    /// It uses or shows an object.
    Use,
    /// It changes what is stored.
    Change,
    /// It changes what cannot be changed back.
    Irrevocable,
}

impl Weight {
    pub(crate) fn of(operation: Operation) -> Self {
        use Operation as O;
        match operation {
            O::DiscoverVersions | O::Query | O::Ping => Self::Harmless,
            O::Destroy | O::Revoke => Self::Irrevocable,
            O::Activate
            | O::AddAttribute
            | O::AdjustAttribute
            | O::Archive
            | O::Certify
            | O::Create
            | O::CreateKeyPair
            | O::CreateSplitKey
            | O::DeleteAttribute
            | O::DeriveKey
            | O::Import
            | O::JoinSplitKey
            | O::ModifyAttribute
            | O::ReCertify
            | O::ReKey
            | O::ReKeyKeyPair
            | O::Recover
            | O::Register
            | O::SetAttribute => Self::Change,
            _ => Self::Use,
        }
    }
}

/// Bytes of a server correlation value at most: two numbers of 64 bits.
pub(crate) const MAXIMUM_CORRELATION_VALUE_BYTES: usize = 33;

/// Names requests, so that what a client was answered and what was recorded can be brought together.
#[derive(Debug)]
pub struct Correlations {
    prefix: u64,
    next: AtomicU64,
}

impl Correlations {
    /// Names that no other process gives.
    pub fn new(entropy: &dyn Entropy, clock: &dyn Clock) -> Self {
        let mut prefix = [0; 8];
        // Names need not be secret: without randomness, the time tells processes apart.
        let prefix = match entropy.fill(&mut prefix) {
            Ok(()) => u64::from_be_bytes(prefix),
            Err(_) => clock.stamp(),
        };
        Self { prefix, next: AtomicU64::new(1) }
    }

    /// Which life of a server has given a name: the same number for all that it gives to one peer, another one after a restart.
    pub fn life_of(server_correlation_value: &str) -> Option<u64> {
        let (prefix, _) = server_correlation_value.split_once('-')?;
        u64::from_str_radix(prefix, 16).ok()
    }

    fn next(&self) -> ByteString {
        let mut name = String::with_capacity(MAXIMUM_CORRELATION_VALUE_BYTES);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        // Writing to a string does not fail.
        let _ = write!(name, "{:016x}-{number:x}", self.prefix);
        ByteString::from(name)
    }
}

/// Records the items of one message.
pub(crate) struct Recorder<'a> {
    service: &'a Service,
    principal: &'a Principal,
    limits: Limits,
    client_correlation_value: Option<ByteString>,
    server_correlation_value: ByteString,
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(
        service: &'a Service,
        principal: &'a Principal,
        limits: Limits,
        header: &RequestHeader,
    ) -> Self {
        Self {
            service,
            principal,
            limits,
            client_correlation_value: header.client_correlation_value.as_deref().map(bounded),
            server_correlation_value: service.correlations.next(),
        }
    }

    /// What this message is called here.
    pub(crate) fn server_correlation_value(&self) -> &ByteString {
        &self.server_correlation_value
    }

    /// Refuses what would have to be recorded while nothing can be.
    pub(crate) fn judge(&self, operation: Operation) -> Result<(), Fault> {
        let audit = &self.service.audit;
        match Weight::of(operation) {
            Weight::Harmless => Ok(()),
            Weight::Use if !audit.keeps_uses() => Ok(()),
            _ => Ok(audit.ready()?),
        }
    }

    /// Says what is about to be done and cannot be taken back.
    pub(crate) async fn intend(
        &self,
        operation: Operation,
        object: Option<&ByteString>,
    ) -> Result<(), Fault> {
        let event = self.event(name(operation), object.map(|object| bounded(object)), Outcome::Intent);
        Ok(self.service.audit.record(event).await?)
    }

    /// What an item has come to; nothing if it is not to be recorded.
    pub(crate) fn outcome(
        &self,
        context: &Context<'_>,
        item: &RequestBatchItem,
        operation: Operation,
        outcome: &Result<Response, Fault>,
    ) -> Option<Event> {
        let details = context.take_notes();
        if Weight::of(operation) == Weight::Harmless {
            return None;
        }
        let answered = outcome.as_ref().ok().and_then(subject::answered).map(|object| bounded(object));
        let requested = || {
            let requested = subject::requested(item, self.limits)?;
            context.resolve(Some(&requested)).ok().map(|object| bounded(&object))
        };
        let how = match outcome {
            Ok(_) => Outcome::Success,
            Err(fault) => Outcome::Failure(fault.reason),
        };
        let mut event = self.event(name(operation), answered.or_else(requested), how);
        event.details.extend(details);
        Some(event)
    }

    /// Records what an item has come to, if that is wanted.
    ///
    /// # Errors
    /// If it cannot be recorded. A change has happened all the same, and is recorded as soon as it can be.
    pub(crate) async fn record(&self, operation: Operation, event: Event) -> Result<(), Fault> {
        let audit = &self.service.audit;
        if event.outcome == Outcome::Success && Weight::of(operation) == Weight::Use && !audit.keeps_uses() {
            return Ok(());
        }
        if event.outcome != Outcome::Success || Weight::of(operation) < Weight::Change {
            return Ok(audit.record_later(event).await?);
        }
        audit.record_done(event).await.map_err(|error| {
            tracing::error!(%error, "a change could not be recorded in time");
            Fault::general_failure("the operation took place, but it could not be recorded in time")
        })
    }

    /// Records that the answer to an item which has been recorded already was not given in the end.
    pub(crate) async fn record_withheld(
        &self,
        operation: Operation,
        object: Option<ByteString>,
    ) -> Result<(), Fault> {
        let outcome = Outcome::Failure(ResultReason::PermissionDenied);
        let mut event = self.event(name(operation), object, outcome);
        event.details.insert(ByteString::from_static("answer"), ByteString::from_static("withheld"));
        Ok(self.service.audit.record_later(event).await?)
    }

    /// Records an item that was refused for its operation alone.
    pub(crate) async fn refused(&self, item: &RequestBatchItem, fault: &Fault) -> Result<(), Fault> {
        let operation = match Operation::from_value(item.operation) {
            Some(known) => name(known),
            None => ByteString::from(format!("0x{:08X}", item.operation)),
        };
        let event = self.event(operation, None, Outcome::Failure(fault.reason));
        Ok(self.service.audit.record_later(event).await?)
    }

    fn event(&self, operation: ByteString, object: Option<ByteString>, outcome: Outcome) -> Event {
        Event {
            time: self.service.clock.now(),
            tenant: self.principal.tenant.clone(),
            principal: self.principal.name.clone(),
            operation,
            unique_identifier: object,
            outcome,
            client_correlation_value: self.client_correlation_value.clone(),
            server_correlation_value: Some(self.server_correlation_value.clone()),
            details: BTreeMap::new(),
        }
    }
}

/// Records a message of somebody who is nobody here. Where that fails the message is refused all the same.
pub async fn record_stranger(service: &Service, name: &str) {
    let outcome = Outcome::Failure(ResultReason::PermissionDenied);
    let event = Event::new(service.clock.now(), "", bounded(name), "Message", outcome);
    if let Err(error) = service.audit.record_later(event).await {
        tracing::warn!(%error, "a stranger was refused, which could not be recorded");
    }
}

fn name(operation: Operation) -> ByteString {
    match Operation::TABLE.row(operation.value()) {
        Some(row) => ByteString::from_static(row.names[0]),
        None => ByteString::from(operation.to_string()),
    }
}

/// A copy that keeps no message alive while the event waits, and is not longer than what the log cuts texts to, and says so.
fn bounded(text: &str) -> ByteString {
    let end = text.len().min(MAXIMUM_TEXT_BYTES + 1);
    let end = (end..=text.len()).find(|end| text.is_char_boundary(*end)).unwrap_or(text.len());
    ByteString::from(&text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_short() {
        let long = "é".repeat(1 << 20);
        assert_eq!(bounded(&long).len(), MAXIMUM_TEXT_BYTES + 2);
        assert_eq!(&*bounded("short"), "short");
    }

    #[test]
    fn what_cannot_be_taken_back_weighs_most() {
        assert!(Weight::of(Operation::Get) < Weight::of(Operation::Create));
        assert!(Weight::of(Operation::Create) < Weight::of(Operation::Destroy));
        assert_eq!(Weight::of(Operation::Query), Weight::Harmless);
    }
}
