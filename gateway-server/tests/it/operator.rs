//! An operator: steers the chain of keys at the Core, in plain KMIP.

use std::net::SocketAddr;

use bytestring::ByteString;
use key_service::chain::tenant_attribute;
use kmip_protocol::attribute::{Attribute, Attributes, Link, RevocationReason};
use kmip_protocol::enumeration::{CryptographicAlgorithm, LinkType, ObjectType, RevocationReasonCode, State};
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::mask::CryptographicUsageMask;
use kmip_protocol::operation::{
    ActivateRequest, CheckRequest, CreateRequest, GetAttributesRequest, LocateRequest, ReKeyRequest,
    Response, RevokeRequest,
};

use crate::application::{Application, Failure, identifier};
use crate::system::System;

pub struct Operator(Application);

impl Operator {
    pub fn new(system: &System) -> Self {
        Self::at(system, system.core.as_ref().expect("the Core runs").address)
    }

    /// At a certain Core.
    pub fn at(system: &System, core: SocketAddr) -> Self {
        Self(Application::new(core, &system.run().join("pki"), "operator"))
    }

    /// Makes an active L3 for a service of a tenant; returns it.
    pub async fn add_service(&self, tenant: &str, service: &str) -> ByteString {
        let key = self.create_service(tenant, service).await.unwrap();
        self.0.ask(ActivateRequest { unique_identifier: identifier(&key) }).await.unwrap();
        key
    }

    /// Makes an L3, not active yet, if the L2 opens.
    pub async fn create_service(&self, tenant: &str, service: &str) -> Result<ByteString, Failure> {
        let tenant_key = self.tenant_key(tenant).await;
        let attributes = Attributes::new([
            Attribute::CryptographicAlgorithm(CryptographicAlgorithm::Aes),
            Attribute::CryptographicLength(256),
            Attribute::CryptographicUsageMask(
                CryptographicUsageMask::WRAP_KEY | CryptographicUsageMask::UNWRAP_KEY,
            ),
            Attribute::ObjectGroup(ByteString::from(service)),
            link(tenant_key),
        ]);
        let object_type = ObjectType::SymmetricKey;
        let request = CreateRequest { object_type, attributes, protection_storage_masks: None };
        let Response::Create(created) = self.0.ask(request).await? else { panic!("another operation") };
        Ok(created.unique_identifier)
    }

    /// Revokes an object of the chain, for good.
    pub async fn revoke(&self, key: &str) -> Result<Response, Failure> {
        let revocation_reason = RevocationReason { code: RevocationReasonCode::KeyCompromise, message: None };
        let unique_identifier = identifier(key);
        self.0
            .ask(RevokeRequest { unique_identifier, revocation_reason, compromise_occurrence_date: None })
            .await
    }

    /// Has an L1 open what is sealed under it.
    pub async fn drill(&self, l1: &str) -> Result<Response, Failure> {
        let request = CheckRequest {
            unique_identifier: identifier(l1),
            usage_limits_count: None,
            cryptographic_usage_mask: Some(CryptographicUsageMask::UNWRAP_KEY),
            lease_time: None,
        };
        self.0.ask(request).await
    }

    /// Destroys an object of the chain.
    pub async fn destroy(&self, key: &str) -> Result<Response, Failure> {
        self.0.destroy(key).await
    }

    /// Rotates the L3 of a service; returns the old version and the new one.
    pub async fn rotate(&self, tenant: &str, service: &str) -> (ByteString, ByteString) {
        let attributes = Attributes::new([
            tenant_attribute(tenant),
            Attribute::ObjectGroup(ByteString::from(service)),
            Attribute::State(State::Active),
        ]);
        let old = self.locate(attributes).await.expect("the service has an active L3");
        let request = ReKeyRequest {
            unique_identifier: identifier(&old),
            offset: None,
            attributes: Attributes::default(),
            protection_storage_masks: None,
        };
        let Response::ReKey(made) = self.0.ask(request).await.unwrap() else { panic!("another operation") };
        (old, made.unique_identifier)
    }

    /// The L1 of a tenant: what its L2 links to.
    pub async fn root(&self, tenant: &str) -> ByteString {
        let tenant_key = self.tenant_key(tenant).await;
        self.wrapping_key(&tenant_key).await.expect("an L2 links to its L1")
    }

    /// The L2 of a tenant: what its L3s link to.
    async fn tenant_key(&self, tenant: &str) -> ByteString {
        let attributes = Attributes::new([
            tenant_attribute(tenant),
            Attribute::ObjectGroup(ByteString::from_static("default")),
        ]);
        let service_key = self.locate(attributes).await.expect("the tenant has a service `default`");
        self.wrapping_key(&service_key).await.expect("an L3 links to its L2")
    }

    /// The first object of these attributes.
    async fn locate(&self, attributes: Attributes) -> Option<ByteString> {
        let request = LocateRequest {
            maximum_items: None,
            offset_items: None,
            storage_status_mask: None,
            object_group_member: None,
            attributes,
        };
        let Response::Locate(located) = self.0.ask(request).await.unwrap() else {
            panic!("another operation")
        };
        located.unique_identifiers.into_iter().next()
    }

    async fn wrapping_key(&self, key: &str) -> Option<ByteString> {
        let request =
            GetAttributesRequest { unique_identifier: identifier(key), attribute_references: Vec::new() };
        let Response::GetAttributes(got) = self.0.ask(request).await.unwrap() else {
            panic!("another operation")
        };
        got.attributes.iter().find_map(|attribute| match attribute {
            Attribute::Link(link) if link.link_type == LinkType::WrappingKeyLink => {
                link.linked_object_identifier.as_text().cloned()
            }
            _ => None,
        })
    }
}

fn link(key: ByteString) -> Attribute {
    Attribute::Link(Link {
        link_type: LinkType::WrappingKeyLink,
        linked_object_identifier: UniqueIdentifier::Text(key),
    })
}
