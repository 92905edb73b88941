//! What does not leave in the clear does not leave by way of what is made from it either.

use bytestring::ByteString;
use kmip_protocol::attribute::{Attribute, AttributeType, Attributes, CryptographicParameters};
use kmip_protocol::enumeration::{
    BlockCipherMode, CryptographicAlgorithm, DerivationMethod, KeyFormatType, ObjectType, PaddingMethod,
    ResultReason, SecretDataType,
};
use kmip_protocol::mask::CryptographicUsageMask as Mask;
use kmip_protocol::object::{ManagedObject, SecretData};
use kmip_protocol::operation::{CreateRequest, CreateResponse, DeriveKeyRequest, DeriveKeyResponse};
use kmip_protocol::structures::DerivationParameters;

use crate::testing::{Server, active, block, symmetric_key};

async fn secret(server: &Server, guard: Option<Attribute>) -> ByteString {
    let key_block = block(KeyFormatType::Raw, None, b"thirty-two bytes that are secret");
    let secret = SecretData { secret_data_type: SecretDataType::Password, key_block };
    let attributes = active(Mask::DERIVE_KEY).into_iter().chain(guard);
    server.register(ManagedObject::SecretData(secret), attributes).await
}

/// Encrypts the secret with a key that everybody knows.
fn derivation(key: &ByteString, secret: &ByteString, bits: i32) -> DeriveKeyRequest {
    DeriveKeyRequest {
        object_type: ObjectType::SecretData,
        unique_identifiers: [key, secret].map(|base| base.clone().into()).to_vec(),
        derivation_method: DerivationMethod::Encrypt,
        derivation_parameters: DerivationParameters {
            cryptographic_parameters: Some(CryptographicParameters {
                block_cipher_mode: Some(BlockCipherMode::Ecb),
                padding_method: Some(PaddingMethod::None),
                cryptographic_algorithm: Some(CryptographicAlgorithm::Aes),
                ..CryptographicParameters::default()
            }),
            initialization_vector: None,
            derivation_data: Vec::new(),
            salt: None,
            iteration_count: None,
        },
        attributes: Attributes::new([
            Attribute::CryptographicLength(bits),
            Attribute::Sensitive(false),
            Attribute::Extractable(true),
        ]),
    }
}

#[tokio::test]
async fn what_is_derived_is_guarded_as_its_bases_are() {
    let server = Server::new();
    let key = server.register(symmetric_key(CryptographicAlgorithm::Aes, &[1; 16]), active(Mask::DERIVE_KEY));
    let key = key.await;
    let cases = [
        (None, None),
        (Some(Attribute::Extractable(false)), Some(ResultReason::NotExtractable)),
        (Some(Attribute::Sensitive(true)), Some(ResultReason::Sensitive)),
    ];
    for (guard, refused) in cases {
        let secret = secret(&server, guard.clone()).await;
        let made: DeriveKeyResponse = server.done(derivation(&key, &secret, 256)).await;
        let derived = made.unique_identifier;
        assert_eq!(server.get(&derived).await.err(), refused, "{guard:?}");
        if let Some(guard) = guard {
            let kept = server.attribute(&derived, guard.attribute_type().unwrap()).await;
            assert_eq!(kept, Some(guard));
            // Byte by byte, it could be found by trying.
            assert_eq!(server.refused(derivation(&key, &secret, 8)).await, ResultReason::InvalidField);
        } else {
            assert_eq!(
                server.attribute(&derived, AttributeType::NeverExtractable).await,
                Some(Attribute::NeverExtractable(false))
            );
            server.done::<DeriveKeyResponse>(derivation(&key, &secret, 8)).await;
        }
    }
}

#[tokio::test]
async fn a_new_object_asks_for_so_many_services() {
    let server = Server::new();
    let create = |groups: usize| {
        let groups = (0..groups).map(|group| Attribute::ObjectGroup(group.to_string().into()));
        let described = [
            Attribute::CryptographicAlgorithm(CryptographicAlgorithm::Aes),
            Attribute::CryptographicLength(256),
        ];
        let attributes = Attributes::new(described.into_iter().chain(groups));
        let object_type = ObjectType::SymmetricKey;
        CreateRequest { object_type, attributes, protection_storage_masks: None }
    };
    server.done::<CreateResponse>(create(16)).await;
    assert_eq!(server.refused(create(17)).await, ResultReason::ServerLimitExceeded);
}
