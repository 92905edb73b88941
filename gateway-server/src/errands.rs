//! What waits to be done by the Core: a line for each tenant, served in turn.
//!
//! Errands that arrive together travel together, but a message carries those of one tenant: a tenant whose root is slow, whose
//! objects are large or whose applications are many keeps its own applications waiting, and no others.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytestring::ByteString;
use key_service::port::SealerError;
use kmip_protocol::enumeration::{ResultReason, ResultStatus};
use kmip_protocol::message::ResponseBatchItem;
use kmip_protocol::operation::{Request, Response};
use tokio::sync::{Notify, oneshot};

use crate::core_client::{CoreLink, SendError, refusal};

/// Errands that wait at most, of all tenants and of one; more are refused at once.
const MAXIMUM_WAITING: usize = 4096;
const MAXIMUM_WAITING_PER_TENANT: usize = 1024;

/// What an errand takes in a message besides its data: identifiers, the binding, tags and lengths.
const ERRAND_BYTES: usize = 512;

/// How much travels at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Errands in one message.
    pub(crate) items: usize,
    /// Bytes in one message. An errand that is larger travels alone.
    pub(crate) bytes: usize,
    /// Messages under way.
    pub(crate) messages: usize,
    /// Of these, messages of one tenant.
    pub(crate) messages_per_tenant: usize,
}

/// Takes errands to the Core.
pub(crate) struct Errands {
    counter: Arc<Counter>,
}

impl Errands {
    /// Starts the messengers. They end when this is dropped.
    pub(crate) fn start(link: &Arc<CoreLink>, bounds: Bounds) -> Self {
        let counter = Arc::new(Counter { lines: Mutex::new(Lines::new(bounds)), ready: Notify::new() });
        for _ in 0..bounds.messages.max(1) {
            tokio::spawn(run(link.clone(), counter.clone()));
        }
        Self { counter }
    }

    /// Has the Core do something that carries about `bytes` of data, for a tenant.
    pub(crate) async fn ask(
        &self,
        tenant: &str,
        bytes: usize,
        request: impl Into<Request>,
    ) -> Result<Response, SealerError> {
        let (answer, answered) = oneshot::channel();
        let errand = Errand { request: request.into(), bytes: bytes + ERRAND_BYTES, answer };
        if !self.counter.lines().push(tenant, errand) {
            return Err(SealerError::Unavailable("too many requests wait for the Core".to_owned()));
        }
        self.counter.ready.notify_one();
        let gone = || Err(SealerError::Unavailable("the Gateway is shutting down".to_owned()));
        answered.await.unwrap_or_else(|_| gone())
    }
}

impl Drop for Errands {
    fn drop(&mut self) {
        self.counter.lines().is_closed = true;
        self.counter.ready.notify_waiters();
        self.counter.ready.notify_one();
    }
}

struct Counter {
    lines: Mutex<Lines<Errand>>,
    ready: Notify,
}

impl Counter {
    fn lines(&self) -> MutexGuard<'_, Lines<Errand>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Errand {
    request: Request,
    bytes: usize,
    answer: oneshot::Sender<Result<Response, SealerError>>,
}

/// What waits in a line.
trait Waiting {
    fn bytes(&self) -> usize;
}

impl Waiting for Errand {
    fn bytes(&self) -> usize {
        self.bytes
    }
}

/// The lines of tenants, and whose turn it is.
struct Lines<E> {
    bounds: Bounds,
    tenants: HashMap<ByteString, Line<E>>,
    /// Those who have something waiting and may send it now.
    turns: VecDeque<ByteString>,
    waiting: usize,
    is_closed: bool,
}

struct Line<E> {
    waiting: VecDeque<E>,
    messages: usize,
    has_turn: bool,
}

impl<E: Waiting> Lines<E> {
    fn new(bounds: Bounds) -> Self {
        Self { bounds, tenants: HashMap::new(), turns: VecDeque::new(), waiting: 0, is_closed: false }
    }

    /// Lines an errand up; returns whether there was room.
    fn push(&mut self, tenant: &str, errand: E) -> bool {
        if self.waiting >= MAXIMUM_WAITING {
            return false;
        }
        if !self.tenants.contains_key(tenant) {
            let line = Line { waiting: VecDeque::new(), messages: 0, has_turn: false };
            self.tenants.insert(ByteString::from(tenant), line);
        }
        let Some(line) = self.tenants.get_mut(tenant) else { return false };
        if line.waiting.len() >= MAXIMUM_WAITING_PER_TENANT {
            return false;
        }
        line.waiting.push_back(errand);
        self.waiting += 1;
        self.settle(tenant);
        true
    }

    /// The next message: whose, and what.
    fn take(&mut self) -> Option<(ByteString, Vec<E>)> {
        let tenant = self.turns.pop_front()?;
        let line = self.tenants.get_mut(&tenant)?;
        line.has_turn = false;
        let (mut errands, mut bytes) = (Vec::new(), 0);
        while errands.len() < self.bounds.items.max(1)
            && let Some(next) = line.waiting.front()
            && (errands.is_empty() || bytes + next.bytes() <= self.bounds.bytes)
            && let Some(next) = line.waiting.pop_front()
        {
            bytes += next.bytes();
            errands.push(next);
        }
        self.waiting -= errands.len();
        line.messages += 1;
        self.settle(&tenant);
        Some((tenant, errands))
    }

    /// A message of the tenant was answered.
    fn done(&mut self, tenant: &str) {
        if let Some(line) = self.tenants.get_mut(tenant) {
            line.messages -= 1;
            self.settle(tenant);
        }
    }

    /// Gives a tenant its next turn, if it has something to send and may; forgets it if it has nothing at all.
    fn settle(&mut self, tenant: &str) {
        let Some((tenant, line)) = self.tenants.get_key_value(tenant) else { return };
        let tenant = tenant.clone();
        if line.waiting.is_empty() && line.messages == 0 {
            self.tenants.remove(&tenant);
        } else if !line.waiting.is_empty()
            && !line.has_turn
            && line.messages < self.bounds.messages_per_tenant.max(1)
            && let Some(line) = self.tenants.get_mut(&tenant)
        {
            line.has_turn = true;
            self.turns.push_back(tenant);
        }
    }
}

/// Takes what is waiting, message by message, until nobody is left to ask.
async fn run(link: Arc<CoreLink>, counter: Arc<Counter>) {
    loop {
        let ready = counter.ready.notified();
        let (next, has_more, is_closed) = {
            let mut lines = counter.lines();
            (lines.take(), !lines.turns.is_empty(), lines.is_closed)
        };
        if has_more || is_closed {
            counter.ready.notify_one();
        }
        match next {
            Some((tenant, errands)) => {
                deliver(&link, errands).await;
                counter.lines().done(&tenant);
            }
            None if is_closed => return,
            None => ready.await,
        }
    }
}

async fn deliver(link: &CoreLink, errands: Vec<Errand>) {
    let (requests, answers): (Vec<_>, Vec<_>) =
        errands.into_iter().map(|errand| (errand.request, errand.answer)).unzip();
    match link.send(&requests).await {
        Ok(items) => {
            for ((item, answer), request) in items.into_iter().zip(answers).zip(&requests) {
                let outcome = if requests.len() > 1 && is_too_large(&item) {
                    alone(link, request).await
                } else {
                    outcome(item)
                };
                // Whoever asked may have gone: nobody is left to tell.
                let _ = answer.send(outcome);
            }
        }
        // One of them may have spoiled the message: the others are not to suffer for it.
        Err(SendError::Refused(_)) if requests.len() > 1 => {
            for (request, answer) in requests.iter().zip(answers) {
                let _ = answer.send(alone(link, request).await);
            }
        }
        Err(error) => {
            let error = SealerError::from(error);
            for answer in answers {
                let _ = answer.send(Err(error.clone()));
            }
        }
    }
}

async fn alone(link: &CoreLink, request: &Request) -> Result<Response, SealerError> {
    let items = link.send(std::slice::from_ref(request)).await?;
    let nothing = || SealerError::Unavailable("the Core answered nothing".to_owned());
    items.into_iter().next().ok_or_else(nothing).and_then(outcome)
}

fn is_too_large(item: &ResponseBatchItem) -> bool {
    item.result_reason == Some(ResultReason::ResponseTooLarge)
}

fn outcome(item: ResponseBatchItem) -> Result<Response, SealerError> {
    match item.payload {
        Some(payload) if item.result_status == ResultStatus::Success => Ok(payload),
        _ => Err(refusal(&item)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    impl Waiting for usize {
        fn bytes(&self) -> usize {
            *self
        }
    }

    fn lines() -> Lines<usize> {
        Lines::new(Bounds { items: 4, bytes: 100, messages: 4, messages_per_tenant: 2 })
    }

    fn next(lines: &mut Lines<usize>) -> Option<(String, Vec<usize>)> {
        lines.take().map(|(tenant, errands)| (tenant.to_string(), errands))
    }

    #[test]
    fn a_message_is_cut_by_items_and_by_bytes_and_a_large_errand_travels_alone() {
        let mut lines = lines();
        for bytes in [10, 20, 30, 40, 50, 500, 10, 60, 60] {
            assert!(lines.push("acme", bytes));
        }
        let mut messages = Vec::new();
        while let Some((tenant, errands)) = next(&mut lines) {
            messages.push(errands);
            lines.done(&tenant);
        }
        assert_eq!(messages, [vec![10, 20, 30, 40], vec![50], vec![500], vec![10, 60], vec![60]]);
        assert!(lines.tenants.is_empty() && lines.waiting == 0);
    }

    #[test]
    fn a_tenant_with_many_errands_leaves_every_other_turn_to_others() {
        let mut lines = lines();
        (0..MAXIMUM_WAITING_PER_TENANT).for_each(|_| assert!(lines.push("greedy", 1)));
        assert!(!lines.push("greedy", 1), "its line has an end");
        assert!(lines.push("acme", 1) && lines.push("globex", 1));
        let order: Vec<String> = (0..4).map(|_| next(&mut lines).unwrap().0).collect();
        assert_eq!(order, ["greedy", "acme", "globex", "greedy"]);
    }

    #[test]
    fn a_tenant_whose_messages_are_not_answered_leaves_messengers_to_others() {
        let mut lines = lines();
        (0..100).for_each(|_| assert!(lines.push("slow", 1)));
        assert!(next(&mut lines).is_some() && next(&mut lines).is_some());
        assert_eq!(next(&mut lines), None, "it has all that it may have under way");
        assert!(lines.push("acme", 1));
        assert_eq!(next(&mut lines).unwrap().0, "acme");
        lines.done("slow");
        assert_eq!(next(&mut lines).unwrap().0, "slow");
    }
}
