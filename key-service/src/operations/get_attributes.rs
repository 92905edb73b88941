//! Get Attributes (6.1.20): returns attributes of an object, also of a destroyed one.

use bytestring::ByteString;
use kmip_protocol::attribute::{
    Attribute, AttributeReference, AttributeType, Attributes, CustomValue, Instance,
};
use kmip_protocol::enumeration::State;
use kmip_protocol::operation::{GetAttributesRequest, GetAttributesResponse};

use crate::attribute_rules::SERVER_VENDOR;
use crate::chain::{RECEIPT, VENDOR};
use crate::context::Context;
use crate::creation;
use crate::fault::Fault;
use crate::record::Record;

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: GetAttributesRequest,
) -> Result<GetAttributesResponse, Fault> {
    let record = context.object(request.unique_identifier.as_ref()).await?;
    tell(context, &record, &request.attribute_references).await
}

/// Tells the attributes that are wanted of an object; all that the client decodes where none is named.
///
/// # Errors
/// If what has to be worked out for it cannot be.
pub async fn tell(
    context: &Context<'_>,
    record: &Record,
    wanted: &[AttributeReference],
) -> Result<GetAttributesResponse, Fault> {
    let all = attributes(record);
    // In the order asked for: some clients read the first one and no other.
    let mut instances = Vec::new();
    if wanted.is_empty() {
        instances = decoded(context, all.instances);
    } else {
        let mut left = all.instances;
        for reference in wanted {
            match reference {
                AttributeReference::Custom { vendor, name } if is_receipt(vendor, name) => {
                    instances.extend(receipt(context, record, vendor).await?);
                }
                reference => instances.extend(take(&mut left, reference)),
            }
        }
    }
    creation::tell_digests(context, record, &mut instances).await?;
    Ok(GetAttributesResponse {
        unique_identifier: record.unique_identifier.clone(),
        attributes: Attributes { instances, templates: Vec::new() },
    })
}

/// Whether the receipt is asked for: by the vendor in 2.x, by the prefix of servers' attributes in 1.x.
fn is_receipt(vendor: &str, name: &str) -> bool {
    name == RECEIPT && matches!(vendor, VENDOR | SERVER_VENDOR)
}

/// The receipt of the Destroy or Revoke of an object, if there was one and the log of this server has it.
async fn receipt(context: &Context<'_>, record: &Record, vendor: &str) -> Result<Option<Instance>, Fault> {
    if matches!(record.state(), None | Some(State::PreActive | State::Active)) {
        return Ok(None);
    }
    let receipt = context.service.audit.receipt(&record.tenant, &record.unique_identifier).await?;
    let attribute = receipt.map(|receipt| {
        Attribute::custom(vendor, ByteString::from_static(RECEIPT), CustomValue::Text(receipt))
    });
    Ok(Attributes::new(attribute).instances.pop())
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
