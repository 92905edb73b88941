//! Import (6.1.25): stores an object under the identifier and with the attributes that it had elsewhere.

use std::sync::Arc;

use kmip_protocol::attribute::{Attribute, Attributes, Instances};
use kmip_protocol::enumeration::{KeyWrapType, LinkType, ResultReason};
use kmip_protocol::lifecycle;
use kmip_protocol::operation::{ImportRequest, ImportResponse};

use crate::context::Context;
use crate::fault::Fault;
use crate::record::Record;
use crate::{creation, wrapping};

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: ImportRequest,
) -> Result<ImportResponse, Fault> {
    let mut object = request.object;
    if request.object_type.is_some_and(|told| told != object.object_type()) {
        return Err(Fault::new(ResultReason::InvalidObjectType, "Object Type and the object do not agree"));
    }
    creation::judge_identifier(&request.unique_identifier)?;
    judge_attributes(&request.attributes, context.service.settings.maximum_attributes)?;
    let existing = existing(context, &request.unique_identifier, request.replace_existing).await?;
    let wrapping_key = wrapping::known_wrapping_key(context, &object).await?;
    if wrapping::is_wrapped(&object) && request.key_wrap_type == Some(KeyWrapType::NotWrapped) {
        wrapping::unwrap(context, &mut object).await?;
    }
    let identifier = request.unique_identifier;
    let mut record = creation::import(context, identifier.clone(), request.attributes, &object).await?;
    if let Some(wrapping_key) = wrapping_key.filter(|_| wrapping::is_wrapped(&object))
        && record.linked(LinkType::WrappingKeyLink).is_none()
    {
        record.link(LinkType::WrappingKeyLink, &wrapping_key.unique_identifier);
    }
    match existing {
        None => _ = creation::finish(context, record, &object).await?,
        Some(existing) => {
            (record.version, record.sequence) = (existing.version, existing.sequence);
            creation::seal(context, &mut record, &object).await?;
            context.replace_silently(record);
        }
    }
    Ok(ImportResponse { unique_identifier: identifier })
}

/// The object to be replaced. One that was destroyed stays destroyed: nothing of its name comes back.
async fn existing(
    context: &Context<'_>,
    unique_identifier: &str,
    replace: Option<bool>,
) -> Result<Option<Arc<Record>>, Fault> {
    let existing = context.fetch(unique_identifier).await?;
    match &existing {
        Some(existing) if replace != Some(true) || existing.is_destroyed() => {
            Err(Fault::new(ResultReason::ObjectAlreadyExists, "another object has this identifier"))
        }
        _ => Ok(existing),
    }
}

/// All attributes are taken as they come, but they have to be possible.
fn judge_attributes(attributes: &Attributes, maximum: usize) -> Result<(), Fault> {
    if attributes.instances.len() > maximum {
        return Err(Fault::new(ResultReason::ServerLimitExceeded, "the object has too many attributes"));
    }
    for (index, attribute) in attributes.iter().enumerate() {
        let mut earlier = attributes.iter().take(index);
        if attribute.instances() == Instances::Single
            && earlier.any(|earlier| earlier.reference() == attribute.reference())
        {
            let message = "the attribute has one value at most";
            return Err(Fault::new(ResultReason::AttributeSingleValued, message));
        }
        if matches!(attribute, Attribute::State(state) if lifecycle::is_destroyed(*state)) {
            let message = "an object that has a value is not destroyed";
            return Err(Fault::new(ResultReason::InvalidAttributeValue, message));
        }
    }
    Ok(())
}
