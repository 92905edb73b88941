//! Add, Modify, Set and Delete Attribute: as key-service does them, but what makes the chain stays as it was made. The one
//! exceptions are the anchors of an L2, see [`anchors`], and the mark for shredding, see [`shredding`]. What ends the use of a key is
//! a Revoke by another name, and the policy is asked about it as such.

use bytestring::ByteString;
use governance::Action;
use key_service::chain::{SHRED, VENDOR};
use key_service::context::Context;
use key_service::fault::Fault;
use key_service::operations;
use key_service::record::Record;
use kmip_protocol::attribute::Attribute;
use kmip_protocol::enumeration::ResultReason;
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::operation::{Request, Response};

use super::{anchors, shredding};
use crate::chain::{self, Level, is_reserved_name, wrapping_key_of_link};
use crate::gateway_stores::store_named;
use crate::policy::authorization::{authorize, resource_of};
use crate::seat::Seat;

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
    seat: &Seat,
    context: &mut Context<'_>,
    identifier: &Option<UniqueIdentifier>,
    request: Request,
) -> Result<Response, Fault> {
    let before = context.object(identifier.as_ref()).await?;
    let response = operations::handle(context, request).await?;
    let after = context.fetch(&ByteString::clone(&before.unique_identifier)).await?;
    // Compared afterwards, so that no way of naming an attribute is overlooked.
    if let Some(after) = &after
        && chain::tenant(&before).is_some()
        && bounds(&before) != bounds(after)
    {
        authorize(seat, context, Action::Revoke, resource_of(&before))?;
    }
    match after {
        Some(after) if of_the_chain(&before) == of_the_chain(&after) => {
            if shredding::judge_mark(&before, &after)? {
                context.replace(shredding::without_reports(&after));
            }
            Ok(response)
        }
        Some(after) if Level::of(&before) == Level::L2 => {
            if without_anchors(&before) != without_anchors(&after) {
                return Err(read_only());
            }
            anchors::change(seat, context, &before, &after).await?;
            Ok(response)
        }
        _ => Err(read_only()),
    }
}

fn read_only() -> Fault {
    Fault::new(ResultReason::AttributeReadOnly, "the attribute makes the chain and stays as it is")
}

fn without_anchors(record: &Record) -> Vec<&Attribute> {
    of_the_chain(record).into_iter().filter(|attribute| wrapping_key_of_link(attribute).is_none()).collect()
}

fn of_the_chain(record: &Record) -> Vec<&Attribute> {
    record.attributes.iter().filter(|attribute| makes_the_chain(attribute)).collect()
}

/// The dates that say until when and from when a key is used. The other attributes that end a use, no client changes.
fn bounds(record: &Record) -> Vec<&Attribute> {
    let is_bound = |attribute: &&Attribute| {
        matches!(
            attribute,
            Attribute::DeactivationDate(_) | Attribute::ProtectStopDate(_) | Attribute::ProcessStartDate(_)
        )
    };
    record.attributes.iter().filter(is_bound).collect()
}

fn makes_the_chain(attribute: &Attribute) -> bool {
    match attribute {
        Attribute::Link(_)
        | Attribute::ObjectGroup(_)
        | Attribute::KeyValueLocation(_)
        | Attribute::ActivationDate(_)
        | Attribute::Sensitive(_)
        | Attribute::Extractable(_) => true,
        // An operator says that a store is gone.
        named if store_named(named).is_some() => false,
        Attribute::Custom(custom) => custom.vendor == VENDOR && custom.name != SHRED,
        other => is_reserved_name(other),
    }
}
