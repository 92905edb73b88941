//! Register (6.1.43): stores an object that the client brings. A wrapped key stays wrapped.

use kmip_protocol::enumeration::{LinkType, ResultReason};
use kmip_protocol::operation::{RegisterRequest, RegisterResponse};

use crate::context::Context;
use crate::creation::{self, Origin};
use crate::fault::Fault;
use crate::wrapping;

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: RegisterRequest,
) -> Result<RegisterResponse, Fault> {
    if request.object.object_type() != request.object_type {
        return Err(Fault::new(ResultReason::InvalidObjectType, "Object Type and the object do not agree"));
    }
    let mut record =
        creation::draft(context, Origin::Registered, request.attributes, &request.object).await?;
    if let Some(wrapping) = wrapping::known_wrapping_key(context, &request.object).await? {
        record.link(LinkType::WrappingKeyLink, &wrapping.unique_identifier);
    }
    let unique_identifier = creation::finish(context, record, &request.object).await?;
    Ok(RegisterResponse { unique_identifier })
}
