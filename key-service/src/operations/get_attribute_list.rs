//! Get Attribute List (6.1.21): names the attributes that an object has.

use kmip_protocol::attribute::AttributeReference;
use kmip_protocol::operation::{GetAttributeListRequest, GetAttributeListResponse};

use super::get_attributes::attributes;
use crate::context::Context;
use crate::fault::Fault;

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: GetAttributeListRequest,
) -> Result<GetAttributeListResponse, Fault> {
    let record = context.object(request.unique_identifier.as_ref()).await?;
    let mut attribute_references: Vec<AttributeReference> = Vec::new();
    for attribute in attributes(&record).iter() {
        let reference = attribute.reference();
        if attribute.is_known(context.version) && !attribute_references.contains(&reference) {
            attribute_references.push(reference);
        }
    }
    Ok(GetAttributeListResponse { unique_identifier: record.unique_identifier.clone(), attribute_references })
}
