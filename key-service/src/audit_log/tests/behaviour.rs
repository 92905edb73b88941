//! The log as servers use it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use bytestring::ByteString;

use super::super::entry::{Entry, MAXIMUM_TEXT_BYTES};
use super::super::{AuditLog, LogError, LogReader, MemoryAudit, ServerKind, VerifierKey, receipt, verify};
use super::{ORIGIN, Place, entries, event, settings, verifier};
use crate::port::Audit;

#[tokio::test(flavor = "multi_thread")]
async fn events_come_in_the_order_of_their_answers() {
    let place = Place::new();
    let log = Arc::new(place.open());
    let tasks: Vec<_> = (0..16u64)
        .map(|task| {
            let log = log.clone();
            tokio::spawn(async move {
                let mut indices = Vec::new();
                for step in 0..50 {
                    let number = task * 50 + step;
                    indices.push((log.append(&event(number)).await.unwrap(), number));
                }
                indices
            })
        })
        .collect();
    let mut all = BTreeMap::new();
    for task in tasks {
        let indices = task.await.unwrap();
        assert!(indices.is_sorted());
        all.extend(indices);
    }
    assert_eq!(all.keys().copied().collect::<Vec<_>>(), (0..800).collect::<Vec<_>>());
    drop(Arc::into_inner(log).unwrap());
    let reader = LogReader::open(&place.directory(), &verifier()).unwrap();
    let logged: Vec<_> = reader.entries(0..u64::MAX).map(Result::unwrap).collect();
    let expected: Vec<_> = all.values().map(|number| entries(*number..number + 1).remove(0)).collect();
    assert_eq!(logged, expected);
    assert!(reader.verify(None).is_sound());
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_do_not_mind_the_writer() {
    let place = Place::new();
    let log = place.open();
    log.append(&event(0)).await.unwrap();
    let directory = place.directory();
    let mut earlier = log.read(|reader| Ok(reader.checkpoint().clone())).await.unwrap();
    let writing = tokio::spawn(async move {
        for number in 1..1500 {
            log.record_later(event(number)).await.unwrap();
            if number % 40 == 0 {
                log.append(&event(number)).await.unwrap();
            }
        }
        log
    });
    while !writing.is_finished() {
        let reader = LogReader::open(&directory, &verifier()).unwrap();
        let report = reader.verify(Some(&earlier));
        assert!(report.is_sound(), "{report:?}");
        earlier = reader.checkpoint().clone();
    }
    let log = writing.await.unwrap();
    assert_eq!(log.append(&event(0)).await.unwrap(), 1 + 1499 + 37);
}

#[tokio::test]
async fn a_receipt_is_there_as_soon_as_the_event_is() {
    let place = Place::new();
    let log = place.open();
    for number in 0..5 {
        let index = log.append(&event(number)).await.unwrap();
        let text = log.receipt(index).await.unwrap();
        let verified = receipt::verify(text.as_str().as_bytes(), log.verifier()).unwrap();
        assert_eq!(verified.entry, Entry::new(&event(number), ServerKind::Core));
    }
    let error = log.receipt(5).await.unwrap_err();
    assert!(matches!(error, LogError::OutOfRange { index: 5, size: 5 }));
}

#[tokio::test]
async fn a_later_event_is_before_what_follows() {
    let place = Place::new();
    let log = place.open();
    for number in 0..10 {
        log.record_later(event(number)).await.unwrap();
    }
    assert_eq!(log.append(&event(10)).await.unwrap(), 10);
}

#[tokio::test]
async fn a_log_goes_on_where_it_was() {
    let place = Place::new();
    for round in 0..8 {
        let log = place.open();
        for number in round * 100..(round + 1) * 100 {
            log.record_later(event(number)).await.unwrap();
        }
    }
    let mut exported = Vec::new();
    let reader = LogReader::open(&place.directory(), &verifier()).unwrap();
    assert_eq!(reader.export(0..u64::MAX, &mut exported).unwrap(), 800);
    let expected: Vec<u8> = entries(0..800).iter().flat_map(|entry| [entry, &b"\n"[..]].concat()).collect();
    assert_eq!(exported, expected);
    for range in [0..0, 5..5, 0..1, 255..257, 300..800, 799..900, 800..900, 900..1000] {
        let expected = entries(range.start.min(800)..range.end.min(800));
        let found: Vec<_> = reader.entries(range.clone()).map(Result::unwrap).collect();
        assert_eq!(found, expected, "{range:?}");
    }
    let inverted = std::ops::Range { start: 7, end: 3 };
    assert_eq!(reader.entries(inverted).count(), 0);
}

#[test]
fn a_new_log_has_a_key_of_its_own() {
    let place = Place::new();
    fs::remove_file(place.key_file()).unwrap();
    drop(place.open());
    let mode = fs::metadata(place.key_file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let public = fs::read_to_string(place.key_file().with_extension("key.pub")).unwrap();
    let key: VerifierKey = public.parse().unwrap();
    assert_eq!(key.name(), ORIGIN);
    let report = verify(&place.directory(), &key, None).unwrap();
    assert!(report.is_sound() && report.checkpoint.size == 0);
    drop(place.open());
    fs::set_permissions(place.key_file(), fs::Permissions::from_mode(0o640)).unwrap();
    let error = AuditLog::open(&place.directory(), ORIGIN, &place.key_file(), ServerKind::Core, &settings());
    assert!(error.unwrap_err().to_string().contains("mode 640"));
}

#[test]
fn one_process_writes() {
    let place = Place::new();
    let log = place.open();
    let second = AuditLog::open(&place.directory(), ORIGIN, &place.key_file(), ServerKind::Core, &settings());
    assert!(matches!(second, Err(LogError::Locked(_))));
    drop(log);
    place.open();
}

#[test]
fn no_client_makes_an_event_too_long() {
    let long = ByteString::from("\u{1}".repeat(2_000_000));
    let mut event = event(1);
    event.client_correlation_value = Some(long.clone());
    event.unique_identifier = Some(ByteString::from("é".repeat(1000)));
    for field in [&mut event.tenant, &mut event.principal, &mut event.operation] {
        *field = long.clone();
    }
    event.server_correlation_value = Some(long.clone());
    event.details =
        (0..100).map(|number| (ByteString::from(format!("{number}{long}")), long.clone())).collect();
    let entry: Entry = Entry::new(&event, ServerKind::Gateway);
    let mut encoded = Vec::new();
    entry.encode(&mut encoded);
    assert!(entry.truncated && encoded.len() < usize::from(u16::MAX), "{}", encoded.len());
    assert_eq!(entry.unique_identifier.as_ref().unwrap().len(), MAXIMUM_TEXT_BYTES);
    assert_eq!(Entry::decode(&encoded).unwrap(), entry);
    assert!(!encoded.contains(&b'\n'));
}

#[tokio::test]
async fn memory_collects_or_refuses() {
    let audit = MemoryAudit::default();
    audit.record(event(1)).await.unwrap();
    audit.refuse(true);
    assert!(audit.record(event(2)).await.is_err());
    audit.refuse(false);
    audit.record_later(event(3)).await.unwrap();
    let times: Vec<_> = audit.events().iter().map(|event| event.time.0 - 1_700_000_000).collect();
    assert_eq!(times, [1, 3]);
}
