//! Notify (6.2.2 of KMIP 2.1): tells the peer that attributes have changed (server to client).

use bytestring::ByteString;

use crate::attribute::{AttributeReference, Attributes};
use crate::codec::structure;

structure! {
    /// Tells the peer that attributes have changed (server to client).
    pub struct NotifyRequest {
        /// The object.
        required unique_identifier: ByteString = UNIQUE_IDENTIFIER;
        /// The attributes that changed, with their new values.
        attributes attributes: Attributes = OPTIONAL_BARE;
        /// The attributes that were deleted.
        choices attribute_references: AttributeReference;
    }

    /// The answer to [`NotifyRequest`].
    pub struct NotifyResponse {}
}
