//! GCM and ChaCha20-Poly1305: at once with `ring` where it can, else, and in parts, with their building blocks.

use ghash::GHash;
use kmip_protocol::enumeration::CryptographicAlgorithm;
use poly1305::Poly1305;
use poly1305::universal_hash::{KeyInit, UniversalHash};
use ring::aead::{self, Aad, LessSafeKey, Nonce, Tag, UnboundKey};
use zeroize::Zeroizing;

use super::block::{BlockCipher, xor};
use super::keystream::Keystream;
use crate::crypto::CryptoError;

/// A full tag; shorter ones are its beginning.
pub(super) const TAG_BYTES: usize = 16;
const BLOCK_BYTES: usize = 16;

/// GCM of AES, or ChaCha20-Poly1305.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Gcm,
    ChaCha20Poly1305,
}

/// The `ring` key for the scheme, if `ring` has it: AES-128 and AES-256 with nonces of 96 bits, ChaCha20-Poly1305.
fn ring_key(scheme: Scheme, key: &[u8], vector: &[u8]) -> Option<(LessSafeKey, Nonce)> {
    let algorithm = match (scheme, key.len()) {
        (Scheme::Gcm, 16) => &aead::AES_128_GCM,
        (Scheme::Gcm, 32) => &aead::AES_256_GCM,
        (Scheme::ChaCha20Poly1305, _) => &aead::CHACHA20_POLY1305,
        _ => return None,
    };
    let nonce = Nonce::try_assume_unique_for_key(vector).ok()?;
    Some((LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?), nonce))
}

/// Encrypts in place and answers the full tag, if `ring` knows the parameters.
pub(super) fn seal_at_once(
    scheme: Scheme,
    key: &[u8],
    vector: &[u8],
    associated_data: &[u8],
    data: &mut [u8],
) -> Option<[u8; TAG_BYTES]> {
    let (key, nonce) = ring_key(scheme, key, vector)?;
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(associated_data), data).ok()?;
    tag.as_ref().try_into().ok()
}

/// Decrypts in place if `ring` knows the parameters. A wrong tag is an answer, not ignorance.
pub(super) fn open_at_once(
    scheme: Scheme,
    key: &[u8],
    vector: &[u8],
    associated_data: &[u8],
    data: &mut [u8],
    tag: &[u8],
) -> Option<Result<(), CryptoError>> {
    let tag = Tag::try_from(tag).ok()?;
    let (key, nonce) = ring_key(scheme, key, vector)?;
    let opened = key.open_in_place_separate_tag(nonce, Aad::from(associated_data), tag, data, 0..);
    Some(opened.map(|_| ()).map_err(|_| CryptoError::DecryptionFailed))
}

/// GCM or ChaCha20-Poly1305 under way.
pub(super) struct Authenticated {
    keystream: Keystream,
    hash: PaddedHash,
    /// What GCM adds to the hash; zero for ChaCha20-Poly1305, which does so itself.
    mask: Zeroizing<[u8; TAG_BYTES]>,
    associated_bytes: u64,
    data_bytes: u64,
}

impl Authenticated {
    pub(super) fn new(
        scheme: Scheme,
        key: &[u8],
        vector: &[u8],
        associated_data: &[u8],
    ) -> Result<Self, CryptoError> {
        let mut state = match scheme {
            Scheme::Gcm => Self::gcm(key, vector)?,
            Scheme::ChaCha20Poly1305 => Self::chacha20_poly1305(key, vector)?,
        };
        state.hash.absorb(associated_data);
        state.hash.pad();
        state.associated_bytes = associated_data.len() as u64;
        Ok(state)
    }

    /// SP 800-38D: the counter block before the first is made from the vector, of whatever length.
    fn gcm(key: &[u8], vector: &[u8]) -> Result<Self, CryptoError> {
        let cipher = BlockCipher::new(CryptographicAlgorithm::Aes, key)?;
        let mut hash_key = Zeroizing::new([0; BLOCK_BYTES]);
        cipher.encrypt_blocks(&mut *hash_key);
        let hash = PaddedHash::Ghash(Box::new(Partial::new(GHash::new((&*hash_key).into()))));
        let mut start = [0; BLOCK_BYTES];
        if vector.len() == 12 {
            start[..12].copy_from_slice(vector);
            start[15] = 1;
        } else {
            let mut hash = PaddedHash::Ghash(Box::new(Partial::new(GHash::new((&*hash_key).into()))));
            hash.absorb(vector);
            hash.pad();
            hash.absorb(&(vector.len() as u128 * 8).to_be_bytes());
            start = hash.finish();
        }
        let mut keystream = Keystream::counter(cipher, start, 4);
        let mut mask = Zeroizing::new([0; TAG_BYTES]);
        keystream.apply(&mut *mask)?;
        Ok(Self { keystream, hash, mask, associated_bytes: 0, data_bytes: 0 })
    }

    /// RFC 8439: block 0 of the stream is the key of the hash.
    fn chacha20_poly1305(key: &[u8], nonce: &[u8]) -> Result<Self, CryptoError> {
        let mut keystream = Keystream::chacha20(key, nonce, 0)?;
        let mut first_block = Zeroizing::new([0; 64]);
        keystream.apply(&mut *first_block)?;
        let hash_key: &[u8; 32] = first_block.first_chunk().expect("64 bytes hold 32");
        let hash = PaddedHash::Poly1305(Box::new(Partial::new(Poly1305::new(hash_key.into()))));
        Ok(Self { keystream, hash, mask: Zeroizing::default(), associated_bytes: 0, data_bytes: 0 })
    }

    pub(super) fn encrypt(&mut self, data: &mut [u8]) -> Result<(), CryptoError> {
        self.keystream.apply(data)?;
        self.absorb_ciphertext(data);
        Ok(())
    }

    pub(super) fn decrypt(&mut self, data: &mut [u8]) -> Result<(), CryptoError> {
        self.absorb_ciphertext(data);
        self.keystream.apply(data)
    }

    fn absorb_ciphertext(&mut self, ciphertext: &[u8]) {
        self.hash.absorb(ciphertext);
        self.data_bytes += ciphertext.len() as u64;
    }

    /// The full tag over all that was processed.
    pub(super) fn tag(mut self) -> [u8; TAG_BYTES] {
        self.hash.pad();
        let (associated, data) = (self.associated_bytes, self.data_bytes);
        let mut lengths = [0; BLOCK_BYTES];
        let (first, second) = lengths.split_at_mut(8);
        match self.hash {
            PaddedHash::Ghash(_) => {
                first.copy_from_slice(&(associated * 8).to_be_bytes());
                second.copy_from_slice(&(data * 8).to_be_bytes());
            }
            PaddedHash::Poly1305(_) => {
                first.copy_from_slice(&associated.to_le_bytes());
                second.copy_from_slice(&data.to_le_bytes());
            }
        }
        self.hash.absorb(&lengths);
        let mut tag = self.hash.finish();
        xor(&mut tag, &*self.mask);
        tag
    }
}

/// A polynomial hash that takes data of any length and pads with zeros where told.
enum PaddedHash {
    Ghash(Box<Partial<GHash>>),
    Poly1305(Box<Partial<Poly1305>>),
}

impl PaddedHash {
    fn absorb(&mut self, data: &[u8]) {
        match self {
            Self::Ghash(hash) => hash.absorb(data),
            Self::Poly1305(hash) => hash.absorb(data),
        }
    }

    fn pad(&mut self) {
        match self {
            Self::Ghash(hash) => hash.pad(),
            Self::Poly1305(hash) => hash.pad(),
        }
    }

    fn finish(self) -> [u8; TAG_BYTES] {
        match self {
            Self::Ghash(hash) => hash.hash.finalize().into(),
            Self::Poly1305(hash) => hash.hash.finalize().into(),
        }
    }
}

struct Partial<H> {
    hash: H,
    block: [u8; BLOCK_BYTES],
    filled: usize,
}

impl<H: UniversalHash<BlockSize = aes::cipher::consts::U16>> Partial<H> {
    fn new(hash: H) -> Self {
        Self { hash, block: [0; BLOCK_BYTES], filled: 0 }
    }

    fn absorb(&mut self, mut data: &[u8]) {
        if self.filled > 0 {
            let count = data.len().min(BLOCK_BYTES - self.filled);
            self.block[self.filled..self.filled + count].copy_from_slice(&data[..count]);
            self.filled += count;
            data = &data[count..];
            if self.filled < BLOCK_BYTES {
                return;
            }
            self.pad();
        }
        let (whole, rest) = data.split_at(data.len() / BLOCK_BYTES * BLOCK_BYTES);
        self.hash.update_padded(whole);
        self.block[..rest.len()].copy_from_slice(rest);
        self.filled = rest.len();
    }

    fn pad(&mut self) {
        self.hash.update_padded(&self.block[..self.filled]);
        self.filled = 0;
    }
}
