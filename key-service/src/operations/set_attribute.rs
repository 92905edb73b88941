//! Set Attribute (6.1.49): sets an attribute of a single instance, whether it has a value or not.

use kmip_protocol::attribute::Instances;
use kmip_protocol::enumeration::ResultReason;
use kmip_protocol::operation::{SetAttributeRequest, SetAttributeResponse};

use super::add_attribute::only;
use super::modify_attribute::note_exposure;
use crate::attribute_rules::{self, as_kept};
use crate::context::Context;
use crate::creation::detach;
use crate::fault::Fault;
use crate::record::Record;

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: SetAttributeRequest,
) -> Result<SetAttributeResponse, Fault> {
    let record = context.object(request.unique_identifier.as_ref()).await?;
    let attribute = as_kept(detach(only(&request.new_attribute)?)?);
    let multi_valued =
        || Fault::new(ResultReason::MultiValuedAttribute, "the attribute may have several values");
    let attribute_type = attribute.attribute_type().ok_or_else(multi_valued)?;
    if attribute_type.row().instances == Instances::Multiple {
        return Err(multi_valued());
    }
    let mut instances = record.attributes.iter();
    match instances.position(|present| present.attribute_type() == Some(attribute_type)) {
        Some(position) => attribute_rules::judge_modified(&record, position, &attribute)?,
        None => {
            let maximum = context.service.settings.maximum_attributes;
            attribute_rules::judge_added(&record, &attribute, maximum)?;
        }
    }
    let mut changed = Record::clone(&record);
    changed.set(attribute);
    note_exposure(&mut changed);
    context.replace(changed);
    Ok(SetAttributeResponse { unique_identifier: record.unique_identifier.clone() })
}
