//! A disk that is full: events are refused, none that was remembered is lost, and it goes on when there is room.
//!
//! A limit on the size of files stands in for the disk, in a process of its own.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use kmip_protocol::enumeration::{CryptographicAlgorithm, ResultReason};
use kmip_protocol::operation::DestroyRequest;
use rustix::process::{Resource, getrlimit, setrlimit};

use super::super::{AuditLog, AuditLogSettings, LogReader, ServerKind};
use super::{ORIGIN, Place, event, settings, verifier};
use crate::port::Audit;
use crate::testing::{Server, id, symmetric_key};

const DIRECTORY: &str = "KRYPTON_TEST_AUDIT_DIRECTORY";
const KEY: &str = "KRYPTON_TEST_AUDIT_KEY";

#[tokio::test]
#[ignore = "the other half of a_full_disk_refuses_events_and_loses_none"]
async fn write_under_a_limit() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    let key = PathBuf::from(std::env::var_os(KEY).unwrap());
    let log = AuditLog::open(&directory, ORIGIN, &key, ServerKind::Core, &settings()).unwrap();
    let (mut remembered, mut refused) = (0, 0);
    // After the first refusals the journal begins anew, with fewer checkpoints in it, and a few events fit again.
    while refused < 20 {
        match log.append(&event(remembered)).await {
            Ok(index) => {
                assert_eq!(index, remembered);
                (remembered, refused) = (remembered + 1, 0);
            }
            Err(error) => {
                assert!(error.to_string().contains("too large"), "{error}");
                refused += 1;
            }
        }
    }
    assert!((100..256).contains(&remembered), "{remembered}");
    let mut limit = getrlimit(Resource::Fsize);
    limit.current = limit.maximum;
    setrlimit(Resource::Fsize, limit).unwrap();
    for number in remembered..remembered + 1000 {
        assert_eq!(log.append(&event(number)).await.unwrap(), number);
    }
    drop(log);
    let reader = LogReader::open(&directory, &verifier()).unwrap();
    assert!(reader.verify(None).is_sound());
    let logged: Vec<_> = reader.entries(0..u64::MAX).map(Result::unwrap).collect();
    assert_eq!(logged, super::entries(0..remembered + 1000));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the other half of what_cannot_be_recorded_on_a_full_disk_does_not_happen"]
async fn operate_under_a_limit() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    let key = PathBuf::from(std::env::var_os(KEY).unwrap());
    // Long beside what lies between the last refusal and the look at it: in between, the log may not begin anew.
    let settings = AuditLogSettings { retry_interval_milliseconds: 500, ..settings() };
    let log = Arc::new(AuditLog::open(&directory, ORIGIN, &key, ServerKind::Gateway, &settings).unwrap());
    let mut server = Server::new();
    let keys = keys(&server).await;
    server.service.audit = log.clone();
    let destroy = async |key: &ByteString| server.ask(DestroyRequest { unique_identifier: id(key) }).await;
    let mut answered = HashSet::new();
    let mut refusals = 0;
    for key in keys.iter().cycle() {
        match destroy(key).await {
            Ok(_) => drop(answered.insert(key.clone())),
            Err(ResultReason::GeneralFailure) => refusals += 1,
            Err(ResultReason::ObjectDestroyed) => (),
            Err(other) => panic!("{other:?}"),
        }
        // After the first refusals the journal begins anew, and a few events fit again.
        if refusals > 100 {
            break;
        }
    }
    assert!((20..keys.len()).contains(&answered.len()), "{}", answered.len());
    let refused = server.get(&keys[keys.len() - 1]).await.unwrap_err();
    assert!(log.ready().is_err() && refused == ResultReason::GeneralFailure);
    let before: Vec<bool> = destroyed(&server, &keys).await;

    let mut limit = getrlimit(Resource::Fsize);
    limit.current = limit.maximum;
    setrlimit(Resource::Fsize, limit).unwrap();
    while log.ready().is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // What was answered has happened and is recorded; what happened without an answer is recorded by now as well.
    let (directory, verifier) = (directory.clone(), verifier());
    log.read(|_| Ok(())).await.unwrap();
    let reader = LogReader::open(&directory, &verifier).unwrap();
    assert!(reader.verify(None).is_sound());
    for (key, is_destroyed) in keys.iter().zip(before) {
        assert_eq!(reader.find(key, |_| true).unwrap().is_some(), is_destroyed, "{key}");
        assert!(is_destroyed || !answered.contains(key));
    }
    assert!(server.get(&keys[keys.len() - 1]).await.is_ok());
    destroy(&keys[keys.len() - 1]).await.unwrap();
}

async fn keys(server: &Server) -> Vec<ByteString> {
    let mut keys = Vec::new();
    for _ in 0..300 {
        let object = symmetric_key(CryptographicAlgorithm::Aes, &[7; 16]);
        keys.push(server.register(object, Vec::new()).await);
    }
    keys
}

async fn destroyed(server: &Server, keys: &[ByteString]) -> Vec<bool> {
    let mut destroyed = Vec::new();
    for key in keys {
        destroyed.push(server.service.store.fetch("acme", key).await.unwrap().unwrap().is_destroyed());
    }
    destroyed
}

#[test]
fn a_full_disk_refuses_events_and_loses_none() {
    run_under_a_limit("write_under_a_limit");
}

#[test]
fn what_cannot_be_recorded_on_a_full_disk_does_not_happen() {
    run_under_a_limit("operate_under_a_limit");
}

fn run_under_a_limit(test: &str) {
    let place = Place::new();
    // The signal that goes with the limit is ignored, as a full disk sends none either.
    let script = r#"trap '' XFSZ; ulimit -S -f 100; exec "$0" "$@""#;
    let status = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("audit_log::tests::small_disk::{test}"), "--ignored"])
        .env(DIRECTORY, place.directory())
        .env(KEY, place.key_file())
        .status()
        .unwrap();
    assert!(status.success());
}
