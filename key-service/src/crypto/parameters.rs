//! What a request says about how to use a key, as plain values: KMIP's Cryptographic Parameters (2.1 section 4.16).

use bytes::Bytes;
use kmip_protocol::enumeration::{
    BlockCipherMode, CryptographicAlgorithm, DigitalSignatureAlgorithm, HashingAlgorithm, MaskGenerator,
    PaddingMethod,
};

/// Cryptographic Parameters. A field that is absent takes the default of the operation that needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CipherParameters {
    /// The algorithm. The caller sets it to the key's own where the request leaves it out.
    pub cryptographic_algorithm: Option<CryptographicAlgorithm>,
    /// The mode of a block cipher.
    pub block_cipher_mode: Option<BlockCipherMode>,
    /// The padding of data, or of a signature.
    pub padding_method: Option<PaddingMethod>,
    /// The hash of a signature, of OAEP, or of a derivation.
    pub hashing_algorithm: Option<HashingAlgorithm>,
    /// Padding and hash of a signature in one word.
    pub digital_signature_algorithm: Option<DigitalSignatureAlgorithm>,
    /// Whether a missing initialization vector is to be made up.
    pub random_iv: Option<bool>,
    /// The length in bits of an initialization vector that is made up.
    pub iv_length: Option<i32>,
    /// The length of the authentication tag in bytes.
    pub tag_length: Option<i32>,
    /// The length in bits of the part of a CTR block that counts; the default is all of it.
    pub counter_length: Option<i32>,
    /// Where CTR and ChaCha20 start to count, when the initialization vector leaves that open.
    pub initial_counter_value: Option<i32>,
    /// The salt length of PSS in bytes.
    pub salt_length: Option<i32>,
    /// The mask generator of OAEP and PSS; there is only MGF1.
    pub mask_generator: Option<MaskGenerator>,
    /// The hash of MGF1.
    pub mask_generator_hashing_algorithm: Option<HashingAlgorithm>,
    /// The label of OAEP.
    pub p_source: Option<Bytes>,
    /// The trailer field of PSS; only 1 exists.
    pub trailer_field: Option<i32>,
}
