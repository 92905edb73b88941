//! Which cryptographic parameters hold: those of the request, or those of the key (KMIP 2.1 section 4.16).

use kmip_protocol::attribute::{Attribute, AttributeType, CryptographicParameters};
use kmip_protocol::enumeration::{CryptographicAlgorithm, RecommendedCurve};

use crate::crypto::CipherParameters;
use crate::record::Record;

/// The parameters of the request, or the first ones of the key where the request has none. The algorithm is the key's
/// own unless they name another.
pub fn chosen(record: &Record, requested: Option<&CryptographicParameters>) -> CipherParameters {
    let chosen = requested.or_else(|| stored(record).next()).cloned().unwrap_or_default();
    let mut parameters = plain(chosen);
    parameters.cryptographic_algorithm = parameters.cryptographic_algorithm.or_else(|| algorithm(record));
    parameters
}

/// The parameters that the key has been given.
pub fn stored(record: &Record) -> impl Iterator<Item = &CryptographicParameters> {
    record.attributes.iter().filter_map(|attribute| match attribute {
        Attribute::CryptographicParameters(parameters) => Some(&**parameters),
        _ => None,
    })
}

/// The algorithm of the key.
pub fn algorithm(record: &Record) -> Option<CryptographicAlgorithm> {
    match record.attribute(AttributeType::CryptographicAlgorithm) {
        Some(Attribute::CryptographicAlgorithm(algorithm)) => Some(*algorithm),
        _ => None,
    }
}

/// The length of the key in bits.
pub fn length(record: &Record) -> Option<i32> {
    match record.attribute(AttributeType::CryptographicLength) {
        Some(Attribute::CryptographicLength(length)) => Some(*length),
        _ => None,
    }
}

/// The curve of the key, where it was told.
pub fn curve(record: &Record) -> Option<RecommendedCurve> {
    match record.attribute(AttributeType::CryptographicDomainParameters) {
        Some(Attribute::CryptographicDomainParameters(parameters)) => parameters.recommended_curve,
        _ => None,
    }
}

/// KMIP's parameters as plain values.
pub fn plain(parameters: CryptographicParameters) -> CipherParameters {
    CipherParameters {
        cryptographic_algorithm: parameters.cryptographic_algorithm,
        block_cipher_mode: parameters.block_cipher_mode,
        padding_method: parameters.padding_method,
        hashing_algorithm: parameters.hashing_algorithm,
        digital_signature_algorithm: parameters.digital_signature_algorithm,
        random_iv: parameters.random_iv,
        iv_length: parameters.iv_length,
        tag_length: parameters.tag_length,
        counter_length: parameters.counter_length,
        initial_counter_value: parameters.initial_counter_value,
        salt_length: parameters.salt_length,
        mask_generator: parameters.mask_generator,
        mask_generator_hashing_algorithm: parameters.mask_generator_hashing_algorithm,
        p_source: parameters.p_source,
        trailer_field: parameters.trailer_field,
    }
}
