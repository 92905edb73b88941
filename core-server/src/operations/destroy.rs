//! Destroy: of an operator, removes a wrapped key of the chain for good; of a Gateway, buries one of its own objects (an L4).
//!
//! A Gateway names its object by the L3 that sealed it and the object's own identifier, with a slash between: tenant and service
//! are the L3's, so that a Gateway buries objects of its own tenants and services only, and not more than its budget allows.
//! The tombstone is in the audit log as intended before it is set, and durable before it is answered. By then the other Gateways have
//! forgotten the object, those of other Cores as well, or a while has passed.

use bytestring::ByteString;
use governance::Action;
use key_service::context::Context;
use key_service::creation;
use key_service::fault::Fault;
use key_service::operations;
use kmip_protocol::operation::{DestroyRequest, DestroyResponse, Operation, Request, Response};
use tokio::time::timeout;

use super::obtain_lease::life;
use super::shredding::refuse_unfinished;
use crate::chain;
use crate::leases::FORGET_WITHIN;
use crate::policy::authorization::{authorize, resource_of};
use crate::profile::Role;
use crate::seat::Seat;
use crate::tombstones::Plot;

pub(super) async fn handle(
    seat: &Seat,
    context: &mut Context<'_>,
    request: DestroyRequest,
) -> Result<DestroyResponse, Fault> {
    if seat.role == Role::Gateway {
        return bury(seat, context, request).await;
    }
    let key = context.object(request.unique_identifier.as_ref()).await?;
    refuse_unfinished(seat, &key).await?;
    match operations::handle(context, Request::Destroy(request)).await? {
        Response::Destroy(response) => Ok(response),
        _ => Err(Fault::general_failure("Destroy was answered by another operation")),
    }
}

async fn bury(
    seat: &Seat,
    context: &mut Context<'_>,
    request: DestroyRequest,
) -> Result<DestroyResponse, Fault> {
    let name = context.resolve(request.unique_identifier.as_ref())?;
    let Some((key, object)) = name.split_once('/').filter(|(_, object)| !object.is_empty()) else {
        return Err(Fault::permission_denied("a Gateway destroys objects of its own, named L3/OBJECT"));
    };
    let key = context.object(Some(&ByteString::from(key).into())).await?;
    authorize(seat, context, Action::Bury, resource_of(&key))?;
    let tenant = chain::tenant(&key).ok_or_else(Fault::object_not_found)?;
    creation::judge_identifier(object)?;
    let metered = seat.meter.bury(&context.principal.name, tenant);
    metered.inspect_err(|_| seat.metrics.over_burial_budget(&context.principal.name))?;
    let (plot, life) = (Plot::of(tenant, &key), life(context)?);
    if !seat.tombstones.is_buried(&plot, object).await? {
        context.intend(Operation::Destroy, &name).await?;
        if seat.tombstones.bury(&plot, object).await? {
            tracing::info!(%tenant, object, gateway = %context.principal.name, "buried");
            seat.metrics.buried.inc();
        }
    }
    // Also if it was buried before: whoever asks again may have had no answer, and nobody may have been told.
    let objects = [ByteString::from(object)];
    // The other Cores tell their Gateways. What they have not done in time, they do all the same.
    let elsewhere = timeout(FORGET_WITHIN, seat.membership.settle());
    let ((), _) = tokio::join!(seat.leases.forget(&plot, &objects, Some(&life)), elsewhere);
    Ok(DestroyResponse { unique_identifier: name })
}
