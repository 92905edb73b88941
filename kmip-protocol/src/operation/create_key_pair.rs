//! Create Key Pair (6.1.9 of KMIP 2.1): makes a private and a public key.

use bytestring::ByteString;

use crate::attribute::Attributes;
use crate::codec::structure;
use crate::structures::ProtectionStorageMasks;

structure! {
    /// Makes a private and a public key.
    pub struct CreateKeyPairRequest {
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

    /// The answer to [`CreateKeyPairRequest`].
    pub struct CreateKeyPairResponse {
        /// The private key.
        required private_key_unique_identifier: ByteString = PRIVATE_KEY_UNIQUE_IDENTIFIER;
        /// The public key.
        required public_key_unique_identifier: ByteString = PUBLIC_KEY_UNIQUE_IDENTIFIER;
    }
}
