//! What becomes of edited records, with the vault there and with the vault away.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use key_service::guard::Guard;
use key_service::memory::{LockedMemory, MemoryKind};
use key_service::port::Sealed;
use kmip_protocol::attribute::Name;
use kmip_protocol::codec::DateTime;
use kmip_protocol::enumeration::{NameType, ObjectType};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::*;

/// A store that anybody edits: nothing but the bytes of records.
#[derive(Default)]
struct Bare {
    records: Mutex<BTreeMap<(ByteString, ByteString), Bytes>>,
    /// What commits wait for, if anything.
    hold: Mutex<Option<Arc<Notify>>>,
}

fn read(bytes: &Bytes) -> Result<Arc<Record>, StoreError> {
    Record::decode(bytes).map(Arc::new).map_err(|error| StoreError::Damaged(error.to_string()))
}

#[async_trait]
impl Store for Bare {
    async fn fetch(&self, tenant: &str, identifier: &str) -> Result<Option<Arc<Record>>, StoreError> {
        self.records.lock().unwrap().get(&(tenant.into(), identifier.into())).map(read).transpose()
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let hold = self.hold.lock().unwrap().clone();
        if let Some(hold) = hold {
            hold.notified().await;
        }
        for change in changes {
            let record = change.record();
            let place = (record.tenant.clone(), record.unique_identifier.clone());
            self.records.lock().unwrap().insert(place, record.encode());
        }
        Ok(())
    }

    async fn select(
        &self,
        tenant: &str,
        _: Option<&IndexKey>,
        _: Option<Position>,
        _: usize,
    ) -> Result<Vec<Arc<Record>>, StoreError> {
        let records = self.records.lock().unwrap();
        let of_tenant = records.iter().filter(|((owner, _), _)| owner == tenant);
        Ok(of_tenant.filter_map(|(_, bytes)| read(bytes).ok()).collect())
    }

    async fn tenants(&self) -> Result<Vec<ByteString>, StoreError> {
        Ok(Vec::new())
    }
}

/// Has a key for each L3 whose name begins with `l3`, unless it is away.
struct Keys {
    memory: LockedMemory,
    away: AtomicBool,
}

#[async_trait]
impl RecordVault for Keys {
    async fn record_key(&self, _: &str, key: &ByteString) -> Result<Arc<LockedSecret>, SealerError> {
        if self.away.load(Ordering::Relaxed) {
            return Err(SealerError::Unavailable("away".to_owned()));
        }
        match &**key {
            "l3-acme" => Ok(Arc::new(self.memory.store(&[1; 32]).unwrap())),
            "l3-globex" => Ok(Arc::new(self.memory.store(&[2; 32]).unwrap())),
            _ => Err(SealerError::NoKey),
        }
    }

    async fn sealing_key(&self, tenant: &str, _: &str) -> Result<ByteString, SealerError> {
        Ok(ByteString::from(format!("l3-{tenant}")))
    }
}

struct Rig {
    bare: Arc<Bare>,
    keys: Arc<Keys>,
    store: AuthenticatedStore,
}

fn rig() -> Rig {
    let bare = Arc::new(Bare::default());
    let memory = LockedMemory::new(MemoryKind::InsecureUnlocked, 1 << 16).unwrap();
    let keys = Arc::new(Keys { memory, away: AtomicBool::new(false) });
    let store = AuthenticatedStore::new(bare.clone(), keys.clone(), Arc::default());
    Rig { bare, keys, store }
}

fn listed(attributes: impl IntoIterator<Item = Attribute>) -> Attributes {
    let mut listed = Attributes::new(attributes);
    listed.instances.iter_mut().for_each(|instance| instance.index = Some(0));
    listed
}

fn record(tenant: &str, identifier: &str) -> Record {
    let name = Name { value: identifier.into(), name_type: NameType::UninterpretedTextString };
    Record {
        tenant: tenant.into(),
        service: "default".into(),
        unique_identifier: identifier.into(),
        sequence: 7,
        version: 1,
        object_type: ObjectType::SymmetricKey,
        attributes: listed([Attribute::State(State::Active), Attribute::Name(name)]),
        sealed: Some(Sealed {
            key: ByteString::from(format!("l3-{tenant}")),
            envelope: Bytes::from_static(&[9; 70]),
        }),
        further_seals: Vec::new(),
        guard: Guard::default(),
    }
}

fn revoked(record: &Record) -> Record {
    let mut revoked = Record { version: record.version + 1, ..record.clone() };
    revoked.set(Attribute::State(State::Compromised));
    revoked.set(Attribute::CompromiseDate(DateTime(1)));
    revoked
}

fn destroyed(record: &Record) -> Record {
    let mut destroyed = Record { version: record.version + 1, sealed: None, ..record.clone() };
    destroyed.set(Attribute::State(State::Destroyed));
    destroyed
}

impl Rig {
    async fn insert(&self, tenant: &str, identifier: &str) {
        self.store.commit(vec![Change::Insert(Arc::new(record(tenant, identifier)))]).await.unwrap();
    }

    async fn fetch(&self, identifier: &str) -> Result<Arc<Record>, StoreError> {
        self.store.fetch("acme", identifier).await.map(Option::unwrap)
    }

    async fn replace(&self, record: Record) -> Result<(), StoreError> {
        self.store.commit(vec![Change::Replace(Arc::new(record))]).await
    }

    fn bytes(&self, identifier: &str) -> Bytes {
        self.bare.records.lock().unwrap()[&("acme".into(), identifier.into())].clone()
    }

    fn put(&self, tenant: &str, identifier: &str, bytes: Bytes) {
        self.bare.records.lock().unwrap().insert((tenant.into(), identifier.into()), bytes);
    }

    fn vault_is_away(&self, away: bool) {
        self.keys.away.store(away, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_record_comes_back_and_is_verified_once() {
    let rig = rig();
    rig.insert("acme", "a").await;
    let fetched = rig.fetch("a").await.unwrap();
    assert!(fetched.guard.standing.is_verified());
    rig.vault_is_away(true);
    let asked = &mut Asked::new();
    assert!(rig.store.verify("acme", fetched, asked).await.unwrap().guard.standing.doubt().is_none());
}

#[tokio::test]
async fn an_edited_byte_damages_its_record_and_no_other() {
    for destroy in [false, true] {
        let rig = rig();
        rig.insert("acme", "a").await;
        rig.insert("acme", "b").await;
        if destroy {
            rig.replace(destroyed(&rig.fetch("a").await.unwrap())).await.unwrap();
        }
        let bytes = rig.bytes("a");
        for position in 0..bytes.len() {
            for bit in [0, 1, 7] {
                let mut edited = bytes.to_vec();
                edited[position] ^= 1 << bit;
                rig.put("acme", "a", edited.into());
                let refused = rig.fetch("a").await;
                assert!(matches!(refused, Err(StoreError::Damaged(_))), "{position}.{bit}: {refused:?}");
                assert!(rig.fetch("b").await.unwrap().guard.standing.is_verified());
                let selected = rig.store.select("acme", None, None, 10).await.unwrap();
                assert_eq!(selected.len(), 1, "{position}");
            }
        }
        rig.put("acme", "a", bytes);
        rig.fetch("a").await.unwrap();
    }
}

#[tokio::test]
async fn a_record_does_not_move() {
    let rig = rig();
    rig.insert("acme", "a").await;
    rig.insert("acme", "b").await;
    rig.insert("globex", "a").await;
    let (ours, bytes) = (rig.bytes("a"), rig.bytes("b"));
    // To another identifier, to another tenant, and a blob alone.
    rig.put("acme", "a", bytes.clone());
    assert!(matches!(rig.fetch("a").await, Err(StoreError::Damaged(_))));
    rig.put("globex", "a", ours);
    assert!(matches!(rig.store.fetch("globex", "a").await, Err(StoreError::Damaged(_))));
    let mut swapped = Record::decode(&bytes).unwrap();
    swapped.sealed = record("globex", "b").sealed;
    rig.put("acme", "b", swapped.encode());
    assert!(matches!(rig.fetch("b").await, Err(StoreError::Damaged(_))));
    rig.put("acme", "c", record("acme", "c").encode());
    assert!(matches!(rig.fetch("c").await, Err(StoreError::Damaged(_))), "no authenticator");
}

#[tokio::test]
async fn nothing_new_hangs_on_a_retired_key() {
    let rig = rig();
    rig.insert("acme", "a").await;
    rig.store.gate.retire(&"l3-acme".into()).await;
    let late = vec![Change::Insert(Arc::new(record("acme", "late")))];
    assert_eq!(rig.store.commit(late).await, Err(StoreError::Conflict));
    // What hangs there already may still be changed.
    rig.replace(revoked(&rig.fetch("a").await.unwrap())).await.unwrap();
    rig.insert("globex", "b").await;
}

#[tokio::test]
async fn a_commit_that_takes_its_time_goes_on_and_keeps_the_gate_when_nobody_waits_for_it() {
    let rig = rig();
    let hold = Arc::new(Notify::new());
    *rig.bare.hold.lock().unwrap() = Some(hold.clone());
    let brief = Duration::from_millis(10);
    timeout(brief, rig.insert("acme", "a")).await.unwrap_err();
    timeout(brief, rig.store.gate.retire(&"l3-acme".into())).await.unwrap_err();
    hold.notify_one();
    rig.store.gate.retire(&"l3-acme".into()).await;
    rig.fetch("a").await.unwrap();
}

#[tokio::test]
async fn without_the_vault_a_record_is_in_doubt() {
    let rig = rig();
    rig.insert("acme", "a").await;
    rig.vault_is_away(true);
    let fetched = rig.fetch("a").await.unwrap();
    assert!(fetched.guard.standing.doubt().is_some());
    let mut renamed = Record { version: 2, ..Record::clone(&fetched) };
    renamed.set(Attribute::ActivationDate(DateTime(1)));
    assert!(matches!(rig.replace(renamed).await, Err(StoreError::NotVerified(_))));
    let fresh = vec![Change::Insert(Arc::new(record("acme", "b")))];
    assert!(matches!(rig.store.commit(fresh).await, Err(StoreError::NotVerified(_))));
}

#[tokio::test]
async fn a_revoke_without_the_vault_is_verified_later() {
    let rig = rig();
    rig.insert("acme", "a").await;
    rig.vault_is_away(true);
    rig.replace(revoked(&rig.fetch("a").await.unwrap())).await.unwrap();
    // And once more on top of that.
    let mut again = revoked(&rig.fetch("a").await.unwrap());
    again.set(Attribute::CompromiseDate(DateTime(2)));
    rig.replace(again).await.unwrap();
    rig.vault_is_away(false);
    let fetched = rig.fetch("a").await.unwrap();
    assert_eq!((fetched.state(), fetched.version), (Some(State::Compromised), 3));
    assert!(fetched.guard.standing.is_verified());
    rig.replace(Record { version: 4, ..Record::clone(&fetched) }).await.unwrap();
    let tagged = Record::decode(&rig.bytes("a")).unwrap();
    assert!(matches!(tagged.guard.authenticator.unwrap().proof, Proof::Tag(_)));
}

#[tokio::test]
async fn what_was_edited_is_not_laundered_by_a_revoke() {
    let rig = rig();
    rig.insert("acme", "a").await;
    let mut edited = Record::decode(&rig.bytes("a")).unwrap();
    edited.set(Attribute::ActivationDate(DateTime(5)));
    rig.put("acme", "a", edited.encode());
    rig.vault_is_away(true);
    let doubtful = rig.fetch("a").await.unwrap();
    // The vault is back between the look and the change.
    rig.vault_is_away(false);
    rig.replace(revoked(&doubtful)).await.unwrap();
    assert!(matches!(rig.fetch("a").await, Err(StoreError::Damaged(_))));
}

#[tokio::test]
async fn a_restriction_takes_nothing_along() {
    let rig = rig();
    rig.insert("acme", "a").await;
    rig.vault_is_away(true);
    rig.replace(revoked(&rig.fetch("a").await.unwrap())).await.unwrap();
    rig.vault_is_away(false);
    let stored = Record::decode(&rig.bytes("a")).unwrap();
    let edits: [fn(&mut Record); 5] = [
        |record| record.set(Attribute::State(State::Active)),
        |record| record.set(Attribute::ActivationDate(DateTime(5))),
        |record| record.remove(AttributeType::Name),
        |record| record.sealed = None,
        |record| record.service = "other".into(),
    ];
    for edit in edits {
        let mut edited = stored.clone();
        edit(&mut edited);
        rig.put("acme", "a", edited.encode());
        assert!(matches!(rig.fetch("a").await, Err(StoreError::Damaged(_))), "{edited:?}");
    }
}

#[tokio::test]
async fn of_a_destroy_without_the_vault_nothing_else_is_believed() {
    let rig = rig();
    rig.insert("acme", "a").await;
    rig.vault_is_away(true);
    rig.replace(destroyed(&rig.fetch("a").await.unwrap())).await.unwrap();
    let mut edited = Record::decode(&rig.bytes("a")).unwrap();
    edited.set(Attribute::CompromiseDate(DateTime(5)));
    rig.put("acme", "a", edited.encode());
    rig.vault_is_away(false);
    let fetched = rig.fetch("a").await.unwrap();
    assert!(fetched.is_destroyed() && fetched.attributes.instances.len() == 1);
    // A live record without proof is none.
    let mut alive = Record { sealed: record("acme", "a").sealed, ..edited };
    rig.put("acme", "a", alive.encode());
    assert!(matches!(rig.fetch("a").await, Err(StoreError::Damaged(_))));
    alive.set(Attribute::State(State::Active));
    rig.put("acme", "a", alive.encode());
    assert!(matches!(rig.fetch("a").await, Err(StoreError::Damaged(_))));
}
