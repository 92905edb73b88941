//! The stores under the loads that matter: warm and cold fetches, group commit, Locate by name.
//!
//! `KRYPTON_BENCH_DIRECTORY` picks the disk (default: the temporary folder), `KRYPTON_BENCH_RECORDS` how many records
//! there are (default 100,000).
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use key_service::guard::Guard;
use key_service::port::{Change, Sealed, Store};
use key_service::record::{Record, index_key};
use key_service::store::{EmbeddedLimits, EmbeddedStore, MemoryLimits, MemoryStore};
use kmip_protocol::attribute::{Attribute, Attributes, Name};
use kmip_protocol::codec::DateTime;
use kmip_protocol::enumeration::{CryptographicAlgorithm, NameType, ObjectType, State};
use tokio::runtime::Runtime;

fn main() {
    divan::main();
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Memory,
    Embedded,
    /// Every fetch reads the database.
    EmbeddedUncached,
}

const KINDS: [Kind; 3] = [Kind::Memory, Kind::Embedded, Kind::EmbeddedUncached];
const DURABLE: [Kind; 2] = [Kind::Memory, Kind::Embedded];

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
static RECORDS: LazyLock<u64> = LazyLock::new(|| {
    std::env::var("KRYPTON_BENCH_RECORDS").ok().and_then(|records| records.parse().ok()).unwrap_or(100_000)
});

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

/// What Create leaves: about 600 bytes.
fn record(number: u64, named: bool) -> Arc<Record> {
    let mut attributes = vec![
        Attribute::UniqueIdentifier(identifier(number).into()),
        Attribute::ObjectType(ObjectType::SymmetricKey),
        Attribute::CryptographicAlgorithm(CryptographicAlgorithm::Aes),
        Attribute::CryptographicLength(256),
        Attribute::State(State::Active),
        Attribute::InitialDate(DateTime(1_700_000_000)),
        Attribute::LastChangeDate(DateTime(1_700_000_000)),
        Attribute::ActivationDate(DateTime(1_700_000_000)),
        Attribute::Fresh(true),
        Attribute::Sensitive(false),
        Attribute::AlwaysSensitive(false),
        Attribute::Extractable(true),
        Attribute::NeverExtractable(false),
    ];
    attributes.extend(named.then(|| name(number)));
    let envelope = Bytes::from(number.to_be_bytes().repeat(16));
    Arc::new(Record {
        tenant: "acme".into(),
        service: "default".into(),
        unique_identifier: identifier(number).into(),
        sequence: number,
        version: 1,
        object_type: ObjectType::SymmetricKey,
        attributes: Attributes::new(attributes),
        sealed: Some(Sealed { key: identifier(u64::MAX).into(), envelope }),
        further_seals: Vec::new(),
        guard: Guard::default(),
    })
}

/// A store of [`RECORDS`] records, and where it lies.
fn filled(kind: Kind) -> (Arc<dyn Store>, Option<tempfile::TempDir>) {
    let (store, keep): (Arc<dyn Store>, _) = match kind {
        Kind::Memory => (Arc::new(MemoryStore::new(MemoryLimits::default())), None),
        Kind::Embedded | Kind::EmbeddedUncached => {
            let parent =
                std::env::var_os("KRYPTON_BENCH_DIRECTORY").map_or_else(std::env::temp_dir, PathBuf::from);
            let keep = tempfile::tempdir_in(parent).unwrap();
            let mut limits = EmbeddedLimits::default();
            if matches!(kind, Kind::EmbeddedUncached) {
                limits.record_cache_bytes = 0;
            }
            (Arc::new(EmbeddedStore::open(keep.path(), limits).unwrap()), Some(keep))
        }
    };
    let numbers: Vec<_> = (0..*RECORDS).collect();
    for chunk in numbers.chunks(2000) {
        let changes = chunk.iter().map(|number| Change::Insert(record(*number, true))).collect();
        RUNTIME.block_on(store.commit(changes)).unwrap();
    }
    (store, keep)
}

fn some_identifiers() -> impl FnMut() -> String {
    let mut state = 88_172_645_463_325_252_u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        identifier(state % *RECORDS)
    }
}

/// The same thousand records again and again.
#[divan::bench(args = KINDS)]
fn fetch_hot(bencher: Bencher<'_, '_>, kind: Kind) {
    let (store, _keep) = filled(kind);
    let identifiers: Vec<_> = (0..1000).map(identifier).collect();
    for identifier in &identifiers {
        RUNTIME.block_on(store.fetch("acme", identifier)).unwrap();
    }
    let mut next = identifiers.iter().cycle();
    bencher.bench_local(|| RUNTIME.block_on(store.fetch("acme", next.next().unwrap())).unwrap().unwrap());
}

#[divan::bench(args = KINDS)]
fn fetch_any(bencher: Bencher<'_, '_>, kind: Kind) {
    let (store, _keep) = filled(kind);
    bencher
        .with_inputs(some_identifiers())
        .bench_local_refs(|identifier| RUNTIME.block_on(store.fetch("acme", identifier)).unwrap().unwrap());
}

/// Fetches one by one while 32 writers keep the disk busy: the slowest one tells whether a reader waits for them.
#[divan::bench(args = KINDS, sample_size = 1, sample_count = 50_000)]
fn fetch_while_others_commit(bencher: Bencher<'_, '_>, kind: Kind) {
    let (store, _keep) = filled(kind);
    let done = Arc::new(AtomicBool::new(false));
    let number = Arc::new(AtomicU64::new(*RECORDS));
    let writers: Vec<_> = (0..32)
        .map(|_| {
            let (store, done, number) = (Arc::clone(&store), Arc::clone(&done), Arc::clone(&number));
            RUNTIME.spawn(async move {
                while !done.load(Ordering::Relaxed) {
                    let number = number.fetch_add(1, Ordering::Relaxed);
                    store.commit(vec![Change::Insert(record(number, true))]).await.unwrap();
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    bencher
        .with_inputs(some_identifiers())
        .bench_local_refs(|identifier| RUNTIME.block_on(store.fetch("acme", identifier)).unwrap().unwrap());
    done.store(true, Ordering::Relaxed);
    for writer in writers {
        RUNTIME.block_on(writer).unwrap();
    }
}

/// Inserts by so many writers at once.
#[divan::bench(args = DURABLE, consts = [1, 8, 64], sample_count = 20)]
fn commit_named<const WRITERS: u64>(bencher: Bencher<'_, '_>, kind: Kind) {
    commit::<WRITERS>(bencher, kind, true);
}

#[divan::bench(args = DURABLE, consts = [64], sample_count = 20)]
fn commit_unnamed<const WRITERS: u64>(bencher: Bencher<'_, '_>, kind: Kind) {
    commit::<WRITERS>(bencher, kind, false);
}

fn commit<const WRITERS: u64>(bencher: Bencher<'_, '_>, kind: Kind, named: bool) {
    const EACH: u64 = 20;
    let (store, _keep) = filled(kind);
    let number = Arc::new(AtomicU64::new(*RECORDS));
    bencher.counter(ItemsCount::new(WRITERS * EACH)).bench_local(|| {
        let writer = || {
            let (store, number) = (Arc::clone(&store), Arc::clone(&number));
            async move {
                for _ in 0..EACH {
                    let number = number.fetch_add(1, Ordering::Relaxed);
                    store.commit(vec![Change::Insert(record(number, named))]).await.unwrap();
                }
            }
        };
        let writers: Vec<_> = (0..WRITERS).map(|_| RUNTIME.spawn(writer())).collect();
        for writer in writers {
            RUNTIME.block_on(writer).unwrap();
        }
    });
}

#[divan::bench(args = DURABLE)]
fn select_by_name(bencher: Bencher<'_, '_>, kind: Kind) {
    let (store, _keep) = filled(kind);
    let mut number = 0;
    bencher
        .with_inputs(|| {
            number = (number + 7919) % *RECORDS;
            index_key(&name(number)).unwrap()
        })
        .bench_local_refs(|key| {
            let page = RUNTIME.block_on(store.select("acme", Some(key), None, 100)).unwrap();
            assert_eq!(page.len(), 1);
            black_box(page)
        });
}

#[divan::bench(args = DURABLE)]
fn select_page_of_100(bencher: Bencher<'_, '_>, kind: Kind) {
    let (store, _keep) = filled(kind);
    bencher.bench_local(|| RUNTIME.block_on(store.select("acme", None, Some(*RECORDS / 2), 100)).unwrap());
}
