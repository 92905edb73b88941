//! Modes and ciphers that xor data with a stream: CTR, OFB, CFB with whole-block feedback, ChaCha20.

use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use chacha20::{ChaCha20, ChaCha20Legacy};
use zeroize::Zeroizing;

use super::block::{BlockCipher, LARGEST_BLOCK_BYTES, xor};
use super::{CipherParameters, Direction};
use crate::crypto::CryptoError;

/// How many bytes of stream are made at once.
const STREAM_BYTES: usize = 8 * LARGEST_BLOCK_BYTES;
/// The block of ChaCha20.
const CHACHA20_BLOCK_BYTES: u64 = 64;

/// A stream that does not depend on the data.
pub(super) enum Keystream {
    /// With how many bytes are left before the counter comes round and the stream would repeat.
    Counter(BlockStream<Counter>, u64),
    OutputFeedback(BlockStream<OutputFeedback>),
    ChaCha20(Box<ChaCha20>),
    /// The original with a nonce of 64 bits.
    ChaCha20Legacy(Box<ChaCha20Legacy>),
}

impl Keystream {
    /// CTR from a full counter block of which the last `counter_bytes` bytes count.
    pub(super) fn counter(
        cipher: BlockCipher,
        start: [u8; LARGEST_BLOCK_BYTES],
        counter_bytes: usize,
    ) -> Self {
        let blocks = u32::try_from(8 * counter_bytes).ok().and_then(|bits| 1_u64.checked_shl(bits));
        let left = blocks.unwrap_or(u64::MAX).saturating_mul(cipher.block_bytes() as u64);
        Self::Counter(BlockStream::new(cipher, Counter { block: start, counter_bytes }), left)
    }

    /// CTR from a KMIP request. A vector shorter than a block leaves the rest of the block to count, from the
    /// Initial Counter Value or 0.
    pub(super) fn counter_from(
        cipher: BlockCipher,
        vector: &[u8],
        parameters: &CipherParameters,
    ) -> Result<Self, CryptoError> {
        let block_bytes = cipher.block_bytes();
        let mut start = [0; LARGEST_BLOCK_BYTES];
        start[..vector.len()].copy_from_slice(vector);
        let open = block_bytes - vector.len();
        let value = u32::try_from(parameters.initial_counter_value.unwrap_or(0))
            .map_err(|_| CryptoError::BadParameters)?
            .to_be_bytes();
        let room = open.min(value.len());
        if value[..value.len() - room].iter().any(|&byte| byte != 0) {
            return Err(CryptoError::BadParameters);
        }
        start[block_bytes - room..block_bytes].copy_from_slice(&value[value.len() - room..]);
        let whole = if open == 0 { block_bytes } else { open };
        let counter_bytes = match parameters.counter_length {
            None => whole,
            Some(bits) if bits % 8 == 0 && bits > 0 && (bits / 8) as usize <= whole => (bits / 8) as usize,
            Some(_) => return Err(CryptoError::BadParameters),
        };
        Ok(Self::counter(cipher, start, counter_bytes))
    }

    /// OFB; the vector is a block long.
    pub(super) fn output_feedback(cipher: BlockCipher, vector: &[u8]) -> Self {
        let mut register = [0; LARGEST_BLOCK_BYTES];
        register[..vector.len()].copy_from_slice(vector);
        Self::OutputFeedback(BlockStream::new(cipher, OutputFeedback { register }))
    }

    /// ChaCha20 from the block `start` on, with a nonce of 12 bytes, or of 8 in its original form.
    pub(super) fn chacha20(key: &[u8], nonce: &[u8], start: u32) -> Result<Self, CryptoError> {
        let key = key.try_into().map_err(|_| CryptoError::InvalidKey)?;
        let position = u64::from(start) * CHACHA20_BLOCK_BYTES;
        if let Ok(nonce) = nonce.try_into() {
            let mut stream = Box::new(ChaCha20::new(key, nonce));
            stream.try_seek(position).map_err(|_| CryptoError::BadParameters)?;
            return Ok(Self::ChaCha20(stream));
        }
        let nonce = nonce.try_into().map_err(|_| CryptoError::InvalidInitializationVector)?;
        let mut stream = Box::new(ChaCha20Legacy::new(key, nonce));
        stream.try_seek(position).map_err(|_| CryptoError::BadParameters)?;
        Ok(Self::ChaCha20Legacy(stream))
    }

    /// Encrypts or decrypts the next bytes.
    pub(super) fn apply(&mut self, data: &mut [u8]) -> Result<(), CryptoError> {
        match self {
            Self::Counter(stream, left) => {
                *left = left.checked_sub(data.len() as u64).ok_or(CryptoError::InvalidLength)?;
                stream.apply(data);
            }
            Self::OutputFeedback(stream) => stream.apply(data),
            Self::ChaCha20(stream) => {
                return stream.try_apply_keystream(data).map_err(|_| CryptoError::InvalidLength);
            }
            Self::ChaCha20Legacy(stream) => {
                return stream.try_apply_keystream(data).map_err(|_| CryptoError::InvalidLength);
            }
        }
        Ok(())
    }
}

/// Makes the next blocks of a stream.
pub(super) trait Generator {
    /// Fills `blocks`, a whole number of blocks.
    fn generate(&mut self, cipher: &BlockCipher, blocks: &mut [u8]);
}

/// CTR.
pub(super) struct Counter {
    block: [u8; LARGEST_BLOCK_BYTES],
    counter_bytes: usize,
}

impl Generator for Counter {
    fn generate(&mut self, cipher: &BlockCipher, blocks: &mut [u8]) {
        let block_bytes = cipher.block_bytes();
        for block in blocks.chunks_exact_mut(block_bytes) {
            block.copy_from_slice(&self.block[..block_bytes]);
            increment(&mut self.block[block_bytes - self.counter_bytes..block_bytes]);
        }
        cipher.encrypt_blocks(blocks);
    }
}

fn increment(counter: &mut [u8]) {
    for byte in counter.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            return;
        }
    }
}

/// OFB.
pub(super) struct OutputFeedback {
    register: [u8; LARGEST_BLOCK_BYTES],
}

impl Generator for OutputFeedback {
    fn generate(&mut self, cipher: &BlockCipher, blocks: &mut [u8]) {
        for block in blocks.chunks_exact_mut(cipher.block_bytes()) {
            block.copy_from_slice(&self.register[..block.len()]);
            cipher.encrypt_blocks(block);
            self.register[..block.len()].copy_from_slice(block);
        }
    }
}

/// A block cipher's stream, and what of it has been made but not used.
pub(super) struct BlockStream<G> {
    cipher: BlockCipher,
    generator: G,
    stream: Zeroizing<[u8; STREAM_BYTES]>,
    used: usize,
}

impl<G: Generator> BlockStream<G> {
    fn new(cipher: BlockCipher, generator: G) -> Self {
        Self { cipher, generator, stream: Zeroizing::new([0; STREAM_BYTES]), used: STREAM_BYTES }
    }

    fn apply(&mut self, mut data: &mut [u8]) {
        while !data.is_empty() {
            if self.used == STREAM_BYTES {
                self.generator.generate(&self.cipher, &mut *self.stream);
                self.used = 0;
            }
            let count = data.len().min(STREAM_BYTES - self.used);
            let (now, later) = data.split_at_mut(count);
            xor(now, &self.stream[self.used..]);
            self.used += count;
            data = later;
        }
    }
}

/// CFB with feedback of whole blocks (CFB128 for AES, CFB64 for Triple DES).
pub(super) struct CipherFeedback {
    cipher: BlockCipher,
    /// Stream where not used yet, ciphertext where used.
    register: [u8; LARGEST_BLOCK_BYTES],
    used: usize,
    direction: Direction,
}

impl CipherFeedback {
    pub(super) fn new(cipher: BlockCipher, vector: &[u8], direction: Direction) -> Self {
        let mut register = [0; LARGEST_BLOCK_BYTES];
        register[..vector.len()].copy_from_slice(vector);
        Self { used: cipher.block_bytes(), cipher, register, direction }
    }

    pub(super) fn apply(&mut self, data: &mut [u8]) {
        let block_bytes = self.cipher.block_bytes();
        for byte in data {
            if self.used == block_bytes {
                self.cipher.encrypt_blocks(&mut self.register[..block_bytes]);
                self.used = 0;
            }
            let output = *byte ^ self.register[self.used];
            self.register[self.used] = if self.direction == Direction::Encrypt { output } else { *byte };
            *byte = output;
            self.used += 1;
        }
    }
}
