//! Export (6.1.18): returns an object together with its attributes.

use kmip_protocol::attribute::{Attribute, AttributeType};
use kmip_protocol::enumeration::{KeyFormatType, ObjectType};
use kmip_protocol::key_block::KeyBlock;
use kmip_protocol::object::{self, ManagedObject};
use kmip_protocol::operation::{ExportRequest, ExportResponse};

use super::get::{Form, obtain};
use super::get_attributes::attributes;
use crate::context::Context;
use crate::creation;
use crate::fault::Fault;
use crate::parameters;
use crate::record::Record;

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: ExportRequest,
) -> Result<ExportResponse, Fault> {
    let record = context.object(request.unique_identifier.as_ref()).await?;
    let form = Form {
        key_format_type: request.key_format_type,
        key_wrap_type: request.key_wrap_type,
        key_compression_type: request.key_compression_type,
        key_wrapping_specification: request.key_wrapping_specification,
    };
    let object = if record.is_destroyed() {
        remains(&record)?
    } else {
        record.refuse_archived()?;
        obtain(context, &record, form).await?
    };
    let mut attributes = attributes(&record);
    creation::tell_digests(context, &record, &mut attributes.instances).await?;
    Ok(ExportResponse {
        object_type: record.object_type,
        unique_identifier: record.unique_identifier.clone(),
        attributes,
        object,
    })
}

/// A destroyed key without its value. Of other objects nothing is left that could be returned.
fn remains(record: &Record) -> Result<ManagedObject, Fault> {
    let format = match record.attribute(AttributeType::KeyFormatType) {
        Some(Attribute::KeyFormatType(format)) => *format,
        _ => KeyFormatType::Raw,
    };
    let key_block = KeyBlock {
        key_format_type: format,
        key_compression_type: None,
        key_value: None,
        cryptographic_algorithm: parameters::algorithm(record),
        cryptographic_length: parameters::length(record),
        key_wrapping_data: None,
    };
    match record.object_type {
        ObjectType::SymmetricKey => Ok(ManagedObject::SymmetricKey(object::SymmetricKey { key_block })),
        ObjectType::PrivateKey => Ok(ManagedObject::PrivateKey(object::PrivateKey { key_block })),
        ObjectType::PublicKey => Ok(ManagedObject::PublicKey(object::PublicKey { key_block })),
        _ => Err(Fault::object_destroyed()),
    }
}
