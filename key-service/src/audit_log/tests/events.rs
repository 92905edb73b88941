//! What the rules have to say: which event an operation leaves.

use std::sync::Arc;

use bytestring::ByteString;
use kmip_protocol::enumeration::{CryptographicAlgorithm, ResultReason};
use kmip_protocol::mask::CryptographicUsageMask;
use kmip_protocol::operation::DestroyRequest;

use super::super::{MemoryAudit, receipt};
use super::Place;
use crate::port::{Audit, Event, Outcome};
use crate::testing::{Server, get_request, id};

fn server() -> (Server, Arc<MemoryAudit>) {
    let (mut server, audit) = (Server::new(), Arc::new(MemoryAudit::default()));
    server.service.audit = audit.clone();
    (server, audit)
}

async fn key(server: &Server) -> ByteString {
    server.active_key(CryptographicAlgorithm::Aes, &[7; 16], CryptographicUsageMask::ENCRYPT).await
}

fn told(event: &Event) -> (&str, Option<&str>, Outcome) {
    (&event.operation, event.unique_identifier.as_deref(), event.outcome)
}

#[tokio::test]
async fn an_event_names_its_object_whether_it_succeeds_or_fails() {
    let (server, audit) = server();
    let key = key(&server).await;
    let other = ByteString::from_static("another");
    server.get(&key).await.unwrap();
    server.get(&other).await.unwrap_err();
    server.refused(DestroyRequest { unique_identifier: id(&key) }).await;
    server.refused(DestroyRequest { unique_identifier: None }).await;
    let events = audit.events();
    let told: Vec<_> = events.iter().map(told).collect();
    let failed = Outcome::Failure;
    assert_eq!(
        told,
        [
            ("Register", Some(&*key), Outcome::Success),
            ("Get", Some(&*key), Outcome::Success),
            ("Get", Some("another"), failed(ResultReason::ObjectNotFound)),
            ("Destroy", Some(&*key), failed(ResultReason::WrongKeyLifecycleState)),
            ("Destroy", None, failed(ResultReason::ObjectNotFound)),
        ]
    );
    assert!(events.iter().all(|event| &*event.tenant == "acme" && &*event.principal == "app"));
}

#[tokio::test]
async fn what_cannot_be_recorded_fails() {
    let (server, audit) = server();
    let key = key(&server).await;
    audit.refuse(true);
    assert_eq!(server.refused(get_request(&key)).await, ResultReason::GeneralFailure);
    audit.refuse(false);
    assert!(server.get(&key).await.is_ok());
}

#[tokio::test]
async fn the_events_of_a_server_have_receipts() {
    let (server, audit) = server();
    let key = key(&server).await;
    let place = Place::new();
    let log = place.open();
    for event in audit.events() {
        log.record(event).await.unwrap();
    }
    let receipt = log.receipt(0).await.unwrap();
    let verified = receipt::verify(receipt.as_str().as_bytes(), log.verifier()).unwrap();
    assert_eq!(verified.entry.unique_identifier.as_deref(), Some(&*key));
}
