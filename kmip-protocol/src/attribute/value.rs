//! The structured values that attributes have (KMIP 2.1 section 4, 1.4 section 3).

use bytes::Bytes;
use bytestring::ByteString;
use kmip_ttlv::{Error, ErrorKind, ItemType, Reader, Tag, Writer};

use crate::codec::{BigInteger, DATE_TIME_EXTENDED, DateTime, Interval, Item, encoded_is_known, structure};
use crate::enumeration::{
    AlternativeNameType, BlockCipherMode, CryptographicAlgorithm, DigitalSignatureAlgorithm, DrbgAlgorithm,
    Fips186Variation, HashingAlgorithm, KeyFormatType, KeyRoleType, KeyValueLocationType, LinkType,
    MaskGenerator, NameType, PaddingMethod, RecommendedCurve, RevocationReasonCode, RngAlgorithm,
    RotateNameType, UsageLimitsUnit,
};
use crate::identifier::UniqueIdentifier;
use crate::version::{AT_REST, Version};

structure! {
    /// A name by which clients find an object (4.32); unique among the names of a tenant.
    #[derive(Clone, PartialEq)]
    pub struct Name {
        /// The name itself.
        required value: ByteString = NAME_VALUE;
        /// Whether the name is a URI.
        required name_type: NameType = NAME_TYPE;
    }

    /// A name that need not be unique (4.2).
    #[derive(Clone, PartialEq)]
    pub struct AlternativeName {
        /// The name itself.
        required value: ByteString = ALTERNATIVE_NAME_VALUE;
        /// What kind of name it is.
        required name_type: AlternativeNameType = ALTERNATIVE_NAME_TYPE;
    }

    /// Data that an application keeps with the object (4.4).
    #[derive(Clone, PartialEq)]
    pub struct ApplicationSpecificInformation {
        /// Whose data it is.
        required namespace: ByteString = APPLICATION_NAMESPACE;
        /// The data; the server chooses some where the client gives none.
        optional data: ByteString = APPLICATION_DATA;
    }

    /// Deprecated form of [`X509CertificateIdentifier`] (1.4 section 3.12).
    #[derive(Clone, PartialEq)]
    pub struct CertificateIdentifier {
        /// The issuer's distinguished name.
        required issuer: ByteString = ISSUER;
        /// The serial number.
        optional serial_number: ByteString = SERIAL_NUMBER;
    }

    /// Deprecated form of [`X509CertificateSubject`] (1.4 section 3.13).
    #[derive(Clone, PartialEq)]
    pub struct CertificateSubject {
        /// The subject's distinguished name.
        required distinguished_name: ByteString = CERTIFICATE_SUBJECT_DISTINGUISHED_NAME;
        /// Further names.
        repeated alternative_names: ByteString = CERTIFICATE_SUBJECT_ALTERNATIVE_NAME;
    }

    /// Deprecated form of [`X509CertificateIssuer`] (1.4 section 3.14).
    #[derive(Clone, PartialEq)]
    pub struct CertificateIssuer {
        /// The issuer's distinguished name.
        required distinguished_name: ByteString = CERTIFICATE_ISSUER_DISTINGUISHED_NAME;
        /// Further names.
        repeated alternative_names: ByteString = CERTIFICATE_ISSUER_ALTERNATIVE_NAME;
    }

    /// Issuer and serial number of an X.509 certificate (4.61), DER-encoded.
    #[derive(Clone, PartialEq)]
    pub struct X509CertificateIdentifier {
        /// The issuer's distinguished name.
        required issuer_distinguished_name: Bytes = ISSUER_DISTINGUISHED_NAME;
        /// The serial number.
        required certificate_serial_number: Bytes = CERTIFICATE_SERIAL_NUMBER;
    }

    /// Issuer of an X.509 certificate (4.62), DER-encoded.
    #[derive(Clone, PartialEq)]
    pub struct X509CertificateIssuer {
        /// The issuer's distinguished name.
        required issuer_distinguished_name: Bytes = ISSUER_DISTINGUISHED_NAME;
        /// Further names.
        repeated issuer_alternative_names: Bytes = ISSUER_ALTERNATIVE_NAME;
    }

    /// Subject of an X.509 certificate (4.63), DER-encoded.
    #[derive(Clone, PartialEq)]
    pub struct X509CertificateSubject {
        /// The subject's distinguished name.
        required subject_distinguished_name: Bytes = SUBJECT_DISTINGUISHED_NAME;
        /// Further names.
        repeated subject_alternative_names: Bytes = SUBJECT_ALTERNATIVE_NAME;
    }

    /// Parameters of a key pair's algorithm (4.14).
    #[derive(Clone, PartialEq)]
    pub struct CryptographicDomainParameters {
        /// Bits of Q for DSA and DH.
        optional qlength: i32 = QLENGTH;
        /// The curve.
        optional recommended_curve: RecommendedCurve = RECOMMENDED_CURVE;
    }

    /// How a key is to be used in a cryptographic operation (4.16).
    #[derive(Clone, PartialEq, Default)]
    pub struct CryptographicParameters {
        /// The mode of a block cipher.
        optional block_cipher_mode: BlockCipherMode = BLOCK_CIPHER_MODE;
        /// The padding of a block cipher or of RSA.
        optional padding_method: PaddingMethod = PADDING_METHOD;
        /// The hash of a signature, MAC or OAEP.
        optional hashing_algorithm: HashingAlgorithm = HASHING_ALGORITHM;
        /// What the key is for in a payment system.
        optional key_role_type: KeyRoleType = KEY_ROLE_TYPE;
        /// Signature algorithm and hash in one.
        optional digital_signature_algorithm: DigitalSignatureAlgorithm = DIGITAL_SIGNATURE_ALGORITHM [V1_2];
        /// The algorithm.
        optional cryptographic_algorithm: CryptographicAlgorithm = CRYPTOGRAPHIC_ALGORITHM [V1_2];
        /// Whether the server makes the initialization vector.
        optional random_iv: bool = RANDOM_IV [V1_2];
        /// Bits of the initialization vector.
        optional iv_length: i32 = IV_LENGTH [V1_2];
        /// Bytes of an authentication tag.
        optional tag_length: i32 = TAG_LENGTH [V1_2];
        /// Bits of the fixed field of a deterministic IV.
        optional fixed_field_length: i32 = FIXED_FIELD_LENGTH [V1_2];
        /// Bits of the invocation field of a deterministic IV.
        optional invocation_field_length: i32 = INVOCATION_FIELD_LENGTH [V1_2];
        /// Bits of the counter of CTR.
        optional counter_length: i32 = COUNTER_LENGTH [V1_2];
        /// First value of the counter of CTR.
        optional initial_counter_value: i32 = INITIAL_COUNTER_VALUE [V1_2];
        /// Bytes of the salt of PSS.
        optional salt_length: i32 = SALT_LENGTH [V1_4];
        /// The mask generation function of OAEP and PSS.
        optional mask_generator: MaskGenerator = MASK_GENERATOR [V1_4];
        /// The hash of the mask generation function.
        optional mask_generator_hashing_algorithm: HashingAlgorithm = MASK_GENERATOR_HASHING_ALGORITHM [V1_4];
        /// The label of OAEP.
        optional p_source: Bytes = P_SOURCE [V1_4];
        /// The trailer field of PSS.
        optional trailer_field: i32 = TRAILER_FIELD [V1_4];
    }

    /// A digest of the object (4.21).
    #[derive(Clone, PartialEq)]
    pub struct Digest {
        /// The hash.
        required hashing_algorithm: HashingAlgorithm = HASHING_ALGORITHM;
        /// Its value over the key material, certificate value or opaque data.
        optional digest_value: Bytes = DIGEST_VALUE;
        /// The format of the key that was digested.
        optional key_format_type: KeyFormatType = KEY_FORMAT_TYPE [V1_1];
    }

    /// Where the value of a key is that the server does not hold (4.27).
    #[derive(Clone, PartialEq)]
    pub struct KeyValueLocation {
        /// A URI, such as `pkcs11:` of RFC 7512.
        required value: ByteString = KEY_VALUE_LOCATION_VALUE;
        /// Whether the value is a URI.
        required location_type: KeyValueLocationType = KEY_VALUE_LOCATION_TYPE;
    }

    /// A relation to another object (4.31).
    #[derive(Clone, PartialEq)]
    pub struct Link {
        /// The relation.
        required link_type: LinkType = LINK_TYPE;
        /// The other object.
        required linked_object_identifier: UniqueIdentifier = LINKED_OBJECT_IDENTIFIER;
    }

    /// The generator that made the key (4.46, 7.34).
    #[derive(Clone, PartialEq)]
    pub struct RngParameters {
        /// The kind of generator.
        required rng_algorithm: RngAlgorithm = RNG_ALGORITHM;
        /// The cipher that it uses.
        optional cryptographic_algorithm: CryptographicAlgorithm = CRYPTOGRAPHIC_ALGORITHM;
        /// Bits of that cipher's key.
        optional cryptographic_length: i32 = CRYPTOGRAPHIC_LENGTH;
        /// The hash that it uses.
        optional hashing_algorithm: HashingAlgorithm = HASHING_ALGORITHM;
        /// The construction of SP 800-90A.
        optional drbg_algorithm: DrbgAlgorithm = DRBG_ALGORITHM;
        /// The curve that it uses.
        optional recommended_curve: RecommendedCurve = RECOMMENDED_CURVE;
        /// The construction of FIPS 186.
        optional fips186_variation: Fips186Variation = FIPS186_VARIATION;
        /// Whether it resists prediction.
        optional prediction_resistance: bool = PREDICTION_RESISTANCE;
    }

    /// Why an object was revoked (4.47).
    #[derive(Clone, PartialEq)]
    pub struct RevocationReason {
        /// The reason.
        required code: RevocationReasonCode = REVOCATION_REASON_CODE;
        /// The reason in words.
        optional message: ByteString = REVOCATION_MESSAGE;
    }

    /// A name that follows the object through rotations (4.53).
    #[derive(Clone, PartialEq)]
    pub struct RotateName {
        /// The name itself.
        required value: ByteString = ROTATE_NAME_VALUE;
        /// Whether the name is a URI.
        required name_type: RotateNameType = ROTATE_NAME_TYPE;
    }

    /// How often a key may be used (4.59).
    #[derive(Clone, PartialEq)]
    pub struct UsageLimits {
        /// Uses allowed in all; negative: no limit.
        required total: i64 = USAGE_LIMITS_TOTAL;
        /// Uses left.
        optional count: i64 = USAGE_LIMITS_COUNT;
        /// What is counted.
        required unit: UsageLimitsUnit = USAGE_LIMITS_UNIT;
    }
}

/// A value of any type: of a custom attribute, or of an attribute that this server has no name for.
#[derive(Debug, Clone, PartialEq)]
pub enum CustomValue {
    /// Integer
    Integer(i32),
    /// Long Integer
    LongInteger(i64),
    /// Big Integer
    BigInteger(BigInteger),
    /// Enumeration
    Enumeration(u32),
    /// Boolean
    Boolean(bool),
    /// Text String
    Text(ByteString),
    /// Byte String
    Bytes(Bytes),
    /// Date-Time
    DateTime(DateTime),
    /// Interval
    Interval(Interval),
    /// Date-Time Extended: microseconds since 1970 (2.0 on)
    DateTimeExtended(i64),
    /// Structure: its encoded items. No sub-structures are allowed in it (1.4 section 3.39).
    Structure(Bytes),
}

impl CustomValue {
    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&ByteString> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl Item for CustomValue {
    fn read(reader: &mut Reader<'_>, tag: Tag, version: Version) -> Result<Self, Error> {
        let Some(header) = reader.peek()? else {
            return Err(reader.error(ErrorKind::MissingItem { expected: tag }));
        };
        Ok(match header.item_type {
            ItemType::Structure => Self::Structure(flat_structure(reader, tag)?),
            ItemType::Integer => Self::Integer(reader.integer(tag)?),
            ItemType::LongInteger => Self::LongInteger(reader.long_integer(tag)?),
            ItemType::BigInteger => Self::BigInteger(BigInteger::read(reader, tag, version)?),
            ItemType::Enumeration => Self::Enumeration(reader.enumeration(tag)?),
            ItemType::Boolean => Self::Boolean(reader.boolean(tag)?),
            ItemType::TextString => Self::Text(reader.text(tag)?),
            ItemType::ByteString => Self::Bytes(reader.bytes(tag)?),
            ItemType::DateTime => Self::DateTime(DateTime(reader.date_time(tag)?)),
            ItemType::Interval => Self::Interval(Interval(reader.interval(tag)?)),
            ItemType::DateTimeExtended => Self::DateTimeExtended(reader.date_time_extended(tag)?),
        })
    }

    fn write(&self, writer: &mut Writer, tag: Tag, version: Version) {
        match self {
            Self::Structure(items) => writer.structure(tag, |writer| writer.raw(items)),
            Self::Integer(value) => writer.integer(tag, *value),
            Self::LongInteger(value) => writer.long_integer(tag, *value),
            Self::BigInteger(value) => value.write(writer, tag, version),
            Self::Enumeration(value) => writer.enumeration(tag, *value),
            Self::Boolean(value) => writer.boolean(tag, *value),
            Self::Text(value) => writer.text_string(tag, value),
            Self::Bytes(value) => writer.byte_string(tag, value),
            Self::DateTime(value) => writer.date_time(tag, value.0),
            Self::Interval(value) => writer.interval(tag, value.0),
            Self::DateTimeExtended(value) => writer.date_time_extended(tag, *value),
        }
    }

    fn is_known(&self, version: Version) -> bool {
        match self {
            Self::Structure(items) => encoded_is_known(items, version),
            Self::DateTimeExtended(_) => DATE_TIME_EXTENDED.knows(version),
            _ => true,
        }
    }
}

/// Reads a structure of simple items that some version knows and keeps their encoding.
fn flat_structure(reader: &mut Reader<'_>, tag: Tag) -> Result<Bytes, Error> {
    let unknown = reader.error(ErrorKind::InvalidValue);
    let mut items = bytes::BytesMut::new();
    reader.structure(tag, |reader| {
        while let Some(header) = reader.peek()? {
            if header.item_type == ItemType::Structure {
                return Err(reader.error(ErrorKind::InvalidValue));
            }
            let item = reader.raw()?;
            items.extend_from_slice(&item.bytes);
        }
        Ok(())
    })?;
    let items = items.freeze();
    if encoded_is_known(&items, AT_REST) { Ok(items) } else { Err(unknown) }
}
