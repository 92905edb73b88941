//! A tenant of a million keys: what Get, Locate and opening the store cost there, beside a tenant of a thousand.
//!
//! Prints the median time of each in microseconds for 1,000 and for `KRYPTON_BENCH_RECORDS` (default 1,000,000) records,
//! and their ratio; the memory of the process; the time to open the store, for `embedded` after a crash, too.
//! `KRYPTON_BENCH_STORES` picks among `memory`,
//! `embedded`, `redis`, `postgres` (default: all whose servers are installed); `KRYPTON_BENCH_DIRECTORY` the disk.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use bytestring::ByteString;
use key_service::batch;
use key_service::operations::HANDLED;
use key_service::port::{
    Binding, Change, NoAudit, Sealed, Sealer, SealerError, Store, SystemClock, SystemEntropy,
};
use key_service::principal::Principal;
use key_service::record::Record;
use key_service::service::{Service, ServiceSettings};
use key_service::store::{self, MemoryLimits, MemoryStore, Purpose, StoreSettings};
use kmip_protocol::attribute::{Attribute, Attributes, Name};
use kmip_protocol::codec::{DateTime, Secret};
use kmip_protocol::enumeration::{CryptographicAlgorithm, NameType, ObjectType, ResultStatus, State};
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::mask::CryptographicUsageMask;
use kmip_protocol::message::{RequestHeader, RequestMessage, ResponseMessage};
use kmip_protocol::operation::{CreateRequest, GetRequest, LocateRequest, Request};
use kmip_protocol::version::V2_1;
use kmip_ttlv::Limits;

const FEW: u64 = 1_000;
const BEGINNING: u64 = 1_700_000_000;
const CALLS: u64 = 2_000;
/// Records of one commit while a store is filled.
const CHUNK: u64 = 1_000;
/// One record in so many is rare: of another type, compromised, of an old algorithm.
const RARE: u64 = 10_007;

fn main() {
    let records =
        variable("KRYPTON_BENCH_RECORDS").and_then(|records| records.parse().ok()).unwrap_or(1_000_000);
    let stores =
        variable("KRYPTON_BENCH_STORES").unwrap_or_else(|| "memory,embedded,redis,postgres".to_owned());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    if let Some(folder) = variable(CRASHING) {
        runtime.block_on(commit_and_crash(Path::new(&folder)));
    }
    for kind in stores.split(',') {
        let Some(place) = Place::new(kind) else {
            println!("{kind}: not installed here");
            continue;
        };
        runtime.block_on(measure(kind, place, records));
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Where a store lies: servers and folders end with it.
struct Place {
    url: String,
    folder: tempfile::TempDir,
    _server: Option<Box<dyn std::any::Any>>,
}

impl Place {
    fn new(kind: &str) -> Option<Self> {
        let parent = variable("KRYPTON_BENCH_DIRECTORY").map_or_else(std::env::temp_dir, PathBuf::from);
        let folder = tempfile::tempdir_in(parent).unwrap();
        let installed = |path: &str| Path::new(path).exists();
        let (url, server): (String, Option<Box<dyn std::any::Any>>) = match kind {
            "redis" if installed("/usr/bin/redis-server") => {
                let redis = test_servers::Redis::start();
                (redis.url() + "?request_timeout_milliseconds=60000", Some(Box::new(redis)))
            }
            "postgres" if installed("/usr/lib/postgresql") => {
                let postgres = test_servers::Postgres::start();
                (postgres.database(), Some(Box::new(postgres)))
            }
            "redis" | "postgres" => return None,
            kind => (kind.to_owned(), None),
        };
        Some(Self { url, folder, _server: server })
    }

    async fn open(&self) -> Arc<dyn Store> {
        let settings = StoreSettings::new(self.folder.path().to_owned(), Purpose::Gateway);
        store::open(&self.url.parse().unwrap(), &settings).await.unwrap()
    }
}

async fn measure(kind: &str, place: Place, many: u64) {
    let store = place.open().await;
    let template = template().await;
    let started = Instant::now();
    fill(&*store, &template, 0..FEW).await;
    let few = calls(&store, FEW).await;
    fill(&*store, &template, FEW..many).await;
    let filled = started.elapsed();
    let calls_of_many = calls(&store, many).await;
    println!("{kind}: {many} records written in {:.1} s", filled.as_secs_f64());
    println!("  {:<44} {:>10} {:>12} {:>6}", "", FEW, many, "ratio");
    for ((what, few), (_, many)) in few.iter().zip(&calls_of_many) {
        println!("  {what:<44} {few:>7.1} us {many:>9.1} us {:>6.2}", many / few);
    }
    println!("  resident memory of the process: {} MiB", resident_mebibytes());
    if kind == "embedded" {
        time_after_crashes(&place).await;
    }
    if kind != "memory" {
        drop(store);
        // The file is closed when the last one who uses it is gone.
        let started = Instant::now();
        let store = place.open().await;
        println!(
            "  opened again in {:.0} ms; resident since: {} MiB",
            started.elapsed().as_secs_f64() * 1e3,
            resident_mebibytes()
        );
        let first = Instant::now();
        store.fetch(TENANT, &identifier(many / 2)).await.unwrap().unwrap();
        println!("  first fetch: {:.1} us", first.elapsed().as_secs_f64() * 1e6);
    }
}

/// How long a copy of the store takes to open as a crash leaves it: when nothing had been committed for a while, and with a
/// journal that is nearly full.
async fn time_after_crashes(place: &Place) {
    tokio::time::sleep(Duration::from_secs(3)).await;
    let crashed = tempfile::tempdir_in(place.folder.path().parent().unwrap()).unwrap();
    let (from, to) = (place.folder.path().join("store"), crashed.path().join("store"));
    std::fs::create_dir(&to).unwrap();
    for file in ["records.redb", "journal", "anchor"] {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
        // The disk's work for the copy is not the store's.
        std::fs::File::open(to.join(file)).unwrap().sync_all().unwrap();
    }
    for when in ["at rest", "amid commits"] {
        if when == "amid commits" {
            let program = std::env::current_exe().unwrap();
            let mut child = std::process::Command::new(program);
            assert!(child.env(CRASHING, crashed.path()).status().unwrap().success());
        }
        let started = Instant::now();
        let store = open_embedded(crashed.path()).await;
        println!("  opened after a crash {when} in {:.0} ms", started.elapsed().as_secs_f64() * 1e3);
        drop(store);
    }
}

/// Names the state folder of a store in which a child of this program commits, and ends in the middle of it.
const CRASHING: &str = "KRYPTON_BENCH_CRASHING";

/// Records that the journal of a store has room for.
const UNWRITTEN: u64 = 4_000;

async fn commit_and_crash(folder: &Path) {
    let store = open_embedded(folder).await;
    let first = u64::from(u32::MAX);
    fill(&*store, &template().await, first..first + UNWRITTEN).await;
    std::process::exit(0);
}

async fn open_embedded(folder: &Path) -> Arc<dyn Store> {
    let settings = StoreSettings::new(folder.to_owned(), Purpose::Gateway);
    store::open(&"embedded".parse().unwrap(), &settings).await.unwrap()
}

const TENANT: &str = "acme";

/// What is called, and the median of its times in microseconds.
async fn calls(store: &Arc<dyn Store>, records: u64) -> Vec<(&'static str, f64)> {
    let service = service(Arc::clone(store));
    let dates = |seconds: u64| DateTime((BEGINNING + seconds) as i64);
    let rare_state =
        vec![Attribute::ObjectType(ObjectType::SymmetricKey), Attribute::State(State::Compromised)];
    let rare_algorithm = vec![Attribute::CryptographicAlgorithm(CryptographicAlgorithm::Des)];
    let rare_type = vec![Attribute::ObjectType(ObjectType::SecretData)];
    let common = vec![
        Attribute::ObjectType(ObjectType::SymmetricKey),
        Attribute::State(State::Active),
        Attribute::CryptographicAlgorithm(CryptographicAlgorithm::Aes),
    ];
    let named = |number: u64| locate(vec![name(number)], 10);
    let grouped = |number: u64| locate(vec![Attribute::ObjectGroup(format!("g{}", number / 10).into())], 10);
    let moment = |number: u64| locate(vec![Attribute::InitialDate(dates(number))], 10);
    let range = |number: u64| {
        locate(vec![Attribute::InitialDate(dates(number)), Attribute::InitialDate(dates(number + 9))], 10)
    };
    let ending = |number: u64| {
        let end = |number: u64| Attribute::DeactivationDate(DateTime((BEGINNING + END + number) as i64));
        locate(vec![end(number - number % RARE), end(number - number % RARE + 3600)], 10)
    };
    vec![
        ("Get", time(&service, records, |number| get(number).into()).await),
        ("Locate by name", time(&service, records, |number| named(number).into()).await),
        ("Locate by group, 10 of them", time(&service, records, |number| grouped(number).into()).await),
        ("Locate by Initial Date", time(&service, records, |number| moment(number).into()).await),
        (
            "Locate by a range of Initial Dates, 10 of them",
            time(&service, records, |number| range(number).into()).await,
        ),
        (
            "Locate by type, state, algorithm, first 10",
            time(&service, records, |_| locate(common.clone(), 10).into()).await,
        ),
        (
            "Locate by type and a rare state, first 10",
            time(&service, records, |_| locate(rare_state.clone(), 10).into()).await,
        ),
        (
            "Locate by a rare type, first 10",
            time(&service, records, |_| locate(rare_type.clone(), 10).into()).await,
        ),
        (
            "Locate by a rare algorithm, first 10",
            time(&service, records, |_| locate(rare_algorithm.clone(), 10).into()).await,
        ),
        (
            "Locate by a range of Deactivation Dates",
            time(&service, records, |number| ending(number).into()).await,
        ),
    ]
}

async fn time(service: &Service, records: u64, request: impl Fn(u64) -> Request) -> f64 {
    let principal = Principal { tenant: TENANT.into(), name: "bench".into() };
    let mut times = Vec::new();
    let mut number = 0;
    for call in 0..CALLS {
        number = (number + 7_919_317) % records;
        let message = RequestMessage::write(&RequestHeader::new(V2_1, 1), &[request(number)]).into_bytes();
        let started = Instant::now();
        let answer = batch::answer(service, service, &principal, &message, Limits::default()).await;
        times.push(started.elapsed());
        if call == 0 {
            let answer = ResponseMessage::read(&answer.into_bytes(), Limits::default()).unwrap();
            let item = answer.items.into_iter().next().unwrap();
            assert_eq!(item.result_status, ResultStatus::Success, "{:?}", item.result_message);
        }
    }
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}

fn get(number: u64) -> GetRequest {
    GetRequest {
        unique_identifier: Some(UniqueIdentifier::Text(identifier(number).into())),
        key_format_type: None,
        key_wrap_type: None,
        key_compression_type: None,
        key_wrapping_specification: None,
    }
}

fn locate(criteria: Vec<Attribute>, maximum: i32) -> LocateRequest {
    LocateRequest {
        maximum_items: Some(maximum),
        offset_items: None,
        storage_status_mask: None,
        object_group_member: None,
        attributes: Attributes::new(criteria),
    }
}

fn service(store: Arc<dyn Store>) -> Service {
    Service::new(
        store,
        Arc::new(NoSealer),
        Arc::new(SystemClock::default()),
        Arc::new(SystemEntropy::new()),
        Arc::new(NoAudit),
        ServiceSettings::default(),
        HANDLED,
    )
}

/// What Create leaves: made once, by Create.
async fn template() -> Record {
    let store = Arc::new(MemoryStore::new(MemoryLimits::default()));
    let service = service(store.clone());
    let attributes = vec![
        Attribute::CryptographicAlgorithm(CryptographicAlgorithm::Aes),
        Attribute::CryptographicLength(256),
        Attribute::CryptographicUsageMask(CryptographicUsageMask::ENCRYPT | CryptographicUsageMask::DECRYPT),
    ];
    let request = CreateRequest {
        object_type: ObjectType::SymmetricKey,
        attributes: Attributes::new(attributes),
        protection_storage_masks: None,
    };
    let principal = Principal { tenant: TENANT.into(), name: "bench".into() };
    let message = RequestMessage::write(&RequestHeader::new(V2_1, 1), &[request.into()]).into_bytes();
    batch::answer(&service, &service, &principal, &message, Limits::default()).await;
    let page = store.select(TENANT, None, None, 1).await.unwrap();
    Record::clone(page.first().expect("Create makes a record"))
}

async fn fill(store: &dyn Store, template: &Record, mut numbers: std::ops::Range<u64>) {
    while !numbers.is_empty() {
        let changes = numbers.by_ref().take(CHUNK as usize);
        let changes = changes.map(|number| Change::Insert(record(template, number).kept())).collect();
        store.commit(changes).await.unwrap();
    }
}

/// The times of Deactivation Dates begin so long after the creation of the first record.
const END: u64 = 40_000_000;

/// One record a second.
fn record(template: &Record, number: u64) -> Record {
    let mut record = template.clone();
    let created = DateTime((BEGINNING + number) as i64);
    record.sequence = (BEGINNING + number) * 1_000_000;
    record.unique_identifier = identifier(number).into();
    for date in [
        Attribute::InitialDate,
        Attribute::LastChangeDate,
        Attribute::OriginalCreationDate,
        Attribute::ActivationDate,
    ] {
        record.set(date(created));
    }
    record.set(Attribute::State(State::Active));
    // The first Get of a fresh key writes.
    record.set(Attribute::Fresh(false));
    record.add(name(number));
    record.add(Attribute::ObjectGroup(format!("g{}", number / 10).into()));
    if number.is_multiple_of(RARE) {
        record.set(Attribute::DeactivationDate(DateTime((BEGINNING + END + number) as i64)));
    }
    match number % RARE {
        1 => record.set(Attribute::State(State::Compromised)),
        2 => record.set(Attribute::CryptographicAlgorithm(CryptographicAlgorithm::Des)),
        3 => record.object_type = ObjectType::SecretData,
        _ => (),
    }
    record
}

/// Spreads the numbers, as random identifiers are spread.
fn identifier(number: u64) -> String {
    let spread = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    format!("{:08x}-{:04x}-4000-8000-{number:012x}", spread >> 32, spread & 0xffff)
}

fn name(number: u64) -> Attribute {
    Attribute::Name(Name {
        value: format!("key-{number}").into(),
        name_type: NameType::UninterpretedTextString,
    })
}

/// The vault is none of the stores' matters: an envelope is the plaintext itself.
struct NoSealer;

#[async_trait]
impl Sealer for NoSealer {
    async fn service_of(&self, _: &str, _: &[ByteString]) -> Result<ByteString, SealerError> {
        Ok("default".into())
    }

    async fn seal(&self, _: &Binding, plaintext: Secret) -> Result<Sealed, SealerError> {
        Ok(Sealed { key: "l3".into(), envelope: Bytes::copy_from_slice(plaintext.expose()) })
    }

    async fn unseal(&self, _: &Binding, sealed: &Sealed) -> Result<Secret, SealerError> {
        Ok(Secret::copy_from_slice(&sealed.envelope))
    }
}

fn resident_mebibytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .map_or(0, |kibibytes: u64| kibibytes / 1024)
}
