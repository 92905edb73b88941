//! Operations in several parts.

use bytes::Bytes;
use bytestring::ByteString;
use kmip_protocol::attribute::CryptographicParameters;
use kmip_protocol::enumeration::{
    BlockCipherMode, CryptographicAlgorithm, ResultReason, RevocationReasonCode,
};
use kmip_protocol::mask::CryptographicUsageMask as Mask;
use kmip_protocol::operation::{
    DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse, MacResponse, RevokeRequest,
    RevokeResponse,
};
use kmip_protocol::version::V2_1;

use super::cryptography::mac_request;
use crate::service::ServiceSettings;
use crate::testing::{Server, id, principal, secret, unhex};

const KEY: &str = "feffe9928665731c6d6a8f9467308308";
const FIRST: &str = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72";
const LAST: &str = "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";

fn gcm() -> Option<CryptographicParameters> {
    Some(CryptographicParameters {
        block_cipher_mode: Some(BlockCipherMode::Gcm),
        tag_length: Some(16),
        ..CryptographicParameters::default()
    })
}

pub(super) fn first_part(key: &ByteString) -> EncryptRequest {
    EncryptRequest {
        unique_identifier: id(key),
        cryptographic_parameters: gcm(),
        data: secret(&unhex(FIRST)),
        iv_counter_nonce: Some(Bytes::from(unhex("cafebabefacedbad"))),
        correlation_value: None,
        init_indicator: Some(true),
        final_indicator: None,
        authenticated_encryption_additional_data: Some(Bytes::from(unhex(
            "feedfacedeadbeeffeedfacedeadbeefabaddad2",
        ))),
    }
}

fn last_part(key: &ByteString, correlation_value: Option<Bytes>) -> EncryptRequest {
    EncryptRequest {
        data: secret(&unhex(LAST)),
        iv_counter_nonce: None,
        correlation_value,
        init_indicator: None,
        final_indicator: Some(true),
        authenticated_encryption_additional_data: None,
        ..first_part(key)
    }
}

pub(super) async fn key(server: &Server) -> ByteString {
    server.active_key(CryptographicAlgorithm::Aes, &unhex(KEY), Mask::ENCRYPT | Mask::DECRYPT).await
}

/// The values of CS-BC-M-GCM-3.
#[tokio::test]
async fn encryption_in_two_parts() {
    let server = Server::new();
    let key = key(&server).await;
    let first: EncryptResponse = server.done(first_part(&key)).await;
    let expected = "61353b4c2806934a777ff51fa22a4755699b2a714fcdc6f83766e5f97b6c7423";
    assert_eq!(first.data.unwrap().expose(), unhex(expected));
    let last: EncryptResponse = server.done(last_part(&key, first.correlation_value.clone())).await;
    let expected = "73806900e49f24b22b097544d4896b424989b5e1ebac0f07c23f4598";
    assert_eq!(last.data.unwrap().expose(), unhex(expected));
    assert_eq!(*last.authenticated_encryption_tag.unwrap(), *unhex("3612d2e79e3b0785561be14aaca2fccb"));
    assert_eq!(server.service.streams.count(), 0);
    let again = server.refused(last_part(&key, first.correlation_value)).await;
    assert_eq!(again, ResultReason::InvalidCorrelationValue);
}

#[tokio::test]
async fn decryption_answers_after_its_tag_has_proved_right() {
    let server = Server::new();
    let key = key(&server).await;
    let ciphertext = unhex(concat!(
        "61353b4c2806934a777ff51fa22a4755699b2a714fcdc6f83766e5f97b6c7423",
        "73806900e49f24b22b097544d4896b424989b5e1ebac0f07c23f4598"
    ));
    let part = |data: &[u8], correlation_value: Option<Bytes>, last, tag: Option<Vec<u8>>| DecryptRequest {
        unique_identifier: id(&key),
        cryptographic_parameters: gcm(),
        data: secret(data),
        iv_counter_nonce: first_part(&key).iv_counter_nonce,
        init_indicator: Some(correlation_value.is_none()),
        correlation_value,
        final_indicator: Some(last),
        authenticated_encryption_additional_data: first_part(&key).authenticated_encryption_additional_data,
        authenticated_encryption_tag: tag.map(Bytes::from),
    };
    let tag = unhex("3612d2e79e3b0785561be14aaca2fccb");
    let first: DecryptResponse = server.done(part(&ciphertext[..20], None, false, Some(tag))).await;
    assert!(first.data.is_none());
    let middle: DecryptResponse =
        server.done(part(&ciphertext[20..50], first.correlation_value, false, None)).await;
    let last: DecryptResponse =
        server.done(part(&ciphertext[50..], middle.correlation_value, true, None)).await;
    assert_eq!(last.data.unwrap().expose(), [unhex(FIRST), unhex(LAST)].concat());
}

#[tokio::test]
async fn a_mac_in_parts_is_that_of_the_whole() {
    let server = Server::new();
    let key = server.active_key(CryptographicAlgorithm::HmacSha256, &[5; 32], Mask::MAC_GENERATE).await;
    let whole: MacResponse = server.done(mac_request(&key, b"one and two")).await;
    let mut first = mac_request(&key, b"one and");
    first.init_indicator = Some(true);
    let first: MacResponse = server.done(first).await;
    assert!(first.mac_data.is_none());
    let mut last = mac_request(&key, b" two");
    (last.correlation_value, last.final_indicator) = (first.correlation_value, Some(true));
    let last: MacResponse = server.done(last).await;
    assert_eq!(last.mac_data, whole.mac_data);
}

#[tokio::test]
async fn a_stream_belongs_to_its_principal_its_operation_and_its_key() {
    let server = Server::new();
    let key = key(&server).await;
    let other_key = server.active_key(CryptographicAlgorithm::Aes, &unhex(KEY), Mask::ENCRYPT).await;
    let first: EncryptResponse = server.done(first_part(&key)).await;
    let correlation = first.correlation_value;
    let globex = principal("globex");
    let mut stolen = last_part(&key, correlation.clone());
    stolen.unique_identifier = None;
    let refused = server.ask_as(&globex, V2_1, stolen).await.unwrap_err();
    assert_eq!(refused, ResultReason::InvalidCorrelationValue);
    let mut mac = mac_request(&key, b"");
    mac.correlation_value = correlation.clone();
    assert_eq!(server.refused(mac).await, ResultReason::InvalidCorrelationValue);
    assert_eq!(server.service.streams.count(), 1);
    let refused = server.refused(last_part(&other_key, correlation.clone())).await;
    assert_eq!(refused, ResultReason::InvalidCorrelationValue);
    server.done::<EncryptResponse>(last_part(&key, correlation)).await;
}

#[tokio::test]
async fn a_revoked_key_ends_its_streams() {
    let server = Server::new();
    let key = key(&server).await;
    let first: EncryptResponse = server.done(first_part(&key)).await;
    let revocation_reason =
        kmip_protocol::attribute::RevocationReason { code: RevocationReasonCode::Unspecified, message: None };
    let request =
        RevokeRequest { unique_identifier: id(&key), revocation_reason, compromise_occurrence_date: None };
    server.done::<RevokeResponse>(request).await;
    let refused = server.refused(last_part(&key, first.correlation_value)).await;
    assert_eq!((refused, server.service.streams.count()), (ResultReason::WrongKeyLifecycleState, 0));
}

#[tokio::test]
async fn streams_are_bounded() {
    let settings = ServiceSettings {
        maximum_streams_per_principal: 2,
        maximum_stream_bytes: 100,
        stream_idle_timeout_seconds: 10,
        ..ServiceSettings::default()
    };
    let server = Server::with(settings);
    let key = key(&server).await;
    let first: EncryptResponse = server.done(first_part(&key)).await;
    server.done::<EncryptResponse>(first_part(&key)).await;
    assert_eq!(server.refused(first_part(&key)).await, ResultReason::ServerLimitExceeded);
    server.pass(11);
    let late = server.refused(last_part(&key, first.correlation_value)).await;
    assert_eq!((late, server.service.streams.count()), (ResultReason::InvalidCorrelationValue, 0));
    server.done::<EncryptResponse>(first_part(&key)).await;
    let held = DecryptRequest {
        unique_identifier: id(&key),
        cryptographic_parameters: gcm(),
        data: secret(&[0; 101]),
        iv_counter_nonce: Some(Bytes::from_static(&[0; 12])),
        correlation_value: None,
        init_indicator: Some(true),
        final_indicator: None,
        authenticated_encryption_additional_data: None,
        authenticated_encryption_tag: None,
    };
    assert_eq!(server.refused(held).await, ResultReason::ServerLimitExceeded);
    let streams = &server.service.streams;
    streams.forget_object("another");
    assert_eq!(streams.count(), 1);
    streams.forget_object(&key);
    assert_eq!(streams.count(), 0);
    server.done::<EncryptResponse>(first_part(&key)).await;
    assert_eq!(streams.sealing_keys().into_keys().collect::<Vec<_>>(), ["l3"]);
    streams.keep_under(|l3, lease| (&**l3, lease) == ("l3", 0));
    assert_eq!(streams.count(), 1);
    streams.keep_under(|_, lease| lease == 1);
    assert_eq!(streams.count(), 0);
}

/// What is destroyed between two leases, the vault tells nobody.
#[tokio::test]
async fn a_stream_ends_with_the_lease_that_its_object_was_opened_under() {
    let server = Server::new();
    let key = key(&server).await;
    let streams = &server.service.streams;
    let first: EncryptResponse = server.done(first_part(&key)).await;
    server.begin_lease();
    // Nobody has looked after the streams yet.
    assert_eq!(streams.count(), 1);
    let late = server.refused(last_part(&key, first.correlation_value)).await;
    assert_eq!((late, streams.count()), (ResultReason::InvalidCorrelationValue, 0));
    let first: EncryptResponse = server.done(first_part(&key)).await;
    server.done::<EncryptResponse>(last_part(&key, first.correlation_value)).await;
    // A lease that begins while the object is being opened is not the stream's: the object may be from before it.
    server.begin_lease_while_opening();
    let first: EncryptResponse = server.done(first_part(&key)).await;
    let late = server.refused(last_part(&key, first.correlation_value)).await;
    assert_eq!((late, streams.count()), (ResultReason::InvalidCorrelationValue, 0));
}
