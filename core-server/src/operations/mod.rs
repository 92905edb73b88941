//! The operations of the Core: its own ones one file each, the rest as key-service does them.

mod activate;
mod anchors;
mod attributes;
pub(crate) mod check;
mod create;
mod decrypt;
mod destroy;
mod encrypt;
mod get_attributes;
mod locate;
mod mac;
mod obtain_lease;
mod query;
mod re_key;
mod register;
mod revoke;
mod set_endpoint_role;
pub(crate) mod shredding;

use async_trait::async_trait;
use bytestring::ByteString;
use key_service::audit_log::subject;
use key_service::batch::{self, Operations};
use key_service::context::{Absence, Context};
use key_service::fault::Fault;
use key_service::operations;
use key_service::principal::Principal;
use kmip_net::Connection;
use kmip_protocol::attribute::Attributes;
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::message::{RequestHeader, RequestMessage, ResponseMessage};
use kmip_protocol::operation::{Operation, ReKeyRequest, Request, Response};
use kmip_protocol::version::V2_1;
use kmip_ttlv::Limits;

use crate::audit::OWN_PRINCIPAL;
use crate::chain::{self, Level, REGION};
use crate::policy::authorization;
use crate::profile::{self, Role};
use crate::seat::Seat;

/// A seat, and the connection that is served from it.
pub(crate) struct Sitting<'a> {
    pub(crate) seat: &'a Seat,
    pub(crate) connection: &'a Connection,
}

#[async_trait]
impl Operations for Sitting<'_> {
    fn offers(&self, operation: Operation) -> bool {
        profile::allows(self.seat.role, operation) && self.seat.admission.is_open()
    }

    fn refusal(&self, operation: Operation) -> Fault {
        if let Err(fault) = self.seat.admission.enter() {
            fault
        } else if self.seat.role == Role::Stranger {
            Fault::permission_denied("the certificate belongs to no operator and no known Gateway")
        } else if profile::knows(operation) {
            Fault::permission_denied("the operation is not for this role")
        } else {
            Fault::permission_denied("the Core does this for nobody")
        }
    }

    async fn handle(&self, context: &mut Context<'_>, request: Request) -> Result<Response, Fault> {
        let is_read = matches!(request, Request::GetAttributes(_) | Request::GetAttributeList(_));
        let response = self.respond(context, request).await?;
        if self.seat.role == Role::Operator && !is_read {
            note_subject(context, &response).await?;
        }
        Ok(response)
    }

    /// What the items have wrapped or unwrapped must not be buried by now.
    async fn look(&self, absences: &[Absence]) -> Vec<Result<(), Fault>> {
        let looked = encrypt::refuse_buried(self.seat, absences).await;
        // As after each item: the membership may have ended meanwhile.
        let looked = looked.and_then(|looked| self.seat.membership.require().map(|()| looked));
        looked.unwrap_or_else(|fault| vec![Err(fault); absences.len()])
    }
}

/// Has the audit log remember whose key an operator has dealt with, and which one of the chain.
async fn note_subject(context: &Context<'_>, response: &Response) -> Result<(), Fault> {
    let Some(unique_identifier) = subject::answered(response) else { return Ok(()) };
    let Some(record) = context.fetch(unique_identifier).await? else { return Ok(()) };
    context.note("level", ByteString::from_static(Level::of(&record).name()));
    if let Some(tenant) = chain::tenant(&record) {
        context.note("tenant", ByteString::from(&**tenant));
    }
    if !record.service.is_empty() {
        context.note("service", record.service.clone());
    }
    Ok(())
}

impl Sitting<'_> {
    async fn respond(&self, context: &mut Context<'_>, request: Request) -> Result<Response, Fault> {
        let seat = self.seat;
        authorization::before(seat, context, &request).await?;
        let uses_keys = uses_keys(&request);
        if uses_keys {
            seat.membership.require()?;
        }
        let response = match request {
            Request::Activate(request) => activate::handle(context, request).await?.into(),
            Request::Check(request) => check::handle(seat, context, request).await?,
            Request::Create(request) => create::handle(seat, context, request).await?.into(),
            Request::Decrypt(request) => decrypt::handle(seat, context, request).await?.into(),
            Request::Destroy(request) => destroy::handle(seat, context, request).await?.into(),
            Request::Encrypt(request) => encrypt::handle(seat, context, request).await?.into(),
            Request::Locate(request) => locate::handle(seat, context, request).await?.into(),
            Request::Mac(request) => mac::handle(seat, context, request).await?.into(),
            Request::GetAttributes(request) => get_attributes::handle(seat, context, request).await?,
            Request::ObtainLease(request) => obtain_lease::handle(seat, context, request).await?.into(),
            Request::Query(request) => query::handle(context, request).await?,
            Request::ReKey(request) => re_key::handle(seat, context, request).await?.into(),
            Request::Register(request) => register::handle(seat, context, request).await?.into(),
            Request::SetEndpointRole(request) => {
                set_endpoint_role::handle(seat, self.connection, context, &request)?.into()
            }
            Request::Revoke(request) => revoke::handle(context, request).await?.into(),
            Request::AddAttribute(request) if seat.role == Role::Gateway => {
                shredding::begin(seat, context, request).await?.into()
            }
            Request::ModifyAttribute(request) if seat.role == Role::Gateway => {
                shredding::go_on(seat, context, request).await?.into()
            }
            request => match attributes::changed_object(&request) {
                Some(identifier) => attributes::handle(seat, context, &identifier, request).await?,
                None => operations::handle(context, request).await?,
            },
        };
        // The membership may have ended meanwhile, and with it the right to have used a key.
        if uses_keys {
            seat.membership.require()?;
        }
        Ok(response)
    }
}

/// The Core itself, where it does what operators do.
struct Own<'a> {
    seat: &'a Seat,
}

#[async_trait]
impl Operations for Own<'_> {
    fn offers(&self, operation: Operation) -> bool {
        operation == Operation::ReKey
    }

    async fn handle(&self, context: &mut Context<'_>, request: Request) -> Result<Response, Fault> {
        self.seat.membership.require()?;
        match request {
            Request::ReKey(request) => Ok(re_key::handle(self.seat, context, request).await?.into()),
            _ => Err(Fault::operation_not_supported()),
        }
    }
}

/// Rotates an L3 as an operator would, in the name of the Core: through the same batch, into the same audit log. The policy
/// is not asked: it is about others. Answers with the new version, or why there is none.
///
/// # Errors
/// What an operator would be told.
pub(crate) async fn rotate(seat: &Seat, l3: &ByteString) -> Result<ByteString, String> {
    let request = Request::from(ReKeyRequest {
        unique_identifier: Some(UniqueIdentifier::Text(l3.clone())),
        offset: None,
        attributes: Attributes::default(),
        protection_storage_masks: None,
    });
    let message = RequestMessage::write(&RequestHeader::new(V2_1, 1), &[request]).into_bytes();
    let principal =
        Principal { tenant: ByteString::from_static(REGION), name: ByteString::from_static(OWN_PRINCIPAL) };
    let limits = Limits::default();
    let answer = batch::answer(&Own { seat }, &seat.service, &principal, &message, limits).await.into_bytes();
    let answer = ResponseMessage::read(&answer, limits).map_err(|error| error.to_string())?;
    let item = answer.items.into_iter().next();
    match item.map(|item| (item.payload, item.result_message)) {
        Some((Some(Response::ReKey(response)), _)) => Ok(response.unique_identifier),
        Some((_, message)) => Err(message.unwrap_or_default().to_string()),
        None => Err("no answer".to_owned()),
    }
}

/// Whether a request is for members of the region only: all but those that look, and those that close.
fn uses_keys(request: &Request) -> bool {
    !matches!(
        request,
        Request::DiscoverVersions(_)
            | Request::Query(_)
            | Request::Ping(_)
            | Request::Locate(_)
            | Request::GetAttributes(_)
            | Request::GetAttributeList(_)
            | Request::SetEndpointRole(_)
            | Request::Revoke(_)
            | Request::Destroy(_)
    )
}
