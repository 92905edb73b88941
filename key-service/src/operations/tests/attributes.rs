//! What Get Attributes tells to legacy clients; what Modify Attribute does for some.

use bytestring::ByteString;
use kmip_protocol::Version;
use kmip_protocol::attribute::{Attribute, AttributeReference, AttributeType, Attributes, CustomValue};
use kmip_protocol::codec::Secret;
use kmip_protocol::enumeration::{
    CryptographicAlgorithm, KeyFormatType, ObjectType, OpaqueDataType, ResultReason, SecretDataType,
};
use kmip_protocol::mask::CryptographicUsageMask as Mask;
use kmip_protocol::object::{ManagedObject, OpaqueObject, SecretData};
use kmip_protocol::operation::{
    DestroyRequest, DestroyResponse, GetAttributesRequest, GetAttributesResponse, ModifyAttributeRequest,
    RegisterRequest,
};
use kmip_protocol::version::{SUPPORTED, V1_0, V1_4, V2_1};

use crate::crypto;
use crate::service::ServiceSettings;
use crate::testing::{Server, active, block, id, name, symmetric_key};

/// A server that takes these for legacy clients, and a key with a custom attribute in it. Clients are called `app`.
async fn server_with_key(legacy_attribute_clients: &[&str]) -> (Server, ByteString) {
    let legacy_attribute_clients = legacy_attribute_clients.iter().map(|&name| name.to_owned()).collect();
    let server = Server::with(ServiceSettings { legacy_attribute_clients, ..ServiceSettings::default() });
    let custom = |name, value| {
        let [vendor, name] = ["x", name].map(ByteString::from_static);
        Attribute::custom(vendor, name, value)
    };
    let mut attributes = active(Mask::ENCRYPT);
    attributes.push(custom("text", CustomValue::Text(ByteString::from_static("text"))));
    attributes.push(custom("number", CustomValue::Integer(1)));
    let key = symmetric_key(CryptographicAlgorithm::Aes, &[1; 16]);
    let key = server.register(key, attributes).await;
    (server, key)
}

/// The names of the attributes that are told; of all that there are if none is wanted.
async fn told(server: &Server, version: Version, key: &ByteString, wanted: &[AttributeType]) -> Vec<String> {
    let request = GetAttributesRequest {
        unique_identifier: id(key),
        attribute_references: wanted.iter().copied().map(AttributeReference::Known).collect(),
    };
    let response = server.ask_as(&server.principal, version, request).await.unwrap();
    let response = GetAttributesResponse::try_from(response).unwrap();
    response.attributes.iter().map(|attribute| attribute.reference().to_string()).collect()
}

fn holds(told: &[String], name: &str) -> bool {
    told.iter().any(|told| told == name)
}

#[tokio::test]
async fn legacy_clients_get_what_they_decode() {
    for clients in [["app"], ["*"]] {
        let (server, key) = server_with_key(&clients).await;
        for version in SUPPORTED {
            let told = told(&server, *version, &key, &[]).await;
            for name in ["Unique Identifier", "Object Type", "State", "Cryptographic Usage Mask"] {
                assert!(holds(&told, name), "{name} at {version:?}");
            }
            for name in ["Extractable", "Never Extractable", "Always Sensitive", "x-number"] {
                assert!(!holds(&told, name), "{name} at {version:?}");
            }
            assert_eq!(holds(&told, "Digest"), *version != V1_0);
        }
        assert!(holds(&told(&server, V1_4, &key, &[]).await, "x-text"));
        assert!(!holds(&told(&server, V2_1, &key, &[]).await, "x-text"));
    }
}

#[tokio::test]
async fn legacy_clients_get_what_they_name() {
    let (server, key) = server_with_key(&["app"]).await;
    let told = told(&server, V1_4, &key, &[AttributeType::Extractable, AttributeType::State]).await;
    assert_eq!(told, ["Extractable", "State"]);
}

#[tokio::test]
async fn other_clients_get_everything() {
    for clients in [&[] as &[&str], &["another"]] {
        let (server, key) = server_with_key(clients).await;
        let told = told(&server, V1_4, &key, &[]).await;
        assert!(holds(&told, "Extractable") && holds(&told, "x-number"));
    }
}

#[tokio::test]
async fn a_nameless_object_is_named_by_modify_attribute_at_1x_only() {
    let (server, key) = server_with_key(&[]).await;
    for version in SUPPORTED {
        let request = ModifyAttributeRequest {
            unique_identifier: id(&key),
            current_attribute: Attributes::default(),
            new_attribute: Attributes::new([name("first")]),
        };
        let modified = server.ask_as(&server.principal, *version, request).await;
        let outcome = modified.map(drop).err();
        match version.tags_attributes() {
            true => assert_eq!(outcome, Some(ResultReason::AttributeNotFound), "{version}"),
            false => assert_eq!(outcome, None, "{version}"),
        }
    }
}

fn password(secret: &[u8]) -> ManagedObject {
    let key_block = block(KeyFormatType::Opaque, None, secret);
    ManagedObject::SecretData(SecretData { secret_data_type: SecretDataType::Password, key_block })
}

#[tokio::test]
async fn the_digest_of_a_password_is_told_and_not_kept() {
    let server = Server::new();
    let opaque = OpaqueObject {
        opaque_data_type: OpaqueDataType::Extension(0x8000_0001),
        opaque_data_value: Secret::copy_from_slice(b"swordfish"),
    };
    for object in [password(b"swordfish"), ManagedObject::OpaqueObject(opaque)] {
        let identifier = server.register(object, []).await;
        let stored = server.service.store.fetch("acme", &identifier).await.unwrap().unwrap();
        let expected = crypto::sha256(b"swordfish");
        assert!(!stored.encode().windows(expected.len()).any(|window| window == expected));
        let Some(Attribute::Digest(told)) = server.attribute(&identifier, AttributeType::Digest).await else {
            panic!("no digest");
        };
        assert_eq!(told.digest_value.as_deref(), Some(&expected[..]));
        server.done::<DestroyResponse>(DestroyRequest { unique_identifier: id(&identifier) }).await;
        assert_eq!(server.attribute(&identifier, AttributeType::Digest).await, None);
    }
}

#[tokio::test]
async fn groups_of_a_new_object_are_bounded() {
    let server = Server::new();
    let groups = (0..17).map(|number| Attribute::ObjectGroup(number.to_string().into()));
    let object = symmetric_key(CryptographicAlgorithm::Aes, &[1; 16]);
    let request = RegisterRequest {
        object_type: ObjectType::SymmetricKey,
        attributes: Attributes::new(groups),
        object,
        protection_storage_masks: None,
    };
    assert_eq!(server.refused(request).await, ResultReason::ServerLimitExceeded);
}
