//! Re-certify (6.1.45 of KMIP 2.1): renews a certificate.

use bytestring::ByteString;

use crate::attribute::Attributes;
use crate::codec::{Interval, structure};
use crate::enumeration::CertificateRequestType;
use crate::identifier::UniqueIdentifier;
use crate::structures::{CertificateRequestValue, ProtectionStorageMasks};

structure! {
    /// Renews a certificate.
    pub struct ReCertifyRequest {
        /// The object meant; the ID Placeholder of the batch where absent.
        optional unique_identifier: UniqueIdentifier = UNIQUE_IDENTIFIER;
        /// A stored request.
        optional certificate_request_unique_identifier: UniqueIdentifier = CERTIFICATE_REQUEST_UNIQUE_IDENTIFIER [V2_0];
        /// The form of the request.
        optional certificate_request_type: CertificateRequestType = CERTIFICATE_REQUEST_TYPE;
        /// The request.
        choices certificate_requests: CertificateRequestValue;
        /// Seconds from now to the activation.
        optional offset: Interval = OFFSET;
        /// Attributes that differ from the existing object's.
        attributes attributes: Attributes = OPTIONAL_TEMPLATE;
        /// Where the object may be kept.
        optional protection_storage_masks: ProtectionStorageMasks = PROTECTION_STORAGE_MASKS [V2_0];
    }

    /// The answer to [`ReCertifyRequest`].
    pub struct ReCertifyResponse {
        /// The object.
        required unique_identifier: ByteString = UNIQUE_IDENTIFIER;
    }
}
