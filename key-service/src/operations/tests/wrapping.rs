//! Get with key wrapping and other formats.

use kmip_protocol::attribute::{Attribute, Attributes, CryptographicParameters};
use kmip_protocol::codec::{DateTime, Item};
use kmip_protocol::enumeration::{
    BlockCipherMode, CryptographicAlgorithm, EncodingOption, HashingAlgorithm, KeyFormatType, KeyWrapType,
    LinkType, PaddingMethod, ResultReason, WrappingMethod,
};
use kmip_protocol::key_block::{KeyInformation, KeyValue, KeyWrappingSpecification};
use kmip_protocol::mask::CryptographicUsageMask as Mask;
use kmip_protocol::object::ManagedObject;
use kmip_protocol::operation::{
    CreateKeyPairRequest, CreateKeyPairResponse, GetRequest, GetResponse, ImportRequest, ImportResponse,
};
use kmip_protocol::tag;
use kmip_protocol::version::{V1_2, V2_1};
use kmip_ttlv::{Limits, Reader};

use crate::crypto::{CipherParameters, unwrap_key};
use crate::testing::{BEGINNING, Server, active, get_request, id, material, symmetric_key};

const KEK: [u8; 32] = [3; 32];

fn key_wrap() -> CryptographicParameters {
    CryptographicParameters {
        block_cipher_mode: Some(BlockCipherMode::NistKeyWrap),
        ..CryptographicParameters::default()
    }
}

async fn kek(server: &Server) -> bytestring::ByteString {
    let mask = active(Mask::WRAP_KEY | Mask::UNWRAP_KEY);
    let attributes = [mask, vec![Attribute::CryptographicParameters(key_wrap().into())]].concat();
    server.register(symmetric_key(CryptographicAlgorithm::Aes, &KEK), attributes).await
}

fn wrapped_get(
    key: &bytestring::ByteString,
    kek: &bytestring::ByteString,
    encoding_option: Option<EncodingOption>,
) -> GetRequest {
    let specification = KeyWrappingSpecification {
        wrapping_method: WrappingMethod::Encrypt,
        encryption_key_information: Some(KeyInformation {
            unique_identifier: id(kek).unwrap(),
            cryptographic_parameters: Some(key_wrap()),
        }),
        mac_signature_key_information: None,
        attribute_references: Vec::new(),
        encoding_option,
    };
    GetRequest { key_wrapping_specification: Some(Box::new(specification)), ..get_request(key) }
}

fn wrapped_bytes(object: &ManagedObject) -> bytes::Bytes {
    match &object.key_block().unwrap().key_value {
        Some(KeyValue::Wrapped(wrapped)) => wrapped.clone(),
        other => panic!("not wrapped: {other:?}"),
    }
}

fn open(wrapped: &[u8]) -> bytes::Bytes {
    let parameters = CipherParameters {
        block_cipher_mode: Some(BlockCipherMode::NistKeyWrap),
        ..CipherParameters::default()
    };
    unwrap_key(&KEK, &parameters, None, wrapped).unwrap().into_bytes()
}

/// As AX-M-2: the encoded Key Value is wrapped unless the client asks for the bare key.
#[tokio::test]
async fn a_key_leaves_wrapped() {
    let server = Server::new();
    let kek = kek(&server).await;
    let attributes = [active(Mask::ENCRYPT), vec![Attribute::Sensitive(true)]].concat();
    let key = server.register(symmetric_key(CryptographicAlgorithm::Aes, &[9; 32]), attributes).await;
    assert_eq!(server.refused(get_request(&key)).await, ResultReason::Sensitive);

    let answer: GetResponse = server.done(wrapped_get(&key, &kek, None)).await;
    let data = answer.object.key_block().unwrap().key_wrapping_data.as_ref().unwrap();
    assert_eq!((data.wrapping_method, data.encoding_option), (WrappingMethod::Encrypt, None));
    let encoded = open(&wrapped_bytes(&answer.object));
    let mut reader = Reader::new(&encoded, Limits::default()).unwrap();
    let KeyValue::Plain { material: kmip_protocol::key_block::KeyMaterial::Bytes(bytes), .. } =
        KeyValue::read(&mut reader, tag::KEY_VALUE, V2_1).unwrap()
    else {
        panic!("no plain key value")
    };
    assert_eq!(bytes.expose(), [9; 32]);

    let bare: GetResponse = server.done(wrapped_get(&key, &kek, Some(EncodingOption::NoEncoding))).await;
    assert_eq!(*open(&wrapped_bytes(&bare.object)), [9; 32]);
}

#[tokio::test]
async fn only_a_wrapping_key_wraps() {
    let server = Server::new();
    let key = server.active_key(CryptographicAlgorithm::Aes, &[9; 32], Mask::ENCRYPT).await;
    let refused = server.refused(wrapped_get(&key, &key, None)).await;
    assert_eq!(refused, ResultReason::IncompatibleCryptographicUsageMask);
    let nobody = bytestring::ByteString::from_static("nobody");
    let refused = server.refused(wrapped_get(&key, &nobody, None)).await;
    assert_eq!(refused, ResultReason::WrappingObjectNotFound);
    let unspecific = server.active_key(CryptographicAlgorithm::Aes, &KEK, Mask::WRAP_KEY).await;
    let refused = server.refused(wrapped_get(&key, &unspecific, None)).await;
    assert_eq!(refused, ResultReason::BadCryptographicParameters);
}

#[tokio::test]
async fn a_key_registered_wrapped_is_kept_so_and_opened_when_asked() {
    let server = Server::new();
    let kek = kek(&server).await;
    let key = server.active_key(CryptographicAlgorithm::Aes, &[9; 32], Mask::ENCRYPT).await;
    let answer: GetResponse = server.done(wrapped_get(&key, &kek, None)).await;
    let wrapped = wrapped_bytes(&answer.object);
    let copy = server.register(answer.object, active(Mask::ENCRYPT)).await;
    let link = server.attribute(&copy, kmip_protocol::attribute::AttributeType::Link).await;
    assert!(matches!(link, Some(Attribute::Link(link)) if link.link_type == LinkType::WrappingKeyLink));
    assert_eq!(wrapped_bytes(&server.get(&copy).await.unwrap()), wrapped);
    let request = GetRequest { key_wrap_type: Some(KeyWrapType::NotWrapped), ..get_request(&copy) };
    let opened: GetResponse = server.done(request).await;
    assert_eq!(material(&opened.object), [9; 32]);
}

#[tokio::test]
async fn symmetric_keys_are_had_raw_and_transparent() {
    let server = Server::new();
    let key = server.active_key(CryptographicAlgorithm::Aes, &[9; 32], Mask::ENCRYPT).await;
    let get = |format| GetRequest { key_format_type: Some(format), ..get_request(&key) };
    let transparent: GetResponse = server.done(get(KeyFormatType::TransparentSymmetricKey)).await;
    assert_eq!(material(&transparent.object), [9; 32]);
    assert_eq!(server.refused(get(KeyFormatType::Pkcs8)).await, ResultReason::KeyFormatTypeNotSupported);
    let response = server.ask_as(&server.principal, V1_2, get(KeyFormatType::Raw)).await;
    assert!(response.is_ok());
}

/// What a public key has wrapped opens with the private key that it links to.
#[tokio::test]
async fn rsa_wraps_and_unwraps() {
    let server = Server::new();
    let oaep = CryptographicParameters {
        padding_method: Some(PaddingMethod::Oaep),
        hashing_algorithm: Some(HashingAlgorithm::Sha256),
        ..CryptographicParameters::default()
    };
    let pair: CreateKeyPairResponse = server
        .done(CreateKeyPairRequest {
            common_attributes: Attributes::new([
                Attribute::CryptographicAlgorithm(CryptographicAlgorithm::Rsa),
                Attribute::CryptographicLength(1024),
                Attribute::ActivationDate(DateTime(BEGINNING - 1)),
                Attribute::CryptographicParameters(oaep.clone().into()),
            ]),
            private_key_attributes: Attributes::new([Attribute::CryptographicUsageMask(Mask::UNWRAP_KEY)]),
            public_key_attributes: Attributes::new([Attribute::CryptographicUsageMask(Mask::WRAP_KEY)]),
            common_protection_storage_masks: None,
            private_protection_storage_masks: None,
            public_protection_storage_masks: None,
        })
        .await;
    let key = server.active_key(CryptographicAlgorithm::Aes, &[9; 32], Mask::ENCRYPT).await;
    let public = pair.public_key_unique_identifier;
    let mut request = wrapped_get(&key, &public, Some(EncodingOption::NoEncoding));
    let specification = request.key_wrapping_specification.as_mut().unwrap();
    specification.encryption_key_information.as_mut().unwrap().cryptographic_parameters = Some(oaep);
    let answer: GetResponse = server.done(request).await;
    assert_eq!(wrapped_bytes(&answer.object).len(), 128);
    let import = ImportRequest {
        unique_identifier: bytestring::ByteString::from_static("copy"),
        object_type: None,
        replace_existing: None,
        key_wrap_type: Some(KeyWrapType::NotWrapped),
        attributes: Attributes::default(),
        object: answer.object,
    };
    let imported: ImportResponse = server.done(import).await;
    assert_eq!(material(&server.get(&imported.unique_identifier).await.unwrap()), [9; 32]);
}
