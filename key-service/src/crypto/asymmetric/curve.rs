//! Keys on curves: ECDSA and ECDH on P-256, P-384, P-521 and secp256k1, Ed25519, X25519.

use kmip_protocol::enumeration::{CryptographicAlgorithm, HashingAlgorithm, RecommendedCurve};
use kmip_ttlv::SecretBuffer;
use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use p256::elliptic_curve::sec1::ToSec1Point;
use pkcs8::ObjectIdentifier;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use crate::crypto::{CryptoError, Entropy};

/// How often a random number may fail to be a key before the source of randomness counts as broken.
const GENERATION_ATTEMPTS: usize = 64;

/// A curve, and for Curve25519 what it is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
    Secp256k1,
    Ed25519,
    X25519,
}

impl Curve {
    pub(super) const ALL: [Self; 6] =
        [Self::P256, Self::P384, Self::P521, Self::Secp256k1, Self::Ed25519, Self::X25519];

    /// The curve that a request means, by name or else by length.
    pub(super) fn select(
        algorithm: CryptographicAlgorithm,
        length: Option<i32>,
        curve: Option<RecommendedCurve>,
    ) -> Result<Self, CryptoError> {
        use CryptographicAlgorithm::{Ec, Ecdh, Ecdsa, Ed25519};
        let selected = match (algorithm, curve, length) {
            (Ed25519, None | Some(RecommendedCurve::Curve25519), _) => Self::Ed25519,
            (Ecdsa, Some(RecommendedCurve::Curve25519), _) => Self::Ed25519,
            (Ec | Ecdh, Some(RecommendedCurve::Curve25519), _) => Self::X25519,
            (Ec | Ecdh | Ecdsa, Some(RecommendedCurve::P256), _) => Self::P256,
            (Ec | Ecdh | Ecdsa, Some(RecommendedCurve::P384), _) => Self::P384,
            (Ec | Ecdh | Ecdsa, Some(RecommendedCurve::P521), _) => Self::P521,
            (Ec | Ecdh | Ecdsa, Some(RecommendedCurve::Secp256K1), _) => Self::Secp256k1,
            (Ec | Ecdh | Ecdsa, None, Some(256)) => Self::P256,
            (Ec | Ecdh | Ecdsa, None, Some(384)) => Self::P384,
            (Ec | Ecdh | Ecdsa, None, Some(521)) => Self::P521,
            (Ec | Ecdh | Ecdsa, None, _) => return Err(CryptoError::BadParameters),
            _ => return Err(CryptoError::UnsupportedParameters),
        };
        if length.is_some_and(|length| length != selected.length_bits()) {
            return Err(CryptoError::BadParameters);
        }
        Ok(selected)
    }

    pub(super) fn algorithm(self) -> CryptographicAlgorithm {
        match self {
            Self::Ed25519 => CryptographicAlgorithm::Ed25519,
            _ => CryptographicAlgorithm::Ec,
        }
    }

    pub(super) fn recommended_curve(self) -> RecommendedCurve {
        match self {
            Self::P256 => RecommendedCurve::P256,
            Self::P384 => RecommendedCurve::P384,
            Self::P521 => RecommendedCurve::P521,
            Self::Secp256k1 => RecommendedCurve::Secp256K1,
            Self::Ed25519 | Self::X25519 => RecommendedCurve::Curve25519,
        }
    }

    pub(super) fn length_bits(self) -> i32 {
        match self {
            Self::P384 => 384,
            Self::P521 => 521,
            _ => 256,
        }
    }

    /// The length of a private key, and of a coordinate.
    pub(super) fn scalar_bytes(self) -> usize {
        (self.length_bits() as usize).div_ceil(8)
    }

    pub(super) fn default_hash(self) -> HashingAlgorithm {
        match self {
            Self::P384 => HashingAlgorithm::Sha384,
            Self::P521 => HashingAlgorithm::Sha512,
            _ => HashingAlgorithm::Sha256,
        }
    }

    /// Its name in key encodings: of the curve, or for Curve25519 of the algorithm.
    pub(super) fn object_identifier(self) -> ObjectIdentifier {
        ObjectIdentifier::new_unwrap(match self {
            Self::P256 => "1.2.840.10045.3.1.7",
            Self::P384 => "1.3.132.0.34",
            Self::P521 => "1.3.132.0.35",
            Self::Secp256k1 => "1.3.132.0.10",
            Self::Ed25519 => "1.3.101.112",
            Self::X25519 => "1.3.101.110",
        })
    }

    pub(super) fn is_weierstrass(self) -> bool {
        !matches!(self, Self::Ed25519 | Self::X25519)
    }
}

/// Runs an expression with the library of a Weierstrass curve, or answers that the curve does not do that.
macro_rules! with_curve {
    ($curve:expr, $library:ident => $body:expr) => {
        match $curve {
            Curve::P256 => {
                use p256 as $library;
                $body
            }
            Curve::P384 => {
                use p384 as $library;
                $body
            }
            Curve::P521 => {
                use p521 as $library;
                $body
            }
            Curve::Secp256k1 => {
                use k256 as $library;
                $body
            }
            Curve::Ed25519 | Curve::X25519 => Err(CryptoError::UnsupportedParameters),
        }
    };
}

/// A private key: a big-endian scalar as long as the field, or the 32 bytes of Curve25519's specifications.
pub(super) struct CurvePrivateKey {
    curve: Curve,
    scalar: SecretBuffer,
    public: CurvePublicKey,
}

/// A public key: an uncompressed SEC 1 point, or the 32 bytes of Curve25519's specifications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CurvePublicKey {
    curve: Curve,
    point: Vec<u8>,
}

impl CurvePrivateKey {
    pub(super) fn generate(curve: Curve, entropy: &dyn Entropy) -> Result<Self, CryptoError> {
        let mut scalar = SecretBuffer::new();
        scalar.resize(curve.scalar_bytes());
        for _ in 0..GENERATION_ATTEMPTS {
            entropy.fill(&mut scalar)?;
            if curve == Curve::P521 {
                // The other seven bits are never part of the scalar.
                scalar[0] &= 1;
            }
            if let Ok(key) = Self::new(curve, &scalar) {
                return Ok(key);
            }
        }
        Err(CryptoError::EntropyUnavailable)
    }

    /// From a scalar, which may lack leading zeros or have too many.
    pub(super) fn new(curve: Curve, scalar: &[u8]) -> Result<Self, CryptoError> {
        let scalar = fitted(curve, scalar)?;
        let point = match curve {
            Curve::Ed25519 => ed25519(&scalar)?.public_key().as_ref().to_vec(),
            Curve::X25519 => x25519_dalek::PublicKey::from(&x25519(&scalar)?).to_bytes().to_vec(),
            _ => with_curve!(curve, library => {
                let key = library::SecretKey::from_slice(&scalar).map_err(|_| CryptoError::InvalidKey)?;
                Ok(key.public_key().to_sec1_point(false).as_bytes().to_vec())
            })?,
        };
        Ok(Self { curve, scalar, public: CurvePublicKey { curve, point } })
    }

    pub(super) fn curve(&self) -> Curve {
        self.curve
    }

    pub(super) fn expose(&self) -> &[u8] {
        &self.scalar
    }

    pub(super) fn public_key(&self) -> CurvePublicKey {
        self.public.clone()
    }

    /// Deterministic ECDSA (RFC 6979), DER.
    pub(super) fn sign_ecdsa(&self, digest: &[u8]) -> Result<Vec<u8>, CryptoError> {
        with_curve!(self.curve, library => {
            let key = library::ecdsa::SigningKey::from_slice(&self.scalar).map_err(|_| CryptoError::InvalidKey)?;
            let signature: library::ecdsa::Signature =
                key.sign_prehash(digest).map_err(|_| CryptoError::InvalidLength)?;
            Ok(signature.to_der().as_bytes().to_vec())
        })
    }

    pub(super) fn sign_ed25519(&self, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        Ok(ed25519(&self.scalar)?.sign(data).as_ref().to_vec())
    }

    pub(super) fn agree(&self, peer: &CurvePublicKey) -> Result<SecretBuffer, CryptoError> {
        if self.curve != peer.curve {
            return Err(CryptoError::InvalidKey);
        }
        if self.curve == Curve::X25519 {
            let peer: [u8; 32] = peer.point[..].try_into().map_err(|_| CryptoError::InvalidKey)?;
            let secret = x25519(&self.scalar)?.diffie_hellman(&peer.into());
            let honest = secret.was_contributory();
            return if honest { Ok(secret.to_bytes().to_vec().into()) } else { Err(CryptoError::InvalidKey) };
        }
        with_curve!(self.curve, library => {
            let key = library::SecretKey::from_slice(&self.scalar).map_err(|_| CryptoError::InvalidKey)?;
            let peer = library::PublicKey::from_sec1_bytes(&peer.point).map_err(|_| CryptoError::InvalidKey)?;
            Ok(key.diffie_hellman(&peer).raw_secret_bytes().to_vec().into())
        })
    }
}

impl CurvePublicKey {
    /// From a SEC 1 point, compressed or not, or the 32 bytes of Curve25519.
    pub(super) fn new(curve: Curve, point: &[u8]) -> Result<Self, CryptoError> {
        let point = if curve.is_weierstrass() {
            with_curve!(curve, library => {
                let key = library::PublicKey::from_sec1_bytes(point).map_err(|_| CryptoError::InvalidKey)?;
                Ok(key.to_sec1_point(false).as_bytes().to_vec())
            })?
        } else if point.len() == curve.scalar_bytes() {
            point.to_vec()
        } else {
            return Err(CryptoError::InvalidKey);
        };
        Ok(Self { curve, point })
    }

    pub(super) fn curve(&self) -> Curve {
        self.curve
    }

    pub(super) fn point(&self) -> &[u8] {
        &self.point
    }

    pub(super) fn verify_ecdsa(&self, digest: &[u8], signature: &[u8]) -> Result<bool, CryptoError> {
        with_curve!(self.curve, library => {
            let key = library::ecdsa::VerifyingKey::from_sec1_bytes(&self.point)
                .map_err(|_| CryptoError::InvalidKey)?;
            let Ok(signature) = library::ecdsa::Signature::from_der(signature) else { return Ok(false) };
            // secp256k1's library takes the smaller of the two equivalent signatures only, as Bitcoin does.
            let signature = if self.curve == Curve::Secp256k1 { signature.normalize_s() } else { signature };
            Ok(key.verify_prehash(digest, &signature).is_ok())
        })
    }

    pub(super) fn verify_ed25519(&self, data: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.point).verify(data, signature).is_ok()
    }
}

fn fitted(curve: Curve, scalar: &[u8]) -> Result<SecretBuffer, CryptoError> {
    let length = curve.scalar_bytes();
    if !curve.is_weierstrass() && scalar.len() != length {
        return Err(CryptoError::InvalidKey);
    }
    let (excess, scalar) = scalar.split_at(scalar.len().saturating_sub(length));
    if excess.iter().any(|&byte| byte != 0) {
        return Err(CryptoError::InvalidKey);
    }
    let mut fitted = SecretBuffer::new();
    fitted.resize(length);
    fitted[length - scalar.len()..].copy_from_slice(scalar);
    Ok(fitted)
}

fn ed25519(seed: &[u8]) -> Result<Ed25519KeyPair, CryptoError> {
    Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| CryptoError::InvalidKey)
}

fn x25519(scalar: &[u8]) -> Result<x25519_dalek::StaticSecret, CryptoError> {
    let scalar: [u8; 32] = scalar.try_into().map_err(|_| CryptoError::InvalidKey)?;
    Ok(scalar.into())
}
