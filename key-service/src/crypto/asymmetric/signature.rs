//! Which signature a request means: by Digital Signature Algorithm, or by padding and hash.

use kmip_protocol::enumeration::{DigitalSignatureAlgorithm, HashingAlgorithm, MaskGenerator, PaddingMethod};

use super::curve::Curve;
use crate::crypto::{CipherParameters, CryptoError};

/// The only trailer field of PSS that exists.
const PSS_TRAILER_FIELD: i32 = 1;

/// A signature scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Pkcs1(HashingAlgorithm),
    Pss { hash: HashingAlgorithm, salt_bytes: Option<usize> },
    Ecdsa(HashingAlgorithm),
    Ed25519,
}

impl Scheme {
    /// For an RSA key: PKCS #1 v1.5 with SHA-256 unless the parameters say otherwise.
    pub(super) fn of_rsa(parameters: &CipherParameters) -> Result<Self, CryptoError> {
        use DigitalSignatureAlgorithm as Named;
        let hash = parameters.hashing_algorithm.unwrap_or(HashingAlgorithm::Sha256);
        Ok(match parameters.digital_signature_algorithm {
            None => match parameters.padding_method {
                None | Some(PaddingMethod::Pkcs1V1_5) => Self::Pkcs1(hash),
                Some(PaddingMethod::Pss) => Self::pss(hash, parameters)?,
                Some(_) => return Err(CryptoError::UnsupportedParameters),
            },
            Some(Named::Sha1WithRsaEncryption) => Self::Pkcs1(HashingAlgorithm::Sha1),
            Some(Named::Sha224WithRsaEncryption) => Self::Pkcs1(HashingAlgorithm::Sha224),
            Some(Named::Sha256WithRsaEncryption) => Self::Pkcs1(HashingAlgorithm::Sha256),
            Some(Named::Sha384WithRsaEncryption) => Self::Pkcs1(HashingAlgorithm::Sha384),
            Some(Named::Sha512WithRsaEncryption) => Self::Pkcs1(HashingAlgorithm::Sha512),
            Some(Named::Sha3_256WithRsaEncryption) => Self::Pkcs1(HashingAlgorithm::Sha3_256),
            Some(Named::Sha3_384WithRsaEncryption) => Self::Pkcs1(HashingAlgorithm::Sha3_384),
            Some(Named::Sha3_512WithRsaEncryption) => Self::Pkcs1(HashingAlgorithm::Sha3_512),
            Some(Named::RsassaPss) => Self::pss(hash, parameters)?,
            Some(_) => return Err(CryptoError::UnsupportedParameters),
        })
    }

    /// For a key on a curve. ECDSA hashes with what fits the curve unless the parameters say otherwise.
    pub(super) fn of_curve(curve: Curve, parameters: &CipherParameters) -> Result<Self, CryptoError> {
        use DigitalSignatureAlgorithm as Named;
        match curve {
            Curve::Ed25519 => return Ok(Self::Ed25519),
            Curve::X25519 => return Err(CryptoError::UnsupportedParameters),
            _ => {}
        }
        let hash = match parameters.digital_signature_algorithm {
            None => parameters.hashing_algorithm.unwrap_or(curve.default_hash()),
            Some(Named::EcdsaWithSha1) => HashingAlgorithm::Sha1,
            Some(Named::EcdsaWithSha224) => HashingAlgorithm::Sha224,
            Some(Named::EcdsaWithSha256) => HashingAlgorithm::Sha256,
            Some(Named::EcdsaWithSha384) => HashingAlgorithm::Sha384,
            Some(Named::EcdsaWithSha512) => HashingAlgorithm::Sha512,
            Some(_) => return Err(CryptoError::UnsupportedParameters),
        };
        if hash == HashingAlgorithm::Md5 {
            return Err(CryptoError::UnsupportedParameters);
        }
        Ok(Self::Ecdsa(hash))
    }

    /// The hash that goes before the signature, if one does.
    pub(super) fn hash(self) -> Option<HashingAlgorithm> {
        match self {
            Self::Pkcs1(hash) | Self::Pss { hash, .. } | Self::Ecdsa(hash) => Some(hash),
            Self::Ed25519 => None,
        }
    }

    /// PSS masks with MGF1 over the hash of the signature, also where KMIP's text has SHA-1 as the default: every
    /// client that leaves the hash of the mask out means that one, and so does OASIS's own test case CS-AC-M-2.
    fn pss(hash: HashingAlgorithm, parameters: &CipherParameters) -> Result<Self, CryptoError> {
        let mask_hash = parameters.mask_generator_hashing_algorithm.unwrap_or(hash);
        if mask_hash != hash || !matches!(parameters.mask_generator, None | Some(MaskGenerator::Mgf1)) {
            return Err(CryptoError::UnsupportedParameters);
        }
        if parameters.trailer_field.is_some_and(|field| field != PSS_TRAILER_FIELD) {
            return Err(CryptoError::BadParameters);
        }
        let salt_bytes = parameters
            .salt_length
            .map(usize::try_from)
            .transpose()
            .map_err(|_| CryptoError::BadParameters)?;
        Ok(Self::Pss { hash, salt_bytes })
    }
}
