//! The Gateway is killed under load, again and again: no key that was acknowledged is lost.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::system::{System, eventually, rounds};

const WRITERS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn kills_lose_no_acknowledged_key() {
    let mut system = System::start();
    let mut acknowledged: Vec<(String, Vec<u8>)> = Vec::new();
    for round in 0..rounds(50, 100) {
        let created = load_until_killed(&mut system, round).await;
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
async fn load_until_killed(system: &mut System, round: usize) -> Vec<(String, Vec<u8>)> {
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
