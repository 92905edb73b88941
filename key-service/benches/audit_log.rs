//! The audit log: events a second at several numbers of writers, and what a log of many entries costs to open, to
//! verify, and to prove from.
//!
//! `KRYPTON_BENCH_DIRECTORY` picks the disk (default: the temporary folder), `KRYPTON_BENCH_ENTRIES` how many entries
//! the long log has (default 100,000).
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use bytestring::ByteString;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use key_service::audit_log::{
    AuditLog, AuditLogSettings, LogReader, ServerKind, VerifierKey, receipt, verify,
};
use key_service::port::{Audit, Event, Outcome};
use kmip_protocol::codec::DateTime;
use tempfile::TempDir;
use tokio::runtime::Runtime;

fn main() {
    divan::main();
    // Statics are never dropped by themselves.
    LONG.lock().unwrap().take();
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
static ENTRIES: LazyLock<u64> = LazyLock::new(|| {
    std::env::var("KRYPTON_BENCH_ENTRIES").ok().and_then(|entries| entries.parse().ok()).unwrap_or(100_000)
});

fn folder() -> TempDir {
    let parent = std::env::var_os("KRYPTON_BENCH_DIRECTORY").map_or_else(std::env::temp_dir, PathBuf::from);
    tempfile::tempdir_in(parent).unwrap()
}

fn open(folder: &Path) -> AuditLog {
    let (directory, key) = (folder.join("audit"), folder.join("audit.key"));
    let settings = AuditLogSettings::default();
    AuditLog::open(&directory, "kms.example.org/bench", &key, ServerKind::Core, &settings).unwrap()
}

fn event(number: u64) -> Event {
    Event {
        time: DateTime(1_700_000_000),
        tenant: ByteString::from_static("acme"),
        principal: ByteString::from_static("billing"),
        operation: ByteString::from_static("Destroy"),
        unique_identifier: Some(ByteString::from(format!("{number:08x}-0000-4000-8000-000000000000"))),
        outcome: Outcome::Success,
        client_correlation_value: Some(ByteString::from(format!("request {number}"))),
        server_correlation_value: None,
        details: BTreeMap::new(),
    }
}

/// Durable events: each writer waits for its own before it writes the next.
#[divan::bench(args = [1, 8, 64, 512], sample_count = 5, sample_size = 1)]
fn append(bencher: Bencher<'_, '_>, writers: u64) {
    const EVENTS: u64 = 2048;
    let folder = folder();
    let log = Arc::new(open(folder.path()));
    bencher.counter(ItemsCount::new(EVENTS)).bench_local(|| {
        let tasks: Vec<_> = (0..writers)
            .map(|writer| {
                let log = log.clone();
                RUNTIME.spawn(async move {
                    for number in (writer..EVENTS).step_by(writers as usize) {
                        log.append(&event(number)).await.unwrap();
                    }
                })
            })
            .collect();
        RUNTIME.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
    });
}

/// Events that nobody waits for.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn record_later(bencher: Bencher<'_, '_>) {
    const EVENTS: u64 = 20_000;
    let folder = folder();
    let log = open(folder.path());
    bencher.counter(ItemsCount::new(EVENTS)).bench_local(|| {
        RUNTIME.block_on(async {
            for number in 0..EVENTS {
                log.record_later(event(number)).await.unwrap();
            }
            log.append(&event(EVENTS)).await.unwrap();
        });
    });
}

static LONG: Mutex<Option<TempDir>> = Mutex::new(None);

/// The folder of the long log, which is made once.
fn long() -> PathBuf {
    let mut long = LONG.lock().unwrap();
    long.get_or_insert_with(|| {
        let folder = folder();
        let log = open(folder.path());
        RUNTIME.block_on(async {
            for number in 0..*ENTRIES {
                log.record_later(event(number)).await.unwrap();
            }
        });
        folder
    })
    .path()
    .to_owned()
}

fn verifier() -> VerifierKey {
    std::fs::read_to_string(long().join("audit.key.pub")).unwrap().parse().unwrap()
}

fn reader() -> LogReader {
    LogReader::open(&long().join("audit"), &verifier()).unwrap()
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn open_long(bencher: Bencher<'_, '_>) {
    let folder = long();
    bencher.bench_local(|| open(&folder));
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn verify_long(bencher: Bencher<'_, '_>) {
    let (directory, key) = (long().join("audit"), verifier());
    bencher.counter(ItemsCount::new(*ENTRIES)).bench_local(|| {
        assert!(verify(&directory, &key, None).unwrap().is_sound());
    });
}

#[divan::bench]
fn receipt_from_long(bencher: Bencher<'_, '_>) {
    let reader = reader();
    bencher.bench_local(|| reader.receipt(black_box(*ENTRIES / 3)).unwrap());
}

#[divan::bench]
fn verify_receipt(bencher: Bencher<'_, '_>) {
    let (receipt, key) = (reader().receipt(*ENTRIES / 3).unwrap(), verifier());
    bencher.bench_local(|| receipt::verify(black_box(receipt.as_str().as_bytes()), &key).unwrap());
}
