//! Encrypt and Decrypt: wrapping and unwrapping data of Gateways.

use key_service::crypto::ENVELOPE_OVERHEAD_BYTES;
use kmip_protocol::attribute::{Attribute, CryptographicParameters};
use kmip_protocol::codec::Interval;
use kmip_protocol::enumeration::*;
use kmip_protocol::operation::*;
use kmip_protocol::version::V1_4;

use crate::client::*;
use crate::rig::Rig;

#[tokio::test]
async fn what_is_wrapped_unwraps() {
    let rig = Rig::start().await;
    let chain = rig.operator().provision("acme").await;
    let gateway = rig.gateway("acme-gateway");
    for data in [&b""[..], b"k", &[0xA5; 32], &[0x5A; 70_000]] {
        let blob = gateway.wrap(&chain.l3, &object(), data).await.unwrap();
        assert_eq!((blob[0], blob.len()), (1, data.len() + ENVELOPE_OVERHEAD_BYTES));
        assert_eq!(gateway.unwrap(&chain.l3, &object(), &blob).await.unwrap(), data);
    }
    let first = gateway.wrap(&chain.l3, &object(), b"k").await.unwrap();
    assert_ne!(first, gateway.wrap(&chain.l3, &object(), b"k").await.unwrap());
    assert_eq!(rig.metric(r#"krypton_core_key_uses_total{operation="wrap",outcome="success"}"#).await, 6);
    assert_eq!(rig.metric(r#"krypton_core_key_uses_total{operation="unwrap",outcome="success"}"#).await, 4);
    assert_eq!(rig.metric(r#"krypton_core_key_use_duration_seconds_count{operation="wrap"}"#).await, 6);
}

#[tokio::test]
async fn a_batch_wraps_a_hundred_and_one_bad_item_fails_alone() {
    let rig = Rig::start().await;
    let chain = rig.operator().provision("acme").await;
    let gateway = rig.gateway("acme-gateway");
    let data = |index: usize| vec![u8::try_from(index).unwrap(); 32];
    let wraps: Vec<Request> = (0..100).map(|index| wrap(&chain.l3, &object(), &data(index)).into()).collect();
    let blobs: Vec<Vec<u8>> = gateway
        .batch(&wraps)
        .await
        .into_iter()
        .map(|answer| {
            EncryptResponse::try_from(answer.unwrap()).ok().unwrap().data.unwrap().expose().to_vec()
        })
        .collect();
    assert_eq!(blobs.len(), 100);
    let mut unwraps: Vec<Request> =
        blobs.iter().map(|blob| unwrap(&chain.l3, &object(), blob).into()).collect();
    unwraps[50] = unwrap(&chain.l3, &object(), b"no envelope").into();
    for (index, answer) in gateway.batch(&unwraps).await.into_iter().enumerate() {
        match (index, answer) {
            (50, answer) => assert_eq!(answer.unwrap_err().reason, ResultReason::CryptographicFailure),
            (_, answer) => {
                let unwrapped = DecryptResponse::try_from(answer.unwrap()).ok().unwrap();
                assert_eq!(unwrapped.data.unwrap().expose(), data(index));
            }
        }
    }
}

#[tokio::test]
async fn the_envelope_leaves_no_choices() {
    let rig = Rig::start().await;
    let chain = rig.operator().provision("acme").await;
    let gateway = rig.gateway("acme-gateway");
    let plain = || wrap(&chain.l3, &object(), b"data");
    use ResultReason as R;
    let unbound = EncryptRequest { authenticated_encryption_additional_data: None, ..plain() };
    let badly_bound =
        EncryptRequest { authenticated_encryption_additional_data: Some("anything".into()), ..plain() };
    let requests = [
        (unbound, R::MissingData),
        (badly_bound, R::InvalidField),
        (EncryptRequest { data: None, ..plain() }, R::MissingData),
        (EncryptRequest { iv_counter_nonce: Some("nonce".into()), ..plain() }, R::InvalidField),
        (EncryptRequest { init_indicator: Some(true), ..plain() }, R::FeatureNotSupported),
        (EncryptRequest { correlation_value: Some("1".into()), ..plain() }, R::FeatureNotSupported),
        (EncryptRequest { unique_identifier: named(&"nothing".into()), ..plain() }, R::ObjectNotFound),
        (EncryptRequest { unique_identifier: None, ..plain() }, R::ObjectNotFound),
        (
            EncryptRequest { cryptographic_parameters: Some(CryptographicParameters::default()), ..plain() },
            R::InvalidField,
        ),
    ];
    for (request, reason) in requests {
        assert_eq!(gateway.refused(request).await, reason);
    }
    // Versions before 1.4 cannot say what the blob is bound to.
    let answer = gateway.raw(kmip_protocol::version::V1_2, &[plain().into()]).await;
    let message =
        kmip_protocol::message::ResponseMessage::read(&answer, kmip_ttlv::Limits::default()).unwrap();
    assert_eq!(message.items[0].result_status, ResultStatus::OperationFailed);
    let answer = gateway.raw(V1_4, &[plain().into()]).await;
    let message =
        kmip_protocol::message::ResponseMessage::read(&answer, kmip_ttlv::Limits::default()).unwrap();
    assert_eq!(message.items[0].result_status, ResultStatus::Success);
}

#[tokio::test]
async fn a_plaintext_has_a_limit() {
    let rig = Rig::start().await;
    let chain = rig.operator().provision("acme").await;
    let gateway = rig.gateway("acme-gateway");
    let limit = rig.config().requests.maximum_plaintext_bytes;
    let blob = gateway.wrap(&chain.l3, &object(), &vec![7; limit]).await.unwrap();
    assert_eq!(gateway.unwrap(&chain.l3, &object(), &blob).await.unwrap(), vec![7; limit]);
    let refused = gateway.wrap(&chain.l3, &object(), &vec![7; limit + 1]).await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::ServerLimitExceeded);
}

#[tokio::test]
async fn leases_are_given_on_keys_that_could_be_used() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    let chain = operator.provision("acme").await;
    let gateway = rig.gateway("acme-gateway");
    let lease = || ObtainLeaseRequest { unique_identifier: named(&chain.l3) };
    let granted = gateway.ask::<ObtainLeaseResponse>(lease()).await.unwrap();
    assert_eq!((granted.unique_identifier.clone(), granted.lease_time), (chain.l3.clone(), Interval(5)));
    let attributes = gateway.attributes(&chain.l3).await.unwrap();
    assert!(attributes.contains(&Attribute::LastChangeDate(granted.last_change_date)));
    operator.revoke(&chain.l1, RevocationReasonCode::CessationOfOperation).await.unwrap();
    assert_eq!(gateway.refused(lease()).await, ResultReason::PermissionDenied);
}
