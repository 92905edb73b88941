//! The attributes that legacy clients decode: PyKMIP 0.10.0 and what is built on it give up a whole answer that holds
//! any other one.

use super::{Attribute, AttributeType, CustomValue};
use crate::version::{Since, V1_0, V1_1, V1_4, Version};

const ALWAYS: Since = Since::new(&[V1_0]);
const IN_1X: Since = Since::new(&[V1_0, V1_4]);

/// What legacy clients decode, and in which versions. A version that does not know the attribute at all never gets it,
/// whatever stands here.
static DECODED: &[(AttributeType, Since)] = &[
    (AttributeType::ActivationDate, ALWAYS),
    (AttributeType::ApplicationSpecificInformation, ALWAYS),
    (AttributeType::ArchiveDate, ALWAYS),
    (AttributeType::CertificateLength, ALWAYS),
    (AttributeType::CertificateType, IN_1X),
    (AttributeType::CompromiseDate, ALWAYS),
    (AttributeType::CompromiseOccurrenceDate, ALWAYS),
    (AttributeType::ContactInformation, ALWAYS),
    (AttributeType::CryptographicAlgorithm, ALWAYS),
    (AttributeType::CryptographicLength, ALWAYS),
    (AttributeType::CryptographicParameters, ALWAYS),
    (AttributeType::CryptographicUsageMask, ALWAYS),
    (AttributeType::DeactivationDate, ALWAYS),
    (AttributeType::DestroyDate, ALWAYS),
    // They insist on its Key Format Type, which is not spelled before.
    (AttributeType::Digest, Since::new(&[V1_1])),
    (AttributeType::Fresh, ALWAYS),
    (AttributeType::InitialDate, ALWAYS),
    (AttributeType::LastChangeDate, ALWAYS),
    (AttributeType::LeaseTime, ALWAYS),
    (AttributeType::Name, ALWAYS),
    (AttributeType::ObjectGroup, ALWAYS),
    (AttributeType::ObjectType, ALWAYS),
    (AttributeType::OperationPolicyName, IN_1X),
    (AttributeType::ProcessStartDate, ALWAYS),
    (AttributeType::ProtectStopDate, ALWAYS),
    (AttributeType::Sensitive, ALWAYS),
    (AttributeType::State, ALWAYS),
    (AttributeType::UniqueIdentifier, ALWAYS),
];

/// Text attributes that the client defined; vendor attributes of 2.x are not decoded.
const DECODED_CUSTOM: Since = IN_1X;

impl Attribute {
    /// Whether a legacy client of `version` decodes the attribute.
    pub fn is_decoded_by_legacy_clients(&self, version: Version) -> bool {
        match self {
            Self::Custom(custom) => {
                let is_text = matches!(custom.value, CustomValue::Text(_));
                is_text && custom.vendor == "x" && DECODED_CUSTOM.knows(version)
            }
            Self::Digest(digest) if digest.key_format_type.is_none() => false,
            other => DECODED
                .iter()
                .any(|(decoded, since)| other.attribute_type() == Some(*decoded) && since.knows(version)),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytestring::ByteString;

    use super::*;
    use crate::enumeration::CertificateType;
    use crate::version::{SUPPORTED, V2_0};

    fn custom(vendor: &'static str, value: CustomValue) -> Attribute {
        let [vendor, name] = [vendor, "name"].map(ByteString::from_static);
        Attribute::custom(vendor, name, value)
    }

    #[test]
    fn an_attribute_is_decoded_in_its_versions_only() {
        let certificate_type = Attribute::CertificateType(CertificateType::X509);
        assert!(certificate_type.is_decoded_by_legacy_clients(V1_4));
        assert!(!certificate_type.is_decoded_by_legacy_clients(V2_0));
        for version in SUPPORTED {
            assert!(Attribute::Fresh(true).is_decoded_by_legacy_clients(*version));
            assert!(!Attribute::Extractable(true).is_decoded_by_legacy_clients(*version));
        }
    }

    #[test]
    fn of_custom_attributes_the_texts_of_clients_are_decoded() {
        let text = || CustomValue::Text(ByteString::from_static("text"));
        assert!(custom("x", text()).is_decoded_by_legacy_clients(V1_0));
        assert!(!custom("x", text()).is_decoded_by_legacy_clients(V2_0));
        assert!(!custom("y", text()).is_decoded_by_legacy_clients(V1_0));
        assert!(!custom("x", CustomValue::Integer(1)).is_decoded_by_legacy_clients(V1_0));
    }
}
