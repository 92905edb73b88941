//! What this module can do, as data: for Query, for the check of a new key's length, and for the documentation.

use kmip_protocol::enumeration::{
    BlockCipherMode, CryptographicAlgorithm, DerivationMethod, HashingAlgorithm, RecommendedCurve,
};

/// A symmetric algorithm that encrypts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CipherCapability {
    /// The algorithm.
    pub algorithm: CryptographicAlgorithm,
    /// Its modes; empty where it has none.
    pub block_cipher_modes: &'static [BlockCipherMode],
    /// The Cryptographic Lengths of its keys in bits. Triple DES counts with and without parity bits.
    pub key_lengths_bits: &'static [i32],
}

/// All that can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Encrypt and Decrypt. XTS takes two AES-128 or AES-256 keys as one.
    pub ciphers: &'static [CipherCapability],
    /// Hash, and the hashes of HMAC, HKDF and PBKDF2.
    pub hashing_algorithms: &'static [HashingAlgorithm],
    /// MAC, besides CMAC with a block cipher's key.
    pub mac_algorithms: &'static [CryptographicAlgorithm],
    /// Key pairs besides RSA.
    pub curves: &'static [RecommendedCurve],
    /// Derive Key.
    pub derivation_methods: &'static [DerivationMethod],
}

/// What this module can do.
pub const fn capabilities() -> Capabilities {
    use CryptographicAlgorithm as Algorithm;
    use HashingAlgorithm as Hash;
    Capabilities {
        ciphers: &[
            CipherCapability {
                algorithm: Algorithm::Aes,
                block_cipher_modes: &[
                    BlockCipherMode::Ecb,
                    BlockCipherMode::Cbc,
                    BlockCipherMode::Cfb,
                    BlockCipherMode::Ofb,
                    BlockCipherMode::Ctr,
                    BlockCipherMode::Gcm,
                    BlockCipherMode::Ccm,
                    BlockCipherMode::Xts,
                ],
                key_lengths_bits: &[128, 192, 256],
            },
            CipherCapability {
                algorithm: Algorithm::TripleDes,
                block_cipher_modes: &[
                    BlockCipherMode::Ecb,
                    BlockCipherMode::Cbc,
                    BlockCipherMode::Cfb,
                    BlockCipherMode::Ofb,
                    BlockCipherMode::Ctr,
                ],
                key_lengths_bits: &[112, 128, 168, 192],
            },
            CipherCapability {
                algorithm: Algorithm::ChaCha20,
                block_cipher_modes: &[],
                key_lengths_bits: &[256],
            },
            CipherCapability {
                algorithm: Algorithm::ChaCha20Poly1305,
                block_cipher_modes: &[BlockCipherMode::Aead],
                key_lengths_bits: &[256],
            },
        ],
        hashing_algorithms: &[
            Hash::Md5,
            Hash::Sha1,
            Hash::Sha224,
            Hash::Sha256,
            Hash::Sha384,
            Hash::Sha512,
            Hash::Sha512_224,
            Hash::Sha512_256,
            Hash::Sha3_224,
            Hash::Sha3_256,
            Hash::Sha3_384,
            Hash::Sha3_512,
        ],
        mac_algorithms: &[
            Algorithm::HmacMd5,
            Algorithm::HmacSha1,
            Algorithm::HmacSha224,
            Algorithm::HmacSha256,
            Algorithm::HmacSha384,
            Algorithm::HmacSha512,
            Algorithm::HmacSha3_224,
            Algorithm::HmacSha3_256,
            Algorithm::HmacSha3_384,
            Algorithm::HmacSha3_512,
        ],
        curves: &[
            RecommendedCurve::P256,
            RecommendedCurve::P384,
            RecommendedCurve::P521,
            RecommendedCurve::Secp256K1,
            RecommendedCurve::Curve25519,
        ],
        derivation_methods: &[
            DerivationMethod::Pbkdf2,
            DerivationMethod::Hash,
            DerivationMethod::Hmac,
            DerivationMethod::Encrypt,
            DerivationMethod::Nist800_108C,
            DerivationMethod::Nist800_108F,
            DerivationMethod::Nist800_108Dpi,
            DerivationMethod::Hkdf,
        ],
    }
}

/// How many bytes a new symmetric key of `length_bits` has. `None` where the algorithm has no such keys; what is not
/// known here as a cipher takes any whole number of bytes. Triple DES keys carry their parity bits, named or not.
pub fn symmetric_key_bytes(algorithm: CryptographicAlgorithm, length_bits: i32) -> Option<usize> {
    let cipher = capabilities().ciphers.iter().find(|cipher| cipher.algorithm == algorithm);
    let known = cipher.is_none_or(|cipher| cipher.key_lengths_bits.contains(&length_bits));
    match (algorithm, length_bits) {
        (CryptographicAlgorithm::TripleDes, 112 | 128) => Some(16),
        (CryptographicAlgorithm::TripleDes, 168 | 192) => Some(24),
        (_, bits) if known && bits > 0 && bits % 8 == 0 => Some((bits / 8) as usize),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        CipherInput, CipherParameters, CryptoError, DerivationInput, PrivateKey, SystemEntropy, derive_key,
        encrypt, hash, mac,
    };
    use super::*;

    /// Whether every value that `listed` holds, and no other, gets further than "not supported".
    fn assert_truthful<T: Copy + PartialEq + std::fmt::Debug>(
        all: &[T],
        listed: &[T],
        attempt: impl Fn(T) -> Result<(), CryptoError>,
    ) {
        for &value in all {
            let supported = attempt(value) != Err(CryptoError::UnsupportedParameters);
            assert_eq!(supported, listed.contains(&value), "{value:?}");
        }
    }

    #[test]
    fn what_is_listed_works_and_nothing_else() {
        let abilities = capabilities();
        for cipher in abilities.ciphers {
            assert_truthful(BlockCipherMode::ALL, cipher.block_cipher_modes, |mode| {
                let parameters = CipherParameters {
                    cryptographic_algorithm: Some(cipher.algorithm),
                    block_cipher_mode: Some(mode),
                    random_iv: Some(true),
                    ..CipherParameters::default()
                };
                let input = CipherInput { data: &[0; 16], ..CipherInput::default() };
                encrypt(&[1; 32], &parameters, input, &SystemEntropy::new()).map(drop)
            });
        }
        assert_truthful(HashingAlgorithm::ALL, abilities.hashing_algorithms, |algorithm| {
            hash(algorithm, b"").map(drop)
        });
        let block_ciphers = [CryptographicAlgorithm::Aes, CryptographicAlgorithm::TripleDes];
        let with_cmac = [abilities.mac_algorithms, &block_ciphers].concat();
        assert_truthful(CryptographicAlgorithm::ALL, &with_cmac, |algorithm| {
            let parameters =
                CipherParameters { cryptographic_algorithm: Some(algorithm), ..CipherParameters::default() };
            mac(&[1; 32], &parameters, b"").map(drop)
        });
        assert_truthful(RecommendedCurve::ALL, abilities.curves, |curve| {
            let (algorithm, entropy) = (CryptographicAlgorithm::Ec, SystemEntropy::new());
            PrivateKey::generate(algorithm, None, Some(curve), &entropy).map(drop)
        });
        assert_truthful(DerivationMethod::ALL, abilities.derivation_methods, |method| {
            derive_key(method, &CipherParameters::default(), DerivationInput::default(), 16).map(drop)
        });
    }

    #[test]
    fn key_lengths() {
        for (algorithm, bits, bytes) in [
            (CryptographicAlgorithm::Aes, 256, Some(32)),
            (CryptographicAlgorithm::Aes, 112, None),
            (CryptographicAlgorithm::TripleDes, 112, Some(16)),
            (CryptographicAlgorithm::TripleDes, 168, Some(24)),
            (CryptographicAlgorithm::TripleDes, 64, None),
            (CryptographicAlgorithm::Skipjack, 80, Some(10)),
            (CryptographicAlgorithm::HmacSha256, 256, Some(32)),
            (CryptographicAlgorithm::HmacSha256, 255, None),
            (CryptographicAlgorithm::HmacSha256, 0, None),
            (CryptographicAlgorithm::ChaCha20, 128, None),
        ] {
            assert_eq!(symmetric_key_bytes(algorithm, bits), bytes, "{algorithm:?} {bits}");
        }
    }
}
