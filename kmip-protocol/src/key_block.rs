//! Key Block, key material and key wrapping (KMIP 2.1 section 3, 7.18).

use bytes::Bytes;
use kmip_ttlv::{Error, ErrorKind, ItemType, Limits, Reader, Tag, Writer};

use crate::attribute::{AttributeList, AttributeReference, Attributes, CryptographicParameters, Spelling};
use crate::codec::{BigInteger, Item, Secret, encoded_is_known, structure};
use crate::enumeration::{
    CryptographicAlgorithm, EncodingOption, KeyCompressionType, KeyFormatType, RecommendedCurve,
    WrappingMethod,
};
use crate::identifier::UniqueIdentifier;
use crate::tag;
use crate::version::{AT_REST, Version};

structure! {
    /// A key and how to read it (3.1).
    pub struct KeyBlock {
        /// The format of the key material.
        required key_format_type: KeyFormatType = KEY_FORMAT_TYPE;
        /// The compression of an elliptic curve point.
        optional key_compression_type: KeyCompressionType = KEY_COMPRESSION_TYPE;
        /// The key; absent where the server does not hold it.
        essential key_value: KeyValue = KEY_VALUE;
        /// The algorithm of the key.
        optional cryptographic_algorithm: CryptographicAlgorithm = CRYPTOGRAPHIC_ALGORITHM;
        /// Bits of the key.
        optional cryptographic_length: i32 = CRYPTOGRAPHIC_LENGTH;
        /// How the key is wrapped; absent if it is not.
        essential key_wrapping_data: Box<KeyWrappingData> = KEY_WRAPPING_DATA;
    }

    /// How a key is wrapped (3.3).
    #[derive(Clone)]
    pub struct KeyWrappingData {
        /// Encrypted, authenticated, or both.
        required wrapping_method: WrappingMethod = WRAPPING_METHOD;
        /// The key that encrypts.
        optional encryption_key_information: KeyInformation = ENCRYPTION_KEY_INFORMATION;
        /// The key that authenticates.
        optional mac_signature_key_information: KeyInformation = MAC_SIGNATURE_KEY_INFORMATION;
        /// The authentication code or signature.
        optional mac_signature: Bytes = MAC_SIGNATURE;
        /// The initialization vector.
        optional iv_counter_nonce: Bytes = IV_COUNTER_NONCE;
        /// What was encrypted: the bare key material, or the encoded Key Value (the default).
        optional encoding_option: EncodingOption = ENCODING_OPTION [V1_1];
    }

    /// How a key is to be wrapped (7.18).
    pub struct KeyWrappingSpecification {
        /// Encrypt, authenticate, or both.
        required wrapping_method: WrappingMethod = WRAPPING_METHOD;
        /// The key that encrypts.
        optional encryption_key_information: KeyInformation = ENCRYPTION_KEY_INFORMATION;
        /// The key that authenticates.
        optional mac_signature_key_information: KeyInformation = MAC_SIGNATURE_KEY_INFORMATION;
        /// Attributes to wrap together with the key.
        choices attribute_references: AttributeReference;
        /// What to encrypt: the bare key material, or the encoded Key Value (the default).
        optional encoding_option: EncodingOption = ENCODING_OPTION [V1_1];
    }

    /// A key that wraps, and how (3.3).
    #[derive(Clone)]
    pub struct KeyInformation {
        /// The key.
        required unique_identifier: UniqueIdentifier = UNIQUE_IDENTIFIER;
        /// How it is used.
        optional cryptographic_parameters: CryptographicParameters = CRYPTOGRAPHIC_PARAMETERS;
    }

    /// Key material of the format Transparent Symmetric Key (3.4).
    pub struct TransparentSymmetricKey {
        /// The key.
        required key: Secret = KEY;
    }

    /// Key material of the format Transparent DSA Private Key (3.5).
    pub struct TransparentDsaPrivateKey {
        /// The prime modulus.
        required p: BigInteger = P;
        /// The prime divisor of p - 1.
        required q: BigInteger = Q;
        /// The generator.
        required g: BigInteger = G;
        /// The private key.
        required x: SecretInteger = X;
    }

    /// Key material of the format Transparent DSA Public Key (3.6).
    pub struct TransparentDsaPublicKey {
        /// The prime modulus.
        required p: BigInteger = P;
        /// The prime divisor of p - 1.
        required q: BigInteger = Q;
        /// The generator.
        required g: BigInteger = G;
        /// The public key.
        required y: BigInteger = Y;
    }

    /// Key material of the format Transparent RSA Private Key (3.7).
    pub struct TransparentRsaPrivateKey {
        /// n
        required modulus: BigInteger = MODULUS;
        /// d
        optional private_exponent: SecretInteger = PRIVATE_EXPONENT;
        /// e
        optional public_exponent: BigInteger = PUBLIC_EXPONENT;
        /// The first prime.
        optional p: SecretInteger = P;
        /// The second prime.
        optional q: SecretInteger = Q;
        /// d mod (p - 1)
        optional prime_exponent_p: SecretInteger = PRIME_EXPONENT_P;
        /// d mod (q - 1)
        optional prime_exponent_q: SecretInteger = PRIME_EXPONENT_Q;
        /// The inverse of q modulo p.
        optional crt_coefficient: SecretInteger = CRT_COEFFICIENT;
    }

    /// Key material of the format Transparent RSA Public Key (3.8).
    pub struct TransparentRsaPublicKey {
        /// n
        required modulus: BigInteger = MODULUS;
        /// e
        required public_exponent: BigInteger = PUBLIC_EXPONENT;
    }

    /// Key material of the format Transparent DH Private Key (3.9).
    pub struct TransparentDhPrivateKey {
        /// The prime modulus.
        required p: BigInteger = P;
        /// A prime factor of p - 1.
        optional q: BigInteger = Q;
        /// The generator.
        required g: BigInteger = G;
        /// The cofactor.
        optional j: BigInteger = J;
        /// The private key.
        required x: SecretInteger = X;
    }

    /// Key material of the format Transparent DH Public Key (3.10).
    pub struct TransparentDhPublicKey {
        /// The prime modulus.
        required p: BigInteger = P;
        /// A prime factor of p - 1.
        optional q: BigInteger = Q;
        /// The generator.
        required g: BigInteger = G;
        /// The cofactor.
        optional j: BigInteger = J;
        /// The public key.
        required y: BigInteger = Y;
    }

    /// Key material of the format Transparent EC Private Key (3.11) and its 1.x fore-runners.
    pub struct TransparentEcPrivateKey {
        /// The curve.
        required recommended_curve: RecommendedCurve = RECOMMENDED_CURVE;
        /// The private key.
        required d: SecretInteger = D;
    }

    /// Key material of the format Transparent EC Public Key (3.12) and its 1.x fore-runners.
    pub struct TransparentEcPublicKey {
        /// The curve.
        required recommended_curve: RecommendedCurve = RECOMMENDED_CURVE;
        /// The point, as an octet string.
        required q_string: Bytes = Q_STRING;
    }
}

/// A Big Integer that is part of a private key.
#[derive(Debug)]
pub struct SecretInteger(pub Secret);

impl Item for SecretInteger {
    fn read(reader: &mut Reader<'_>, tag: Tag, _version: Version) -> Result<Self, Error> {
        reader.big_integer(tag).map(Secret::copy_from_slice).map(Self)
    }

    fn write(&self, writer: &mut Writer, tag: Tag, _version: Version) {
        writer.big_integer(tag, self.0.expose());
    }
}

/// The value of a key (3.2).
#[derive(Debug)]
pub enum KeyValue {
    /// The key material, with attributes that travel with it.
    Plain {
        /// The key material.
        material: KeyMaterial,
        /// Attributes that travel with the key.
        attributes: Attributes,
    },
    /// The wrapped key.
    Wrapped(Bytes),
}

/// Key material: the Key Format Type says how to read it.
#[derive(Debug)]
pub enum KeyMaterial {
    /// Raw, Opaque and the encoded formats.
    Bytes(Secret),
    /// The transparent formats: the encoded items of the structure.
    Transparent(Secret),
}

impl KeyValue {
    /// A key value without attributes.
    pub fn plain(material: Secret) -> Self {
        Self::Plain { material: KeyMaterial::Bytes(material), attributes: Attributes::default() }
    }
}

impl KeyMaterial {
    /// Encodes a transparent key.
    pub fn from_transparent(key: &impl Item, version: Version) -> Self {
        let mut writer = Writer::new();
        key.write(&mut writer, tag::KEY_MATERIAL, version);
        let encoded = Secret::from(writer.finish()).into_bytes();
        Self::Transparent(Secret::from_zeroizing(encoded.slice(ITEM_HEADER_BYTES..)))
    }

    /// Decodes a transparent key of the type that the Key Format Type promises.
    pub fn transparent<T: Item>(&self, version: Version) -> Result<T, Error> {
        let mut writer = Writer::new();
        self.write(&mut writer, tag::KEY_MATERIAL, version);
        let encoded = writer.finish().into_bytes();
        T::read(&mut Reader::new(&encoded, Limits::default())?, tag::KEY_MATERIAL, version)
    }
}

/// Tag, type and length before each value.
const ITEM_HEADER_BYTES: usize = 8;

impl Item for KeyMaterial {
    fn read(reader: &mut Reader<'_>, tag: Tag, version: Version) -> Result<Self, Error> {
        match reader.peek()? {
            Some(header) if header.item_type == ItemType::Structure && header.tag == tag => {
                let unknown = reader.error(ErrorKind::InvalidValue);
                let items = reader.raw()?.value_bytes();
                // Whom should it be told to, if no version knows it?
                if !encoded_is_known(&items, AT_REST) {
                    return Err(unknown);
                }
                Ok(Self::Transparent(Secret::from_zeroizing(items)))
            }
            _ => Secret::read(reader, tag, version).map(Self::Bytes),
        }
    }

    fn write(&self, writer: &mut Writer, tag: Tag, _version: Version) {
        match self {
            Self::Bytes(material) => writer.byte_string(tag, material.expose()),
            Self::Transparent(items) => writer.structure(tag, |writer| writer.raw(items.expose())),
        }
    }

    fn is_known(&self, version: Version) -> bool {
        match self {
            Self::Bytes(_) => true,
            Self::Transparent(items) => encoded_is_known(&items.share().into_bytes(), version),
        }
    }
}

impl Item for KeyValue {
    fn read(reader: &mut Reader<'_>, tag: Tag, version: Version) -> Result<Self, Error> {
        if reader.peek()?.is_some_and(|header| header.item_type == ItemType::ByteString) {
            return reader.bytes(tag).map(Self::Wrapped);
        }
        reader.structure(tag, |reader| {
            let mut material = None;
            let mut attributes = AttributeList::default();
            while let Some(next) = reader.peek_tag()? {
                if next == tag::KEY_MATERIAL {
                    crate::codec::once(&mut material, reader, |reader| {
                        KeyMaterial::read(reader, next, version)
                    })?;
                } else if Spelling::OPTIONAL_BARE.accepts(next) {
                    attributes.read_more(reader, next, version)?;
                } else {
                    crate::codec::skip_extension(reader, next)?;
                }
            }
            let material = material.ok_or_else(|| crate::codec::missing(reader, tag::KEY_MATERIAL))?;
            Ok(Self::Plain { material, attributes: attributes.attributes })
        })
    }

    fn write(&self, writer: &mut Writer, tag: Tag, version: Version) {
        match self {
            Self::Wrapped(bytes) => writer.byte_string(tag, bytes),
            Self::Plain { material, attributes } => writer.structure(tag, |writer| {
                material.write(writer, tag::KEY_MATERIAL, version);
                attributes.write(writer, &Spelling::OPTIONAL_BARE, version);
            }),
        }
    }

    fn is_known(&self, version: Version) -> bool {
        match self {
            Self::Wrapped(_) => true,
            Self::Plain { material, .. } => material.is_known(version),
        }
    }
}
