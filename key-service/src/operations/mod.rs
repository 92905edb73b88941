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
pub mod get_attributes;
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

/// Does an operation. Each is on the heap in a place of its own size: otherwise every request would carry, and copy, room for the
/// largest of them.
///
/// # Errors
/// What the client is told.
pub async fn handle(context: &mut Context<'_>, request: Request) -> Result<Response, Fault> {
    Ok(match request {
        Request::Activate(request) => Box::pin(activate::handle(context, request)).await?.into(),
        Request::AddAttribute(request) => Box::pin(add_attribute::handle(context, request)).await?.into(),
        Request::AdjustAttribute(request) => {
            Box::pin(adjust_attribute::handle(context, request)).await?.into()
        }
        Request::Archive(request) => Box::pin(archive::handle(context, request)).await?.into(),
        Request::Cancel(_) => cancel::handle()?.into(),
        Request::Check(request) => Box::pin(check::handle(context, request)).await?.into(),
        Request::Create(request) => Box::pin(create::handle(context, request)).await?.into(),
        Request::CreateKeyPair(request) => Box::pin(create_key_pair::handle(context, request)).await?.into(),
        Request::CreateSplitKey(request) => {
            Box::pin(create_split_key::handle(context, request)).await?.into()
        }
        Request::Decrypt(request) => Box::pin(decrypt::handle(context, request)).await?.into(),
        Request::DeleteAttribute(request) => {
            Box::pin(delete_attribute::handle(context, request)).await?.into()
        }
        Request::DeriveKey(request) => Box::pin(derive_key::handle(context, request)).await?.into(),
        Request::Destroy(request) => Box::pin(destroy::handle(context, request)).await?.into(),
        Request::DiscoverVersions(request) => discover_versions::handle(&request)?.into(),
        Request::Encrypt(request) => Box::pin(encrypt::handle(context, request)).await?.into(),
        Request::Export(request) => Box::pin(export::handle(context, request)).await?.into(),
        Request::Get(request) => Box::pin(get::handle(context, request)).await?.into(),
        Request::GetAttributeList(request) => {
            Box::pin(get_attribute_list::handle(context, request)).await?.into()
        }
        Request::GetAttributes(request) => Box::pin(get_attributes::handle(context, request)).await?.into(),
        Request::GetUsageAllocation(request) => {
            Box::pin(get_usage_allocation::handle(context, request)).await?.into()
        }
        Request::Hash(request) => hash::handle(context, request)?.into(),
        Request::Import(request) => Box::pin(import::handle(context, request)).await?.into(),
        Request::Interop(request) => interop::handle(&request)?.into(),
        Request::JoinSplitKey(request) => Box::pin(join_split_key::handle(context, request)).await?.into(),
        Request::Locate(request) => Box::pin(locate::handle(context, request)).await?.into(),
        Request::Log(request) => log::handle(context, &request)?.into(),
        Request::Mac(request) => Box::pin(mac::handle(context, request)).await?.into(),
        Request::MacVerify(request) => Box::pin(mac_verify::handle(context, request)).await?.into(),
        Request::ModifyAttribute(request) => {
            Box::pin(modify_attribute::handle(context, request)).await?.into()
        }
        Request::ObtainLease(request) => Box::pin(obtain_lease::handle(context, request)).await?.into(),
        Request::Ping(_) => ping::handle()?.into(),
        Request::Pkcs11(request) => pkcs11::handle(context, &request)?.into(),
        Request::Poll(_) => poll::handle()?.into(),
        Request::Process(_) => process::handle()?.into(),
        Request::Query(request) => query::handle(context, &request)?.into(),
        Request::QueryAsynchronousRequests(_) => query_asynchronous_requests::handle()?.into(),
        Request::ReKey(request) => Box::pin(re_key::handle(context, request)).await?.into(),
        Request::ReKeyKeyPair(request) => Box::pin(re_key_key_pair::handle(context, request)).await?.into(),
        Request::Recover(request) => Box::pin(recover::handle(context, request)).await?.into(),
        Request::Register(request) => Box::pin(register::handle(context, request)).await?.into(),
        Request::Revoke(request) => Box::pin(revoke::handle(context, request)).await?.into(),
        Request::RngRetrieve(request) => rng_retrieve::handle(context, &request)?.into(),
        Request::RngSeed(request) => rng_seed::handle(&request)?.into(),
        Request::SetAttribute(request) => Box::pin(set_attribute::handle(context, request)).await?.into(),
        Request::SetEndpointRole(request) => set_endpoint_role::handle(&request)?.into(),
        Request::Sign(request) => Box::pin(sign::handle(context, request)).await?.into(),
        Request::SignatureVerify(request) => {
            Box::pin(signature_verify::handle(context, request)).await?.into()
        }
        _ => return Err(Fault::operation_not_supported()),
    })
}

#[cfg(test)]
mod tests;
