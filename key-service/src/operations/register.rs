//! Register (6.1.41): stores an object that the client brings.

use kmip_protocol::enumeration::ResultReason;
use kmip_protocol::operation::{RegisterRequest, RegisterResponse};

use crate::context::Context;
use crate::creation::{self, Origin};
use crate::fault::Fault;

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: RegisterRequest,
) -> Result<RegisterResponse, Fault> {
    if request.object.object_type() != request.object_type {
        return Err(Fault::new(ResultReason::InvalidObjectType, "Object Type and the object do not agree"));
    }
    let unique_identifier =
        creation::create(context, Origin::Registered, request.attributes, &request.object).await?;
    Ok(RegisterResponse { unique_identifier })
}
