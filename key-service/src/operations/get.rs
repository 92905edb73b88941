//! Get (6.1.19): returns an object.

use kmip_protocol::attribute::{Attribute, AttributeType};
use kmip_protocol::enumeration::{
    CryptographicAlgorithm, KeyCompressionType, KeyFormatType, KeyWrapType, ObjectType, ResultReason,
};
use kmip_protocol::key_block::KeyWrappingSpecification;
use kmip_protocol::object::ManagedObject;
use kmip_protocol::operation::{GetRequest, GetResponse};

use crate::context::Context;
use crate::fault::Fault;
use crate::record::Record;
use crate::{key_material, parameters, wrapping};

pub(super) async fn handle(context: &mut Context<'_>, request: GetRequest) -> Result<GetResponse, Fault> {
    let record = context.live_object(request.unique_identifier.as_ref()).await?;
    let form = Form {
        key_format_type: request.key_format_type,
        key_wrap_type: request.key_wrap_type,
        key_compression_type: request.key_compression_type,
        key_wrapping_specification: request.key_wrapping_specification,
    };
    let object = obtain(context, &record, form).await?;
    Ok(GetResponse {
        object_type: record.object_type,
        unique_identifier: record.unique_identifier.clone(),
        object,
    })
}

/// How a client wants an object.
pub(super) struct Form {
    pub(super) key_format_type: Option<KeyFormatType>,
    pub(super) key_wrap_type: Option<KeyWrapType>,
    pub(super) key_compression_type: Option<KeyCompressionType>,
    pub(super) key_wrapping_specification: Option<Box<KeyWrappingSpecification>>,
}

/// The object of a record, as the client wants it and may have it. It is not fresh any more.
pub(super) async fn obtain(
    context: &mut Context<'_>,
    record: &Record,
    form: Form,
) -> Result<ManagedObject, Fault> {
    if !record.flag(AttributeType::Extractable) && record.object_type != ObjectType::Template {
        return Err(Fault::new(ResultReason::NotExtractable, "the object is not extractable"));
    }
    judge_compression(form.key_compression_type)?;
    let mut object = context.unseal(record).await?;
    let stays_wrapped = wrapping::is_wrapped(&object) && form.key_wrap_type != Some(KeyWrapType::NotWrapped);
    let leaves_wrapped = stays_wrapped || form.key_wrapping_specification.is_some();
    // A sensitive object leaves only wrapped (4.55).
    if record.flag(AttributeType::Sensitive) && !leaves_wrapped {
        return Err(Fault::new(ResultReason::Sensitive, "the object is sensitive: it leaves only wrapped"));
    }
    if wrapping::is_wrapped(&object) && !stays_wrapped {
        Box::pin(wrapping::unwrap(context, &mut object)).await?;
    }
    if let Some(wanted) =
        form.key_format_type.or_else(|| key_material::known_format(&object, context.version))
    {
        object = Box::pin(converted(context, record, object, wanted)).await?;
    }
    if let Some(specification) = form.key_wrapping_specification {
        Box::pin(wrapping::wrap(context, record, &mut object, *specification)).await?;
    }
    note_served(context, record).await?;
    Ok(object)
}

/// Public keys on curves are points in full length, whether the client says so or not.
fn judge_compression(wanted: Option<KeyCompressionType>) -> Result<(), Fault> {
    match wanted {
        None | Some(KeyCompressionType::EcPublicKeyTypeUncompressed) => Ok(()),
        Some(_) => {
            let message = "keys are not compressed";
            Err(Fault::new(ResultReason::KeyCompressionTypeNotSupported, message))
        }
    }
}

async fn converted(
    context: &Context<'_>,
    record: &Record,
    mut object: ManagedObject,
    wanted: KeyFormatType,
) -> Result<ManagedObject, Fault> {
    let has_format =
        |object: &ManagedObject| object.key_block().is_some_and(|block| block.key_format_type == wanted);
    if has_format(&object) {
        return Ok(object);
    }
    if wrapping::is_wrapped(&object) {
        let message = "a wrapped key is had in the format that it was wrapped in";
        return Err(Fault::new(ResultReason::KeyFormatTypeNotSupported, message));
    }
    let curve = parameters::curve(record);
    let convert = move || key_material::convert(&mut object, wanted, curve).map(|()| object);
    let is_slow = record.object_type == ObjectType::PrivateKey
        && parameters::algorithm(record) == Some(CryptographicAlgorithm::Rsa);
    if !is_slow {
        return convert();
    }
    context.service.workers.use_private_key(context.principal, convert).await?
}

/// An object that was served is not fresh (4.24).
async fn note_served(context: &mut Context<'_>, record: &Record) -> Result<(), Fault> {
    if !record.flag(AttributeType::Fresh) {
        return Ok(());
    }
    // The wrapping key may be the object itself: its uses have been counted since.
    let record = context.fetch(&record.unique_identifier).await?.ok_or_else(Fault::object_not_found)?;
    let mut served = Record::clone(&record);
    served.set(Attribute::Fresh(false));
    context.replace_silently(served);
    Ok(())
}
