//! A wrapped blob opens where it belongs and nowhere else.

use key_service::chain::ObjectBinding;
use key_service::port::Sealed;
use kmip_protocol::enumeration::*;
use kmip_protocol::operation::*;

use crate::client::*;
use crate::rig::Rig;

/// L2s and L3s are bound as L4s are. What the store says is not believed: here somebody has edited it.
#[tokio::test]
async fn a_sealed_l3_that_was_moved_does_not_open() {
    let mut rig = Rig::start().await;
    let operator = rig.operator();
    let (acme, globex) = (operator.provision("acme").await, operator.provision("globex").await);
    let tapes = operator.create_l3(&acme.l2, "tapes").await.unwrap();
    operator.activate(&tapes).await.unwrap();
    let next = operator.ask::<ReKeyResponse>(re_key(&tapes)).await.unwrap().unique_identifier;
    rig.stop().await;
    let of = |seal: Option<Sealed>| seal.unwrap().envelope;
    let envelope = of(rig.edit(&acme.l3, |_| ()).await.sealed);
    // To another service, another version of it, another tenant.
    for target in [&tapes, &next, &globex.l3] {
        rig.edit(target, |record| record.sealed.as_mut().unwrap().envelope = envelope.clone()).await;
    }
    rig.restart().await;
    let gateway = rig.gateway("both-gateway");
    gateway.wrap(&acme.l3, &object(), b"x").await.unwrap();
    for target in [&next, &globex.l3] {
        let refused = gateway.wrap(target, &object(), b"x").await.unwrap_err();
        assert_eq!(refused.reason, ResultReason::GeneralFailure, "{}", refused.message);
    }
    let refused = gateway.unwrap(&tapes, &object(), &[1; 60]).await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::GeneralFailure, "{}", refused.message);
}

#[tokio::test]
async fn an_anchors_seal_that_was_moved_does_not_open() {
    let mut rig = Rig::start().await;
    let operator = rig.operator();
    // All of them are one and the same root: only what the seals are bound to tells them apart.
    let l1s = ["acme", "acme", "globex", "globex"].map(|tenant| (tenant, "software:shared"));
    let mut chains = Vec::new();
    for pair in l1s.chunks(2) {
        let first = operator.add_l1(pair[0].0, pair[0].1).await;
        let l2 = operator.create_l2(&first).await.unwrap();
        operator.activate(&l2).await.unwrap();
        let l3 = operator.create_l3(&l2, "default").await.unwrap();
        operator.activate(&l3).await.unwrap();
        let second = operator.add_l1(pair[1].0, pair[1].1).await;
        operator.add_anchor(&l2, &second).await.unwrap();
        chains.push((l2, l3));
    }
    let [(acme_l2, acme_l3), (globex_l2, globex_l3)] = chains.try_into().ok().unwrap();
    rig.stop().await;
    let acme = rig.edit(&acme_l2, |_| ()).await;
    // Between the anchors of one L2: each opens what it sealed itself.
    rig.edit(&acme_l2, |record| {
        let (first, second) = (record.sealed.as_mut().unwrap(), &mut record.further_seals[0]);
        std::mem::swap(&mut first.envelope, &mut second.envelope);
    })
    .await;
    // From another tenant's L2, with the names of its anchors or without.
    rig.edit(&globex_l2, |record| {
        record.sealed.as_mut().unwrap().envelope = acme.sealed.as_ref().unwrap().envelope.clone();
        record.further_seals[0] = acme.further_seals[0].clone();
    })
    .await;
    rig.restart().await;
    let gateway = rig.gateway("both-gateway");
    for l3 in [&acme_l3, &globex_l3] {
        let refused = gateway.wrap(l3, &object(), b"x").await.unwrap_err();
        assert_eq!(refused.reason, ResultReason::GeneralFailure, "{}", refused.message);
    }
    rig.stop().await;
    rig.edit(&acme_l2, |record| (record.sealed, record.further_seals) = (acme.sealed, acme.further_seals))
        .await;
    rig.restart().await;
    rig.gateway("both-gateway").wrap(&acme_l3, &object(), b"x").await.unwrap();
}

#[tokio::test]
async fn a_blob_that_was_moved_does_not_unwrap() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    let acme = operator.provision("acme").await;
    let globex = operator.provision("globex").await;
    let tapes = operator.create_l3(&acme.l2, "tapes").await.unwrap();
    operator.activate(&tapes).await.unwrap();
    let gateway = rig.gateway("both-gateway");
    let blob = gateway.wrap(&acme.l3, &object(), b"the key").await.unwrap();

    let elsewhere = [
        ObjectBinding { unique_identifier: "1f1b4d2e-objecu".into(), ..object() },
        ObjectBinding { object_type: ObjectType::SecretData, ..object() },
        ObjectBinding { cryptographic_algorithm: Some(CryptographicAlgorithm::Aria), ..object() },
        ObjectBinding { cryptographic_algorithm: None, ..object() },
        ObjectBinding { cryptographic_length: Some(128), ..object() },
        ObjectBinding { cryptographic_length: None, ..object() },
    ];
    for object in elsewhere {
        let refused = gateway.unwrap(&acme.l3, &object, &blob).await.unwrap_err();
        assert_eq!(refused.reason, ResultReason::CryptographicFailure, "{object:?}");
    }
    for key in [&tapes, &globex.l3] {
        let refused = gateway.unwrap(key, &object(), &blob).await.unwrap_err();
        assert_eq!(refused.reason, ResultReason::CryptographicFailure);
    }
    // Another version of the same service.
    operator.revoke(&acme.l3, RevocationReasonCode::Superseded).await.unwrap();
    let next = operator.create_l3(&acme.l2, "default").await.unwrap();
    operator.activate(&next).await.unwrap();
    let refused = gateway.unwrap(&next, &object(), &blob).await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::CryptographicFailure);

    for position in [0, 1, 20, blob.len() - 1] {
        let mut changed = blob.clone();
        changed[position] ^= 1;
        let refused = gateway.unwrap(&acme.l3, &object(), &changed).await.unwrap_err();
        assert_eq!(refused.reason, ResultReason::CryptographicFailure);
    }
    assert_eq!(gateway.unwrap(&acme.l3, &object(), &blob).await.unwrap(), b"the key");
}
