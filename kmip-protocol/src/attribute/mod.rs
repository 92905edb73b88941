//! Attributes (KMIP 2.1 section 4, 1.4 section 3): one table of names, types, versions and rules, the typed values, and
//! the two ways in which the versions spell them on the wire.

mod legacy;
mod reference;
mod spelling;
mod value;

use bytes::Bytes;
use bytestring::ByteString;
use kmip_ttlv::{Error, Reader, Tag, Writer};

pub use reference::AttributeReference;
pub(crate) use spelling::AttributeList;
pub use spelling::{Attributes, Instance, Spelling};
pub use value::*;

use crate::codec::{DateTime, Interval, Item};
use crate::enumeration::{
    CertificateType, CryptographicAlgorithm, DigitalSignatureAlgorithm, KeyFormatType, NistKeyType,
    ObjectType, OpaqueDataType, ProtectionLevel, State,
};
use crate::mask::{CryptographicUsageMask, ProtectionStorageMask};
use crate::tag;
use crate::version::{Since, V1_0, V1_1, V1_2, V1_3, V1_4, V2_0, V2_1, Version};

/// How many instances of an attribute an object may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instances {
    /// At most one.
    Single,
    /// Any number.
    Multiple,
}

/// Who gives an attribute its first value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setter {
    /// The server alone.
    Server,
    /// The client alone.
    Client,
    /// The client, or the server where the client did not.
    Either,
}

/// When a client may change or delete an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Never.
    Never,
    /// While the object is Pre-Active.
    PreActive,
    /// While the object is Pre-Active or Active.
    UntilDeactivated,
    /// At any time.
    Always,
}

/// One row of the table of attributes.
#[derive(Debug, Clone, Copy)]
pub struct AttributeRow {
    /// The attribute.
    pub attribute_type: AttributeType,
    /// Its tag: 2.x spells the attribute by it.
    pub tag: Tag,
    /// Its name: 1.x spells the attribute by it.
    pub name: &'static str,
    /// The versions that know it.
    pub since: Since,
    /// How many instances there may be.
    pub instances: Instances,
    /// Who sets it first.
    pub setter: Setter,
    /// When a client may modify it.
    pub modify: Change,
    /// When a client may delete it.
    pub delete: Change,
}

/// An attribute that one side defined: `x-name` and `y-name` in 1.x, a vendor attribute in 2.x (4.60). The vendor `x`
/// stands for the client, `y` for the server; both spellings name the same attribute.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomAttribute {
    /// Vendor Identification.
    pub vendor: ByteString,
    /// The name, without the vendor.
    pub name: ByteString,
    /// The value.
    pub value: CustomValue,
}

macro_rules! attributes {
    ($($name:ident: $type:ty = $tag:ident $text:literal [$($since:ident),+] $instances:ident $setter:ident $modify:ident $delete:ident;)*) => {
        /// Which attribute, without its value. Custom attributes are not among them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum AttributeType {
            $(
                #[doc = $text]
                $name,
            )*
        }

        /// An attribute and its value. Large values are boxed: see [`Instance`].
        #[derive(Debug, Clone, PartialEq)]
        pub enum Attribute {
            $(
                #[doc = $text]
                $name($type),
            )*
            /// Custom (1.x) or vendor (2.x) attribute.
            Custom(Box<CustomAttribute>),
        }

        /// The table of attributes.
        pub static ATTRIBUTES: &[AttributeRow] = &[$(AttributeRow {
            attribute_type: AttributeType::$name,
            tag: tag::$tag,
            name: $text,
            since: Since::new(&[$($since),+]),
            instances: Instances::$instances,
            setter: Setter::$setter,
            modify: Change::$modify,
            delete: Change::$delete,
        },)*];

        impl AttributeType {
            /// Reads a value of this attribute, which stands under `tag`, and gives it to `keep`: an attribute that is made where it
            /// is kept need not be moved there, which takes longer than to read it.
            #[inline]
            pub(crate) fn read_value<T>(
                self,
                reader: &mut Reader<'_>,
                tag: Tag,
                version: Version,
                keep: impl FnOnce(Attribute) -> T,
            ) -> Result<T, Error> {
                match self {
                    $(Self::$name => {
                        <$type as Item>::read(reader, tag, version).map(|value| keep(Attribute::$name(value)))
                    })*
                }
            }

            /// The attribute whose tag it is.
            pub fn from_tag(tag: Tag) -> Option<Self> {
                match tag {
                    $(tag::$tag => Some(Self::$name),)*
                    _ => None,
                }
            }
        }

        impl Attribute {
            /// Which attribute it is; `None` for a custom one.
            pub fn attribute_type(&self) -> Option<AttributeType> {
                match self {
                    $(Self::$name(_) => Some(AttributeType::$name),)*
                    Self::Custom(_) => None,
                }
            }

            /// Writes the value under `tag`.
            pub(crate) fn write_value(&self, writer: &mut Writer, tag: Tag, version: Version) {
                match self {
                    $(Self::$name(value) => value.write(writer, tag, version),)*
                    Self::Custom(custom) => custom.value.write(writer, tag, version),
                }
            }

            /// Whether a peer of `version` knows the attribute and its value.
            pub fn is_known(&self, version: Version) -> bool {
                match self {
                    $(Self::$name(value) => {
                        const { Since::new(&[$($since),+]) }.knows(version) && value.is_known(version)
                    })*
                    Self::Custom(custom) => {
                        custom.value.is_known(version)
                            && (version.tags_attributes() || matches!(&*custom.vendor, "x" | "y"))
                    }
                }
            }
        }
    };
}

#[rustfmt::skip]
attributes! {
    ActivationDate: DateTime = ACTIVATION_DATE "Activation Date" [V1_0] Single Either PreActive Never;
    AlternativeName: AlternativeName = ALTERNATIVE_NAME "Alternative Name" [V1_2] Multiple Client Always Always;
    AlwaysSensitive: bool = ALWAYS_SENSITIVE "Always Sensitive" [V1_4] Single Server Never Never;
    ApplicationSpecificInformation: Box<ApplicationSpecificInformation> = APPLICATION_SPECIFIC_INFORMATION "Application Specific Information" [V1_0] Multiple Either Always Always;
    ArchiveDate: DateTime = ARCHIVE_DATE "Archive Date" [V1_0] Single Server Never Never;
    CertificateIdentifier: Box<CertificateIdentifier> = CERTIFICATE_IDENTIFIER "Certificate Identifier" [V1_0, V1_4] Single Server Never Never;
    CertificateIssuer: Box<CertificateIssuer> = CERTIFICATE_ISSUER "Certificate Issuer" [V1_0, V1_4] Single Server Never Never;
    CertificateIssuerC: ByteString = CERTIFICATE_ISSUER_C "Certificate Issuer C" [V2_0] Multiple Server Never Never;
    CertificateIssuerCn: ByteString = CERTIFICATE_ISSUER_CN "Certificate Issuer CN" [V2_0] Multiple Server Never Never;
    CertificateIssuerDc: ByteString = CERTIFICATE_ISSUER_DC "Certificate Issuer DC" [V2_0] Multiple Server Never Never;
    CertificateIssuerDnQualifier: ByteString = CERTIFICATE_ISSUER_DN_QUALIFIER "Certificate Issuer DN Qualifier" [V2_0] Multiple Server Never Never;
    CertificateIssuerEmail: ByteString = CERTIFICATE_ISSUER_EMAIL "Certificate Issuer Email" [V2_0] Multiple Server Never Never;
    CertificateIssuerL: ByteString = CERTIFICATE_ISSUER_L "Certificate Issuer L" [V2_0] Multiple Server Never Never;
    CertificateIssuerO: ByteString = CERTIFICATE_ISSUER_O "Certificate Issuer O" [V2_0] Multiple Server Never Never;
    CertificateIssuerOu: ByteString = CERTIFICATE_ISSUER_OU "Certificate Issuer OU" [V2_0] Multiple Server Never Never;
    CertificateIssuerSt: ByteString = CERTIFICATE_ISSUER_ST "Certificate Issuer ST" [V2_0] Multiple Server Never Never;
    CertificateIssuerSerialNumber: ByteString = CERTIFICATE_ISSUER_SERIAL_NUMBER "Certificate Issuer Serial Number" [V2_0] Multiple Server Never Never;
    CertificateIssuerTitle: ByteString = CERTIFICATE_ISSUER_TITLE "Certificate Issuer Title" [V2_0] Multiple Server Never Never;
    CertificateIssuerUid: ByteString = CERTIFICATE_ISSUER_UID "Certificate Issuer UID" [V2_0] Multiple Server Never Never;
    CertificateLength: i32 = CERTIFICATE_LENGTH "Certificate Length" [V1_1] Single Server Never Never;
    CertificateSubject: Box<CertificateSubject> = CERTIFICATE_SUBJECT "Certificate Subject" [V1_0, V1_4] Single Server Never Never;
    CertificateSubjectC: ByteString = CERTIFICATE_SUBJECT_C "Certificate Subject C" [V2_0] Multiple Server Never Never;
    CertificateSubjectCn: ByteString = CERTIFICATE_SUBJECT_CN "Certificate Subject CN" [V2_0] Multiple Server Never Never;
    CertificateSubjectDc: ByteString = CERTIFICATE_SUBJECT_DC "Certificate Subject DC" [V2_0] Multiple Server Never Never;
    CertificateSubjectDnQualifier: ByteString = CERTIFICATE_SUBJECT_DN_QUALIFIER "Certificate Subject DN Qualifier" [V2_0] Multiple Server Never Never;
    CertificateSubjectEmail: ByteString = CERTIFICATE_SUBJECT_EMAIL "Certificate Subject Email" [V2_0] Multiple Server Never Never;
    CertificateSubjectL: ByteString = CERTIFICATE_SUBJECT_L "Certificate Subject L" [V2_0] Multiple Server Never Never;
    CertificateSubjectO: ByteString = CERTIFICATE_SUBJECT_O "Certificate Subject O" [V2_0] Multiple Server Never Never;
    CertificateSubjectOu: ByteString = CERTIFICATE_SUBJECT_OU "Certificate Subject OU" [V2_0] Multiple Server Never Never;
    CertificateSubjectSt: ByteString = CERTIFICATE_SUBJECT_ST "Certificate Subject ST" [V2_0] Multiple Server Never Never;
    CertificateSubjectSerialNumber: ByteString = CERTIFICATE_SUBJECT_SERIAL_NUMBER "Certificate Subject Serial Number" [V2_0] Multiple Server Never Never;
    CertificateSubjectTitle: ByteString = CERTIFICATE_SUBJECT_TITLE "Certificate Subject Title" [V2_0] Multiple Server Never Never;
    CertificateSubjectUid: ByteString = CERTIFICATE_SUBJECT_UID "Certificate Subject UID" [V2_0] Multiple Server Never Never;
    CertificateType: CertificateType = CERTIFICATE_TYPE "Certificate Type" [V1_0] Single Server Never Never;
    Comment: ByteString = COMMENT "Comment" [V1_4] Single Either Always Always;
    CompromiseDate: DateTime = COMPROMISE_DATE "Compromise Date" [V1_0] Single Server Never Never;
    CompromiseOccurrenceDate: DateTime = COMPROMISE_OCCURRENCE_DATE "Compromise Occurrence Date" [V1_0] Single Server Never Never;
    ContactInformation: ByteString = CONTACT_INFORMATION "Contact Information" [V1_0] Single Either Always Always;
    CryptographicAlgorithm: CryptographicAlgorithm = CRYPTOGRAPHIC_ALGORITHM "Cryptographic Algorithm" [V1_0] Single Server Never Never;
    CryptographicDomainParameters: CryptographicDomainParameters = CRYPTOGRAPHIC_DOMAIN_PARAMETERS "Cryptographic Domain Parameters" [V1_0] Single Client Never Never;
    CryptographicLength: i32 = CRYPTOGRAPHIC_LENGTH "Cryptographic Length" [V1_0] Single Server Never Never;
    CryptographicParameters: Box<CryptographicParameters> = CRYPTOGRAPHIC_PARAMETERS "Cryptographic Parameters" [V1_0] Multiple Client Always Always;
    CryptographicUsageMask: CryptographicUsageMask = CRYPTOGRAPHIC_USAGE_MASK "Cryptographic Usage Mask" [V1_0] Single Either Never Never;
    DeactivationDate: DateTime = DEACTIVATION_DATE "Deactivation Date" [V1_0] Single Either UntilDeactivated Never;
    Description: ByteString = DESCRIPTION "Description" [V1_4] Single Either Always Always;
    DestroyDate: DateTime = DESTROY_DATE "Destroy Date" [V1_0] Single Server Never Never;
    Digest: Digest = DIGEST "Digest" [V1_0] Multiple Server Never Never;
    DigitalSignatureAlgorithm: DigitalSignatureAlgorithm = DIGITAL_SIGNATURE_ALGORITHM "Digital Signature Algorithm" [V1_1] Multiple Server Never Never;
    Extractable: bool = EXTRACTABLE "Extractable" [V1_4] Single Either Always Never;
    Fresh: bool = FRESH "Fresh" [V1_1] Single Either Never Never;
    InitialDate: DateTime = INITIAL_DATE "Initial Date" [V1_0] Single Server Never Never;
    KeyFormatType: KeyFormatType = KEY_FORMAT_TYPE "Key Format Type" [V2_0] Single Server Never Never;
    KeyValueLocation: KeyValueLocation = KEY_VALUE_LOCATION "Key Value Location" [V1_2] Multiple Client Always Always;
    KeyValuePresent: bool = KEY_VALUE_PRESENT "Key Value Present" [V1_2] Single Server Never Never;
    LastChangeDate: DateTime = LAST_CHANGE_DATE "Last Change Date" [V1_0] Single Server Never Never;
    LeaseTime: Interval = LEASE_TIME "Lease Time" [V1_0] Single Server Never Never;
    Link: Link = LINK "Link" [V1_0] Multiple Either Always Always;
    NistKeyType: NistKeyType = NIST_KEY_TYPE "NIST Key Type" [V2_0] Multiple Client Never Never;
    Name: Name = NAME "Name" [V1_0] Multiple Client Always Always;
    NeverExtractable: bool = NEVER_EXTRACTABLE "Never Extractable" [V1_4] Single Server Never Never;
    ObjectGroup: ByteString = OBJECT_GROUP "Object Group" [V1_0] Multiple Either Always Always;
    ObjectType: ObjectType = OBJECT_TYPE "Object Type" [V1_0] Single Server Never Never;
    OpaqueDataType: OpaqueDataType = OPAQUE_DATA_TYPE "Opaque Data Type" [V2_0] Single Server Never Never;
    OperationPolicyName: ByteString = OPERATION_POLICY_NAME "Operation Policy Name" [V1_0, V1_4] Single Either Never Never;
    OriginalCreationDate: DateTime = ORIGINAL_CREATION_DATE "Original Creation Date" [V1_2] Single Either Never Never;
    Pkcs12FriendlyName: ByteString = PKCS12_FRIENDLY_NAME "PKCS#12 Friendly Name" [V1_4] Single Either Always Always;
    ProcessStartDate: DateTime = PROCESS_START_DATE "Process Start Date" [V1_0] Single Either UntilDeactivated Never;
    ProtectStopDate: DateTime = PROTECT_STOP_DATE "Protect Stop Date" [V1_0] Single Either UntilDeactivated Never;
    ProtectionLevel: ProtectionLevel = PROTECTION_LEVEL "Protection Level" [V2_0] Single Client Always Always;
    ProtectionPeriod: Interval = PROTECTION_PERIOD "Protection Period" [V2_0] Single Client Always Always;
    ProtectionStorageMask: ProtectionStorageMask = PROTECTION_STORAGE_MASK "Protection Storage Mask" [V2_0] Single Server Never Never;
    QuantumSafe: bool = QUANTUM_SAFE "Quantum Safe" [V2_0] Single Client Always Always;
    RandomNumberGenerator: Box<RngParameters> = RANDOM_NUMBER_GENERATOR "Random Number Generator" [V1_3] Single Either Never Never;
    RevocationReason: RevocationReason = REVOCATION_REASON "Revocation Reason" [V1_0] Single Server Never Never;
    RotateAutomatic: bool = ROTATE_AUTOMATIC "Rotate Automatic" [V2_1] Single Either Never Never;
    RotateDate: DateTime = ROTATE_DATE "Rotate Date" [V2_1] Single Server Never Never;
    RotateGeneration: i32 = ROTATE_GENERATION "Rotate Generation" [V2_1] Single Server Never Never;
    RotateInterval: Interval = ROTATE_INTERVAL "Rotate Interval" [V2_1] Single Either Never Never;
    RotateLatest: bool = ROTATE_LATEST "Rotate Latest" [V2_1] Single Server Never Never;
    RotateName: RotateName = ROTATE_NAME "Rotate Name" [V2_1] Single Client Always Always;
    RotateOffset: Interval = ROTATE_OFFSET "Rotate Offset" [V2_1] Single Either Never Never;
    Sensitive: bool = SENSITIVE "Sensitive" [V1_4] Single Either Always Never;
    ShortUniqueIdentifier: Bytes = SHORT_UNIQUE_IDENTIFIER "Short Unique Identifier" [V2_0] Single Server Never Never;
    State: State = STATE "State" [V1_0] Single Server Never Never;
    UniqueIdentifier: ByteString = UNIQUE_IDENTIFIER "Unique Identifier" [V1_0] Single Server Never Never;
    UsageLimits: UsageLimits = USAGE_LIMITS "Usage Limits" [V1_0] Single Either Always Always;
    X509CertificateIdentifier: Box<X509CertificateIdentifier> = X_509_CERTIFICATE_IDENTIFIER "X.509 Certificate Identifier" [V1_1] Single Server Never Never;
    X509CertificateIssuer: Box<X509CertificateIssuer> = X_509_CERTIFICATE_ISSUER "X.509 Certificate Issuer" [V1_1] Single Server Never Never;
    X509CertificateSubject: Box<X509CertificateSubject> = X_509_CERTIFICATE_SUBJECT "X.509 Certificate Subject" [V1_1] Single Server Never Never;
}

impl AttributeType {
    /// The attribute's row in the table.
    pub fn row(self) -> &'static AttributeRow {
        &ATTRIBUTES[self as usize]
    }

    /// The attribute of a 1.x name.
    pub fn from_name(name: &str) -> Option<Self> {
        ATTRIBUTES.iter().find(|row| row.name == name).map(|row| row.attribute_type)
    }
}

impl Attribute {
    /// A custom attribute.
    pub fn custom(vendor: impl Into<ByteString>, name: impl Into<ByteString>, value: CustomValue) -> Self {
        Self::Custom(Box::new(CustomAttribute { vendor: vendor.into(), name: name.into(), value }))
    }

    /// What refers to this attribute.
    pub fn reference(&self) -> AttributeReference {
        match self {
            Self::Custom(custom) => {
                AttributeReference::Custom { vendor: custom.vendor.clone(), name: custom.name.clone() }
            }
            other => match other.attribute_type() {
                Some(attribute_type) => AttributeReference::Known(attribute_type),
                None => unreachable!("only custom attributes have no type"),
            },
        }
    }

    /// How many instances of this attribute an object may have.
    pub fn instances(&self) -> Instances {
        self.attribute_type().map_or(Instances::Multiple, |attribute_type| attribute_type.row().instances)
    }
}

impl std::fmt::Display for AttributeType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.row().name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_stands_where_its_type_points() {
        for row in ATTRIBUTES {
            assert_eq!(row.attribute_type.row().name, row.name);
            assert_eq!(AttributeType::from_tag(row.tag), Some(row.attribute_type));
            assert_eq!(AttributeType::from_name(row.name), Some(row.attribute_type));
        }
    }
}
