//! What items leave to the batch to look for is looked for once, after all of them and before any is answered or recorded.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytestring::ByteString;
use kmip_protocol::codec::{DateTime, Interval};
use kmip_protocol::enumeration::{BatchErrorContinuationOption, ResultReason};
use kmip_protocol::message::{RequestHeader, RequestMessage, ResponseMessage};
use kmip_protocol::operation::{
    DestroyRequest, DestroyResponse, ObtainLeaseRequest, ObtainLeaseResponse, Operation, Request, Response,
};
use kmip_protocol::version::V2_1;
use kmip_ttlv::Limits;

use crate::audit_log::MemoryAudit;
use crate::batch::{self, Operations};
use crate::context::{Absence, Context};
use crate::fault::Fault;
use crate::port::Outcome;
use crate::testing::{Server, id};

const CONTINUE: BatchErrorContinuationOption = BatchErrorContinuationOption::Continue;
const STOP: BatchErrorContinuationOption = BatchErrorContinuationOption::Stop;
const BURIED: Option<ResultReason> = Some(ResultReason::ObjectDestroyed);

/// Lends what is not buried, and buries.
#[derive(Default)]
struct Graveyard {
    buried: Mutex<HashSet<ByteString>>,
    /// Of how many it was asked at a time, by the batch.
    looks: Mutex<Vec<usize>>,
    /// How many of them it keeps silent about.
    silent: usize,
}

impl Graveyard {
    fn judge(&self, absence: &Absence) -> Result<(), Fault> {
        match self.buried.lock().unwrap().contains(&absence.unique_identifier) {
            true => Err(Fault::object_destroyed()),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Operations for Graveyard {
    fn offers(&self, _operation: Operation) -> bool {
        true
    }

    async fn handle(&self, context: &mut Context<'_>, request: Request) -> Result<Response, Fault> {
        match request {
            Request::Destroy(request) => {
                let unique_identifier = context.resolve(request.unique_identifier.as_ref())?;
                self.buried.lock().unwrap().insert(unique_identifier.clone());
                Ok(DestroyResponse { unique_identifier }.into())
            }
            Request::ObtainLease(request) => {
                let unique_identifier = context.resolve(request.unique_identifier.as_ref())?;
                let absence =
                    Absence { tenant: "graves".into(), unique_identifier: unique_identifier.clone() };
                if let Some(absence) = context.look_later(absence) {
                    self.judge(&absence)?;
                }
                let last_change_date = DateTime(0);
                Ok(ObtainLeaseResponse { unique_identifier, lease_time: Interval(1), last_change_date }
                    .into())
            }
            request => panic!("{request:?}"),
        }
    }

    async fn look(&self, absences: &[Absence]) -> Vec<Result<(), Fault>> {
        self.looks.lock().unwrap().push(absences.len());
        absences.iter().skip(self.silent).map(|absence| self.judge(absence)).collect()
    }
}

/// Why each item failed that was done, and what the log has about the uses.
async fn run(
    graveyard: &Graveyard,
    option: BatchErrorContinuationOption,
    requests: &[Request],
) -> (Vec<Option<ResultReason>>, Vec<Outcome>) {
    let (mut server, audit) = (Server::new(), Arc::new(MemoryAudit::default()));
    server.service.audit = audit.clone();
    let mut header = RequestHeader::new(V2_1, requests.len());
    header.batch_error_continuation_option = Some(option);
    let message = RequestMessage::write(&header, requests).into_bytes();
    let limits = Limits::default();
    let answer = batch::answer(graveyard, &server.service, &server.principal, &message, limits).await;
    let answer = ResponseMessage::read(&answer.into_bytes(), limits).unwrap();
    for item in &answer.items {
        assert_eq!(item.payload.is_some(), item.result_reason.is_none(), "no payload of what was refused");
    }
    let uses = audit.events().into_iter().filter(|event| event.operation == "ObtainLease");
    (answer.items.iter().map(|item| item.result_reason).collect(), uses.map(|event| event.outcome).collect())
}

fn lease(object: &'static str) -> Request {
    ObtainLeaseRequest { unique_identifier: id(&object.into()) }.into()
}

fn destroy(object: &'static str) -> Request {
    DestroyRequest { unique_identifier: id(&object.into()) }.into()
}

#[tokio::test]
async fn what_is_buried_while_a_batch_runs_is_not_answered_and_the_log_says_so() {
    let graveyard = Graveyard::default();
    let requests = [lease("a"), lease("b"), destroy("a"), lease("a"), lease("c")];
    let (answers, uses) = run(&graveyard, CONTINUE, &requests).await;
    assert_eq!(answers, [BURIED, None, None, BURIED, None]);
    let buried = Outcome::Failure(ResultReason::ObjectDestroyed);
    assert_eq!(uses, [buried, Outcome::Success, buried, Outcome::Success]);
    assert_eq!(*graveyard.looks.lock().unwrap(), [4]);
}

#[tokio::test]
async fn where_a_failure_stops_the_batch_each_item_looks_by_itself() {
    let graveyard = Graveyard::default();
    let requests = [destroy("a"), lease("b"), lease("a"), destroy("c")];
    let (answers, _) = run(&graveyard, STOP, &requests).await;
    assert_eq!(answers, [None, None, BURIED]);
    assert!(graveyard.looks.lock().unwrap().is_empty() && graveyard.buried.lock().unwrap().len() == 1);
}

#[tokio::test]
async fn what_is_not_looked_for_is_not_answered() {
    let graveyard = Graveyard { silent: 1, ..Graveyard::default() };
    let (answers, uses) = run(&graveyard, CONTINUE, &[lease("a"), lease("b")]).await;
    assert_eq!(answers, [None, Some(ResultReason::GeneralFailure)]);
    assert_eq!(uses, [Outcome::Success, Outcome::Failure(ResultReason::GeneralFailure)]);
}
