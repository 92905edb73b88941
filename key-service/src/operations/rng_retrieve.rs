//! RNG Retrieve (6.1.49): returns random bytes.

use kmip_protocol::codec::Secret;
use kmip_protocol::operation::{RngRetrieveRequest, RngRetrieveResponse};
use kmip_ttlv::SecretBuffer;

use crate::context::Context;
use crate::fault::Fault;

pub(super) fn handle(
    context: &Context<'_>,
    request: &RngRetrieveRequest,
) -> Result<RngRetrieveResponse, Fault> {
    let length = usize::try_from(request.data_length).ok().filter(|length| *length > 0);
    let length = length.ok_or_else(|| Fault::invalid_field("Data Length is not positive"))?;
    if length > context.service.settings.maximum_random_bytes {
        return Err(Fault::permission_denied("so many random bytes are not given at once"));
    }
    let mut data = SecretBuffer::new();
    data.resize(length);
    context.service.entropy.fill(&mut data)?;
    Ok(RngRetrieveResponse { data: Secret::from(data) })
}
