//! Derive Key (6.1.14 of KMIP 2.1): derives a key or secret data from others.

use bytestring::ByteString;

use crate::attribute::Attributes;
use crate::codec::structure;
use crate::enumeration::{DerivationMethod, ObjectType};
use crate::identifier::UniqueIdentifier;
use crate::structures::DerivationParameters;

structure! {
    /// Derives a key or secret data from others.
    pub struct DeriveKeyRequest {
        /// The type of the object.
        required object_type: ObjectType = OBJECT_TYPE;
        /// The objects to derive from.
        repeated unique_identifiers: UniqueIdentifier = UNIQUE_IDENTIFIER;
        /// How to derive.
        required derivation_method: DerivationMethod = DERIVATION_METHOD;
        /// What the method needs.
        required derivation_parameters: DerivationParameters = DERIVATION_PARAMETERS;
        /// The attributes wanted.
        attributes attributes: Attributes = TEMPLATE;
    }

    /// The answer to [`DeriveKeyRequest`].
    pub struct DeriveKeyResponse {
        /// The object.
        required unique_identifier: ByteString = UNIQUE_IDENTIFIER;
    }
}
