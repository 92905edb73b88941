//! Get (6.1.19): returns an object.

use kmip_protocol::attribute::{Attribute, AttributeType};
use kmip_protocol::enumeration::{KeyFormatType, ObjectType, ResultReason};
use kmip_protocol::key_block::{KeyMaterial, KeyValue, TransparentSymmetricKey};
use kmip_protocol::object::ManagedObject;
use kmip_protocol::operation::{GetRequest, GetResponse};
use kmip_protocol::version::V2_1;

use super::create::raw_material;
use crate::context::Context;
use crate::fault::Fault;
use crate::record::Record;

pub(super) async fn handle(context: &mut Context<'_>, request: GetRequest) -> Result<GetResponse, Fault> {
    let record = context.live_object(request.unique_identifier.as_ref()).await?;
    if request.key_wrapping_specification.is_some() {
        return Err(Fault::feature_not_supported("keys are not wrapped for clients yet"));
    }
    judge_plain(&record)?;
    let mut object = context.service.unseal(&record).await?;
    if let Some(wanted) = request.key_format_type {
        convert(&mut object, wanted)?;
    }
    if record.flag(AttributeType::Fresh) {
        let mut used = Record::clone(&record);
        used.set(Attribute::Fresh(false));
        context.replace_silently(used);
    }
    Ok(GetResponse {
        object_type: record.object_type,
        unique_identifier: record.unique_identifier.clone(),
        object,
    })
}

/// A sensitive object leaves only wrapped, one that is not extractable not at all (4.23, 4.55).
fn judge_plain(record: &Record) -> Result<(), Fault> {
    if record.object_type == ObjectType::Template {
        return Ok(());
    }
    if !record.flag(AttributeType::Extractable) {
        return Err(Fault::new(ResultReason::NotExtractable, "the object is not extractable"));
    }
    if record.flag(AttributeType::Sensitive) {
        return Err(Fault::new(ResultReason::Sensitive, "the object is sensitive: it leaves only wrapped"));
    }
    Ok(())
}

/// Brings a key into the format that the client wants.
fn convert(object: &mut ManagedObject, wanted: KeyFormatType) -> Result<(), Fault> {
    let unsupported =
        || Fault::new(ResultReason::KeyFormatTypeNotSupported, "the object cannot be had in this format");
    let format = object.key_block().ok_or_else(unsupported)?.key_format_type;
    if format == wanted {
        return Ok(());
    }
    let symmetric = [KeyFormatType::Raw, KeyFormatType::TransparentSymmetricKey];
    if !symmetric.contains(&format) || !symmetric.contains(&wanted) {
        return Err(unsupported());
    }
    let key = raw_material(object)?;
    let material = match wanted {
        KeyFormatType::Raw => KeyMaterial::Bytes(key),
        _ => KeyMaterial::from_transparent(&TransparentSymmetricKey { key }, V2_1),
    };
    let block = object.key_block_mut().ok_or_else(unsupported)?;
    block.key_format_type = wanted;
    block.key_value = Some(KeyValue::Plain { material, attributes: Default::default() });
    Ok(())
}
