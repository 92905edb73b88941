//! Every reason for a failure can be told in every version.

use bytestring::ByteString;
use kmip_protocol::enumeration::ResultReason;
use kmip_protocol::message::{ResponseBatchItem, ResponseMessage};
use kmip_protocol::operation::Operation;
use kmip_protocol::version::{SUPPORTED, V1_0, V1_4, V2_1};
use kmip_ttlv::Limits;

use crate::round_trip::{encode, response_message};
use crate::sample::Entropy;
use crate::strictness::strangers;

#[test]
fn every_reason_is_told_in_every_version() {
    for reason in ResultReason::ALL {
        for version in SUPPORTED {
            let mut message = response_message(Operation::Get, *version, &mut Entropy::known(&[], *version));
            let operation = Some(Operation::Get.value());
            message.items =
                vec![ResponseBatchItem::failure(operation, *reason, ByteString::from_static("no"))];
            let encoded = encode(&message);
            assert!(strangers(&encoded, *version).is_empty(), "{reason} in {version}");
            let read = ResponseMessage::read(&encoded, Limits::DEFAULT).unwrap();
            assert_eq!(read.items[0].result_reason, Some(reason.for_version(*version)));
            if reason.since().knows(*version) {
                assert_eq!(reason.for_version(*version), *reason);
            }
        }
    }
}

#[test]
fn reasons_keep_their_sense_in_earlier_versions() {
    use ResultReason::*;
    for (reason, version, told) in [
        (ObjectNotFound, V1_4, ItemNotFound),
        (ObjectDestroyed, V1_0, ItemNotFound),
        (WrongKeyLifecycleState, V1_4, PermissionDenied),
        (AttributeReadOnly, V1_4, PermissionDenied),
        (NonUniqueNameAttribute, V1_4, InvalidField),
        (Sensitive, V1_4, Sensitive),
        (Sensitive, V1_0, PermissionDenied),
        (KeyValueNotPresent, V1_0, ItemNotFound),
        (IllegalOperation, V1_4, IllegalOperation),
        (IndexOutOfBounds, V1_0, IndexOutOfBounds),
        (ServerLimitExceeded, V2_1, ServerLimitExceeded),
    ] {
        assert_eq!(reason.for_version(version), told, "{reason} in {version}");
    }
}
