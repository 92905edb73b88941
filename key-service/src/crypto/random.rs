//! Randomness, as a port: production asks the operating system, a simulation its seed.

use ring::rand::{SecureRandom, SystemRandom};

use super::CryptoError;

/// A source of unpredictable bytes.
pub trait Entropy: Send + Sync {
    /// Fills `bytes`.
    ///
    /// # Errors
    ///
    /// [`CryptoError::EntropyUnavailable`]; what `bytes` holds then must not be used.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), CryptoError>;
}

/// The operating system's generator.
#[derive(Clone, Debug)]
pub struct SystemEntropy {
    random: SystemRandom,
}

impl SystemEntropy {
    /// The operating system's generator.
    pub fn new() -> Self {
        Self { random: SystemRandom::new() }
    }
}

impl Default for SystemEntropy {
    fn default() -> Self {
        Self::new()
    }
}

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), CryptoError> {
        self.random.fill(bytes).map_err(|_| CryptoError::EntropyUnavailable)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn two_fills_differ() {
        let (mut first, mut second) = ([0; 32], [0; 32]);
        SystemEntropy::new().fill(&mut first).unwrap();
        SystemEntropy::new().fill(&mut second).unwrap();
        assert!(first != second && first != [0; 32]);
    }
}
