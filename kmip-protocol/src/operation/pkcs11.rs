//! PKCS#11 (6.1.37 of KMIP 2.1): calls a PKCS#11 function.

use bytes::Bytes;
use bytestring::ByteString;

use crate::codec::structure;
use crate::structures::Pkcs11Code;

structure! {
    /// Calls a PKCS#11 function.
    pub struct Pkcs11Request {
        /// The interface.
        optional interface: ByteString = PKCS11_INTERFACE;
        /// Offset of the function in the function list of PKCS#11 3.0.
        required function: Pkcs11Code = PKCS11_FUNCTION;
        /// From the answer to `C_Initialize`.
        optional correlation_value: Bytes = CORRELATION_VALUE;
        /// The encoded arguments.
        optional input_parameters: Bytes = PKCS11_INPUT_PARAMETERS;
    }

    /// The answer to [`Pkcs11Request`].
    pub struct Pkcs11Response {
        /// The interface.
        optional interface: ByteString = PKCS11_INTERFACE;
        /// As in the request.
        required function: Pkcs11Code = PKCS11_FUNCTION;
        /// To be passed back with the next call.
        optional correlation_value: Bytes = CORRELATION_VALUE;
        /// The encoded results.
        optional output_parameters: Bytes = PKCS11_OUTPUT_PARAMETERS;
        /// The CK_RV.
        required return_code: Pkcs11Code = PKCS11_RETURN_CODE;
    }
}
