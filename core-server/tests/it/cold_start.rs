//! A Core with thousands of tenants is ready before it has looked at any of them, and opens each when it is asked for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytestring::ByteString;
use core_server::chain::{REGION, active_name, wrapping_key_link};
use core_server::metrics::Metrics;
use core_server::root::Roots;
use core_server::switch::Switch;
use core_server::vault::Vault;
use key_service::chain::tenant_attribute;
use key_service::crypto::SystemEntropy;
use key_service::memory::{LockedMemory, MemoryKind};
use key_service::port::{Change, NoAudit, Sealed, Store, SystemClock};
use key_service::record::Record;
use key_service::store::{Purpose, StoreSettings};
use kmip_protocol::attribute::{Attribute, AttributeType};
use kmip_protocol::enumeration::LinkType;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::binary::krypton_core;
use crate::client::*;
use crate::rig::Rig;

/// What a cold Core with 10,000 tenants may take until it is ready. Looked at in the long form, which has as many.
const READY_WITHIN: Duration = Duration::from_secs(2);

fn tenants() -> usize {
    if std::env::var_os("KRYPTON_SOAK").is_some() { 10_000 } else { 300 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_core_with_many_tenants_is_ready_at_once_and_opens_them_on_demand() {
    let mut rig = Rig::start().await;
    let acme = rig.operator().provision("acme").await;
    rig.stop().await;
    let count = tenants();
    let last = multiply(&rig, &acme, count).await;

    let tenant = format!("tenant-{}", count - 1);
    let path = rig.write_config("");
    let gateway = format!("[[gateway]]\nname = \"cold\"\ntenants = [\"{tenant}\"]\n");
    std::fs::write(&path, std::fs::read_to_string(&path).unwrap() + &gateway).unwrap();
    let started = Instant::now();
    let mut child = krypton_core().arg("--config").arg(&path).spawn().unwrap();
    let ready = BufReader::new(child.stdout.take().unwrap()).lines().next_line().await.unwrap().unwrap();
    let took = started.elapsed();
    let listen = ready.strip_prefix("ready listen=").unwrap().split(' ').next().unwrap().parse().unwrap();
    let gateway = Party::new(listen, rig.pki.client("krypton-gateway", "cold"));
    let asked = Instant::now();
    gateway.wrap(&last, &object(), b"x").await.unwrap();
    println!(
        "{count} tenants: ready after {} ms, the first wrap of a cold tenant after {} ms",
        took.as_millis(),
        asked.elapsed().as_millis()
    );
    if count == 10_000 {
        assert!(took < READY_WITHIN, "{took:?}");
    }
}

/// Copies a tenant's chain into as many tenants, each with keys of its own, all under one root; returns the last L3.
async fn multiply(rig: &Rig, chain: &Chain, count: usize) -> ByteString {
    let config = rig.config();
    let settings = StoreSettings::new(config.state_directory.clone(), Purpose::Core);
    let store: Arc<dyn Store> = key_service::store::open(&config.store, &settings).await.unwrap();
    let memory = LockedMemory::new(MemoryKind::Locked, 4 << 20).unwrap();
    let vault = Vault::new(
        Arc::clone(&store),
        Roots::new(&config, memory.clone()),
        memory,
        Arc::new(SystemEntropy::new()),
        Switch::alone(Arc::new(NoAudit), Arc::new(SystemClock::default()), Metrics::unregistered()),
    );
    let mut models = Vec::new();
    for key in [&chain.l1, &chain.l2, &chain.l3] {
        models.push(Record::clone(&*store.fetch(REGION, key).await.unwrap().unwrap()));
    }
    let (mut sequence, mut last) = (models[2].sequence, ByteString::new());
    let mut copy = |model: &Record, tenant: &str, level: usize, parent: Option<&Record>| {
        let mut record = Record { version: 1, ..model.clone() };
        sequence += 1;
        record.sequence = sequence;
        record.unique_identifier = format!("{tenant}-level-{level}-0000-000000000000").into();
        record.remove(AttributeType::Name);
        record.attributes.instances.retain(|instance| match &instance.attribute {
            Attribute::Custom(_) => false,
            Attribute::Link(link) => link.link_type != LinkType::WrappingKeyLink,
            _ => true,
        });
        record.add(tenant_attribute(tenant));
        parent.map(|parent| record.add(wrapping_key_link(parent.unique_identifier.clone())));
        record
    };
    for first in (0..count).step_by(100) {
        let mut below = Vec::new();
        let mut changes = Vec::new();
        for index in first..(first + 100).min(count) {
            let tenant = format!("tenant-{index}");
            let l1 = copy(&models[0], &tenant, 1, None);
            let mut l2 = copy(&models[1], &tenant, 2, Some(&l1));
            let envelope = vault.generate(&l2, &l1).await.unwrap();
            l2.sealed = Some(Sealed { key: l1.unique_identifier.clone(), envelope });
            let mut l3 = copy(&models[2], &tenant, 3, Some(&l2));
            l3.add(active_name(&tenant, "default"));
            changes.extend([&l1, &l2].map(|record| Change::Insert(Arc::new(record.clone()))));
            below.push((l2, l3));
        }
        store.commit(changes).await.unwrap();
        let mut changes = Vec::new();
        for (l2, mut l3) in below {
            let envelope = vault.generate(&l3, &l2).await.unwrap();
            l3.sealed = Some(Sealed { key: l2.unique_identifier, envelope });
            last = l3.unique_identifier.clone();
            changes.push(Change::Insert(Arc::new(l3)));
        }
        store.commit(changes).await.unwrap();
    }
    last
}
