//! Get Attributes (6.1.20): returns attributes of an object, also of a destroyed one.

use kmip_protocol::attribute::{Attribute, AttributeReference, AttributeType, Attributes, Instance};
use kmip_protocol::operation::{GetAttributesRequest, GetAttributesResponse};

use crate::context::Context;
use crate::fault::Fault;
use crate::record::Record;

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: GetAttributesRequest,
) -> Result<GetAttributesResponse, Fault> {
    let record = context.object(request.unique_identifier.as_ref()).await?;
    let all = attributes(&record);
    let wanted = &request.attribute_references;
    // In the order asked for: some clients read the first one and no other.
    let instances: Vec<Instance> = if wanted.is_empty() {
        decoded(context, all.instances)
    } else {
        let mut left = all.instances;
        wanted.iter().flat_map(|reference| take(&mut left, reference)).collect()
    };
    Ok(GetAttributesResponse {
        unique_identifier: record.unique_identifier.clone(),
        attributes: Attributes { instances, templates: Vec::new() },
    })
}

/// What the client decodes of all attributes: it did not choose, so one that it cannot decode is not its fault.
fn decoded(context: &Context<'_>, mut all: Vec<Instance>) -> Vec<Instance> {
    if context.service.settings.is_legacy_attribute_client(context.principal) {
        all.retain(|instance| instance.attribute.is_decoded_by_legacy_clients(context.version));
    }
    all
}

fn take(left: &mut Vec<Instance>, reference: &AttributeReference) -> Vec<Instance> {
    left.extract_if(.., |instance| instance.attribute.reference() == *reference).collect()
}

/// All attributes of an object: those of the record, and those that the record spells as fields.
pub(super) fn attributes(record: &Record) -> Attributes {
    let fields = [
        Attribute::UniqueIdentifier(record.unique_identifier.clone()),
        Attribute::ObjectType(record.object_type),
    ];
    let mut attributes = Attributes::new(fields);
    let kept = record.attributes.instances.iter();
    let is_field = |attribute: &Attribute| attribute.attribute_type() == Some(AttributeType::ObjectType);
    attributes.instances.extend(kept.filter(|instance| !is_field(&instance.attribute)).cloned());
    attributes
}
