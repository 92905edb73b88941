//! A whole server for tests: the rules over a store in memory, a sealer with a fixed key, and clocks that stand still
//! until a test moves them.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use bytestring::ByteString;
use kmip_protocol::Version;
use kmip_protocol::attribute::{Attribute, AttributeType, Attributes, Name};
use kmip_protocol::codec::{DateTime, Secret};
use kmip_protocol::enumeration::{
    CryptographicAlgorithm, KeyFormatType, NameType, ObjectType, ResultReason, ResultStatus,
};
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::key_block::{KeyBlock, KeyValue};
use kmip_protocol::mask::CryptographicUsageMask;
use kmip_protocol::message::{RequestHeader, RequestMessage, ResponseMessage};
use kmip_protocol::object::{self, ManagedObject};
use kmip_protocol::operation::{
    CreateRequest, GetAttributesRequest, GetAttributesResponse, GetRequest, GetResponse, RegisterRequest,
    RegisterResponse, Request, Response,
};
use kmip_protocol::version::V2_1;
use kmip_ttlv::Limits;

use crate::batch;
use crate::chain::ObjectBinding;
use crate::crypto;
use crate::operations;
use crate::port::{Binding, Clock, NoAudit, Sealed, Sealer, SealerError, SystemEntropy};
use crate::principal::Principal;
use crate::service::{Service, ServiceSettings};
use crate::store::{MemoryLimits, MemoryStore};

/// A server and who asks it.
pub(crate) struct Server {
    pub(crate) service: Service,
    pub(crate) clock: Arc<StoppedClock>,
    pub(crate) principal: Principal,
    sealer: Arc<TestSealer>,
}

/// When tests begin, in seconds since 1970.
pub(crate) const BEGINNING: i64 = 1_700_000_000;

/// Tells the time that a test has set.
pub(crate) struct StoppedClock {
    now: AtomicI64,
    stamp: AtomicU64,
}

impl Clock for StoppedClock {
    fn now(&self) -> DateTime {
        DateTime(self.now.load(Ordering::Relaxed))
    }

    fn stamp(&self) -> u64 {
        self.stamp.fetch_add(1, Ordering::Relaxed)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs((self.now.load(Ordering::Relaxed) - BEGINNING).cast_unsigned())
    }
}

/// Seals with one key for all.
pub(crate) struct TestSealer {
    /// How often yet it says that the key may be used.
    may_use: AtomicU64,
    lease: AtomicU64,
    /// Leases that begin when something is opened.
    begins_while_opening: AtomicU64,
}

const SEALING_KEY: [u8; crypto::SEALING_KEY_BYTES] = [7; crypto::SEALING_KEY_BYTES];

fn associated_data(binding: &Binding) -> Vec<u8> {
    [&**binding.tenant.as_bytes(), &ObjectBinding::from(binding).encode()].concat()
}

#[async_trait]
impl Sealer for TestSealer {
    async fn service_of(&self, _: &str, _: &[ByteString]) -> Result<ByteString, SealerError> {
        Ok(ByteString::from_static("default"))
    }

    async fn seal(&self, binding: &Binding, plaintext: Secret) -> Result<Sealed, SealerError> {
        let envelope =
            crypto::seal(&SEALING_KEY, &associated_data(binding), plaintext.expose(), &SystemEntropy::new());
        Ok(Sealed { key: ByteString::from_static("l3"), envelope: Bytes::from(envelope.unwrap()) })
    }

    async fn unseal(&self, binding: &Binding, sealed: &Sealed) -> Result<Secret, SealerError> {
        self.lease.fetch_add(self.begins_while_opening.swap(0, Ordering::Relaxed), Ordering::Relaxed);
        let opened = crypto::unseal(&SEALING_KEY, &associated_data(binding), &sealed.envelope);
        opened.map(Secret::from).map_err(|_| SealerError::Damaged)
    }

    fn may_use(&self, _: &str) -> bool {
        let left = |left: u64| left.checked_sub(1);
        self.may_use.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok()
    }

    fn lease(&self, _: &str) -> Option<u64> {
        Some(self.lease.load(Ordering::Relaxed))
    }
}

impl Server {
    pub(crate) fn new() -> Self {
        Self::with(ServiceSettings { insecure_allow_triple_des: true, ..ServiceSettings::default() })
    }

    pub(crate) fn with(settings: ServiceSettings) -> Self {
        let clock = Arc::new(StoppedClock { now: AtomicI64::new(BEGINNING), stamp: AtomicU64::new(1) });
        let sealer = Arc::new(TestSealer {
            may_use: AtomicU64::new(u64::MAX),
            lease: AtomicU64::new(0),
            begins_while_opening: AtomicU64::new(0),
        });
        let service = Service::new(
            Arc::new(MemoryStore::new(MemoryLimits::default())),
            sealer.clone(),
            clock.clone(),
            Arc::new(SystemEntropy::new()),
            Arc::new(NoAudit),
            settings,
            operations::HANDLED,
        );
        Self { service, clock, principal: principal("acme"), sealer }
    }

    /// From now on the vault says so often that its key may be used, and then no more.
    pub(crate) fn may_use(&self, times: u64) {
        self.sealer.may_use.store(times, Ordering::Relaxed);
    }

    /// Another lease begins.
    pub(crate) fn begin_lease(&self) {
        self.sealer.lease.fetch_add(1, Ordering::Relaxed);
    }

    /// Another lease begins when the next object is opened.
    pub(crate) fn begin_lease_while_opening(&self) {
        self.sealer.begins_while_opening.store(1, Ordering::Relaxed);
    }

    pub(crate) fn pass(&self, seconds: i64) {
        self.clock.now.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Sends one request, through the bytes of a message and back.
    pub(crate) async fn ask_as(
        &self,
        principal: &Principal,
        version: Version,
        request: impl Into<Request>,
    ) -> Result<Response, ResultReason> {
        let header = RequestHeader::new(version, 1);
        let message = RequestMessage::write(&header, &[request.into()]).into_bytes();
        let limits = Limits::default();
        let answer = batch::answer(&self.service, &self.service, principal, &message, limits).await;
        let mut answer = ResponseMessage::read(&answer.into_bytes(), limits).unwrap();
        let item = answer.items.pop().unwrap();
        match item.result_status {
            ResultStatus::Success => Ok(item.payload.unwrap()),
            _ => Err(item.result_reason.unwrap()),
        }
    }

    pub(crate) async fn ask(&self, request: impl Into<Request>) -> Result<Response, ResultReason> {
        self.ask_as(&self.principal, V2_1, request).await
    }

    /// The answer to a request that succeeds.
    pub(crate) async fn done<R: TryFrom<Response, Error = Response>>(
        &self,
        request: impl Into<Request>,
    ) -> R {
        R::try_from(self.ask(request).await.unwrap()).unwrap()
    }

    /// Why a request that fails fails.
    pub(crate) async fn refused(&self, request: impl Into<Request>) -> ResultReason {
        self.ask(request).await.unwrap_err()
    }

    pub(crate) async fn register(
        &self,
        object: ManagedObject,
        attributes: impl IntoIterator<Item = Attribute>,
    ) -> ByteString {
        let request = RegisterRequest {
            object_type: object.object_type(),
            attributes: Attributes::new(attributes),
            object,
            protection_storage_masks: None,
        };
        self.done::<RegisterResponse>(request).await.unique_identifier
    }

    /// Registers a symmetric key that is active.
    pub(crate) async fn active_key(
        &self,
        algorithm: CryptographicAlgorithm,
        key: &[u8],
        mask: CryptographicUsageMask,
    ) -> ByteString {
        self.register(symmetric_key(algorithm, key), active(mask)).await
    }

    pub(crate) async fn get(&self, unique_identifier: &ByteString) -> Result<ManagedObject, ResultReason> {
        let response = self.ask(get_request(unique_identifier)).await?;
        Ok(GetResponse::try_from(response).unwrap().object)
    }

    pub(crate) async fn attributes(&self, unique_identifier: &ByteString) -> Vec<Attribute> {
        let request = GetAttributesRequest {
            unique_identifier: Some(unique_identifier.clone().into()),
            attribute_references: Vec::new(),
        };
        let response: GetAttributesResponse = self.done(request).await;
        response.attributes.instances.into_iter().map(|instance| instance.attribute).collect()
    }

    pub(crate) async fn attribute(
        &self,
        unique_identifier: &ByteString,
        wanted: AttributeType,
    ) -> Option<Attribute> {
        let attributes = self.attributes(unique_identifier).await;
        attributes.into_iter().find(|attribute| attribute.attribute_type() == Some(wanted))
    }
}

pub(crate) fn principal(tenant: &'static str) -> Principal {
    Principal { tenant: ByteString::from_static(tenant), name: ByteString::from_static("app") }
}

pub(crate) fn id(unique_identifier: &ByteString) -> Option<UniqueIdentifier> {
    Some(unique_identifier.clone().into())
}

/// Create of an AES key of 256 bits.
pub(crate) fn create_request() -> Request {
    let attributes = Attributes::new([
        Attribute::CryptographicAlgorithm(CryptographicAlgorithm::Aes),
        Attribute::CryptographicLength(256),
    ]);
    let object_type = ObjectType::SymmetricKey;
    CreateRequest { object_type, attributes, protection_storage_masks: None }.into()
}

pub(crate) fn get_request(unique_identifier: &ByteString) -> GetRequest {
    GetRequest {
        unique_identifier: id(unique_identifier),
        key_format_type: None,
        key_wrap_type: None,
        key_compression_type: None,
        key_wrapping_specification: None,
    }
}

/// Attributes of a key that is active and may be used as `mask` says.
pub(crate) fn active(mask: CryptographicUsageMask) -> Vec<Attribute> {
    let since = DateTime(BEGINNING - 3600);
    vec![Attribute::CryptographicUsageMask(mask), Attribute::ActivationDate(since)]
}

pub(crate) fn name(value: &'static str) -> Attribute {
    Attribute::Name(Name {
        value: ByteString::from_static(value),
        name_type: NameType::UninterpretedTextString,
    })
}

pub(crate) fn block(
    key_format_type: KeyFormatType,
    algorithm: Option<CryptographicAlgorithm>,
    material: &[u8],
) -> KeyBlock {
    let bits = |algorithm| match algorithm {
        CryptographicAlgorithm::Rsa => 2048,
        _ => i32::try_from(material.len() * 8).unwrap(),
    };
    KeyBlock {
        key_format_type,
        key_compression_type: None,
        key_value: Some(KeyValue::plain(Secret::copy_from_slice(material))),
        cryptographic_algorithm: algorithm,
        cryptographic_length: algorithm.map(bits),
        key_wrapping_data: None,
    }
}

pub(crate) fn symmetric_key(algorithm: CryptographicAlgorithm, key: &[u8]) -> ManagedObject {
    let key_block = block(KeyFormatType::Raw, Some(algorithm), key);
    ManagedObject::SymmetricKey(object::SymmetricKey { key_block })
}

/// The bytes of a key in plain text.
pub(crate) fn material(object: &ManagedObject) -> Vec<u8> {
    crate::key_material::raw(object).unwrap().expose().to_vec()
}

pub(crate) fn secret(bytes: &[u8]) -> Option<Secret> {
    Some(Secret::copy_from_slice(bytes))
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
