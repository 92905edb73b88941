//! One suite of tests, run against every store: `store_tests!(name, make)` makes a module of them, where `make` is an
//! expression that gives a [`Subject`].

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use kmip_protocol::attribute::{Attribute, Attributes, Name};
use kmip_protocol::enumeration::{NameType, ObjectType, State};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::guard::Guard;
use crate::port::{Change, IndexKey, Sealed, Store, StoreError};
use crate::record::{MAXIMUM_RECORD_BYTES, Record, index_key};

/// A store to try, and what has to outlive it.
pub(crate) struct Subject {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) _keep: Option<Box<dyn std::any::Any + Send>>,
}

macro_rules! store_tests {
    ($module:ident, $make:expr) => {
        store_tests!(@ $module, $make;
            a_record_comes_back_as_it_was,
            an_identifier_is_taken_once,
            only_the_next_version_replaces,
            a_name_is_held_once,
            a_commit_may_move_a_name,
            a_commit_may_change_a_record_twice,
            a_commit_is_all_or_nothing,
            tenants_do_not_meet,
            what_is_there_is_told_of_many_at_once,
            select_answers_newest_first,
            select_pages,
            a_page_never_splits_a_sequence,
            a_walk_meets_every_record,
            a_destroyed_record_is_found_by_identifier_only,
            keys_follow_the_attributes,
            one_of_many_writers_wins,
            many_writers_are_all_heard,
            large_records_are_kept,
            tenants_with_records_are_told,
            a_record_of_another_store_keeps_its_version,
            behaves_like_the_model,
        );
    };
    (@ $module:ident, $make:expr; $($test:ident,)*) => {
        mod $module {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let subject: crate::store::suite::Subject = $make;
                    crate::store::suite::$test(Arc::clone(&subject.store)).await;
                }
            )*
        }
    };
}
pub(crate) use store_tests;

/// A live key without attributes but its state.
pub(crate) fn record(tenant: &str, unique_identifier: &str, sequence: u64) -> Record {
    Record {
        tenant: tenant.into(),
        service: "default".into(),
        unique_identifier: unique_identifier.into(),
        sequence,
        version: 1,
        object_type: ObjectType::SymmetricKey,
        attributes: listed([Attribute::State(State::Active)]),
        sealed: Some(Sealed { key: "l3".into(), envelope: Bytes::from_static(&[7; 96]) }),
        further_seals: Vec::new(),
        guard: Guard::default(),
    }
}

pub(crate) fn name(text: &str) -> Attribute {
    Attribute::Name(Name { value: text.into(), name_type: NameType::UninterpretedTextString })
}

pub(crate) fn group(text: &str) -> Attribute {
    Attribute::ObjectGroup(text.into())
}

pub(crate) fn with(mut record: Record, attributes: impl IntoIterator<Item = Attribute>) -> Record {
    record.attributes.instances.extend(listed(attributes).instances);
    record
}

/// As they are in a record: with an index.
fn listed(attributes: impl IntoIterator<Item = Attribute>) -> Attributes {
    let mut listed = Attributes::new(attributes);
    listed.instances.iter_mut().for_each(|instance| instance.index = Some(0));
    listed
}

/// The next version, with other attributes.
fn next(record: &Record, attributes: impl IntoIterator<Item = Attribute>) -> Record {
    let version = record.version + 1;
    let state = [Attribute::State(State::Active)];
    Record { version, attributes: listed(state.into_iter().chain(attributes)), ..record.clone() }
}

fn destroyed(record: &Record) -> Record {
    let mut after = Record { version: record.version + 1, sealed: None, ..record.clone() };
    for instance in &mut after.attributes.instances {
        if let Attribute::State(state) = &mut instance.attribute {
            *state = State::Destroyed;
        }
    }
    after
}

pub(crate) fn insert(record: &Record) -> Change {
    Change::Insert(Arc::new(record.clone()))
}

pub(crate) fn replace(record: &Record) -> Change {
    Change::Replace(Arc::new(record.clone()))
}

async fn fetched(store: &dyn Store, record: &Record) -> Option<Record> {
    let fetched = store.fetch(&record.tenant, &record.unique_identifier).await.unwrap();
    fetched.map(|record| (*record).clone())
}

async fn selected(store: &dyn Store, tenant: &str, key: Option<&Attribute>) -> Vec<String> {
    let key = key.map(|attribute| index_key(attribute).unwrap());
    let page = store.select(tenant, key.as_ref(), None, usize::MAX).await.unwrap();
    page.iter().map(|record| record.unique_identifier.to_string()).collect()
}

pub(crate) async fn a_record_comes_back_as_it_was(store: Arc<dyn Store>) {
    let written = with(record("t", "a", 1), [name("n"), group("g")]);
    assert_eq!(fetched(&*store, &written).await, None);
    store.commit(vec![insert(&written)]).await.unwrap();
    assert_eq!(fetched(&*store, &written).await, Some(written.clone()));
    let after = next(&written, [name("m")]);
    store.commit(vec![replace(&after)]).await.unwrap();
    assert_eq!(fetched(&*store, &written).await, Some(after));
}

pub(crate) async fn an_identifier_is_taken_once(store: Arc<dyn Store>) {
    store.commit(vec![insert(&record("t", "a", 1))]).await.unwrap();
    let again = store.commit(vec![insert(&record("t", "a", 2))]).await;
    assert_eq!(again, Err(StoreError::IdentifierTaken));
    assert_eq!(fetched(&*store, &record("t", "a", 0)).await.unwrap().sequence, 1);
}

pub(crate) async fn only_the_next_version_replaces(store: Arc<dyn Store>) {
    let first = record("t", "a", 1);
    let absent = next(&first, []);
    assert_eq!(store.commit(vec![replace(&absent)]).await, Err(StoreError::Conflict));
    store.commit(vec![insert(&first)]).await.unwrap();
    for version in [0, 1, 3, u64::MAX] {
        let wrong = Record { version, ..first.clone() };
        assert_eq!(store.commit(vec![replace(&wrong)]).await, Err(StoreError::Conflict), "{version}");
    }
    let late = Record { version: 2, unique_identifier: "b".into(), ..first.clone() };
    assert_eq!(store.commit(vec![insert(&late)]).await, Err(StoreError::Conflict));
    store.commit(vec![replace(&next(&first, []))]).await.unwrap();
    assert_eq!(store.commit(vec![replace(&next(&first, []))]).await, Err(StoreError::Conflict));
}

pub(crate) async fn a_name_is_held_once(store: Arc<dyn Store>) {
    let holder = with(record("t", "a", 1), [name("n")]);
    store.commit(vec![insert(&holder)]).await.unwrap();
    let rival = with(record("t", "b", 2), [name("m"), name("n")]);
    assert_eq!(store.commit(vec![insert(&rival)]).await, Err(StoreError::NameTaken));
    assert_eq!(fetched(&*store, &rival).await, None);
    store.commit(vec![insert(&record("t", "b", 2))]).await.unwrap();
    let renamed = next(&record("t", "b", 2), [name("n")]);
    assert_eq!(store.commit(vec![replace(&renamed)]).await, Err(StoreError::NameTaken));
    // Two of one commit are rivals, too.
    let rivals = ["c", "d"].map(|identifier| insert(&with(record("t", identifier, 3), [name("o")])));
    assert_eq!(store.commit(rivals.to_vec()).await, Err(StoreError::NameTaken));
    // The holder may keep its name, and say it twice; giving it up frees it.
    let kept = next(&holder, [name("n"), name("n")]);
    store.commit(vec![replace(&kept)]).await.unwrap();
    store.commit(vec![replace(&next(&kept, []))]).await.unwrap();
    store.commit(vec![replace(&renamed)]).await.unwrap();
}

pub(crate) async fn a_commit_may_move_a_name(store: Arc<dyn Store>) {
    let (a, b) = (with(record("t", "a", 1), [name("n")]), with(record("t", "b", 2), [name("m")]));
    store.commit(vec![insert(&a), insert(&b)]).await.unwrap();
    let (a, b) = (next(&a, [name("m")]), next(&b, [name("n")]));
    store.commit(vec![replace(&a), replace(&b)]).await.unwrap();
    assert_eq!(selected(&*store, "t", Some(&name("m"))).await, ["a"]);
    let c = with(record("t", "c", 3), [name("n")]);
    store.commit(vec![insert(&c), replace(&destroyed(&b))]).await.unwrap();
    assert_eq!(selected(&*store, "t", Some(&name("n"))).await, ["c"]);
}

pub(crate) async fn a_commit_may_change_a_record_twice(store: Arc<dyn Store>) {
    let first = with(record("t", "a", 1), [name("n")]);
    let second = next(&first, [name("m")]);
    store.commit(vec![insert(&first), replace(&second)]).await.unwrap();
    assert_eq!(fetched(&*store, &first).await, Some(second.clone()));
    assert_eq!(selected(&*store, "t", Some(&name("n"))).await, [""; 0]);
    let third = next(&second, []);
    let skipped = Record { version: 5, ..third.clone() };
    assert_eq!(store.commit(vec![replace(&third), replace(&skipped)]).await, Err(StoreError::Conflict));
    assert_eq!(store.commit(vec![insert(&record("t", "b", 2)); 2]).await, Err(StoreError::IdentifierTaken));
    store.commit(vec![replace(&third), replace(&next(&third, [name("o")]))]).await.unwrap();
    assert_eq!(selected(&*store, "t", None).await, ["a"]);
}

pub(crate) async fn a_commit_is_all_or_nothing(store: Arc<dyn Store>) {
    let kept = record("t", "a", 1);
    store.commit(vec![insert(&kept)]).await.unwrap();
    let new = with(record("t", "b", 2), [name("n")]);
    let changes = vec![insert(&new), replace(&next(&kept, [name("m")])), insert(&kept)];
    assert_eq!(store.commit(changes).await, Err(StoreError::IdentifierTaken));
    assert_eq!(fetched(&*store, &new).await, None);
    assert_eq!(fetched(&*store, &kept).await, Some(kept.clone()));
    assert_eq!(selected(&*store, "t", None).await, ["a"]);
    for key in ["n", "m"] {
        assert_eq!(selected(&*store, "t", Some(&name(key))).await, [""; 0]);
    }
    store.commit(Vec::new()).await.unwrap();
}

pub(crate) async fn tenants_do_not_meet(store: Arc<dyn Store>) {
    let mine = with(record("t", "a", 1), [name("n")]);
    // The identifier and the tenant of the last one read the same when put together.
    let others =
        [("u", "a"), ("ta", ""), ("", "ta")].map(|(tenant, id)| with(record(tenant, id, 1), [name("n")]));
    store.commit(vec![insert(&mine)]).await.unwrap();
    assert_eq!(fetched(&*store, &others[0]).await, None);
    for other in &others {
        store.commit(vec![insert(other)]).await.unwrap();
    }
    for other in &others {
        assert_eq!(selected(&*store, &other.tenant, None).await, [&*other.unique_identifier]);
        assert_eq!(selected(&*store, &other.tenant, Some(&name("n"))).await, [&*other.unique_identifier]);
        assert_eq!(fetched(&*store, other).await.as_ref(), Some(other));
    }
    store.commit(vec![replace(&destroyed(&mine))]).await.unwrap();
    assert_eq!(selected(&*store, "u", Some(&name("n"))).await, ["a"]);
    assert_eq!(selected(&*store, "nobody", None).await, [""; 0]);
}

pub(crate) async fn what_is_there_is_told_of_many_at_once(store: Arc<dyn Store>) {
    let identifiers: Vec<ByteString> =
        (0..300).map(|number| ByteString::from(format!("k{number}"))).collect();
    for identifier in identifiers.iter().step_by(3) {
        store.commit(vec![insert(&record("t", identifier, 1))]).await.unwrap();
    }
    let destroyed = destroyed(&record("t", "k0", 1));
    store.commit(vec![replace(&destroyed)]).await.unwrap();
    let present = store.present("t", &identifiers).await.unwrap();
    assert_eq!(present, (0..300).map(|number| number % 3 == 0).collect::<Vec<_>>());
    assert_eq!(store.present("other", &identifiers[..4]).await.unwrap(), [false; 4]);
    let odd = ["k3", "k\0", "k3", ""].map(ByteString::from);
    assert_eq!(store.present("t", &odd).await.unwrap(), [true, false, true, false]);
    assert!(store.present("t", &[]).await.unwrap().is_empty());
}

pub(crate) async fn select_answers_newest_first(store: Arc<dyn Store>) {
    for (identifier, sequence) in [("b", 2), ("z", u64::MAX), ("a", 3), ("c", 0), ("d", 256)] {
        let record = with(record("t", identifier, sequence), [group("g"), group(identifier)]);
        store.commit(vec![insert(&record)]).await.unwrap();
    }
    assert_eq!(selected(&*store, "t", None).await, ["z", "d", "a", "b", "c"]);
    assert_eq!(selected(&*store, "t", Some(&group("g"))).await, ["z", "d", "a", "b", "c"]);
    assert_eq!(selected(&*store, "t", Some(&group("a"))).await, ["a"]);
    assert_eq!(selected(&*store, "t", Some(&group("none"))).await, [""; 0]);
}

pub(crate) async fn select_pages(store: Arc<dyn Store>) {
    let records = (0..25).map(|n| insert(&with(record("t", &format!("k{n}"), n), [group("g")])));
    store.commit(records.collect()).await.unwrap();
    let key = index_key(&group("g")).unwrap();
    for key in [None, Some(&key)] {
        let (mut after, mut seen) = (None, Vec::new());
        loop {
            let page = store.select("t", key, after, 10).await.unwrap();
            assert!(page.len() <= 10);
            seen.extend(page.iter().map(|record| record.sequence));
            let Some(last) = page.last() else { break };
            after = Some(last.sequence);
        }
        assert_eq!(seen, (0..25).rev().collect::<Vec<_>>());
        assert_eq!(store.select("t", key, None, 0).await.unwrap().len(), 0);
        assert_eq!(store.select("t", key, Some(0), 9).await.unwrap().len(), 0);
    }
}

pub(crate) async fn a_page_never_splits_a_sequence(store: Arc<dyn Store>) {
    let records = [("a", 1), ("b", 2), ("c", 2), ("d", 2), ("e", 3)];
    let records = records.map(|(identifier, sequence)| insert(&record("t", identifier, sequence)));
    store.commit(records.to_vec()).await.unwrap();
    let page = store.select("t", None, None, 2).await.unwrap();
    assert_eq!(page.iter().map(|record| record.sequence).collect::<Vec<_>>(), [3, 2, 2, 2]);
    let page = store.select("t", None, Some(2), 2).await.unwrap();
    assert_eq!(page.len(), 1);
}

/// Walks through a tenant, `limit` records at a time or about that many.
pub(crate) async fn walked(store: &dyn Store, tenant: &str, limit: usize) -> Vec<Result<Record, StoreError>> {
    let (mut next, mut met) = (None, Vec::new());
    loop {
        let stretch = store.walk(tenant, next.as_ref(), limit).await.unwrap();
        met.extend(stretch.records.into_iter().map(|record| record.map(|record| (*record).clone())));
        next = stretch.next;
        if next.is_none() {
            return met;
        }
    }
}

pub(crate) async fn a_walk_meets_every_record(store: Arc<dyn Store>) {
    let of_tenant =
        |tenant: &'static str| (0..60).map(move |number| record(tenant, &format!("k{number}"), number / 7));
    for tenant in ["t", "ta", ""] {
        store.commit(of_tenant(tenant).map(|record| insert(&record)).collect()).await.unwrap();
    }
    let gone = destroyed(&record("t", "k9", 1));
    store.commit(vec![replace(&gone), insert(&record("t", "", 3))]).await.unwrap();
    let mut expected: BTreeMap<_, _> =
        of_tenant("t").map(|record| (record.unique_identifier.clone(), record)).collect();
    expected.insert("k9".into(), gone);
    expected.insert(ByteString::new(), record("t", "", 3));
    for limit in [1, 7, 61, 1000] {
        let met = walked(&*store, "t", limit).await.into_iter().map(Result::unwrap);
        let met: BTreeMap<_, _> = met.map(|record| (record.unique_identifier.clone(), record)).collect();
        assert_eq!(met, expected, "{limit}");
    }
    assert_eq!(walked(&*store, "nobody", 9).await.len(), 0);
}

pub(crate) async fn a_destroyed_record_is_found_by_identifier_only(store: Arc<dyn Store>) {
    let live = with(record("t", "a", 1), [name("n"), group("g")]);
    store.commit(vec![insert(&live)]).await.unwrap();
    let after = destroyed(&live);
    store.commit(vec![replace(&after)]).await.unwrap();
    assert_eq!(fetched(&*store, &live).await, Some(after));
    for key in [name("n"), group("g")] {
        assert_eq!(selected(&*store, "t", Some(&key)).await, [""; 0]);
    }
    assert_eq!(selected(&*store, "t", None).await, ["a"]);
    store.commit(vec![insert(&with(record("t", "b", 2), [name("n")]))]).await.unwrap();
}

pub(crate) async fn keys_follow_the_attributes(store: Arc<dyn Store>) {
    let first = with(record("t", "a", 1), [group("g"), group("h")]);
    store.commit(vec![insert(&first)]).await.unwrap();
    let second = next(&first, [group("h"), group("i")]);
    store.commit(vec![replace(&second)]).await.unwrap();
    for (key, found) in [("g", 0), ("h", 1), ("i", 1)] {
        assert_eq!(selected(&*store, "t", Some(&group(key))).await.len(), found, "{key}");
    }
}

pub(crate) async fn one_of_many_writers_wins(store: Arc<dyn Store>) {
    let mut current = record("t", "a", 1);
    store.commit(vec![insert(&current)]).await.unwrap();
    for round in 0..20 {
        let rivals = (0..16).map(|rival| next(&current, [group(&format!("{round}.{rival}"))]));
        let rivals: Vec<_> = rivals.collect();
        let tasks: Vec<_> = rivals.iter().map(|rival| commit_aside(&store, vec![replace(rival)])).collect();
        let mut winners = Vec::new();
        for (rival, task) in rivals.into_iter().zip(tasks) {
            match task.await.unwrap() {
                Ok(()) => winners.push(rival),
                Err(error) => assert_eq!(error, StoreError::Conflict),
            }
        }
        assert_eq!(winners.len(), 1);
        current = winners.remove(0);
        assert_eq!(fetched(&*store, &current).await.as_ref(), Some(&current));
    }
    let rivals = (0..16).map(|rival| insert(&with(record("t", &format!("k{rival}"), 2), [name("n")])));
    let tasks: Vec<_> = rivals.map(|rival| commit_aside(&store, vec![rival])).collect();
    let mut winners = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(()) => winners += 1,
            Err(error) => assert_eq!(error, StoreError::NameTaken),
        }
    }
    assert_eq!(winners, 1);
}

fn commit_aside(
    store: &Arc<dyn Store>,
    changes: Vec<Change>,
) -> tokio::task::JoinHandle<Result<(), StoreError>> {
    let store = Arc::clone(store);
    tokio::spawn(async move { store.commit(changes).await })
}

/// Each writer raises a counter of its own and one of all, and reads what it wrote.
pub(crate) async fn many_writers_are_all_heard(store: Arc<dyn Store>) {
    const WRITERS: u64 = 16;
    const ROUNDS: u64 = 10;
    store.commit(vec![insert(&record("t", "all", 1))]).await.unwrap();
    let writer = |number: u64| {
        let store = Arc::clone(&store);
        async move {
            let mut own = record("t", &format!("w{number}"), number + 2);
            store.commit(vec![insert(&own)]).await.unwrap();
            for _ in 0..ROUNDS {
                let raised = next(&own, []);
                loop {
                    let all = store.fetch("t", "all").await.unwrap().unwrap();
                    match store.commit(vec![replace(&raised), replace(&next(&all, []))]).await {
                        Err(error) => assert_eq!(error, StoreError::Conflict),
                        Ok(()) => break,
                    }
                }
                assert_eq!(fetched(&*store, &own).await.as_ref(), Some(&raised));
                own = raised;
            }
        }
    };
    let writers: Vec<_> = (0..WRITERS).map(|number| tokio::spawn(writer(number))).collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let all = fetched(&*store, &record("t", "all", 1)).await.unwrap();
    assert_eq!(all.version, 1 + WRITERS * ROUNDS);
    assert_eq!(selected(&*store, "t", None).await.len() as u64, WRITERS + 1);
}

pub(crate) async fn large_records_are_kept(store: Arc<dyn Store>) {
    let of_size = |identifier: &str, bytes: usize| {
        let envelope = vec![9; bytes].into();
        Record { sealed: Some(Sealed { key: "l3".into(), envelope }), ..record("t", identifier, 1) }
    };
    let overhead = of_size("a", 0).encode().len();
    let largest = of_size("a", MAXIMUM_RECORD_BYTES - overhead);
    store.commit(vec![insert(&largest)]).await.unwrap();
    assert!(fetched(&*store, &largest).await == Some(largest));
    let too_large = of_size("b", MAXIMUM_RECORD_BYTES - overhead + 8);
    assert_eq!(store.commit(vec![insert(&too_large)]).await, Err(StoreError::Full));
    assert_eq!(selected(&*store, "t", None).await, ["a"]);
}

pub(crate) async fn tenants_with_records_are_told(store: Arc<dyn Store>) {
    let told = async || {
        let mut tenants = store.tenants().await.unwrap();
        tenants.sort_unstable();
        let mut found = store.find_tenants().await.unwrap();
        found.sort_unstable();
        assert_eq!(found, tenants);
        tenants
    };
    assert_eq!(told().await, [""; 0]);
    let refused = Record { version: 2, ..record("nobody", "a", 1) };
    assert_eq!(store.commit(vec![insert(&refused)]).await, Err(StoreError::Conflict));
    for (tenant, identifier) in [("u", "a"), ("t", "b"), ("t", "a"), ("", "a"), ("tt", "a")] {
        store.commit(vec![insert(&record(tenant, identifier, 1))]).await.unwrap();
    }
    store.commit(vec![replace(&destroyed(&record("u", "a", 1)))]).await.unwrap();
    assert_eq!(told().await, ["", "t", "tt", "u"]);
}

pub(crate) async fn a_record_of_another_store_keeps_its_version(store: Arc<dyn Store>) {
    let import = |record: &Record| Change::Import(Arc::new(record.clone()));
    let moved = Record { version: 7, ..with(record("t", "a", 1), [name("n")]) };
    store.commit(vec![import(&moved)]).await.unwrap();
    assert_eq!(fetched(&*store, &moved).await, Some(moved.clone()));
    assert_eq!(selected(&*store, "t", Some(&name("n"))).await, ["a"]);
    assert_eq!(store.commit(vec![import(&moved)]).await, Err(StoreError::IdentifierTaken));
    let rival = Record { version: 3, ..with(record("t", "b", 2), [name("n")]) };
    assert_eq!(store.commit(vec![import(&rival)]).await, Err(StoreError::NameTaken));
    store.commit(vec![replace(&next(&moved, []))]).await.unwrap();
    store.commit(vec![import(&rival)]).await.unwrap();
}

/// One change of the model test: applied to whatever is there.
#[derive(Debug, Clone)]
struct Step {
    tenant: usize,
    identifier: usize,
    kind: Kind,
    sequence: u64,
    names: BTreeSet<usize>,
    groups: BTreeSet<usize>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Insert,
    Replace,
    Destroy,
    Stale,
}

const TENANTS: usize = 2;
const IDENTIFIERS: usize = 5;
const VALUES: usize = 3;

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![
        4 => Just(Kind::Insert), 6 => Just(Kind::Replace), 2 => Just(Kind::Destroy), 1 => Just(Kind::Stale)
    ];
    let values = || prop::collection::btree_set(0..VALUES, 0..=1);
    (0..TENANTS, 0..IDENTIFIERS, kind, 0..4u64, values(), values()).prop_map(
        |(tenant, identifier, kind, sequence, names, groups)| Step {
            tenant,
            identifier,
            kind,
            sequence,
            names,
            groups,
        },
    )
}

/// What a store is to do, said in the simplest way.
#[derive(Default, Clone)]
struct Model(BTreeMap<(ByteString, ByteString), Record>);

impl Model {
    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let mut after = self.clone();
        for change in changes {
            let record = change.record();
            let identity = (record.tenant.clone(), record.unique_identifier.clone());
            let stored = after.0.get(&identity).map(|stored| stored.version);
            match change {
                Change::Insert(_) if stored.is_some() => return Err(StoreError::IdentifierTaken),
                Change::Replace(_) if stored.map(|version| version + 1) != Some(record.version) => {
                    return Err(StoreError::Conflict);
                }
                _ => after.0.insert(identity, (**record).clone()),
            };
        }
        let mut names = BTreeSet::new();
        for record in after.0.values() {
            for name in record.unique_keys() {
                if !names.insert((record.tenant.clone(), name)) {
                    return Err(StoreError::NameTaken);
                }
            }
        }
        *self = after;
        Ok(())
    }

    fn select(&self, tenant: &str, key: Option<&IndexKey>) -> Vec<Record> {
        let carries = |record: &&Record| {
            *record.tenant == *tenant && key.is_none_or(|key| record.index_keys().contains(key))
        };
        let mut records: Vec<_> = self.0.values().filter(carries).cloned().collect();
        records.sort_by_key(|record| (std::cmp::Reverse(record.sequence), record.unique_identifier.clone()));
        records
    }

    /// The change a step asks for, given what the changes before it in the same commit leave.
    fn change(&mut self, step: &Step, tenant: &str) -> Change {
        let identifier = format!("k{}", step.identifier);
        let identity = (ByteString::from(tenant), ByteString::from(&*identifier));
        let stored = self.0.get(&identity).cloned();
        let mut attributes: Vec<_> = step.names.iter().map(|n| name(&format!("n{n}"))).collect();
        attributes.extend(step.groups.iter().map(|g| group(&format!("g{g}"))));
        let new = with(record(tenant, &identifier, step.sequence), attributes);
        let stored_version = stored.as_ref().map_or(0, |stored| stored.version);
        let after = match step.kind {
            Kind::Insert => new,
            Kind::Replace => Record { version: stored_version + 1, ..new },
            Kind::Destroy => stored.as_ref().map_or(new, destroyed),
            Kind::Stale => Record { version: stored_version, ..new },
        };
        self.0.insert(identity, after.clone());
        if matches!(step.kind, Kind::Insert) { insert(&after) } else { replace(&after) }
    }
}

pub(crate) async fn behaves_like_the_model(store: Arc<dyn Store>) {
    let runtime = tokio::runtime::Handle::current();
    let cases = std::env::var("KRYPTON_MODEL_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(32);
    let run = move || {
        let commits = prop::collection::vec(prop::collection::vec(step(), 1..4), 1..25);
        let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
        // Tenants that no case before has used: one store does for all.
        let case = std::cell::Cell::new(0);
        let outcome = runner.run(&commits, |commits| {
            case.set(case.get() + 1);
            runtime.block_on(compare(&*store, &commits, case.get()))
        });
        if let Err(error) = outcome {
            panic!("{error}");
        }
    };
    tokio::task::spawn_blocking(run).await.unwrap();
}

async fn compare(store: &dyn Store, commits: &[Vec<Step>], case: usize) -> Result<(), TestCaseError> {
    let tenants: Vec<_> = (0..TENANTS).map(|tenant| format!("t{case}.{tenant}")).collect();
    let mut model = Model::default();
    for steps in commits {
        let mut ahead = model.clone();
        // A commit is of one tenant.
        let tenant = &tenants[steps[0].tenant];
        let changes: Vec<_> = steps.iter().map(|step| ahead.change(step, tenant)).collect();
        prop_assert_eq!(store.commit(changes.clone()).await, model.commit(&changes));
        for tenant in &tenants {
            compare_tenant(store, &model, tenant).await?;
        }
    }
    Ok(())
}

async fn compare_tenant(store: &dyn Store, model: &Model, tenant: &str) -> Result<(), TestCaseError> {
    for identifier in (0..IDENTIFIERS).map(|identifier| format!("k{identifier}")) {
        let expected = model.0.get(&(tenant.into(), (&*identifier).into()));
        let fetched = store.fetch(tenant, &identifier).await.unwrap();
        prop_assert_eq!(fetched.as_deref(), expected);
    }
    let values = (0..VALUES).flat_map(|n| [name(&format!("n{n}")), group(&format!("g{n}"))]);
    let keys: Vec<_> = values.map(|attribute| index_key(&attribute)).chain([None]).collect();
    for key in &keys {
        let (mut after, mut found) = (None, Vec::new());
        loop {
            let mut page = store.select(tenant, key.as_ref(), after, 2).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.sequence);
            // Within one sequence any order will do.
            page.sort_by_key(|record| (std::cmp::Reverse(record.sequence), record.unique_identifier.clone()));
            found.extend(page.iter().map(|record| (**record).clone()));
        }
        prop_assert_eq!(found, model.select(tenant, key.as_ref()));
    }
    Ok(())
}
