//! Krypton's seal: how every key of the chain below L1 is kept at rest.
//!
//! ```text
//! offset  bytes  content
//! 0       1      format version, 1
//! 1       32     salt, fresh for every seal
//! 33      n      ciphertext, as long as the plaintext
//! 33 + n  16     authentication tag
//! ```
//!
//! Each seal has a key of its own: HKDF-SHA-256 with the sealing key as input keying material, the salt, and as info
//! the ASCII text `krypton envelope: AES-256-GCM` followed by the format version byte. AES-256-GCM encrypts under it
//! with an all-zero nonce, which is safe because no key is used twice. Billions of seals under one sealing key stay
//! far from a collision of 256-bit salts, where random 96-bit nonces would not.
//!
//! The associated data is the caller's: it says what the plaintext is and whose, so that a blob moved elsewhere
//! does not open. The envelope adds the format version through the info text.

use kmip_ttlv::SecretBuffer;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, Tag, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};

use super::{CryptoError, Entropy};

/// The length of a sealing key in bytes.
pub const SEALING_KEY_BYTES: usize = 32;
/// How many bytes a sealed blob is longer than its plaintext.
pub const ENVELOPE_OVERHEAD_BYTES: usize = HEADER_BYTES + TAG_BYTES;

const FORMAT_VERSION: u8 = 1;
const SALT_BYTES: usize = 32;
const HEADER_BYTES: usize = 1 + SALT_BYTES;
const TAG_BYTES: usize = 16;
const DERIVATION_CONTEXT: &[u8] = b"krypton envelope: AES-256-GCM";

/// Seals `plaintext` under `key`, bound to `associated_data`.
///
/// # Errors
///
/// [`CryptoError::EntropyUnavailable`]; [`CryptoError::InvalidLength`] beyond what AES-GCM takes (64 GiB).
pub fn seal(
    key: &[u8; SEALING_KEY_BYTES],
    associated_data: &[u8],
    plaintext: &[u8],
    entropy: &dyn Entropy,
) -> Result<Vec<u8>, CryptoError> {
    let mut blob = Vec::with_capacity(plaintext.len() + ENVELOPE_OVERHEAD_BYTES);
    blob.resize(HEADER_BYTES, FORMAT_VERSION);
    entropy.fill(&mut blob[1..])?;
    let one_time_key = derive_key(key, &blob[1..]);
    blob.extend_from_slice(plaintext);
    let tag = one_time_key
        .seal_in_place_separate_tag(zero_nonce(), Aad::from(associated_data), &mut blob[HEADER_BYTES..])
        .map_err(|_| CryptoError::InvalidLength)?;
    blob.extend_from_slice(tag.as_ref());
    Ok(blob)
}

/// Opens a blob of [`seal`].
///
/// # Errors
///
/// [`CryptoError::DecryptionFailed`] when the key, the associated data or any byte of the blob is another.
pub fn unseal(
    key: &[u8; SEALING_KEY_BYTES],
    associated_data: &[u8],
    blob: &[u8],
) -> Result<SecretBuffer, CryptoError> {
    let mut plaintext = SecretBuffer::with_capacity(blob.len());
    plaintext.resize(plaintext_length(blob)?);
    unseal_into(key, associated_data, blob, &mut plaintext)?;
    Ok(plaintext)
}

/// As [`unseal`], into memory of the caller: exactly [`plaintext_length`] bytes, all zero after an error.
///
/// # Errors
///
/// As [`unseal`]; [`CryptoError::InvalidLength`] when `plaintext` has another length.
pub fn unseal_into(
    key: &[u8; SEALING_KEY_BYTES],
    associated_data: &[u8],
    blob: &[u8],
    plaintext: &mut [u8],
) -> Result<(), CryptoError> {
    if plaintext.len() != plaintext_length(blob)? {
        return Err(CryptoError::InvalidLength);
    }
    let (header, body) = blob.split_at(HEADER_BYTES);
    let (ciphertext, tag) = body.split_at(body.len() - TAG_BYTES);
    let tag = Tag::try_from(tag).map_err(|_| CryptoError::DecryptionFailed)?;
    plaintext.copy_from_slice(ciphertext);
    let opened = derive_key(key, &header[1..])
        .open_in_place_separate_tag(zero_nonce(), Aad::from(associated_data), tag, plaintext, 0..)
        .map(|_| ());
    opened.map_err(|_| {
        plaintext.fill(0);
        CryptoError::DecryptionFailed
    })
}

/// How many bytes [`unseal_into`] needs for `blob`.
///
/// # Errors
///
/// [`CryptoError::DecryptionFailed`] when it is no blob of a known format version.
pub fn plaintext_length(blob: &[u8]) -> Result<usize, CryptoError> {
    match blob.len().checked_sub(ENVELOPE_OVERHEAD_BYTES) {
        Some(length) if blob[0] == FORMAT_VERSION => Ok(length),
        _ => Err(CryptoError::DecryptionFailed),
    }
}

fn derive_key(key: &[u8; SEALING_KEY_BYTES], salt: &[u8]) -> LessSafeKey {
    let pseudorandom_key = Salt::new(HKDF_SHA256, salt).extract(key);
    let info = [DERIVATION_CONTEXT, &[FORMAT_VERSION]];
    let derived = pseudorandom_key.expand(&info, &AES_256_GCM).expect("32 bytes are within HKDF's limit");
    LessSafeKey::new(UnboundKey::from(derived))
}

/// The key is used for one message only, so the nonce need not vary.
fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; ring::aead::NONCE_LEN])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::SystemEntropy;
    use super::super::test_vectors::{Vectors, hex};
    use super::*;
    use proptest::prelude::*;

    /// Entropy that repeats one byte.
    struct Constant(u8);

    impl Entropy for Constant {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), CryptoError> {
            bytes.fill(self.0);
            Ok(())
        }
    }

    const KEY: [u8; 32] = [7; 32];

    #[test]
    fn known_answers() {
        for vector in Vectors::read("envelope") {
            let key: [u8; 32] = vector.bytes("key").try_into().unwrap();
            let (associated, plaintext) = (vector.bytes("associated_data"), vector.bytes("plaintext"));
            let salt = Constant(vector.bytes("salt")[0]);
            assert_eq!(hex(&seal(&key, &associated, &plaintext, &salt).unwrap()), vector.text("blob"));
            assert_eq!(*unseal(&key, &associated, &vector.bytes("blob")).unwrap(), *plaintext);
        }
    }

    #[test]
    fn a_changed_bit_anywhere_does_not_open() {
        let blob = seal(&KEY, b"row 1", b"secret", &SystemEntropy::new()).unwrap();
        assert_eq!(*unseal(&KEY, b"row 1", &blob).unwrap(), *b"secret");
        assert_eq!(unseal(&KEY, b"row 2", &blob).unwrap_err(), CryptoError::DecryptionFailed);
        assert_eq!(unseal(&[8; 32], b"row 1", &blob).unwrap_err(), CryptoError::DecryptionFailed);
        for bit in 0..blob.len() * 8 {
            let mut changed = blob.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unseal(&KEY, b"row 1", &changed).unwrap_err(), CryptoError::DecryptionFailed);
        }
        for length in 0..blob.len() {
            assert_eq!(unseal(&KEY, b"row 1", &blob[..length]).unwrap_err(), CryptoError::DecryptionFailed);
        }
    }

    #[test]
    fn a_failure_leaves_zeros() {
        let mut blob = seal(&KEY, b"", &[1; 40], &Constant(3)).unwrap();
        *blob.last_mut().unwrap() ^= 1;
        let mut plaintext = [0xFF; 40];
        assert_eq!(unseal_into(&KEY, b"", &blob, &mut plaintext), Err(CryptoError::DecryptionFailed));
        assert_eq!(plaintext, [0; 40]);
        assert_eq!(unseal_into(&KEY, b"", &blob, &mut [0; 39]), Err(CryptoError::InvalidLength));
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens(key: [u8; 32], associated: Vec<u8>, plaintext: Vec<u8>) {
            let entropy = SystemEntropy::new();
            let blob = seal(&key, &associated, &plaintext, &entropy).unwrap();
            prop_assert_eq!(blob.len(), plaintext.len() + ENVELOPE_OVERHEAD_BYTES);
            prop_assert_ne!(&blob, &seal(&key, &associated, &plaintext, &entropy).unwrap());
            prop_assert_eq!(&*unseal(&key, &associated, &blob).unwrap(), &plaintext[..]);
        }
    }
}
