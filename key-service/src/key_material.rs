//! Keys as objects and keys as cryptography takes them: the Key Format Types (KMIP 2.1 sections 3, 4.26 and 11.25).

use bytes::Bytes;
use kmip_protocol::codec::{BigInteger, Item, Secret};
use kmip_protocol::enumeration::{
    CryptographicAlgorithm, KeyFormatType, ObjectType, RecommendedCurve, ResultReason,
};
use kmip_protocol::key_block::{
    KeyBlock, KeyMaterial, KeyValue, SecretInteger, TransparentEcPrivateKey, TransparentEcPublicKey,
    TransparentRsaPrivateKey, TransparentRsaPublicKey, TransparentSymmetricKey,
};
use kmip_protocol::object::{self, ManagedObject};
use kmip_protocol::version::{V2_1, Version};
use kmip_ttlv::SecretBuffer;

use crate::certificate;
use crate::context::Context;
use crate::crypto::{PrivateKey, PublicKey, RsaPrivateComponents, RsaPublicComponents};
use crate::fault::Fault;
use crate::parameters;
use crate::record::Record;

use KeyFormatType as Format;

/// The bytes of a symmetric key or of secret data in plain text.
///
/// # Errors
/// If the object is no such key, or its value is wrapped or not here.
pub fn symmetric(object: &ManagedObject) -> Result<Secret, Fault> {
    if !matches!(object.object_type(), ObjectType::SymmetricKey | ObjectType::SecretData) {
        return Err(wrong_type());
    }
    raw(object)
}

/// The bytes of a key that is one string of bytes, or a transparent symmetric key.
///
/// # Errors
/// As [`symmetric`].
pub fn raw(object: &ManagedObject) -> Result<Secret, Fault> {
    let (block, material) = plain(object)?;
    match material {
        KeyMaterial::Bytes(bytes) => Ok(bytes.share()),
        _ if block.key_format_type == Format::TransparentSymmetricKey => {
            Ok(material.transparent::<TransparentSymmetricKey>(V2_1)?.key)
        }
        KeyMaterial::Transparent(_) => Err(unsupported_format()),
    }
}

/// The bytes of a key block whose key is one string of bytes.
///
/// # Errors
/// As [`symmetric`].
pub fn bytes(block: &KeyBlock) -> Result<Secret, Fault> {
    bytes_of(plain_value(block)?).map(Secret::share)
}

/// The private key that an object holds. Takes a millisecond for RSA, whose numbers are checked.
///
/// # Errors
/// If the object is no private key, or of a kind or format that is not computed with.
pub fn private_key(object: &ManagedObject, curve: Option<RecommendedCurve>) -> Result<PrivateKey, Fault> {
    if object.object_type() != ObjectType::PrivateKey {
        return Err(wrong_type());
    }
    let (block, material) = plain(object)?;
    let algorithm = block.cryptographic_algorithm;
    match block.key_format_type {
        Format::TransparentRsaPrivateKey => {
            let key = material.transparent::<TransparentRsaPrivateKey>(V2_1)?;
            Ok(PrivateKey::from_rsa_components(&rsa_private_components(&key))?)
        }
        format if is_transparent_ec_private(format) => {
            let key = material.transparent::<TransparentEcPrivateKey>(V2_1)?;
            let algorithm = algorithm.unwrap_or(CryptographicAlgorithm::Ec);
            Ok(PrivateKey::from_scalar(algorithm, Some(key.recommended_curve), key.d.0.expose())?)
        }
        format => Ok(PrivateKey::decode(format, bytes_of(material)?.expose(), algorithm, curve)?),
    }
}

/// The public key that an object holds, also that of a certificate.
///
/// # Errors
/// As [`private_key`].
pub fn public_key(object: &ManagedObject, curve: Option<RecommendedCurve>) -> Result<PublicKey, Fault> {
    if let ManagedObject::Certificate(object::Certificate { certificate_value, .. }) = object {
        let info = certificate::public_key_info(certificate_value)?;
        return Ok(PublicKey::decode(Format::X509, &info, None, None)?);
    }
    if object.object_type() != ObjectType::PublicKey {
        return Err(wrong_type());
    }
    let (block, material) = plain(object)?;
    let algorithm = block.cryptographic_algorithm;
    match block.key_format_type {
        Format::TransparentRsaPublicKey => {
            let key = material.transparent::<TransparentRsaPublicKey>(V2_1)?;
            let (modulus, public_exponent) = (key.modulus.0.to_vec(), key.public_exponent.0.to_vec());
            Ok(PublicKey::from_rsa_components(&RsaPublicComponents { modulus, public_exponent })?)
        }
        format if is_transparent_ec_public(format) => {
            let key = material.transparent::<TransparentEcPublicKey>(V2_1)?;
            let algorithm = algorithm.unwrap_or(CryptographicAlgorithm::Ec);
            Ok(PublicKey::from_point(algorithm, Some(key.recommended_curve), &key.q_string)?)
        }
        format => Ok(PublicKey::decode(format, bytes_of(material)?.expose(), algorithm, curve)?),
    }
}

/// Does something with a private key. RSA goes to the workers.
///
/// # Errors
/// As [`private_key`], and what `work` fails with.
pub async fn with_private_key<T: Send + 'static>(
    context: &Context<'_>,
    record: &Record,
    object: ManagedObject,
    work: impl FnOnce(&PrivateKey) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    use CryptographicAlgorithm as A;
    let curve = parameters::curve(record);
    let compute = move || work(&private_key(&object, curve)?);
    match parameters::algorithm(record) {
        Some(A::Ec | A::Ecdsa | A::Ecdh | A::Ed25519) => compute(),
        _ => context.service.workers.use_private_key(context.principal, compute).await?,
    }
}

/// The format of a new key whose client asked for none (4.26). Curve25519 has no numbers that Big Integers would hold
/// without doubt about their order: its keys are PKCS#8 and X.509.
pub fn default_format(
    object_type: ObjectType,
    algorithm: CryptographicAlgorithm,
    curve: Option<RecommendedCurve>,
) -> Format {
    let is_private = object_type == ObjectType::PrivateKey;
    match (algorithm, curve) {
        (CryptographicAlgorithm::Rsa, _) => Format::Pkcs1,
        (_, Some(RecommendedCurve::Curve25519)) if is_private => Format::Pkcs8,
        (_, Some(RecommendedCurve::Curve25519)) => Format::X509,
        _ if is_private => Format::TransparentEcPrivateKey,
        _ => Format::TransparentEcPublicKey,
    }
}

/// The object of a private key.
///
/// # Errors
/// If the key has no such format.
pub fn private_key_object(
    key: &PrivateKey,
    algorithm: CryptographicAlgorithm,
    format: Format,
) -> Result<ManagedObject, Fault> {
    let material = match (format, key.recommended_curve()) {
        (Format::TransparentRsaPrivateKey, _) => {
            KeyMaterial::from_transparent(&rsa_private_numbers(key.rsa_components()?), V2_1)
        }
        (format, Some(recommended_curve)) if is_transparent_ec_private(format) => {
            let d = secret_integer(&key.encode(Format::Raw)?);
            KeyMaterial::from_transparent(&TransparentEcPrivateKey { recommended_curve, d }, V2_1)
        }
        (format, _) => KeyMaterial::Bytes(Secret::from(key.encode(format)?)),
    };
    let key_block = block(format, algorithm, key.length_bits(), material);
    Ok(ManagedObject::PrivateKey(object::PrivateKey { key_block }))
}

/// The object of a public key.
///
/// # Errors
/// If the key has no such format.
pub fn public_key_object(
    key: &PublicKey,
    algorithm: CryptographicAlgorithm,
    format: Format,
) -> Result<ManagedObject, Fault> {
    let material = match (format, key.recommended_curve()) {
        (Format::TransparentRsaPublicKey, _) => {
            let RsaPublicComponents { modulus, public_exponent } = key.rsa_components()?;
            let numbers = TransparentRsaPublicKey {
                modulus: big_integer(&modulus),
                public_exponent: big_integer(&public_exponent),
            };
            KeyMaterial::from_transparent(&numbers, V2_1)
        }
        (format, Some(recommended_curve)) if is_transparent_ec_public(format) => {
            let q_string = Bytes::from(key.encode(Format::Raw)?);
            KeyMaterial::from_transparent(&TransparentEcPublicKey { recommended_curve, q_string }, V2_1)
        }
        (format, _) => KeyMaterial::Bytes(Secret::copy_from_slice(&key.encode(format)?)),
    };
    let key_block = block(format, algorithm, key.length_bits(), material);
    Ok(ManagedObject::PublicKey(object::PublicKey { key_block }))
}

/// Brings an object into the format that the client wants. Takes a millisecond for RSA.
///
/// # Errors
/// If the object cannot be had in it.
pub fn convert(
    object: &mut ManagedObject,
    wanted: Format,
    curve: Option<RecommendedCurve>,
) -> Result<(), Fault> {
    let Some(block) = object.key_block() else {
        return match (object.object_type(), wanted) {
            (ObjectType::Certificate, Format::X509)
            | (ObjectType::CertificateRequest, Format::Pkcs10)
            | (ObjectType::OpaqueObject, Format::Opaque) => Ok(()),
            _ => Err(unsupported_format()),
        };
    };
    if block.key_format_type == wanted {
        return Ok(());
    }
    let algorithm = block.cryptographic_algorithm;
    match object.object_type() {
        ObjectType::PrivateKey => {
            let key = private_key(object, curve)?;
            *object = private_key_object(&key, algorithm.unwrap_or(key.algorithm()), wanted)?;
        }
        ObjectType::PublicKey => {
            let key = public_key(object, curve)?;
            *object = public_key_object(&key, algorithm.unwrap_or(key.algorithm()), wanted)?;
        }
        _ => convert_symmetric(object, wanted)?,
    }
    Ok(())
}

/// A format that a client of `version` knows, for an object whose own it does not.
pub fn known_format(object: &ManagedObject, version: Version) -> Option<Format> {
    let format = object.key_block()?.key_format_type;
    if format.is_known(version) {
        return None;
    }
    match object.object_type() {
        ObjectType::PrivateKey => Some(Format::Pkcs8),
        ObjectType::PublicKey => Some(Format::X509),
        _ => None,
    }
}

fn convert_symmetric(object: &mut ManagedObject, wanted: Format) -> Result<(), Fault> {
    let is_symmetric = object.object_type() == ObjectType::SymmetricKey;
    let material = match wanted {
        Format::Raw | Format::Opaque => KeyMaterial::Bytes(raw(object)?),
        Format::TransparentSymmetricKey if is_symmetric => {
            KeyMaterial::from_transparent(&TransparentSymmetricKey { key: raw(object)? }, V2_1)
        }
        _ => return Err(unsupported_format()),
    };
    let block = object.key_block_mut().ok_or_else(unsupported_format)?;
    block.key_format_type = wanted;
    block.key_value = Some(KeyValue::Plain { material, attributes: Default::default() });
    Ok(())
}

fn block(format: Format, algorithm: CryptographicAlgorithm, length: i32, material: KeyMaterial) -> KeyBlock {
    KeyBlock {
        key_format_type: format,
        key_compression_type: None,
        key_value: Some(KeyValue::Plain { material, attributes: Default::default() }),
        cryptographic_algorithm: Some(algorithm),
        cryptographic_length: Some(length),
        key_wrapping_data: None,
    }
}

fn plain(object: &ManagedObject) -> Result<(&KeyBlock, &KeyMaterial), Fault> {
    let block = object.key_block().ok_or_else(wrong_type)?;
    Ok((block, plain_value(block)?))
}

fn plain_value(block: &KeyBlock) -> Result<&KeyMaterial, Fault> {
    match &block.key_value {
        Some(KeyValue::Plain { material, .. }) => Ok(material),
        Some(KeyValue::Wrapped(_)) => Err(Fault::new(
            ResultReason::InvalidField,
            "the key was registered wrapped and cannot be used here",
        )),
        None => Err(Fault::new(ResultReason::KeyValueNotPresent, "the value of the key is not held here")),
    }
}

fn bytes_of(material: &KeyMaterial) -> Result<&Secret, Fault> {
    match material {
        KeyMaterial::Bytes(bytes) => Ok(bytes),
        KeyMaterial::Transparent(_) => Err(unsupported_format()),
    }
}

fn is_transparent_ec_private(format: Format) -> bool {
    use Format as F;
    matches!(
        format,
        F::TransparentEcPrivateKey
            | F::TransparentEcdsaPrivateKey
            | F::TransparentEcdhPrivateKey
            | F::TransparentEcmqvPrivateKey
    )
}

fn is_transparent_ec_public(format: Format) -> bool {
    use Format as F;
    matches!(
        format,
        F::TransparentEcPublicKey
            | F::TransparentEcdsaPublicKey
            | F::TransparentEcdhPublicKey
            | F::TransparentEcmqvPublicKey
    )
}

fn rsa_private_components(key: &TransparentRsaPrivateKey) -> RsaPrivateComponents {
    let secret = |number: &Option<SecretInteger>| {
        number.as_ref().map(|SecretInteger(number)| {
            let mut copy = SecretBuffer::with_capacity(number.len());
            copy.extend_from_slice(number.expose());
            copy
        })
    };
    RsaPrivateComponents {
        modulus: key.modulus.0.to_vec(),
        public_exponent: key.public_exponent.as_ref().map(|exponent| exponent.0.to_vec()),
        private_exponent: secret(&key.private_exponent),
        prime_p: secret(&key.p),
        prime_q: secret(&key.q),
        prime_exponent_p: secret(&key.prime_exponent_p),
        prime_exponent_q: secret(&key.prime_exponent_q),
        crt_coefficient: secret(&key.crt_coefficient),
    }
}

fn rsa_private_numbers(components: RsaPrivateComponents) -> TransparentRsaPrivateKey {
    let secret = |number: Option<SecretBuffer>| number.as_deref().map(secret_integer);
    TransparentRsaPrivateKey {
        modulus: big_integer(&components.modulus),
        private_exponent: secret(components.private_exponent),
        public_exponent: components.public_exponent.as_deref().map(big_integer),
        p: secret(components.prime_p),
        q: secret(components.prime_q),
        prime_exponent_p: secret(components.prime_exponent_p),
        prime_exponent_q: secret(components.prime_exponent_q),
        crt_coefficient: secret(components.crt_coefficient),
    }
}

/// An unsigned number, big-endian, in two's complement.
fn big_integer(unsigned: &[u8]) -> BigInteger {
    BigInteger(Bytes::copy_from_slice(&positive(unsigned)))
}

fn secret_integer(unsigned: &[u8]) -> SecretInteger {
    SecretInteger(Secret::from(positive(unsigned)))
}

fn positive(unsigned: &[u8]) -> SecretBuffer {
    let zeros = unsigned.iter().take_while(|byte| **byte == 0).count();
    let digits = &unsigned[zeros..];
    let mut number = SecretBuffer::with_capacity(digits.len() + 1);
    if digits.first().is_none_or(|first| first & 0x80 != 0) {
        number.push(0);
    }
    number.extend_from_slice(digits);
    number
}

fn wrong_type() -> Fault {
    Fault::new(ResultReason::InvalidObjectType, "the object is not of the type that this operation needs")
}

fn unsupported_format() -> Fault {
    Fault::new(ResultReason::KeyFormatTypeNotSupported, "the object cannot be had or used in this key format")
}
