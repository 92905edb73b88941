//! With the Core away: what needs a root key fails clearly, what does not goes on, and all recovers by itself.

use kmip_protocol::enumeration::ResultReason;

use crate::application::Failure;
use crate::system::{System, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn the_core_goes_away_and_comes_back() {
    let mut system = System::start();
    let acme = system.application("acme");
    let kept = acme.create("kept").await.unwrap();
    let revoked = acme.create("revoked").await.unwrap();
    let destroyed = acme.create("destroyed").await.unwrap();

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
