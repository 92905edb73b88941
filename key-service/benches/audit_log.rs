//! The audit log: events a second at several numbers of writers, and what a log of many entries costs to open, to
//! verify, and to prove from.
//!
//! `KRYPTON_BENCH_DIRECTORY` picks the disk (default: the temporary folder), `KRYPTON_BENCH_ENTRIES` how many entries
//! the long log has (default 100,000).
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use bytestring::ByteString;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use key_service::audit_log::{
    AuditLog, AuditLogSettings, AuditSettings, LogReader, ServerKind, Uses, VerifierKey, receipt, verify,
};
use key_service::batch;
use key_service::operations::HANDLED;
use key_service::port::{
    Audit, Binding, Event, NoAudit, Outcome, Sealed, Sealer, SealerError, SystemClock, SystemEntropy,
};
use key_service::principal::Principal;
use key_service::service::{Service, ServiceSettings};
use key_service::store::{MemoryLimits, MemoryStore};
use kmip_protocol::attribute::{Attribute, Attributes};
use kmip_protocol::codec::{DateTime, Secret};
use kmip_protocol::enumeration::{CryptographicAlgorithm, ObjectType};
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::mask::CryptographicUsageMask;
use kmip_protocol::message::{RequestHeader, RequestMessage, ResponseMessage};
use kmip_protocol::operation::{CreateRequest, GetRequest, Request, Response};
use kmip_protocol::version::V2_1;
use kmip_ttlv::Limits;
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
    // Long enough that tiles become certain several times.
    const EVENTS: u64 = 200_000;
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

/// What the log adds to a Get: a whole message, with records in memory and a sealer that does nothing, without a log, with uses
/// omitted, and with uses recorded later.
#[divan::bench(args = ["none", "omitted", "later"], sample_count = 50, sample_size = 100)]
fn get(bencher: Bencher<'_, '_>, log: &str) {
    let folder = folder();
    let uses = if log == "omitted" { Uses::Omitted } else { Uses::Later };
    let settings = AuditSettings { uses, ..AuditSettings::default() };
    let audit: Arc<dyn Audit> = match log {
        "none" => Arc::new(NoAudit),
        _ => Arc::new(AuditLog::of_server(&settings, folder.path(), ServerKind::Gateway).unwrap()),
    };
    let service = service(audit);
    let principal = Principal { tenant: "acme".into(), name: "billing".into() };
    let ask = |request: Request| {
        let message = RequestMessage::write(&RequestHeader::new(V2_1, 1), &[request]).into_bytes();
        RUNTIME.block_on(batch::answer(&service, &service, &principal, &message, Limits::default()))
    };
    let created = ResponseMessage::read(&ask(create()).into_bytes(), Limits::default()).unwrap();
    let Some(Response::Create(created)) = &created.items[0].payload else { panic!("not created") };
    let get = RequestMessage::write(&RequestHeader::new(V2_1, 1), &[get_of(&created.unique_identifier)]);
    let get = get.into_bytes();
    let answer = || batch::answer(&service, &service, &principal, &get, Limits::default());
    bencher.bench_local(|| RUNTIME.block_on(answer()));
}

fn service(audit: Arc<dyn Audit>) -> Service {
    Service::new(
        Arc::new(MemoryStore::new(MemoryLimits::default())),
        Arc::new(Transparent),
        Arc::new(SystemClock::default()),
        Arc::new(SystemEntropy::new()),
        audit,
        ServiceSettings::default(),
        HANDLED,
    )
}

/// Seals nothing.
struct Transparent;

#[async_trait]
impl Sealer for Transparent {
    async fn service_of(&self, _: &str, _: &[ByteString]) -> Result<ByteString, SealerError> {
        Ok(ByteString::from_static("default"))
    }

    async fn seal(&self, _: &Binding, plaintext: Secret) -> Result<Sealed, SealerError> {
        let envelope = Bytes::copy_from_slice(plaintext.expose());
        Ok(Sealed { key: ByteString::from_static("l3"), envelope })
    }

    async fn unseal(&self, _: &Binding, sealed: &Sealed) -> Result<Secret, SealerError> {
        Ok(Secret::copy_from_slice(&sealed.envelope))
    }
}

fn create() -> Request {
    let attributes = Attributes::new([
        Attribute::CryptographicAlgorithm(CryptographicAlgorithm::Aes),
        Attribute::CryptographicLength(256),
        Attribute::CryptographicUsageMask(CryptographicUsageMask::ENCRYPT),
    ]);
    let object_type = ObjectType::SymmetricKey;
    CreateRequest { object_type, attributes, protection_storage_masks: None }.into()
}

fn get_of(key: &ByteString) -> Request {
    GetRequest {
        unique_identifier: Some(UniqueIdentifier::Text(key.clone())),
        key_format_type: None,
        key_wrap_type: None,
        key_compression_type: None,
        key_wrapping_specification: None,
    }
    .into()
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
