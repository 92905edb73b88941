//! What an operation does by itself and cannot be taken back is in the audit log before it is done.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use kmip_protocol::enumeration::{BatchErrorContinuationOption, ResultReason};
use kmip_protocol::message::{RequestHeader, RequestMessage, ResponseMessage};
use kmip_protocol::operation::{DestroyRequest, DestroyResponse, Operation, Request, Response};
use kmip_protocol::version::V2_1;
use kmip_ttlv::Limits;

use crate::batch::{self, Operations};
use crate::context::Context;
use crate::fault::Fault;
use crate::port::{Audit, AuditError, Event, Outcome};
use crate::testing::{Server, id};

/// A log that takes events until it fails.
#[derive(Default)]
struct Log {
    fails: AtomicBool,
    outcomes: Mutex<Vec<Outcome>>,
}

#[async_trait]
impl Audit for Log {
    async fn record(&self, event: Event) -> Result<(), AuditError> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(AuditError("the disk is full".to_owned()));
        }
        self.outcomes.lock().unwrap().push(event.outcome);
        Ok(())
    }
}

/// Destroys at once, and fails once because somebody else was first.
struct AtOnce {
    log: Arc<Log>,
    /// What was in the log when it was done.
    done: Mutex<Vec<Vec<Outcome>>>,
}

#[async_trait]
impl Operations for AtOnce {
    fn offers(&self, operation: Operation) -> bool {
        operation == Operation::Destroy
    }

    async fn handle(&self, context: &mut Context<'_>, request: Request) -> Result<Response, Fault> {
        let Request::Destroy(request) = request else { panic!("{request:?}") };
        let unique_identifier = context.resolve(request.unique_identifier.as_ref())?;
        context.intend(Operation::Destroy, &unique_identifier).await?;
        let mut done = self.done.lock().unwrap();
        done.push(self.log.outcomes.lock().unwrap().clone());
        if done.len() == 1 {
            return Err(crate::port::StoreError::Conflict.into());
        }
        Ok(DestroyResponse { unique_identifier }.into())
    }
}

async fn destroy(operations: &AtOnce, log: &Arc<Log>, items: usize) -> Option<ResultReason> {
    let mut server = Server::new();
    server.service.audit = log.clone();
    let mut header = RequestHeader::new(V2_1, items);
    header.batch_error_continuation_option = Some(BatchErrorContinuationOption::Undo);
    let request = |_| Request::from(DestroyRequest { unique_identifier: id(&"x".into()) });
    let requests: Vec<Request> = (0..items).map(request).collect();
    let message = RequestMessage::write(&header, &requests).into_bytes();
    let limits = Limits::default();
    let answer = batch::answer(operations, &server.service, &server.principal, &message, limits).await;
    ResponseMessage::read(&answer.into_bytes(), limits).unwrap().items.pop().unwrap().result_reason
}

#[tokio::test]
async fn what_is_done_at_once_is_intended_before_and_once() {
    let log = Arc::new(Log::default());
    let operations = AtOnce { log: log.clone(), done: Mutex::default() };
    assert_eq!(destroy(&operations, &log, 1).await, None);
    assert_eq!(*operations.done.lock().unwrap(), [[Outcome::Intent], [Outcome::Intent]]);
    assert_eq!(*log.outcomes.lock().unwrap(), [Outcome::Intent, Outcome::Success]);
}

#[tokio::test]
async fn what_cannot_be_intended_is_not_done() {
    let log = Arc::new(Log::default());
    log.fails.store(true, Ordering::Relaxed);
    let operations = AtOnce { log: log.clone(), done: Mutex::default() };
    assert_eq!(destroy(&operations, &log, 1).await, Some(ResultReason::GeneralFailure));
    assert!(operations.done.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_done_at_once_is_not_done_where_it_may_have_to_be_undone() {
    let log = Arc::new(Log::default());
    let operations = AtOnce { log: log.clone(), done: Mutex::default() };
    assert_eq!(destroy(&operations, &log, 2).await, Some(ResultReason::FeatureNotSupported));
    assert!(operations.done.lock().unwrap().is_empty());
}
