//! Destroy of Gateways: what is buried is wrapped and unwrapped no more.

use bytestring::ByteString;
use key_service::chain::ObjectBinding;
use kmip_protocol::enumeration::*;
use kmip_protocol::operation::*;

use crate::client::*;
use crate::rig::Rig;

fn grave(key: &ByteString, object: &str) -> ByteString {
    ByteString::from(format!("{key}/{object}"))
}

#[tokio::test]
async fn what_is_buried_is_refused_for_ever_under_every_version() {
    let mut rig = Rig::start().await;
    let operator = rig.operator();
    let chain = operator.provision("acme").await;
    let gateway = rig.gateway("acme-gateway");
    let other = ObjectBinding { unique_identifier: "other".into(), ..object() };
    let old = gateway.wrap(&chain.l3, &object(), b"k").await.unwrap();
    let kept = gateway.wrap(&chain.l3, &other, b"k").await.unwrap();
    let request = ReKeyRequest {
        unique_identifier: named(&chain.l3),
        offset: None,
        attributes: Default::default(),
        protection_storage_masks: None,
    };
    let next = operator.ask::<ReKeyResponse>(request).await.unwrap().unique_identifier;
    let new = gateway.wrap(&next, &object(), b"k").await.unwrap();
    // Twice is once.
    for key in [&chain.l3, &next] {
        gateway.destroy(&grave(key, &object().unique_identifier)).await.unwrap();
    }
    assert_eq!(rig.metric("krypton_core_tombstones_total").await, 1);
    for _ in 0..2 {
        let gateway = rig.gateway("acme-gateway");
        for (key, blob) in [(&chain.l3, &old), (&next, &new)] {
            let refused = gateway.unwrap(key, &object(), blob).await.unwrap_err();
            assert_eq!(refused.reason, ResultReason::ObjectDestroyed);
        }
        let refused = gateway.wrap(&next, &object(), b"again").await.unwrap_err();
        assert_eq!(refused.reason, ResultReason::ObjectDestroyed);
        assert_eq!(gateway.unwrap(&chain.l3, &other, &kept).await.unwrap(), b"k");
        rig.restart().await;
    }
}

#[tokio::test]
async fn a_gateway_buries_objects_of_its_tenants_and_nothing_else() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    let acme = operator.provision("acme").await;
    let globex = operator.provision("globex").await;
    let (ours, theirs) = (rig.gateway("acme-gateway"), rig.gateway("globex-gateway"));
    let blob = ours.wrap(&acme.l3, &object(), b"k").await.unwrap();
    let id = object().unique_identifier;
    let foreign = theirs.destroy(&grave(&acme.l3, &id)).await.unwrap_err();
    assert_eq!(foreign, theirs.destroy(&grave(&"unknown".into(), &id)).await.unwrap_err());
    assert_eq!(foreign.reason, ResultReason::ObjectNotFound);
    // An object of this identifier of another tenant is another object.
    theirs.destroy(&grave(&globex.l3, &id)).await.unwrap();
    assert_eq!(ours.unwrap(&acme.l3, &object(), &blob).await.unwrap(), b"k");
    for unnamed in [acme.l3.clone(), grave(&acme.l3, "")] {
        assert_eq!(ours.destroy(&unnamed).await.unwrap_err().reason, ResultReason::PermissionDenied);
    }
    // The chain shows nothing of it, and operators bury nothing.
    ours.destroy(&grave(&acme.l3, "x")).await.unwrap();
    assert_eq!(operator.locate([]).await.unwrap().len(), 6);
    assert_eq!(
        operator.destroy(&grave(&acme.l3, "y")).await.unwrap_err().reason,
        ResultReason::ObjectNotFound
    );
    // Also under an L3 that is of no more use.
    operator.revoke(&acme.l3, RevocationReasonCode::KeyCompromise).await.unwrap();
    operator.destroy(&acme.l3).await.unwrap();
    ours.destroy(&grave(&acme.l3, "z")).await.unwrap();
}
