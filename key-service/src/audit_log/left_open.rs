//! Intents that a crash has left without an outcome: what became of them is looked for in the store when the server starts, and
//! recorded, so that what has been done has a receipt.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use bytestring::ByteString;
use kmip_protocol::attribute::AttributeType;
use kmip_protocol::codec::DateTime;
use kmip_protocol::enumeration::ResultReason;

use super::entry::Entry;
use super::error::LogError;
use super::index::FINAL_OPERATIONS;
use super::log::AuditLog;
use super::merkle::TILE_WIDTH;
use super::reader::LogReader;
use super::server::START;
use crate::port::{Audit, Clock, Event, Outcome, Store, StoreError};

/// The newest entries that are looked through at most: an outcome follows its intent within seconds.
pub(super) const MAXIMUM_LOOKED_THROUGH: u64 = 65_536;

/// After so long the store is asked again, where it could not tell.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// A change of an object bears the time at which it was decided, which is before it is said to be intended; so long before at most.
const DECIDED_WITHIN_SECONDS: i64 = 60;

/// The detail of a Start that says where the oldest Intent is that has no outcome yet.
pub(super) const LEFT_OPEN_FROM: &str = "left_open_from";

/// The detail that tells an outcome which was found later from one that was seen to happen.
const FOUND: &str = "found_at_start";

/// What became of something that was intended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It took place.
    Completed,
    /// It did not.
    DidNotHappen,
    /// What it was about is not there: never was, or is lost.
    NoSuchObject,
}

impl Found {
    fn of(has_happened: bool) -> Self {
        if has_happened { Self::Completed } else { Self::DidNotHappen }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::DidNotHappen => "did not happen",
            Self::NoSuchObject => "no such object",
        }
    }
}

/// Says whether something that was intended took place.
#[async_trait]
pub trait Witness: Send + Sync + 'static {
    /// What became of it.
    ///
    /// # Errors
    /// If that cannot be told now.
    async fn find(&self, intent: &Entry) -> Result<Found, StoreError>;
}

/// Looks at the record of the object.
pub struct RecordWitness {
    /// Where the records are, as the server's operations see them.
    pub store: Arc<dyn Store>,
}

#[async_trait]
impl Witness for RecordWitness {
    async fn find(&self, intent: &Entry) -> Result<Found, StoreError> {
        let Some(unique_identifier) = &intent.unique_identifier else { return Ok(Found::NoSuchObject) };
        let Some(record) = self.store.fetch(&intent.tenant, unique_identifier).await? else {
            return Ok(Found::NoSuchObject);
        };
        if let Some(doubt) = record.guard.standing.doubt() {
            return Err(StoreError::NotVerified(doubt.clone()));
        }
        if intent.operation == "Destroy" {
            return Ok(Found::of(record.is_destroyed()));
        }
        // An object may have been revoked before, for another reason.
        let dates = [AttributeType::DeactivationDate, AttributeType::CompromiseDate];
        let revoked = dates.into_iter().filter_map(|date| record.date(date)).max();
        let is_of_then = |DateTime(revoked)| revoked >= intent.time - DECIDED_WITHIN_SECONDS;
        Ok(Found::of(revoked.is_some_and(is_of_then)))
    }
}

/// What the log's last life has left without an outcome.
#[must_use = "what was left open is to be concluded"]
pub struct LeftOpen {
    log: Option<Arc<AuditLog>>,
    intents: Vec<Entry>,
}

impl LeftOpen {
    pub(super) fn new(log: Option<Arc<AuditLog>>, intents: Vec<Entry>) -> Self {
        if let Some(log) = log.as_ref().filter(|_| !intents.is_empty()) {
            log.statistics().left_open.store(intents.len() as u64, Ordering::Relaxed);
            let count = intents.len();
            tracing::warn!(count, "the log has intents without an outcome: it is looked for in the store");
        }
        Self { log, intents }
    }

    /// How much that is.
    pub fn count(&self) -> usize {
        self.intents.len()
    }

    /// Asks the witness about each, `pause` from now, until all are told or `stop` has ended, and records what it says.
    /// Leases of before the crash may have to end until something has happened to the full: that is what the pause is for.
    pub async fn conclude(
        self,
        witness: &dyn Witness,
        clock: &dyn Clock,
        pause: Duration,
        stop: impl Future<Output = ()>,
    ) {
        let concluding = async {
            let Some(log) = self.log.filter(|_| !self.intents.is_empty()) else { return };
            tokio::time::sleep(pause).await;
            let mut open = self.intents;
            loop {
                let mut untold = Vec::new();
                for intent in open {
                    if !conclude_one(&log, witness, clock, &intent, pause).await {
                        untold.push(intent);
                    }
                }
                log.statistics().left_open.store(untold.len() as u64, Ordering::Relaxed);
                if untold.is_empty() {
                    return;
                }
                open = untold;
                tokio::time::sleep(ASK_AGAIN_AFTER).await;
            }
        };
        tokio::select! {
            () = concluding => (),
            () = stop => (),
        }
    }
}

/// Returns whether the outcome is in the log.
async fn conclude_one(
    log: &AuditLog,
    witness: &dyn Witness,
    clock: &dyn Clock,
    intent: &Entry,
    pause: Duration,
) -> bool {
    let (operation, object) = (&*intent.operation, intent.unique_identifier.as_deref());
    let found = match witness.find(intent).await {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(%error, operation, object, "what became of an intent cannot be told yet");
            return false;
        }
    };
    let recorded = log.record(outcome(intent, found, clock.now(), pause)).await;
    match &recorded {
        Ok(()) => {
            tracing::warn!(
                operation,
                object,
                found = found.text(),
                "an intent of before the crash has its outcome"
            )
        }
        Err(error) => tracing::error!(%error, operation, object, "the outcome of an intent is not recorded"),
    }
    recorded.is_ok()
}

fn outcome(intent: &Entry, found: Found, now: DateTime, pause: Duration) -> Event {
    let text = |text: &Option<String>| text.as_deref().map(ByteString::from);
    let has_happened = found == Found::Completed;
    let mut details = BTreeMap::from([
        (ByteString::from_static(FOUND), ByteString::from_static(found.text())),
        (ByteString::from_static("intended_at"), ByteString::from(intent.time.to_string())),
    ]);
    if has_happened && !pause.is_zero() {
        details.insert(ByteString::from_static("effective_at"), ByteString::from(now.0.to_string()));
    }
    Event {
        time: now,
        tenant: ByteString::from(&*intent.tenant),
        principal: ByteString::from(&*intent.principal),
        operation: ByteString::from(&*intent.operation),
        unique_identifier: text(&intent.unique_identifier),
        outcome: if has_happened { Outcome::Success } else { Outcome::Failure(ResultReason::GeneralFailure) },
        client_correlation_value: text(&intent.client_correlation_value),
        server_correlation_value: text(&intent.server_correlation_value),
        details,
    }
}

/// The Intents without an outcome since the server last started, and those that it had not concluded then; and the index of the
/// first of them. Only so many of the `newest` entries are looked at.
pub(super) fn find(reader: &LogReader, newest: u64) -> Result<(Vec<Entry>, Option<u64>), LogError> {
    let size = reader.checkpoint().size();
    let earliest = size.saturating_sub(newest);
    let mut open = Vec::new();
    let mut outcomes: HashMap<[Option<String>; 4], usize> = HashMap::new();
    // Where the last Start says that there is something left open.
    let mut from: Option<u64> = None;
    let (mut end, mut first) = (size, None);
    while end > from.unwrap_or(earliest).max(earliest) {
        let start = (end - 1) / TILE_WIDTH * TILE_WIDTH;
        let lines = reader.entries(start..end).collect::<Result<Vec<_>, _>>()?;
        for (index, line) in (start..end).rev().zip(lines.into_iter().rev()) {
            if index < from.unwrap_or(earliest) {
                break;
            }
            if !is_of_interest(&line) {
                continue;
            }
            // An entry of a younger form is none that this version has left open.
            let Ok(entry) = Entry::decode(&line) else { continue };
            if entry.operation == START && entry.tenant.is_empty() {
                let named = entry.details.get(LEFT_OPEN_FROM).and_then(|index| index.parse().ok());
                from = from.or(Some(named.unwrap_or(index)));
            } else if FINAL_OPERATIONS.contains(&&*entry.operation) {
                let outcomes = outcomes.entry(key(&entry)).or_default();
                if entry.outcome != "Intent" {
                    *outcomes += 1;
                } else if *outcomes > 0 {
                    *outcomes -= 1;
                } else if !entry.truncated {
                    first = Some(index);
                    open.push(entry);
                }
            }
        }
        end = start;
    }
    open.reverse();
    Ok((open, first))
}

/// What an outcome and its intent have in common.
fn key(entry: &Entry) -> [Option<String>; 4] {
    let named = |text: &String| Some(text.clone());
    let correlation = entry.server_correlation_value.clone();
    [named(&entry.operation), named(&entry.tenant), entry.unique_identifier.clone(), correlation]
}

/// Tells most entries without decoding them.
fn is_of_interest(line: &[u8]) -> bool {
    let operations = FINAL_OPERATIONS.iter().chain([&START]);
    let Ok(line) = std::str::from_utf8(line) else { return false };
    let Some((_, rest)) = line.split_once("\"operation\":\"") else { return false };
    let mut operations = operations.filter_map(|operation| rest.strip_prefix(operation));
    operations.any(|rest| rest.starts_with('"'))
}
