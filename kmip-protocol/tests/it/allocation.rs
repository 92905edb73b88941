//! Decoding borrows from the frame: what it allocates does not grow with the items it reads.

use bytes::Bytes;
use kmip_protocol::message::{RequestHeader, RequestMessage};
use kmip_protocol::operation::{GetRequest, Operation};
use kmip_protocol::version::{V1_4, V2_1, Version};
use kmip_ttlv::Limits;

/// The list of batch items, and nothing else.
const ALLOCATIONS_OF_A_GET: u64 = 1;

fn get() -> GetRequest {
    GetRequest {
        unique_identifier: Some(bytestring::ByteString::from_static("8f0c7e0e-7f6b-4c5e-9d7a").into()),
        key_format_type: None,
        key_wrap_type: None,
        key_compression_type: None,
        key_wrapping_specification: None,
    }
}

fn decode(source: &Bytes) {
    let message = RequestMessage::read(source, Limits::DEFAULT).unwrap();
    for item in &message.items {
        item.decode(Operation::Get, Limits::DEFAULT, message.header.protocol_version).unwrap().unwrap();
    }
}

/// Decodes a batch of as many Gets, in a frame that is shared as those of the transport are.
fn allocations(version: Version, gets: usize) -> u64 {
    let payloads: Vec<_> = (0..gets).map(|_| get().into()).collect();
    let source = RequestMessage::write(&RequestHeader::new(version, gets), &payloads).into_bytes();
    allocation_counter::measure(|| decode(&source)).count_total
}

#[test]
fn decoding_a_get_allocates_the_batch_only() {
    for version in [V1_4, V2_1] {
        assert_eq!(allocations(version, 1), ALLOCATIONS_OF_A_GET);
    }
}

/// The list grows by doubling.
#[test]
fn decoding_many_gets_allocates_as_the_list_grows() {
    assert_eq!(allocations(V2_1, 4), 1);
    assert_eq!(allocations(V2_1, 64), 5);
}
