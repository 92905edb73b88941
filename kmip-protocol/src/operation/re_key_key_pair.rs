//! Re-key Key Pair (6.1.47 of KMIP 2.1): replaces a key pair by a new one.

use bytestring::ByteString;

use crate::attribute::Attributes;
use crate::codec::{Interval, structure};
use crate::identifier::UniqueIdentifier;
use crate::structures::ProtectionStorageMasks;

structure! {
    /// Replaces a key pair by a new one.
    pub struct ReKeyKeyPairRequest {
        /// The private key meant; the ID Placeholder of the batch where absent.
        optional private_key_unique_identifier: UniqueIdentifier = PRIVATE_KEY_UNIQUE_IDENTIFIER;
        /// Seconds from now to the activation.
        optional offset: Interval = OFFSET;
        /// For both keys.
        attributes common_attributes: Attributes = COMMON;
        /// For the private key.
        attributes private_key_attributes: Attributes = PRIVATE_KEY;
        /// For the public key.
        attributes public_key_attributes: Attributes = PUBLIC_KEY;
        /// Where both may be kept.
        optional common_protection_storage_masks: ProtectionStorageMasks = COMMON_PROTECTION_STORAGE_MASKS [V2_0];
        /// Where the private key may be kept.
        optional private_protection_storage_masks: ProtectionStorageMasks = PRIVATE_PROTECTION_STORAGE_MASKS [V2_0];
        /// Where the public key may be kept.
        optional public_protection_storage_masks: ProtectionStorageMasks = PUBLIC_PROTECTION_STORAGE_MASKS [V2_0];
    }

    /// The answer to [`ReKeyKeyPairRequest`].
    pub struct ReKeyKeyPairResponse {
        /// The private key.
        required private_key_unique_identifier: ByteString = PRIVATE_KEY_UNIQUE_IDENTIFIER;
        /// The public key.
        required public_key_unique_identifier: ByteString = PUBLIC_KEY_UNIQUE_IDENTIFIER;
    }
}
