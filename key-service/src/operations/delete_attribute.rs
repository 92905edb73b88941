//! Delete Attribute (6.1.13): removes an attribute, or one instance of it.

use kmip_protocol::attribute::{Attribute, AttributeReference, Attributes};
use kmip_protocol::operation::{DeleteAttributeRequest, DeleteAttributeResponse};

use super::modify_attribute::not_found;
use crate::attribute_rules;
use crate::context::Context;
use crate::fault::Fault;
use crate::record::Record;

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: DeleteAttributeRequest,
) -> Result<DeleteAttributeResponse, Fault> {
    let record = context.object(request.unique_identifier.as_ref()).await?;
    let current = request.current_attribute.instances.first().map(|instance| &instance.attribute);
    let reference = match (current, &request.attribute_references[..]) {
        (Some(current), []) => current.reference(),
        (None, [reference]) => reference.clone(),
        (None, []) => return Err(Fault::missing("an attribute is needed")),
        _ => return Err(Fault::invalid_field("one attribute at a time")),
    };
    attribute_rules::judge_deleted(&record, &reference)?;
    // 1.x deletes one instance, the first where it names none; 2.x by reference deletes them all.
    let index = match request.attribute_index {
        None if !context.version.tags_attributes() => Some(0),
        index => index,
    };
    let mut changed = Record::clone(&record);
    let removed = remove(&mut changed, &reference, current, index);
    if removed.is_empty() {
        return Err(not_found());
    }
    context.replace(changed);
    Ok(DeleteAttributeResponse { unique_identifier: record.unique_identifier.clone(), attribute: removed })
}

fn remove(
    record: &mut Record,
    reference: &AttributeReference,
    current: Option<&Attribute>,
    index: Option<i32>,
) -> Attributes {
    let instances = record.attributes.instances.extract_if(.., |instance| {
        instance.attribute.reference() == *reference
            && current.is_none_or(|current| instance.attribute == *current)
            && index.is_none_or(|index| instance.index == Some(index))
    });
    Attributes { instances: instances.collect(), templates: Vec::new() }
}
