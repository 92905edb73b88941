//! Events on their way to the writer. Putting one in costs a moment: what is dear, such as encoding and hashing, the writer does.
//!
//! Whoever waits for an event wakes the writer at once. What nobody waits for is gathered for a while first, so that a busy server
//! does not wake a thread for each use of a key.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, oneshot};

use super::error::LogError;
use crate::port::{AuditError, Event};

/// Events, and what else the writer is asked for.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    woken: Condvar,
    places: Semaphore,
    maximum_waiting: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Waiting>,
    requests: Vec<Request>,
    urgent: bool,
    closed: bool,
}

/// An event that is to be remembered.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) event: Event,
    /// Who waits for it.
    pub(super) reply: Option<oneshot::Sender<Result<u64, AuditError>>>,
    /// Whether it is kept where it cannot be made durable.
    pub(super) is_kept: bool,
}

/// What else is asked of the writer. It comes to it after the events that were there before.
#[derive(Debug)]
pub(super) enum Request {
    /// Publish the log as it is.
    Publish(oneshot::Sender<Result<(), LogError>>),
    /// Open the file of OpenTelemetry records again.
    Reopen,
}

/// What the writer has taken beside events.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) requests: Vec<Request>,
    /// Whether nothing more will come.
    pub(super) closed: bool,
}

impl Queue {
    /// A queue of up to `maximum_waiting` events.
    pub(super) fn new(maximum_waiting: usize) -> Self {
        let maximum_waiting = maximum_waiting.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            state: Mutex::default(),
            woken: Condvar::new(),
            places: Semaphore::new(maximum_waiting),
            maximum_waiting,
        }
    }

    /// Puts an event in, waiting for a place where there is none. False if the writer has ended.
    pub(super) async fn put(&self, waiting: Waiting) -> bool {
        match self.places.try_acquire() {
            Ok(place) => place.forget(),
            Err(_) => match self.places.acquire().await {
                Ok(place) => place.forget(),
                Err(_) => return false,
            },
        }
        let mut state = self.state();
        if state.closed {
            return false;
        }
        let is_urgent = waiting.reply.is_some() || state.waiting.len() >= self.maximum_waiting / 2;
        state.waiting.push(waiting);
        let wakes = (is_urgent && !state.urgent) || state.waiting.len() == 1;
        state.urgent |= is_urgent;
        drop(state);
        if wakes {
            self.woken.notify_one();
        }
        true
    }

    /// Asks for something. False if the writer has ended.
    pub(super) fn ask(&self, request: Request) -> bool {
        let mut state = self.state();
        if state.closed {
            return false;
        }
        state.requests.push(request);
        drop(state);
        self.woken.notify_one();
        true
    }

    /// Nothing more comes: the writer ends when it has done what is there.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.places.close();
        self.woken.notify_one();
    }

    /// Events that wait.
    pub(super) fn length(&self) -> usize {
        self.maximum_waiting.saturating_sub(self.places.available_permits())
    }

    /// Takes all that is there into `waiting`, which is empty. Waits until there is something, or until `until`.
    pub(super) fn take(
        &self,
        waiting: &mut Vec<Waiting>,
        gathering: Duration,
        until: Option<Instant>,
    ) -> Taken {
        let mut state = self.state();
        let mut gathered = None;
        while !state.urgent && !state.closed && state.requests.is_empty() {
            let now = Instant::now();
            let gathered =
                (!state.waiting.is_empty()).then(|| *gathered.get_or_insert_with(|| now + gathering));
            state = match gathered.into_iter().chain(until).min() {
                Some(deadline) if deadline <= now => break,
                Some(deadline) => {
                    let waited = self.woken.wait_timeout(state, deadline - now);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.woken.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        state.urgent = false;
        std::mem::swap(&mut state.waiting, waiting);
        Taken { requests: std::mem::take(&mut state.requests), closed: state.closed }
    }

    /// Gives the places of events back that are durable, or refused.
    pub(super) fn release(&self, places: usize) {
        self.places.add_permits(places);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
