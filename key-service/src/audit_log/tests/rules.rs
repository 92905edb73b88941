//! When events are recorded: intents before what cannot be taken back, changes before they are answered, nothing for what was undone.

use std::sync::Arc;

use bytestring::ByteString;
use kmip_protocol::enumeration::{BatchErrorContinuationOption, CryptographicAlgorithm, ResultReason};
use kmip_protocol::mask::CryptographicUsageMask;
use kmip_protocol::message::{RequestHeader, RequestMessage, ResponseMessage};
use kmip_protocol::operation::{DestroyRequest, Operation, Request};
use kmip_protocol::version::{V1_3, V2_1};
use kmip_ttlv::Limits;

use super::super::MemoryAudit;
use crate::batch;
use crate::port::{Event, Outcome};
use crate::testing::{Server, get_request, id};

fn server() -> (Server, Arc<MemoryAudit>) {
    let (mut server, audit) = (Server::new(), Arc::new(MemoryAudit::default()));
    server.service.audit = audit.clone();
    (server, audit)
}

/// A key that is not Active, so that it may be destroyed.
async fn key(server: &Server) -> ByteString {
    let object = crate::testing::symmetric_key(CryptographicAlgorithm::Aes, &[7; 16]);
    server.register(object, Vec::new()).await
}

async fn is_destroyed(server: &Server, key: &ByteString) -> bool {
    server.service.store.fetch("acme", key).await.unwrap().unwrap().is_destroyed()
}

fn told(events: &[Event]) -> Vec<(&str, Outcome)> {
    events.iter().map(|event| (&*event.operation, event.outcome)).collect()
}

async fn send(server: &Server, header: &RequestHeader, requests: &[Request]) -> ResponseMessage {
    let message = RequestMessage::write(header, requests).into_bytes();
    let limits = Limits::default();
    let answer = batch::answer(&server.service, &server.service, &server.principal, &message, limits).await;
    ResponseMessage::read(&answer.into_bytes(), limits).unwrap()
}

#[tokio::test]
async fn what_cannot_be_taken_back_is_said_before() {
    let (server, audit) = server();
    let key = key(&server).await;
    audit.refuse(true);
    assert_eq!(
        server.refused(DestroyRequest { unique_identifier: id(&key) }).await,
        ResultReason::GeneralFailure
    );
    assert!(!is_destroyed(&server, &key).await);
    audit.refuse(false);
    server.ask(DestroyRequest { unique_identifier: id(&key) }).await.unwrap();
    assert!(is_destroyed(&server, &key).await);
    let events = audit.events();
    assert_eq!(
        told(&events),
        [("Register", Outcome::Success), ("Destroy", Outcome::Intent), ("Destroy", Outcome::Success)]
    );
    assert_eq!(events[1].unique_identifier.as_deref(), Some(&*key));
    assert_eq!(events[1].server_correlation_value, events[2].server_correlation_value);
}

#[tokio::test]
async fn what_is_undone_is_recorded_as_failed() {
    let (server, audit) = server();
    let (first, second) = (key(&server).await, ByteString::from_static("another"));
    let destroy = |key: &ByteString| Request::from(DestroyRequest { unique_identifier: id(key) });
    let mut header = RequestHeader::new(V2_1, 2);
    header.batch_error_continuation_option = Some(BatchErrorContinuationOption::Undo);
    send(&server, &header, &[destroy(&first), destroy(&second)]).await;
    assert!(!is_destroyed(&server, &first).await);
    let failed = Outcome::Failure(ResultReason::ObjectNotFound);
    assert_eq!(told(&audit.events()[1..]), [("Destroy", failed), ("Destroy", failed)]);
    let third = key(&server).await;
    send(&server, &header, &[destroy(&first), destroy(&third)]).await;
    let (intent, success) = (Outcome::Intent, Outcome::Success);
    let expected = [intent, intent, success, success].map(|outcome| ("Destroy", outcome));
    assert_eq!(told(&audit.events()[4..]), expected);
    assert!(is_destroyed(&server, &first).await && is_destroyed(&server, &third).await);
}

#[tokio::test]
async fn who_names_a_request_is_told_what_the_log_calls_it() {
    let (server, audit) = server();
    let key = key(&server).await;
    let mut header = RequestHeader::new(V2_1, 1);
    let get = || [Request::from(get_request(&key))];
    assert_eq!(send(&server, &header, &get()).await.header.server_correlation_value, None);
    header.client_correlation_value = Some(ByteString::from_static("mine"));
    let told = send(&server, &header, &get()).await.header.server_correlation_value.unwrap();
    let events = audit.events();
    let last = events.last().unwrap();
    assert_eq!(last.server_correlation_value.as_ref(), Some(&told));
    assert_eq!(last.client_correlation_value.as_deref(), Some("mine"));
    assert_ne!(events[events.len() - 2].server_correlation_value.as_ref(), Some(&told));
    let mut old = RequestHeader::new(V1_3, 1);
    old.client_correlation_value = header.client_correlation_value.clone();
    assert_eq!(send(&server, &old, &get()).await.header.server_correlation_value, None);
}

#[tokio::test]
async fn what_is_not_offered_is_recorded_too() {
    let (server, audit) = server();
    let mut message = RequestMessage::write(
        &RequestHeader::new(V2_1, 1),
        &[Request::from(DestroyRequest { unique_identifier: None })],
    )
    .into_bytes()
    .to_vec();
    let operation = Operation::Destroy.value().to_be_bytes();
    let at = message.windows(12).position(|window| window[..3] == [0x42, 0x00, 0x5c]).unwrap();
    assert_eq!(message[at + 8..at + 12], operation);
    message[at + 8..at + 12].copy_from_slice(&Operation::Login.value().to_be_bytes());
    let message = bytes::Bytes::from(message);
    let limits = Limits::default();
    batch::answer(&server.service, &server.service, &server.principal, &message, limits).await;
    let refused = Outcome::Failure(ResultReason::OperationNotSupported);
    assert_eq!(told(&audit.events()), [("Login", refused)]);
}

#[tokio::test]
async fn uses_are_recorded_with_their_object() {
    let (server, audit) = server();
    let key = server.active_key(CryptographicAlgorithm::Aes, &[7; 16], CryptographicUsageMask::ENCRYPT).await;
    server.get(&key).await.unwrap();
    let events = audit.events();
    let last = events.last().unwrap();
    assert_eq!((&*last.operation, last.unique_identifier.as_deref()), ("Get", Some(&*key)));
}
