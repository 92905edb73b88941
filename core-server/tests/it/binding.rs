//! A wrapped blob opens where it belongs and nowhere else.

use key_service::chain::ObjectBinding;
use kmip_protocol::enumeration::*;

use crate::client::*;
use crate::rig::Rig;

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
