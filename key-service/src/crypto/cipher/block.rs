//! The block ciphers behind one face.

use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use kmip_protocol::enumeration::CryptographicAlgorithm;

use crate::crypto::CryptoError;

/// The largest block in bytes.
pub(in crate::crypto) const LARGEST_BLOCK_BYTES: usize = 16;

/// A block cipher with its expanded key, which is zeroized on drop.
pub(in crate::crypto) enum BlockCipher {
    Aes128(aes::Aes128),
    Aes192(aes::Aes192),
    Aes256(aes::Aes256),
    /// Two keys, the first used twice.
    TripleDes2(des::TdesEde2),
    TripleDes3(des::TdesEde3),
}

/// Runs an expression with the cipher inside.
macro_rules! with_cipher {
    ($self:expr, $cipher:ident => $body:expr) => {
        match $self {
            Self::Aes128($cipher) => $body,
            Self::Aes192($cipher) => $body,
            Self::Aes256($cipher) => $body,
            Self::TripleDes2($cipher) => $body,
            Self::TripleDes3($cipher) => $body,
        }
    };
}

impl BlockCipher {
    pub(in crate::crypto) fn new(algorithm: CryptographicAlgorithm, key: &[u8]) -> Result<Self, CryptoError> {
        let cipher = match (algorithm, key.len()) {
            (CryptographicAlgorithm::Aes, 16) => aes::Aes128::new_from_slice(key).map(Self::Aes128),
            (CryptographicAlgorithm::Aes, 24) => aes::Aes192::new_from_slice(key).map(Self::Aes192),
            (CryptographicAlgorithm::Aes, 32) => aes::Aes256::new_from_slice(key).map(Self::Aes256),
            (CryptographicAlgorithm::TripleDes, 16) => {
                des::TdesEde2::new_from_slice(key).map(Self::TripleDes2)
            }
            (CryptographicAlgorithm::TripleDes, 24) => {
                des::TdesEde3::new_from_slice(key).map(Self::TripleDes3)
            }
            (CryptographicAlgorithm::Aes | CryptographicAlgorithm::TripleDes, _) => {
                return Err(CryptoError::InvalidKey);
            }
            _ => return Err(CryptoError::UnsupportedParameters),
        };
        cipher.map_err(|_| CryptoError::InvalidKey)
    }

    pub(in crate::crypto) fn block_bytes(&self) -> usize {
        match self {
            Self::TripleDes2(_) | Self::TripleDes3(_) => 8,
            _ => 16,
        }
    }

    /// Encrypts whole blocks, each by itself.
    pub(in crate::crypto) fn encrypt_blocks(&self, data: &mut [u8]) {
        debug_assert!(data.len().is_multiple_of(self.block_bytes()));
        with_cipher!(self, cipher => cipher.encrypt_blocks(Array::slice_as_chunks_mut(data).0));
    }

    /// Decrypts whole blocks, each by itself.
    pub(in crate::crypto) fn decrypt_blocks(&self, data: &mut [u8]) {
        debug_assert!(data.len().is_multiple_of(self.block_bytes()));
        with_cipher!(self, cipher => cipher.decrypt_blocks(Array::slice_as_chunks_mut(data).0));
    }
}

/// `target ^= other`, as long as the shorter of the two.
pub(in crate::crypto) fn xor(target: &mut [u8], other: &[u8]) {
    target.iter_mut().zip(other).for_each(|(target, other)| *target ^= other);
}
