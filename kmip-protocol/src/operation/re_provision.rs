//! Re-Provision (6.1.48 of KMIP 2.1): renews the credential of the client.

use bytestring::ByteString;

use crate::codec::structure;
use crate::object::{Certificate, CertificateRequest};

structure! {
    /// Renews the credential of the client.
    pub struct ReProvisionRequest {
        /// A request for a new certificate.
        optional certificate_request: CertificateRequest = CERTIFICATE_REQUEST;
        /// A new certificate.
        optional certificate: Certificate = CERTIFICATE;
    }

    /// The answer to [`ReProvisionRequest`].
    pub struct ReProvisionResponse {
        /// The new certificate.
        optional unique_identifier: ByteString = UNIQUE_IDENTIFIER;
    }
}
