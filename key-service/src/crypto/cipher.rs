//! Encrypt and Decrypt with symmetric keys (KMIP 2.1 sections 6.1.12 and 6.1.16), at once and in parts.
//!
//! Owns the choice of mode, initialization vector, padding and tag length; the modes themselves are below.

mod authenticated;
mod block;
mod chaining;
mod keystream;
mod padding;
mod whole;

use std::fmt;

use kmip_protocol::enumeration::{BlockCipherMode, CryptographicAlgorithm};
use kmip_ttlv::SecretBuffer;
use subtle::ConstantTimeEq;

use super::{CipherParameters, CryptoError, Entropy};
use authenticated::{Authenticated, Scheme};
use block::BlockCipher;
use chaining::Blocks;
use keystream::{CipherFeedback, Keystream};
use padding::Padding;

/// The most data in bytes that a mode holds back until the last part: CCM and XTS need all of it, and no authenticated
/// mode gives out plaintext before its tag has proved right.
pub const HELD_BACK_LIMIT_BYTES: usize = 16 * 1024 * 1024;

/// The data of one request.
#[derive(Clone, Copy, Default)]
pub struct CipherInput<'a> {
    /// IV/Counter/Nonce.
    pub initialization_vector: Option<&'a [u8]>,
    /// Authenticated Encryption Additional Data; empty where the mode has none.
    pub associated_data: &'a [u8],
    /// The plaintext or ciphertext.
    pub data: &'a [u8],
}

/// What [`encrypt`] answers.
#[derive(Debug)]
pub struct Encrypted {
    /// The ciphertext, without the tag.
    pub data: SecretBuffer,
    /// The initialization vector, if it was made up here.
    pub initialization_vector: Option<Vec<u8>>,
    /// The tag of an authenticated mode.
    pub tag: Option<Vec<u8>>,
}

/// Encrypts `input` at once.
///
/// # Errors
///
/// Any [`CryptoError`] but `DecryptionFailed`.
pub fn encrypt(
    key: &[u8],
    parameters: &CipherParameters,
    input: CipherInput<'_>,
    entropy: &dyn Entropy,
) -> Result<Encrypted, CryptoError> {
    let plan = Plan::new(parameters)?;
    let (Method::Authenticated(scheme), Some(vector)) = (plan.method, input.initialization_vector) else {
        return Encryptor::new(key, parameters, input, entropy)?.finish(input.data, entropy);
    };
    let tag_bytes = plan.tag_bytes(parameters)?;
    let mut data = buffer(input.data);
    match authenticated::seal_at_once(scheme, key, vector, input.associated_data, &mut data) {
        Some(tag) => {
            Ok(Encrypted { data, initialization_vector: None, tag: Some(tag[..tag_bytes].to_vec()) })
        }
        None => Encryptor::new(key, parameters, input, entropy)?.finish(input.data, entropy),
    }
}

/// Decrypts `input` at once. `tag` is the Authenticated Encryption Tag, which an authenticated mode needs.
///
/// # Errors
///
/// Any [`CryptoError`] but `EntropyUnavailable`.
pub fn decrypt(
    key: &[u8],
    parameters: &CipherParameters,
    input: CipherInput<'_>,
    tag: Option<&[u8]>,
) -> Result<SecretBuffer, CryptoError> {
    let plan = Plan::new(parameters)?;
    if let (Method::Authenticated(scheme), Some(vector), Some(tag)) =
        (plan.method, input.initialization_vector, tag)
    {
        plan.check_tag(parameters, tag)?;
        let mut data = buffer(input.data);
        if let Some(opened) =
            authenticated::open_at_once(scheme, key, vector, input.associated_data, &mut data, tag)
        {
            return opened.map(|()| data);
        }
    }
    Decryptor::new(key, parameters, input)?.finish(input.data, tag)
}

/// The length in bytes of the tag that the parameters ask for; 0 where the mode has none.
pub(super) fn tag_bytes(parameters: &CipherParameters) -> Result<usize, CryptoError> {
    Plan::new(parameters)?.tag_bytes(parameters)
}

/// An encryption in parts.
pub struct Encryptor {
    state: State,
    tag_bytes: usize,
    generated_vector: Option<Vec<u8>>,
}

impl Encryptor {
    /// Begins. The data of `input` is not looked at.
    ///
    /// # Errors
    ///
    /// As [`encrypt`].
    pub fn new(
        key: &[u8],
        parameters: &CipherParameters,
        input: CipherInput<'_>,
        entropy: &dyn Entropy,
    ) -> Result<Self, CryptoError> {
        let plan = Plan::new(parameters)?;
        let tag_bytes = plan.tag_bytes(parameters)?;
        let generated_vector = plan.generate_vector(parameters, &input, entropy)?;
        let vector = generated_vector.as_deref().or(input.initialization_vector);
        let state = State::new(plan, key, parameters, vector, input.associated_data, Direction::Encrypt)?;
        Ok(Self { state, tag_bytes, generated_vector })
    }

    /// The initialization vector, if it was made up here.
    pub fn generated_initialization_vector(&self) -> Option<&[u8]> {
        self.generated_vector.as_deref()
    }

    /// Takes a part and answers the ciphertext that is ready, which may be none.
    ///
    /// # Errors
    ///
    /// [`CryptoError::InvalidLength`] beyond the mode's limit or [`HELD_BACK_LIMIT_BYTES`].
    pub fn update(&mut self, data: &[u8]) -> Result<SecretBuffer, CryptoError> {
        self.state.update(data, Direction::Encrypt)
    }

    /// Takes the last part and answers the rest of the ciphertext.
    ///
    /// # Errors
    ///
    /// As [`encrypt`].
    pub fn finish(self, data: &[u8], entropy: &dyn Entropy) -> Result<Encrypted, CryptoError> {
        let (data, tag) = self.state.finish_encryption(data, self.tag_bytes, entropy)?;
        Ok(Encrypted { data, initialization_vector: self.generated_vector, tag })
    }
}

/// A decryption in parts.
pub struct Decryptor {
    plan: Plan,
    parameters: CipherParameters,
    state: State,
}

impl Decryptor {
    /// Begins. The data of `input` is not looked at.
    ///
    /// # Errors
    ///
    /// As [`decrypt`].
    pub fn new(
        key: &[u8],
        parameters: &CipherParameters,
        input: CipherInput<'_>,
    ) -> Result<Self, CryptoError> {
        let plan = Plan::new(parameters)?;
        let (vector, associated_data) = (input.initialization_vector, input.associated_data);
        let state = State::new(plan, key, parameters, vector, associated_data, Direction::Decrypt)?;
        Ok(Self { plan, parameters: parameters.clone(), state })
    }

    /// Takes a part and answers the plaintext that is ready. Authenticated modes answer all of it at the end.
    ///
    /// # Errors
    ///
    /// As [`Encryptor::update`].
    pub fn update(&mut self, data: &[u8]) -> Result<SecretBuffer, CryptoError> {
        self.state.update(data, Direction::Decrypt)
    }

    /// Takes the last part and answers the rest of the plaintext.
    ///
    /// # Errors
    ///
    /// As [`decrypt`].
    pub fn finish(self, data: &[u8], tag: Option<&[u8]>) -> Result<SecretBuffer, CryptoError> {
        if self.plan.has_tag() {
            self.plan.check_tag(&self.parameters, tag.ok_or(CryptoError::InvalidTagLength)?)?;
        }
        self.state.finish_decryption(data, tag.unwrap_or_default())
    }
}

impl fmt::Debug for Encryptor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Encryptor")
    }
}

impl fmt::Debug for Decryptor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Decryptor")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Encrypt,
    Decrypt,
}

/// The way to process the data, before key and initialization vector are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    ElectronicCodebook,
    CipherBlockChaining,
    CipherFeedback,
    OutputFeedback,
    Counter,
    ChaCha20,
    Authenticated(Scheme),
    CounterWithMac,
    Xts,
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    algorithm: CryptographicAlgorithm,
    method: Method,
}

impl Plan {
    fn new(parameters: &CipherParameters) -> Result<Self, CryptoError> {
        use BlockCipherMode as Mode;
        use CryptographicAlgorithm::{Aes, ChaCha20, ChaCha20Poly1305, TripleDes};
        let algorithm = parameters.cryptographic_algorithm.ok_or(CryptoError::BadParameters)?;
        let method = match (algorithm, parameters.block_cipher_mode) {
            (ChaCha20, None) => Method::ChaCha20,
            (ChaCha20Poly1305, None | Some(Mode::Aead)) => Method::Authenticated(Scheme::ChaCha20Poly1305),
            (Aes | TripleDes, None) => return Err(CryptoError::BadParameters),
            (Aes | TripleDes, Some(Mode::Ecb)) => Method::ElectronicCodebook,
            (Aes | TripleDes, Some(Mode::Cbc)) => Method::CipherBlockChaining,
            (Aes | TripleDes, Some(Mode::Cfb)) => Method::CipherFeedback,
            (Aes | TripleDes, Some(Mode::Ofb)) => Method::OutputFeedback,
            (Aes | TripleDes, Some(Mode::Ctr)) => Method::Counter,
            (Aes, Some(Mode::Gcm)) => Method::Authenticated(Scheme::Gcm),
            (Aes, Some(Mode::Ccm)) => Method::CounterWithMac,
            (Aes, Some(Mode::Xts)) => Method::Xts,
            _ => return Err(CryptoError::UnsupportedParameters),
        };
        Ok(Self { algorithm, method })
    }

    fn has_tag(self) -> bool {
        matches!(self.method, Method::Authenticated(_) | Method::CounterWithMac)
    }

    /// The length of the tag to make; 0 where the mode has none.
    fn tag_bytes(self, parameters: &CipherParameters) -> Result<usize, CryptoError> {
        if !self.has_tag() {
            return Ok(0);
        }
        let asked = parameters.tag_length.unwrap_or(authenticated::TAG_BYTES as i32);
        match (self.method, asked) {
            (Method::CounterWithMac, 4 | 6 | 8 | 10 | 12 | 14 | 16) => Ok(asked as usize),
            (Method::Authenticated(_), 12..=16) => Ok(asked as usize),
            _ => Err(CryptoError::InvalidTagLength),
        }
    }

    /// The length of a tag that came must be one of the mode's, and the one the parameters name if they do.
    fn check_tag(self, parameters: &CipherParameters, tag: &[u8]) -> Result<(), CryptoError> {
        let length = i32::try_from(tag.len()).map_err(|_| CryptoError::InvalidTagLength)?;
        if parameters.tag_length.is_some_and(|named| named != length) {
            return Err(CryptoError::InvalidTagLength);
        }
        self.tag_bytes(&CipherParameters { tag_length: Some(length), ..CipherParameters::default() })?;
        Ok(())
    }

    fn block_bytes(self) -> usize {
        if self.algorithm == CryptographicAlgorithm::TripleDes { 8 } else { 16 }
    }

    /// Whether the mode takes an initialization vector of that length.
    fn takes_vector(self, length: usize) -> bool {
        match self.method {
            Method::ElectronicCodebook => true,
            Method::CipherBlockChaining | Method::CipherFeedback | Method::OutputFeedback | Method::Xts => {
                length == self.block_bytes()
            }
            Method::Counter => (1..=self.block_bytes()).contains(&length),
            Method::ChaCha20 => length == 8 || length == 12,
            Method::Authenticated(Scheme::Gcm) => length > 0,
            Method::Authenticated(Scheme::ChaCha20Poly1305) => length == 12,
            Method::CounterWithMac => (7..=13).contains(&length),
        }
    }

    /// Makes up an initialization vector where the request asks for one and brings none.
    fn generate_vector(
        self,
        parameters: &CipherParameters,
        input: &CipherInput<'_>,
        entropy: &dyn Entropy,
    ) -> Result<Option<Vec<u8>>, CryptoError> {
        let wanted = parameters.random_iv == Some(true)
            && input.initialization_vector.is_none()
            && self.method != Method::ElectronicCodebook;
        if !wanted {
            return Ok(None);
        }
        let length = match (self.method, parameters.iv_length) {
            (_, Some(bits)) if bits > 0 && bits % 8 == 0 => (bits / 8) as usize,
            (_, Some(_)) => return Err(CryptoError::BadParameters),
            (Method::Authenticated(_) | Method::CounterWithMac | Method::ChaCha20, None) => 12,
            (_, None) => self.block_bytes(),
        };
        // Longer ones are hashed down to a block, so they would only cost.
        if !self.takes_vector(length) || length > block::LARGEST_BLOCK_BYTES {
            return Err(CryptoError::InvalidInitializationVector);
        }
        let mut vector = vec![0; length];
        entropy.fill(&mut vector)?;
        Ok(Some(vector))
    }
}

/// An operation under way.
enum State {
    Blocks(Blocks),
    Stream(Keystream),
    Feedback(CipherFeedback),
    Authenticated(Box<Authenticated>, SecretBuffer),
    Whole(Whole),
}

/// CCM or XTS, which wait for all of the data.
struct Whole {
    method: Method,
    key: SecretBuffer,
    vector: Vec<u8>,
    associated_data: Vec<u8>,
    data: SecretBuffer,
}

impl State {
    fn new(
        plan: Plan,
        key: &[u8],
        parameters: &CipherParameters,
        vector: Option<&[u8]>,
        associated_data: &[u8],
        direction: Direction,
    ) -> Result<Self, CryptoError> {
        let vector = match vector {
            Some(vector) if plan.takes_vector(vector.len()) => vector,
            Some(_) => return Err(CryptoError::InvalidInitializationVector),
            None if plan.method == Method::ElectronicCodebook => &[],
            None => return Err(CryptoError::MissingInitializationVector),
        };
        let cipher = || BlockCipher::new(plan.algorithm, key);
        Ok(match plan.method {
            Method::ElectronicCodebook => {
                let padding = Padding::new(parameters.padding_method)?;
                Self::Blocks(Blocks::new(cipher()?, None, padding, direction))
            }
            Method::CipherBlockChaining => {
                let padding = Padding::new(parameters.padding_method)?;
                Self::Blocks(Blocks::new(cipher()?, Some(vector), padding, direction))
            }
            Method::CipherFeedback => Self::Feedback(CipherFeedback::new(cipher()?, vector, direction)),
            Method::OutputFeedback => Self::Stream(Keystream::output_feedback(cipher()?, vector)),
            Method::Counter => Self::Stream(Keystream::counter_from(cipher()?, vector, parameters)?),
            Method::ChaCha20 => {
                let start = parameters.initial_counter_value.unwrap_or(0);
                let start = u32::try_from(start).map_err(|_| CryptoError::BadParameters)?;
                Self::Stream(Keystream::chacha20(key, vector, start)?)
            }
            Method::Authenticated(scheme) => {
                let state = Authenticated::new(scheme, key, vector, associated_data)?;
                Self::Authenticated(Box::new(state), SecretBuffer::new())
            }
            Method::CounterWithMac | Method::Xts => Self::Whole(Whole {
                method: plan.method,
                key: buffer(key),
                vector: vector.to_vec(),
                associated_data: associated_data.to_vec(),
                data: SecretBuffer::new(),
            }),
        })
    }

    fn update(&mut self, data: &[u8], direction: Direction) -> Result<SecretBuffer, CryptoError> {
        match self {
            Self::Blocks(blocks) => return Ok(blocks.update(data)),
            Self::Whole(Whole { data: held_back, .. }) => return hold_back(held_back, data),
            Self::Authenticated(_, held_back) if direction == Direction::Decrypt => {
                return hold_back(held_back, data);
            }
            _ => {}
        }
        let mut output = buffer(data);
        match self {
            Self::Stream(stream) => stream.apply(&mut output)?,
            Self::Feedback(feedback) => feedback.apply(&mut output),
            Self::Authenticated(authenticated, _) => authenticated.encrypt(&mut output)?,
            Self::Blocks(_) | Self::Whole(_) => {}
        }
        Ok(output)
    }

    fn finish_encryption(
        mut self,
        data: &[u8],
        tag_bytes: usize,
        entropy: &dyn Entropy,
    ) -> Result<(SecretBuffer, Option<Vec<u8>>), CryptoError> {
        if let Self::Blocks(blocks) = self {
            return Ok((blocks.finish(data, entropy)?, None));
        }
        let output = self.update(data, Direction::Encrypt)?;
        match self {
            Self::Authenticated(authenticated, _) => {
                Ok((output, Some(authenticated.tag()[..tag_bytes].to_vec())))
            }
            Self::Whole(whole) => whole.encrypt(tag_bytes),
            _ => Ok((output, None)),
        }
    }

    fn finish_decryption(mut self, data: &[u8], tag: &[u8]) -> Result<SecretBuffer, CryptoError> {
        if let Self::Blocks(blocks) = self {
            return blocks.finish(data, &NoEntropy);
        }
        let output = self.update(data, Direction::Decrypt)?;
        match self {
            Self::Authenticated(mut authenticated, mut held_back) => {
                authenticated.decrypt(&mut held_back)?;
                let expected = authenticated.tag();
                let right = bool::from(expected[..tag.len()].ct_eq(tag));
                if right { Ok(held_back) } else { Err(CryptoError::DecryptionFailed) }
            }
            Self::Whole(whole) => whole.decrypt(tag),
            _ => Ok(output),
        }
    }
}

impl Whole {
    fn encrypt(mut self, tag_bytes: usize) -> Result<(SecretBuffer, Option<Vec<u8>>), CryptoError> {
        let tag = if self.method == Method::Xts {
            whole::xts(&self.key, &self.vector, &mut self.data, Direction::Encrypt)?;
            None
        } else {
            let (vector, associated) = (&self.vector, &self.associated_data);
            Some(whole::ccm_seal(&self.key, vector, associated, &mut self.data, tag_bytes)?)
        };
        Ok((self.data, tag))
    }

    fn decrypt(mut self, tag: &[u8]) -> Result<SecretBuffer, CryptoError> {
        if self.method == Method::Xts {
            whole::xts(&self.key, &self.vector, &mut self.data, Direction::Decrypt)?;
        } else {
            whole::ccm_open(&self.key, &self.vector, &self.associated_data, &mut self.data, tag)?;
        }
        Ok(self.data)
    }
}

/// For what makes nothing up.
pub(super) struct NoEntropy;

impl Entropy for NoEntropy {
    fn fill(&self, _: &mut [u8]) -> Result<(), CryptoError> {
        Err(CryptoError::EntropyUnavailable)
    }
}

fn hold_back(held_back: &mut SecretBuffer, data: &[u8]) -> Result<SecretBuffer, CryptoError> {
    if data.len() > HELD_BACK_LIMIT_BYTES - held_back.len() {
        return Err(CryptoError::InvalidLength);
    }
    held_back.extend_from_slice(data);
    Ok(SecretBuffer::new())
}

fn buffer(data: &[u8]) -> SecretBuffer {
    let mut buffer = SecretBuffer::with_capacity(data.len());
    buffer.extend_from_slice(data);
    buffer
}

#[cfg(test)]
mod tests;
