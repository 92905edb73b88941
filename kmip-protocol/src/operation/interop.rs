//! Interop (6.1.26 of KMIP 2.1): marks the beginning and the end of a test.

use bytestring::ByteString;

use crate::codec::structure;
use crate::enumeration::InteropFunction;

structure! {
    /// Marks the beginning and the end of a test.
    pub struct InteropRequest {
        /// Begin, end or reset.
        required interop_function: InteropFunction = INTEROP_FUNCTION;
        /// The test.
        optional interop_identifier: ByteString = INTEROP_IDENTIFIER;
    }

    /// The answer to [`InteropRequest`].
    pub struct InteropResponse {}
}
