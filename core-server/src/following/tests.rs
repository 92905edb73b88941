//! What following a change asks of the store.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use key_service::chain::gateway_object;
use key_service::memory::{LockedMemory, MemoryKind};
use key_service::port::{Change, NoAudit, SystemClock, SystemEntropy};
use key_service::store::{MemoryLimits, MemoryStore};
use kmip_protocol::attribute::Attribute;
use kmip_protocol::enumeration::State;

use super::*;
use crate::governed::gateway_record;
use crate::membership::Membership;
use crate::metrics::Metrics;
use crate::root::Roots;
use crate::switch::Switch;

/// A store that counts what is fetched.
struct Counting {
    store: MemoryStore,
    fetched: Mutex<HashMap<Changed, u32>>,
}

#[async_trait]
impl Store for Counting {
    fn below(&self) -> Option<&dyn Store> {
        Some(&self.store)
    }

    async fn fetch(&self, tenant: &str, unique_identifier: &str) -> Read {
        *self.fetched.lock().unwrap().entry(changed(tenant, unique_identifier)).or_default() += 1;
        self.store.fetch(tenant, unique_identifier).await
    }
}

fn changed(tenant: &str, unique_identifier: &str) -> Changed {
    Changed { tenant: tenant.into(), unique_identifier: unique_identifier.into() }
}

#[tokio::test]
async fn what_another_core_has_changed_is_read_once() {
    let clock = Arc::new(SystemClock::default());
    let store =
        Arc::new(Counting { store: MemoryStore::new(MemoryLimits::default()), fetched: Mutex::default() });
    let mut revoked = gateway_record("gateway", &*clock);
    revoked.set(Attribute::State(State::Compromised));
    let l3 = Record { tenant: REGION.into(), unique_identifier: "l3".into(), ..revoked.clone() };
    let l3 = Record { sequence: l3.sequence + 1, service: "default".into(), ..l3 };
    for record in [&revoked, &l3] {
        store.store.commit(vec![Change::Insert(Arc::new(record.clone()))]).await.unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Ledger::open(folder.path(), Metrics::unregistered()).unwrap());
    let leases = Arc::new(Leases::new(clock.clone(), Duration::from_secs(1), Duration::ZERO, 1));
    let membership = Membership::alone(clock.clone());
    let metrics = Metrics::unregistered();
    let switch =
        Switch::new(leases.clone(), membership.clone(), Arc::new(NoAudit), clock.clone(), metrics.clone());
    let memory = LockedMemory::new(MemoryKind::InsecureUnlocked, 4096).unwrap();
    let roots = Roots::software_only(folder.path(), memory.clone());
    let vault = Arc::new(Vault::new(store.clone(), roots, memory, Arc::new(SystemEntropy::new()), switch));
    let (chain, settings) = (vault.clone(), crate::config::PolicySettings::default());
    let gateways = Arc::new(Gateways::new(["gateway"], leases.clone(), clock.clone(), metrics.clone()));
    let following = Following {
        chain: WatchedStore::new(store.clone(), chain, leases.clone(), membership, Arc::default()),
        store: store.clone(),
        leases,
        gateways: gateways.clone(),
        governance: Arc::new(Governance::new("eu-1", &settings, None, clock, metrics).unwrap()),
        vault,
        ledger: Some(ledger.clone()),
    };
    let of = [changed(NAMESPACE, &gateway_object("gateway")), changed(REGION, "l3")];
    let of = [of[0].clone(), of[1].clone(), changed(NAMESPACE, POLICY_OBJECT), of[1].clone()];
    following.follow(&of).await.unwrap().await;
    assert!(!gateways.admission("gateway").is_open());
    assert!(ledger.has_closed(REGION, "l3") && ledger.has_closed(NAMESPACE, &gateway_object("gateway")));
    let fetched = store.fetched.lock().unwrap();
    assert_eq!((fetched.len(), fetched.values().sum::<u32>()), (3, 3), "{fetched:?}");
}
