//! What waits to be done by the Core: a line for each tenant, served in turn.
//!
//! Errands that arrive together travel together, but a message carries those of one tenant: a tenant whose root is slow, whose
//! objects are large or whose applications are many keeps its own applications waiting, and no others.
//!
//! * A line is bounded. Where all lines together are too long, the longest one gives way: nobody is turned away for what others do.
//! * A tenant begins with one message under way, and may have more as long as they are answered quickly: one whose root is slow
//!   occupies one messenger, not all of them. All tenants whose last message took more than a second occupy half of them at most.
//! * An errand that was not done in time is given up, wherever it is then.

mod lines;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytestring::ByteString;
use key_service::port::SealerError;
use kmip_protocol::enumeration::{ResultReason, ResultStatus};
use kmip_protocol::message::ResponseBatchItem;
use kmip_protocol::operation::{Request, Response};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use self::lines::{Lines, TurnedAway, Waiting};
use crate::config::CoreConfig;
use crate::core_client::{Answers, CoreLink, SendError, refusal};

/// What an errand takes in a message besides its data: identifiers, the binding, tags and lengths.
const ERRAND_BYTES: usize = 512;

/// How much travels at once, and how much waits.
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
    /// Errands that wait.
    pub(crate) waiting: usize,
    /// Of these, errands of one tenant.
    pub(crate) waiting_per_tenant: usize,
    /// How long an errand may take, its time in the line included.
    pub(crate) patience: Duration,
}

/// Messages with tombstones that are under way, ...
const BURIAL_MESSAGES: usize = 12;

/// ... of these, messages of one tenant, ...
const BURIAL_MESSAGES_PER_TENANT: usize = 4;

/// ... and tombstones in one of them: the Core commits one after the other, and those of several messages together.
const BURIALS_PER_MESSAGE: usize = 8;

/// Connections to the Core that are not for messages of [`CoreConfig::concurrent_messages`]: tombstones, and shredding.
pub(crate) const OTHER_CONNECTIONS: usize = BURIAL_MESSAGES + 2;

impl Bounds {
    /// As the operator chose.
    pub(crate) fn of(config: &CoreConfig) -> Self {
        Self {
            items: config.maximum_batch_items,
            bytes: config.maximum_batch_bytes,
            messages: config.concurrent_messages,
            messages_per_tenant: config.concurrent_messages_per_tenant,
            waiting: config.maximum_waiting,
            waiting_per_tenant: config.maximum_waiting_per_tenant,
            patience: config.client.request_timeout,
        }
    }

    /// The same for tombstones.
    pub(crate) fn of_burials(self) -> Self {
        let (messages, messages_per_tenant) = (BURIAL_MESSAGES, BURIAL_MESSAGES_PER_TENANT);
        Self { items: BURIALS_PER_MESSAGE.min(self.items), messages, messages_per_tenant, ..self }
    }
}

/// What is counted.
#[derive(Clone, Default)]
struct Metrics {
    waiting: Gauge,
    tenants: Gauge,
    messages: Gauge,
    turned_away: Counter,
    given_up: Counter,
}

impl Metrics {
    fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let Self { waiting, tenants, messages, turned_away, given_up } = metrics.clone();
        registry.register("waiting", "Requests that wait to be sent to the Core", waiting);
        registry.register(
            "tenants",
            "Tenants that have requests waiting, or under way, to the Core",
            tenants,
        );
        registry.register("messages", "Messages under way to the Core", messages);
        let help = "Requests that were refused because the line of their tenant to the Core is full";
        registry.register("turned_away", help, turned_away);
        registry.register("given_up", "Requests that the Core did not answer in time", given_up);
        metrics
    }
}

/// Takes errands to the Core.
pub(crate) struct Errands {
    desk: Arc<Desk>,
    patience: Duration,
}

impl Errands {
    /// Starts the messengers. They end when this is dropped.
    pub(crate) fn start(link: &Arc<CoreLink>, bounds: Bounds, registry: &mut Registry) -> Self {
        let metrics = Metrics::register(registry);
        let desk = Arc::new(Desk { lines: Mutex::new(Lines::new(bounds)), ready: Notify::new(), metrics });
        for _ in 0..bounds.messages.max(1) {
            tokio::spawn(run(link.clone(), desk.clone()));
        }
        Self { desk, patience: bounds.patience }
    }

    /// Has the Core do something that carries about `bytes` of data, for a tenant.
    pub(crate) async fn ask(
        &self,
        tenant: &str,
        bytes: usize,
        request: impl Into<Request>,
    ) -> Result<Response, SealerError> {
        Ok(self.answer_to(tenant, bytes, request).await?.response)
    }

    /// As [`ask`](Self::ask), for those to whom it matters which life of which Core answers.
    pub(crate) async fn answer_to(
        &self,
        tenant: &str,
        bytes: usize,
        request: impl Into<Request>,
    ) -> Result<Answer, SealerError> {
        let (answer, answered) = oneshot::channel();
        let errand = Errand { request: request.into(), bytes: bytes + ERRAND_BYTES, answer };
        self.desk.line_up(tenant, errand);
        let unavailable = |why: &str| Err(SealerError::Unavailable(why.to_owned()));
        match timeout(self.patience, answered).await {
            Ok(answer) => answer.unwrap_or_else(|_| unavailable("the Gateway is shutting down")),
            Err(_) => {
                self.desk.metrics.given_up.inc();
                tracing::debug!(tenant, "a request to the Core is given up");
                unavailable("the Core did not answer in time")
            }
        }
    }
}

impl Drop for Errands {
    fn drop(&mut self) {
        self.desk.lines().is_closed = true;
        self.desk.ready.notify_waiters();
        self.desk.ready.notify_one();
    }
}

/// Where errands line up and messengers take them.
struct Desk {
    lines: Mutex<Lines<Errand>>,
    ready: Notify,
    metrics: Metrics,
}

impl Desk {
    fn line_up(&self, tenant: &str, errand: Errand) {
        let turned_away = {
            let mut lines = self.lines();
            let turned_away = lines.push(tenant, errand);
            self.show(&lines);
            turned_away
        };
        if let Some(TurnedAway { waiting: errand, limit }) = turned_away {
            self.metrics.turned_away.inc();
            tracing::debug!(tenant, limit, "a request to the Core is turned away");
            let _ = errand.answer.send(Err(SealerError::Crowded(limit)));
        }
        self.ready.notify_one();
    }

    fn take(&self) -> Taken {
        let mut lines = self.lines();
        let message = lines.take();
        self.show(&lines);
        Taken { message, has_more: lines.has_more(), is_closed: lines.is_closed }
    }

    fn done(&self, tenant: &str, took: Duration) {
        let mut lines = self.lines();
        lines.done(tenant, took);
        self.show(&lines);
    }

    fn show(&self, lines: &Lines<Errand>) {
        let [waiting, tenants, messages] =
            lines.extent().map(|count| i64::try_from(count).unwrap_or(i64::MAX));
        self.metrics.waiting.set(waiting);
        self.metrics.tenants.set(tenants);
        self.metrics.messages.set(messages);
    }

    fn lines(&self) -> MutexGuard<'_, Lines<Errand>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a messenger is given.
struct Taken {
    /// Whose, and what.
    message: Option<(ByteString, Vec<Errand>)>,
    has_more: bool,
    is_closed: bool,
}

struct Errand {
    request: Request,
    bytes: usize,
    answer: oneshot::Sender<Result<Answer, SealerError>>,
}

/// What has come of an errand.
pub(crate) struct Answer {
    /// Which life of which Core answers, if it says so.
    pub(crate) by: Option<u64>,
    /// The answer.
    pub(crate) response: Response,
}

impl Waiting for Errand {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn is_given_up(&self) -> bool {
        self.answer.is_closed()
    }
}

/// Takes what is waiting, message by message, until nobody is left to ask.
async fn run(link: Arc<CoreLink>, desk: Arc<Desk>) {
    loop {
        let ready = desk.ready.notified();
        let Taken { message, has_more, is_closed } = desk.take();
        if has_more || is_closed {
            desk.ready.notify_one();
        }
        match message {
            Some((tenant, errands)) => {
                let sent = Instant::now();
                deliver(&link, errands).await;
                desk.done(&tenant, sent.elapsed());
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
        Ok(Answers { by, items }) => {
            for ((item, answer), request) in items.into_iter().zip(answers).zip(&requests) {
                let outcome = if requests.len() > 1 && is_too_large(&item) {
                    alone(link, request).await
                } else {
                    outcome(by, item)
                };
                // Whoever asked may have gone: nobody is left to tell.
                let _ = answer.send(outcome);
            }
        }
        // One of them may have spoiled the message: the others are not to suffer for it.
        Err(SendError::Refused(_)) if requests.len() > 1 => {
            for (request, answer) in requests.iter().zip(answers).filter(|(_, answer)| !answer.is_closed()) {
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

async fn alone(link: &CoreLink, request: &Request) -> Result<Answer, SealerError> {
    let Answers { by, items } = link.send(std::slice::from_ref(request)).await?;
    let nothing = || SealerError::Unavailable("the Core answered nothing".to_owned());
    items.into_iter().next().ok_or_else(nothing).and_then(|item| outcome(by, item))
}

fn is_too_large(item: &ResponseBatchItem) -> bool {
    item.result_reason == Some(ResultReason::ResponseTooLarge)
}

fn outcome(by: Option<u64>, item: ResponseBatchItem) -> Result<Answer, SealerError> {
    match item.payload {
        Some(response) if item.result_status == ResultStatus::Success => Ok(Answer { by, response }),
        _ => Err(refusal(&item)),
    }
}
