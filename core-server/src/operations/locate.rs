//! Locate: as key-service does it, less what the policy does not let a Gateway read. Operators find every object, though they may
//! not read it: who closes a whole region must not overlook a tenant.

use governance::Action;
use key_service::context::Context;
use key_service::fault::Fault;
use key_service::operations;
use kmip_protocol::enumeration::ResultReason;
use kmip_protocol::operation::{LocateRequest, LocateResponse, Request, Response};

use crate::policy::InForce;
use crate::policy::authorization::{may, resource_of};
use crate::profile::Role;
use crate::seat::Seat;

/// Objects that are looked at for one Locate of a Gateway at most, in pages of `requests.maximum_located_items`.
const MAXIMUM_PAGES: usize = 32;

pub(super) async fn handle(
    seat: &Seat,
    context: &mut Context<'_>,
    request: LocateRequest,
) -> Result<LocateResponse, Fault> {
    // The built-in policies let everybody read what the profile shows.
    if seat.role == Role::Operator || matches!(*seat.governance.in_force(), InForce::BuiltIn(_)) {
        return locate(context, request).await;
    }
    let count = |number: Option<i32>| number.map(usize::try_from).transpose();
    let (Ok(maximum), Ok(offset)) = (count(request.maximum_items), count(request.offset_items)) else {
        return Err(Fault::invalid_field("Maximum Items or Offset Items is negative"));
    };
    let page_items = context.service.settings.maximum_located_items;
    let maximum = maximum.unwrap_or(page_items).min(page_items);
    // A page that is not full means the end to the caller: so pages of what is shown are filled up, and its offset counts in them.
    let wanted = offset.unwrap_or_default().saturating_add(maximum);
    let mut shown = Vec::new();
    for page in 0..MAXIMUM_PAGES {
        let request = LocateRequest {
            maximum_items: i32::try_from(page_items).ok(),
            offset_items: i32::try_from(page * page_items).ok(),
            storage_status_mask: request.storage_status_mask,
            object_group_member: request.object_group_member,
            attributes: request.attributes.clone(),
        };
        let found = locate(context, request).await?.unique_identifiers;
        let is_last = found.len() < page_items;
        for unique_identifier in found {
            if let Some(record) = context.fetch(&unique_identifier).await?
                && may(seat, context, Action::Read, resource_of(&record))
            {
                shown.push(unique_identifier);
            }
        }
        if is_last || shown.len() >= wanted {
            let unique_identifiers = shown.into_iter().skip(wanted - maximum).take(maximum).collect();
            // How many there are in all would tell of those that are not shown.
            return Ok(LocateResponse { located_items: None, unique_identifiers });
        }
    }
    let message = "so much is not shown by the policy that the search was given up: narrow it";
    Err(Fault::new(ResultReason::ServerLimitExceeded, message))
}

async fn locate(context: &mut Context<'_>, request: LocateRequest) -> Result<LocateResponse, Fault> {
    match operations::handle(context, Request::Locate(request)).await? {
        Response::Locate(response) => Ok(response),
        _ => Err(Fault::general_failure("Locate was answered by another operation")),
    }
}
