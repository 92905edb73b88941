//! A disk that is full: events are refused, none that was remembered is lost, and it goes on when there is room.
//!
//! A limit on the size of files stands in for the disk, in a process of its own.

use std::path::PathBuf;
use std::process::Command;

use rustix::process::{Resource, getrlimit, setrlimit};

use super::super::{AuditLog, LogReader, ServerKind};
use super::{ORIGIN, Place, event, settings, verifier};

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

#[test]
fn a_full_disk_refuses_events_and_loses_none() {
    let place = Place::new();
    // The signal that goes with the limit is ignored, as a full disk sends none either.
    let script = r#"trap '' XFSZ; ulimit -S -f 100; exec "$0" "$@""#;
    let status = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "audit_log::tests::small_disk::write_under_a_limit", "--ignored"])
        .env(DIRECTORY, place.directory())
        .env(KEY, place.key_file())
        .status()
        .unwrap();
    assert!(status.success());
}
