//! Add Attribute (6.1.2): adds an instance of an attribute.

use kmip_protocol::attribute::{Attribute, Attributes, Instance};
use kmip_protocol::operation::{AddAttributeRequest, AddAttributeResponse};

use crate::attribute_rules::{self, as_kept};
use crate::context::Context;
use crate::creation::detach;
use crate::fault::Fault;
use crate::record::Record;

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: AddAttributeRequest,
) -> Result<AddAttributeResponse, Fault> {
    let record = context.object(request.unique_identifier.as_ref()).await?;
    let attribute = as_kept(detach(only(&request.new_attribute)?)?);
    attribute_rules::judge_added(&record, &attribute, context.service.settings.maximum_attributes)?;
    let mut changed = Record::clone(&record);
    let index = changed.add(attribute.clone());
    context.replace(changed);
    Ok(AddAttributeResponse {
        unique_identifier: record.unique_identifier.clone(),
        attribute: answered(Instance { index: Some(index), attribute }),
    })
}

/// The one attribute of a request that has to have one.
pub(super) fn only(attributes: &Attributes) -> Result<&Attribute, Fault> {
    match &attributes.instances[..] {
        [instance] => Ok(&instance.attribute),
        [] => Err(Fault::missing("an attribute is needed")),
        _ => Err(Fault::invalid_field("one attribute at a time")),
    }
}

/// The attribute as 1.x wants it back.
pub(super) fn answered(instance: Instance) -> Attributes {
    Attributes { instances: vec![instance], templates: Vec::new() }
}
