//! Intents without an outcome, as a crash leaves them: their outcome is found in the store and has a receipt.

use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytestring::ByteString;
use kmip_protocol::attribute::RevocationReason;
use kmip_protocol::codec::DateTime;
use kmip_protocol::enumeration::{CryptographicAlgorithm, RevocationReasonCode};
use kmip_protocol::operation::{DestroyRequest, DestroyResponse, RevokeRequest, RevokeResponse};

use crate::audit_log::{
    AuditSettings, Entry, Found, LogReader, RecordWitness, ServerKind, ServerLog, Witness, left_open,
};
use crate::port::{Event, Outcome, StoreError, SystemClock};
use crate::testing::{BEGINNING, Server, id, symmetric_key};

const NOW: DateTime = DateTime(1_700_000_000);

fn open(state: &Path) -> ServerLog {
    ServerLog::open(&AuditSettings::default(), state, ServerKind::Gateway).unwrap()
}

fn event(operation: &'static str, object: &str, outcome: Outcome) -> Event {
    Event {
        unique_identifier: Some(ByteString::from(object)),
        server_correlation_value: Some(ByteString::from(format!("of {object}"))),
        ..Event::new(NOW, "acme", "app", operation, outcome)
    }
}

/// Believes that what it is told has happened, once it can tell at all.
#[derive(Default)]
struct Oracle {
    happened: Vec<&'static str>,
    is_away: AtomicBool,
    asked: AtomicUsize,
}

#[async_trait]
impl Witness for Oracle {
    async fn find(&self, intent: &Entry) -> Result<Found, StoreError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.is_away.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("away".to_owned()));
        }
        let has_happened = self.happened.contains(&intent.unique_identifier.as_deref().unwrap());
        Ok(if has_happened { Found::Completed } else { Found::DidNotHappen })
    }
}

fn reader(state: &Path) -> LogReader {
    let verifier = std::fs::read_to_string(state.join("audit.key.pub")).unwrap();
    LogReader::open(&state.join("audit"), &verifier.trim().parse().unwrap()).unwrap()
}

/// What the log says of the objects: operation, object, outcome, and how it was found.
fn told(state: &Path) -> Vec<(String, String, String, Option<String>)> {
    let reader = reader(state);
    let entries = reader.entries(0..u64::MAX).map(|entry| Entry::decode(&entry.unwrap()).unwrap());
    let of_objects = entries.filter_map(|mut entry| {
        let object = entry.unique_identifier.take()?;
        Some((entry.operation, object, entry.outcome, entry.details.remove("found_at_start")))
    });
    of_objects.collect()
}

#[test]
fn an_outcome_is_found_and_has_a_receipt() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let log = open(state);
        assert_eq!(log.record_start(NOW).await.unwrap().count(), 0);
        for object in ["done", "undone", "settled"] {
            log.port().record(event("Destroy", object, Outcome::Intent)).await.unwrap();
        }
        log.port().record(event("Destroy", "settled", Outcome::Success)).await.unwrap();
        log.port().record(event("Get", "done", Outcome::Success)).await.unwrap();
    });
    // It starts and is stopped before the store can tell; so what is left open is older than the last Start.
    let oracle = Oracle { happened: vec!["done"], ..Oracle::default() };
    oracle.is_away.store(true, Ordering::Relaxed);
    runtime.block_on(async {
        let left_open = open(state).record_start(NOW).await.unwrap();
        assert_eq!(left_open.count(), 2);
        let soon = tokio::time::sleep(Duration::from_millis(50));
        left_open.conclude(&oracle, &SystemClock::default(), Duration::ZERO, soon).await;
    });
    assert_eq!(oracle.asked.load(Ordering::Relaxed), 2);
    oracle.is_away.store(false, Ordering::Relaxed);
    runtime.block_on(async {
        let log = open(state);
        let left_open = log.record_start(NOW).await.unwrap();
        assert_eq!(left_open.count(), 2);
        left_open.conclude(&oracle, &SystemClock::default(), Duration::ZERO, pending()).await;
        assert!(log.port().receipt("acme", "done").await.unwrap().is_some());
        assert!(log.port().receipt("acme", "undone").await.unwrap().is_none());
    });
    // And that is the end of it.
    runtime.block_on(async {
        assert_eq!(open(state).record_start(NOW).await.unwrap().count(), 0);
    });
    let found = |object: &str, outcome: &str, how: &str| {
        ("Destroy".to_owned(), object.to_owned(), outcome.to_owned(), Some(how.to_owned()))
    };
    let told = told(state);
    assert_eq!(
        told[told.len() - 2..],
        [found("done", "Success", "completed"), found("undone", "Failure", "did not happen")]
    );
}

#[test]
fn only_the_newest_entries_are_looked_through() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let log = open(folder.path());
        assert_eq!(log.record_start(NOW).await.unwrap().count(), 0);
        log.port().record(event("Revoke", "old", Outcome::Intent)).await.unwrap();
        for _ in 0..1_000 {
            log.port().record_later(event("Get", "other", Outcome::Success)).await.unwrap();
        }
        log.port().record(event("Revoke", "new", Outcome::Intent)).await.unwrap();
    });
    let reader = reader(folder.path());
    let open_among = |newest| {
        let (open, first) = left_open::find(&reader, newest).unwrap();
        (open.into_iter().filter_map(|entry| entry.unique_identifier).collect::<Vec<_>>(), first)
    };
    assert_eq!(open_among(10), (vec!["new".to_owned()], Some(1_002)));
    assert_eq!(open_among(10_000), (vec!["old".to_owned(), "new".to_owned()], Some(1)));
}

#[tokio::test]
async fn a_record_tells_what_became_of_it() {
    let server = Server::new();
    let witness = RecordWitness { store: Arc::clone(&server.service.store) };
    let key = server.register(symmetric_key(CryptographicAlgorithm::Aes, &[1; 16]), []).await;
    let intent = |operation: &'static str, seconds: i64| {
        let mut event = event(operation, &key, Outcome::Intent);
        event.time = DateTime(BEGINNING + seconds);
        Entry::new(&event, ServerKind::Gateway)
    };
    let found = async |intent: Entry| witness.find(&intent).await.unwrap();
    assert_eq!(found(intent("Revoke", 0)).await, Found::DidNotHappen);
    assert_eq!(found(intent("Destroy", 0)).await, Found::DidNotHappen);
    let revocation_reason = RevocationReason { code: RevocationReasonCode::KeyCompromise, message: None };
    let request =
        RevokeRequest { unique_identifier: id(&key), revocation_reason, compromise_occurrence_date: None };
    server.done::<RevokeResponse>(request).await;
    assert_eq!(found(intent("Revoke", 1)).await, Found::Completed);
    assert_eq!(found(intent("Revoke", 1_000)).await, Found::DidNotHappen, "that was an earlier one");
    assert_eq!(found(intent("Destroy", 1)).await, Found::DidNotHappen);
    server.done::<DestroyResponse>(DestroyRequest { unique_identifier: id(&key) }).await;
    assert_eq!(found(intent("Destroy", 1)).await, Found::Completed);
    let mut unknown = intent("Destroy", 1);
    unknown.unique_identifier = Some("nobody's".to_owned());
    assert_eq!(found(unknown).await, Found::NoSuchObject);
}
