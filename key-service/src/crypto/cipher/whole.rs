//! CCM and XTS: modes that must have all of the data before they can begin, or end.

use kmip_protocol::enumeration::CryptographicAlgorithm;
use subtle::ConstantTimeEq;

use super::Direction;
use super::block::{BlockCipher, LARGEST_BLOCK_BYTES, xor};
use super::keystream::Keystream;
use crate::crypto::CryptoError;

const BLOCK_BYTES: usize = LARGEST_BLOCK_BYTES;

/// CCM (SP 800-38C): encrypts in place and answers the tag.
pub(super) fn ccm_seal(
    key: &[u8],
    nonce: &[u8],
    associated_data: &[u8],
    data: &mut [u8],
    tag_bytes: usize,
) -> Result<Vec<u8>, CryptoError> {
    let mut tag = ccm_mac(key, nonce, associated_data, data, tag_bytes)?;
    let (mut keystream, mask) = ccm_keystream(key, nonce)?;
    keystream.apply(data)?;
    xor(&mut tag, &mask);
    Ok(tag[..tag_bytes].to_vec())
}

/// CCM: decrypts in place. The data is wiped when the tag is wrong.
pub(super) fn ccm_open(
    key: &[u8],
    nonce: &[u8],
    associated_data: &[u8],
    data: &mut [u8],
    tag: &[u8],
) -> Result<(), CryptoError> {
    let (mut keystream, mask) = ccm_keystream(key, nonce)?;
    keystream.apply(data)?;
    let mut expected = ccm_mac(key, nonce, associated_data, data, tag.len())?;
    xor(&mut expected, &mask);
    if !bool::from(expected[..tag.len()].ct_eq(tag)) {
        data.fill(0);
        return Err(CryptoError::DecryptionFailed);
    }
    Ok(())
}

/// The stream that starts with counter 1, and what counter 0 gives for the tag.
fn ccm_keystream(key: &[u8], nonce: &[u8]) -> Result<(Keystream, [u8; BLOCK_BYTES]), CryptoError> {
    let cipher = BlockCipher::new(CryptographicAlgorithm::Aes, key)?;
    let length_bytes = BLOCK_BYTES - 1 - nonce.len();
    let mut start = [0; BLOCK_BYTES];
    start[0] = length_bytes as u8 - 1;
    start[1..=nonce.len()].copy_from_slice(nonce);
    let mut keystream = Keystream::counter(cipher, start, length_bytes);
    let mut mask = [0; BLOCK_BYTES];
    keystream.apply(&mut mask)?;
    Ok((keystream, mask))
}

/// CBC-MAC over the lengths, the nonce, the associated data and the plaintext.
fn ccm_mac(
    key: &[u8],
    nonce: &[u8],
    associated_data: &[u8],
    data: &[u8],
    tag_bytes: usize,
) -> Result<[u8; BLOCK_BYTES], CryptoError> {
    let cipher = BlockCipher::new(CryptographicAlgorithm::Aes, key)?;
    let length_bytes = BLOCK_BYTES - 1 - nonce.len();
    let length = (data.len() as u128).to_be_bytes();
    let (beyond, length) = length.split_at(BLOCK_BYTES - length_bytes);
    if beyond.iter().any(|&byte| byte != 0) {
        return Err(CryptoError::InvalidLength);
    }
    let mut mac = [0; BLOCK_BYTES];
    mac[0] = u8::from(!associated_data.is_empty()) << 6
        | ((tag_bytes as u8 - 2) / 2) << 3
        | (length_bytes as u8 - 1);
    mac[1..=nonce.len()].copy_from_slice(nonce);
    mac[1 + nonce.len()..].copy_from_slice(length);
    cipher.encrypt_blocks(&mut mac);
    if !associated_data.is_empty() {
        let mut encoded = ccm_length(associated_data.len());
        encoded.extend_from_slice(associated_data);
        mac_blocks(&cipher, &mut mac, &encoded);
    }
    mac_blocks(&cipher, &mut mac, data);
    Ok(mac)
}

/// How CCM writes the length of the associated data.
fn ccm_length(length: usize) -> Vec<u8> {
    match u16::try_from(length) {
        Ok(short) if short < 0xFF00 => short.to_be_bytes().to_vec(),
        _ => match u32::try_from(length) {
            Ok(long) => [&[0xFF, 0xFE], &long.to_be_bytes()[..]].concat(),
            Err(_) => [&[0xFF, 0xFF], &(length as u64).to_be_bytes()[..]].concat(),
        },
    }
}

fn mac_blocks(cipher: &BlockCipher, mac: &mut [u8; BLOCK_BYTES], data: &[u8]) {
    for block in data.chunks(BLOCK_BYTES) {
        xor(mac, block);
        cipher.encrypt_blocks(mac);
    }
}

/// XTS (IEEE 1619) over one data unit, in place, with ciphertext stealing. The key is two keys of equal length.
pub(super) fn xts(
    key: &[u8],
    tweak: &[u8],
    data: &mut [u8],
    direction: Direction,
) -> Result<(), CryptoError> {
    let (data_key, tweak_key) = key.split_at(key.len() / 2);
    if data_key.len() != tweak_key.len() || data_key.len() == 24 {
        return Err(CryptoError::InvalidKey);
    }
    if data.len() < BLOCK_BYTES {
        return Err(CryptoError::InvalidLength);
    }
    let cipher = BlockCipher::new(CryptographicAlgorithm::Aes, data_key)?;
    let mut tweak: [u8; BLOCK_BYTES] =
        tweak.try_into().map_err(|_| CryptoError::InvalidInitializationVector)?;
    BlockCipher::new(CryptographicAlgorithm::Aes, tweak_key)?.encrypt_blocks(&mut tweak);
    let stolen = data.len() % BLOCK_BYTES;
    let plain_blocks = data.len() / BLOCK_BYTES - usize::from(stolen > 0);
    let (whole, tail) = data.split_at_mut(plain_blocks * BLOCK_BYTES);
    for block in whole.chunks_exact_mut(BLOCK_BYTES) {
        xts_block(&cipher, &tweak, block, direction);
        tweak = doubled(tweak);
    }
    if stolen > 0 {
        xts_steal(&cipher, tweak, tail, direction);
    }
    Ok(())
}

/// The last whole block and the rest: the rest borrows the end of the block's ciphertext.
fn xts_steal(cipher: &BlockCipher, tweak: [u8; BLOCK_BYTES], tail: &mut [u8], direction: Direction) {
    let next = doubled(tweak);
    let (first, second) = if direction == Direction::Encrypt { (tweak, next) } else { (next, tweak) };
    let (block, rest) = tail.split_at_mut(BLOCK_BYTES);
    xts_block(cipher, &first, block, direction);
    rest.swap_with_slice(&mut block[..rest.len()]);
    xts_block(cipher, &second, block, direction);
}

fn xts_block(cipher: &BlockCipher, tweak: &[u8; BLOCK_BYTES], block: &mut [u8], direction: Direction) {
    xor(block, tweak);
    match direction {
        Direction::Encrypt => cipher.encrypt_blocks(block),
        Direction::Decrypt => cipher.decrypt_blocks(block),
    }
    xor(block, tweak);
}

/// Multiplies by x in the field of XTS, which is little-endian.
fn doubled(tweak: [u8; BLOCK_BYTES]) -> [u8; BLOCK_BYTES] {
    let value = u128::from_le_bytes(tweak);
    let carry = (value >> 127) * 0x87;
    (value << 1 ^ carry).to_le_bytes()
}
