//! Certify (6.1.6 of KMIP 2.1): makes a certificate for a public key.

use bytestring::ByteString;

use crate::attribute::Attributes;
use crate::codec::structure;
use crate::enumeration::CertificateRequestType;
use crate::identifier::UniqueIdentifier;
use crate::structures::{CertificateRequestValue, ProtectionStorageMasks};

structure! {
    /// Makes a certificate for a public key.
    pub struct CertifyRequest {
        /// The object meant; the ID Placeholder of the batch where absent.
        optional unique_identifier: UniqueIdentifier = UNIQUE_IDENTIFIER;
        /// The form of the request.
        optional certificate_request_type: CertificateRequestType = CERTIFICATE_REQUEST_TYPE;
        /// The request.
        choices certificate_requests: CertificateRequestValue;
        /// Attributes that differ from the existing object's.
        attributes attributes: Attributes = OPTIONAL_TEMPLATE;
        /// Where the object may be kept.
        optional protection_storage_masks: ProtectionStorageMasks = PROTECTION_STORAGE_MASKS [V2_0];
    }

    /// The answer to [`CertifyRequest`].
    pub struct CertifyResponse {
        /// The object.
        required unique_identifier: ByteString = UNIQUE_IDENTIFIER;
    }
}
