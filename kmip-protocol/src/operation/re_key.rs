//! Re-key (6.1.46 of KMIP 2.1): replaces a symmetric key by a new one.

use bytestring::ByteString;

use crate::attribute::Attributes;
use crate::codec::{Interval, structure};
use crate::identifier::UniqueIdentifier;
use crate::structures::ProtectionStorageMasks;

structure! {
    /// Replaces a symmetric key by a new one.
    pub struct ReKeyRequest {
        /// The object meant; the ID Placeholder of the batch where absent.
        optional unique_identifier: UniqueIdentifier = UNIQUE_IDENTIFIER;
        /// Seconds from now (the Initial Date) to the activation.
        optional offset: Interval = OFFSET;
        /// Attributes that differ from the existing object's.
        attributes attributes: Attributes = OPTIONAL_TEMPLATE;
        /// Where the object may be kept.
        optional protection_storage_masks: ProtectionStorageMasks = PROTECTION_STORAGE_MASKS [V2_0];
    }

    /// The answer to [`ReKeyRequest`].
    pub struct ReKeyResponse {
        /// The object.
        required unique_identifier: ByteString = UNIQUE_IDENTIFIER;
    }
}
