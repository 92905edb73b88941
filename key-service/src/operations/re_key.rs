//! Re-key (6.1.46): replaces a symmetric key by a new one, which takes over its names.

use kmip_protocol::attribute::{Attribute, Attributes, Instance};
use kmip_protocol::enumeration::{ObjectType, ResultReason};
use kmip_protocol::operation::{ReKeyRequest, ReKeyResponse};

use super::create::generate;
use crate::context::Context;
use crate::fault::Fault;
use crate::record::Record;
use crate::{creation, parameters, replacement};

pub(super) async fn handle(context: &mut Context<'_>, request: ReKeyRequest) -> Result<ReKeyResponse, Fault> {
    let existing = context.live_object(request.unique_identifier.as_ref()).await?;
    if existing.object_type != ObjectType::SymmetricKey {
        return Err(Fault::new(ResultReason::InvalidObjectType, "Re-key replaces symmetric keys only"));
    }
    if existing.sealed.is_none() {
        return Err(Fault::new(ResultReason::KeyValueNotPresent, "the value of the key is not held here"));
    }
    let requested = creation::with_templates(context, request.attributes).await?;
    let mut attributes = replacement::attributes(context, &existing, requested, request.offset);
    take_over_kind(&existing, &mut attributes);
    let key = generate(context, &attributes)?;
    let record = replacement::draft(context, &existing, attributes, &key).await?;
    replacement::retire(context, &existing, &record)?;
    Ok(ReKeyResponse { unique_identifier: creation::finish(context, record, &key).await? })
}

/// Algorithm and length are those of the existing key unless the client asks for others.
pub(super) fn take_over_kind(existing: &Record, attributes: &mut Attributes) {
    let kind = [
        parameters::algorithm(existing).map(Attribute::CryptographicAlgorithm),
        parameters::length(existing).map(Attribute::CryptographicLength),
    ];
    for attribute in kind.into_iter().flatten() {
        if !attributes.iter().any(|requested| requested.reference() == attribute.reference()) {
            attributes.instances.push(Instance { index: None, attribute });
        }
    }
}
