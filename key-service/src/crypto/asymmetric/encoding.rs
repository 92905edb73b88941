//! Key formats (KMIP 2.1 section 11.29): PKCS #1, PKCS #8, SEC 1 EC private key, SubjectPublicKeyInfo ("X.509"), raw,
//! and the numbers of the transparent formats.

use kmip_protocol::enumeration::{CryptographicAlgorithm, KeyFormatType, RecommendedCurve};
use kmip_ttlv::SecretBuffer;
use pkcs8::der::asn1::{AnyRef, BitStringRef, OctetStringRef};
use pkcs8::der::{Decode, Encode, Tag};
use pkcs8::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};
use rsa::pkcs1::{DecodeRsaPrivateKey, DecodeRsaPublicKey, EncodeRsaPrivateKey, EncodeRsaPublicKey};
use rsa::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey};
use sec1::{EcParameters, EcPrivateKey};

use super::curve::{Curve, CurvePrivateKey, CurvePublicKey};
use super::rsa::{RsaPrivateComponents, RsaPrivateKey, RsaPublicComponents, RsaPublicKey};
use super::{PrivateKey, PrivateKind, PublicKey, PublicKind};
use crate::crypto::CryptoError;

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

impl PrivateKey {
    /// Reads key material of the formats PKCS #1, PKCS #8 and EC Private Key. Raw needs the algorithm, and the curve
    /// or length where those do not follow from it: it is PKCS #1 for RSA, the bare scalar or seed for curves.
    ///
    /// # Errors
    ///
    /// [`CryptoError::InvalidKey`] when the material is not what the format says, or no sound key;
    /// [`CryptoError::UnsupportedKeyFormat`] for the other formats, whose numbers go through
    /// [`PrivateKey::from_rsa_components`] and [`PrivateKey::from_scalar`].
    pub fn decode(
        format: KeyFormatType,
        material: &[u8],
        algorithm: Option<CryptographicAlgorithm>,
        curve: Option<RecommendedCurve>,
    ) -> Result<Self, CryptoError> {
        match (format, algorithm) {
            (KeyFormatType::Pkcs1, _) | (KeyFormatType::Raw, Some(CryptographicAlgorithm::Rsa)) => {
                let key = rsa::PrivateKey::from_pkcs1_der(material).map_err(|_| CryptoError::InvalidKey)?;
                Ok(Self { key: PrivateKind::Rsa(Box::new(RsaPrivateKey { key })) })
            }
            (KeyFormatType::Pkcs8, _) => Self::from_pkcs8(material),
            (KeyFormatType::EcPrivateKey, _) => Self::from_sec1(material, None),
            (KeyFormatType::Raw, Some(algorithm)) => Self::from_scalar(algorithm, curve, material),
            _ => Err(CryptoError::UnsupportedKeyFormat),
        }
    }

    /// Writes key material of a format that [`PrivateKey::decode`] reads.
    ///
    /// # Errors
    ///
    /// [`CryptoError::UnsupportedKeyFormat`] where the key has no such form.
    pub fn encode(&self, format: KeyFormatType) -> Result<SecretBuffer, CryptoError> {
        match (&self.key, format) {
            (PrivateKind::Rsa(key), KeyFormatType::Pkcs1 | KeyFormatType::Raw) => {
                let document = key.key.to_pkcs1_der().map_err(|_| CryptoError::UnsupportedKeyFormat)?;
                Ok(document.as_bytes().to_vec().into())
            }
            (PrivateKind::Rsa(key), KeyFormatType::Pkcs8) => {
                let document = key.key.to_pkcs8_der().map_err(|_| CryptoError::UnsupportedKeyFormat)?;
                Ok(document.as_bytes().to_vec().into())
            }
            (PrivateKind::Curve(key), KeyFormatType::Pkcs8) => curve_to_pkcs8(key),
            (PrivateKind::Curve(key), KeyFormatType::EcPrivateKey) if key.curve().is_weierstrass() => {
                curve_to_sec1(key, true)
            }
            (PrivateKind::Curve(key), KeyFormatType::Raw) => Ok(key.expose().to_vec().into()),
            _ => Err(CryptoError::UnsupportedKeyFormat),
        }
    }

    /// A key from the numbers of Transparent RSA Private Key.
    ///
    /// # Errors
    ///
    /// [`CryptoError::InvalidKey`] when they are too few or do not fit each other.
    pub fn from_rsa_components(components: &RsaPrivateComponents) -> Result<Self, CryptoError> {
        Ok(Self { key: PrivateKind::Rsa(Box::new(RsaPrivateKey::from_components(components)?)) })
    }

    /// The numbers of Transparent RSA Private Key.
    ///
    /// # Errors
    ///
    /// [`CryptoError::UnsupportedKeyFormat`] when this is no RSA key, or one of more than two primes.
    pub fn rsa_components(&self) -> Result<RsaPrivateComponents, CryptoError> {
        match &self.key {
            PrivateKind::Rsa(key) => key.components(),
            PrivateKind::Curve(_) => Err(CryptoError::UnsupportedKeyFormat),
        }
    }

    /// A key from D of Transparent EC Private Key, unsigned and big-endian.
    ///
    /// # Errors
    ///
    /// [`CryptoError::InvalidKey`], and as [`PrivateKey::generate`].
    pub fn from_scalar(
        algorithm: CryptographicAlgorithm,
        curve: Option<RecommendedCurve>,
        scalar: &[u8],
    ) -> Result<Self, CryptoError> {
        let length = i32::try_from(scalar.len() * 8).ok();
        let curve = Curve::select(algorithm, if curve.is_some() { None } else { length }, curve)?;
        Ok(Self { key: PrivateKind::Curve(CurvePrivateKey::new(curve, scalar)?) })
    }

    fn from_pkcs8(material: &[u8]) -> Result<Self, CryptoError> {
        let info = PrivateKeyInfoRef::from_der(material).map_err(|_| CryptoError::InvalidKey)?;
        if info.algorithm.oid == RSA_ENCRYPTION {
            let key = rsa::PrivateKey::from_pkcs8_der(material).map_err(|_| CryptoError::InvalidKey)?;
            return Ok(Self { key: PrivateKind::Rsa(Box::new(RsaPrivateKey { key })) });
        }
        let curve = curve_of(&info.algorithm)?;
        let inner = info.private_key.as_bytes();
        if curve.is_weierstrass() {
            return Self::from_sec1(inner, Some(curve));
        }
        let seed = <&OctetStringRef>::from_der(inner).map_err(|_| CryptoError::InvalidKey)?;
        Ok(Self { key: PrivateKind::Curve(CurvePrivateKey::new(curve, seed.as_bytes())?) })
    }

    /// `outer` is the curve that an envelope around the key has named.
    fn from_sec1(material: &[u8], outer: Option<Curve>) -> Result<Self, CryptoError> {
        let decoded = EcPrivateKey::from_der(material).map_err(|_| CryptoError::InvalidKey)?;
        let inner = match decoded.parameters.and_then(EcParameters::named_curve) {
            Some(identifier) => Some(curve_named(identifier)?),
            None => None,
        };
        let curve = match (outer, inner) {
            (Some(outer), Some(inner)) if outer != inner => return Err(CryptoError::InvalidKey),
            (Some(curve), _) | (None, Some(curve)) => curve,
            (None, None) => return Err(CryptoError::InvalidKey),
        };
        Ok(Self { key: PrivateKind::Curve(CurvePrivateKey::new(curve, decoded.private_key)?) })
    }
}

impl PublicKey {
    /// Reads key material of the formats PKCS #1 and X.509 (a SubjectPublicKeyInfo). Raw is PKCS #1 for RSA, else a
    /// SEC 1 point or the 32 bytes of Curve25519; it needs algorithm and curve as [`PrivateKey::decode`] does.
    ///
    /// # Errors
    ///
    /// [`CryptoError::InvalidKey`] when the material is not what the format says, or no sound key;
    /// [`CryptoError::UnsupportedKeyFormat`] for the other formats.
    pub fn decode(
        format: KeyFormatType,
        material: &[u8],
        algorithm: Option<CryptographicAlgorithm>,
        curve: Option<RecommendedCurve>,
    ) -> Result<Self, CryptoError> {
        match (format, algorithm) {
            (KeyFormatType::Pkcs1, _) | (KeyFormatType::Raw, Some(CryptographicAlgorithm::Rsa)) => {
                let key = rsa::PublicKey::from_pkcs1_der(material).map_err(|_| CryptoError::InvalidKey)?;
                Ok(Self { key: PublicKind::Rsa(RsaPublicKey { key }) })
            }
            (KeyFormatType::X509, _) => Self::from_subject_public_key_info(material),
            (KeyFormatType::Raw, Some(algorithm)) => Self::from_point(algorithm, curve, material),
            _ => Err(CryptoError::UnsupportedKeyFormat),
        }
    }

    /// Writes key material of a format that [`PublicKey::decode`] reads.
    ///
    /// # Errors
    ///
    /// [`CryptoError::UnsupportedKeyFormat`] where the key has no such form.
    pub fn encode(&self, format: KeyFormatType) -> Result<Vec<u8>, CryptoError> {
        let document = match (&self.key, format) {
            (PublicKind::Rsa(key), KeyFormatType::Pkcs1 | KeyFormatType::Raw) => key.key.to_pkcs1_der().ok(),
            (PublicKind::Rsa(key), KeyFormatType::X509) => key.key.to_public_key_der().ok(),
            (PublicKind::Curve(key), KeyFormatType::X509) => return curve_to_subject_public_key_info(key),
            (PublicKind::Curve(key), KeyFormatType::Raw) => return Ok(key.point().to_vec()),
            _ => None,
        };
        document.map(|document| document.as_bytes().to_vec()).ok_or(CryptoError::UnsupportedKeyFormat)
    }

    /// A key from the numbers of Transparent RSA Public Key.
    ///
    /// # Errors
    ///
    /// [`CryptoError::InvalidKey`] when they are no RSA key of 1024 to 8192 bits.
    pub fn from_rsa_components(components: &RsaPublicComponents) -> Result<Self, CryptoError> {
        Ok(Self { key: PublicKind::Rsa(RsaPublicKey::from_components(components)?) })
    }

    /// The numbers of Transparent RSA Public Key.
    ///
    /// # Errors
    ///
    /// [`CryptoError::UnsupportedKeyFormat`] when this is no RSA key.
    pub fn rsa_components(&self) -> Result<RsaPublicComponents, CryptoError> {
        match &self.key {
            PublicKind::Rsa(key) => Ok(key.components()),
            PublicKind::Curve(_) => Err(CryptoError::UnsupportedKeyFormat),
        }
    }

    /// A key from Q of Transparent EC Public Key: a SEC 1 point, compressed or not, or the 32 bytes of Curve25519.
    ///
    /// # Errors
    ///
    /// [`CryptoError::InvalidKey`], and as [`PrivateKey::generate`].
    pub fn from_point(
        algorithm: CryptographicAlgorithm,
        curve: Option<RecommendedCurve>,
        point: &[u8],
    ) -> Result<Self, CryptoError> {
        let length = match (curve, point.len()) {
            (Some(_), _) => None,
            (None, 32 | 33 | 65) => Some(256),
            (None, 49 | 97) => Some(384),
            (None, 67 | 133) => Some(521),
            (None, _) => return Err(CryptoError::InvalidKey),
        };
        let curve = Curve::select(algorithm, length, curve)?;
        Ok(Self { key: PublicKind::Curve(CurvePublicKey::new(curve, point)?) })
    }

    fn from_subject_public_key_info(material: &[u8]) -> Result<Self, CryptoError> {
        let info = SubjectPublicKeyInfoRef::from_der(material).map_err(|_| CryptoError::InvalidKey)?;
        if info.algorithm.oid == RSA_ENCRYPTION {
            let key = rsa::PublicKey::from_public_key_der(material).map_err(|_| CryptoError::InvalidKey)?;
            return Ok(Self { key: PublicKind::Rsa(RsaPublicKey { key }) });
        }
        let curve = curve_of(&info.algorithm)?;
        let point = info.subject_public_key.as_bytes().ok_or(CryptoError::InvalidKey)?;
        Ok(Self { key: PublicKind::Curve(CurvePublicKey::new(curve, point)?) })
    }
}

fn curve_named(identifier: ObjectIdentifier) -> Result<Curve, CryptoError> {
    let named = Curve::ALL.into_iter().find(|curve| curve.object_identifier() == identifier);
    named.ok_or(CryptoError::UnsupportedParameters)
}

/// The curve of an algorithm identifier: its parameter, or for Curve25519 the algorithm itself.
fn curve_of(algorithm: &AlgorithmIdentifierRef<'_>) -> Result<Curve, CryptoError> {
    if algorithm.oid != EC_PUBLIC_KEY {
        return curve_named(algorithm.oid)
            .and_then(|curve| if curve.is_weierstrass() { Err(CryptoError::InvalidKey) } else { Ok(curve) });
    }
    match curve_named(algorithm.parameters_oid().map_err(|_| CryptoError::InvalidKey)?)? {
        curve if curve.is_weierstrass() => Ok(curve),
        _ => Err(CryptoError::InvalidKey),
    }
}

/// Calls `write` with the algorithm identifier of the curve.
fn with_identifier<T>(
    curve: Curve,
    write: impl FnOnce(AlgorithmIdentifierRef<'_>) -> Result<T, pkcs8::der::Error>,
) -> Result<T, CryptoError> {
    let identifier = curve.object_identifier();
    let written = if curve.is_weierstrass() {
        AnyRef::new(Tag::ObjectIdentifier, identifier.as_bytes())
            .and_then(|curve| write(AlgorithmIdentifierRef { oid: EC_PUBLIC_KEY, parameters: Some(curve) }))
    } else {
        write(AlgorithmIdentifierRef { oid: identifier, parameters: None })
    };
    written.map_err(|_| CryptoError::UnsupportedKeyFormat)
}

/// RFC 5915. Inside PKCS #8 the curve is named outside.
fn curve_to_sec1(key: &CurvePrivateKey, name_curve: bool) -> Result<SecretBuffer, CryptoError> {
    let public = key.public_key();
    let encoded = EcPrivateKey {
        private_key: key.expose(),
        parameters: name_curve.then(|| EcParameters::NamedCurve(key.curve().object_identifier())),
        public_key: Some(public.point()),
    };
    encoded.to_der().map(SecretBuffer::from).map_err(|_| CryptoError::UnsupportedKeyFormat)
}

fn curve_to_pkcs8(key: &CurvePrivateKey) -> Result<SecretBuffer, CryptoError> {
    let inner = if key.curve().is_weierstrass() {
        curve_to_sec1(key, false)?
    } else {
        let seed = OctetStringRef::new(key.expose()).and_then(|seed| seed.to_der());
        seed.map(SecretBuffer::from).map_err(|_| CryptoError::UnsupportedKeyFormat)?
    };
    with_identifier(key.curve(), |identifier| {
        PrivateKeyInfoRef::new(identifier, OctetStringRef::new(&inner)?).to_der().map(SecretBuffer::from)
    })
}

fn curve_to_subject_public_key_info(key: &CurvePublicKey) -> Result<Vec<u8>, CryptoError> {
    with_identifier(key.curve(), |identifier| {
        let subject_public_key = BitStringRef::from_bytes(key.point())?;
        SubjectPublicKeyInfoRef { algorithm: identifier, subject_public_key }.to_der()
    })
}
