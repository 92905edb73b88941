//! The index of receipts: what is found, whatever becomes of its file.

use std::fs;

use super::super::LogReader;
use super::{Place, event, verifier};
use crate::port::{Audit, Event, Outcome};

fn about(operation: &'static str, object: &'static str, outcome: Outcome) -> Event {
    Event {
        operation: operation.into(),
        unique_identifier: Some(object.into()),
        outcome,
        details: Default::default(),
        ..event(1)
    }
}

fn find(place: &Place, object: &str) -> Option<u64> {
    LogReader::open(&place.directory(), &verifier()).unwrap().find(object, |_| true).unwrap()
}

/// A log where `a` was revoked (entry 0) and destroyed (3), `b` was not (1), and `c` destroyed (2); then many uses, then `d` (5004).
async fn written() -> Place {
    let place = Place::new();
    let log = place.open();
    for event in [
        about("Revoke", "a", Outcome::Success),
        about("Destroy", "b", Outcome::Intent),
        about("Destroy", "c", Outcome::Success),
        about("Destroy", "a", Outcome::Success),
    ] {
        log.record_done(event).await.unwrap();
    }
    for _ in 0..5_000 {
        log.record_later(about("Get", "b", Outcome::Success)).await.unwrap();
    }
    log.record_done(about("Destroy", "d", Outcome::Success)).await.unwrap();
    place
}

fn expect_all(place: &Place) {
    let found = ["a", "b", "c", "d", "e"].map(|object| find(place, object));
    assert_eq!(found, [Some(3), None, Some(2), Some(5_004), None]);
}

#[tokio::test]
async fn the_newest_is_found_whatever_becomes_of_the_index() {
    let place = written().await;
    expect_all(&place);
    let reader = LogReader::open(&place.directory(), &verifier()).unwrap();
    let revoke = reader.find("a", |entry| entry.operation == "Revoke").unwrap();
    assert_eq!(revoke, Some(0));
    let path = place.directory().join("receipts");
    let whole = fs::read(&path).unwrap();
    // Uses are told by marks, not one by one.
    assert!(whole.len() <= 6 * 24, "{}", whole.len());
    for (spoil, what) in [
        (whole[..whole.len() - 24].to_vec(), "without its end"),
        (whole[..30].to_vec(), "torn"),
        ([&whole[..], &[0; 100]].concat(), "with zeroes behind"),
        ([&whole[..], &[0xff; 24]].concat(), "with an entry that is none"),
        (Vec::new(), "empty"),
    ] {
        fs::write(&path, spoil).unwrap();
        drop(place.open());
        assert_eq!(fs::read(&path).unwrap()[..24], whole[..24], "{what}");
        expect_all(&place);
    }
    fs::remove_file(&path).unwrap();
    expect_all(&place);
}

#[tokio::test]
async fn an_index_that_lies_is_not_believed() {
    let place = written().await;
    let path = place.directory().join("receipts");
    let mut content = fs::read(&path).unwrap();
    // The record of the Destroy of `a` points to that of `c`.
    content[2 * 24 + 16..3 * 24].copy_from_slice(&2_u64.to_be_bytes());
    fs::write(&path, content).unwrap();
    assert_eq!(find(&place, "a"), Some(0));
}

#[tokio::test]
async fn a_receipt_is_for_the_tenant_alone() {
    let place = Place::new();
    let log = place.open();
    log.record_done(about("Destroy", "a", Outcome::Success)).await.unwrap();
    assert!(Audit::receipt(&log, "acme", "a").await.unwrap().is_some());
    assert!(Audit::receipt(&log, "globex", "a").await.unwrap().is_none());
    assert!(Audit::receipt(&log, "acme", "b").await.unwrap().is_none());
}
