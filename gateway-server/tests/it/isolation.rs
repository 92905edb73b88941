//! Tenants cannot see each other.

use kmip_protocol::enumeration::ResultReason;

use crate::application::{Failure, get_request};
use crate::system::System;

const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_key_is_answered_like_one_that_never_was() {
    let system = System::start();
    let (acme, globex) = (system.application("acme"), system.application("globex"));
    let key = acme.create("isolation").await.unwrap();
    assert!(acme.get(&key).await.is_ok());

    let foreign = globex.send(get_request(&key)).await.unwrap();
    let unknown = globex.send(get_request(UNKNOWN)).await.unwrap();
    assert_eq!(format!("{foreign:?}"), format!("{unknown:?}"));
    assert_eq!(foreign.result_reason, Some(ResultReason::ObjectNotFound));

    let same = |a: Result<_, Failure>, b: Result<_, Failure>| assert_eq!(a.unwrap_err(), b.unwrap_err());
    same(globex.state(&key).await, globex.state(UNKNOWN).await);
    same(globex.activate(&key).await, globex.activate(UNKNOWN).await);
    same(globex.revoke(&key).await, globex.revoke(UNKNOWN).await);
    same(globex.destroy(&key).await, globex.destroy(UNKNOWN).await);
    assert!(acme.get(&key).await.is_ok(), "nothing of it changed the key");

    // Names are a tenant's own, too.
    assert!(globex.create("isolation").await.is_ok());
}
