//! The operations: one file each, one line each in the match below.

mod activate;
mod add_attribute;
mod check;
mod create;
mod decrypt;
mod delete_attribute;
mod destroy;
mod discover_versions;
mod encrypt;
mod get;
mod get_attribute_list;
mod get_attributes;
mod interop;
mod locate;
mod log;
mod modify_attribute;
mod obtain_lease;
mod ping;
mod query;
mod register;
mod revoke;
mod set_attribute;

use kmip_protocol::operation::{Operation, Request, Response};

use crate::context::Context;
use crate::fault::Fault;

/// The operations that [`handle`] does.
pub const HANDLED: &[Operation] = &[
    Operation::Activate,
    Operation::AddAttribute,
    Operation::Check,
    Operation::Create,
    Operation::Decrypt,
    Operation::DeleteAttribute,
    Operation::Destroy,
    Operation::DiscoverVersions,
    Operation::Encrypt,
    Operation::Get,
    Operation::GetAttributeList,
    Operation::GetAttributes,
    Operation::Interop,
    Operation::Locate,
    Operation::Log,
    Operation::ModifyAttribute,
    Operation::ObtainLease,
    Operation::Ping,
    Operation::Query,
    Operation::Register,
    Operation::Revoke,
    Operation::SetAttribute,
];

/// Does an operation.
///
/// # Errors
/// What the client is told.
pub async fn handle(context: &mut Context<'_>, request: Request) -> Result<Response, Fault> {
    Ok(match request {
        Request::Activate(request) => activate::handle(context, request).await?.into(),
        Request::AddAttribute(request) => add_attribute::handle(context, request).await?.into(),
        Request::Check(request) => check::handle(context, request).await?.into(),
        Request::Create(request) => create::handle(context, request).await?.into(),
        Request::Decrypt(request) => decrypt::handle(context, request).await?.into(),
        Request::DeleteAttribute(request) => delete_attribute::handle(context, request).await?.into(),
        Request::Destroy(request) => destroy::handle(context, request).await?.into(),
        Request::DiscoverVersions(request) => discover_versions::handle(&request)?.into(),
        Request::Encrypt(request) => encrypt::handle(context, request).await?.into(),
        Request::Get(request) => get::handle(context, request).await?.into(),
        Request::GetAttributeList(request) => get_attribute_list::handle(context, request).await?.into(),
        Request::GetAttributes(request) => get_attributes::handle(context, request).await?.into(),
        Request::Interop(request) => interop::handle(&request)?.into(),
        Request::Locate(request) => locate::handle(context, request).await?.into(),
        Request::Log(request) => log::handle(context, &request)?.into(),
        Request::ModifyAttribute(request) => modify_attribute::handle(context, request).await?.into(),
        Request::ObtainLease(request) => obtain_lease::handle(context, request).await?.into(),
        Request::Ping(_) => ping::handle()?.into(),
        Request::Query(request) => query::handle(context, &request)?.into(),
        Request::Register(request) => register::handle(context, request).await?.into(),
        Request::Revoke(request) => revoke::handle(context, request).await?.into(),
        Request::SetAttribute(request) => set_attribute::handle(context, request).await?.into(),
        _ => return Err(Fault::operation_not_supported()),
    })
}
