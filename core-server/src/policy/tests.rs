//! Bundles in a store that somebody has edited, and at times that somebody has set.

#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use governance::{Action, Bundle, Header, Principal, Resource, Role};
use key_service::audit_log::SigningKey;
use key_service::chain::{POLICY_DIGEST, POLICY_OBJECT, POLICY_VERSION, own_attribute};
use key_service::port::{Change, Store, SystemEntropy};
use key_service::record::Record;
use key_service::store::{MemoryLimits, MemoryStore};
use kmip_protocol::attribute::Attribute;
use kmip_protocol::codec::DateTime;
use tempfile::TempDir;

use super::delivery::{blank, label};
use super::*;
use crate::governed::NAMESPACE;

/// Tells the time that a test sets.
struct Hand(AtomicI64);

impl Hand {
    fn set(&self, now: i64) {
        self.0.store(now, Ordering::Relaxed);
    }
}

impl Clock for Hand {
    fn now(&self) -> DateTime {
        DateTime(self.0.load(Ordering::Relaxed))
    }

    fn stamp(&self) -> u64 {
        1
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// What outlives a Core: its store, its state folder, headquarters, the time.
struct World {
    key: SigningKey,
    store: MemoryStore,
    folder: TempDir,
    clock: Arc<Hand>,
    required: bool,
}

const NOW: i64 = 1_800_000_000;

impl World {
    fn new() -> Self {
        Self {
            key: SigningKey::generate("headquarters", &SystemEntropy::new()).unwrap(),
            store: MemoryStore::new(MemoryLimits::default()),
            folder: TempDir::new().unwrap(),
            clock: Arc::new(Hand(AtomicI64::new(NOW))),
            required: false,
        }
    }

    /// A bundle that permits, or forbids, everything.
    fn bundle(&self, version: u64, effect: &str, not_before: Option<i64>) -> Bundle {
        let header = Header { version, regions: vec!["eu-1".to_owned()], not_before, not_after: None };
        let note = Bundle::sign(&header, &format!("{effect} (principal, action, resource);\n"), &self.key);
        Bundle::open(&note.unwrap(), std::slice::from_ref(self.key.verifier())).unwrap()
    }

    /// What the store has as policy from now on, whoever wrote it.
    async fn write(&self, bundle: &Bundle, edit: impl FnOnce(&mut Record)) {
        let held = self.store.fetch(NAMESPACE, POLICY_OBJECT).await.unwrap();
        let mut record = held.as_ref().map_or_else(|| blank(&*self.clock), |held| Record::clone(held));
        label(&mut record, bundle);
        edit(&mut record);
        let change = match held {
            Some(held) => {
                record.version = held.version + 1;
                Change::Replace(Arc::new(record))
            }
            None => Change::Insert(Arc::new(record)),
        };
        self.store.commit(vec![change]).await.unwrap();
    }

    /// A Core that has just started.
    async fn start(&self) -> Core {
        let metrics = Metrics::unregistered();
        let ledger = Arc::new(Ledger::open(self.folder.path(), metrics.clone()).unwrap());
        let settings = PolicySettings {
            trusted_keys: vec![self.key.verifier().to_string()],
            required: self.required,
            ..PolicySettings::default()
        };
        let clock: Arc<dyn Clock> = self.clock.clone();
        let governance = Governance::new("eu-1", &settings, Some(ledger), clock, metrics.clone()).unwrap();
        governance.load(&self.store).await.unwrap();
        Core { governance, metrics }
    }
}

struct Core {
    governance: Governance,
    metrics: Metrics,
}

impl Core {
    /// The version in force, and whether it permits a wrap.
    fn stands(&self) -> (Option<u64>, bool) {
        let question = Question {
            principal: Principal { role: Role::Gateway, name: "gateway-1" },
            action: Action::Wrap,
            resource: Resource::Key {
                unique_identifier: "k",
                tenant: "acme",
                service: "mail",
                level: "L3",
                state: "Active",
            },
        };
        let permits = self.governance.permits(&question, Circumstances::default);
        (self.governance.in_force().version(), permits)
    }

    fn refused(&self) -> u64 {
        self.metrics.bundles_refused.get()
    }
}

/// Writes another value of a label into a record.
fn relabel(record: &mut Record, name: &'static str, value: &str) {
    let new = own_attribute(name, value);
    let is_old = |attribute: &Attribute| matches!((attribute, &new), (Attribute::Custom(old), Attribute::Custom(new)) if old.name == new.name);
    record.attributes.instances.retain(|instance| !is_old(&instance.attribute));
    record.add(new);
}

#[tokio::test]
async fn an_old_bundle_under_a_high_number_is_refused_and_the_last_good_one_stays() {
    let world = World::new();
    let (old, new) = (world.bundle(3, "permit", None), world.bundle(7, "forbid", None));
    world.write(&old, |_| ()).await;
    let core = world.start().await;
    assert_eq!(core.stands(), (Some(3), true));
    world.write(&new, |_| ()).await;
    core.governance.refresh(&world.store).await.unwrap();
    assert_eq!(core.stands(), (Some(7), false));

    let edits: [fn(&mut Record); 3] = [
        |record| relabel(record, POLICY_VERSION, "99"),
        // As the ledger has it.
        |record| relabel(record, POLICY_VERSION, "7"),
        |record| {
            relabel(record, POLICY_VERSION, "7");
            relabel(record, POLICY_DIGEST, "no digest");
        },
    ];
    for edit in edits {
        world.write(&old, edit).await;
        let refused = core.refused();
        core.governance.refresh(&world.store).await.unwrap();
        assert_eq!((core.stands(), core.refused()), ((Some(7), false), refused + 1));
        // Not by a restart either; nor does the number stand in the way of the next bundle.
        let restarted = world.start().await;
        assert_eq!((restarted.stands(), restarted.refused()), ((Some(7), false), 1));
        assert_eq!(restarted.governance.mark().unwrap().version, 7);
    }
    // The old one as it was: the store has gone back.
    world.write(&old, |_| ()).await;
    core.governance.refresh(&world.store).await.unwrap();
    assert_eq!((core.stands(), core.metrics.store_behind.get()), ((Some(7), false), 1));
    assert_eq!(world.start().await.stands(), (Some(7), false));

    world.write(&world.bundle(8, "permit", None), |_| ()).await;
    core.governance.refresh(&world.store).await.unwrap();
    assert_eq!(core.stands(), (Some(8), true));
    assert_eq!(world.start().await.stands(), (Some(8), true));
}

#[tokio::test]
async fn it_is_said_which_bundle_was_refused() {
    let world = World::new();
    let old = world.bundle(3, "permit", None);
    world.write(&old, |record| relabel(record, POLICY_VERSION, "99")).await;
    let core = world.start().await;
    let record = world.store.fetch(NAMESPACE, POLICY_OBJECT).await.unwrap().unwrap();
    let why = core.governance.labelled(&record).unwrap_err();
    let digest = &old.digest;
    let told = format!("it says policy 99 ({digest}), and policy 3 ({digest}) is in it");
    assert!(why.contains(&told), "{why}");
    // There is no last good one: nothing is permitted, though no bundle is required.
    assert_eq!(core.stands(), (None, false));
}

#[tokio::test]
async fn a_bundle_whose_time_has_not_come_is_not_in_force_after_a_restart() {
    let world = World::new();
    world.write(&world.bundle(7, "permit", None), |_| ()).await;
    assert_eq!(world.start().await.stands(), (Some(7), true));
    // Brought by a Core whose clock is ahead, or by somebody who writes to the database.
    world.write(&world.bundle(8, "forbid", Some(NOW + 100)), |_| ()).await;
    let core = world.start().await;
    assert_eq!(core.stands(), (Some(7), true));
    world.clock.set(NOW + 99);
    core.governance.refresh(&world.store).await.unwrap();
    assert_eq!(core.stands(), (Some(7), true));
    world.clock.set(NOW + 100);
    core.governance.refresh(&world.store).await.unwrap();
    assert_eq!(core.stands(), (Some(8), false));
    assert_eq!(world.start().await.stands(), (Some(8), false));
}

#[tokio::test]
async fn a_clock_that_was_set_back_brings_no_older_policy_back() {
    let world = World::new();
    world.write(&world.bundle(7, "permit", None), |_| ()).await;
    world.start().await;
    world.clock.set(NOW + 100);
    world.write(&world.bundle(8, "permit", Some(NOW + 100)), |_| ()).await;
    let core = world.start().await;
    assert_eq!(core.stands(), (Some(8), true));
    // While it runs, the time of the bundle has come. At a start it has not, and the one before has been replaced.
    world.clock.set(NOW);
    assert_eq!(core.stands(), (Some(8), true));
    let core = world.start().await;
    assert_eq!(core.stands(), (None, false));
    world.clock.set(NOW + 100);
    core.governance.refresh(&world.store).await.unwrap();
    assert_eq!(core.stands(), (Some(8), true));
}

#[tokio::test]
async fn without_store_and_ledger_the_kept_bundle_is_in_force() {
    let world = World::new();
    world.write(&world.bundle(7, "permit", None), |_| ()).await;
    world.start().await;
    let world = World { store: MemoryStore::new(MemoryLimits::default()), ..world };
    std::fs::remove_file(world.folder.path().join("ledger")).unwrap();
    assert_eq!(world.start().await.stands(), (Some(7), true));
    // It is signed: nobody writes another one.
    let forged = World::new().bundle(9, "permit", None);
    std::fs::write(world.folder.path().join("policy-bundle"), &forged.note).unwrap();
    assert_eq!(world.start().await.stands(), (None, false));
}

#[tokio::test]
async fn nothing_is_permitted_where_a_bundle_is_required_and_there_is_none() {
    let world = World { required: true, ..World::new() };
    assert_eq!(world.start().await.stands(), (None, false));
    let world = World::new();
    assert_eq!(world.start().await.stands(), (None, true));
}
