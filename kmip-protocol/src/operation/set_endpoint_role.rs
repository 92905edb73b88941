//! Set Endpoint Role (6.1.54 of KMIP 2.1): turns the direction of requests on this connection.

use crate::codec::structure;
use crate::enumeration::EndpointRole;

structure! {
    /// Turns the direction of requests on this connection.
    pub struct SetEndpointRoleRequest {
        /// What the requester wants to be.
        required endpoint_role: EndpointRole = ENDPOINT_ROLE;
    }

    /// The answer to [`SetEndpointRoleRequest`].
    pub struct SetEndpointRoleResponse {
        /// What the requester is from now on.
        required endpoint_role: EndpointRole = ENDPOINT_ROLE;
    }
}
