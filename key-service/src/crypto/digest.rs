//! Hash: the digests, at once and in parts.

use kmip_protocol::enumeration::HashingAlgorithm;
use sha2::digest::DynDigest;

use super::CryptoError;

/// Runs an expression with the type of the digest that a `HashingAlgorithm` names, or fails as unsupported.
macro_rules! with_digest {
    ($algorithm:expr, $digest:ident => $body:expr) => {
        with_digest!(@match $algorithm, $digest => $body;
            Md5 = md5::Md5, Sha1 = sha1::Sha1, Sha224 = sha2::Sha224, Sha256 = sha2::Sha256,
            Sha384 = sha2::Sha384, Sha512 = sha2::Sha512, Sha512_224 = sha2::Sha512_224,
            Sha512_256 = sha2::Sha512_256, Sha3_224 = sha3::Sha3_224, Sha3_256 = sha3::Sha3_256,
            Sha3_384 = sha3::Sha3_384, Sha3_512 = sha3::Sha3_512)
    };
    (@match $algorithm:expr, $digest:ident => $body:expr; $($variant:ident = $type:ty),*) => {
        match $algorithm {
            $(kmip_protocol::enumeration::HashingAlgorithm::$variant => {
                type $digest = $type;
                $body
            })*
            _ => Err($crate::crypto::CryptoError::UnsupportedParameters),
        }
    };
}
pub(super) use with_digest;

/// The digest of `data`.
///
/// # Errors
///
/// [`CryptoError::UnsupportedParameters`] for MD2, MD4, RIPEMD-160, Tiger and Whirlpool.
pub fn hash(algorithm: HashingAlgorithm, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let mut hasher = Hasher::new(algorithm)?;
    hasher.update(data);
    Ok(hasher.finish())
}

/// The SHA-256 digest of `data`, the one of every key's Digest attribute.
pub fn sha256(data: &[u8]) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, data);
    digest.as_ref().try_into().expect("a SHA-256 digest has 32 bytes")
}

/// The SHA-256 digest of what the parts are together.
pub fn sha256_of_parts<const PARTS: usize>(parts: [&[u8]; PARTS]) -> [u8; 32] {
    let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
    parts.into_iter().for_each(|part| digest.update(part));
    digest.finish().as_ref().try_into().expect("a SHA-256 digest has 32 bytes")
}

/// The length of a digest in bytes.
pub(super) fn digest_length(algorithm: HashingAlgorithm) -> Result<usize, CryptoError> {
    Ok(Hasher::new(algorithm)?.digest.output_size())
}

/// A digest of data that comes in parts.
pub struct Hasher {
    digest: Box<dyn DynDigest + Send>,
}

impl Hasher {
    /// A digest of nothing yet.
    ///
    /// # Errors
    ///
    /// As [`hash`].
    pub fn new(algorithm: HashingAlgorithm) -> Result<Self, CryptoError> {
        with_digest!(algorithm, D => Ok(Self { digest: Box::new(D::default()) }))
    }

    /// Adds data.
    pub fn update(&mut self, data: &[u8]) {
        self.digest.update(data);
    }

    /// The digest of all data added.
    pub fn finish(mut self) -> Vec<u8> {
        let mut digest = vec![0; self.digest.output_size()];
        self.digest.finalize_into_reset(&mut digest).expect("the output has the digest's own size");
        digest
    }
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Hasher")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::test_vectors::{Vectors, hex, named};
    use super::*;

    #[test]
    fn known_answers() {
        for vector in Vectors::read("digest") {
            let algorithm = named(HashingAlgorithm::ALL, vector.text("algorithm"));
            let message = vector.bytes("message");
            assert_eq!(hex(&hash(algorithm, &message).unwrap()), vector.text("digest"), "{algorithm:?}");
            let mut in_parts = Hasher::new(algorithm).unwrap();
            message.chunks(7).for_each(|part| in_parts.update(part));
            assert_eq!(hex(&in_parts.finish()), vector.text("digest"), "{algorithm:?} in parts");
            assert_eq!(digest_length(algorithm).unwrap() * 2, vector.text("digest").len());
        }
        assert_eq!(sha256(b"abc").to_vec(), hash(HashingAlgorithm::Sha256, b"abc").unwrap());
    }

    #[test]
    fn unknown_digests_are_refused() {
        assert_eq!(hash(HashingAlgorithm::Whirlpool, b"").unwrap_err(), CryptoError::UnsupportedParameters);
    }
}
