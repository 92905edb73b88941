//! Reading and writing of the messages that a busy server sees most, typed. Run with `cargo bench -p kmip-protocol`.
#![allow(missing_docs)]

use bytes::Bytes;
use bytestring::ByteString;
use divan::{Bencher, black_box};
use kmip_protocol::Version;
use kmip_protocol::attribute::{Attribute, Attributes, Name};
use kmip_protocol::codec::{DateTime, Secret};
use kmip_protocol::enumeration::{CryptographicAlgorithm, KeyFormatType, NameType, ObjectType};
use kmip_protocol::key_block::{KeyBlock, KeyValue};
use kmip_protocol::mask::CryptographicUsageMask;
use kmip_protocol::message::{
    RequestHeader, RequestMessage, ResponseBatchItem, ResponseHeader, ResponseMessage,
};
use kmip_protocol::object::{ManagedObject, SymmetricKey};
use kmip_protocol::operation::{CreateRequest, CreateResponse, GetRequest, GetResponse, Operation, Request};
use kmip_protocol::version::{V1_4, V2_1};
use kmip_ttlv::{Limits, Writer};

fn main() {
    divan::main();
}

const VERSIONS: [Version; 2] = [V1_4, V2_1];

const IDENTIFIER: ByteString = ByteString::from_static("8f0c7e0e-7f6b-4c5e-9d7a-2f4b1a0c9e11");

fn get_request(version: Version) -> Bytes {
    let get = GetRequest {
        unique_identifier: Some(IDENTIFIER.into()),
        key_format_type: None,
        key_wrap_type: None,
        key_compression_type: None,
        key_wrapping_specification: None,
    };
    RequestMessage::write(&RequestHeader::new(version, 1), &[get.into()]).into_bytes()
}

fn create_request(version: Version) -> Bytes {
    let name =
        Name { value: ByteString::from_static("orders"), name_type: NameType::UninterpretedTextString };
    let attributes = Attributes::new([
        Attribute::CryptographicAlgorithm(CryptographicAlgorithm::Aes),
        Attribute::CryptographicLength(256),
        Attribute::CryptographicUsageMask(CryptographicUsageMask(0xc)),
        Attribute::Name(name),
    ]);
    let create =
        CreateRequest { object_type: ObjectType::SymmetricKey, attributes, protection_storage_masks: None };
    RequestMessage::write(&RequestHeader::new(version, 1), &[create.into()]).into_bytes()
}

fn get_response(version: Version) -> ResponseMessage {
    let key_block = KeyBlock {
        key_format_type: KeyFormatType::Raw,
        key_compression_type: None,
        key_value: Some(KeyValue::plain(Secret::copy_from_slice(&[0x5a; 32]))),
        cryptographic_algorithm: Some(CryptographicAlgorithm::Aes),
        cryptographic_length: Some(256),
        key_wrapping_data: None,
    };
    let get = GetResponse {
        object_type: ObjectType::SymmetricKey,
        unique_identifier: IDENTIFIER,
        object: ManagedObject::SymmetricKey(SymmetricKey { key_block }),
    };
    ResponseMessage { header: response_header(version), items: vec![ResponseBatchItem::success(get.into())] }
}

fn create_response(version: Version) -> ResponseMessage {
    let create = CreateResponse { object_type: ObjectType::SymmetricKey, unique_identifier: IDENTIFIER };
    ResponseMessage {
        header: response_header(version),
        items: vec![ResponseBatchItem::success(create.into())],
    }
}

fn response_header(version: Version) -> ResponseHeader {
    ResponseHeader {
        protocol_version: version,
        time_stamp: DateTime(1_700_000_000),
        nonce: None,
        server_hashed_password: None,
        attestation_types: Vec::new(),
        client_correlation_value: None,
        server_correlation_value: None,
        batch_count: 1,
    }
}

fn decode(source: &Bytes) -> (RequestMessage, Request) {
    let message = RequestMessage::read(source, Limits::DEFAULT).expect("it is well-formed");
    let item = &message.items[0];
    let operation = Operation::from_value(item.operation).expect("it is in the table");
    let request = item
        .decode(operation, Limits::DEFAULT, message.header.protocol_version)
        .and_then(Result::ok)
        .expect("it is well-formed");
    (message, request)
}

fn encode(message: &ResponseMessage) -> kmip_ttlv::SecretBuffer {
    let mut writer = Writer::with_capacity(512);
    message.write(&mut writer);
    writer.finish()
}

#[divan::bench(args = VERSIONS)]
fn get_request_decode(bencher: Bencher<'_, '_>, version: Version) {
    let source = get_request(version);
    bencher.bench_local(|| decode(black_box(&source)));
}

#[divan::bench(args = VERSIONS)]
fn get_response_encode(bencher: Bencher<'_, '_>, version: Version) {
    let message = get_response(version);
    bencher.bench_local(|| encode(black_box(&message)));
}

#[divan::bench(args = VERSIONS)]
fn create_request_decode(bencher: Bencher<'_, '_>, version: Version) {
    let source = create_request(version);
    bencher.bench_local(|| decode(black_box(&source)));
}

#[divan::bench(args = VERSIONS)]
fn create_response_encode(bencher: Bencher<'_, '_>, version: Version) {
    let message = create_response(version);
    bencher.bench_local(|| encode(black_box(&message)));
}
