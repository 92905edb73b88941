//! Locate (6.1.28 of KMIP 2.1): finds objects by their attributes.

use bytestring::ByteString;

use crate::attribute::Attributes;
use crate::codec::structure;
use crate::enumeration::ObjectGroupMember;
use crate::mask::StorageStatusMask;

structure! {
    /// Finds objects by their attributes.
    pub struct LocateRequest {
        /// At most so many.
        optional maximum_items: i32 = MAXIMUM_ITEMS;
        /// Passes over so many.
        optional offset_items: i32 = OFFSET_ITEMS [V1_3];
        /// Where to look: on-line (the default), archived, destroyed.
        optional storage_status_mask: StorageStatusMask = STORAGE_STATUS_MASK;
        /// Fresh members of a group, or its default member.
        optional object_group_member: ObjectGroupMember = OBJECT_GROUP_MEMBER [V1_1];
        /// All of these must match.
        attributes attributes: Attributes = BARE;
    }

    /// The answer to [`LocateRequest`].
    pub struct LocateResponse {
        /// How many match in all.
        optional located_items: i32 = LOCATED_ITEMS [V1_3];
        /// The objects, the newest first.
        repeated unique_identifiers: ByteString = UNIQUE_IDENTIFIER;
    }
}
