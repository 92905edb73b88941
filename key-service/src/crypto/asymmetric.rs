//! Key pairs: generation, Sign and Signature Verify (KMIP 2.1 sections 6.1.58 and 6.1.59), Encrypt and Decrypt with
//! RSA, and key agreement. The mathematics is below, in a file for RSA and one for curves.

mod curve;
mod encoding;
mod rsa;
mod signature;

use std::fmt;

use kmip_protocol::enumeration::{CryptographicAlgorithm, HashingAlgorithm, RecommendedCurve};
use kmip_ttlv::SecretBuffer;

use super::{CipherParameters, CryptoError, Entropy};
use curve::{Curve, CurvePrivateKey, CurvePublicKey};
use signature::Scheme;

pub use rsa::{RsaPrivateComponents, RsaPublicComponents};

/// The private key of a pair, checked when it was made. Its bytes are zeroized on drop.
pub struct PrivateKey {
    key: PrivateKind,
}

enum PrivateKind {
    Rsa(Box<rsa::RsaPrivateKey>),
    Curve(CurvePrivateKey),
}

/// The public key of a pair, checked when it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    key: PublicKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PublicKind {
    Rsa(rsa::RsaPublicKey),
    Curve(CurvePublicKey),
}

/// What to sign, or what was signed.
#[derive(Clone, Copy, Debug)]
pub enum SignatureInput<'a> {
    /// The message itself.
    Data(&'a [u8]),
    /// Its digest, made with the hash of [`PrivateKey::signature_hash`] (KMIP's Digested Data).
    Digest(&'a [u8]),
}

impl PrivateKey {
    /// Generates a key pair.
    ///
    /// RSA takes `length` (1024 to 4096 bits, a multiple of 64), and its duration is a lottery: 20 ms to a second
    /// for 2048 bits, several for 4096. Run it where blocking is allowed. Curves take `curve`, or else the `length`
    /// of a NIST curve. Curve25519 is Ed25519 for signatures and X25519 for all else.
    ///
    /// # Errors
    ///
    /// [`CryptoError::UnsupportedParameters`], [`CryptoError::BadParameters`], [`CryptoError::EntropyUnavailable`].
    pub fn generate(
        algorithm: CryptographicAlgorithm,
        length: Option<i32>,
        curve: Option<RecommendedCurve>,
        entropy: &dyn Entropy,
    ) -> Result<Self, CryptoError> {
        let key = if algorithm == CryptographicAlgorithm::Rsa {
            let length = length.ok_or(CryptoError::BadParameters)?;
            PrivateKind::Rsa(Box::new(rsa::RsaPrivateKey::generate(length, entropy)?))
        } else {
            let curve = Curve::select(algorithm, length, curve)?;
            PrivateKind::Curve(CurvePrivateKey::generate(curve, entropy)?)
        };
        Ok(Self { key })
    }

    /// The other half of the pair.
    pub fn public_key(&self) -> PublicKey {
        let key = match &self.key {
            PrivateKind::Rsa(key) => PublicKind::Rsa(key.public_key()),
            PrivateKind::Curve(key) => PublicKind::Curve(key.public_key()),
        };
        PublicKey { key }
    }

    /// The algorithm: RSA, EC or Ed25519.
    pub fn algorithm(&self) -> CryptographicAlgorithm {
        match &self.key {
            PrivateKind::Rsa(_) => CryptographicAlgorithm::Rsa,
            PrivateKind::Curve(key) => key.curve().algorithm(),
        }
    }

    /// The Cryptographic Length in bits.
    pub fn length_bits(&self) -> i32 {
        self.public_key().length_bits()
    }

    /// The curve; none for RSA.
    pub fn recommended_curve(&self) -> Option<RecommendedCurve> {
        match &self.key {
            PrivateKind::Rsa(_) => None,
            PrivateKind::Curve(key) => Some(key.curve().recommended_curve()),
        }
    }

    /// The hash that goes before the signature, for data that comes in parts. `None`: the scheme (Ed25519) signs
    /// the message itself, so the parts must be collected.
    ///
    /// # Errors
    ///
    /// [`CryptoError::UnsupportedParameters`] where the key and the parameters make no signature scheme.
    pub fn signature_hash(
        &self,
        parameters: &CipherParameters,
    ) -> Result<Option<HashingAlgorithm>, CryptoError> {
        self.public_key().signature_hash(parameters)
    }

    /// Signs. RSA gives PKCS #1 v1.5 or PSS (salt as long as the digest unless the parameters say otherwise), ECDSA
    /// a DER sequence of two integers, Ed25519 64 bytes. The default hash is SHA-256, or the one that fits the curve.
    ///
    /// # Errors
    ///
    /// [`CryptoError::UnsupportedParameters`], [`CryptoError::BadParameters`], [`CryptoError::InvalidLength`] where
    /// the digest or the key has the wrong one.
    pub fn sign(
        &self,
        parameters: &CipherParameters,
        input: SignatureInput<'_>,
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, CryptoError> {
        let scheme = self.public_key().scheme(parameters)?;
        match (&self.key, scheme) {
            (PrivateKind::Curve(key), Scheme::Ed25519) => match input {
                SignatureInput::Data(data) => key.sign_ed25519(data),
                SignatureInput::Digest(_) => Err(CryptoError::UnsupportedParameters),
            },
            (PrivateKind::Curve(key), Scheme::Ecdsa(hash)) => key.sign_ecdsa(&input.digest(hash)?),
            (PrivateKind::Rsa(key), Scheme::Pkcs1(hash)) => key.sign_pkcs1(hash, &input.digest(hash)?),
            (PrivateKind::Rsa(key), Scheme::Pss { hash, salt_bytes }) => {
                key.sign_pss(hash, salt_bytes, &input.digest(hash)?, entropy)
            }
            _ => Err(CryptoError::UnsupportedParameters),
        }
    }

    /// Decrypts with RSA. A wrong PKCS #1 v1.5 padding does not fail: it gives other, but always the same, bytes, so
    /// that an attacker learns nothing.
    ///
    /// # Errors
    ///
    /// [`CryptoError::DecryptionFailed`], [`CryptoError::InvalidLength`], and as [`PublicKey::encrypt`].
    pub fn decrypt(&self, parameters: &CipherParameters, data: &[u8]) -> Result<SecretBuffer, CryptoError> {
        match &self.key {
            PrivateKind::Rsa(key) => key.decrypt(parameters, data),
            PrivateKind::Curve(_) => Err(CryptoError::UnsupportedParameters),
        }
    }

    /// The shared secret with `peer`: the x coordinate of ECDH, or X25519.
    ///
    /// # Errors
    ///
    /// [`CryptoError::UnsupportedParameters`] for RSA and Ed25519, [`CryptoError::InvalidKey`] for keys of different
    /// curves and for a peer that forces the secret.
    pub fn agree(&self, peer: &PublicKey) -> Result<SecretBuffer, CryptoError> {
        match (&self.key, &peer.key) {
            (PrivateKind::Curve(key), PublicKind::Curve(peer)) => key.agree(peer),
            _ => Err(CryptoError::UnsupportedParameters),
        }
    }
}

impl PublicKey {
    /// The algorithm: RSA, EC or Ed25519.
    pub fn algorithm(&self) -> CryptographicAlgorithm {
        match &self.key {
            PublicKind::Rsa(_) => CryptographicAlgorithm::Rsa,
            PublicKind::Curve(key) => key.curve().algorithm(),
        }
    }

    /// The Cryptographic Length in bits.
    pub fn length_bits(&self) -> i32 {
        match &self.key {
            PublicKind::Rsa(key) => key.length_bits(),
            PublicKind::Curve(key) => key.curve().length_bits(),
        }
    }

    /// The curve; none for RSA.
    pub fn recommended_curve(&self) -> Option<RecommendedCurve> {
        match &self.key {
            PublicKind::Rsa(_) => None,
            PublicKind::Curve(key) => Some(key.curve().recommended_curve()),
        }
    }

    /// As [`PrivateKey::signature_hash`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn signature_hash(
        &self,
        parameters: &CipherParameters,
    ) -> Result<Option<HashingAlgorithm>, CryptoError> {
        Ok(self.scheme(parameters)?.hash())
    }

    /// Whether `signature` is this key's over `input`. PSS detects the salt length unless the parameters name one.
    ///
    /// # Errors
    ///
    /// [`CryptoError::UnsupportedParameters`], [`CryptoError::BadParameters`], [`CryptoError::InvalidLength`] for a
    /// digest of the wrong length. A signature that is no signature is not valid, but no error.
    pub fn verify(
        &self,
        parameters: &CipherParameters,
        input: SignatureInput<'_>,
        signature: &[u8],
    ) -> Result<bool, CryptoError> {
        let scheme = self.scheme(parameters)?;
        match (&self.key, scheme) {
            (PublicKind::Curve(key), Scheme::Ed25519) => match input {
                SignatureInput::Data(data) => Ok(key.verify_ed25519(data, signature)),
                SignatureInput::Digest(_) => Err(CryptoError::UnsupportedParameters),
            },
            (PublicKind::Curve(key), Scheme::Ecdsa(hash)) => {
                key.verify_ecdsa(&input.digest(hash)?, signature)
            }
            (PublicKind::Rsa(key), Scheme::Pkcs1(hash)) => {
                key.verify_pkcs1(hash, &input.digest(hash)?, signature)
            }
            (PublicKind::Rsa(key), Scheme::Pss { hash, salt_bytes }) => {
                key.verify_pss(hash, salt_bytes, &input.digest(hash)?, signature)
            }
            _ => Err(CryptoError::UnsupportedParameters),
        }
    }

    /// Encrypts with RSA, padded as OAEP (hash: SHA-1 unless named; mask: the same hash unless named; label: P Source)
    /// or PKCS #1 v1.5.
    ///
    /// # Errors
    ///
    /// [`CryptoError::BadParameters`] without a padding, [`CryptoError::UnsupportedParameters`],
    /// [`CryptoError::InvalidLength`] when the data is too long for the key.
    pub fn encrypt(
        &self,
        parameters: &CipherParameters,
        data: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, CryptoError> {
        match &self.key {
            PublicKind::Rsa(key) => key.encrypt(parameters, data, entropy),
            PublicKind::Curve(_) => Err(CryptoError::UnsupportedParameters),
        }
    }

    fn scheme(&self, parameters: &CipherParameters) -> Result<Scheme, CryptoError> {
        match &self.key {
            PublicKind::Rsa(_) => Scheme::of_rsa(parameters),
            PublicKind::Curve(key) => Scheme::of_curve(key.curve(), parameters),
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PrivateKey({:?}, {} bits)", self.algorithm(), self.length_bits())
    }
}

impl SignatureInput<'_> {
    /// The digest; of the right length if it came ready.
    fn digest(self, hash: HashingAlgorithm) -> Result<Vec<u8>, CryptoError> {
        match self {
            Self::Data(data) => super::hash(hash, data),
            Self::Digest(digest) if digest.len() == super::digest::digest_length(hash)? => {
                Ok(digest.to_vec())
            }
            Self::Digest(_) => Err(CryptoError::InvalidLength),
        }
    }
}

#[cfg(test)]
mod tests;
