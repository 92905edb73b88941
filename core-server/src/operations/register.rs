//! Register: a policy bundle; or an L1, a key whose value is elsewhere. Its Key Value Location says where, the attribute Tenant whose it is.

use bytestring::ByteString;
use governance::{Action, Resource};
use key_service::chain;
use key_service::context::Context;
use key_service::creation::{self, Origin};
use key_service::fault::Fault;
use kmip_protocol::attribute::{Attribute, Attributes};
use kmip_protocol::enumeration::{KeyValueLocationType, ResultReason};
use kmip_protocol::object::ManagedObject;
use kmip_protocol::operation::{RegisterRequest, RegisterResponse};

use super::create::{decide, refuse_templates};
use crate::chain::judge_name;
use crate::policy::authorization::authorize;
use crate::policy::delivery;
use crate::seat::Seat;
use crate::vault::VaultError;

pub(super) async fn handle(
    seat: &Seat,
    context: &mut Context<'_>,
    request: RegisterRequest,
) -> Result<RegisterResponse, Fault> {
    let RegisterRequest { object, mut attributes, .. } = request;
    if let ManagedObject::OpaqueObject(bundle) = &object {
        return delivery::register(&seat.governance, context, bundle).await;
    }
    judge_object(&object)?;
    refuse_templates(&attributes)?;
    let tenant = chain::tenant_of(attributes.iter())
        .ok_or_else(|| Fault::missing("an L1 needs the attribute Tenant of the vendor krypton"))?;
    judge_name(tenant)?;
    authorize(seat, context, Action::Manage, Resource::Tenant(tenant))?;
    let location = location(&attributes)?.clone();
    if attributes.iter().any(|attribute| matches!(attribute, Attribute::ObjectGroup(_) | Attribute::Link(_)))
    {
        return Err(Fault::invalid_field("an L1 has neither an Object Group nor links"));
    }
    decide(&mut attributes, &[])?;
    let mut record = creation::draft(context, Origin::Registered, attributes, &object).await?;
    record.service = ByteString::new();
    let root = seat.vault.roots().establish(&location).map_err(VaultError::from)?;
    root.probe().await.map_err(VaultError::from)?;
    let unique_identifier = record.unique_identifier.clone();
    context.insert(record);
    Ok(RegisterResponse { unique_identifier })
}

fn judge_object(object: &ManagedObject) -> Result<(), Fault> {
    match object {
        ManagedObject::SymmetricKey(key) if key.key_block.key_value.is_none() => Ok(()),
        ManagedObject::SymmetricKey(_) => {
            Err(Fault::permission_denied("the Core takes no key material: an L1 stays where it is"))
        }
        _ => Err(Fault::new(ResultReason::InvalidObjectType, "an L1 is registered as a Symmetric Key")),
    }
}

/// The one Key Value Location, a URI.
fn location(attributes: &Attributes) -> Result<&ByteString, Fault> {
    let mut locations = attributes.iter().filter_map(|attribute| match attribute {
        Attribute::KeyValueLocation(location) => Some(location),
        _ => None,
    });
    match (locations.next(), locations.next()) {
        (Some(only), None) if only.location_type == KeyValueLocationType::Uri => Ok(&only.value),
        (Some(_), None) => Err(Fault::invalid_field("the Key Value Location of an L1 is a URI")),
        (None, _) => Err(Fault::missing("an L1 needs a Key Value Location")),
        (Some(_), Some(_)) => Err(Fault::invalid_field("an L1 has one Key Value Location")),
    }
}
