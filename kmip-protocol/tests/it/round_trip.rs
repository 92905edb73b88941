//! Arbitrary values are read back as they were written, in every version that knows them.

use bytes::Bytes;
use kmip_protocol::codec::Item;
use kmip_protocol::key_block::*;
use kmip_protocol::message::{
    RequestHeader, RequestMessage, ResponseBatchItem, ResponseHeader, ResponseMessage,
};
use kmip_protocol::operation::{OPERATIONS, Operation};
use kmip_protocol::version::{SUPPORTED, Version};
use kmip_ttlv::{Limits, Writer};
use proptest::prelude::*;

use crate::sample::{Entropy, Sample, cases, numbers, request, response};

const LIMITS: Limits = Limits::DEFAULT;

/// Every operation with every version that knows it.
fn pairs() -> impl Iterator<Item = (Operation, Version)> {
    let all = OPERATIONS.iter().flat_map(|operation| SUPPORTED.iter().map(|version| (*operation, *version)));
    all.filter(|(operation, version)| operation.since().knows(*version))
}

fn request_header(entropy: &mut Entropy<'_>, version: Version, batch_count: i32) -> RequestHeader {
    RequestHeader { protocol_version: version, batch_count, ..Sample::sample(entropy) }
}

pub(crate) fn encode(message: &ResponseMessage) -> Bytes {
    let mut writer = Writer::new();
    message.write(&mut writer);
    writer.finish().into_bytes()
}

/// A response message with one successful item.
pub(crate) fn response_message(
    operation: Operation,
    version: Version,
    entropy: &mut Entropy<'_>,
) -> ResponseMessage {
    let header = ResponseHeader { protocol_version: version, batch_count: 1, ..Sample::sample(entropy) };
    let payload = Some(response(operation, entropy));
    let item = ResponseBatchItem { operation: Some(operation.value()), payload, ..Sample::sample(entropy) };
    ResponseMessage { header, items: vec![item] }
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn requests(numbers in numbers()) {
        for (operation, version) in pairs() {
            let mut entropy = Entropy::known(&numbers, version);
            let payload = request(operation, &mut entropy);
            let header = request_header(&mut entropy, version, 1);
            prop_assert!(payload.is_known(version));
            let encoded = RequestMessage::write(&header, std::slice::from_ref(&payload)).into_bytes();
            let message = RequestMessage::read(&encoded, LIMITS).unwrap();
            prop_assert_eq!(format!("{:?}", message.header), format!("{header:?}"));
            let read = message.items[0].decode(operation, LIMITS, version).unwrap().unwrap();
            prop_assert_eq!(format!("{read:?}"), format!("{payload:?}"), "{} {}", operation, version);
            let again = RequestMessage::write(&message.header, &[read]).into_bytes();
            prop_assert_eq!(again, encoded);
        }
    }

    #[test]
    fn responses(numbers in numbers()) {
        for (operation, version) in pairs() {
            let mut message = response_message(operation, version, &mut Entropy::known(&numbers, version));
            prop_assert!(message.items[0].payload.as_ref().unwrap().is_known(version));
            let encoded = encode(&message);
            let read = ResponseMessage::read(&encoded, LIMITS).unwrap();
            let reason = &mut message.items[0].result_reason;
            *reason = reason.map(|reason| reason.for_version(version));
            prop_assert_eq!(format!("{read:?}"), format!("{message:?}"), "{} {}", operation, version);
            prop_assert_eq!(encode(&read), encoded);
        }
    }

    #[test]
    fn batches(numbers in numbers(), operations in proptest::collection::vec(proptest::sample::select(OPERATIONS), 0..8)) {
        for version in SUPPORTED {
            let mut entropy = Entropy::known(&numbers, *version);
            let payloads: Vec<_> =
                operations.iter().map(|operation| request(*operation, &mut entropy)).collect();
            let header = request_header(&mut entropy, *version, i32::try_from(payloads.len()).unwrap());
            let encoded = RequestMessage::write(&header, &payloads).into_bytes();
            let message = RequestMessage::read(&encoded, LIMITS).unwrap();
            let read: Vec<_> = message
                .items
                .iter()
                .map(|item| {
                    let operation = Operation::from_value(item.operation).unwrap();
                    item.decode(operation, LIMITS, *version).unwrap().unwrap()
                })
                .collect();
            prop_assert_eq!(RequestMessage::write(&message.header, &read).into_bytes(), encoded);
        }
    }

    #[test]
    fn transparent_keys(numbers in numbers()) {
        fn check<T: Sample + Item + std::fmt::Debug>(numbers: &[u32]) {
            for version in SUPPORTED {
                let key = T::sample(&mut Entropy::known(numbers, *version));
                let material = KeyMaterial::from_transparent(&key, *version);
                let read: T = material.transparent(*version).unwrap();
                assert_eq!(format!("{read:?}"), format!("{key:?}"));
                let (KeyMaterial::Transparent(items), KeyMaterial::Transparent(again)) =
                    (&material, &KeyMaterial::from_transparent(&read, *version))
                else {
                    panic!("a transparent key is one");
                };
                assert_eq!(items.expose(), again.expose());
            }
        }
        check::<TransparentSymmetricKey>(&numbers);
        check::<TransparentDsaPrivateKey>(&numbers);
        check::<TransparentDsaPublicKey>(&numbers);
        check::<TransparentRsaPrivateKey>(&numbers);
        check::<TransparentRsaPublicKey>(&numbers);
        check::<TransparentDhPrivateKey>(&numbers);
        check::<TransparentDhPublicKey>(&numbers);
        check::<TransparentEcPrivateKey>(&numbers);
        check::<TransparentEcPublicKey>(&numbers);
    }
}
