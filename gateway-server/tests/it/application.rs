//! An application: a KMIP client with typed messages.

use std::net::SocketAddr;
use std::path::Path;

use bytestring::ByteString;
use kmip_net::{Client, ClientError, ClientSettings, ReloadableTls, TlsSettings};
use kmip_protocol::attribute::{
    Attribute, Attributes, CryptographicParameters, Name, RevocationReason, UsageLimits,
};
use kmip_protocol::codec::Secret;
use kmip_protocol::enumeration::{
    BlockCipherMode, CryptographicAlgorithm, KeyFormatType, NameType, ObjectType, ResultReason, ResultStatus,
    RevocationReasonCode, UsageLimitsUnit,
};
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::key_block::{KeyBlock, KeyMaterial, KeyValue};
use kmip_protocol::mask::CryptographicUsageMask;
use kmip_protocol::message::{RequestHeader, RequestMessage, ResponseBatchItem, ResponseMessage};
use kmip_protocol::object::{ManagedObject, SymmetricKey};
use kmip_protocol::operation::{
    ActivateRequest, CreateRequest, DecryptRequest, DestroyRequest, EncryptRequest, GetAttributesRequest,
    GetRequest, LocateRequest, RegisterRequest, Request, Response, RevokeRequest,
};
use kmip_protocol::version::V2_1;
use kmip_ttlv::Limits;

pub struct Application {
    client: Client,
}

/// Why an operation did not succeed.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// The server said so.
    Refused(ResultReason, String),
    /// There was no answer.
    NoAnswer(String),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::NoAnswer(error.to_string())
    }
}

impl Application {
    pub fn new(address: SocketAddr, pki: &Path, client: &str) -> Self {
        let tls = TlsSettings {
            certificate: pki.join(format!("clients/{client}.pem")),
            key: pki.join(format!("clients/{client}.key")),
            authority: pki.join("ca.pem"),
            revocation_lists: Vec::new(),
        };
        let settings = ClientSettings::new(address.to_string());
        Self { client: Client::new(settings, ReloadableTls::client(tls).unwrap()).unwrap() }
    }

    pub async fn ask(&self, request: impl Into<Request>) -> Result<Response, Failure> {
        let item = self.send(request).await?;
        match (item.result_status, item.payload) {
            (ResultStatus::Success, Some(payload)) => Ok(payload),
            _ => Err(Failure::Refused(
                item.result_reason.unwrap_or(ResultReason::GeneralFailure),
                item.result_message.unwrap_or_default().to_string(),
            )),
        }
    }

    /// The one item of the answer, as it came.
    pub async fn send(&self, request: impl Into<Request>) -> Result<ResponseBatchItem, Failure> {
        let message = RequestMessage::write(&RequestHeader::new(V2_1, 1), &[request.into()]);
        let response = self.client.exchange_once(message).await?;
        let response = ResponseMessage::read(&response, Limits::default()).unwrap();
        Ok(response.items.into_iter().next().unwrap())
    }

    /// Makes an AES-256 key of this name.
    pub async fn create(&self, name: &str) -> Result<ByteString, Failure> {
        self.create_in(name, None).await
    }

    /// Makes an AES-256 key of this name in a service's group.
    pub async fn create_in(&self, name: &str, group: Option<&str>) -> Result<ByteString, Failure> {
        let group = group.map(|group| Attribute::ObjectGroup(ByteString::from(group)));
        self.create_with(Attributes::new(described(name).into_iter().chain(group))).await
    }

    async fn create_with(&self, attributes: Attributes) -> Result<ByteString, Failure> {
        let object_type = ObjectType::SymmetricKey;
        match self.ask(CreateRequest { object_type, attributes, protection_storage_masks: None }).await? {
            Response::Create(created) => Ok(created.unique_identifier),
            other => panic!("{other:?}"),
        }
    }

    /// Makes an AES-256 key of this name that protects so many bytes.
    pub async fn create_limited(&self, name: &str, total: i64) -> Result<ByteString, Failure> {
        let limits = Attribute::UsageLimits(UsageLimits { total, count: None, unit: UsageLimitsUnit::Byte });
        let attributes = Attributes::new(described(name).into_iter().chain([limits]));
        self.create_with(attributes).await
    }

    /// Stores an AES-256 key under this name.
    pub async fn register(&self, name: &str, key: &[u8; 32]) -> Result<ByteString, Failure> {
        let key_block = KeyBlock {
            key_format_type: KeyFormatType::Raw,
            key_compression_type: None,
            key_value: Some(KeyValue::plain(Secret::copy_from_slice(key))),
            cryptographic_algorithm: Some(CryptographicAlgorithm::Aes),
            cryptographic_length: Some(256),
            key_wrapping_data: None,
        };
        let request = RegisterRequest {
            object_type: ObjectType::SymmetricKey,
            attributes: Attributes::new(described(name)),
            object: ManagedObject::SymmetricKey(SymmetricKey { key_block }),
            protection_storage_masks: None,
        };
        match self.ask(request).await? {
            Response::Register(registered) => Ok(registered.unique_identifier),
            other => panic!("{other:?}"),
        }
    }

    /// Encrypts whole blocks with a key.
    pub async fn encrypt(&self, key: &str, blocks: &[u8]) -> Result<Response, Failure> {
        self.ask(EncryptRequest {
            unique_identifier: identifier(key),
            cryptographic_parameters: block_by_block(),
            data: Some(Secret::copy_from_slice(blocks)),
            iv_counter_nonce: None,
            correlation_value: None,
            init_indicator: None,
            final_indicator: None,
            authenticated_encryption_additional_data: None,
        })
        .await
    }

    /// Begins an encryption in several parts, whose state holds the key until its last part.
    pub async fn begin_encryption(&self, key: &str, blocks: &[u8]) -> Result<Response, Failure> {
        self.ask(EncryptRequest {
            unique_identifier: identifier(key),
            cryptographic_parameters: block_by_block(),
            data: Some(Secret::copy_from_slice(blocks)),
            iv_counter_nonce: None,
            correlation_value: None,
            init_indicator: Some(true),
            final_indicator: None,
            authenticated_encryption_additional_data: None,
        })
        .await
    }

    /// Decrypts whole blocks with a key.
    pub async fn decrypt(&self, key: &str, blocks: &[u8]) -> Result<Response, Failure> {
        self.ask(DecryptRequest {
            unique_identifier: identifier(key),
            cryptographic_parameters: block_by_block(),
            data: Some(Secret::copy_from_slice(blocks)),
            iv_counter_nonce: None,
            correlation_value: None,
            init_indicator: None,
            final_indicator: None,
            authenticated_encryption_additional_data: None,
            authenticated_encryption_tag: None,
        })
        .await
    }

    /// The bytes of a key.
    pub async fn get(&self, key: &str) -> Result<Secret, Failure> {
        let Response::Get(got) = self.ask(get_request(key)).await? else { panic!("another operation") };
        match &got.object.key_block().unwrap().key_value {
            Some(KeyValue::Plain { material: KeyMaterial::Bytes(bytes), .. }) => Ok(bytes.share()),
            other => panic!("{other:?}"),
        }
    }

    /// The keys of a name.
    pub async fn locate(&self, name: &str) -> Result<Vec<ByteString>, Failure> {
        let name = Name { value: ByteString::from(name), name_type: NameType::UninterpretedTextString };
        let located = self.ask(LocateRequest {
            maximum_items: None,
            offset_items: None,
            storage_status_mask: None,
            object_group_member: None,
            attributes: Attributes::new([Attribute::Name(name)]),
        });
        match located.await? {
            Response::Locate(located) => Ok(located.unique_identifiers),
            other => panic!("{other:?}"),
        }
    }

    pub async fn state(&self, key: &str) -> Result<Response, Failure> {
        self.ask(GetAttributesRequest {
            unique_identifier: identifier(key),
            attribute_references: Vec::new(),
        })
        .await
    }

    pub async fn activate(&self, key: &str) -> Result<Response, Failure> {
        self.ask(ActivateRequest { unique_identifier: identifier(key) }).await
    }

    pub async fn revoke(&self, key: &str) -> Result<Response, Failure> {
        let revocation_reason = RevocationReason { code: RevocationReasonCode::KeyCompromise, message: None };
        let unique_identifier = identifier(key);
        self.ask(RevokeRequest { unique_identifier, revocation_reason, compromise_occurrence_date: None })
            .await
    }

    pub async fn destroy(&self, key: &str) -> Result<Response, Failure> {
        self.ask(DestroyRequest { unique_identifier: identifier(key) }).await
    }
}

/// An AES-256 key of this name.
fn described(name: &str) -> [Attribute; 4] {
    [
        Attribute::CryptographicAlgorithm(CryptographicAlgorithm::Aes),
        Attribute::CryptographicLength(256),
        Attribute::CryptographicUsageMask(CryptographicUsageMask::ENCRYPT | CryptographicUsageMask::DECRYPT),
        Attribute::Name(Name { value: ByteString::from(name), name_type: NameType::UninterpretedTextString }),
    ]
}

fn block_by_block() -> Option<CryptographicParameters> {
    Some(CryptographicParameters { block_cipher_mode: Some(BlockCipherMode::Ecb), ..Default::default() })
}

pub fn identifier(key: &str) -> Option<UniqueIdentifier> {
    Some(UniqueIdentifier::Text(ByteString::from(key)))
}

pub fn get_request(key: &str) -> GetRequest {
    GetRequest {
        unique_identifier: identifier(key),
        key_format_type: None,
        key_wrap_type: None,
        key_compression_type: None,
        key_wrapping_specification: None,
    }
}
