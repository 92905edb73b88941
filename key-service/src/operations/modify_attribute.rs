//! Modify Attribute (6.1.30): changes an instance of an attribute.

use kmip_protocol::attribute::{Attribute, AttributeType, Instance};
use kmip_protocol::enumeration::ResultReason;
use kmip_protocol::operation::{ModifyAttributeRequest, ModifyAttributeResponse};

use super::add_attribute::{answered, only};
use crate::attribute_rules::{self, as_kept};
use crate::context::Context;
use crate::creation::detach;
use crate::fault::Fault;
use crate::record::Record;

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: ModifyAttributeRequest,
) -> Result<ModifyAttributeResponse, Fault> {
    let record = context.object(request.unique_identifier.as_ref()).await?;
    let attribute = as_kept(detach(only(&request.new_attribute)?)?);
    if let Some(attribute_type) = attribute.attribute_type() {
        attribute_rules::judge_changeable(attribute_type)?;
    }
    let index = request.new_attribute.instances.first().and_then(|instance| instance.index);
    let current = request.current_attribute.instances.first().map(|instance| &instance.attribute);
    let mut changed = Record::clone(&record);
    let names_first = !context.version.tags_attributes() && is_first_name(&record, &attribute);
    let answer = if current.is_none() && index.is_none() && names_first {
        attribute_rules::judge_added(&record, &attribute, context.service.settings.maximum_attributes)?;
        let index = changed.add(attribute.clone());
        Instance { index: Some(index), attribute }
    } else {
        let position = position(&record, &attribute, current, index)?;
        attribute_rules::judge_modified(&record, position, &attribute)?;
        let instance = &mut changed.attributes.instances[position];
        instance.attribute = attribute;
        instance.clone()
    };
    note_exposure(&mut changed);
    context.replace(changed);
    Ok(ModifyAttributeResponse {
        unique_identifier: record.unique_identifier.clone(),
        attribute: answered(answer),
    })
}

/// Whether a name is given to an object that has none. The specification has that fail, but Synology DSM, which speaks 1.x, names
/// what it has registered in no other way, and makes no keys where it is refused.
fn is_first_name(record: &Record, attribute: &Attribute) -> bool {
    matches!(attribute, Attribute::Name(_)) && record.attribute(AttributeType::Name).is_none()
}

/// The instance that is meant: of the current value (2.x), of the index (1.x), or the only one.
fn position(
    record: &Record,
    attribute: &Attribute,
    current: Option<&Attribute>,
    index: Option<i32>,
) -> Result<usize, Fault> {
    let reference = attribute.reference();
    let mut same = record.attributes.instances.iter().enumerate();
    let found = same.find(|(_, instance)| {
        instance.attribute.reference() == reference
            && current.is_none_or(|current| instance.attribute == *current)
            && index.is_none_or(|index| instance.index == Some(index))
    });
    found.map(|(position, _)| position).ok_or_else(not_found)
}

pub(super) fn not_found() -> Fault {
    Fault::new(ResultReason::AttributeNotFound, "the object has no such attribute")
}

/// An object that was exposed once stays marked as such (4.3, 4.33).
pub(super) fn note_exposure(record: &mut Record) {
    if !record.flag(AttributeType::Sensitive) {
        record.set(Attribute::AlwaysSensitive(false));
    }
    if record.flag(AttributeType::Extractable) {
        record.set(Attribute::NeverExtractable(false));
    }
}
