//! The connection over which the Core recalls leases: the Gateway connects, sets its endpoint role to server, and answers the
//! Core's Notify requests from then on.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use key_service::port::{Clock, SealerError};
use kmip_net::{ClientConnection, ClientError};
use kmip_protocol::enumeration::{EndpointRole, ResultReason, ResultStatus};
use kmip_protocol::message::{
    RequestHeader, RequestMessage, ResponseBatchItem, ResponseHeader, ResponseMessage,
};
use kmip_protocol::operation::{NotifyResponse, Operation, Request, SetEndpointRoleRequest};
use kmip_protocol::version::V2_1;
use kmip_ttlv::{Limits, SecretBuffer, Writer};

use crate::core_client::CoreLink;
use crate::leases::Leases;

/// Pause before the connection is made again. Leases run out meanwhile, so nothing depends on it but availability.
const RECONNECT_AFTER: Duration = Duration::from_millis(200);

/// Keeps the connection open and answers what comes over it, for ever.
pub(crate) async fn listen(link: Arc<CoreLink>, leases: Arc<Leases>, clock: Arc<dyn Clock>) {
    loop {
        match serve(&link, &leases, &*clock).await {
            Ok(()) => tracing::info!("the Core closed the recall connection"),
            Err(error) => tracing::debug!(%error, "no recall connection"),
        }
        tokio::time::sleep(RECONNECT_AFTER).await;
    }
}

async fn serve(link: &CoreLink, leases: &Leases, clock: &dyn Clock) -> Result<(), SealerError> {
    let mut connection = link.open().await?;
    become_server(link, &mut connection).await?;
    tracing::info!("the Core can recall leases");
    loop {
        let request = match connection.receive().await {
            Ok(request) => request,
            Err(ClientError::Interrupted) => return Ok(()),
            Err(error) => return Err(lost(error)),
        };
        connection.send(answer(&request, leases, clock)).await.map_err(lost)?;
    }
}

fn lost(error: ClientError) -> SealerError {
    SealerError::Unavailable(error.to_string())
}

async fn become_server(link: &CoreLink, connection: &mut ClientConnection) -> Result<(), SealerError> {
    let request = Request::from(SetEndpointRoleRequest { endpoint_role: EndpointRole::Server });
    let message = RequestMessage::write(&link.header(1), &[request]);
    let response = connection.exchange(message).await.map_err(lost)?;
    let response = ResponseMessage::read(&response, Limits::default())
        .map_err(|error| SealerError::Unavailable(format!("the Core's answer is malformed: {error}")))?;
    match response.items.first() {
        Some(item) if item.result_status == ResultStatus::Success => Ok(()),
        _ => Err(SealerError::Refused("the Core does not take Set Endpoint Role".to_owned())),
    }
}

/// Does what a Notify asks for, then says so.
fn answer(request: &Bytes, leases: &Leases, clock: &dyn Clock) -> SecretBuffer {
    let limits = Limits::default();
    let Ok(message) = RequestMessage::read(request, limits) else {
        return respond(&RequestHeader::new(V2_1, 1), vec![unexpected(None)], clock);
    };
    let items = message.items.iter().map(|item| {
        let notify = (item.operation == Operation::Notify.value())
            .then(|| item.decode(Operation::Notify, limits, message.header.protocol_version));
        let mut answered = match notify.flatten() {
            Some(Ok(Request::Notify(notify))) => {
                heed(&notify.unique_identifier, leases);
                ResponseBatchItem::success(NotifyResponse {}.into())
            }
            _ => unexpected(Some(item.operation)),
        };
        answered.unique_batch_item_id = item.unique_batch_item_id.clone();
        answered
    });
    let items = items.collect();
    respond(&message.header, items, clock)
}

/// An L3 is to be given up; an object, named L3/OBJECT, was destroyed elsewhere and is to be forgotten.
fn heed(name: &ByteString, leases: &Leases) {
    match name.split_once('/') {
        Some((key, object)) => {
            tracing::debug!(key, object, "object destroyed elsewhere");
            leases.bury(&ByteString::from(key), object);
        }
        None => {
            tracing::info!(key = %name, "lease recalled");
            leases.give_up(name);
        }
    }
}

fn unexpected(operation: Option<u32>) -> ResponseBatchItem {
    let message = ByteString::from_static("only Notify is answered here");
    ResponseBatchItem::failure(operation, ResultReason::OperationNotSupported, message)
}

fn respond(request: &RequestHeader, items: Vec<ResponseBatchItem>, clock: &dyn Clock) -> SecretBuffer {
    let header = ResponseHeader {
        protocol_version: request.protocol_version,
        time_stamp: clock.now(),
        nonce: None,
        server_hashed_password: None,
        attestation_types: Vec::new(),
        client_correlation_value: request.client_correlation_value.clone(),
        server_correlation_value: None,
        batch_count: i32::try_from(items.len()).unwrap_or(i32::MAX),
    };
    let mut writer = Writer::new();
    ResponseMessage { header, items }.write(&mut writer);
    writer.finish()
}
