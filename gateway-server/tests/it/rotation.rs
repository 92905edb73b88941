//! The Core rotates L3s by itself while applications work: a Gateway notices by being refused, and no request fails.

use std::time::{Duration, Instant};

use kmip_protocol::enumeration::ResultReason;

use crate::application::Failure;
use crate::system::System;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotations_under_load_fail_no_request() {
    let mut system = System::provision();
    system.set("core", "rotation = { maximum_wraps = 40, check_interval_seconds = 0.25 }");
    system.start_both();
    let until = Instant::now() + Duration::from_secs(3);
    let mut applications = tokio::task::JoinSet::new();
    for worker in 0..4 {
        let application = system.application("acme");
        applications.spawn(async move {
            let mut keys = Vec::new();
            while Instant::now() < until {
                let key = application.create(&format!("{worker}-{}", keys.len())).await.unwrap();
                application.get(&key).await.unwrap();
                keys.push(key);
            }
            // Also what an older version of the L3 has sealed.
            for key in &keys {
                application.get(key).await.unwrap();
            }
            keys.len()
        });
    }
    let made: usize = applications.join_all().await.into_iter().sum();
    let log = system.log("core");
    let rotated = log.lines().filter(|line| line.contains("L3 rotated")).count();
    assert!(rotated >= 2, "{rotated} rotations while {made} keys were made");
}

/// A Gateway that has spent what it may wrap says so, and no more: what is there is served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spent_budget_of_wraps_refuses_new_keys_alone() {
    let mut system = System::provision();
    system.set("core", "budget = { wraps_per_second = 0, wrap_burst = 5 }");
    system.start_both();
    let (acme, globex) = (system.application("acme"), system.application("globex"));
    let mut keys = Vec::new();
    let refused = loop {
        match acme.create(&format!("key-{}", keys.len())).await {
            Ok(key) => keys.push(key),
            Err(refused) => break refused,
        }
    };
    assert_eq!(keys.len(), 5);
    let told = "the key vault takes no more requests of this tenant now; try again later".to_owned();
    assert_eq!(refused, Failure::Refused(ResultReason::GeneralFailure, told));
    for key in &keys {
        acme.get(key).await.unwrap();
    }
    globex.create("other").await.unwrap();
    assert!(system.log("core").contains("the wrap budget is spent"));
}
