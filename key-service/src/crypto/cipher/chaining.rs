//! ECB and CBC: modes that take whole blocks, in parts of any length.

use kmip_ttlv::SecretBuffer;

use super::Direction;
use super::block::{BlockCipher, LARGEST_BLOCK_BYTES, xor};
use super::padding::Padding;
use crate::crypto::{CryptoError, Entropy};

/// ECB or CBC under way.
pub(super) struct Blocks {
    cipher: BlockCipher,
    /// The last ciphertext block in CBC; nothing in ECB.
    chain: Option<[u8; LARGEST_BLOCK_BYTES]>,
    padding: Padding,
    direction: Direction,
    /// What does not fill a block yet, and on decryption the last block, which may be padding.
    pending: SecretBuffer,
}

impl Blocks {
    pub(super) fn new(
        cipher: BlockCipher,
        initialization_vector: Option<&[u8]>,
        padding: Padding,
        direction: Direction,
    ) -> Self {
        let chain = initialization_vector.map(|vector| {
            let mut chain = [0; LARGEST_BLOCK_BYTES];
            chain[..vector.len()].copy_from_slice(vector);
            chain
        });
        Self { cipher, chain, padding, direction, pending: SecretBuffer::new() }
    }

    /// Takes a part and answers the blocks that are complete.
    pub(super) fn update(&mut self, data: &[u8]) -> SecretBuffer {
        let block_bytes = self.cipher.block_bytes();
        let available = self.pending.len() + data.len();
        let held_back = match (self.direction, self.padding) {
            (Direction::Decrypt, padding) if padding != Padding::None => 1,
            _ => 0,
        };
        let ready = available.saturating_sub(held_back) / block_bytes * block_bytes;
        let mut blocks = SecretBuffer::with_capacity(available + block_bytes);
        blocks.extend_from_slice(&self.pending);
        blocks.extend_from_slice(data);
        self.pending.clear();
        self.pending.extend_from_slice(&blocks[ready..]);
        blocks.truncate(ready);
        self.process(&mut blocks);
        blocks
    }

    /// Takes the last part.
    pub(super) fn finish(mut self, data: &[u8], entropy: &dyn Entropy) -> Result<SecretBuffer, CryptoError> {
        let block_bytes = self.cipher.block_bytes();
        let mut blocks = self.update(data);
        let mut last = std::mem::take(&mut self.pending);
        match self.direction {
            Direction::Encrypt => {
                self.padding.pad(&mut last, block_bytes, entropy)?;
                self.process(&mut last);
            }
            Direction::Decrypt if !last.len().is_multiple_of(block_bytes) => {
                return Err(CryptoError::InvalidLength);
            }
            Direction::Decrypt => {
                self.process(&mut last);
                self.padding.unpad(&mut last, block_bytes)?;
            }
        }
        blocks.extend_from_slice(&last);
        Ok(blocks)
    }

    fn process(&mut self, blocks: &mut [u8]) {
        match (&mut self.chain, self.direction) {
            (None, Direction::Encrypt) => self.cipher.encrypt_blocks(blocks),
            (None, Direction::Decrypt) => self.cipher.decrypt_blocks(blocks),
            (Some(chain), Direction::Encrypt) => chain_encrypt(&self.cipher, chain, blocks),
            (Some(chain), Direction::Decrypt) => chain_decrypt(&self.cipher, chain, blocks),
        }
    }
}

fn chain_encrypt(cipher: &BlockCipher, chain: &mut [u8; LARGEST_BLOCK_BYTES], blocks: &mut [u8]) {
    for block in blocks.chunks_exact_mut(cipher.block_bytes()) {
        xor(block, chain);
        cipher.encrypt_blocks(block);
        chain[..block.len()].copy_from_slice(block);
    }
}

/// Decrypts several blocks at once, which is where a processor's pipeline pays.
fn chain_decrypt(cipher: &BlockCipher, chain: &mut [u8; LARGEST_BLOCK_BYTES], blocks: &mut [u8]) {
    const AT_ONCE: usize = 8 * LARGEST_BLOCK_BYTES;
    let block_bytes = cipher.block_bytes();
    for chunk in blocks.chunks_mut(AT_ONCE) {
        let mut ciphertext = [0; AT_ONCE];
        ciphertext[..chunk.len()].copy_from_slice(chunk);
        cipher.decrypt_blocks(chunk);
        xor(&mut chunk[..block_bytes], chain);
        xor(&mut chunk[block_bytes..], &ciphertext);
        let last = chunk.len() - block_bytes;
        chain[..block_bytes].copy_from_slice(&ciphertext[last..chunk.len()]);
    }
}
