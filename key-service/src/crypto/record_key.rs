//! The keys that authenticate the records of a store, one for each L3 version, and the authenticators made with them.
//!
//! A record key is HKDF-SHA-256 with the L3 as input keying material, the ASCII text `krypton record key` as salt, and as
//! info the ASCII text `krypton record key: HMAC-SHA-256`, a format version byte, and what the L3 is: it has nothing in common
//! with the keys of envelopes, whose salts are random and whose info is another. An authenticator is HMAC-SHA-256.

use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::hmac::{self, HMAC_SHA256};

use super::SEALING_KEY_BYTES;

/// The length of a record key, and of the authenticators made with it, in bytes.
pub const RECORD_KEY_BYTES: usize = 32;

const FORMAT_VERSION: u8 = 1;
const SALT: &[u8] = b"krypton record key";
const PURPOSE: &[u8] = b"krypton record key: HMAC-SHA-256";

struct RecordKeyLength;

impl KeyType for RecordKeyLength {
    fn len(&self) -> usize {
        RECORD_KEY_BYTES
    }
}

/// The record key of an L3; `binding` says what the L3 is: of which tenant and service, and which version.
pub fn derive_record_key(key: &[u8; SEALING_KEY_BYTES], binding: &[u8]) -> [u8; RECORD_KEY_BYTES] {
    let info = [PURPOSE, &[FORMAT_VERSION], binding];
    let mut derived = [0; RECORD_KEY_BYTES];
    let expanded = Salt::new(HKDF_SHA256, SALT).extract(key);
    let expanded =
        expanded.expand(&info, RecordKeyLength).and_then(|derivation| derivation.fill(&mut derived));
    expanded.expect("32 bytes are within HKDF's limit");
    derived
}

/// The authenticator of a record.
pub fn authenticate_record(key: &[u8], record: &[u8]) -> [u8; RECORD_KEY_BYTES] {
    let mut tag = [0; RECORD_KEY_BYTES];
    tag.copy_from_slice(hmac::sign(&hmac::Key::new(HMAC_SHA256, key), record).as_ref());
    tag
}

/// Whether `tag` is the authenticator of a record, found in constant time.
pub fn is_authentic_record(key: &[u8], record: &[u8], tag: &[u8]) -> bool {
    hmac::verify(&hmac::Key::new(HMAC_SHA256, key), record, tag).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_key_depends_on_the_key_and_on_what_it_is() {
        let key = derive_record_key(&[1; 32], b"acme");
        assert_eq!(key, derive_record_key(&[1; 32], b"acme"));
        assert_ne!(key, derive_record_key(&[2; 32], b"acme"));
        assert_ne!(key, derive_record_key(&[1; 32], b"globex"));
    }

    #[test]
    fn the_derivation_is_as_documented() {
        use super::hmac::{Key, sign};
        let pseudorandom_key = sign(&Key::new(HMAC_SHA256, b"krypton record key"), &[7; 32]);
        let info = [b"krypton record key: HMAC-SHA-256", &b"\x01"[..], b"what it is", b"\x01"].concat();
        let expected = sign(&Key::new(HMAC_SHA256, pseudorandom_key.as_ref()), &info);
        assert_eq!(derive_record_key(&[7; 32], b"what it is"), expected.as_ref());
    }

    #[test]
    fn an_authenticator_vouches_for_each_bit() {
        let (key, record) = ([3; 32], *b"a record");
        let tag = authenticate_record(&key, &record);
        assert!(is_authentic_record(&key, &record, &tag));
        for bit in 0..record.len() * 8 {
            let mut edited = record;
            edited[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_authentic_record(&key, &edited, &tag));
        }
        assert!(
            !is_authentic_record(&[4; 32], &record, &tag) && !is_authentic_record(&key, &record, &tag[1..])
        );
    }
}
