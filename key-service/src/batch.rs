//! The way of a request message: read, judge the header, run the batch item by item, write the response.
//!
//! An item is routed before its payload is decoded, and a bad payload fails its own item only. Whatever comes in, a
//! well-formed response goes out: clients cannot make anything of a bare disconnect.

use async_trait::async_trait;
use bytes::Bytes;
use bytestring::ByteString;
use kmip_protocol::Version;
use kmip_protocol::codec::DateTime;
use kmip_protocol::enumeration::{
    AsynchronousIndicator, BatchErrorContinuationOption, ResultReason, ResultStatus,
};
use kmip_protocol::message::{
    MessageError, RequestBatchItem, RequestHeader, RequestMessage, ResponseBatchItem, ResponseHeader,
    ResponseMessage,
};
use kmip_protocol::operation::{Operation, Request, Response};
use kmip_protocol::version::{SUPPORTED, V1_0};
use kmip_ttlv::{Limits, SecretBuffer, Writer};

use crate::audit_log::subject;
use crate::auditing::{Recorder, Weight};
use crate::context::{Absence, Context};
use crate::fault::Fault;
use crate::port::{Event, Outcome};
use crate::principal::Principal;
use crate::response_room::{Room, too_large};
use crate::service::Service;

/// What a server does with single operations.
#[async_trait]
pub trait Operations: Send + Sync {
    /// Whether the server offers the operation at all: decided before the payload is decoded.
    fn offers(&self, operation: Operation) -> bool;

    /// What a client is told who asks for an operation that is not offered.
    fn refusal(&self, _operation: Operation) -> Fault {
        Fault::operation_not_supported()
    }

    /// Does it.
    async fn handle(&self, context: &mut Context<'_>, request: Request) -> Result<Response, Fault>;

    /// Looks for what items have [left to the batch](Context::look_later): whether each is answered, in their order. An item of
    /// which nothing is said here is refused.
    async fn look(&self, _absences: &[Absence]) -> Vec<Result<(), Fault>> {
        Vec::new()
    }
}

/// How often an item is tried when other requests change the same object in between.
const CONFLICT_ATTEMPTS: usize = 16;

/// Answers a request message.
pub async fn answer(
    operations: &dyn Operations,
    service: &Service,
    principal: &Principal,
    request: &Bytes,
    limits: Limits,
) -> SecretBuffer {
    let message = match RequestMessage::read(request, limits) {
        Ok(message) => message,
        Err(error) => return refuse(error, service.clock.now()),
    };
    if let Err(fault) = judge_header(&message.header, service) {
        return refuse_message(&message.header, &fault, service.clock.now());
    }
    let recorder = Recorder::new(service, principal, limits, &message.header);
    let mut batch = Batch {
        operations,
        service,
        principal,
        limits,
        header: &message.header,
        recorder: &recorder,
        held: Vec::new(),
        traces: Vec::new(),
    };
    let items = batch.run(&message.items).await;
    let mut header = response_header(&message.header, items.len(), service.clock.now());
    // Clients that did not send a correlation value cannot decode one.
    if header.client_correlation_value.is_some() {
        header.server_correlation_value = Some(recorder.server_correlation_value().clone());
    }
    respond(header, items, service.settings.maximum_response_bytes)
}

/// Answers a message that cannot be read, in its own version as far as that can be told.
pub fn refuse(error: MessageError, now: DateTime) -> SecretBuffer {
    let version = error.version.map_or(V1_0, nearest_supported);
    let header = RequestHeader::new(version, 1);
    let reason = match error.error.kind {
        kmip_ttlv::ErrorKind::MessageTooLarge => ResultReason::ServerLimitExceeded,
        _ => ResultReason::InvalidMessage,
    };
    refuse_message(&header, &Fault::new(reason, error.error.to_string()), now)
}

/// Answers a message of somebody who is nobody here: the certificate is good, but names no tenant.
pub fn deny(request: &Bytes, limits: Limits, now: DateTime) -> SecretBuffer {
    match RequestMessage::read(request, limits) {
        Ok(message) => {
            let fault = Fault::permission_denied("the client certificate names no tenant");
            refuse_message(&message.header, &fault, now)
        }
        Err(error) => refuse(error, now),
    }
}

/// The version to answer in: the message's, or the nearest one that the server speaks.
fn nearest_supported(version: Version) -> Version {
    let not_above = SUPPORTED.iter().find(|supported| **supported <= version);
    not_above.copied().unwrap_or(V1_0)
}

fn refuse_message(header: &RequestHeader, fault: &Fault, now: DateTime) -> SecretBuffer {
    let message = ByteString::from(fault.message.as_ref());
    let items = vec![ResponseBatchItem::failure(None, fault.reason, message)];
    respond(response_header(header, items.len(), now), items, usize::MAX)
}

/// Refuses what the header asks for and the server cannot give.
fn judge_header(header: &RequestHeader, service: &Service) -> Result<(), Fault> {
    if !header.protocol_version.is_supported() {
        let message = "this version of the protocol is not supported; Discover Versions tells which ones are";
        return Err(Fault::new(ResultReason::UnsupportedProtocolVersion, message));
    }
    let batch_count = usize::try_from(header.batch_count).unwrap_or(usize::MAX);
    if batch_count > service.settings.maximum_batch_items {
        let message = format!("a batch may have {} items at most", service.settings.maximum_batch_items);
        return Err(Fault::new(ResultReason::ServerLimitExceeded, message));
    }
    if header.maximum_response_size.is_some_and(|size| size < 0) {
        return Err(Fault::invalid_field("Maximum Response Size is negative"));
    }
    match &header.asynchronous_indicator {
        Some(indicator) if indicator.0 == AsynchronousIndicator::Mandatory => {
            Err(Fault::feature_not_supported("operations are answered at once, never asynchronously"))
        }
        _ => Ok(()),
    }
}

struct Batch<'a> {
    operations: &'a dyn Operations,
    service: &'a Service,
    principal: &'a Principal,
    limits: Limits,
    header: &'a RequestHeader,
    recorder: &'a Recorder<'a>,
    /// The changes of a batch that commits as a whole, to be recorded when it has.
    held: Vec<(Operation, Event)>,
    /// What is left to be recorded of each item.
    traces: Vec<Trace>,
}

/// An item, as the audit log is to know it when it is known what the client is answered.
#[derive(Default)]
struct Trace {
    /// The keys of the vault that it has used.
    vault_keys: Vec<ByteString>,
    /// What it was about, unless that is of no interest.
    subject: Option<(Operation, Option<ByteString>)>,
    /// A use, or a failure. Changes are recorded when they are made.
    event: Option<Event>,
    /// What must not be there when all items are done.
    absences: Vec<Absence>,
}

impl Batch<'_> {
    async fn run(&mut self, items: &[RequestBatchItem]) -> Vec<ResponseBatchItem> {
        let mut answers = self.run_items(items).await;
        self.look(&mut answers).await;
        let mut withheld = self.withhold(&mut answers);
        withheld.retain(|index| self.traces.get(*index).is_some_and(|trace| trace.event.is_none()));
        self.record_answers(&mut answers).await;
        // That may have taken its time, and nothing is answered under a lease that has ended: this look is the one that counts. The
        // one before is there for the log, which shall not tell of a success where there was none.
        withheld.extend(self.withhold(&mut answers));
        // Of these the log says something else already.
        for index in withheld {
            let subject = self.traces.get_mut(index).and_then(|trace| trace.subject.take());
            if let Some((operation, object)) = subject
                && let Err(fault) = self.recorder.record_withheld(operation, object).await
            {
                tracing::warn!(reason = %fault.reason, "what was withheld could not be recorded");
            }
        }
        answers
    }

    /// Refuses the items of which something is there that must not be. For all together, after they are done, and before any is
    /// recorded or answered.
    async fn look(&mut self, answers: &mut [ResponseBatchItem]) {
        let (mut absences, mut places) = (Vec::new(), Vec::new());
        for (place, trace) in self.traces.iter_mut().enumerate() {
            places.extend(trace.absences.iter().map(|_| place));
            absences.append(&mut trace.absences);
        }
        if absences.is_empty() {
            return;
        }
        let mut looked = self.operations.look(&absences).await.into_iter();
        for place in places {
            let unlooked = || Err(Fault::general_failure("it was not looked for what must not be there"));
            if let Err(fault) = looked.next().unwrap_or_else(unlooked) {
                answers[place] = fail_item(&answers[place], &fault);
            }
        }
    }

    /// Takes back the answers that were made with keys which may not be used any more; returns which.
    fn withhold(&self, answers: &mut [ResponseBatchItem]) -> Vec<usize> {
        let mut withheld = Vec::new();
        for (index, (answer, trace)) in answers.iter_mut().zip(&self.traces).enumerate() {
            let may_use = |key: &ByteString| self.service.sealer.may_use(key);
            if answer.result_status == ResultStatus::Success && !trace.vault_keys.iter().all(may_use) {
                *answer = fail_item(answer, &revoked_meanwhile());
                withheld.push(index);
            }
        }
        withheld
    }

    /// Records uses as they are answered. What cannot be recorded is not answered.
    async fn record_answers(&mut self, answers: &mut [ResponseBatchItem]) {
        let failure = answers.iter().rev().find_map(|answer| answer.result_reason);
        for (answer, trace) in answers.iter_mut().zip(&mut self.traces) {
            let Some((operation, _)) = trace.subject else { continue };
            let Some(mut event) = trace.event.take() else { continue };
            if event.outcome == Outcome::Success && answer.result_status != ResultStatus::Success {
                // One that was undone failed for what another one did.
                let reason = answer.result_reason.or(failure).unwrap_or(ResultReason::GeneralFailure);
                event.outcome = Outcome::Failure(reason);
            }
            if let Err(fault) = self.recorder.record(operation, event).await {
                *answer = fail_item(answer, &fault);
            }
        }
    }

    /// Runs the items; all of them again where the batch commits as a whole and others changed the same objects first.
    async fn run_items(&mut self, items: &[RequestBatchItem]) -> Vec<ResponseBatchItem> {
        let option =
            self.header.batch_error_continuation_option.unwrap_or(BatchErrorContinuationOption::Stop);
        // An Undo batch commits as a whole; so does nothing of one that fails.
        let commits_each = option != BatchErrorContinuationOption::Undo || items.len() == 1;
        let mut attempt = 0;
        loop {
            let mut context = Context::new(self.service, self.principal, self.header.protocol_version);
            context.commits_each = commits_each;
            context.goes_on = option == BatchErrorContinuationOption::Continue;
            context.recorder = Some(self.recorder);
            context.client_correlation_value = self.header.client_correlation_value.clone();
            self.traces = Vec::with_capacity(items.len());
            let (mut answers, is_undone) = self.try_items(&mut context, items, option).await;
            if commits_each || is_undone {
                return answers;
            }
            attempt += 1;
            let may_repeat = context.is_repeatable && attempt < CONFLICT_ATTEMPTS;
            match self.commit_whole(&mut context, may_repeat).await {
                Ok(()) => return answers,
                Err(fault) if fault.conflict && may_repeat => (),
                Err(fault) => {
                    for answer in &mut answers {
                        *answer = fail_item(answer, &fault);
                    }
                    return answers;
                }
            }
        }
    }

    /// Runs the items once. Returns the answers, and whether they were undone because one failed.
    async fn try_items(
        &mut self,
        context: &mut Context<'_>,
        items: &[RequestBatchItem],
        option: BatchErrorContinuationOption,
    ) -> (Vec<ResponseBatchItem>, bool) {
        let mut room = Room::new(self.header, items, self.service.settings.maximum_response_bytes);
        let mut answers: Vec<ResponseBatchItem> = Vec::with_capacity(items.len());
        for item in items {
            self.traces.push(Trace::default());
            let outcome = self.run_item(context, item, &mut room).await;
            if let Some(trace) = self.traces.last_mut() {
                trace.vault_keys = context.take_vault_keys();
                trace.absences = context.take_absences();
                // For what has failed nothing needs to be looked for.
                trace.absences.retain(|_| outcome.is_ok());
            }
            if items.len() > 1 {
                context.placeholders.remember(outcome.as_ref().ok());
            }
            let failed = outcome.is_err();
            answers.push(answer_item(item, outcome));
            if failed && option == BatchErrorContinuationOption::Undo {
                undo(&mut answers);
                self.record_undone(answers.last().and_then(|failed| failed.result_reason)).await;
                return (answers, true);
            }
            if failed && option == BatchErrorContinuationOption::Stop {
                break;
            }
        }
        (answers, false)
    }

    /// Commits a batch that does so as a whole, and records it.
    async fn commit_whole(&mut self, context: &mut Context<'_>, may_repeat: bool) -> Result<(), Fault> {
        if let Err(fault) = self.commit_intended(context).await {
            if fault.conflict && may_repeat {
                // It is tried again. What was intended has come to nothing, and the rest has not been recorded.
                self.held.retain(|(operation, _)| Weight::of(*operation) == Weight::Irrevocable);
            }
            self.record_undone(Some(fault.reason)).await;
            return Err(fault);
        }
        let mut recorded = Ok(());
        for (operation, event) in self.held.drain(..) {
            recorded = recorded.and(self.recorder.record(operation, event).await);
        }
        recorded
    }

    async fn commit_intended(&self, context: &mut Context<'_>) -> Result<(), Fault> {
        for (operation, event) in &self.held {
            if Weight::of(*operation) == Weight::Irrevocable {
                self.service.audit.record(Event { outcome: Outcome::Intent, ..event.clone() }).await?;
            }
        }
        context.commit().await
    }

    /// Records that what was held came to nothing.
    async fn record_undone(&mut self, reason: Option<ResultReason>) {
        let outcome = Outcome::Failure(reason.unwrap_or(ResultReason::GeneralFailure));
        for (operation, event) in self.held.drain(..) {
            // Nothing was changed, and the client is told of a failure already.
            if let Err(fault) = self.recorder.record(operation, Event { outcome, ..event }).await {
                tracing::warn!(reason = %fault.reason, "what was undone could not be recorded");
            }
        }
    }

    async fn run_item(
        &mut self,
        context: &mut Context<'_>,
        item: &RequestBatchItem,
        room: &mut Room,
    ) -> Result<Response, Fault> {
        let commit = context.commits_each;
        let operation = match self.route(item) {
            Ok(operation) => operation,
            Err(fault) => {
                self.recorder.refused(item, &fault).await?;
                return Err(fault);
            }
        };
        self.recorder.judge(operation)?;
        let outcome = self.attempt(context, operation, item, commit, room).await;
        let Some(event) = self.recorder.outcome(context, item, operation, &outcome) else { return outcome };
        let is_change = outcome.is_ok() && Weight::of(operation) >= Weight::Change;
        let subject = Some((operation, event.unique_identifier.clone()));
        let event = match (is_change, commit) {
            (true, true) => {
                self.recorder.record(operation, event).await?;
                None
            }
            (true, false) => {
                self.held.push((operation, event));
                None
            }
            (false, _) => Some(event),
        };
        if let Some(trace) = self.traces.last_mut() {
            (trace.subject, trace.event) = (subject, event);
        }
        outcome
    }

    /// Decides about an item by its operation alone.
    fn route(&self, item: &RequestBatchItem) -> Result<Operation, Fault> {
        let known = Operation::from_value(item.operation)
            .filter(|operation| operation.since().knows(self.header.protocol_version));
        if item.message_extensions.iter().any(|extension| extension.criticality_indicator) {
            let message = "a message extension that is marked as critical is not known here";
            return Err(Fault::new(ResultReason::UnknownMessageExtension, message));
        }
        match known {
            Some(operation) if self.operations.offers(operation) => Ok(operation),
            Some(operation) => Err(self.operations.refusal(operation)),
            None => Err(Fault::operation_not_supported()),
        }
    }

    /// Does the operation, again where another request changed the same object first.
    async fn attempt(
        &self,
        context: &mut Context<'_>,
        operation: Operation,
        item: &RequestBatchItem,
        commit: bool,
        room: &mut Room,
    ) -> Result<Response, Fault> {
        let version = self.header.protocol_version;
        let is_to_be_intended = commit && Weight::of(operation) == Weight::Irrevocable;
        context.is_intended = false;
        let mut attempt = 0;
        loop {
            let request =
                item.decode(operation, self.limits, version).unwrap_or(Err(unreachable_payload()))?;
            let mark = context.mark();
            let mut outcome = self.operations.handle(context, request).await.and_then(|response| {
                // Before anything is committed: what is not answered has not happened.
                if !response.is_known(version) {
                    return Err(unspeakable());
                }
                room.measure(item, &response).map(|taken| (response, taken))
            });
            if let Ok((response, _)) = &outcome
                && is_to_be_intended
                && !context.is_intended
            {
                match self.recorder.intend(operation, subject::answered(response)).await {
                    Ok(()) => context.is_intended = true,
                    Err(fault) => outcome = Err(fault),
                }
            }
            if outcome.is_ok() && commit {
                outcome = match context.commit().await {
                    Ok(()) => outcome,
                    Err(fault) => Err(fault),
                };
            }
            attempt += 1;
            match outcome {
                Err(fault) => {
                    context.back_to(mark);
                    if !fault.conflict || attempt == CONFLICT_ATTEMPTS {
                        return Err(fault);
                    }
                }
                Ok((response, taken)) => {
                    room.take(taken);
                    return Ok(response);
                }
            }
        }
    }
}

fn unreachable_payload() -> kmip_ttlv::Error {
    kmip_ttlv::Error { kind: kmip_ttlv::ErrorKind::InvalidValue, offset: 0, tag: None }
}

/// The object has a type, format or algorithm that is younger than the client's version.
fn unspeakable() -> Fault {
    Fault::feature_not_supported("the answer cannot be expressed in this version of the protocol")
}

fn answer_item(item: &RequestBatchItem, outcome: Result<Response, Fault>) -> ResponseBatchItem {
    let mut answer = match outcome {
        Ok(response) => ResponseBatchItem::success(response),
        Err(fault) => {
            ResponseBatchItem::failure(None, fault.reason, ByteString::from(fault.message.as_ref()))
        }
    };
    answer.operation = Some(item.operation);
    answer.unique_batch_item_id = item.unique_batch_item_id.clone();
    answer
}

/// Marks the items before the failed one as undone. They keep payloads that name objects (case BL-M-2-21), but not what
/// an operation has computed or shown: its use of a limited key is not counted.
fn undo(answers: &mut [ResponseBatchItem]) {
    if let Some((_, before)) = answers.split_last_mut() {
        for answer in before {
            answer.result_status = ResultStatus::OperationUndone;
            answer.payload = answer.payload.take().filter(names_objects_only);
        }
    }
}

fn names_objects_only(response: &Response) -> bool {
    matches!(
        response,
        Response::Activate(_)
            | Response::AddAttribute(_)
            | Response::Check(_)
            | Response::Create(_)
            | Response::CreateKeyPair(_)
            | Response::DeleteAttribute(_)
            | Response::Destroy(_)
            | Response::GetAttributeList(_)
            | Response::GetAttributes(_)
            | Response::Locate(_)
            | Response::ModifyAttribute(_)
            | Response::Register(_)
            | Response::Revoke(_)
            | Response::SetAttribute(_)
    )
}

/// The failure of an item that had an answer already.
fn fail_item(answer: &ResponseBatchItem, fault: &Fault) -> ResponseBatchItem {
    let message = ByteString::from(fault.message.as_ref());
    let mut failed = ResponseBatchItem::failure(answer.operation, fault.reason, message);
    failed.unique_batch_item_id = answer.unique_batch_item_id.clone();
    failed
}

/// The answer was made with a key of the vault that may no longer be used: it is not given.
fn revoked_meanwhile() -> Fault {
    Fault::permission_denied("the root key of the object was revoked or its lease has ended")
}

/// Writes the response. One item that was not measured before may turn out to be too large here; of several, each was judged.
fn respond(header: ResponseHeader, items: Vec<ResponseBatchItem>, maximum: usize) -> SecretBuffer {
    let mut response = ResponseMessage { header, items };
    let mut writer = Writer::with_capacity(RESPONSE_CAPACITY_BYTES);
    response.write(&mut writer);
    if writer.len() <= maximum {
        return writer.finish();
    }
    if let [only] = &mut response.items[..] {
        *only = fail_item(only, &too_large());
    }
    let mut writer = Writer::with_capacity(RESPONSE_CAPACITY_BYTES);
    response.write(&mut writer);
    writer.finish()
}

/// Room for the response to a Get, so that it is written without growing.
const RESPONSE_CAPACITY_BYTES: usize = 512;

fn response_header(request: &RequestHeader, batch_count: usize, now: DateTime) -> ResponseHeader {
    ResponseHeader {
        protocol_version: nearest_supported(request.protocol_version),
        time_stamp: now,
        nonce: None,
        server_hashed_password: None,
        attestation_types: Vec::new(),
        // Clients that did not send one cannot decode one.
        client_correlation_value: request.client_correlation_value.clone(),
        server_correlation_value: None,
        batch_count: i32::try_from(batch_count).unwrap_or(i32::MAX),
    }
}
