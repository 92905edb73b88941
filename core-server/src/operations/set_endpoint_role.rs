//! Set Endpoint Role: a Gateway turns its connection round, so that the Core can tell it to give up leases.

use key_service::context::Context;
use key_service::fault::Fault;
use kmip_net::Connection;
use kmip_protocol::enumeration::EndpointRole;
use kmip_protocol::operation::{SetEndpointRoleRequest, SetEndpointRoleResponse};

use super::obtain_lease::{life, too_many_lives};
use crate::seat::Seat;

pub(super) fn handle(
    seat: &Seat,
    connection: &Connection,
    context: &Context<'_>,
    request: &SetEndpointRoleRequest,
) -> Result<SetEndpointRoleResponse, Fault> {
    if request.endpoint_role != EndpointRole::Server {
        return Err(Fault::invalid_field("a Gateway is a client already; it can become a server"));
    }
    let life = life(context)?;
    // Several lives without a name would confirm for each other.
    if life.instance.is_empty() {
        return Err(Fault::missing("Client Correlation Value is needed: it names this life of the Gateway"));
    }
    if !seat.leases.subscribe(life, connection.pusher()) {
        return Err(too_many_lives());
    }
    connection.reverse();
    Ok(SetEndpointRoleResponse { endpoint_role: EndpointRole::Server })
}
