//! Receipts: whatever is changed in one makes it void.

use super::super::receipt::{ReceiptError, verify};
use super::super::{LogReader, SignedCheckpoint, SigningKey};
use super::{Place, entries, fixture, group, verifier};
use crate::crypto::SystemEntropy;

#[test]
fn every_bit_counts() {
    let receipt = fixture("receipt.tlog-proof").into_bytes();
    assert!(verify(&receipt, &verifier()).is_ok());
    for at in 0..receipt.len() * 8 {
        let mut other = receipt.clone();
        other[at / 8] ^= 1 << (at % 8);
        assert!(verify(&other, &verifier()).is_err(), "bit {at}");
    }
}

#[test]
fn every_byte_counts() {
    let receipt = fixture("receipt.tlog-proof").into_bytes();
    for at in 0..receipt.len() {
        let mut shorter = receipt.clone();
        shorter.remove(at);
        assert!(verify(&shorter, &verifier()).is_err(), "without byte {at}");
        for byte in *b"\n =A" {
            let mut longer = receipt.clone();
            longer.insert(at, byte);
            assert!(verify(&longer, &verifier()).is_err(), "{byte} before byte {at}");
        }
        assert!(verify(&receipt[..at], &verifier()).is_err(), "cut at {at}");
    }
    for more in ["\n", " ", "\u{2014} example.org/witness AAAAAAAA\n"] {
        let longer = [&receipt, more.as_bytes()].concat();
        assert_eq!(verify(&longer, &verifier()).unwrap_err(), longer_error(more));
    }
}

fn longer_error(more: &str) -> ReceiptError {
    match verify(more.as_bytes(), &verifier()) {
        _ if more.starts_with('\u{2014}') => ReceiptError::Malformed,
        _ => ReceiptError::Checkpoint(super::super::NoteError::Malformed),
    }
}

#[test]
fn all_entries_of_all_sizes_have_one() {
    let place = Place::new();
    let mut writer = place.writer();
    let mut size = 0;
    for step in [1, 1, 1, 2, 3, 120, 127, 1, 1, 255, 1, 300] {
        writer.append(&group(size..size + step)).unwrap();
        writer.publish().unwrap();
        size += step;
        let reader = LogReader::open(&place.directory(), &verifier()).unwrap();
        for index in (0..size).filter(|index| size - index < 5 || index % 50 == 0) {
            let verified = verify(reader.receipt(index).unwrap().as_str().as_bytes(), &verifier()).unwrap();
            assert_eq!((verified.index, verified.checkpoint.size), (index, size));
            assert_eq!(verified.json.as_bytes(), entries(index..index + 1)[0]);
        }
        assert!(reader.receipt(size).is_err());
    }
}

#[test]
fn another_log_does_not_vouch() {
    let receipt = fixture("receipt.tlog-proof");
    let same_name = SigningKey::generate(super::ORIGIN, &SystemEntropy::new()).unwrap();
    assert!(verify(receipt.as_bytes(), same_name.verifier()).is_err());
    // A checkpoint of the same key, but of another tree.
    let forged = SignedCheckpoint::sign(600, [7; 32], &super::signing_key()).unwrap();
    let (proof, _) = receipt.split_once("\n\n").unwrap();
    let forged = format!("{proof}\n\n{}", forged.as_str());
    assert_eq!(verify(forged.as_bytes(), &verifier()).unwrap_err(), ReceiptError::NotIncluded);
}
