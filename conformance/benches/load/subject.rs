//! Who is asked, and what.

use std::fs;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use kmip_net::{Client, ClientSettings, ReloadableTls, TlsSettings};
use kmip_protocol::attribute::{Attribute, Attributes, CryptographicParameters, Name};
use kmip_protocol::codec::Secret;
use kmip_protocol::enumeration::{
    BlockCipherMode, CryptographicAlgorithm, NameType, ObjectType, ResultStatus,
};
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::mask::CryptographicUsageMask;
use kmip_protocol::message::{RequestHeader, RequestMessage, ResponseBatchItem, ResponseMessage};
use kmip_protocol::operation::{
    ActivateRequest, CreateRequest, EncryptRequest, GetRequest, LocateRequest, Request, Response,
};
use kmip_protocol::version::V2_1;
use kmip_ttlv::{Limits, SecretBuffer};

use crate::echo::Echo;

/// A server under load.
pub(crate) struct Subject {
    pub(crate) client: Client,
    process: u32,
    /// Whether it answers in KMIP, and not what it is sent.
    is_gateway: bool,
}

impl Subject {
    /// The Gateway of a development stack.
    pub(crate) fn gateway(address: &str, pki: &Path) -> Self {
        let run = pki.parent().unwrap().display().to_string();
        let mut processes = fs::read_dir("/proc").unwrap().flatten();
        let process = processes.find_map(|process| {
            let command = fs::read_to_string(process.path().join("cmdline")).ok()?;
            let program = command.split('\0').next()?;
            let is_it = program.ends_with("krypton-gateway") && command.contains(&run);
            is_it.then(|| process.file_name().to_str()?.parse().ok())?
        });
        Self { client: client(address, pki), process: process.unwrap(), is_gateway: true }
    }

    pub(crate) fn echo(echo: &Echo, pki: &Path) -> Self {
        Self { client: client(&echo.address, pki), process: echo.process(), is_gateway: false }
    }

    /// That an answer is what it should be.
    pub(crate) fn check(&self, answer: &Bytes) {
        if self.is_gateway {
            item(answer);
        }
    }

    /// What the processors have spent on the server, in the system and outside of it.
    pub(crate) fn processor_time(&self) -> Duration {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.process)).unwrap();
        let fields: Vec<_> = text.rsplit(')').next().unwrap().split_whitespace().collect();
        // Fields 14 and 15 of proc(5), after the first two; in hundredths of a second on every Linux.
        let ticks = |at: usize| fields[at].parse::<u64>().unwrap();
        Duration::from_millis(10 * (ticks(11) + ticks(12)))
    }
}

fn client(address: &str, pki: &Path) -> Client {
    let tls = TlsSettings {
        certificate: pki.join("clients/acme.pem"),
        key: pki.join("clients/acme.key"),
        authority: pki.join("ca.pem"),
        revocation_lists: Vec::new(),
    };
    Client::new(ClientSettings::new(address), ReloadableTls::client(tls).unwrap()).unwrap()
}

/// Makes a key that may be used; returns its identifier.
pub(crate) async fn prepare(gateway: &Subject) -> ByteString {
    let created = item(&gateway.client.exchange(secret(&create())).await.unwrap());
    let Some(Response::Create(created)) = created.payload else { panic!("not created") };
    let key = created.unique_identifier;
    let activate = message(ActivateRequest { unique_identifier: identifier(&key) });
    item(&gateway.client.exchange(secret(&activate)).await.unwrap());
    key
}

pub(crate) fn create() -> Vec<u8> {
    message(create_request(None))
}

/// Creates keys, each named after its place.
pub(crate) fn create_named(places: &[usize]) -> Vec<u8> {
    let requests: Vec<_> = places.iter().map(|place| create_request(Some(name(*place))).into()).collect();
    RequestMessage::write(&RequestHeader::new(V2_1, requests.len()), &requests).to_vec()
}

fn create_request(name: Option<Attribute>) -> CreateRequest {
    let attributes = [
        Attribute::CryptographicAlgorithm(CryptographicAlgorithm::Aes),
        Attribute::CryptographicLength(256),
        Attribute::CryptographicUsageMask(CryptographicUsageMask::ENCRYPT | CryptographicUsageMask::DECRYPT),
    ];
    CreateRequest {
        object_type: ObjectType::SymmetricKey,
        attributes: Attributes::new(attributes.into_iter().chain(name)),
        protection_storage_masks: None,
    }
}

fn name(place: usize) -> Attribute {
    Attribute::Name(Name {
        value: format!("key-{place}").into(),
        name_type: NameType::UninterpretedTextString,
    })
}

/// Looks for the key that is named after a place.
pub(crate) fn locate(place: usize) -> Vec<u8> {
    message(LocateRequest {
        maximum_items: Some(10),
        offset_items: None,
        storage_status_mask: None,
        object_group_member: None,
        attributes: Attributes::new([name(place)]),
    })
}

/// Of the keys that were created, in their order.
pub(crate) fn identifiers(answer: &Bytes) -> Vec<ByteString> {
    let items = ResponseMessage::read(answer, Limits::default()).unwrap().items;
    let identifier = |item: ResponseBatchItem| match item.payload {
        Some(Response::Create(created)) => created.unique_identifier,
        _ => panic!("not created: {:?}", item.result_message),
    };
    items.into_iter().map(identifier).collect()
}

pub(crate) fn get(key: &ByteString) -> Vec<u8> {
    message(GetRequest {
        unique_identifier: identifier(key),
        key_format_type: None,
        key_wrap_type: None,
        key_compression_type: None,
        key_wrapping_specification: None,
    })
}

/// AES-256-GCM of 64 bytes, with an initialization vector of the server's.
pub(crate) fn encrypt(key: &ByteString) -> Vec<u8> {
    let parameters = CryptographicParameters {
        block_cipher_mode: Some(BlockCipherMode::Gcm),
        random_iv: Some(true),
        tag_length: Some(16),
        ..CryptographicParameters::default()
    };
    message(EncryptRequest {
        unique_identifier: identifier(key),
        cryptographic_parameters: Some(parameters),
        data: Some(Secret::copy_from_slice(&[7; 64])),
        iv_counter_nonce: None,
        correlation_value: None,
        init_indicator: None,
        final_indicator: None,
        authenticated_encryption_additional_data: None,
    })
}

/// A buffer to be sent.
pub(crate) fn secret(message: &[u8]) -> SecretBuffer {
    SecretBuffer::from(message.to_vec())
}

fn message(request: impl Into<Request>) -> Vec<u8> {
    RequestMessage::write(&RequestHeader::new(V2_1, 1), &[request.into()]).to_vec()
}

fn identifier(key: &ByteString) -> Option<UniqueIdentifier> {
    Some(UniqueIdentifier::Text(key.clone()))
}

/// The one item of an answer, which is a success.
fn item(answer: &Bytes) -> ResponseBatchItem {
    let item = ResponseMessage::read(answer, Limits::default()).unwrap().items.pop().unwrap();
    assert_eq!(item.result_status, ResultStatus::Success, "{:?}", item.result_message);
    item
}
