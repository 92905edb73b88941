//! Wrapping keys for clients with stored keys, and unwrapping what they bring (KMIP 2.1 sections 3.3 and 7.18).
//!
//! Wrapping is by encryption: NIST key wrap, the block cipher modes, and RSA. MACs and signatures over wrapped keys are
//! not made.

use std::sync::Arc;

use bytes::Bytes;
use kmip_protocol::attribute::{Attribute, Attributes, CryptographicParameters};
use kmip_protocol::codec::{Item, Secret};
use kmip_protocol::enumeration::{EncodingOption, LinkType, ObjectType, ResultReason, WrappingMethod};
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::key_block::{
    KeyInformation, KeyMaterial, KeyValue, KeyWrappingData, KeyWrappingSpecification,
};
use kmip_protocol::lifecycle::Purpose;
use kmip_protocol::mask::CryptographicUsageMask;
use kmip_protocol::object::ManagedObject;
use kmip_protocol::tag;
use kmip_ttlv::{Limits, Reader, Writer};

use crate::context::Context;
use crate::crypto::{self, CipherParameters};
use crate::fault::Fault;
use crate::record::Record;
use crate::{key_material, parameters, usage};

/// Wraps the key in `object`, which is that of `record`.
///
/// # Errors
/// If the wrapping key is not there or may not wrap, or the key cannot be wrapped this way.
pub async fn wrap(
    context: &mut Context<'_>,
    record: &Record,
    object: &mut ManagedObject,
    specification: KeyWrappingSpecification,
) -> Result<(), Fault> {
    let information = encryption_key(
        specification.wrapping_method,
        specification.encryption_key_information,
        specification.mac_signature_key_information.is_some(),
    )?;
    let wrapping = wrapping_record(context, &information.unique_identifier).await?;
    usage::judge(context, &wrapping, CryptographicUsageMask::WRAP_KEY, Purpose::Protect)?;
    judge_parameters(&wrapping, information.cryptographic_parameters.as_ref())?;
    let attributes = attributes(record, &specification.attribute_references);
    let plaintext = encode(context, object, specification.encoding_option, attributes)?;
    usage::count(context, &wrapping, plaintext.len(), true)?;
    let wrapped = encrypt(context, &wrapping, &information, &plaintext).await?;
    let block = object.key_block_mut().ok_or_else(nothing_to_wrap)?;
    block.key_value = Some(KeyValue::Wrapped(Bytes::from(wrapped.data)));
    block.key_wrapping_data = Some(Box::new(KeyWrappingData {
        wrapping_method: specification.wrapping_method,
        encryption_key_information: Some(KeyInformation {
            unique_identifier: UniqueIdentifier::Text(wrapping.unique_identifier.clone()),
            cryptographic_parameters: information.cryptographic_parameters,
        }),
        mac_signature_key_information: None,
        mac_signature: None,
        iv_counter_nonce: wrapped.initialization_vector.map(Bytes::from),
        encoding_option: specification.encoding_option,
    }));
    Ok(())
}

/// Unwraps the key in `object` with the stored key that its Key Wrapping Data names.
///
/// # Errors
/// If the wrapping key is not there or may not unwrap, or the key does not open with it.
pub async fn unwrap(context: &Context<'_>, object: &mut ManagedObject) -> Result<(), Fault> {
    let block = object.key_block_mut().ok_or_else(nothing_to_wrap)?;
    let (Some(KeyValue::Wrapped(wrapped)), Some(data)) = (&block.key_value, block.key_wrapping_data.take())
    else {
        return Err(Fault::invalid_field("a wrapped key comes with the data about its wrapping"));
    };
    let information = encryption_key(
        data.wrapping_method,
        data.encryption_key_information,
        data.mac_signature_key_information.is_some(),
    )?;
    let wrapping = unwrapping_record(context, &information.unique_identifier).await?;
    usage::judge(context, &wrapping, CryptographicUsageMask::UNWRAP_KEY, Purpose::Process)?;
    let vector = data.iv_counter_nonce.as_deref();
    let plaintext = decrypt(context, &wrapping, &information, vector, wrapped.clone()).await?;
    block.key_value = Some(decode(context, data.encoding_option, plaintext)?);
    Ok(())
}

/// The wrapping key that the Key Wrapping Data of an object names, if it is stored here.
pub async fn known_wrapping_key(
    context: &Context<'_>,
    object: &ManagedObject,
) -> Result<Option<Arc<Record>>, Fault> {
    let data = object.key_block().and_then(|block| block.key_wrapping_data.as_ref());
    match data.and_then(|data| data.encryption_key_information.as_ref()) {
        Some(information) => match context.resolve(Some(&information.unique_identifier)) {
            Ok(identifier) => context.fetch(&identifier).await,
            Err(_) => Ok(None),
        },
        None => Ok(None),
    }
}

/// Whether the key in `object` is wrapped.
pub fn is_wrapped(object: &ManagedObject) -> bool {
    object.key_block().is_some_and(|block| matches!(block.key_value, Some(KeyValue::Wrapped(_))))
}

fn encryption_key(
    method: WrappingMethod,
    encryption: Option<KeyInformation>,
    has_mac: bool,
) -> Result<KeyInformation, Fault> {
    if method != WrappingMethod::Encrypt || has_mac {
        return Err(Fault::feature_not_supported("keys are wrapped by encryption alone"));
    }
    encryption.ok_or_else(|| Fault::missing("Encryption Key Information is needed"))
}

async fn wrapping_record(context: &Context<'_>, identifier: &UniqueIdentifier) -> Result<Arc<Record>, Fault> {
    let identifier = context.resolve(Some(identifier))?;
    let record = context.fetch(&identifier).await?.ok_or_else(|| {
        Fault::new(ResultReason::WrappingObjectNotFound, "there is no wrapping key of this identifier")
    })?;
    if record.is_destroyed() {
        return Err(Fault::new(ResultReason::WrappingObjectDestroyed, "the wrapping key was destroyed"));
    }
    record
        .refuse_archived()
        .map_err(|_| Fault::new(ResultReason::WrappingObjectArchived, "the wrapping key is archived"))?;
    Ok(record)
}

/// As [`wrapping_record`]; what a public key has wrapped is unwrapped with the private key that it links to.
async fn unwrapping_record(
    context: &Context<'_>,
    identifier: &UniqueIdentifier,
) -> Result<Arc<Record>, Fault> {
    let record = wrapping_record(context, identifier).await?;
    if record.object_type != ObjectType::PublicKey {
        return Ok(record);
    }
    match record.linked(LinkType::PrivateKeyLink) {
        Some(private) => wrapping_record(context, private).await,
        None => Ok(record),
    }
}

/// Parameters of the request have to be among those of the wrapping key (7.18).
fn judge_parameters(wrapping: &Record, requested: Option<&CryptographicParameters>) -> Result<(), Fault> {
    let Some(requested) = requested else { return Ok(()) };
    if parameters::stored(wrapping).any(|stored| stored == requested) {
        return Ok(());
    }
    let message = "the wrapping key has no Cryptographic Parameters attribute with these values";
    Err(Fault::new(ResultReason::BadCryptographicParameters, message))
}

fn attributes(
    record: &Record,
    references: &[kmip_protocol::attribute::AttributeReference],
) -> Vec<Attribute> {
    let all = record.attributes.iter();
    all.filter(|attribute| references.contains(&attribute.reference())).cloned().collect()
}

/// What is encrypted: the key material alone, or all of the Key Value.
fn encode(
    context: &Context<'_>,
    object: &ManagedObject,
    option: Option<EncodingOption>,
    attributes: Vec<Attribute>,
) -> Result<Secret, Fault> {
    let value = object.key_block().ok_or_else(nothing_to_wrap)?.key_value.as_ref();
    let Some(KeyValue::Plain { material, attributes: inner }) = value else {
        return Err(match value {
            Some(_) => Fault::new(ResultReason::KeyWrapTypeNotSupported, "the key is wrapped already"),
            None => Fault::new(ResultReason::KeyValueNotPresent, "the value of the key is not held here"),
        });
    };
    match (option, material) {
        (Some(EncodingOption::NoEncoding), KeyMaterial::Bytes(bytes)) if attributes.is_empty() => {
            Ok(bytes.share())
        }
        (Some(EncodingOption::NoEncoding), _) => {
            let message = "only key material in bytes, without attributes, is wrapped without encoding";
            Err(Fault::new(ResultReason::EncodingOptionError, message))
        }
        _ => {
            let material = match material {
                KeyMaterial::Bytes(bytes) => KeyMaterial::Bytes(bytes.share()),
                KeyMaterial::Transparent(items) => KeyMaterial::Transparent(items.share()),
            };
            let all = inner.iter().cloned().chain(attributes);
            let value = KeyValue::Plain { material, attributes: Attributes::new(all) };
            let mut writer = Writer::new();
            value.write(&mut writer, tag::KEY_VALUE, context.version);
            Ok(Secret::from(writer.finish()))
        }
    }
}

fn decode(
    context: &Context<'_>,
    option: Option<EncodingOption>,
    plaintext: Secret,
) -> Result<KeyValue, Fault> {
    if option == Some(EncodingOption::NoEncoding) {
        return Ok(KeyValue::plain(plaintext));
    }
    let wrong = || Fault::new(ResultReason::EncodingOptionError, "the wrapped bytes are no Key Value");
    let bytes = plaintext.into_bytes();
    let mut reader = Reader::new(&bytes, Limits::default()).map_err(|_| wrong())?;
    match KeyValue::read(&mut reader, tag::KEY_VALUE, context.version) {
        Ok(value @ KeyValue::Plain { .. }) => Ok(value),
        _ => Err(wrong()),
    }
}

async fn encrypt(
    context: &Context<'_>,
    wrapping: &Record,
    information: &KeyInformation,
    plaintext: &Secret,
) -> Result<crypto::WrappedKey, Fault> {
    let parameters = parameters::chosen(wrapping, information.cryptographic_parameters.as_ref());
    let key = context.unseal(wrapping).await?;
    let entropy = &*context.service.entropy;
    if matches!(key.object_type(), ObjectType::PublicKey | ObjectType::Certificate) {
        let public = key_material::public_key(&key, parameters::curve(wrapping))?;
        let data = public.encrypt(&parameters, plaintext.expose(), entropy)?;
        return Ok(crypto::WrappedKey { data, initialization_vector: None });
    }
    let key = key_material::symmetric(&key)?;
    Ok(crypto::wrap_key(key.expose(), &parameters, None, plaintext.expose(), entropy)?)
}

async fn decrypt(
    context: &Context<'_>,
    wrapping: &Record,
    information: &KeyInformation,
    vector: Option<&[u8]>,
    wrapped: Bytes,
) -> Result<Secret, Fault> {
    let parameters: CipherParameters =
        parameters::chosen(wrapping, information.cryptographic_parameters.as_ref());
    let key = context.unseal(wrapping).await?;
    if key.object_type() == ObjectType::PrivateKey {
        let open = key_material::with_private_key(context, wrapping, key, move |key| {
            Ok(key.decrypt(&parameters, &wrapped)?)
        });
        return Ok(Secret::from(open.await?));
    }
    let key = key_material::symmetric(&key)?;
    Ok(Secret::from(crypto::unwrap_key(key.expose(), &parameters, vector, &wrapped)?))
}

fn nothing_to_wrap() -> Fault {
    Fault::new(ResultReason::InvalidObjectType, "the object has no key that could be wrapped")
}
