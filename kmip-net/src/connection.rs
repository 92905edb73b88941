//! One connection as a handler sees it, and the way to reach the peer once roles are reversed.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use kmip_ttlv::SecretBuffer;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::{Identity, Peer};

/// Pushes that may wait for one connection; further callers of [`Pusher::request`] wait in turn.
const WAITING_PUSHES: usize = 64;

/// A connection whose peer is verified and identified.
pub struct Connection {
    id: u64,
    peer: Peer,
    identity: Identity,
    reversed: AtomicBool,
    ended: AtomicBool,
    pushes: Mutex<Pushes>,
}

/// Most connections never push: the channel is made on demand.
#[derive(Default)]
struct Pushes {
    pusher: Option<mpsc::WeakSender<Push>>,
    receiver: Option<mpsc::Receiver<Push>>,
}

/// A message on its way to the peer, and where its answer goes.
pub(crate) struct Push {
    pub(crate) message: SecretBuffer,
    pub(crate) answer: oneshot::Sender<Result<Bytes, PushError>>,
}

/// Sends requests to the peer of a reversed connection (KMIP 2.1, 6.1.54, Set Endpoint Role). May outlive the connection.
#[derive(Clone)]
pub struct Pusher {
    connection_id: u64,
    sender: mpsc::Sender<Push>,
}

/// Why a push has no answer. The peer may have acted on it, except after `Closed` on a connection never reversed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PushError {
    /// The connection ended before the answer came.
    #[error("the connection has ended")]
    Closed,
    /// The peer did not answer in time. The connection is closed.
    #[error("the peer did not answer in time")]
    TimedOut,
}

impl Connection {
    pub(crate) fn new(id: u64, peer: Peer, identity: Identity) -> Self {
        Self {
            id,
            peer,
            identity,
            reversed: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            pushes: Mutex::default(),
        }
    }

    /// A number that no other connection of this process's server has.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What the peer's certificate says.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Who the peer acts for.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Reverses roles after the response to the request now being handled: from then on the server asks, through
    /// [`Connection::pusher`], and the peer answers. The peer's requests are no longer heard; the idle time-out ends.
    pub fn reverse(&self) {
        self.reversed.store(true, Ordering::Release);
    }

    /// Whether [`Connection::reverse`] has been called.
    pub fn is_reversed(&self) -> bool {
        self.reversed.load(Ordering::Acquire)
    }

    /// Ends the connection after the response to the request now being handled.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Whether [`Connection::end`] has been called.
    pub fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// A handle to send requests to the peer. What is sent before roles are reversed waits until they are. When the last pusher of
    /// a reversed connection is dropped, the connection is closed.
    pub fn pusher(&self) -> Pusher {
        let mut pushes = self.pushes.lock().unwrap_or_else(PoisonError::into_inner);
        let known = pushes.pusher.as_ref().and_then(mpsc::WeakSender::upgrade);
        let sender = known.unwrap_or_else(|| {
            let (sender, receiver) = mpsc::channel(WAITING_PUSHES);
            *pushes = Pushes { pusher: Some(sender.downgrade()), receiver: Some(receiver) };
            sender
        });
        Pusher { connection_id: self.id, sender }
    }

    /// Where the pushes arrive; none if no pusher was ever asked for.
    pub(crate) fn take_pushes(&self) -> Option<mpsc::Receiver<Push>> {
        self.pushes.lock().unwrap_or_else(PoisonError::into_inner).receiver.take()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Connection({} of {} from {})", self.id, self.identity, self.peer.remote_address)
    }
}

impl Pusher {
    /// The connection's [`Connection::id`].
    pub fn connection_id(&self) -> u64 {
        self.connection_id
    }

    /// Sends one request to the peer and waits for its response. Requests go out in the order of the calls, one at a time.
    ///
    /// # Errors
    /// The connection ends, or the peer takes longer than [`push_timeout`](crate::ServerLimits::push_timeout).
    pub async fn request(&self, message: SecretBuffer) -> Result<Bytes, PushError> {
        let (answer, answered) = oneshot::channel();
        self.sender.send(Push { message, answer }).await.map_err(|_| PushError::Closed)?;
        answered.await.unwrap_or(Err(PushError::Closed))
    }

    /// Waits until the connection has ended.
    pub async fn closed(&self) {
        self.sender.closed().await;
    }
}
