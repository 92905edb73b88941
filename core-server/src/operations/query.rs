//! Query: as key-service answers it, less what the Core does not do.

use key_service::context::Context;
use key_service::fault::Fault;
use key_service::operations;
use kmip_protocol::enumeration::ObjectType;
use kmip_protocol::operation::{QueryRequest, Request, Response};

pub(super) async fn handle(context: &mut Context<'_>, request: QueryRequest) -> Result<Response, Fault> {
    let mut response = operations::handle(context, Request::Query(request)).await?;
    if let Response::Query(query) = &mut response {
        query.object_types.retain(|object_type| *object_type == ObjectType::SymmetricKey);
        for capabilities in &mut query.capability_information {
            capabilities.streaming_capability = Some(false);
        }
    }
    Ok(response)
}
