//! Destroy of Gateways: what is buried is wrapped and unwrapped no more.

use std::collections::HashSet;
use std::time::Duration;

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
async fn of_a_batch_what_is_buried_is_refused_and_nothing_else() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    let (acme, globex) = (operator.provision("acme").await, operator.provision("globex").await);
    let gateway = rig.gateway("both-gateway");
    let numbered = |number: usize| ObjectBinding {
        unique_identifier: ByteString::from(format!("object-{number}")),
        ..object()
    };
    let mut requests: Vec<Request> = Vec::new();
    for number in 0..40 {
        let key = if number % 2 == 0 { &acme.l3 } else { &globex.l3 };
        let blob = gateway.wrap(key, &numbered(number), &[number as u8]).await.unwrap();
        requests.push(unwrap(key, &numbered(number), &blob).into());
    }
    // The last one has the identifier of an object of the other tenant.
    for (l3, object) in [(&acme.l3, "object-8"), (&globex.l3, "object-9"), (&globex.l3, "object-10")] {
        gateway.destroy(&grave(l3, object)).await.unwrap();
    }
    // What fails by itself stays as it is.
    requests[20] = unwrap(&acme.l3, &numbered(20), b"no envelope").into();
    // Buried by the last item, and so before any is answered.
    requests.push(DestroyRequest { unique_identifier: named(&grave(&globex.l3, "object-1")) }.into());
    let mut buried = HashSet::from([1, 8, 9]);
    for (number, answer) in gateway.batch(&requests).await.into_iter().enumerate() {
        match answer {
            Ok(Response::Decrypt(answer)) => assert_eq!(answer.data.unwrap().expose(), [number as u8]),
            Err(refused) if number == 20 => assert_ne!(refused.reason, ResultReason::ObjectDestroyed),
            Err(refused) => {
                assert!(buried.remove(&number), "{number}: {}", refused.message);
                assert_eq!(refused.reason, ResultReason::ObjectDestroyed);
            }
            Ok(Response::Destroy(_)) if number == 40 => (),
            Ok(other) => panic!("{other:?}"),
        }
    }
    assert!(buried.is_empty(), "{buried:?}");
    assert_eq!(rig.metric("krypton_core_buried_uses_total").await, 3);
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

/// It may have the object open, and would go on for as long as it renews its lease.
#[tokio::test]
async fn who_cannot_be_told_what_was_buried_renews_no_lease() {
    let rig = Rig::start_with("requests = { lease_time_seconds = 3, longest_lease_seconds = 3 }").await;
    let chain = rig.operator().provision("acme").await;
    let [ours, deaf] = ["ours", "deaf"].map(|life| rig.gateway("acme-gateway").living(life));
    let lease = || ObtainLeaseRequest { unique_identifier: named(&chain.l3) };
    for life in [&ours, &deaf] {
        life.call(lease()).await.unwrap();
        life.call(lease()).await.unwrap();
    }
    ours.destroy(&grave(&chain.l3, "x")).await.unwrap();
    // Nobody is connected to be told: what matters is who may have it open.
    ours.call(lease()).await.unwrap();
    let refused = deaf.call(lease()).await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::GeneralFailure, "{}", refused.message);
    for _ in 0..100 {
        // Its lease has ended; another one begins.
        if deaf.call(lease()).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it gets no lease any more");
}
