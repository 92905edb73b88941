//! A peer of the Core: builds requests of the profile and reads their answers.

use std::net::SocketAddr;

use bytes::Bytes;
use bytestring::ByteString;
use key_service::chain::{ObjectBinding, VENDOR, computed, tenant_attribute};
use kmip_net::{Client, ClientSettings, ReloadableTls, TlsSettings};
use kmip_protocol::Version;
use kmip_protocol::attribute::{
    Attribute, AttributeReference, Attributes, KeyValueLocation, Link, RevocationReason,
};
use kmip_protocol::codec::{DateTime, Secret};
use kmip_protocol::enumeration::*;
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::key_block::{KeyBlock, KeyValue};
use kmip_protocol::mask::CryptographicUsageMask;
use kmip_protocol::message::{RequestHeader, RequestMessage, ResponseBatchItem, ResponseMessage};
use kmip_protocol::object::{ManagedObject, SymmetricKey};
use kmip_protocol::operation::*;
use kmip_protocol::version::V2_1;
use kmip_ttlv::Limits;

pub struct Party {
    client: Client,
    /// Which life of a Gateway it is.
    life: Option<ByteString>,
}

/// Why an item failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    pub reason: ResultReason,
    pub message: String,
}

/// The chain of a tenant, all Active.
pub struct Chain {
    pub l1: ByteString,
    pub l2: ByteString,
    pub l3: ByteString,
}

impl Party {
    pub fn new(address: SocketAddr, tls: TlsSettings) -> Self {
        let settings = ClientSettings::new(address.to_string());
        Self { client: Client::new(settings, ReloadableTls::client(tls).unwrap()).unwrap(), life: None }
    }

    /// As a Gateway that names its life.
    pub fn living(mut self, life: &str) -> Self {
        self.life = Some(ByteString::from(life));
        self
    }

    /// The answer as it is on the wire.
    pub async fn raw(&self, version: Version, requests: &[Request]) -> Bytes {
        let mut header = RequestHeader::new(version, requests.len());
        header.batch_error_continuation_option = Some(BatchErrorContinuationOption::Continue);
        header.client_correlation_value = self.life.clone();
        self.client.exchange(RequestMessage::write(&header, requests)).await.unwrap()
    }

    pub async fn batch(&self, requests: &[Request]) -> Vec<Result<Response, Failed>> {
        let answer = self.raw(V2_1, requests).await;
        let message = ResponseMessage::read(&answer, Limits::default()).unwrap();
        message.items.into_iter().map(outcome).collect()
    }

    pub async fn call(&self, request: impl Into<Request>) -> Result<Response, Failed> {
        let mut answers = self.batch(&[request.into()]).await;
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }

    pub async fn ask<T: TryFrom<Response>>(&self, request: impl Into<Request>) -> Result<T, Failed> {
        Ok(T::try_from(self.call(request).await?).ok().unwrap())
    }

    /// The reason why a request is refused.
    pub async fn refused(&self, request: impl Into<Request>) -> ResultReason {
        self.call(request).await.unwrap_err().reason
    }

    pub async fn register_l1(&self, tenant: &str) -> Result<ByteString, Failed> {
        let request = register(l1_attributes(tenant, &format!("software:{tenant}")), None);
        Ok(self.ask::<RegisterResponse>(request).await?.unique_identifier)
    }

    /// One L1 more for a tenant, Active.
    pub async fn add_l1(&self, tenant: &str, location: &str) -> ByteString {
        let request = register(l1_attributes(tenant, location), None);
        let l1 = self.ask::<RegisterResponse>(request).await.unwrap().unique_identifier;
        self.activate(&l1).await.unwrap();
        l1
    }

    pub async fn add_anchor(&self, l2: &ByteString, l1: &ByteString) -> Result<(), Failed> {
        let new_attribute = Attributes::new([link(l1)]);
        self.call(AddAttributeRequest { unique_identifier: named(l2), new_attribute }).await.map(drop)
    }

    pub async fn delete_anchor(&self, l2: &ByteString, l1: &ByteString) -> Result<(), Failed> {
        let request = DeleteAttributeRequest {
            unique_identifier: named(l2),
            current_attribute: Attributes::new([link(l1)]),
            attribute_references: Vec::new(),
            attribute_index: None,
        };
        self.call(request).await.map(drop)
    }

    /// Whether an L1 opens what is sealed under it, at this moment.
    pub async fn drill(&self, l1: &ByteString) -> Result<(), Failed> {
        let request = CheckRequest {
            unique_identifier: named(l1),
            usage_limits_count: None,
            cryptographic_usage_mask: Some(CryptographicUsageMask::UNWRAP_KEY),
            lease_time: None,
        };
        self.call(request).await.map(drop)
    }

    pub async fn create_l2(&self, l1: &ByteString) -> Result<ByteString, Failed> {
        Ok(self.ask::<CreateResponse>(create([link(l1)])).await?.unique_identifier)
    }

    pub async fn create_l3(&self, l2: &ByteString, service: &str) -> Result<ByteString, Failed> {
        let group = Attribute::ObjectGroup(service.into());
        Ok(self.ask::<CreateResponse>(create([link(l2), group])).await?.unique_identifier)
    }

    pub async fn activate(&self, key: &ByteString) -> Result<(), Failed> {
        self.call(ActivateRequest { unique_identifier: named(key) }).await.map(drop)
    }

    pub async fn revoke(&self, key: &ByteString, code: RevocationReasonCode) -> Result<(), Failed> {
        let request = RevokeRequest {
            unique_identifier: named(key),
            revocation_reason: RevocationReason { code, message: None },
            compromise_occurrence_date: None,
        };
        self.call(request).await.map(drop)
    }

    pub async fn destroy(&self, key: &ByteString) -> Result<(), Failed> {
        self.call(DestroyRequest { unique_identifier: named(key) }).await.map(drop)
    }

    /// L1, L2 and the L3 of the service `default`, all Active.
    pub async fn provision(&self, tenant: &str) -> Chain {
        let l1 = self.register_l1(tenant).await.unwrap();
        self.activate(&l1).await.unwrap();
        let l2 = self.create_l2(&l1).await.unwrap();
        self.activate(&l2).await.unwrap();
        let l3 = self.create_l3(&l2, "default").await.unwrap();
        self.activate(&l3).await.unwrap();
        Chain { l1, l2, l3 }
    }

    pub async fn attributes(&self, key: &ByteString) -> Result<Vec<Attribute>, Failed> {
        let request =
            GetAttributesRequest { unique_identifier: named(key), attribute_references: Vec::new() };
        let response = self.ask::<GetAttributesResponse>(request).await?;
        Ok(response.attributes.iter().cloned().collect())
    }

    /// What the Core works out about a key.
    pub async fn computed(&self, key: &ByteString) -> Vec<Attribute> {
        let reference = |name: &&'static str| AttributeReference::Custom {
            vendor: ByteString::from_static(VENDOR),
            name: ByteString::from_static(name),
        };
        let attribute_references = computed::ALL.iter().map(reference).collect();
        let request = GetAttributesRequest { unique_identifier: named(key), attribute_references };
        let response = self.ask::<GetAttributesResponse>(request).await.unwrap();
        response.attributes.iter().cloned().collect()
    }

    pub async fn state(&self, key: &ByteString) -> State {
        let states = self.attributes(key).await.unwrap().into_iter().find_map(|attribute| match attribute {
            Attribute::State(state) => Some(state),
            _ => None,
        });
        states.unwrap()
    }

    pub async fn locate(
        &self,
        criteria: impl IntoIterator<Item = Attribute>,
    ) -> Result<Vec<ByteString>, Failed> {
        Ok(self.ask::<LocateResponse>(locate(criteria)).await?.unique_identifiers)
    }

    pub async fn wrap(
        &self,
        key: &ByteString,
        object: &ObjectBinding,
        data: &[u8],
    ) -> Result<Vec<u8>, Failed> {
        let response = self.ask::<EncryptResponse>(wrap(key, object, data)).await?;
        assert_eq!(response.unique_identifier, *key);
        Ok(response.data.unwrap().expose().to_vec())
    }

    pub async fn unwrap(
        &self,
        key: &ByteString,
        object: &ObjectBinding,
        data: &[u8],
    ) -> Result<Vec<u8>, Failed> {
        let response = self.ask::<DecryptResponse>(unwrap(key, object, data)).await?;
        Ok(response.data.unwrap().expose().to_vec())
    }
}

fn outcome(item: ResponseBatchItem) -> Result<Response, Failed> {
    match item.result_status {
        ResultStatus::Success => Ok(item.payload.unwrap()),
        _ => Err(Failed {
            reason: item.result_reason.unwrap(),
            message: item.result_message.unwrap_or_default().to_string(),
        }),
    }
}

pub fn named(key: &ByteString) -> Option<UniqueIdentifier> {
    Some(UniqueIdentifier::Text(key.clone()))
}

pub fn link(parent: &ByteString) -> Attribute {
    Attribute::Link(Link {
        link_type: LinkType::WrappingKeyLink,
        linked_object_identifier: UniqueIdentifier::Text(parent.clone()),
    })
}

pub fn l1_attributes(tenant: &str, location: &str) -> Vec<Attribute> {
    let location = KeyValueLocation { value: location.into(), location_type: KeyValueLocationType::Uri };
    vec![tenant_attribute(tenant), Attribute::KeyValueLocation(location)]
}

pub fn register(attributes: impl IntoIterator<Item = Attribute>, value: Option<&[u8]>) -> RegisterRequest {
    let key_block = KeyBlock {
        key_format_type: KeyFormatType::Raw,
        key_compression_type: None,
        key_value: value.map(|value| KeyValue::plain(Secret::copy_from_slice(value))),
        cryptographic_algorithm: Some(CryptographicAlgorithm::Aes),
        cryptographic_length: Some(256),
        key_wrapping_data: None,
    };
    RegisterRequest {
        object_type: ObjectType::SymmetricKey,
        attributes: Attributes::new(attributes),
        object: ManagedObject::SymmetricKey(SymmetricKey { key_block }),
        protection_storage_masks: None,
    }
}

pub fn re_key(key: &ByteString) -> ReKeyRequest {
    ReKeyRequest {
        unique_identifier: named(key),
        offset: None,
        attributes: Attributes::default(),
        protection_storage_masks: None,
    }
}

pub fn create(attributes: impl IntoIterator<Item = Attribute>) -> CreateRequest {
    CreateRequest {
        object_type: ObjectType::SymmetricKey,
        attributes: Attributes::new(attributes),
        protection_storage_masks: None,
    }
}

pub fn locate(criteria: impl IntoIterator<Item = Attribute>) -> LocateRequest {
    LocateRequest {
        maximum_items: None,
        offset_items: None,
        storage_status_mask: None,
        object_group_member: None,
        attributes: Attributes::new(criteria),
    }
}

pub fn get(key: &ByteString) -> GetRequest {
    GetRequest {
        unique_identifier: named(key),
        key_format_type: None,
        key_wrap_type: None,
        key_compression_type: None,
        key_wrapping_specification: None,
    }
}

pub fn wrap(key: &ByteString, object: &ObjectBinding, data: &[u8]) -> EncryptRequest {
    EncryptRequest {
        unique_identifier: named(key),
        cryptographic_parameters: None,
        data: Some(Secret::copy_from_slice(data)),
        iv_counter_nonce: None,
        correlation_value: None,
        init_indicator: None,
        final_indicator: None,
        authenticated_encryption_additional_data: Some(object.encode()),
    }
}

pub fn unwrap(key: &ByteString, object: &ObjectBinding, data: &[u8]) -> DecryptRequest {
    DecryptRequest {
        unique_identifier: named(key),
        cryptographic_parameters: None,
        data: Some(Secret::copy_from_slice(data)),
        iv_counter_nonce: None,
        correlation_value: None,
        init_indicator: None,
        final_indicator: None,
        authenticated_encryption_additional_data: Some(object.encode()),
        authenticated_encryption_tag: None,
    }
}

/// The object that most tests wrap.
pub fn object() -> ObjectBinding {
    ObjectBinding {
        unique_identifier: "1f1b4d2e-object".into(),
        object_type: ObjectType::SymmetricKey,
        cryptographic_algorithm: Some(CryptographicAlgorithm::Aes),
        cryptographic_length: Some(256),
    }
}

/// An Activation Date that has come.
pub fn active_since_long() -> Attribute {
    Attribute::ActivationDate(DateTime(1_000_000_000))
}
