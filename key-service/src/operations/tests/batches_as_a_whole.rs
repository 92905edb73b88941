//! Batches that are undone as a whole, where others change the same objects meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use kmip_protocol::attribute::{Attribute, Attributes};
use kmip_protocol::enumeration::{
    BatchErrorContinuationOption, CryptographicAlgorithm, ObjectType, ResultReason, ResultStatus,
};
use kmip_protocol::message::{RequestHeader, RequestMessage, ResponseBatchItem, ResponseMessage};
use kmip_protocol::operation::{DestroyRequest, LocateRequest, LocateResponse, Request};
use kmip_protocol::version::V2_1;
use kmip_ttlv::Limits;

use super::streaming::{first_part, key};
use crate::audit_log::MemoryAudit;
use crate::batch;
use crate::port::{Change, Outcome, Store, StoreError};
use crate::testing::{Server, create_request, id, symmetric_key};

/// A store in which somebody else is faster, so many times. So does the gate behave that closes behind an L3.
struct Contested {
    store: Arc<dyn Store>,
    conflicts: AtomicUsize,
}

#[async_trait]
impl Store for Contested {
    fn below(&self) -> Option<&dyn Store> {
        Some(&*self.store)
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let left = |left: usize| left.checked_sub(1);
        match self.conflicts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left) {
            Ok(_) => Err(StoreError::Conflict),
            Err(_) => self.store.commit(changes).await,
        }
    }
}

struct Rig {
    server: Server,
    audit: Arc<MemoryAudit>,
    store: Arc<Contested>,
}

impl Rig {
    fn new() -> Self {
        let (mut server, audit) = (Server::new(), Arc::new(MemoryAudit::default()));
        let store =
            Arc::new(Contested { store: server.service.store.clone(), conflicts: AtomicUsize::new(0) });
        server.service.store = store.clone();
        server.service.audit = audit.clone();
        Self { server, audit, store }
    }

    async fn undo_batch(&self, requests: &[Request]) -> Vec<ResponseBatchItem> {
        let mut header = RequestHeader::new(V2_1, requests.len());
        header.batch_error_continuation_option = Some(BatchErrorContinuationOption::Undo);
        let message = RequestMessage::write(&header, requests).into_bytes();
        let Server { service, principal, .. } = &self.server;
        let answer = batch::answer(service, service, principal, &message, Limits::default()).await;
        ResponseMessage::read(&answer.into_bytes(), Limits::default()).unwrap().items
    }

    async fn keys(&self) -> usize {
        let request = LocateRequest {
            maximum_items: None,
            offset_items: None,
            storage_status_mask: None,
            object_group_member: None,
            attributes: Attributes::new([Attribute::ObjectType(ObjectType::SymmetricKey)]),
        };
        self.server.done::<LocateResponse>(request).await.unique_identifiers.len()
    }

    /// How the operations of a name went, as the log has it.
    fn outcomes(&self, operation: &str) -> Vec<Outcome> {
        let events = self.audit.events().into_iter().filter(|event| event.operation == operation);
        events.map(|event| event.outcome).collect()
    }
}

const FAILED: Outcome = Outcome::Failure(ResultReason::GeneralFailure);

#[tokio::test]
async fn it_is_tried_again_and_each_intent_has_its_outcome() {
    let rig = Rig::new();
    let old = rig.server.register(symmetric_key(CryptographicAlgorithm::Aes, &[1; 16]), []).await;
    rig.store.conflicts.store(2, Ordering::Relaxed);
    let destroy = DestroyRequest { unique_identifier: id(&old) };
    let items = rig.undo_batch(&[create_request(), destroy.into(), create_request()]).await;
    assert!(items.iter().all(|item| item.result_status == ResultStatus::Success), "{items:?}");
    assert_eq!(rig.keys().await, 2, "what was not committed is there, or what was destroyed");
    assert_eq!(rig.outcomes("Create"), [Outcome::Success; 2]);
    let tried = [Outcome::Intent, FAILED];
    let expected = [&tried[..], &tried, &[Outcome::Intent, Outcome::Success]].concat();
    assert_eq!(rig.outcomes("Destroy"), expected);
}

#[tokio::test]
async fn one_that_never_comes_through_fails_and_says_that_it_may_be_tried_again() {
    let rig = Rig::new();
    rig.store.conflicts.store(usize::MAX, Ordering::Relaxed);
    let items = rig.undo_batch(&[create_request(), create_request()]).await;
    for item in &items {
        assert_eq!(item.result_reason, Some(ResultReason::GeneralFailure));
        assert!(item.result_message.as_deref().is_some_and(|message| message.contains("try again")));
    }
    rig.store.conflicts.store(0, Ordering::Relaxed);
    assert_eq!((items.len(), rig.keys().await), (2, 0));
    assert_eq!(rig.outcomes("Create"), [FAILED; 2]);
}

/// A part of an operation cannot be done twice: the client's Correlation Value would name two.
#[tokio::test]
async fn one_that_has_begun_an_operation_in_parts_is_not_tried_again() {
    let rig = Rig::new();
    let key = key(&rig.server).await;
    rig.store.conflicts.store(1, Ordering::Relaxed);
    let items = rig.undo_batch(&[create_request(), first_part(&key).into()]).await;
    for item in &items {
        assert_eq!(item.result_reason, Some(ResultReason::GeneralFailure));
        assert!(item.result_message.as_deref().is_some_and(|message| message.contains("try again")));
    }
    assert_eq!((rig.store.conflicts.load(Ordering::Relaxed), rig.keys().await), (0, 1));
    assert_eq!(rig.outcomes("Encrypt"), [FAILED]);
}

#[tokio::test]
async fn what_is_withheld_is_recorded_as_it_was_answered() {
    let rig = Rig::new();
    let key = rig.server.register(symmetric_key(CryptographicAlgorithm::Aes, &[1; 16]), []).await;
    let refused = Outcome::Failure(ResultReason::PermissionDenied);
    rig.server.may_use(0);
    assert_eq!(rig.server.get(&key).await.err(), Some(ResultReason::PermissionDenied));
    assert_eq!(rig.outcomes("Get"), [refused]);

    // The lease ends while the use is being recorded: the log says both.
    rig.server.may_use(1);
    assert_eq!(rig.server.get(&key).await.err(), Some(ResultReason::PermissionDenied));
    assert_eq!(rig.outcomes("Get"), [refused, Outcome::Success, refused]);
    let last = rig.audit.events().pop().unwrap();
    assert_eq!(last.details.get("answer").map(|answer| &**answer), Some("withheld"));
    assert_eq!(last.unique_identifier, Some(key.clone()));

    rig.server.may_use(u64::MAX);
    assert!(rig.server.get(&key).await.is_ok());
    assert_eq!(rig.outcomes("Get").last(), Some(&Outcome::Success));
    // A change that was made and not answered has been made.
    rig.server.may_use(0);
    assert_eq!(rig.server.refused(create_request()).await, ResultReason::PermissionDenied);
    assert_eq!(rig.outcomes("Create"), [Outcome::Success, refused]);
}
