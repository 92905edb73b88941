//! With the Core away: what needs a root key fails clearly, what does not goes on, and all recovers by itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kmip_protocol::enumeration::ResultReason;
use kmip_protocol::operation::{GetUsageAllocationRequest, ObtainLeaseRequest, Request};
use tokio::task::JoinSet;

use crate::application::{Application, Failure, identifier};
use crate::system::{System, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn the_core_goes_away_and_comes_back() {
    let mut system = System::start();
    let acme = system.application("acme");
    let kept = acme.create("kept").await.unwrap();
    let revoked = acme.create("revoked").await.unwrap();
    let destroyed = acme.create("destroyed").await.unwrap();
    let limited = acme.create_limited("limited", 1_000).await.unwrap();
    acme.activate(&limited).await.unwrap();
    acme.ask(lease_request(&kept)).await.unwrap();
    acme.ask(allocation_request(&limited)).await.unwrap();

    system.core.take().unwrap().stop();
    // Keys that are open may be used until their lease ends; then nothing is served.
    let refused = eventually(async || match acme.get(&kept).await {
        Err(refused) => Ok(refused),
        Ok(_) => Err("still served"),
    })
    .await;
    assert!(
        matches!(&refused, Failure::Refused(ResultReason::GeneralFailure, why) if why.contains("vault")),
        "{refused:?}"
    );
    for request in [Request::from(lease_request(&kept)), allocation_request(&limited).into()] {
        let refused = acme.ask(request).await.unwrap_err();
        assert!(
            matches!(&refused, Failure::Refused(ResultReason::GeneralFailure, why) if why.contains("vault")),
            "a use elsewhere was allowed: {refused:?}"
        );
    }
    let create = acme.create("never").await.unwrap_err();
    assert!(
        matches!(&create, Failure::Refused(ResultReason::GeneralFailure, why) if why.contains("vault")),
        "{create:?}"
    );
    acme.revoke(&revoked).await.unwrap();
    acme.destroy(&destroyed).await.unwrap();

    system.core = Some(system.start_server("core"));
    let bytes = eventually(async || acme.get(&kept).await).await;
    assert_eq!(bytes.expose().len(), 32);
    eventually(async || acme.create("again").await).await;
    let gone = acme.get(&destroyed).await.unwrap_err();
    assert!(matches!(gone, Failure::Refused(ResultReason::ObjectDestroyed, _)));
}

fn lease_request(key: &str) -> ObtainLeaseRequest {
    ObtainLeaseRequest { unique_identifier: identifier(key) }
}

fn allocation_request(key: &str) -> GetUsageAllocationRequest {
    GetUsageAllocationRequest { unique_identifier: identifier(key), usage_limits_count: 10 }
}

/// A Core that is there but says nothing: whoever needs a lease then shares one time-out, instead of waiting one after another.
#[tokio::test(flavor = "multi_thread")]
async fn all_who_wait_for_a_silent_core_fail_together() {
    const WAITING: u32 = 8;
    const TIMEOUT: Duration = Duration::from_secs(2);
    let mut system = System::provision();
    system.set("core", "requests.lease_time_seconds = 1");
    system.set("gateway", "core.client.request_timeout_seconds = 2");
    system.start_both();
    let acme = system.application("acme");
    let key = acme.create("wanted").await.unwrap();
    acme.get(&key).await.unwrap();

    let core = system.core.as_ref().unwrap();
    core.pause();
    // The lease ends, and those who come then need another one.
    eventually(async || acme.get(&key).await.err().ok_or("still served")).await;
    let (started, gateway, pki) =
        (Instant::now(), system.gateway.as_ref().unwrap().address, system.run().join("pki"));
    let mut waiting = JoinSet::new();
    for _ in 0..WAITING {
        let (application, key) = (Application::new(gateway, &pki, "acme"), key.clone());
        waiting.spawn(async move { application.get(&key).await });
    }
    while let Some(answer) = waiting.join_next().await {
        let refused = answer.unwrap().unwrap_err();
        assert!(matches!(refused, Failure::Refused(ResultReason::GeneralFailure, _)), "{refused:?}");
    }
    assert!(started.elapsed() < TIMEOUT * WAITING / 2, "they waited one after another");
    core.resume();
    eventually(async || acme.get(&key).await).await;
}

/// A Core that has started again is there for the first request that comes after it: connections that led to the old one, and
/// attempts that failed meanwhile, are nobody's business.
#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_core_serves_the_next_request() {
    let mut system = System::start();
    let acme = Arc::new(system.application("acme"));
    let key = acme.create("kept").await.unwrap();
    for (round, away) in [0, 0, 700, 1_500].into_iter().enumerate() {
        // Several connections of the Gateway's pool lead to the Core.
        let creating = (0..8).map(|number| {
            let acme = acme.clone();
            async move { acme.create(&format!("{round}-{number}")).await }
        });
        creating.collect::<JoinSet<_>>().join_all().await.into_iter().for_each(|made| drop(made.unwrap()));
        let core = system.core.take().unwrap();
        if round % 2 == 0 {
            core.kill()
        } else {
            core.stop()
        }
        // The longer the Core is away, the more of the Gateway's attempts have failed.
        tokio::time::sleep(Duration::from_millis(away)).await;
        system.core = Some(system.start_server("core"));
        let made = acme.create(&format!("{round}-after")).await;
        made.unwrap_or_else(|refused| panic!("{round}: {refused:?}: {}", system.log("gateway")));
        acme.get(&key).await.unwrap();
    }
}
