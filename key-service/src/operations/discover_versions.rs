//! Discover Versions (6.1.17): the protocol versions that both sides speak.

use kmip_protocol::operation::{DiscoverVersionsRequest, DiscoverVersionsResponse};
use kmip_protocol::version::SUPPORTED;

use crate::fault::Fault;

pub(super) fn handle(request: &DiscoverVersionsRequest) -> Result<DiscoverVersionsResponse, Fault> {
    let asked = &request.protocol_versions;
    let spoken = SUPPORTED.iter().filter(|version| asked.is_empty() || asked.contains(version));
    Ok(DiscoverVersionsResponse { protocol_versions: spoken.copied().collect() })
}
