//! Set Endpoint Role (6.1.54): which end of the connection sends requests. Only a server that has something to tell its
//! clients turns it round, and does so before a request comes here.

use kmip_protocol::enumeration::EndpointRole;
use kmip_protocol::operation::{SetEndpointRoleRequest, SetEndpointRoleResponse};

use crate::fault::Fault;

pub(super) fn handle(request: &SetEndpointRoleRequest) -> Result<SetEndpointRoleResponse, Fault> {
    match request.endpoint_role {
        EndpointRole::Client => Ok(SetEndpointRoleResponse { endpoint_role: EndpointRole::Client }),
        _ => Err(Fault::permission_denied("this server sends no requests to its clients")),
    }
}
