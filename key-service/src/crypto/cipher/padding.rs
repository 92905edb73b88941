//! Padding of the last block.

use kmip_protocol::enumeration::PaddingMethod;
use kmip_ttlv::SecretBuffer;

use crate::crypto::{CryptoError, Entropy};

/// A padding this module knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Padding {
    None,
    /// Each byte is the number of padding bytes.
    Pkcs5,
    /// Zero bytes up to the block; nothing where the data ends with a block. Zeros at the end of the data are lost.
    Zeros,
    /// Zero bytes, then their number.
    AnsiX923,
    /// Random bytes, then their number.
    Iso10126,
}

impl Padding {
    pub(super) fn new(method: Option<PaddingMethod>) -> Result<Self, CryptoError> {
        Ok(match method {
            None | Some(PaddingMethod::None) => Self::None,
            Some(PaddingMethod::Pkcs5) => Self::Pkcs5,
            Some(PaddingMethod::Zeros) => Self::Zeros,
            Some(PaddingMethod::AnsiX9_23) => Self::AnsiX923,
            Some(PaddingMethod::Iso10126) => Self::Iso10126,
            Some(_) => return Err(CryptoError::UnsupportedParameters),
        })
    }

    /// Fills the data up to a whole number of blocks.
    pub(super) fn pad(
        self,
        data: &mut SecretBuffer,
        block_bytes: usize,
        entropy: &dyn Entropy,
    ) -> Result<(), CryptoError> {
        let length = data.len();
        let padded = match self {
            Self::None if length.is_multiple_of(block_bytes) => return Ok(()),
            Self::None => return Err(CryptoError::InvalidLength),
            Self::Zeros => length.next_multiple_of(block_bytes),
            _ => (length + 1).next_multiple_of(block_bytes),
        };
        data.resize(padded);
        let count = (padded - length) as u8;
        match self {
            Self::None | Self::Zeros => return Ok(()),
            Self::Pkcs5 => data[length..].fill(count),
            Self::AnsiX923 => {}
            Self::Iso10126 => entropy.fill(&mut data[length..])?,
        }
        data[padded - 1] = count;
        Ok(())
    }

    /// Removes the padding of decrypted blocks. Every kind of damage is the same error.
    pub(super) fn unpad(self, data: &mut SecretBuffer, block_bytes: usize) -> Result<(), CryptoError> {
        let count = match self {
            Self::None => return Ok(()),
            Self::Zeros => data.iter().rev().take(block_bytes - 1).take_while(|&&byte| byte == 0).count(),
            _ => usize::from(*data.last().ok_or(CryptoError::DecryptionFailed)?),
        };
        let kept = data.len().checked_sub(count).ok_or(CryptoError::DecryptionFailed)?;
        let filler = match self {
            Self::Pkcs5 => Some(count as u8),
            Self::AnsiX923 => Some(0),
            _ => None,
        };
        let counted = self != Self::Zeros;
        let padding = &data[kept..];
        let differing = padding
            .iter()
            .take(count.saturating_sub(1))
            .fold(0, |differing, &byte| differing | filler.map_or(0, |filler| byte ^ filler));
        if counted && (count == 0 || count > block_bytes) || differing != 0 {
            return Err(CryptoError::DecryptionFailed);
        }
        data.truncate(kept);
        Ok(())
    }
}
