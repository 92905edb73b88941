//! The operations: one file each, one line each in the match below.

mod activate;
mod add_attribute;
mod adjust_attribute;
mod archive;
mod cancel;
mod check;
mod create;
mod create_key_pair;
mod create_split_key;
mod decrypt;
mod delete_attribute;
mod derive_key;
mod destroy;
mod discover_versions;
mod encrypt;
mod export;
mod get;
mod get_attribute_list;
mod get_attributes;
mod get_usage_allocation;
mod hash;
mod import;
mod interop;
mod join_split_key;
mod locate;
mod log;
mod mac;
mod mac_verify;
mod modify_attribute;
mod obtain_lease;
mod parts;
mod ping;
mod pkcs11;
mod poll;
mod process;
mod query;
mod query_asynchronous_requests;
mod re_key;
mod re_key_key_pair;
mod recover;
mod register;
mod revoke;
mod rng_retrieve;
mod rng_seed;
mod set_attribute;
mod set_endpoint_role;
mod sign;
mod signature;
mod signature_verify;

use kmip_protocol::operation::{Operation, Request, Response};

use crate::context::Context;
use crate::fault::Fault;

/// The operations that [`handle`] does.
pub const HANDLED: &[Operation] = &[
    Operation::Activate,
    Operation::AddAttribute,
    Operation::AdjustAttribute,
    Operation::Archive,
    Operation::Cancel,
    Operation::Check,
    Operation::Create,
    Operation::CreateKeyPair,
    Operation::CreateSplitKey,
    Operation::Decrypt,
    Operation::DeleteAttribute,
    Operation::DeriveKey,
    Operation::Destroy,
    Operation::DiscoverVersions,
    Operation::Encrypt,
    Operation::Export,
    Operation::Get,
    Operation::GetAttributeList,
    Operation::GetAttributes,
    Operation::GetUsageAllocation,
    Operation::Hash,
    Operation::Import,
    Operation::Interop,
    Operation::JoinSplitKey,
    Operation::Locate,
    Operation::Log,
    Operation::Mac,
    Operation::MacVerify,
    Operation::ModifyAttribute,
    Operation::ObtainLease,
    Operation::Ping,
    Operation::Pkcs11,
    Operation::Poll,
    Operation::Process,
    Operation::Query,
    Operation::QueryAsynchronousRequests,
    Operation::ReKey,
    Operation::ReKeyKeyPair,
    Operation::Recover,
    Operation::Register,
    Operation::Revoke,
    Operation::RngRetrieve,
    Operation::RngSeed,
    Operation::SetAttribute,
    Operation::SetEndpointRole,
    Operation::Sign,
    Operation::SignatureVerify,
];

/// Does an operation.
///
/// # Errors
/// What the client is told.
pub async fn handle(context: &mut Context<'_>, request: Request) -> Result<Response, Fault> {
    Ok(match request {
        Request::Activate(request) => activate::handle(context, request).await?.into(),
        Request::AddAttribute(request) => add_attribute::handle(context, request).await?.into(),
        Request::AdjustAttribute(request) => adjust_attribute::handle(context, request).await?.into(),
        Request::Archive(request) => archive::handle(context, request).await?.into(),
        Request::Cancel(_) => cancel::handle()?.into(),
        Request::Check(request) => check::handle(context, request).await?.into(),
        Request::Create(request) => create::handle(context, request).await?.into(),
        Request::CreateKeyPair(request) => create_key_pair::handle(context, request).await?.into(),
        Request::CreateSplitKey(request) => create_split_key::handle(context, request).await?.into(),
        Request::Decrypt(request) => decrypt::handle(context, request).await?.into(),
        Request::DeleteAttribute(request) => delete_attribute::handle(context, request).await?.into(),
        Request::DeriveKey(request) => derive_key::handle(context, request).await?.into(),
        Request::Destroy(request) => destroy::handle(context, request).await?.into(),
        Request::DiscoverVersions(request) => discover_versions::handle(&request)?.into(),
        Request::Encrypt(request) => encrypt::handle(context, request).await?.into(),
        Request::Export(request) => export::handle(context, request).await?.into(),
        Request::Get(request) => get::handle(context, request).await?.into(),
        Request::GetAttributeList(request) => get_attribute_list::handle(context, request).await?.into(),
        Request::GetAttributes(request) => get_attributes::handle(context, request).await?.into(),
        Request::GetUsageAllocation(request) => get_usage_allocation::handle(context, request).await?.into(),
        Request::Hash(request) => hash::handle(context, request)?.into(),
        Request::Import(request) => import::handle(context, request).await?.into(),
        Request::Interop(request) => interop::handle(&request)?.into(),
        Request::JoinSplitKey(request) => join_split_key::handle(context, request).await?.into(),
        Request::Locate(request) => locate::handle(context, request).await?.into(),
        Request::Log(request) => log::handle(context, &request)?.into(),
        Request::Mac(request) => mac::handle(context, request).await?.into(),
        Request::MacVerify(request) => mac_verify::handle(context, request).await?.into(),
        Request::ModifyAttribute(request) => modify_attribute::handle(context, request).await?.into(),
        Request::ObtainLease(request) => obtain_lease::handle(context, request).await?.into(),
        Request::Ping(_) => ping::handle()?.into(),
        Request::Pkcs11(request) => pkcs11::handle(context, &request)?.into(),
        Request::Poll(_) => poll::handle()?.into(),
        Request::Process(_) => process::handle()?.into(),
        Request::Query(request) => query::handle(context, &request)?.into(),
        Request::QueryAsynchronousRequests(_) => query_asynchronous_requests::handle()?.into(),
        Request::ReKey(request) => re_key::handle(context, request).await?.into(),
        Request::ReKeyKeyPair(request) => re_key_key_pair::handle(context, request).await?.into(),
        Request::Recover(request) => recover::handle(context, request).await?.into(),
        Request::Register(request) => register::handle(context, request).await?.into(),
        Request::Revoke(request) => revoke::handle(context, request).await?.into(),
        Request::RngRetrieve(request) => rng_retrieve::handle(context, &request)?.into(),
        Request::RngSeed(request) => rng_seed::handle(&request)?.into(),
        Request::SetAttribute(request) => set_attribute::handle(context, request).await?.into(),
        Request::SetEndpointRole(request) => set_endpoint_role::handle(&request)?.into(),
        Request::Sign(request) => sign::handle(context, request).await?.into(),
        Request::SignatureVerify(request) => signature_verify::handle(context, request).await?.into(),
        _ => return Err(Fault::operation_not_supported()),
    })
}

#[cfg(test)]
mod tests;
