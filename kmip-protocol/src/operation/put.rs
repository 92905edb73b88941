//! Put (6.2.3 of KMIP 2.1): hands an object to the peer (server to client).

use bytestring::ByteString;

use crate::attribute::Attributes;
use crate::codec::structure;
use crate::enumeration::PutFunction;
use crate::object::ManagedObject;

structure! {
    /// Hands an object to the peer (server to client).
    pub struct PutRequest {
        /// The object.
        required unique_identifier: ByteString = UNIQUE_IDENTIFIER;
        /// New or replacement.
        required put_function: PutFunction = PUT_FUNCTION;
        /// What it replaces.
        optional replaced_unique_identifier: ByteString = REPLACED_UNIQUE_IDENTIFIER;
        /// The object itself.
        choice object: ManagedObject;
        /// Its attributes.
        attributes attributes: Attributes = OPTIONAL_BARE;
    }

    /// The answer to [`PutRequest`].
    pub struct PutResponse {}
}
