//! Making objects: the attributes that a new object gets, from the client, from its value, and from the server
//! (KMIP 2.1 section 4, "when implicitly set").

use bytes::Bytes;
use bytestring::ByteString;
use kmip_protocol::attribute::{Attribute, AttributeType, Attributes, Digest, Instance, Name, RngParameters};
use kmip_protocol::codec::{DateTime, Item};
use kmip_protocol::enumeration::{
    HashingAlgorithm, KeyFormatType, ObjectType, ResultReason, RngAlgorithm, State,
};
use kmip_protocol::key_block::{KeyMaterial, KeyValue};
use kmip_protocol::mask::{CryptographicUsageMask, ProtectionStorageMask};
use kmip_protocol::object::ManagedObject;
use kmip_protocol::tag;
use kmip_protocol::version::V2_1;
use kmip_ttlv::{Reader, Writer};

use crate::attribute_rules;
use crate::certificate;
use crate::context::Context;
use crate::crypto;
use crate::fault::Fault;
use crate::guard::Guard;
use crate::lifecycle_dates;
use crate::record::{RECORD_LIMITS, Record, index_key};

/// Where the value of a new object comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The server generated it.
    Generated,
    /// The server worked it out from other objects.
    Derived,
    /// The client brought it.
    Registered,
}

/// The service that seals an object unless an Object Group names another.
pub const DEFAULT_SERVICE: &str = "default";

/// Judges `attributes`, completes them, seals `object` and adds the record to the changes of the item. Returns the
/// identifier.
///
/// # Errors
/// If an attribute is refused, or the vault does not seal the object.
pub async fn create(
    context: &mut Context<'_>,
    origin: Origin,
    attributes: Attributes,
    object: &ManagedObject,
) -> Result<ByteString, Fault> {
    let record = draft(context, origin, attributes, object).await?;
    finish(context, record, object).await
}

/// A record that is complete but for its sealed value.
pub async fn draft(
    context: &Context<'_>,
    origin: Origin,
    attributes: Attributes,
    object: &ManagedObject,
) -> Result<Record, Fault> {
    let service = context.service;
    let attributes = with_templates(context, attributes).await?;
    attribute_rules::judge_new(&attributes, service.settings.maximum_attributes)?;
    let groups = object_groups(&attributes)?;
    let mut record = Record {
        tenant: context.principal.tenant.clone(),
        service: service.sealer.service_of(&context.principal.tenant, &groups).await?,
        unique_identifier: service.new_identifier()?,
        sequence: service.clock.stamp(),
        version: 1,
        object_type: object.object_type(),
        attributes: Attributes::default(),
        sealed: None,
        further_seals: Vec::new(),
        guard: Guard::default(),
    };
    for attribute in detach_all(attributes.iter().filter(|attribute| is_kept(attribute)))? {
        record.add(attribute_rules::as_kept(attribute));
    }
    complete(&mut record, origin, object, context)?;
    Ok(record)
}

/// Seals `object` into `record` and adds the record to the changes of the item.
pub async fn finish(
    context: &mut Context<'_>,
    mut record: Record,
    object: &ManagedObject,
) -> Result<ByteString, Fault> {
    seal(context, &mut record, object).await?;
    let unique_identifier = record.unique_identifier.clone();
    context.insert(record);
    Ok(unique_identifier)
}

/// Seals `object` into `record`, if there is anything to seal: a key whose value is elsewhere has nothing.
pub async fn seal(context: &Context<'_>, record: &mut Record, object: &ManagedObject) -> Result<(), Fault> {
    if object.key_block().is_none_or(|block| block.key_value.is_some()) {
        context.seal(record, object).await?;
    }
    Ok(())
}

/// The format that a client asks for a new key (4.26).
pub fn wanted_format(attributes: &Attributes) -> Option<KeyFormatType> {
    attributes.iter().find_map(|attribute| match attribute {
        Attribute::KeyFormatType(format) => Some(*format),
        _ => None,
    })
}

/// Keeps a new key in another format than the default: it has the digests of both (4.21).
pub fn reform(record: &mut Record, object: &ManagedObject) {
    let Some(block) = object.key_block() else { return };
    record.set(Attribute::KeyFormatType(block.key_format_type));
    if let Some(digest) = digest_of(object) {
        record.add(Attribute::Digest(digest));
    }
}

/// Makes an object with the attributes given and nothing else, but for those that every object has to have and that
/// are missing (6.1.25).
pub async fn import(
    context: &Context<'_>,
    unique_identifier: ByteString,
    attributes: Attributes,
    object: &ManagedObject,
) -> Result<Record, Fault> {
    let service = context.service;
    let groups = object_groups(&attributes)?;
    let mut given = Record {
        tenant: context.principal.tenant.clone(),
        service: service.sealer.service_of(&context.principal.tenant, &groups).await?,
        unique_identifier,
        sequence: service.clock.stamp(),
        version: 1,
        object_type: object.object_type(),
        attributes: Attributes::default(),
        sealed: None,
        further_seals: Vec::new(),
        guard: Guard::default(),
    };
    for attribute in detach_all(attributes.iter().filter(|attribute| !is_field(attribute)))? {
        given.add(attribute);
    }
    let mut completed = given.clone();
    complete(&mut completed, Origin::Registered, object, context)?;
    for instance in completed.attributes.instances {
        let attribute_type = instance.attribute.attribute_type();
        if attribute_type.is_some_and(|missing| given.attribute(missing).is_none()) {
            given.attributes.instances.push(instance);
        }
    }
    Ok(given)
}

/// What a record spells as a field.
fn is_field(attribute: &Attribute) -> bool {
    matches!(attribute, Attribute::UniqueIdentifier(_) | Attribute::ObjectType(_))
}

/// What the server works out by itself, whatever the client says.
fn is_kept(attribute: &Attribute) -> bool {
    !matches!(
        attribute,
        Attribute::ObjectType(_)
            | Attribute::KeyFormatType(_)
            | Attribute::ProtectionStorageMask(_)
            | Attribute::Fresh(_)
    )
}

/// Copies an attribute out of the message that it came in, so that the record does not keep the message alive.
pub fn detach(attribute: &Attribute) -> Result<Attribute, Fault> {
    detach_all([attribute])?.next().ok_or_else(|| Fault::general_failure("lost attribute"))
}

/// As [`detach`]: the attributes share one copy of all.
fn detach_all<'a>(
    attributes: impl IntoIterator<Item = &'a Attribute>,
) -> Result<impl Iterator<Item = Attribute>, Fault> {
    let mut writer = Writer::new();
    Attributes::new(attributes.into_iter().cloned()).write_record(&mut writer);
    let bytes = Bytes::copy_from_slice(writer.as_slice());
    let copied = Attributes::read_record(&mut Reader::new(&bytes, RECORD_LIMITS)?)?;
    Ok(copied.instances.into_iter().map(|instance| instance.attribute))
}

/// Object Groups of a new object at most: the vault is asked about each.
const MAXIMUM_OBJECT_GROUPS: usize = 16;

/// Templates that a request names at most: the store is asked for each.
const MAXIMUM_TEMPLATES: usize = 16;

fn object_groups(attributes: &Attributes) -> Result<Vec<ByteString>, Fault> {
    let groups = attributes.iter().filter_map(|attribute| match attribute {
        Attribute::ObjectGroup(group) => Some(group.clone()),
        _ => None,
    });
    let groups: Vec<_> = groups.collect();
    match groups.len() {
        0..=MAXIMUM_OBJECT_GROUPS => Ok(groups),
        _ => Err(Fault::new(ResultReason::ServerLimitExceeded, "a new object has too many Object Groups")),
    }
}

/// Adds the attributes of the templates that a 1.x request names; its own go before theirs.
pub async fn with_templates(context: &Context<'_>, mut attributes: Attributes) -> Result<Attributes, Fault> {
    if attributes.templates.len() > MAXIMUM_TEMPLATES {
        return Err(Fault::new(ResultReason::ServerLimitExceeded, "a request names too many templates"));
    }
    for name in std::mem::take(&mut attributes.templates) {
        let template = find_template(context, &name).await?;
        for attribute in template.attributes.iter() {
            let is_own_name = matches!(attribute, Attribute::Name(_));
            let is_overridden = attributes.iter().any(|own| own.reference() == attribute.reference());
            if !is_own_name
                && !is_overridden
                && attribute_rules::judge_new(&Attributes::new([attribute.clone()]), 1).is_ok()
            {
                attributes.instances.push(Instance { index: None, attribute: attribute.clone() });
            }
        }
    }
    Ok(attributes)
}

async fn find_template(context: &Context<'_>, name: &Name) -> Result<std::sync::Arc<Record>, Fault> {
    let key = index_key(&Attribute::Name(name.clone()));
    let found = context.select(key.as_ref(), None, 1).await?;
    let template = found.into_iter().find(|record| record.object_type == ObjectType::Template);
    template.ok_or_else(|| Fault::new(ResultReason::ItemNotFound, "there is no template of this name"))
}

/// Sets what every object has, and what its type brings.
fn complete(
    record: &mut Record,
    origin: Origin,
    object: &ManagedObject,
    context: &Context<'_>,
) -> Result<(), Fault> {
    let now = context.service.clock.now();
    if let ManagedObject::Template(template) = object {
        for attribute in detach_all(template.attributes.iter())? {
            record.add(attribute);
        }
        record.set(Attribute::InitialDate(now));
        record.set(Attribute::LastChangeDate(now));
        return Ok(());
    }
    set_dates(record, origin, now);
    record.set(Attribute::LeaseTime(context.service.lease_time()));
    record.set(Attribute::Fresh(true));
    record.set(Attribute::ProtectionStorageMask(ProtectionStorageMask::SOFTWARE));
    record.set(Attribute::ShortUniqueIdentifier(Bytes::copy_from_slice(&crypto::sha256(
        record.unique_identifier.as_bytes(),
    ))));
    set_extraction(record);
    set_default(record, Attribute::CryptographicUsageMask(CryptographicUsageMask::default()));
    if origin == Origin::Generated {
        set_default(record, Attribute::RandomNumberGenerator(Box::new(generator())));
    }
    describe_value(record, object)
}

fn set_dates(record: &mut Record, origin: Origin, now: DateTime) {
    record.set(Attribute::InitialDate(now));
    record.set(Attribute::LastChangeDate(now));
    if origin != Origin::Registered {
        set_default(record, Attribute::OriginalCreationDate(now));
    }
    record.set(Attribute::State(State::PreActive));
    let settled = lifecycle_dates::settle(std::sync::Arc::new(record.clone()), now);
    if let Some(state) = settled.state() {
        record.set(Attribute::State(state));
    }
}

/// Sensitive and Extractable, and what they were from the beginning (4.3, 4.23, 4.33, 4.55).
fn set_extraction(record: &mut Record) {
    set_default(record, Attribute::Sensitive(false));
    set_default(record, Attribute::Extractable(true));
    record.set(Attribute::AlwaysSensitive(record.flag(AttributeType::Sensitive)));
    record.set(Attribute::NeverExtractable(!record.flag(AttributeType::Extractable)));
}

/// Sets an attribute unless the client has.
pub fn set_default(record: &mut Record, attribute: Attribute) {
    if attribute.attribute_type().is_some_and(|attribute_type| record.attribute(attribute_type).is_none()) {
        record.set(attribute);
    }
}

/// The operating system's generator, of which no more is known.
fn generator() -> RngParameters {
    RngParameters {
        rng_algorithm: RngAlgorithm::Unspecified,
        cryptographic_algorithm: None,
        cryptographic_length: None,
        hashing_algorithm: None,
        drbg_algorithm: None,
        recommended_curve: None,
        fips186_variation: None,
        prediction_resistance: None,
    }
}

/// Sets what can be read off the value itself.
fn describe_value(record: &mut Record, object: &ManagedObject) -> Result<(), Fault> {
    match object {
        ManagedObject::Certificate(certificate) => {
            record.set(Attribute::CertificateType(certificate.certificate_type));
            certificate::describe(record, &certificate.certificate_value);
            record.set(Attribute::Digest(digest(&certificate.certificate_value, None)));
        }
        ManagedObject::CertificateRequest(request) => {
            record.set(Attribute::Digest(digest(&request.certificate_request_value, None)));
        }
        ManagedObject::OpaqueObject(opaque) => {
            record.set(Attribute::OpaqueDataType(opaque.opaque_data_type));
            record.set(Attribute::Digest(untold(digest(opaque.opaque_data_value.expose(), None))));
        }
        _ => describe_key(record, object)?,
    }
    Ok(())
}

fn describe_key(record: &mut Record, object: &ManagedObject) -> Result<(), Fault> {
    let Some(block) = object.key_block() else {
        return Ok(());
    };
    record.set(Attribute::KeyFormatType(block.key_format_type));
    if let Some(algorithm) = block.cryptographic_algorithm {
        agree(record, Attribute::CryptographicAlgorithm(algorithm))?;
    }
    if let Some(length) = block.cryptographic_length {
        agree(record, Attribute::CryptographicLength(length))?;
    }
    match digest_of(object) {
        Some(digest) => record.set(Attribute::Digest(digest)),
        None => record.set(Attribute::KeyValuePresent(false)),
    }
    Ok(())
}

/// Sets an attribute from the value; what the client said about it has to agree.
fn agree(record: &mut Record, attribute: Attribute) -> Result<(), Fault> {
    let told = attribute.attribute_type().and_then(|attribute_type| record.attribute(attribute_type));
    if told.is_some_and(|told| *told != attribute) {
        let message = "the attributes and the key block do not agree about the algorithm or its length";
        return Err(Fault::invalid_field(message));
    }
    record.set(attribute);
    Ok(())
}

/// The digest of a key as its record keeps it; `None` if its value is not here.
fn digest_of(object: &ManagedObject) -> Option<Digest> {
    let digest = key_digest(object)?;
    Some(if matches!(object, ManagedObject::SecretData(_)) { untold(digest) } else { digest })
}

/// A password can be guessed, and a digest confirms the guess: whoever has the store must not find it there.
fn untold(digest: Digest) -> Digest {
    Digest { digest_value: None, ..digest }
}

/// Works out the digests that the record does not keep, from the value. A destroyed object has none.
///
/// # Errors
/// If the vault does not open the object.
pub async fn tell_digests(
    context: &Context<'_>,
    record: &Record,
    instances: &mut Vec<Instance>,
) -> Result<(), Fault> {
    let is_untold = |instance: &Instance| matches!(&instance.attribute, Attribute::Digest(digest) if digest.digest_value.is_none());
    if !instances.iter().any(is_untold) {
        return Ok(());
    }
    if record.is_destroyed() {
        instances.retain(|instance| !is_untold(instance));
        return Ok(());
    }
    let object = context.unseal(record).await?;
    let told = match &object {
        ManagedObject::OpaqueObject(opaque) => Some(digest(opaque.opaque_data_value.expose(), None)),
        object => key_digest(object),
    };
    for instance in instances.iter_mut().filter(|instance| is_untold(instance)) {
        let told = told.clone().ok_or_else(|| Fault::general_failure("the object has no digest"))?;
        instance.attribute = Attribute::Digest(told);
    }
    Ok(())
}

fn key_digest(object: &ManagedObject) -> Option<Digest> {
    let block = object.key_block()?;
    let format = Some(block.key_format_type);
    Some(match block.key_value.as_ref()? {
        KeyValue::Plain { material: KeyMaterial::Bytes(bytes), .. } => digest(bytes.expose(), format),
        KeyValue::Plain { material, .. } => {
            let mut writer = Writer::new();
            material.write(&mut writer, tag::KEY_MATERIAL, V2_1);
            digest(writer.as_slice(), format)
        }
        KeyValue::Wrapped(wrapped) => digest(wrapped, format),
    })
}

fn digest(value: &[u8], key_format_type: Option<KeyFormatType>) -> Digest {
    Digest {
        hashing_algorithm: HashingAlgorithm::Sha256,
        digest_value: Some(Bytes::copy_from_slice(&crypto::sha256(value))),
        key_format_type,
    }
}

/// Bytes of a Unique Identifier at most: clients copy it into a buffer of 128.
pub const MAXIMUM_IDENTIFIER_BYTES: usize = 127;

/// Judges a Unique Identifier that somebody else has chosen.
///
/// # Errors
/// If no object can have it.
pub fn judge_identifier(unique_identifier: &str) -> Result<(), Fault> {
    let is_plain = unique_identifier.bytes().all(|byte| byte.is_ascii_graphic());
    if unique_identifier.is_empty() || unique_identifier.len() > MAXIMUM_IDENTIFIER_BYTES || !is_plain {
        return Err(Fault::invalid_field("identifiers are 1 to 127 printable ASCII characters, no spaces"));
    }
    Ok(())
}
