//! Why a cryptographic operation did not happen: what we tell ourselves. The operation decides what the client is told.

use thiserror::Error;

/// Why a cryptographic operation failed. Names no secret and echoes nothing of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CryptoError {
    /// The key does not fit the algorithm, or is not what its format says.
    #[error("the key does not fit the algorithm")]
    InvalidKey,
    /// The key format, or the way to it from the stored one, is not supported.
    #[error("the key format is not supported")]
    UnsupportedKeyFormat,
    /// The combination of algorithm, mode, padding and hash is not supported.
    #[error("the cryptographic parameters are not supported")]
    UnsupportedParameters,
    /// A parameter is absent or out of range for the algorithm.
    #[error("the cryptographic parameters are not valid for the algorithm")]
    BadParameters,
    /// The mode needs an initialization vector (IV, counter or nonce) and none was given.
    #[error("the initialization vector is missing")]
    MissingInitializationVector,
    /// The initialization vector has a length that the mode does not take.
    #[error("the initialization vector has a wrong length")]
    InvalidInitializationVector,
    /// The mode does not know authentication tags of that length.
    #[error("the tag length is not one of the mode's")]
    InvalidTagLength,
    /// The data has a length that the mode without padding, or the key, cannot take.
    #[error("the data has a length that cannot be processed")]
    InvalidLength,
    /// The data was not made with this key and these parameters. Wrong tag, padding, key and associated data look alike.
    #[error("the data does not open with this key")]
    DecryptionFailed,
    /// The source of randomness failed.
    #[error("the source of randomness failed")]
    EntropyUnavailable,
}
