//! The Gateway or the Core is killed under load, again and again: no key that was acknowledged is lost, and none comes back that
//! was destroyed.

use std::sync::Arc;

use bytestring::ByteString;
use tokio::task::JoinSet;

use crate::application::Application;
use crate::backup::assert_destroyed;
use crate::load::{Known, load_until_killed};
use crate::system::{System, eventually, rounds};

const WRITERS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn kills_lose_no_acknowledged_key() {
    let mut system = System::start();
    let mut acknowledged: Vec<(String, Vec<u8>)> = Vec::new();
    for round in 0..rounds(50, 100) {
        let created = create_until_killed(&mut system, round).await;
        system.gateway = Some(system.start_server("gateway"));
        acknowledged.extend(created);
        // The latest ones are at risk; the older ones are looked at in the end.
        let latest = acknowledged.len().saturating_sub(4 * WRITERS);
        assert_served(&system, &acknowledged[latest..]).await;
    }
    assert!(!acknowledged.is_empty(), "nothing was acknowledged: the test proves nothing");
    assert_served(&system, &acknowledged).await;
}

/// Creates keys until the Gateway dies in the middle of it; returns those that were acknowledged.
async fn create_until_killed(system: &mut System, round: usize) -> Vec<(String, Vec<u8>)> {
    let application = Arc::new(system.application("acme"));
    let (progress, mut made) = tokio::sync::mpsc::unbounded_channel();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (application, progress) = (application.clone(), progress.clone());
        writers.spawn(async move {
            for number in 0.. {
                let Ok(key) = application.create(&format!("{round}-{writer}-{number}")).await else { return };
                // Acknowledged: from here on it must not be lost, whether its bytes were seen or not.
                let bytes =
                    application.get(&key).await.map(|bytes| bytes.expose().to_vec()).unwrap_or_default();
                if progress.send((key.to_string(), bytes)).is_err() {
                    return;
                }
            }
        });
    }
    drop(progress);
    let mut acknowledged = Vec::new();
    let kill_after = 10 + round % 17;
    while acknowledged.len() < kill_after {
        acknowledged.push(made.recv().await.expect("the Gateway answers"));
    }
    system.gateway.take().unwrap().kill();
    while let Some(one) = made.recv().await {
        acknowledged.push(one);
    }
    acknowledged
}

async fn assert_served(system: &System, keys: &[(String, Vec<u8>)]) {
    let application = system.application("acme");
    for (key, bytes) in keys {
        let served = eventually(async || application.get(key).await).await;
        assert!(bytes.is_empty() || served.expose() == bytes, "{key} changed");
    }
}

async fn destroy_all(acme: Arc<Application>, keys: Vec<ByteString>) {
    for key in &keys {
        // The Core does not have to be there for it: the tombstone is set later.
        acme.destroy(key).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_of_the_core_lose_no_key_and_no_tombstone() {
    const BURIED_PER_ROUND: usize = 12;
    let rounds = rounds(3, 100);
    let mut system = System::start();
    let acme = system.application("acme");
    let mut doomed = Vec::new();
    for number in 0..rounds * BURIED_PER_ROUND {
        doomed.push(acme.create(&format!("doomed-{number}")).await.unwrap());
    }
    let backup = system.back_up("backup");
    let acme = Arc::new(system.application("acme"));
    let mut known = Known::default();
    for (round, doomed) in doomed.chunks(BURIED_PER_ROUND).enumerate() {
        eventually(async || acme.create(&format!("{round}-ready")).await).await;
        let destroying = tokio::spawn(destroy_all(acme.clone(), doomed.to_vec()));
        let new = load_until_killed(&acme, round, || system.core.take().unwrap().kill()).await;
        system.core = Some(system.start_server("core"));
        destroying.await.unwrap();
        new.assert_whole(&acme).await;
        known.extend(new);
    }
    known.assert_whole(&acme).await;
    known.assert_covers_all();
    // The Core has forgotten no tombstone either: an older copy of the store does not open.
    system.none_pending().await;
    system.restore(&backup);
    let acme = system.application("acme");
    for key in &doomed {
        assert_destroyed(&acme, key).await;
    }
}
