//! Locate: as key-service does it, less what the policy does not let a Gateway read. Operators find every object, though they may
//! not read it: who closes a whole region must not overlook a tenant.

use governance::Action;
use key_service::context::Context;
use key_service::fault::Fault;
use key_service::operations;
use kmip_protocol::operation::{LocateRequest, LocateResponse, Request, Response};

use crate::policy::InForce;
use crate::policy::authorization::{may, resource_of};
use crate::profile::Role;
use crate::seat::Seat;

pub(super) async fn handle(
    seat: &Seat,
    context: &mut Context<'_>,
    request: LocateRequest,
) -> Result<LocateResponse, Fault> {
    let Response::Locate(mut response) = operations::handle(context, Request::Locate(request)).await? else {
        return Err(Fault::general_failure("Locate was answered by another operation"));
    };
    // The built-in policies let everybody read what the profile shows.
    if seat.role == Role::Operator || matches!(*seat.governance.in_force(), InForce::BuiltIn(_)) {
        return Ok(response);
    }
    let mut shown = Vec::with_capacity(response.unique_identifiers.len());
    for unique_identifier in response.unique_identifiers {
        if let Some(record) = context.fetch(&unique_identifier).await?
            && may(seat, context, Action::Read, resource_of(&record))
        {
            shown.push(unique_identifier);
        }
    }
    // How many there are in all would tell of those that are not shown.
    response.located_items = None;
    response.unique_identifiers = shown;
    Ok(response)
}
