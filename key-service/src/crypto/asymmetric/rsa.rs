//! RSA: keys, their components, PKCS #1 v1.5, OAEP and PSS.

use kmip_protocol::enumeration::{HashingAlgorithm, MaskGenerator, PaddingMethod};
use kmip_ttlv::SecretBuffer;
use rsa::rand_core::{TryCryptoRng, TryRng};
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BoxedUint, Oaep, Pkcs1v15Encrypt, Pkcs1v15Sign, Pss};

use crate::crypto::{CipherParameters, CryptoError, Entropy};

/// The lengths in bits that are generated; longer ones would keep a processor busy for minutes.
const GENERATED_BITS: std::ops::RangeInclusive<i32> = 1024..=4096;
/// F4, the exponent everybody has.
const USUAL_PUBLIC_EXPONENT: [u8; 3] = [1, 0, 1];

/// The numbers of an RSA public key, unsigned and big-endian (KMIP 2.1 section 3.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RsaPublicComponents {
    /// n
    pub modulus: Vec<u8>,
    /// e
    pub public_exponent: Vec<u8>,
}

/// The numbers of an RSA private key, unsigned and big-endian (KMIP 2.1 section 3.7).
///
/// To make a key from them takes `d`, or `p` and `q`; the exponents and the coefficient of the CRT are computed anew.
/// A public exponent that is absent is 65537. All are present in what a key gives out.
#[derive(Debug, Default)]
pub struct RsaPrivateComponents {
    /// n
    pub modulus: Vec<u8>,
    /// e
    pub public_exponent: Option<Vec<u8>>,
    /// d
    pub private_exponent: Option<SecretBuffer>,
    /// p
    pub prime_p: Option<SecretBuffer>,
    /// q
    pub prime_q: Option<SecretBuffer>,
    /// d mod (p - 1)
    pub prime_exponent_p: Option<SecretBuffer>,
    /// d mod (q - 1)
    pub prime_exponent_q: Option<SecretBuffer>,
    /// The inverse of q modulo p.
    pub crt_coefficient: Option<SecretBuffer>,
}

pub(super) struct RsaPrivateKey {
    pub(super) key: rsa::PrivateKey,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RsaPublicKey {
    pub(super) key: rsa::PublicKey,
}

/// Runs an expression with the type of a digest that RSA schemes use.
macro_rules! with_rsa_digest {
    ($algorithm:expr, $digest:ident => $body:expr) => {
        with_rsa_digest!(@match $algorithm, $digest => $body;
            Sha1 = sha1::Sha1, Sha224 = sha2::Sha224, Sha256 = sha2::Sha256, Sha384 = sha2::Sha384,
            Sha512 = sha2::Sha512, Sha3_256 = sha3::Sha3_256, Sha3_384 = sha3::Sha3_384,
            Sha3_512 = sha3::Sha3_512)
    };
    (@match $algorithm:expr, $digest:ident => $body:expr; $($variant:ident = $type:ty),*) => {
        match $algorithm {
            $(HashingAlgorithm::$variant => {
                type $digest = $type;
                $body
            })*
            _ => Err(CryptoError::UnsupportedParameters),
        }
    };
}

impl RsaPrivateKey {
    pub(super) fn generate(length: i32, entropy: &dyn Entropy) -> Result<Self, CryptoError> {
        if !GENERATED_BITS.contains(&length) || length % 64 != 0 {
            return Err(CryptoError::BadParameters);
        }
        let key = rsa::PrivateKey::new(&mut EntropyRng(entropy), length as usize)
            .map_err(|_| CryptoError::EntropyUnavailable)?;
        Ok(Self { key })
    }

    pub(super) fn from_components(components: &RsaPrivateComponents) -> Result<Self, CryptoError> {
        let modulus = number(&components.modulus)?;
        let exponent = number(components.public_exponent.as_deref().unwrap_or(&USUAL_PUBLIC_EXPONENT))?;
        let primes = match (&components.prime_p, &components.prime_q) {
            (Some(p), Some(q)) => vec![wide_number(p, &modulus)?, wide_number(q, &modulus)?],
            _ => Vec::new(),
        };
        let key = match &components.private_exponent {
            Some(d) => {
                let d = wide_number(d, &modulus)?;
                rsa::PrivateKey::from_components(modulus, exponent, d, primes)
            }
            None if primes.is_empty() => return Err(CryptoError::InvalidKey),
            None => rsa::PrivateKey::from_primes(primes, exponent),
        };
        let key = key.map_err(|_| CryptoError::InvalidKey)?;
        // Made from the primes alone, the modulus must still be the one that was given.
        if key.n_bytes().as_ref() != without_leading_zeros(&components.modulus) {
            return Err(CryptoError::InvalidKey);
        }
        Ok(Self { key })
    }

    pub(super) fn components(&self) -> Result<RsaPrivateComponents, CryptoError> {
        let [p, q] = self.key.primes() else { return Err(CryptoError::UnsupportedKeyFormat) };
        let (Some(dp), Some(dq)) = (self.key.dp(), self.key.dq()) else {
            return Err(CryptoError::UnsupportedKeyFormat);
        };
        let coefficient = self.key.crt_coefficient().ok_or(CryptoError::InvalidKey)?;
        Ok(RsaPrivateComponents {
            modulus: self.key.n_bytes().into_vec(),
            public_exponent: Some(self.key.e_bytes().into_vec()),
            private_exponent: Some(secret_bytes(self.key.d())),
            prime_p: Some(secret_bytes(p)),
            prime_q: Some(secret_bytes(q)),
            prime_exponent_p: Some(secret_bytes(dp)),
            prime_exponent_q: Some(secret_bytes(dq)),
            crt_coefficient: Some(secret_bytes(&coefficient)),
        })
    }

    pub(super) fn public_key(&self) -> RsaPublicKey {
        RsaPublicKey { key: self.key.to_public_key() }
    }

    pub(super) fn sign_pkcs1(&self, hash: HashingAlgorithm, digest: &[u8]) -> Result<Vec<u8>, CryptoError> {
        with_rsa_digest!(hash, D => self.key.sign(Pkcs1v15Sign::new::<D>(), digest).map_err(signing_error))
    }

    pub(super) fn sign_pss(
        &self,
        hash: HashingAlgorithm,
        salt_bytes: Option<usize>,
        digest: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, CryptoError> {
        let salt_bytes = salt_bytes.unwrap_or(digest.len());
        if salt_bytes > self.key.size() {
            return Err(CryptoError::BadParameters);
        }
        with_rsa_digest!(hash, D => {
            let scheme = Pss::<D>::new_with_salt(salt_bytes);
            self.key.sign_with_rng(&mut EntropyRng(entropy), scheme, digest).map_err(signing_error)
        })
    }

    pub(super) fn decrypt(
        &self,
        parameters: &CipherParameters,
        data: &[u8],
    ) -> Result<SecretBuffer, CryptoError> {
        let padding = Padding::new(parameters)?;
        if data.len() != self.key.size() {
            return Err(CryptoError::InvalidLength);
        }
        let plaintext = match padding {
            Padding::Pkcs1 => {
                self.key.decrypt(Pkcs1v15Encrypt, data).map_err(|_| CryptoError::DecryptionFailed)
            }
            Padding::Oaep { hash, mask_hash, label } => {
                with_rsa_digest!(hash, D => with_rsa_digest!(mask_hash, M => {
                    let padding = Oaep::<D, M>::new_with_mgf_hash_and_label(label);
                    self.key.decrypt(padding, data).map_err(|_| CryptoError::DecryptionFailed)
                }))
            }
        };
        plaintext.map(SecretBuffer::from)
    }
}

impl RsaPublicKey {
    pub(super) fn from_components(components: &RsaPublicComponents) -> Result<Self, CryptoError> {
        let (modulus, exponent) = (number(&components.modulus)?, number(&components.public_exponent)?);
        let key = rsa::PublicKey::new(modulus, exponent).map_err(|_| CryptoError::InvalidKey)?;
        Ok(Self { key })
    }

    pub(super) fn components(&self) -> RsaPublicComponents {
        RsaPublicComponents {
            modulus: self.key.n_bytes().into_vec(),
            public_exponent: self.key.e_bytes().into_vec(),
        }
    }

    pub(super) fn length_bits(&self) -> i32 {
        self.key.n().bit_width_vartime() as i32
    }

    pub(super) fn verify_pkcs1(
        &self,
        hash: HashingAlgorithm,
        digest: &[u8],
        signature: &[u8],
    ) -> Result<bool, CryptoError> {
        with_rsa_digest!(hash, D => Ok(self.key.verify(Pkcs1v15Sign::new::<D>(), digest, signature).is_ok()))
    }

    pub(super) fn verify_pss(
        &self,
        hash: HashingAlgorithm,
        salt_bytes: Option<usize>,
        digest: &[u8],
        signature: &[u8],
    ) -> Result<bool, CryptoError> {
        with_rsa_digest!(hash, D => {
            let scheme = Pss::<D> { blinded: true, digest: D::default(), salt_len: salt_bytes };
            Ok(self.key.verify(scheme, digest, signature).is_ok())
        })
    }

    pub(super) fn encrypt(
        &self,
        parameters: &CipherParameters,
        data: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, CryptoError> {
        let random = &mut EntropyRng(entropy);
        match Padding::new(parameters)? {
            Padding::Pkcs1 => self.key.encrypt(random, Pkcs1v15Encrypt, data).map_err(encryption_error),
            Padding::Oaep { hash, mask_hash, label } => {
                with_rsa_digest!(hash, D => with_rsa_digest!(mask_hash, M => {
                    let padding = Oaep::<D, M>::new_with_mgf_hash_and_label(label);
                    self.key.encrypt(random, padding, data).map_err(encryption_error)
                }))
            }
        }
    }
}

/// The padding of an encryption.
enum Padding {
    Pkcs1,
    Oaep { hash: HashingAlgorithm, mask_hash: HashingAlgorithm, label: Vec<u8> },
}

impl Padding {
    fn new(parameters: &CipherParameters) -> Result<Self, CryptoError> {
        match parameters.padding_method {
            Some(PaddingMethod::Pkcs1V1_5) => Ok(Self::Pkcs1),
            Some(PaddingMethod::Oaep)
                if matches!(parameters.mask_generator, None | Some(MaskGenerator::Mgf1)) =>
            {
                let hash = parameters.hashing_algorithm.unwrap_or(HashingAlgorithm::Sha1);
                let mask_hash = parameters.mask_generator_hashing_algorithm.unwrap_or(hash);
                let label = parameters.p_source.as_deref().unwrap_or_default().to_vec();
                Ok(Self::Oaep { hash, mask_hash, label })
            }
            Some(_) => Err(CryptoError::UnsupportedParameters),
            None => Err(CryptoError::BadParameters),
        }
    }
}

/// Our entropy as the library wants it.
struct EntropyRng<'a>(&'a dyn Entropy);

impl TryRng for EntropyRng<'_> {
    type Error = CryptoError;

    fn try_next_u32(&mut self) -> Result<u32, CryptoError> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, CryptoError> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), CryptoError> {
        self.0.fill(bytes)
    }
}

impl TryCryptoRng for EntropyRng<'_> {}

fn signing_error(error: rsa::Error) -> CryptoError {
    match error {
        rsa::Error::Rng => CryptoError::EntropyUnavailable,
        // The key is too short for the digest and the salt.
        _ => CryptoError::InvalidLength,
    }
}

fn encryption_error(error: rsa::Error) -> CryptoError {
    match error {
        rsa::Error::Rng => CryptoError::EntropyUnavailable,
        rsa::Error::MessageTooLong => CryptoError::InvalidLength,
        _ => CryptoError::InvalidKey,
    }
}

/// A number as wide as it needs to be.
fn number(bytes: &[u8]) -> Result<BoxedUint, CryptoError> {
    let bytes = without_leading_zeros(bytes);
    let bits = u32::try_from(bytes.len() * 8).map_err(|_| CryptoError::InvalidKey)?;
    BoxedUint::from_be_slice(bytes, bits).map_err(|_| CryptoError::InvalidKey)
}

/// A secret number, as wide as the modulus so that its own width does not show.
fn wide_number(bytes: &[u8], modulus: &BoxedUint) -> Result<BoxedUint, CryptoError> {
    let bytes = without_leading_zeros(bytes);
    BoxedUint::from_be_slice(bytes, modulus.bits_precision()).map_err(|_| CryptoError::InvalidKey)
}

fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    &bytes[zeros..]
}

fn secret_bytes(number: &BoxedUint) -> SecretBuffer {
    let mut padded = SecretBuffer::from(number.to_be_bytes().into_vec());
    let kept = without_leading_zeros(&padded).len();
    let start = padded.len() - kept;
    padded.copy_within(start.., 0);
    padded.truncate(kept);
    padded
}
