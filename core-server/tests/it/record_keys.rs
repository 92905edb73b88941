//! MAC: the keys that authenticate the records of Gateways, one for each version of an L3.

use bytestring::ByteString;
use key_service::chain::RECORD_KEY_LABEL;
use kmip_protocol::attribute::CryptographicParameters;
use kmip_protocol::codec::Secret;
use kmip_protocol::enumeration::*;
use kmip_protocol::operation::*;

use crate::client::*;
use crate::rig::Rig;

fn mac(key: &ByteString, data: &[u8]) -> MacRequest {
    MacRequest {
        unique_identifier: named(key),
        cryptographic_parameters: None,
        data: Some(Secret::copy_from_slice(data)),
        correlation_value: None,
        init_indicator: None,
        final_indicator: None,
    }
}

async fn record_key(party: &Party, key: &ByteString) -> Result<Vec<u8>, Failed> {
    let response = party.ask::<MacResponse>(mac(key, RECORD_KEY_LABEL)).await?;
    Ok(response.mac_data.unwrap().to_vec())
}

#[tokio::test]
async fn each_version_of_each_service_has_a_record_key() {
    let mut rig = Rig::start().await;
    let operator = rig.operator();
    let acme = operator.provision("acme").await;
    let globex = operator.provision("globex").await;
    let first = record_key(&rig.gateway("acme-gateway"), &acme.l3).await.unwrap();
    assert_eq!(first.len(), 32);
    let request = ReKeyRequest {
        unique_identifier: named(&acme.l3),
        offset: None,
        attributes: Default::default(),
        protection_storage_masks: None,
    };
    let second = operator.ask::<ReKeyResponse>(request).await.unwrap().unique_identifier;
    let both = rig.gateway("both-gateway");
    let mut keys = vec![first.clone()];
    keys.push(record_key(&both, &second).await.unwrap());
    keys.push(record_key(&both, &globex.l3).await.unwrap());
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 3);
    // Also of a version that opens only, and after a restart.
    rig.restart().await;
    assert_eq!(record_key(&rig.gateway("acme-gateway"), &acme.l3).await.unwrap(), first);
}

#[tokio::test]
async fn a_record_key_is_for_the_gateways_of_the_tenant_and_nothing_else_is_computed() {
    let rig = Rig::start().await;
    let operator = rig.operator();
    let acme = operator.provision("acme").await;
    let gateway = rig.gateway("acme-gateway");
    assert_eq!(record_key(&operator, &acme.l3).await.unwrap_err().reason, ResultReason::PermissionDenied);
    let foreign = record_key(&rig.gateway("globex-gateway"), &acme.l3).await.unwrap_err();
    assert_eq!(foreign, record_key(&gateway, &"unknown".into()).await.unwrap_err());
    assert_eq!(gateway.refused(mac(&acme.l3, b"another label")).await, ResultReason::InvalidField);
    let chosen = CryptographicParameters {
        cryptographic_algorithm: Some(CryptographicAlgorithm::HmacSha512),
        ..Default::default()
    };
    let chosen = MacRequest { cryptographic_parameters: Some(chosen), ..mac(&acme.l3, RECORD_KEY_LABEL) };
    assert_eq!(gateway.refused(chosen).await, ResultReason::InvalidField);
    operator.revoke(&acme.l3, RevocationReasonCode::KeyCompromise).await.unwrap();
    record_key(&gateway, &acme.l3).await.unwrap_err();
}
