//! Tenants do not delay each other on the way to the Core.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kmip_protocol::enumeration::ResultReason;
use tokio::task::JoinSet;

use crate::application::{Application, Failure};
use crate::operator::Operator;
use crate::system::{System, eventually};

/// A root that is there and says nothing, as an HSM behind a broken line.
struct SilentRoot {
    path: PathBuf,
    key: Vec<u8>,
}

impl SilentRoot {
    /// Silences the root of a tenant.
    fn of(system: &System, tenant: &str) -> Self {
        let path = system.run().join(format!("core/l1/{tenant}.l1"));
        let key = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        Self { path, key }
    }

    /// Has it answer whoever has asked, and whoever will.
    fn speak(&self) {
        let answering = self.path.with_extension("answering");
        fs::rename(&self.path, &answering).unwrap();
        fs::write(&self.path, &self.key).unwrap();
        fs::write(&answering, self.key.repeat(4)).unwrap();
    }
}

fn make(
    making: &mut JoinSet<Result<(), Failure>>,
    application: &Arc<Application>,
    number: usize,
    group: String,
) {
    let application = application.clone();
    making.spawn(async move { application.create_in(&format!("{number}"), Some(&group)).await.map(drop) });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_whose_root_is_silent_delays_only_itself() {
    const SERVICES: usize = 12;
    let mut system = System::provision();
    system.set("core", "roots.request_timeout_seconds = 600");
    // Whoever waits for the silent root waits for longer than the test takes.
    system.set("gateway", "core.client.request_timeout_seconds = 600");
    system.set("gateway", "core.concurrent_messages = 6");
    system.set("gateway", "core.client.max_connections = 20");
    system.core = Some(system.start_server("core"));
    for number in 0..SERVICES {
        Operator::new(&system).add_service("acme", &format!("service-{number}")).await;
    }
    // Cold again.
    system.core.take().unwrap().stop();
    let root = SilentRoot::of(&system, "acme");
    system.start_both();

    let (acme, globex) = (Arc::new(system.application("acme")), Arc::new(system.application("globex")));
    let mut making = JoinSet::new();
    for number in 0..SERVICES {
        make(&mut making, &acme, number, format!("service-{number}"));
    }
    eventually(async || match system.metric("krypton_gateway_core_messages ").await {
        Some(1..) => Ok(()),
        other => Err(other),
    })
    .await;
    for number in 0..40 {
        let key = globex.create(&format!("meanwhile-{number}")).await.unwrap();
        globex.get(&key).await.unwrap();
    }
    assert!(making.try_join_next().is_none(), "the root is not silent: the test proves nothing");
    let under_way = system.metric("krypton_gateway_core_messages ").await.unwrap();
    assert!((1..=4).contains(&under_way), "{under_way} messages of a tenant are under way");
    root.speak();
    for made in making.join_all().await {
        made.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_floods_random_services_is_refused_and_delays_only_itself() {
    const FLOODS: usize = 64;
    const REFUSED: usize = 500;
    let mut system = System::provision();
    system.set("gateway", "core.concurrent_messages_per_tenant = 1");
    system.set("gateway", "core.maximum_batch_items = 2");
    system.set("gateway", "core.maximum_waiting_per_tenant = 4");
    system.set("gateway", "core.maximum_remembered_services_per_tenant = 8");
    system.start_both();
    let (acme, globex) = (Arc::new(system.application("acme")), Arc::new(system.application("globex")));
    acme.create("first").await.unwrap();
    let refused = Arc::new(AtomicUsize::new(0));
    let mut flood = JoinSet::new();
    for number in 0..FLOODS {
        let (acme, refused) = (acme.clone(), refused.clone());
        flood.spawn(async move {
            for round in 0.. {
                if refused.load(Ordering::Relaxed) >= REFUSED {
                    return;
                }
                let name = format!("random-{number}-{round}");
                match acme.create_in(&name, Some(&name)).await {
                    Err(Failure::Refused(ResultReason::ServerLimitExceeded, why)) => {
                        assert!(why.contains("core.maximum_waiting_per_tenant"), "{why}");
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(other) => panic!("{other:?}"),
                    Ok(_) => (),
                }
            }
        });
    }
    let mut served = 0;
    while !flood.is_empty() || served < 20 {
        let key = globex.create_in(&format!("meanwhile-{served}"), Some("no such service")).await.unwrap();
        globex.get(&key).await.unwrap();
        served += 1;
        while let Some(ended) = flood.try_join_next() {
            ended.unwrap();
        }
    }
    assert!(system.metric("krypton_gateway_core_turned_away_total ").await.unwrap() >= REFUSED as u64);
    eventually(async || acme.create("after the flood").await).await;
}
