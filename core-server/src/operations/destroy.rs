//! Destroy: of an operator, removes a wrapped key of the chain for good; of a Gateway, buries one of its own objects (an L4).
//!
//! A Gateway names its object by the L3 that sealed it and the object's own identifier, with a slash between: tenant and service
//! are the L3's, so that a Gateway buries objects of its own tenants and services only, and not more than its budget allows.
//! The tombstone is durable before it is answered.

use bytestring::ByteString;
use governance::Action;
use key_service::context::Context;
use key_service::creation;
use key_service::fault::Fault;
use key_service::operations;
use kmip_protocol::operation::{DestroyRequest, DestroyResponse, Request, Response};

use super::obtain_lease::life;
use super::shredding::refuse_unfinished;
use crate::chain;
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
    refuse_unfinished(seat, &key)?;
    match operations::handle(context, Request::Destroy(request)).await? {
        Response::Destroy(response) => Ok(response),
        _ => Err(Fault::general_failure("Destroy was answered by another operation")),
    }
}

async fn bury(seat: &Seat, context: &Context<'_>, request: DestroyRequest) -> Result<DestroyResponse, Fault> {
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
    if seat.tombstones.bury(&Plot::of(tenant, &key), object).await? {
        tracing::info!(%tenant, object, gateway = %context.principal.name, "buried");
        seat.metrics.buried.inc();
        let keys = crate::store::service_keys(&*seat.chain, tenant).await?;
        let of_service = keys.iter().filter(|other| other.service == key.service);
        let keys: Vec<_> = of_service.map(|key| key.unique_identifier.clone()).collect();
        seat.leases.forget(&keys, object, &life(context)?).await;
    }
    Ok(DestroyResponse { unique_identifier: name })
}
