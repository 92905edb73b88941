//! Operations with keys: MAC, Hash, signatures, RSA, random numbers.

use kmip_protocol::attribute::{Attribute, CryptographicParameters, UsageLimits};
use kmip_protocol::enumeration::{
    CryptographicAlgorithm, HashingAlgorithm, KeyFormatType, PaddingMethod, ResultReason, UsageLimitsUnit,
    ValidityIndicator,
};
use kmip_protocol::mask::CryptographicUsageMask as Mask;
use kmip_protocol::object::{self, ManagedObject};
use kmip_protocol::operation::{
    DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse, HashRequest, HashResponse, MacRequest,
    MacResponse, MacVerifyRequest, MacVerifyResponse, Pkcs11Request, Pkcs11Response, PollRequest,
    RngRetrieveRequest, RngRetrieveResponse, RngSeedRequest, RngSeedResponse, SignRequest, SignResponse,
    SignatureVerifyRequest, SignatureVerifyResponse,
};
use kmip_protocol::structures::Pkcs11Code;

use crate::crypto::{PrivateKey, SystemEntropy};
use crate::testing::{Server, active, block, id, secret, unhex};

pub(super) fn mac_request(key: &bytestring::ByteString, data: &[u8]) -> MacRequest {
    MacRequest {
        unique_identifier: id(key),
        cryptographic_parameters: Some(CryptographicParameters {
            cryptographic_algorithm: Some(CryptographicAlgorithm::HmacSha256),
            ..CryptographicParameters::default()
        }),
        data: secret(data),
        correlation_value: None,
        init_indicator: None,
        final_indicator: None,
    }
}

const DATA: [u8; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16];

/// The values of CS-AC-M-6.
#[tokio::test]
async fn mac_and_its_verification() {
    let server = Server::new();
    let mask = Mask::MAC_GENERATE | Mask::MAC_VERIFY;
    let material = unhex("0123456789abcdef0123456789abcdef");
    let key = server.active_key(CryptographicAlgorithm::Aes, &material, mask).await;
    let made: MacResponse = server.done(mac_request(&key, &DATA)).await;
    let code = made.mac_data.unwrap();
    assert_eq!(*code, *unhex("c911e78196d64c30f631bb079ea37b97a95936d4da764d6a171df030c895ecf9"));
    for (code, verdict) in
        [(code.clone(), ValidityIndicator::Valid), (code.slice(..31), ValidityIndicator::Invalid)]
    {
        let verified: MacVerifyResponse = server
            .done(MacVerifyRequest {
                unique_identifier: id(&key),
                cryptographic_parameters: mac_request(&key, &[]).cryptographic_parameters,
                data: secret(&DATA),
                mac_data: Some(code),
                correlation_value: None,
                init_indicator: None,
                final_indicator: None,
            })
            .await;
        assert_eq!(verified.validity_indicator, Some(verdict));
    }
    let encryptor = server.active_key(CryptographicAlgorithm::Aes, &material, Mask::ENCRYPT).await;
    let refused = server.refused(mac_request(&encryptor, &DATA)).await;
    assert_eq!(refused, ResultReason::IncompatibleCryptographicUsageMask);
}

#[tokio::test]
async fn usage_limits_count_every_protecting_operation() {
    let server = Server::new();
    let limits = UsageLimits { total: 20, count: None, unit: UsageLimitsUnit::Byte };
    let attributes = [active(Mask::MAC_GENERATE), vec![Attribute::UsageLimits(limits)]].concat();
    let key = crate::testing::symmetric_key(CryptographicAlgorithm::HmacSha256, &[1; 32]);
    let key = server.register(key, attributes).await;
    server.done::<MacResponse>(mac_request(&key, &DATA)).await;
    assert_eq!(server.refused(mac_request(&key, &DATA)).await, ResultReason::PermissionDenied);
}

/// The values of CS-AC-M-7.
#[tokio::test]
async fn hash() {
    let server = Server::new();
    let request = |hashing_algorithm| HashRequest {
        cryptographic_parameters: CryptographicParameters {
            hashing_algorithm,
            ..CryptographicParameters::default()
        },
        data: secret(&DATA),
        correlation_value: None,
        init_indicator: None,
        final_indicator: None,
    };
    let hashed: HashResponse = server.done(request(Some(HashingAlgorithm::Sha256))).await;
    let expected = unhex("ad41233d22cf9322e3a7ff49a13da434797abed3bab80950a1a0d4e582b7ea72");
    assert_eq!(*hashed.data.unwrap(), *expected);
    assert_eq!(server.refused(request(None)).await, ResultReason::MissingData);
}

#[tokio::test]
async fn random_numbers() {
    let server = Server::new();
    let first: RngRetrieveResponse = server.done(RngRetrieveRequest { data_length: 32 }).await;
    let second: RngRetrieveResponse = server.done(RngRetrieveRequest { data_length: 32 }).await;
    assert_eq!(first.data.len(), 32);
    assert_ne!(first.data.expose(), second.data.expose());
    for data_length in [-1, 0] {
        let refused = server.refused(RngRetrieveRequest { data_length }).await;
        assert_eq!(refused, ResultReason::InvalidField);
    }
    let much = server.refused(RngRetrieveRequest { data_length: i32::MAX }).await;
    assert_eq!(much, ResultReason::PermissionDenied);
    let seeded: RngSeedResponse = server.done(RngSeedRequest { data: secret(&[9; 32]).unwrap() }).await;
    assert_eq!(seeded.data_length, 32);
}

/// A key pair of each algorithm in its registered formats.
async fn pair(
    server: &Server,
    algorithm: CryptographicAlgorithm,
    length: i32,
) -> (bytestring::ByteString, bytestring::ByteString) {
    let key = PrivateKey::generate(algorithm, Some(length), None, &SystemEntropy::new()).unwrap();
    let with_length = |mut block: kmip_protocol::key_block::KeyBlock| {
        block.cryptographic_length = Some(length);
        block
    };
    let private = key.encode(KeyFormatType::Pkcs8).unwrap();
    let private = with_length(block(KeyFormatType::Pkcs8, Some(algorithm), &private));
    let private = ManagedObject::PrivateKey(object::PrivateKey { key_block: private });
    let public = key.public_key().encode(KeyFormatType::X509).unwrap();
    let public = with_length(block(KeyFormatType::X509, Some(algorithm), &public));
    let public = ManagedObject::PublicKey(object::PublicKey { key_block: public });
    (
        server.register(private, active(Mask::SIGN | Mask::DECRYPT)).await,
        server.register(public, active(Mask::VERIFY | Mask::ENCRYPT)).await,
    )
}

fn pss(hash: HashingAlgorithm) -> Option<CryptographicParameters> {
    Some(CryptographicParameters {
        padding_method: Some(PaddingMethod::Pss),
        hashing_algorithm: Some(hash),
        ..CryptographicParameters::default()
    })
}

pub(super) fn sign_request(
    key: &bytestring::ByteString,
    parameters: Option<CryptographicParameters>,
    data: Option<&[u8]>,
) -> SignRequest {
    SignRequest {
        unique_identifier: id(key),
        cryptographic_parameters: parameters,
        data: data.and_then(secret),
        digested_data: None,
        correlation_value: None,
        init_indicator: None,
        final_indicator: None,
    }
}

async fn verify(
    server: &Server,
    key: &bytestring::ByteString,
    parameters: Option<CryptographicParameters>,
    data: &[u8],
    signature: bytes::Bytes,
) -> Option<ValidityIndicator> {
    let verified: SignatureVerifyResponse = server
        .done(SignatureVerifyRequest {
            unique_identifier: id(key),
            cryptographic_parameters: parameters,
            data: secret(data),
            digested_data: None,
            signature_data: Some(signature),
            correlation_value: None,
            init_indicator: None,
            final_indicator: None,
        })
        .await;
    verified.validity_indicator
}

#[tokio::test]
async fn signatures_of_every_kind() {
    let server = Server::new();
    for (algorithm, length, parameters) in [
        (CryptographicAlgorithm::Rsa, 1024, pss(HashingAlgorithm::Sha256)),
        (CryptographicAlgorithm::Ecdsa, 256, None),
        (CryptographicAlgorithm::Ecdsa, 384, None),
        (CryptographicAlgorithm::Ecdsa, 521, None),
        (CryptographicAlgorithm::Ed25519, 256, None),
    ] {
        let (private, public) = pair(&server, algorithm, length).await;
        let signed: SignResponse = server.done(sign_request(&private, parameters.clone(), Some(&DATA))).await;
        let signature = signed.signature_data.unwrap();
        let verdict = verify(&server, &public, parameters.clone(), &DATA, signature.clone()).await;
        assert_eq!(verdict, Some(ValidityIndicator::Valid), "{algorithm} {length}");
        let verdict = verify(&server, &public, parameters, b"other", signature).await;
        assert_eq!(verdict, Some(ValidityIndicator::Invalid), "{algorithm} {length}");
        let refused = server.refused(sign_request(&public, None, Some(&DATA))).await;
        assert_eq!(refused, ResultReason::IncompatibleCryptographicUsageMask);
    }
}

#[tokio::test]
async fn a_digest_is_signed_as_its_data_would_be() {
    let server = Server::new();
    let (private, public) = pair(&server, CryptographicAlgorithm::Rsa, 1024).await;
    let parameters = pss(HashingAlgorithm::Sha256);
    let digest = crate::crypto::sha256(&DATA);
    let mut request = sign_request(&private, parameters.clone(), None);
    request.digested_data = Some(bytes::Bytes::copy_from_slice(&digest));
    let signed: SignResponse = server.done(request).await;
    let signature = signed.signature_data.unwrap();
    assert_eq!(
        verify(&server, &public, parameters.clone(), &DATA, signature.clone()).await,
        Some(ValidityIndicator::Valid)
    );
    // Case CS-AC-M-3: another hash is no error, but the signature is not valid.
    assert_eq!(
        verify(&server, &public, pss(HashingAlgorithm::Sha1), &DATA, signature).await,
        Some(ValidityIndicator::Invalid)
    );
    let mut both = sign_request(&private, parameters, Some(&DATA));
    both.digested_data = Some(bytes::Bytes::copy_from_slice(&digest));
    assert_eq!(server.refused(both).await, ResultReason::InvalidField);
}

#[tokio::test]
async fn rsa_encrypts_with_one_half_and_decrypts_with_the_other() {
    let server = Server::new();
    let (private, public) = pair(&server, CryptographicAlgorithm::Rsa, 1024).await;
    let parameters = CryptographicParameters {
        padding_method: Some(PaddingMethod::Oaep),
        hashing_algorithm: Some(HashingAlgorithm::Sha256),
        ..CryptographicParameters::default()
    };
    let encrypted: EncryptResponse = server
        .done(EncryptRequest {
            unique_identifier: id(&public),
            cryptographic_parameters: Some(parameters.clone()),
            data: secret(b"a secret"),
            iv_counter_nonce: None,
            correlation_value: None,
            init_indicator: None,
            final_indicator: None,
            authenticated_encryption_additional_data: None,
        })
        .await;
    let decrypted: DecryptResponse = server
        .done(DecryptRequest {
            unique_identifier: id(&private),
            cryptographic_parameters: Some(parameters),
            data: encrypted.data,
            iv_counter_nonce: None,
            correlation_value: None,
            init_indicator: None,
            final_indicator: None,
            authenticated_encryption_additional_data: None,
            authenticated_encryption_tag: None,
        })
        .await;
    assert_eq!(decrypted.data.unwrap().expose(), b"a secret");
}

/// The steps of PKCS11-M-1.
#[tokio::test]
async fn pkcs11() {
    let server = Server::new();
    let request = |function, correlation_value, input: &[u8]| Pkcs11Request {
        interface: None,
        function: Pkcs11Code(function),
        correlation_value,
        input_parameters: Some(bytes::Bytes::copy_from_slice(input)).filter(|input| !input.is_empty()),
    };
    let initialized: Pkcs11Response = server.done(request(1, None, &[1])).await;
    assert_eq!(initialized.return_code, Pkcs11Code(0));
    let correlation = initialized.correlation_value;
    let info: Pkcs11Response = server.done(request(3, correlation.clone(), &[])).await;
    let output = info.output_parameters.unwrap();
    assert_eq!((output.len(), &output[..2]), (76, &[2, 40][..]));
    let finalized: Pkcs11Response = server.done(request(2, correlation.clone(), &[])).await;
    assert_eq!((finalized.return_code, server.service.streams.count()), (Pkcs11Code(0), 0));
    let late: Pkcs11Response = server.done(request(3, correlation, &[])).await;
    assert_eq!(late.return_code, Pkcs11Code(0x190));
    assert_eq!(server.refused(request(31, None, &[])).await, ResultReason::Pkcs11InvalidFunction);
    assert_eq!(server.refused(request(1, None, &[2])).await, ResultReason::Pkcs11CodecError);
}

#[tokio::test]
async fn nothing_is_asynchronous() {
    let server = Server::new();
    let request = PollRequest { asynchronous_correlation_value: bytes::Bytes::from_static(b"x") };
    assert_eq!(server.refused(request).await, ResultReason::InvalidAsynchronousCorrelationValue);
}
