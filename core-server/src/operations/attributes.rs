//! Add, Modify, Set and Delete Attribute: as key-service does them, but what makes the chain stays as it was made.

use bytestring::ByteString;
use key_service::chain::VENDOR;
use key_service::context::Context;
use key_service::fault::Fault;
use key_service::operations;
use key_service::record::Record;
use kmip_protocol::attribute::Attribute;
use kmip_protocol::enumeration::ResultReason;
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::operation::{Request, Response};

use crate::chain::is_reserved_name;

/// The object whose attributes a request changes; `None` if it is no such request. An absent identifier is the ID
/// Placeholder.
pub(super) fn changed_object(request: &Request) -> Option<Option<UniqueIdentifier>> {
    match request {
        Request::AddAttribute(request) => Some(request.unique_identifier.clone()),
        Request::ModifyAttribute(request) => Some(request.unique_identifier.clone()),
        Request::SetAttribute(request) => Some(request.unique_identifier.clone()),
        Request::DeleteAttribute(request) => Some(request.unique_identifier.clone()),
        _ => None,
    }
}

pub(super) async fn handle(
    context: &mut Context<'_>,
    identifier: &Option<UniqueIdentifier>,
    request: Request,
) -> Result<Response, Fault> {
    let before = context.object(identifier.as_ref()).await?;
    let response = operations::handle(context, request).await?;
    let after = context.fetch(&ByteString::clone(&before.unique_identifier)).await?;
    // Compared afterwards, so that no way of naming an attribute is overlooked.
    if after.is_none_or(|after| of_the_chain(&before) != of_the_chain(&after)) {
        return Err(Fault::new(
            ResultReason::AttributeReadOnly,
            "the attribute makes the chain and stays as it is",
        ));
    }
    Ok(response)
}

fn of_the_chain(record: &Record) -> Vec<&Attribute> {
    record.attributes.iter().filter(|attribute| makes_the_chain(attribute)).collect()
}

fn makes_the_chain(attribute: &Attribute) -> bool {
    match attribute {
        Attribute::Link(_)
        | Attribute::ObjectGroup(_)
        | Attribute::KeyValueLocation(_)
        | Attribute::ActivationDate(_)
        | Attribute::Sensitive(_)
        | Attribute::Extractable(_) => true,
        Attribute::Custom(custom) => custom.vendor == VENDOR,
        other => is_reserved_name(other),
    }
}
