//! Nothing is written that the version of the message does not know: no tag, no field, no type, no enumeration value,
//! no bit of a mask, no attribute. What cannot be left out is confessed by `is_known`.

use bytes::Bytes;
use kmip_protocol::attribute::{Attribute, AttributeType, Attributes};
use kmip_protocol::message::{RequestHeader, RequestMessage};
use kmip_protocol::operation::{CreateKeyPairRequest, OPERATIONS};
use kmip_protocol::version::{SUPPORTED, Since, V1_1, V1_2, Version};
use kmip_protocol::{Tag, enumeration, mask, tag};
use kmip_ttlv::ItemType;
use proptest::prelude::*;

use crate::round_trip::{encode, response_message};
use crate::sample::{Entropy, Sample, cases, numbers, request};
use crate::tree::Item;
use crate::vectors;

/// Fields whose tag is older than they are.
const YOUNG_FIELDS: [(Tag, Tag, &[Version]); 3] = [
    (tag::CRYPTOGRAPHIC_PARAMETERS, tag::DIGITAL_SIGNATURE_ALGORITHM, &[V1_2]),
    (tag::CRYPTOGRAPHIC_PARAMETERS, tag::CRYPTOGRAPHIC_ALGORITHM, &[V1_2]),
    (tag::DIGEST, tag::KEY_FORMAT_TYPE, &[V1_1]),
];

/// Items that have another type in 1.x.
const TYPES_OF_1X: [(Tag, ItemType); 6] = [
    (tag::ASYNCHRONOUS_INDICATOR, ItemType::Boolean),
    (tag::CERTIFICATE_REQUEST, ItemType::ByteString),
    (tag::LINKED_OBJECT_IDENTIFIER, ItemType::TextString),
    (tag::UNIQUE_IDENTIFIER, ItemType::TextString),
    (tag::EXTENSION_TYPE, ItemType::Integer),
    (tag::DATA, ItemType::ByteString),
];

/// Enumerations without a table: the numbers are those of PKCS#11, or of whatever attribute is adjusted.
const FOREIGN: [Tag; 3] = [tag::PKCS11_FUNCTION, tag::PKCS11_RETURN_CODE, tag::ADJUSTMENT_VALUE];

/// What a message in `version` holds that `version` does not know.
pub(crate) fn strangers(message: &Bytes, version: Version) -> Vec<String> {
    let mut walk = Walk { version, found: Vec::new() };
    walk.visit(tag::REQUEST_MESSAGE, Some(tag::REQUEST_MESSAGE), &Item::decode(message));
    walk.found
}

struct Walk {
    version: Version,
    found: Vec<String>,
}

impl Walk {
    /// Looks at an item in `parent`. `meaning` is the tag that says what the value means: none for a custom attribute.
    fn visit(&mut self, parent: Tag, meaning: Option<Tag>, item: &Item) {
        let mut complain = |what: &str| self.found.push(format!("{what}: {} in {parent}", item.name()));
        let extends = tag::is_extension(item.tag);
        if !extends && !tag::row(item.tag).is_some_and(|row| row.since.knows(self.version)) {
            complain("tag");
        }
        for (structure, field, since) in YOUNG_FIELDS {
            if (parent, item.tag) == (structure, field) && !Since::new(since).knows(self.version) {
                complain("field");
            }
        }
        if !self.version.tags_attributes() {
            let other =
                TYPES_OF_1X.iter().find(|(tag, _)| Some(*tag) == meaning && item.tag != tag::ATTRIBUTE);
            if other.is_some_and(|(_, item_type)| *item_type != item.item_type)
                || item.item_type == ItemType::DateTimeExtended
            {
                complain("type");
            }
        }
        let is_known = match (meaning, item.item_type) {
            (_, ItemType::Structure) => return self.visit_structure(meaning, item),
            (Some(meaning), ItemType::Enumeration) => extends || self.knows_value(meaning, item.word()),
            (Some(meaning), ItemType::Integer) => self.knows_bits(meaning, item.word().cast_signed()),
            _ => true,
        };
        if !is_known {
            self.found.push(format!("value: {} {:#x}", item.name(), item.word()));
        }
    }

    fn visit_structure(&mut self, meaning: Option<Tag>, structure: &Item) {
        let vendor = structure.child(tag::VENDOR_IDENTIFICATION);
        let mut value = None;
        for item in &structure.items {
            let is_value = item.tag == tag::ATTRIBUTE_VALUE;
            if item.tag == tag::ATTRIBUTE_NAME {
                value = self.visit_name(vendor, item.text());
            }
            let meaning_of_item = if is_value { value } else { Some(item.tag) };
            self.visit(meaning.unwrap_or(structure.tag), meaning_of_item, item);
        }
    }

    /// Looks at an Attribute Name; returns the tag of the attribute.
    fn visit_name(&mut self, vendor: Option<&Item>, name: &str) -> Option<Tag> {
        let attribute = AttributeType::from_name(name).filter(|_| vendor.is_none());
        let is_known = match attribute {
            Some(attribute) => attribute.row().since.knows(self.version),
            None => vendor.is_some() || name.starts_with("x-") || name.starts_with("y-"),
        };
        if !is_known || vendor.is_some() != self.version.tags_attributes() {
            self.found.push(format!("attribute name: {name}"));
        }
        attribute.map(|attribute| attribute.row().tag)
    }

    fn knows_value(&self, meaning: Tag, value: u32) -> bool {
        if meaning == tag::ATTRIBUTE_REFERENCE {
            let attribute = Tag::checked(value).and_then(AttributeType::from_tag);
            return attribute.is_some_and(|attribute| attribute.row().since.knows(self.version));
        }
        if FOREIGN.contains(&meaning) {
            return true;
        }
        let row = enumeration::table(meaning).and_then(|table| table.row(value));
        (0x8000_0000..=0x8fff_ffff).contains(&value) || row.is_some_and(|row| row.since.knows(self.version))
    }

    /// Bits that no version has a name for are extensions.
    fn knows_bits(&self, meaning: Tag, value: i32) -> bool {
        let rows = mask::table(meaning).map_or(&[][..], |table| table.rows);
        rows.iter().all(|row| row.bit & value == 0 || row.since.knows(self.version))
    }
}

#[test]
fn published_messages_are_clean() {
    for message in vectors::messages().unwrap_or_default() {
        let header = RequestMessage::read(&message.ttlv, kmip_ttlv::Limits::DEFAULT);
        let version = match &header {
            Ok(request) => request.header.protocol_version,
            Err(_) => {
                kmip_protocol::message::ResponseMessage::read(&message.ttlv, kmip_ttlv::Limits::DEFAULT)
                    .unwrap()
                    .header
                    .protocol_version
            }
        };
        let strangers = strangers(&message.ttlv, version);
        assert!(strangers.is_empty(), "{}: {strangers:?}", message.name);
    }
}

/// A list of which the version knows nothing is left out with the structure around it.
#[test]
fn nothing_is_wrapped_around_nothing() {
    let key_pair = CreateKeyPairRequest {
        common_attributes: Attributes::new([Attribute::QuantumSafe(true)]),
        private_key_attributes: Attributes::default(),
        public_key_attributes: Attributes::default(),
        common_protection_storage_masks: None,
        private_protection_storage_masks: None,
        public_protection_storage_masks: None,
    };
    let encoded = RequestMessage::write(&RequestHeader::new(V1_2, 1), &[key_pair.into()]).into_bytes();
    let item = Item::decode(&encoded);
    let payload = item.child(tag::BATCH_ITEM).and_then(|item| item.child(tag::REQUEST_PAYLOAD)).unwrap();
    assert!(payload.items.is_empty());
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn responses_hold_nothing_strange(numbers in numbers()) {
        for operation in OPERATIONS {
            for version in SUPPORTED {
                let message = response_message(*operation, *version, &mut Entropy::straying(&numbers, *version));
                if message.items[0].payload.as_ref().unwrap().is_known(*version) {
                    let strangers = strangers(&encode(&message), *version);
                    prop_assert!(strangers.is_empty(), "{} {}: {:?} {:?}", operation, version, strangers, message);
                }
            }
        }
    }

    #[test]
    fn requests_hold_nothing_strange(numbers in numbers()) {
        for operation in OPERATIONS {
            for version in SUPPORTED {
                let mut entropy = Entropy::straying(&numbers, *version);
                let payload = request(*operation, &mut entropy);
                let header = RequestHeader { protocol_version: *version, ..Sample::sample(&mut entropy) };
                if payload.is_known(*version) {
                    let encoded = RequestMessage::write(&header, &[payload]).into_bytes();
                    let strangers = strangers(&encoded, *version);
                    prop_assert!(strangers.is_empty(), "{} {}: {:?}", operation, version, strangers);
                }
            }
        }
    }
}
