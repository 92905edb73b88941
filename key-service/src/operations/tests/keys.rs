//! Operations that make keys: pairs, replacements, derivations, splits.

use bytestring::ByteString;
use kmip_protocol::attribute::{
    Attribute, AttributeType, Attributes, CryptographicDomainParameters, CryptographicParameters, Digest,
    UsageLimits,
};
use kmip_protocol::codec::{DateTime, Interval};
use kmip_protocol::enumeration::{
    CryptographicAlgorithm, DerivationMethod, HashingAlgorithm, KeyFormatType, LinkType, ObjectType,
    RecommendedCurve, ResultReason, SplitKeyMethod, State, UsageLimitsUnit,
};
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::mask::CryptographicUsageMask as Mask;
use kmip_protocol::operation::{
    CreateKeyPairRequest, CreateKeyPairResponse, CreateRequest, CreateResponse, CreateSplitKeyRequest,
    CreateSplitKeyResponse, DeriveKeyRequest, DeriveKeyResponse, GetRequest, GetResponse,
    JoinSplitKeyRequest, JoinSplitKeyResponse, ReKeyKeyPairRequest, ReKeyKeyPairResponse, ReKeyRequest,
    ReKeyResponse, SignResponse,
};
use kmip_protocol::structures::DerivationParameters;
use kmip_protocol::version::{V1_0, V1_2};

use super::cryptography::sign_request;
use crate::key_material;
use crate::service::ServiceSettings;
use crate::testing::{BEGINNING, Server, active, get_request, id, material, name, symmetric_key, unhex};

fn pair_request(
    algorithm: CryptographicAlgorithm,
    length: Option<i32>,
    curve: Option<RecommendedCurve>,
) -> CreateKeyPairRequest {
    let parameters = CryptographicDomainParameters { qlength: None, recommended_curve: curve };
    let common = [
        Some(Attribute::CryptographicAlgorithm(algorithm)),
        length.map(Attribute::CryptographicLength),
        curve.map(|_| Attribute::CryptographicDomainParameters(parameters)),
        Some(Attribute::ActivationDate(DateTime(BEGINNING - 1))),
    ];
    CreateKeyPairRequest {
        common_attributes: Attributes::new(common.into_iter().flatten()),
        private_key_attributes: Attributes::new([
            name("private"),
            Attribute::CryptographicUsageMask(Mask::SIGN | Mask::DERIVE_KEY),
        ]),
        public_key_attributes: Attributes::new([
            name("public"),
            Attribute::CryptographicUsageMask(Mask::VERIFY | Mask::DERIVE_KEY),
        ]),
        common_protection_storage_masks: None,
        private_protection_storage_masks: None,
        public_protection_storage_masks: None,
    }
}

async fn link(server: &Server, of: &ByteString, wanted: LinkType) -> Option<ByteString> {
    let attributes = server.attributes(of).await;
    attributes.into_iter().find_map(|attribute| match attribute {
        Attribute::Link(link) if link.link_type == wanted => link.linked_object_identifier.as_text().cloned(),
        _ => None,
    })
}

async fn format(server: &Server, of: &ByteString) -> KeyFormatType {
    match server.attribute(of, AttributeType::KeyFormatType).await {
        Some(Attribute::KeyFormatType(format)) => format,
        other => panic!("{other:?}"),
    }
}

/// Default formats, links and lengths, for every kind of pair.
#[tokio::test]
async fn key_pairs_of_every_kind() {
    use {CryptographicAlgorithm as A, KeyFormatType as F, RecommendedCurve as C};
    for (algorithm, length, curve, formats) in [
        (A::Rsa, Some(1024), None, (F::Pkcs1, F::Pkcs1)),
        (A::Ecdsa, Some(256), None, (F::TransparentEcPrivateKey, F::TransparentEcPublicKey)),
        (A::Ecdsa, None, Some(C::P384), (F::TransparentEcPrivateKey, F::TransparentEcPublicKey)),
        (A::Ec, Some(521), Some(C::P521), (F::TransparentEcPrivateKey, F::TransparentEcPublicKey)),
        (A::Ed25519, None, None, (F::Pkcs8, F::X509)),
        (A::Ecdh, None, Some(C::Curve25519), (F::Pkcs8, F::X509)),
    ] {
        let server = Server::new();
        let pair: CreateKeyPairResponse = server.done(pair_request(algorithm, length, curve)).await;
        let (private, public) = (pair.private_key_unique_identifier, pair.public_key_unique_identifier);
        assert_eq!((format(&server, &private).await, format(&server, &public).await), formats);
        assert_eq!(link(&server, &private, LinkType::PublicKeyLink).await.as_ref(), Some(&public));
        assert_eq!(link(&server, &public, LinkType::PrivateKeyLink).await.as_ref(), Some(&private));
        let told = server.attribute(&private, AttributeType::CryptographicAlgorithm).await;
        assert_eq!(told, Some(Attribute::CryptographicAlgorithm(algorithm)));
        // The halves belong together, in whatever format they are had.
        let half =
            |key: &ByteString, format| GetRequest { key_format_type: Some(format), ..get_request(key) };
        let exported: GetResponse = server.done(half(&private, F::Pkcs8)).await;
        let other: GetResponse = server.done(half(&public, F::X509)).await;
        let own = key_material::private_key(&exported.object, None).unwrap().public_key();
        assert_eq!(own, key_material::public_key(&other.object, None).unwrap(), "{algorithm}");
    }
}

#[tokio::test]
async fn a_pair_in_another_format_has_two_digests() {
    let server = Server::new();
    let mut request = pair_request(CryptographicAlgorithm::Ecdsa, Some(256), None);
    let wanted = Attribute::KeyFormatType(KeyFormatType::Pkcs8);
    request
        .private_key_attributes
        .instances
        .push(kmip_protocol::attribute::Instance { index: None, attribute: wanted });
    let pair: CreateKeyPairResponse = server.done(request).await;
    let attributes = server.attributes(&pair.private_key_unique_identifier).await;
    let digests = attributes.iter().filter_map(|attribute| match attribute {
        Attribute::Digest(Digest { key_format_type, .. }) => *key_format_type,
        _ => None,
    });
    assert_eq!(digests.collect::<Vec<_>>(), [KeyFormatType::TransparentEcPrivateKey, KeyFormatType::Pkcs8]);
}

/// A 1.2 client knows no Transparent EC keys.
#[tokio::test]
async fn a_client_gets_a_format_that_it_knows() {
    let server = Server::new();
    let pair: CreateKeyPairResponse =
        server.done(pair_request(CryptographicAlgorithm::Ecdsa, Some(256), None)).await;
    for key in [pair.private_key_unique_identifier, pair.public_key_unique_identifier] {
        let answer = server.ask_as(&server.principal, V1_2, get_request(&key)).await.unwrap();
        let object = GetResponse::try_from(answer).unwrap().object;
        let format = object.key_block().unwrap().key_format_type;
        assert!(matches!(format, KeyFormatType::Pkcs8 | KeyFormatType::X509));
    }
}

#[tokio::test]
async fn what_no_pair_can_be_is_refused() {
    let server = Server::new();
    for (algorithm, length, reason) in [
        (CryptographicAlgorithm::Rsa, None, ResultReason::MissingData),
        (CryptographicAlgorithm::Rsa, Some(512), ResultReason::BadCryptographicParameters),
        (CryptographicAlgorithm::Ecdsa, Some(257), ResultReason::BadCryptographicParameters),
        (CryptographicAlgorithm::Aes, Some(256), ResultReason::UnsupportedCryptographicParameters),
    ] {
        assert_eq!(server.refused(pair_request(algorithm, length, None)).await, reason, "{algorithm}");
    }
}

#[tokio::test]
async fn re_key_hands_names_and_dates_on() {
    let server = Server::new();
    let limits = UsageLimits { total: 100, count: None, unit: UsageLimitsUnit::Byte };
    let deactivation = DateTime(BEGINNING + 10_000);
    let attributes = Attributes::new(
        [
            active(Mask::ENCRYPT),
            vec![
                name("database"),
                Attribute::CryptographicAlgorithm(CryptographicAlgorithm::Aes),
                Attribute::CryptographicLength(256),
                Attribute::DeactivationDate(deactivation),
                Attribute::UsageLimits(limits),
                Attribute::ObjectGroup(ByteString::from_static("payments")),
            ],
        ]
        .concat(),
    );
    let created: CreateResponse = server
        .done(CreateRequest {
            object_type: ObjectType::SymmetricKey,
            attributes,
            protection_storage_masks: None,
        })
        .await;
    let old = created.unique_identifier;
    server.pass(100);
    let request = |offset| ReKeyRequest {
        unique_identifier: id(&old),
        offset,
        attributes: Attributes::default(),
        protection_storage_masks: None,
    };
    let new = server.done::<ReKeyResponse>(request(Some(Interval(50)))).await.unique_identifier;

    assert_eq!(server.attribute(&old, AttributeType::Name).await, None);
    assert_eq!(server.attribute(&new, AttributeType::Name).await, Some(name("database")));
    assert_eq!(link(&server, &old, LinkType::ReplacementObjectLink).await.as_ref(), Some(&new));
    assert_eq!(link(&server, &new, LinkType::ReplacedObjectLink).await.as_ref(), Some(&old));
    let state = server.attribute(&new, AttributeType::State).await;
    assert_eq!(state, Some(Attribute::State(State::PreActive)));
    // Activated an hour before the beginning, now 150 seconds after it: all dates move by 3,750 seconds.
    let moved = server.attribute(&new, AttributeType::DeactivationDate).await;
    assert_eq!(moved, Some(Attribute::DeactivationDate(DateTime(deactivation.0 + 3_750))));
    let group = server.attribute(&new, AttributeType::ObjectGroup).await;
    assert_eq!(group, Some(Attribute::ObjectGroup(ByteString::from_static("payments"))));
    assert_ne!(material(&server.get(&old).await.unwrap()), material(&server.get(&new).await.unwrap()));
    let again = server.done::<ReKeyResponse>(request(None)).await.unique_identifier;
    let state = server.attribute(&again, AttributeType::State).await;
    assert_eq!(state, Some(Attribute::State(State::Active)));
}

#[tokio::test]
async fn re_key_key_pair_replaces_both_halves() {
    let server = Server::new();
    let pair: CreateKeyPairResponse =
        server.done(pair_request(CryptographicAlgorithm::Ecdsa, Some(384), None)).await;
    let request = |private: &ByteString| ReKeyKeyPairRequest {
        private_key_unique_identifier: id(private),
        offset: None,
        common_attributes: Attributes::default(),
        private_key_attributes: Attributes::default(),
        public_key_attributes: Attributes::default(),
        common_protection_storage_masks: None,
        private_protection_storage_masks: None,
        public_protection_storage_masks: None,
    };
    let new: ReKeyKeyPairResponse = server.done(request(&pair.private_key_unique_identifier)).await;
    for (old, new, its_name) in [
        (&pair.private_key_unique_identifier, &new.private_key_unique_identifier, name("private")),
        (&pair.public_key_unique_identifier, &new.public_key_unique_identifier, name("public")),
    ] {
        assert_eq!(link(&server, old, LinkType::ReplacementObjectLink).await.as_ref(), Some(new));
        assert_eq!(link(&server, new, LinkType::ReplacedObjectLink).await.as_ref(), Some(old));
        assert_eq!(server.attribute(new, AttributeType::Name).await, Some(its_name));
    }
    let partner = link(&server, &new.private_key_unique_identifier, LinkType::PublicKeyLink).await;
    assert_eq!(partner.as_ref(), Some(&new.public_key_unique_identifier));
    server.done::<SignResponse>(sign_request(&new.private_key_unique_identifier, None, Some(b"x"))).await;
    let refused = server.refused(request(&pair.public_key_unique_identifier)).await;
    assert_eq!(refused, ResultReason::InvalidObjectType);
}

fn derivation(
    bases: &[&ByteString],
    derivation_method: DerivationMethod,
    derivation_parameters: DerivationParameters,
) -> DeriveKeyRequest {
    DeriveKeyRequest {
        object_type: ObjectType::SymmetricKey,
        unique_identifiers: bases.iter().map(|base| UniqueIdentifier::Text((*base).clone())).collect(),
        derivation_method,
        derivation_parameters,
        attributes: Attributes::new([
            Attribute::CryptographicAlgorithm(CryptographicAlgorithm::Aes),
            Attribute::CryptographicLength(128),
        ]),
    }
}

fn no_parameters() -> DerivationParameters {
    DerivationParameters {
        cryptographic_parameters: None,
        initialization_vector: None,
        derivation_data: Vec::new(),
        salt: None,
        iteration_count: None,
    }
}

/// RFC 5869, test case 1; RFC 7914 section 11 for PBKDF2-HMAC-SHA-256.
#[tokio::test]
async fn derived_keys() {
    let server = Server::new();
    let base = |material: Vec<u8>| symmetric_key(CryptographicAlgorithm::Aes, &material);
    let key = server.register(base(vec![0x0b; 22]), active(Mask::DERIVE_KEY)).await;
    let hkdf = DerivationParameters {
        salt: Some(unhex("000102030405060708090a0b0c").into()),
        derivation_data: crate::testing::secret(&unhex("f0f1f2f3f4f5f6f7f8f9")).into_iter().collect(),
        ..no_parameters()
    };
    let derived: DeriveKeyResponse = server.done(derivation(&[&key], DerivationMethod::Hkdf, hkdf)).await;
    let derived = derived.unique_identifier;
    assert_eq!(material(&server.get(&derived).await.unwrap()), unhex("3cb25f25faacd57a90434f64d0362f2a"));
    assert_eq!(link(&server, &derived, LinkType::DerivationBaseObjectLink).await.as_ref(), Some(&key));
    assert_eq!(link(&server, &key, LinkType::DerivedKeyLink).await.as_ref(), Some(&derived));

    let password = server.register(base(b"passwd".to_vec()), active(Mask::DERIVE_KEY)).await;
    let stretch = || DerivationParameters {
        cryptographic_parameters: Some(CryptographicParameters {
            hashing_algorithm: Some(HashingAlgorithm::Sha256),
            ..CryptographicParameters::default()
        }),
        salt: Some(bytes::Bytes::from_static(b"salt")),
        iteration_count: Some(1),
        ..no_parameters()
    };
    let derived: DeriveKeyResponse =
        server.done(derivation(&[&password], DerivationMethod::Pbkdf2, stretch())).await;
    let derived = server.get(&derived.unique_identifier).await.unwrap();
    assert_eq!(material(&derived), unhex("55ac046e56e3089fec1691c22544b605"));

    let idle = server.register(base(vec![1; 16]), active(Mask::ENCRYPT)).await;
    let refused = server.refused(derivation(&[&idle], DerivationMethod::Pbkdf2, stretch())).await;
    assert_eq!(refused, ResultReason::IncompatibleCryptographicUsageMask);
}

#[tokio::test]
async fn a_base_keeps_the_newest_links_to_what_is_derived_from_it() {
    let settings = ServiceSettings { maximum_attributes: 20, ..ServiceSettings::default() };
    let server = Server::with(settings);
    let base = symmetric_key(CryptographicAlgorithm::Aes, &[1; 16]);
    let base = server.register(base, active(Mask::DERIVE_KEY)).await;
    let mut newest = None;
    for _ in 0..10 {
        let request = derivation(&[&base], DerivationMethod::Hkdf, no_parameters());
        newest = Some(server.done::<DeriveKeyResponse>(request).await.unique_identifier);
    }
    let attributes = server.attributes(&base).await;
    // Two more than are kept: the identifier and the type are fields.
    assert!(attributes.len() <= 22, "{}", attributes.len());
    let links = attributes.iter().filter_map(|attribute| match attribute {
        Attribute::Link(link) => link.linked_object_identifier.as_text(),
        _ => None,
    });
    assert_eq!(links.last(), newest.as_ref());
}

#[tokio::test]
async fn two_pairs_agree_about_a_key() {
    let server = Server::new();
    let mut pairs = Vec::new();
    for _ in 0..2 {
        let mut request =
            pair_request(CryptographicAlgorithm::Ecdh, None, Some(RecommendedCurve::Curve25519));
        for attributes in [&mut request.private_key_attributes, &mut request.public_key_attributes] {
            attributes.instances.retain(|instance| !matches!(instance.attribute, Attribute::Name(_)));
        }
        pairs.push(server.done::<CreateKeyPairResponse>(request).await);
    }
    let mut agreed = Vec::new();
    for (own, peer) in [(0, 1), (1, 0)] {
        let bases = [&pairs[own].private_key_unique_identifier, &pairs[peer].public_key_unique_identifier];
        let derived: DeriveKeyResponse =
            server.done(derivation(&bases, DerivationMethod::AsymmetricKey, no_parameters())).await;
        agreed.push(material(&server.get(&derived.unique_identifier).await.unwrap()));
    }
    assert_eq!(agreed[0], agreed[1]);
}

#[tokio::test]
async fn a_split_key_is_joined_from_enough_parts() {
    let server = Server::new();
    let whole = [active(Mask::ENCRYPT), vec![Attribute::Sensitive(true)]].concat();
    let key = server.register(symmetric_key(CryptographicAlgorithm::Aes, &[9; 32]), whole).await;
    let split = |method, parts, threshold| CreateSplitKeyRequest {
        object_type: ObjectType::SplitKey,
        unique_identifier: id(&key),
        split_key_parts: parts,
        split_key_threshold: threshold,
        split_key_method: method,
        prime_field_size: None,
        attributes: Attributes::new([Attribute::Sensitive(false)]),
        protection_storage_masks: None,
    };
    let join = |parts: &[ByteString]| JoinSplitKeyRequest {
        object_type: ObjectType::SymmetricKey,
        unique_identifiers: parts.iter().cloned().map(UniqueIdentifier::Text).collect(),
        secret_data_type: None,
        attributes: Attributes::default(),
        protection_storage_masks: None,
    };
    for (method, threshold) in [
        (SplitKeyMethod::Xor, 4),
        (SplitKeyMethod::PolynomialSharingGf2_8, 3),
        (SplitKeyMethod::PolynomialSharingGf2_16, 3),
    ] {
        let parts: CreateSplitKeyResponse = server.done(split(method, 4, threshold)).await;
        let parts = parts.unique_identifiers;
        // Parts are guarded as the whole is.
        assert_eq!(server.refused(get_request(&parts[0])).await, ResultReason::Sensitive);
        let few = server.refused(join(&parts[..2])).await;
        assert_eq!(few, ResultReason::BadCryptographicParameters);
        let enough = usize::try_from(threshold).unwrap();
        let joined: JoinSplitKeyResponse = server.done(join(&parts[parts.len() - enough..])).await;
        let joined = joined.unique_identifier;
        assert_eq!(server.refused(get_request(&joined)).await, ResultReason::Sensitive);
        // The digest tells that it is the same key.
        let digest = server.attribute(&joined, AttributeType::Digest).await;
        assert_eq!(digest, server.attribute(&key, AttributeType::Digest).await);
    }
    let prime = server.refused(split(SplitKeyMethod::PolynomialSharingPrimeField, 4, 3)).await;
    assert_eq!(prime, ResultReason::UnsupportedCryptographicParameters);
}

#[tokio::test]
async fn a_symmetric_key_is_made_in_the_format_asked_for() {
    let server = Server::new();
    let request = CreateRequest {
        object_type: ObjectType::SymmetricKey,
        attributes: Attributes::new([
            Attribute::CryptographicAlgorithm(CryptographicAlgorithm::Aes),
            Attribute::CryptographicLength(128),
            Attribute::KeyFormatType(KeyFormatType::TransparentSymmetricKey),
        ]),
        protection_storage_masks: None,
    };
    let created: CreateResponse = server.done(request).await;
    assert_eq!(format(&server, &created.unique_identifier).await, KeyFormatType::TransparentSymmetricKey);
    let answer = server.ask_as(&server.principal, V1_0, get_request(&created.unique_identifier)).await;
    assert!(answer.is_ok());
}
