//! Arbitrary values of every type that messages are made of.
//!
//! A value is built from a sequence of numbers, as many as it asks for, and zeros after their end. Zeros build the
//! smallest value, so proptest shrinks values by shrinking numbers. Each structure names its fields once more, with the
//! versions of those that are younger than their structure: the compiler sees to it that none is forgotten.

use bytes::Bytes;
use bytestring::ByteString;
use kmip_protocol::attribute::*;
use kmip_protocol::codec::*;
use kmip_protocol::enumeration::*;
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::key_block::*;
use kmip_protocol::mask::{
    CryptographicUsageMask, MaskRow, MaskTable, ProtectionStorageMask, StorageStatusMask,
};
use kmip_protocol::message::*;
use kmip_protocol::object::*;
use kmip_protocol::operation::*;
use kmip_protocol::structures::*;
use kmip_protocol::version::*;
use kmip_protocol::{Tag, tag};
use kmip_ttlv::Writer;
use proptest::prelude::*;

/// Where values come from.
pub(crate) struct Entropy<'a> {
    numbers: &'a [u32],
    /// The version that values are for.
    version: Version,
    /// Whether some values are of other versions.
    strays: bool,
}

/// One value in so many is a stray, where strays are wanted.
const STRAY_RATE: u32 = 12;

/// How often a property is tried, unless `PROPTEST_CASES` says otherwise. A failure is not recorded: its numbers mean something else after the next change here.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_some() { default } else { ProptestConfig { cases, ..default } }
}

/// Numbers enough for the largest messages.
pub(crate) fn numbers() -> impl Strategy<Value = Vec<u32>> {
    proptest::collection::vec(any::<u32>(), 0..600)
}

impl<'a> Entropy<'a> {
    /// Values that `version` knows.
    pub(crate) fn known(numbers: &'a [u32], version: Version) -> Self {
        Self { numbers, version, strays: false }
    }

    /// Values that `version` knows for the most part.
    pub(crate) fn straying(numbers: &'a [u32], version: Version) -> Self {
        Self { numbers, version, strays: true }
    }

    fn number(&mut self) -> u32 {
        let Some((first, rest)) = self.numbers.split_first() else { return 0 };
        self.numbers = rest;
        *first
    }

    fn below(&mut self, end: usize) -> usize {
        self.number() as usize % end
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    fn is_stray(&mut self) -> bool {
        self.strays && self.number() % STRAY_RATE == STRAY_RATE - 1
    }

    /// A value for a field of some versions only.
    fn since<T: Sample + Default>(&mut self, bounds: &[Version]) -> T {
        if Since::new(bounds).knows(self.version) || self.is_stray() { T::sample(self) } else { T::default() }
    }

    /// Attributes where 1.x has a template, which names further ones.
    fn templates(&mut self) -> Attributes {
        let mut attributes = Attributes::sample(self);
        if !self.version.tags_attributes() {
            attributes.templates = Sample::sample(self);
        }
        attributes
    }

    /// Attributes where 2.x has none.
    fn only_1x(&mut self) -> Attributes {
        self.since(&[V1_0, V1_4])
    }

    /// Attributes where 1.x has none.
    fn only_2x(&mut self) -> Attributes {
        self.since(&[V2_0])
    }
}

/// A type that has arbitrary values.
pub(crate) trait Sample: Sized {
    fn sample(entropy: &mut Entropy<'_>) -> Self;
}

impl<T: Sample> Sample for Option<T> {
    fn sample(entropy: &mut Entropy<'_>) -> Self {
        (entropy.below(2) == 1).then(|| T::sample(entropy))
    }
}

impl<T: Sample> Sample for Box<T> {
    fn sample(entropy: &mut Entropy<'_>) -> Self {
        Self::new(T::sample(entropy))
    }
}

impl<T: Sample> Sample for Vec<T> {
    fn sample(entropy: &mut Entropy<'_>) -> Self {
        (0..entropy.below(4)).map(|_| T::sample(entropy)).collect()
    }
}

macro_rules! leaves {
    ($($type:ty: |$entropy:ident| $value:expr;)*) => {
        $(impl Sample for $type {
            fn sample($entropy: &mut Entropy<'_>) -> Self {
                $value
            }
        })*
    };
}

leaves! {
    bool: |entropy| entropy.below(2) == 1;
    i32: |entropy| entropy.number().cast_signed();
    i64: |entropy| i64::from(i32::sample(entropy)) << entropy.below(33);
    DateTime: |entropy| DateTime(i64::sample(entropy));
    Interval: |entropy| Interval(entropy.number());
    ByteString: |entropy| {
        let characters = ['a', 'b', '-', ' ', '\0', '"', 'ä', '\u{1F511}'];
        (0..entropy.below(10)).map(|_| entropy.pick(&characters)).collect::<String>().into()
    };
    Bytes: |entropy| (0..entropy.below(20)).map(|_| entropy.number() as u8).collect();
    Secret: |entropy| Secret::copy_from_slice(&Bytes::sample(entropy));
    SecretText: |entropy| SecretText(Secret::copy_from_slice(ByteString::sample(entropy).as_bytes()));
    BigInteger: |entropy| {
        let words = (0..=entropy.below(3)).flat_map(|_| u64::from(entropy.number()).to_be_bytes());
        BigInteger(words.collect())
    };
    SecretInteger: |entropy| SecretInteger(Secret::copy_from_slice(&BigInteger::sample(entropy).0));
    Version: |entropy| entropy.pick(SUPPORTED);
    Pkcs11Code: |entropy| Pkcs11Code(entropy.number());
    CertificateRequestValue: |entropy| CertificateRequestValue(Bytes::sample(entropy));
    CryptographicUsageMask: |entropy| CryptographicUsageMask(mask(entropy, &CryptographicUsageMask::TABLE));
    ProtectionStorageMask: |entropy| ProtectionStorageMask(mask(entropy, &ProtectionStorageMask::TABLE));
    StorageStatusMask: |entropy| StorageStatusMask(mask(entropy, &StorageStatusMask::TABLE));
    ExtensionType: |entropy| match ItemType::sample(entropy) {
        ItemType::DateTimeExtended if !entropy.version.tags_attributes() && !entropy.is_stray() => {
            ExtensionType(ItemType::DateTime)
        }
        item_type => ExtensionType(item_type),
    };
    Asynchronous: |entropy| match AsynchronousIndicator::sample(entropy) {
        indicator if entropy.version.tags_attributes() => Asynchronous(indicator),
        AsynchronousIndicator::Optional => Asynchronous(AsynchronousIndicator::Optional),
        _ => Asynchronous(AsynchronousIndicator::Prohibited),
    };
    UniqueIdentifier: |entropy| match entropy.below(3) {
        1 if entropy.version.tags_attributes() || entropy.is_stray() => {
            UniqueIdentifier::Placeholder(Sample::sample(entropy))
        }
        2 if entropy.version.tags_attributes() || entropy.is_stray() => {
            UniqueIdentifier::BatchItem(Sample::sample(entropy))
        }
        _ => UniqueIdentifier::Text(Sample::sample(entropy)),
    };
    AttributeReference: |entropy| match entropy.below(4) {
        3 => custom(entropy).reference(),
        _ => AttributeReference::Known(AttributeType::sample(entropy)),
    };
    AttributeType: |entropy| {
        let known = |row: &&AttributeRow| row.since.knows(entropy.version);
        let rows: Vec<_> = ATTRIBUTES.iter().filter(known).collect();
        let rows = if entropy.is_stray() { ATTRIBUTES.iter().collect() } else { rows };
        entropy.pick(&rows).attribute_type
    };
    Attribute: |entropy| match entropy.below(8) {
        7 => custom(entropy),
        _ => {
            let attribute_type = Sample::sample(entropy);
            attribute(attribute_type, entropy)
        }
    };
    Instance: |entropy| {
        let index = Option::<i32>::sample(entropy).filter(|_| !entropy.version.tags_attributes());
        Instance { index: index.filter(|index| *index != 0), attribute: Sample::sample(entropy) }
    };
    Attributes: |entropy| Attributes { instances: Sample::sample(entropy), templates: Vec::new() };
    CustomValue: |entropy| match entropy.below(11) {
        0 => CustomValue::Text(Sample::sample(entropy)),
        1 => CustomValue::Integer(Sample::sample(entropy)),
        2 => CustomValue::LongInteger(Sample::sample(entropy)),
        3 => CustomValue::BigInteger(Sample::sample(entropy)),
        4 => CustomValue::Enumeration(entropy.number()),
        5 => CustomValue::Boolean(Sample::sample(entropy)),
        6 => CustomValue::Bytes(Sample::sample(entropy)),
        7 => CustomValue::DateTime(Sample::sample(entropy)),
        8 => CustomValue::Interval(Sample::sample(entropy)),
        9 if entropy.version.tags_attributes() || entropy.is_stray() => {
            CustomValue::DateTimeExtended(Sample::sample(entropy))
        }
        _ => CustomValue::Structure(raw_items(entropy)),
    };
    KeyValue: |entropy| match entropy.below(4) {
        3 => KeyValue::Wrapped(Sample::sample(entropy)),
        _ => KeyValue::Plain { material: Sample::sample(entropy), attributes: Sample::sample(entropy) },
    };
    KeyMaterial: |entropy| match entropy.below(4) {
        3 if entropy.is_stray() => KeyMaterial::Transparent(Secret::copy_from_slice(&raw_items(entropy))),
        2.. => transparent(entropy),
        _ => KeyMaterial::Bytes(Sample::sample(entropy)),
    };
    ManagedObject: |entropy| {
        let known = |object_type: &ObjectType| object_type.since().knows(entropy.version);
        let mut object_types: Vec<_> = ObjectType::ALL.iter().copied().filter(known).collect();
        if entropy.is_stray() {
            object_types = ObjectType::ALL.to_vec();
        }
        match entropy.pick(&object_types) {
            ObjectType::Certificate => ManagedObject::Certificate(Sample::sample(entropy)),
            ObjectType::SymmetricKey | ObjectType::Extension(_) => ManagedObject::SymmetricKey(Sample::sample(entropy)),
            ObjectType::PublicKey => ManagedObject::PublicKey(Sample::sample(entropy)),
            ObjectType::PrivateKey => ManagedObject::PrivateKey(Sample::sample(entropy)),
            ObjectType::SplitKey => ManagedObject::SplitKey(Sample::sample(entropy)),
            ObjectType::Template => ManagedObject::Template(Sample::sample(entropy)),
            ObjectType::SecretData => ManagedObject::SecretData(Sample::sample(entropy)),
            ObjectType::OpaqueObject => ManagedObject::OpaqueObject(Sample::sample(entropy)),
            ObjectType::PgpKey => ManagedObject::PgpKey(Sample::sample(entropy)),
            ObjectType::CertificateRequest => ManagedObject::CertificateRequest(Sample::sample(entropy)),
        }
    };
    ResponseBatchItem: |entropy| ResponseBatchItem {
        operation: None,
        unique_batch_item_id: Sample::sample(entropy),
        result_status: Sample::sample(entropy),
        result_reason: Sample::sample(entropy),
        result_message: Sample::sample(entropy),
        asynchronous_correlation_value: Sample::sample(entropy),
        payload: None,
    };
}

/// Bits that the version knows, and bits of the extension range.
fn mask(entropy: &mut Entropy<'_>, table: &MaskTable) -> i32 {
    let everything = entropy.is_stray();
    let named = table.rows.iter().fold(0, |bits, row| bits | row.bit);
    let known = |row: &&MaskRow| everything || row.since.knows(entropy.version);
    let allowed = table.rows.iter().filter(known).fold(!named, |bits, row| bits | row.bit);
    i32::sample(entropy) & allowed
}

/// 1.x can name the custom attributes of the client and of the server only.
fn custom(entropy: &mut Entropy<'_>) -> Attribute {
    let vendors: &[&'static str] = match entropy.version.tags_attributes() || entropy.is_stray() {
        true => &["x", "y", "", "Acme"],
        false => &["x", "y"],
    };
    let vendor = ByteString::from_static(entropy.pick(vendors));
    let name = match entropy.below(4) {
        3 => ByteString::from_static("State"),
        _ => Sample::sample(entropy),
    };
    Attribute::custom(vendor, name, Sample::sample(entropy))
}

/// Items that are no structures.
fn raw_items(entropy: &mut Entropy<'_>) -> Bytes {
    let mut writer = Writer::new();
    for _ in 0..entropy.below(4) {
        let item_tag = if entropy.is_stray() {
            entropy.pick(&[tag::SHORT_UNIQUE_IDENTIFIER, tag::CERTIFICATE_ISSUER, tag::ROTATE_NAME])
        } else {
            entropy.pick(&[tag::OBJECT_GROUP, tag::NAME_VALUE, Tag::new(0x54_0001)])
        };
        match entropy.below(3) {
            0 => writer.text_string(item_tag, &ByteString::sample(entropy)),
            1 => writer.integer(Tag::new(0x54_0002), Sample::sample(entropy)),
            _ => writer.enumeration(Tag::new(0x54_0003), entropy.number()),
        }
    }
    writer.finish().into_bytes()
}

fn transparent(entropy: &mut Entropy<'_>) -> KeyMaterial {
    fn of<T: Sample + Item>(entropy: &mut Entropy<'_>) -> KeyMaterial {
        KeyMaterial::from_transparent(&T::sample(entropy), entropy.version)
    }
    match entropy.below(9) {
        0 => of::<TransparentSymmetricKey>(entropy),
        1 => of::<TransparentDsaPrivateKey>(entropy),
        2 => of::<TransparentDsaPublicKey>(entropy),
        3 => of::<TransparentRsaPrivateKey>(entropy),
        4 => of::<TransparentRsaPublicKey>(entropy),
        5 => of::<TransparentDhPrivateKey>(entropy),
        6 => of::<TransparentDhPublicKey>(entropy),
        7 => of::<TransparentEcPrivateKey>(entropy),
        _ => of::<TransparentEcPublicKey>(entropy),
    }
}

macro_rules! enumerations {
    ($($name:ident),*) => {
        $(impl Sample for $name {
            fn sample(entropy: &mut Entropy<'_>) -> Self {
                if Self::ALL.is_empty() || entropy.below(16) == 15 {
                    return Self::Extension(0x8000_0000 | entropy.number() >> 4);
                }
                let known = |value: &Self| value.since().knows(entropy.version);
                let values: Vec<_> = Self::ALL.iter().copied().filter(known).collect();
                if values.is_empty() || entropy.is_stray() { entropy.pick(Self::ALL) } else { entropy.pick(&values) }
            }
        })*
    };
}

#[rustfmt::skip]
enumerations!(
    AdjustmentType, AlternativeNameType, AsynchronousIndicator, AttestationType,
    BatchErrorContinuationOption, BlockCipherMode, CancellationResult, CertificateRequestType,
    CertificateType, ClientRegistrationMethod, CredentialType, CryptographicAlgorithm, DrbgAlgorithm,
    DataPlaceholder, DerivationMethod, DestroyAction, DigitalSignatureAlgorithm, EncodingOption,
    EndpointRole, Fips186Variation, HashingAlgorithm, InteropFunction, ItemType, KeyCompressionType,
    KeyFormatType, KeyRoleType, KeyValueLocationType, KeyWrapType, LinkType, MaskGenerator, NistKeyType,
    NameType, ObjectGroupMember, ObjectType, OpaqueDataType, Operation, PaddingMethod, ProcessingStage,
    ProfileName, ProtectionLevel, PutFunction, QueryFunction, RngAlgorithm, RngMode, RecommendedCurve,
    ResultReason, ResultStatus, RevocationReasonCode, RotateNameType, SecretDataType,
    ShreddingAlgorithm, SplitKeyMethod, State, TicketType, UniqueIdentifierPlaceholder, UnwrapMode,
    UsageLimitsUnit, ValidationAuthorityType, ValidationType, ValidityIndicator, WrappingMethod
);

macro_rules! attributes {
    ($($name:ident),*) => {
        /// An attribute of the type.
        pub(crate) fn attribute(attribute_type: AttributeType, entropy: &mut Entropy<'_>) -> Attribute {
            match attribute_type {
                $(AttributeType::$name => Attribute::$name(Sample::sample(entropy)),)*
            }
        }
    };
}

#[rustfmt::skip]
attributes!(
    ActivationDate, AlternativeName, AlwaysSensitive, ApplicationSpecificInformation, ArchiveDate,
    CertificateIdentifier, CertificateIssuer, CertificateIssuerC, CertificateIssuerCn,
    CertificateIssuerDc, CertificateIssuerDnQualifier, CertificateIssuerEmail, CertificateIssuerL,
    CertificateIssuerO, CertificateIssuerOu, CertificateIssuerSt, CertificateIssuerSerialNumber,
    CertificateIssuerTitle, CertificateIssuerUid, CertificateLength, CertificateSubject,
    CertificateSubjectC, CertificateSubjectCn, CertificateSubjectDc, CertificateSubjectDnQualifier,
    CertificateSubjectEmail, CertificateSubjectL, CertificateSubjectO, CertificateSubjectOu,
    CertificateSubjectSt, CertificateSubjectSerialNumber, CertificateSubjectTitle,
    CertificateSubjectUid, CertificateType, Comment, CompromiseDate, CompromiseOccurrenceDate,
    ContactInformation, CryptographicAlgorithm, CryptographicDomainParameters, CryptographicLength,
    CryptographicParameters, CryptographicUsageMask, DeactivationDate, Description, DestroyDate, Digest,
    DigitalSignatureAlgorithm, Extractable, Fresh, InitialDate, KeyFormatType, KeyValueLocation,
    KeyValuePresent, LastChangeDate, LeaseTime, Link, NistKeyType, Name, NeverExtractable, ObjectGroup,
    ObjectType, OpaqueDataType, OperationPolicyName, OriginalCreationDate, Pkcs12FriendlyName,
    ProcessStartDate, ProtectStopDate, ProtectionLevel, ProtectionPeriod, ProtectionStorageMask,
    QuantumSafe, RandomNumberGenerator, RevocationReason, RotateAutomatic, RotateDate, RotateGeneration,
    RotateInterval, RotateLatest, RotateName, RotateOffset, Sensitive, ShortUniqueIdentifier, State,
    UniqueIdentifier, UsageLimits, X509CertificateIdentifier, X509CertificateIssuer,
    X509CertificateSubject
);

macro_rules! operations {
    ($($name:ident),*) => {
        /// A request of the operation.
        pub(crate) fn request(operation: Operation, entropy: &mut Entropy<'_>) -> Request {
            match operation {
                $(Operation::$name => Request::$name(Sample::sample(entropy)),)*
                Operation::Extension(_) => panic!("not in the table"),
            }
        }

        /// A response of the operation.
        pub(crate) fn response(operation: Operation, entropy: &mut Entropy<'_>) -> Response {
            match operation {
                $(Operation::$name => Response::$name(Sample::sample(entropy)),)*
                Operation::Extension(_) => panic!("not in the table"),
            }
        }
    };
}

#[rustfmt::skip]
operations!(
    Create, CreateKeyPair, Register, ReKey, DeriveKey, Certify, ReCertify, Locate, Check, Get,
    GetAttributes, GetAttributeList, AddAttribute, ModifyAttribute, DeleteAttribute, ObtainLease,
    GetUsageAllocation, Activate, Revoke, Destroy, Archive, Recover, Validate, Query, Cancel, Poll,
    Notify, Put, ReKeyKeyPair, DiscoverVersions, Encrypt, Decrypt, Sign, SignatureVerify, Mac,
    MacVerify, RngRetrieve, RngSeed, Hash, CreateSplitKey, JoinSplitKey, Import, Export, Log, Login,
    Logout, DelegatedLogin, AdjustAttribute, SetAttribute, SetEndpointRole, Pkcs11, Interop,
    ReProvision, SetDefaults, SetConstraints, GetConstraints, QueryAsynchronousRequests, Process, Ping
);

macro_rules! structures {
    ($($name:ident { $($field:ident $(: $how:ident)? $([$($since:ident),+])?),* $(,)? })*) => {
        $(impl Sample for $name {
            #[allow(unused_variables)]
            fn sample(entropy: &mut Entropy<'_>) -> Self {
                Self { $($field: structures!(@value entropy $($how)? $([$($since),+])?),)* }
            }
        })*
    };
    (@value $entropy:ident) => { Sample::sample($entropy) };
    (@value $entropy:ident $how:ident) => { $entropy.$how() };
    (@value $entropy:ident [$($since:ident),+]) => { $entropy.since(&[$($since),+]) };
}

#[rustfmt::skip]
structures! {
    KeyBlock {
        key_format_type, key_compression_type, key_value, cryptographic_algorithm,
        cryptographic_length, key_wrapping_data,
    }
    KeyWrappingData {
        wrapping_method, encryption_key_information, mac_signature_key_information, mac_signature,
        iv_counter_nonce, encoding_option [V1_1],
    }
    KeyWrappingSpecification {
        wrapping_method, encryption_key_information, mac_signature_key_information,
        attribute_references, encoding_option [V1_1],
    }
    KeyInformation { unique_identifier, cryptographic_parameters }
    TransparentSymmetricKey { key }
    TransparentDsaPrivateKey { p, q, g, x }
    TransparentDsaPublicKey { p, q, g, y }
    TransparentRsaPrivateKey {
        modulus, private_exponent, public_exponent, p, q, prime_exponent_p, prime_exponent_q,
        crt_coefficient,
    }
    TransparentRsaPublicKey { modulus, public_exponent }
    TransparentDhPrivateKey { p, q, g, j, x }
    TransparentDhPublicKey { p, q, g, j, y }
    TransparentEcPrivateKey { recommended_curve, d }
    TransparentEcPublicKey { recommended_curve, q_string }
    Certificate { certificate_type, certificate_value }
    CertificateRequest { certificate_request_type, certificate_request_value }
    OpaqueObject { opaque_data_type, opaque_data_value }
    PgpKey { pgp_key_version, key_block }
    PrivateKey { key_block }
    PublicKey { key_block }
    SecretData { secret_data_type, key_block }
    SplitKey {
        split_key_parts, key_part_identifier, split_key_threshold, split_key_method,
        prime_field_size, key_block,
    }
    SymmetricKey { key_block }
    Template { attributes }
    ProtectionStorageMasks { masks }
    DerivationParameters {
        cryptographic_parameters, initialization_vector, derivation_data, salt, iteration_count,
    }
    ObjectGroups { object_groups }
    ObjectTypes { object_types }
    Objects { unique_identifiers }
    Operations { operations }
    DefaultsInformation { object_defaults }
    ObjectDefaults { object_type, object_types [V2_1], attributes: templates, object_groups [V2_1] }
    Constraints { constraints }
    Constraint { object_types, object_groups, attributes: templates }
    Ticket { ticket_type, ticket_value }
    Rights { rights }
    Right { usage_limits, operations, objects, object_groups [V2_1] }
    AsynchronousCorrelationValues { values }
    AsynchronousRequest { asynchronous_correlation_value, operation, submission_date, processing_stage }
    Name { value, name_type }
    AlternativeName { value, name_type }
    ApplicationSpecificInformation { namespace, data }
    CertificateIdentifier { issuer, serial_number }
    CertificateSubject { distinguished_name, alternative_names }
    CertificateIssuer { distinguished_name, alternative_names }
    X509CertificateIdentifier { issuer_distinguished_name, certificate_serial_number }
    X509CertificateIssuer { issuer_distinguished_name, issuer_alternative_names }
    X509CertificateSubject { subject_distinguished_name, subject_alternative_names }
    CryptographicDomainParameters { qlength, recommended_curve }
    CryptographicParameters {
        block_cipher_mode, padding_method, hashing_algorithm, key_role_type,
        digital_signature_algorithm [V1_2], cryptographic_algorithm [V1_2], random_iv [V1_2],
        iv_length [V1_2], tag_length [V1_2], fixed_field_length [V1_2], invocation_field_length
        [V1_2], counter_length [V1_2], initial_counter_value [V1_2], salt_length [V1_4],
        mask_generator [V1_4], mask_generator_hashing_algorithm [V1_4], p_source [V1_4],
        trailer_field [V1_4],
    }
    Digest { hashing_algorithm, digest_value, key_format_type [V1_1] }
    KeyValueLocation { value, location_type }
    Link { link_type, linked_object_identifier }
    RngParameters {
        rng_algorithm, cryptographic_algorithm, cryptographic_length, hashing_algorithm,
        drbg_algorithm, recommended_curve, fips186_variation, prediction_resistance,
    }
    RevocationReason { code, message }
    RotateName { value, name_type }
    UsageLimits { total, count, unit }
    RequestHeader {
        protocol_version, maximum_response_size, client_correlation_value [V1_4],
        server_correlation_value [V1_4], asynchronous_indicator, attestation_capable_indicator
        [V1_2], attestation_types [V1_2], authentication, batch_error_continuation_option,
        batch_order_option, time_stamp, batch_count,
    }
    Authentication { credentials }
    Credential { credential_type, credential_value }
    CredentialValue {
        username, password, device_serial_number [V1_1], device_identifier [V1_1], network_identifier [V1_1],
        machine_identifier [V1_1], media_identifier [V1_1], nonce [V1_2], attestation_type [V1_2],
        attestation_measurement [V1_2], attestation_assertion [V1_2], one_time_password [V2_0], timestamp [V2_0],
        hashing_algorithm [V2_0], hashed_password [V2_0], ticket [V2_0],
    }
    Nonce { nonce_id, nonce_value }
    ResponseHeader {
        protocol_version, time_stamp, nonce [V1_2], server_hashed_password [V2_0], attestation_types
        [V1_2], client_correlation_value [V1_4], server_correlation_value [V1_4], batch_count,
    }
    ActivateRequest { unique_identifier }
    ActivateResponse { unique_identifier }
    AddAttributeRequest { unique_identifier, new_attribute }
    AddAttributeResponse { unique_identifier, attribute: only_1x }
    AdjustAttributeRequest { unique_identifier, attribute_reference, adjustment_type, adjustment_value }
    AdjustAttributeResponse { unique_identifier }
    ArchiveRequest { unique_identifier }
    ArchiveResponse { unique_identifier }
    CancelRequest { asynchronous_correlation_value }
    CancelResponse { asynchronous_correlation_value, cancellation_result }
    CertifyRequest {
        unique_identifier, certificate_request_type, certificate_requests, attributes: templates,
        protection_storage_masks [V2_0],
    }
    CertifyResponse { unique_identifier }
    CheckRequest { unique_identifier, usage_limits_count, cryptographic_usage_mask, lease_time }
    CheckResponse { unique_identifier, usage_limits_count, cryptographic_usage_mask, lease_time }
    CreateRequest { object_type, attributes: templates, protection_storage_masks [V2_0] }
    CreateResponse { object_type, unique_identifier }
    CreateKeyPairRequest {
        common_attributes: templates, private_key_attributes: templates, public_key_attributes:
        templates, common_protection_storage_masks [V2_0], private_protection_storage_masks [V2_0],
        public_protection_storage_masks [V2_0],
    }
    CreateKeyPairResponse { private_key_unique_identifier, public_key_unique_identifier }
    CreateSplitKeyRequest {
        object_type, unique_identifier, split_key_parts, split_key_threshold, split_key_method,
        prime_field_size, attributes: templates, protection_storage_masks [V2_0],
    }
    CreateSplitKeyResponse { unique_identifiers }
    DecryptRequest {
        unique_identifier, cryptographic_parameters, data, iv_counter_nonce, correlation_value
        [V1_3], init_indicator [V1_3], final_indicator [V1_3],
        authenticated_encryption_additional_data [V1_4], authenticated_encryption_tag [V1_4],
    }
    DecryptResponse { unique_identifier, data, correlation_value [V1_3] }
    DelegatedLoginRequest { lease_time, request_count, usage_limits, rights }
    DelegatedLoginResponse { ticket }
    DeleteAttributeRequest {
        unique_identifier, current_attribute: only_2x, attribute_references, attribute_index [V1_0,
        V1_4],
    }
    DeleteAttributeResponse { unique_identifier, attribute: only_1x }
    DeriveKeyRequest {
        object_type, unique_identifiers, derivation_method, derivation_parameters, attributes:
        templates,
    }
    DeriveKeyResponse { unique_identifier }
    DestroyRequest { unique_identifier }
    DestroyResponse { unique_identifier }
    DiscoverVersionsRequest { protocol_versions }
    DiscoverVersionsResponse { protocol_versions }
    EncryptRequest {
        unique_identifier, cryptographic_parameters, data, iv_counter_nonce, correlation_value
        [V1_3], init_indicator [V1_3], final_indicator [V1_3],
        authenticated_encryption_additional_data [V1_4],
    }
    EncryptResponse {
        unique_identifier, data, iv_counter_nonce, correlation_value [V1_3],
        authenticated_encryption_tag [V1_4],
    }
    ExportRequest {
        unique_identifier, key_format_type, key_wrap_type, key_compression_type,
        key_wrapping_specification,
    }
    ExportResponse { object_type, unique_identifier, attributes, object }
    GetRequest {
        unique_identifier, key_format_type, key_wrap_type [V1_4], key_compression_type,
        key_wrapping_specification,
    }
    GetResponse { object_type, unique_identifier, object }
    GetAttributeListRequest { unique_identifier }
    GetAttributeListResponse { unique_identifier, attribute_references }
    GetAttributesRequest { unique_identifier, attribute_references }
    GetAttributesResponse { unique_identifier, attributes }
    GetConstraintsRequest {}
    GetConstraintsResponse { constraints }
    GetUsageAllocationRequest { unique_identifier, usage_limits_count }
    GetUsageAllocationResponse { unique_identifier }
    HashRequest {
        cryptographic_parameters, data, correlation_value [V1_3], init_indicator [V1_3],
        final_indicator [V1_3],
    }
    HashResponse { data, correlation_value [V1_3] }
    ImportRequest {
        unique_identifier, object_type [V2_0], replace_existing, key_wrap_type, attributes, object,
    }
    ImportResponse { unique_identifier }
    InteropRequest { interop_function, interop_identifier }
    InteropResponse {}
    JoinSplitKeyRequest {
        object_type, unique_identifiers, secret_data_type, attributes: templates,
        protection_storage_masks [V2_0],
    }
    JoinSplitKeyResponse { unique_identifier }
    LocateRequest {
        maximum_items, offset_items [V1_3], storage_status_mask, object_group_member [V1_1],
        attributes,
    }
    LocateResponse { located_items [V1_3], unique_identifiers }
    LogRequest { log_message }
    LogResponse {}
    LoginRequest { lease_time, request_count, usage_limits }
    LoginResponse { ticket }
    LogoutRequest { ticket }
    LogoutResponse {}
    MacRequest {
        unique_identifier, cryptographic_parameters, data, correlation_value [V1_3], init_indicator
        [V1_3], final_indicator [V1_3],
    }
    MacResponse { unique_identifier, mac_data, correlation_value [V1_3] }
    MacVerifyRequest {
        unique_identifier, cryptographic_parameters, data, mac_data, correlation_value [V1_3],
        init_indicator [V1_3], final_indicator [V1_3],
    }
    MacVerifyResponse { unique_identifier, validity_indicator, correlation_value [V1_3] }
    ModifyAttributeRequest { unique_identifier, current_attribute: only_2x, new_attribute }
    ModifyAttributeResponse { unique_identifier, attribute: only_1x }
    NotifyRequest { unique_identifier, attributes, attribute_references }
    NotifyResponse {}
    ObtainLeaseRequest { unique_identifier }
    ObtainLeaseResponse { unique_identifier, lease_time, last_change_date }
    PingRequest {}
    PingResponse {}
    Pkcs11Request { interface, function, correlation_value, input_parameters }
    Pkcs11Response { interface, function, correlation_value, output_parameters, return_code }
    PollRequest { asynchronous_correlation_value }
    PollResponse {}
    ProcessRequest { asynchronous_correlation_value }
    ProcessResponse {}
    PutRequest { unique_identifier, put_function, replaced_unique_identifier, object, attributes }
    PutResponse {}
    QueryRequest { query_functions, object_groups [V2_1] }
    QueryResponse {
        operations, object_types, vendor_identification, server_information, application_namespaces,
        extension_information [V1_1], attestation_types [V1_2], rng_parameters [V1_3],
        profile_information [V1_3], validation_information [V1_3], capability_information [V1_3],
        client_registration_methods [V1_3], defaults_information [V2_0], protection_storage_masks
        [V2_0],
    }
    ServerInformation {
        server_name [V2_0], server_serial_number [V2_0], server_version [V2_0], server_load [V2_0],
        product_name [V2_0], build_level [V2_0], build_date [V2_0], cluster_info [V2_0],
    }
    ExtensionInformation { extension_name, extension_tag, extension_type }
    ProfileInformation { profile_name, server_uri, server_port }
    ValidationInformation {
        validation_authority_type, validation_authority_country, validation_authority_uri,
        validation_version_major, validation_version_minor, validation_type, validation_level,
        validation_certificate_identifier, validation_certificate_uri, validation_vendor_uri,
        validation_profiles,
    }
    CapabilityInformation {
        streaming_capability, asynchronous_capability, attestation_capability, batch_undo_capability
        [V1_4], batch_continue_capability [V1_4], unwrap_mode, destroy_action, shredding_algorithm,
        rng_mode, quantum_safe_capability [V2_0],
    }
    QueryAsynchronousRequestsRequest { asynchronous_correlation_values, operations }
    QueryAsynchronousRequestsResponse { asynchronous_requests }
    ReCertifyRequest {
        unique_identifier, certificate_request_unique_identifier [V2_0], certificate_request_type,
        certificate_requests, offset, attributes: templates, protection_storage_masks [V2_0],
    }
    ReCertifyResponse { unique_identifier }
    ReKeyRequest { unique_identifier, offset, attributes: templates, protection_storage_masks [V2_0] }
    ReKeyResponse { unique_identifier }
    ReKeyKeyPairRequest {
        private_key_unique_identifier, offset, common_attributes: templates, private_key_attributes:
        templates, public_key_attributes: templates, common_protection_storage_masks [V2_0],
        private_protection_storage_masks [V2_0], public_protection_storage_masks [V2_0],
    }
    ReKeyKeyPairResponse { private_key_unique_identifier, public_key_unique_identifier }
    ReProvisionRequest { certificate_request, certificate }
    ReProvisionResponse { unique_identifier }
    RecoverRequest { unique_identifier }
    RecoverResponse { unique_identifier }
    RegisterRequest { object_type, attributes: templates, object, protection_storage_masks [V2_0] }
    RegisterResponse { unique_identifier }
    RevokeRequest { unique_identifier, revocation_reason, compromise_occurrence_date }
    RevokeResponse { unique_identifier }
    RngRetrieveRequest { data_length }
    RngRetrieveResponse { data }
    RngSeedRequest { data }
    RngSeedResponse { data_length }
    SetAttributeRequest { unique_identifier, new_attribute }
    SetAttributeResponse { unique_identifier }
    SetConstraintsRequest { constraints }
    SetConstraintsResponse {}
    SetDefaultsRequest { defaults_information }
    SetDefaultsResponse {}
    SetEndpointRoleRequest { endpoint_role }
    SetEndpointRoleResponse { endpoint_role }
    SignRequest {
        unique_identifier, cryptographic_parameters, data, digested_data [V1_4], correlation_value
        [V1_3], init_indicator [V1_3], final_indicator [V1_3],
    }
    SignResponse { unique_identifier, signature_data, correlation_value [V1_3] }
    SignatureVerifyRequest {
        unique_identifier, cryptographic_parameters, data, digested_data [V1_4], signature_data,
        correlation_value [V1_3], init_indicator [V1_3], final_indicator [V1_3],
    }
    SignatureVerifyResponse { unique_identifier, validity_indicator, data, correlation_value [V1_3] }
    ValidateRequest { certificates, unique_identifiers, validity_date }
    ValidateResponse { validity_indicator }
}
