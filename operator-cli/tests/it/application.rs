//! An application of a tenant: a KMIP client of the stack's Gateway.

use bytestring::ByteString;
use kmip_net::{Client, ClientSettings, ReloadableTls, TlsSettings};
use kmip_protocol::attribute::{Attribute, Attributes, CryptographicParameters};
use kmip_protocol::codec::{DateTime, Secret};
use kmip_protocol::enumeration::{
    BlockCipherMode, CryptographicAlgorithm, ObjectType, ResultReason, ResultStatus,
};
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::mask::CryptographicUsageMask;
use kmip_protocol::message::{RequestHeader, RequestMessage, ResponseMessage};
use kmip_protocol::operation::*;
use kmip_protocol::version::V2_1;
use kmip_ttlv::Limits;

use crate::stack::Stack;

pub(crate) struct Application {
    client: Client,
}

type Answer<T> = Result<T, (ResultReason, String)>;

impl Application {
    /// An application of one of the stack's tenants.
    pub(crate) fn new(stack: &Stack, tenant: &str) -> Self {
        let tls = TlsSettings {
            certificate: stack.pki(&format!("clients/{tenant}.pem")),
            key: stack.pki(&format!("clients/{tenant}.key")),
            authority: stack.pki("ca.pem"),
            revocation_lists: Vec::new(),
        };
        let settings = ClientSettings::new(stack.address("gateway"));
        Self { client: Client::new(settings, ReloadableTls::client(tls).unwrap()).unwrap() }
    }

    async fn ask<T: TryFrom<Response>>(&self, request: impl Into<Request>) -> Answer<T> {
        let message = RequestMessage::write(&RequestHeader::new(V2_1, 1), &[request.into()]);
        let answer = self.client.exchange(message).await.unwrap();
        let item = ResponseMessage::read(&answer, Limits::default()).unwrap().items.remove(0);
        match item.result_status {
            ResultStatus::Success => Ok(T::try_from(item.payload.unwrap()).ok().unwrap()),
            _ => Err((item.result_reason.unwrap(), item.result_message.unwrap_or_default().to_string())),
        }
    }

    /// Makes an AES key that is Active.
    pub(crate) async fn create(&self) -> Answer<ByteString> {
        let usage = CryptographicUsageMask::ENCRYPT | CryptographicUsageMask::DECRYPT;
        let attributes = [
            Attribute::CryptographicAlgorithm(CryptographicAlgorithm::Aes),
            Attribute::CryptographicLength(256),
            Attribute::CryptographicUsageMask(usage),
            Attribute::ActivationDate(DateTime(1_000_000_000)),
        ];
        let request = CreateRequest {
            object_type: ObjectType::SymmetricKey,
            attributes: Attributes::new(attributes),
            protection_storage_masks: None,
        };
        Ok(self.ask::<CreateResponse>(request).await?.unique_identifier)
    }

    pub(crate) async fn get(&self, key: &ByteString) -> Answer<()> {
        let request = GetRequest {
            unique_identifier: named(key),
            key_format_type: None,
            key_wrap_type: None,
            key_compression_type: None,
            key_wrapping_specification: None,
        };
        self.ask::<GetResponse>(request).await.map(drop)
    }

    pub(crate) async fn encrypt(&self, key: &ByteString) -> Answer<EncryptResponse> {
        let request = EncryptRequest {
            unique_identifier: named(key),
            cryptographic_parameters: block_by_block(),
            data: Some(Secret::copy_from_slice(&[7; 64])),
            iv_counter_nonce: None,
            correlation_value: None,
            init_indicator: None,
            final_indicator: None,
            authenticated_encryption_additional_data: None,
        };
        self.ask(request).await
    }

    /// Decrypts what [`encrypt`](Self::encrypt) made.
    pub(crate) async fn decrypt(&self, key: &ByteString, encrypted: &EncryptResponse) -> Answer<()> {
        let request = DecryptRequest {
            unique_identifier: named(key),
            cryptographic_parameters: block_by_block(),
            data: Some(Secret::copy_from_slice(encrypted.data.as_ref().unwrap().expose())),
            iv_counter_nonce: encrypted.iv_counter_nonce.clone(),
            correlation_value: None,
            init_indicator: None,
            final_indicator: None,
            authenticated_encryption_additional_data: None,
            authenticated_encryption_tag: encrypted.authenticated_encryption_tag.clone(),
        };
        self.ask::<DecryptResponse>(request).await.map(drop)
    }
}

fn named(key: &ByteString) -> Option<UniqueIdentifier> {
    Some(UniqueIdentifier::Text(key.clone()))
}

/// Needs no nonce: what is told apart here is whether a key can be used.
fn block_by_block() -> Option<CryptographicParameters> {
    Some(CryptographicParameters { block_cipher_mode: Some(BlockCipherMode::Ecb), ..Default::default() })
}
