//! Activate: lets a key be used. Of the L3s of a service, one is Active.

use key_service::context::Context;
use key_service::fault::Fault;
use key_service::operations;
use key_service::record::{Record, index_key};
use kmip_protocol::attribute::Attribute;
use kmip_protocol::enumeration::{ResultReason, State};
use kmip_protocol::operation::{ActivateRequest, ActivateResponse, Request, Response};

use crate::chain::{self, Level, active_name, is_reserved_name};

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: ActivateRequest,
) -> Result<ActivateResponse, Fault> {
    let Response::Activate(response) = operations::handle(context, Request::Activate(request)).await? else {
        return Err(Fault::general_failure("Activate was answered by another operation"));
    };
    if let Some(record) = context.fetch(&response.unique_identifier).await?
        && Level::of(&record) == Level::L3
    {
        let mut record = Record::clone(&record);
        take_active_name(context, &mut record).await?;
        context.replace_silently(record);
    }
    Ok(response)
}

/// Gives an L3 that is Active the name that only one L3 of its service can have. Where the holder stopped being Active
/// by its Deactivation Date, the name is taken from it.
///
/// Holders are looked for by the index, which the store keeps names unique by, too. Where a row of it is missing (damaged, or deleted
/// by who can write to the Core's store), two L3s of a service can be Active: each seals what it is asked to, what either has
/// sealed opens, and Revoke, Destroy and shredding find both, since they are told which one or walk. So nothing depends on it that
/// a walk through the whole chain, for each Activate and each L3 that is made, would be worth.
///
/// # Errors
/// If another L3 of the service is Active.
pub(super) async fn take_active_name(context: &mut Context<'_>, record: &mut Record) -> Result<(), Fault> {
    if record.state() != Some(State::Active) {
        return Ok(());
    }
    let tenant = chain::tenant(record).ok_or_else(|| Fault::general_failure("the key has no tenant"))?;
    let name = active_name(tenant, &record.service);
    let holders = context.select(index_key(&name).as_ref(), None, HOLDERS).await?;
    let others = holders.iter().filter(|holder| holder.unique_identifier != record.unique_identifier);
    for holder in others.filter(|holder| has(holder, &name)) {
        if holder.state() == Some(State::Active) {
            return Err(another_is_active());
        }
        let mut former = Record::clone(holder);
        drop_active_name(&mut former);
        context.replace_silently(former);
    }
    record.add(name);
    Ok(())
}

/// Takes the name of the Active L3 from one that is so no longer.
pub(super) fn drop_active_name(record: &mut Record) {
    record.attributes.instances.retain(|instance| !is_reserved_name(&instance.attribute));
}

/// A name has one holder; the index may have strangers of the same digest.
const HOLDERS: usize = 16;

fn has(record: &Record, name: &Attribute) -> bool {
    record.attributes.iter().any(|attribute| attribute == name)
}

fn another_is_active() -> Fault {
    Fault::new(
        ResultReason::WrongKeyLifecycleState,
        "another L3 of this tenant and service is Active: revoke it first",
    )
}
