//! Cryptography at the level of KMIP's operations. No other module names a cryptography library.
//!
//! `ring` does what it can; RustCrypto crates do the rest. Keys come in as byte slices and plaintext goes out in
//! [`SecretBuffer`]s, so where a secret lives is the caller's choice.
//!
//! [`SecretBuffer`]: kmip_ttlv::SecretBuffer

mod asymmetric;
mod capabilities;
mod cipher;
mod derive;
mod digest;
mod envelope;
mod error;
mod key_wrap;
mod mac;
mod parameters;
mod random;
mod record_key;
mod secret_sharing;
#[cfg(test)]
mod test_vectors;

pub use asymmetric::{PrivateKey, PublicKey, RsaPrivateComponents, RsaPublicComponents, SignatureInput};
pub use capabilities::{Capabilities, CipherCapability, capabilities, symmetric_key_bytes};
pub use cipher::{CipherInput, Decryptor, Encrypted, Encryptor, HELD_BACK_LIMIT_BYTES, decrypt, encrypt};
pub use derive::{DERIVED_LIMIT_BYTES, DerivationInput, PBKDF2_WORK_LIMIT, derive_key};
pub use digest::{Hasher, hash, sha256, sha256_of_parts};
pub use envelope::{ENVELOPE_OVERHEAD_BYTES, SEALING_KEY_BYTES, plaintext_length, seal, unseal, unseal_into};
pub use error::CryptoError;
pub use key_wrap::{WrappedKey, unwrap_key, wrap_key};
pub use mac::{Mac, mac, verify_mac};
pub use parameters::CipherParameters;
pub use random::{Entropy, SystemEntropy};
pub use record_key::{RECORD_KEY_BYTES, authenticate_record, derive_record_key, is_authentic_record};
pub use secret_sharing::{SPLIT_PARTS_LIMIT, join_secret, split_secret};
