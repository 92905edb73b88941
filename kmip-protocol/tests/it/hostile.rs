//! Input that means harm, and input that is merely odd: nothing panics, and nothing is taken for what it is not.

use bytes::Bytes;
use kmip_protocol::message::{MessageError, RequestMessage, ResponseMessage};
use kmip_protocol::operation::{OPERATIONS, Operation, Request};
use kmip_protocol::version::{SUPPORTED, V1_0, V2_1, Version};
use kmip_protocol::{Tag, tag};
use kmip_ttlv::{Error, ErrorKind, ItemType, Limits, Writer};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::round_trip::{encode, response_message};
use crate::sample::{Entropy, Sample, cases, numbers, request};
use crate::tree::Item;
use crate::vectors;

const LIMITS: Limits = Limits::DEFAULT;

/// Reads a request, payloads and all, and writes it again.
fn through_request(source: &Bytes) -> Result<Bytes, Error> {
    let message = RequestMessage::read(source, LIMITS).map_err(|error| error.error)?;
    let version = message.header.protocol_version;
    let unknown = Error { kind: ErrorKind::InvalidValue, offset: 0, tag: None };
    let decode = |operation: u32, item: &kmip_protocol::message::RequestBatchItem| {
        Operation::from_value(operation)
            .and_then(|operation| item.decode(operation, LIMITS, version))
            .unwrap_or(Err(unknown))
    };
    let payloads: Result<Vec<Request>, Error> =
        message.items.iter().map(|item| decode(item.operation, item)).collect();
    Ok(RequestMessage::write(&message.header, &payloads?).into_bytes())
}

fn through_response(source: &Bytes) -> Result<Bytes, Error> {
    ResponseMessage::read(source, LIMITS).map(|message| encode(&message))
}

/// Reads the bytes in every way there is; payloads also as those of other operations and versions.
fn read_in_all_ways(source: &Bytes) {
    let _ = through_response(source);
    let _ = through_request(source);
    let Ok(message) = RequestMessage::read(source, LIMITS) else { return };
    for item in &message.items {
        for operation in OPERATIONS {
            for version in [V1_0, V2_1] {
                let _ = item.decode(*operation, LIMITS, version);
            }
        }
    }
}

fn request_of(operation: Operation, version: Version, numbers: &[u32]) -> Bytes {
    let mut entropy = Entropy::known(numbers, version);
    let payload = request(operation, &mut entropy);
    let header = kmip_protocol::message::RequestHeader {
        protocol_version: version,
        batch_count: 1,
        ..Sample::sample(&mut entropy)
    };
    RequestMessage::write(&header, &[payload]).into_bytes()
}

fn response_of(operation: Operation, version: Version, numbers: &[u32]) -> Bytes {
    encode(&response_message(operation, version, &mut Entropy::known(numbers, version)))
}

type Through = fn(&Bytes) -> Result<Bytes, Error>;

/// A request and a response, and what reads and writes them.
fn both(operation: Operation, version: Version, numbers: &[u32]) -> [(Bytes, Through); 2] {
    [
        (request_of(operation, version, numbers), through_request),
        (response_of(operation, version, numbers), through_response),
    ]
}

/// An operation and a version that knows it.
fn pair() -> impl Strategy<Value = (Operation, Version)> {
    let versions = |operation: &Operation| {
        let known = SUPPORTED.iter().copied().filter(|version| operation.since().knows(*version));
        (Just(*operation), select(known.collect::<Vec<_>>()))
    };
    select(OPERATIONS).prop_flat_map(move |operation| versions(&operation))
}

/// Whether an item may have the type in another version: it is taken in either, and written in the right one or not
/// at all.
fn is_tolerated(item: Tag, item_type: ItemType, version: Version) -> bool {
    let is_identifier = [
        tag::UNIQUE_IDENTIFIER,
        tag::PRIVATE_KEY_UNIQUE_IDENTIFIER,
        tag::CERTIFICATE_REQUEST_UNIQUE_IDENTIFIER,
        tag::LINKED_OBJECT_IDENTIFIER,
    ]
    .contains(&item);
    [tag::ASYNCHRONOUS_INDICATOR, tag::EXTENSION_TYPE].contains(&item)
        || !version.tags_attributes() && (is_identifier || item_type == ItemType::DateTimeExtended)
}

/// Structures that are read in a fixed order: there is no room for an extension.
const FIXED: [Tag; 5] = [
    tag::REQUEST_MESSAGE,
    tag::RESPONSE_MESSAGE,
    tag::PROTOCOL_VERSION,
    tag::ATTRIBUTE,
    tag::ATTRIBUTE_REFERENCE,
];

/// The message with one item of it changed, for each of its items.
fn each_changed(message: &Bytes, change: &dyn Fn(&mut Vec<Item>, usize)) -> Vec<Bytes> {
    let tree = Item::decode(message);
    let changed = |number| {
        let mut tree = tree.clone();
        tree.change(number, change);
        tree.encode()
    };
    (1..tree.count()).map(changed).collect()
}

fn leaf(tag: Tag, item_type: ItemType) -> Item {
    let value = match item_type {
        ItemType::Integer | ItemType::Enumeration | ItemType::Interval => Bytes::from_static(&[0, 0, 0, 1]),
        ItemType::TextString | ItemType::ByteString => Bytes::from_static(b"odd"),
        ItemType::Structure => Bytes::new(),
        _ => Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0, 1]),
    };
    Item { tag, item_type, value, items: Vec::new() }
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn random_bytes_do_not_panic(bytes in vec(any::<u8>(), 0..256)) {
        read_in_all_ways(&Bytes::from(bytes));
    }

    #[test]
    fn every_prefix_is_refused((operation, version) in pair(), numbers in numbers()) {
        for (message, through) in both(operation, version, &numbers) {
            for end in 0..message.len() {
                prop_assert!(through(&message.slice(..end)).is_err());
            }
        }
    }

    #[test]
    fn mutated_messages_do_not_panic(
        (operation, version) in pair(),
        numbers in numbers(),
        changes in vec((any::<Index>(), prop_oneof![any::<u8>(), 0..16_u8]), 1..6),
    ) {
        for (message, _) in both(operation, version, &numbers) {
            let mut bytes = message.to_vec();
            for (place, byte) in &changes {
                bytes[place.index(message.len())] = *byte;
            }
            read_in_all_ways(&Bytes::from(bytes));
        }
    }

    /// An item of another type is refused, or is one that may have that type, and then it is kept as it is.
    #[test]
    fn wrong_types((operation, version) in pair(), numbers in numbers()) {
        for (message, through) in both(operation, version, &numbers) {
            for item_type in ItemType::ALL {
                let retyped = |items: &mut Vec<Item>, at: usize| {
                    if items[at].item_type != item_type && !is_tolerated(items[at].tag, item_type, version) {
                        items[at] = leaf(items[at].tag, item_type);
                    }
                };
                for changed in each_changed(&message, &retyped) {
                    if let Ok(written) = through(&changed) {
                        check_kept(&changed, &written)?;
                    }
                }
            }
        }
    }

    /// A field that stands twice is refused, or is one that may, and then both are kept.
    #[test]
    fn duplicated_fields((operation, version) in pair(), numbers in numbers()) {
        let twice = |items: &mut Vec<Item>, at: usize| items.insert(at, items[at].clone());
        for (message, through) in both(operation, version, &numbers) {
            for changed in each_changed(&message, &twice) {
                if let Ok(written) = through(&changed) {
                    check_kept(&changed, &written)?;
                }
            }
        }
    }

    /// An item that no version knows is refused wherever it stands, but in structures that are kept encoded.
    #[test]
    fn unknown_tags((operation, version) in pair(), numbers in numbers()) {
        let stranger = |items: &mut Vec<Item>, at: usize| {
            items.insert(at, leaf(Tag::new(0x42_0fff), ItemType::Integer));
        };
        for (message, through) in both(operation, version, &numbers) {
            for changed in each_changed(&message, &stranger) {
                if let Ok(written) = through(&changed) {
                    check_kept(&changed, &written)?;
                }
            }
        }
    }

    /// An extension is passed over, but kept in structures that are kept encoded.
    #[test]
    fn extensions((operation, version) in pair(), numbers in numbers()) {
        let extension = leaf(Tag::new(0x54_0fff), ItemType::Integer);
        for (message, through) in both(operation, version, &numbers) {
            for changed in each_structure(&message, &|structure| structure.items.push(extension.clone())) {
                let written = through(&changed);
                // Among the criteria of Locate, an extension is refused: passing over it would widen the answer.
                let refused = operation == Operation::Locate && written.is_err();
                prop_assert!(refused || written == Ok(message.clone()) || written == Ok(changed.clone()), "{:?}", written);
            }
        }
    }
}

/// The message with one structure of it changed, for each that has room for extensions.
fn each_structure(message: &Bytes, change: &dyn Fn(&mut Item)) -> Vec<Bytes> {
    let is_open = |item: &Item| item.item_type == ItemType::Structure && !FIXED.contains(&item.tag);
    let changed = each_changed(message, &|items, at| {
        if is_open(&items[at]) {
            change(&mut items[at]);
        }
    });
    changed.into_iter().filter(|changed| changed != message).collect()
}

/// What reading has accepted is written as it was, but for what goes without saying.
fn check_kept(changed: &Bytes, written: &Bytes) -> Result<(), TestCaseError> {
    match Item::decode(changed).difference(&Item::decode(written)) {
        Some(difference) => Err(TestCaseError::fail(difference)),
        None => Ok(()),
    }
}

#[test]
fn prefixes_and_mutations_of_published_messages_do_not_panic() {
    let Some(messages) = vectors::messages() else { return };
    for message in messages.iter().step_by(7) {
        let words = message.ttlv.len() / 8;
        for word in 0..words {
            let end = word * 8;
            assert!(RequestMessage::read(&message.ttlv.slice(..end), LIMITS).is_err());
            assert!(ResponseMessage::read(&message.ttlv.slice(..end), LIMITS).is_err());
            let mut bytes = message.ttlv.to_vec();
            for (place, byte) in [(end + 2, 0x2c), (end + 3, 0x08), (end + 7, 0xff)] {
                bytes[place] = byte;
                let changed = Bytes::copy_from_slice(&bytes);
                let _ = (through_request(&changed), through_response(&changed));
            }
        }
    }
}

/// A request whose payload is a `Template-Attribute` in a `Template-Attribute`, and so on.
fn nested(levels: usize) -> Bytes {
    fn nest(writer: &mut Writer, levels: usize) {
        if levels > 0 {
            writer.structure(tag::TEMPLATE_ATTRIBUTE, |inside| nest(inside, levels - 1));
        }
    }
    let mut writer = Writer::new();
    writer.structure(tag::REQUEST_MESSAGE, |writer| {
        writer.raw(&header(1));
        writer.structure(tag::BATCH_ITEM, |writer| {
            writer.enumeration(tag::OPERATION, Operation::Create.value());
            writer.structure(tag::REQUEST_PAYLOAD, |writer| nest(writer, levels));
        });
    });
    writer.finish().into_bytes()
}

fn header(batch_count: i32) -> Bytes {
    let mut writer = Writer::new();
    writer.structure(tag::REQUEST_HEADER, |writer| {
        writer.structure(tag::PROTOCOL_VERSION, |writer| {
            writer.integer(tag::PROTOCOL_VERSION_MAJOR, 1);
            writer.integer(tag::PROTOCOL_VERSION_MINOR, 4);
        });
        writer.integer(tag::BATCH_COUNT, batch_count);
    });
    writer.finish().into_bytes()
}

#[test]
fn deep_nesting_is_refused() {
    for levels in [10, Limits::DEFAULT_DEPTH, 1000] {
        let message = RequestMessage::read(&nested(levels), LIMITS).unwrap();
        assert!(message.items[0].decode(Operation::Create, LIMITS, V2_1).unwrap().is_err());
        read_in_all_ways(&nested(levels));
    }
}

#[test]
fn batch_counts_must_hold() {
    let message = |batch_count: i32, items: usize| {
        let mut writer = Writer::new();
        writer.structure(tag::REQUEST_MESSAGE, |writer| {
            writer.raw(&header(batch_count));
            for _ in 0..items {
                writer.structure(tag::BATCH_ITEM, |writer| writer.enumeration(tag::OPERATION, 1));
            }
        });
        RequestMessage::read(&writer.finish().into_bytes(), LIMITS)
    };
    assert!(message(0, 0).is_ok() && message(1, 1).is_ok() && message(300, 300).is_ok());
    for (batch_count, items) in [(1, 0), (0, 1), (-1, 1), (i32::MAX, 1), (i32::MIN, 0), (2, 1)] {
        let MessageError { error, version } = message(batch_count, items).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidValue);
        assert_eq!(version.map(|version| version.to_string()).as_deref(), Some("1.4"));
    }
    assert_eq!(message(9000, 9000).unwrap_err().error.kind, ErrorKind::TooManyItems);
}

/// An Attribute Reference may hold any number: also one that is too large for a tag.
#[test]
fn references_to_no_tag_are_refused() {
    for number in [0, 0x42_0fff, 0x54_0001, 0x0100_0000, u32::MAX] {
        let mut writer = Writer::new();
        writer.structure(tag::REQUEST_PAYLOAD, |writer| writer.enumeration(tag::ATTRIBUTE_REFERENCE, number));
        let payload = writer.finish().into_bytes();
        let mut reader = kmip_ttlv::Reader::new(&payload, LIMITS).unwrap();
        let error = Request::read(Operation::GetAttributes, &mut reader, V2_1).unwrap().unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidValue);
    }
}

/// A message that is too broken to be read is still answered in its own version.
#[test]
fn the_version_is_known_before_the_header_is() {
    let request = Item::decode(&request_of(Operation::Get, V1_0, &[]));
    for damage in 2..=request.items[0].count() {
        let mut broken = request.clone();
        broken.change(damage, &|items, at| items[at].tag = tag::DATA);
        let error = RequestMessage::read(&broken.encode(), LIMITS).unwrap_err();
        let is_version = damage <= 4;
        assert!(error.version == Some(V1_0) || is_version, "{damage} {error:?}");
    }
}
