//! The KMIP client: a bounded pool of mutually authenticated connections to one server.
//!
//! A connection goes back to the pool only after a whole answer. One that failed, timed out or was abandoned half-way is dropped, so
//! no answer ever reaches the wrong question.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use kmip_ttlv::SecretBuffer;
use rustls::pki_types::ServerName;
use serde::Deserialize;
use thiserror::Error;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::frame::{Frames, is_departure};
use crate::limits::{count, frame_limits, seconds};
use crate::server::{close, configure};
use crate::wiping::{Wiping, Wire};
use crate::{ClientTls, FrameError, ReloadableTls};

/// Between attempts to connect to a server that is away.
const ATTEMPT_EVERY: Duration = Duration::from_millis(50);

/// Whom a client talks to and what it waits for. In configuration, durations are seconds, whole or not.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientSettings {
    /// `host:port` of the server. A name is resolved anew for each connection.
    pub address: String,
    /// The name or IP address that the server's certificate must be for; by default the host of `address`.
    #[serde(default)]
    pub server_name: Option<String>,
    /// Connections at once, idle ones included; further exchanges wait for one. Default 64.
    #[serde(deserialize_with = "count", default = "ClientSettings::default_max_connections")]
    pub max_connections: usize,
    /// Time to connect and shake hands. Default 5 s.
    #[serde(
        rename = "connect_timeout_seconds",
        deserialize_with = "seconds",
        default = "ClientSettings::default_connect_timeout"
    )]
    pub connect_timeout: Duration,
    /// Time for an exchange as a whole: to get a connection, send, and receive. Default 10 s.
    #[serde(
        rename = "request_timeout_seconds",
        deserialize_with = "seconds",
        default = "ClientSettings::default_request_timeout"
    )]
    pub request_timeout: Duration,
    /// Bytes of one response, its header included. Default 1 MiB.
    #[serde(deserialize_with = "count", default = "ClientSettings::default_max_message_bytes")]
    pub max_message_bytes: usize,
}

impl ClientSettings {
    /// Settings for `host:port` with the defaults.
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            server_name: None,
            max_connections: Self::default_max_connections(),
            connect_timeout: Self::default_connect_timeout(),
            request_timeout: Self::default_request_timeout(),
            max_message_bytes: Self::default_max_message_bytes(),
        }
    }

    fn default_max_connections() -> usize {
        64
    }

    fn default_connect_timeout() -> Duration {
        Duration::from_secs(5)
    }

    fn default_request_timeout() -> Duration {
        Duration::from_secs(10)
    }

    fn default_max_message_bytes() -> usize {
        kmip_ttlv::Limits::DEFAULT_MESSAGE_BYTES
    }
}

/// Why there is no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The settings name no server that a certificate can be checked for.
    #[error("\"{0}\" is not host:port, or its host is no name that a certificate can be for")]
    Address(String),
    /// No connection: nothing was sent.
    #[error("the server cannot be reached: {0}")]
    Unreachable(io::Error),
    /// No connection, or no answer, in time. Where an answer is missing, the server may have acted on the request.
    #[error("the server did not {0} in time")]
    TimedOut(&'static str),
    /// The server is not the one expected, or it refuses our certificate.
    #[error("TLS: {0}")]
    Tls(rustls::Error),
    /// The connection ended before the answer was whole: the server may have acted on the request.
    #[error("the connection was lost before the answer came")]
    Interrupted,
    /// The server does not answer in KMIP, or not within the limits.
    #[error("the server's answer is unusable: {0}")]
    Protocol(kmip_ttlv::Error),
}

/// A client of one server. Share it; all methods take `&self`.
pub struct Client {
    settings: ClientSettings,
    server_name: ServerName<'static>,
    tls: Arc<ReloadableTls<ClientTls>>,
    permits: Semaphore,
    idle: Mutex<Vec<ClientConnection>>,
    /// Whether the last attempt to connect failed.
    is_away: AtomicBool,
    /// The last attempt that failed. Whoever attempts while the server is away holds it.
    failed: tokio::sync::Mutex<Option<Attempt>>,
}

/// One connection of a client, for use by hand: for Set Endpoint Role, after which the server asks and the client answers.
///
/// Connections of the pool are of this kind as well, but those opened by hand do not count against it.
pub struct ClientConnection {
    frames: Frames<TlsStream<Wire>>,
    tls: Arc<ClientTls>,
    request_timeout: Duration,
}

/// An attempt to connect that failed.
struct Attempt {
    began: Instant,
    error: ClientError,
}

/// How an exchange on one connection failed.
struct Failure {
    error: ClientError,
    /// The server closed without a byte of an answer, as it does with a connection idle for too long.
    closed_silently: bool,
}

impl Client {
    /// A client that has not connected yet.
    ///
    /// # Errors
    /// The address or the server's name cannot be used.
    pub fn new(settings: ClientSettings, tls: Arc<ReloadableTls<ClientTls>>) -> Result<Self, ClientError> {
        let server_name =
            server_name(&settings).ok_or_else(|| ClientError::Address(settings.address.clone()))?;
        let permits = Semaphore::new(settings.max_connections);
        let (is_away, failed) = (AtomicBool::new(false), tokio::sync::Mutex::default());
        Ok(Self { settings, server_name, tls, permits, idle: Mutex::default(), is_away, failed })
    }

    /// Sends an idempotent request and waits for its answer. Where a connection from the pool turns out to be closed before a byte of
    /// the answer, the request is sent once more on a fresh one.
    ///
    /// # Errors
    /// Why there is no answer, within [`ClientSettings::request_timeout`]; at once when the server is away.
    pub async fn exchange(&self, request: SecretBuffer) -> Result<Bytes, ClientError> {
        self.within_time(self.exchange_pooled(&request, true)).await
    }

    /// Like [`Client::exchange`], but the request is written at most once.
    ///
    /// # Errors
    /// As [`Client::exchange`]; after `Interrupted` and `TimedOut` the server may have acted on the request.
    pub async fn exchange_once(&self, request: SecretBuffer) -> Result<Bytes, ClientError> {
        self.within_time(self.exchange_pooled(&request, false)).await
    }

    /// Opens a connection of its own, outside the pool.
    ///
    /// # Errors
    /// The server cannot be reached, or is not the one expected.
    pub async fn open(&self) -> Result<ClientConnection, ClientError> {
        self.open_since(Instant::now()).await
    }

    /// Opens a connection for somebody who wants one since then.
    ///
    /// While the server is away, attempts are made one after another and not too often, and each is for all who wait: nobody is
    /// refused for an attempt that began before it asked, because the server may have come back since.
    async fn open_since(&self, wanted: Instant) -> Result<ClientConnection, ClientError> {
        let mut failed = None;
        if self.is_away.load(Ordering::Acquire) {
            let last = self.failed.lock().await;
            match &*last {
                Some(last) if last.began >= wanted => return Err(last.error.again()),
                Some(last) => sleep_until(last.began + ATTEMPT_EVERY).await,
                None => {}
            }
            // Who comes meanwhile waits here, unless the server is back.
            failed = last.is_some().then_some(last);
        }
        let began = Instant::now();
        let opened = self.attempt().await;
        let error = opened.as_ref().err().map(ClientError::again);
        if failed.is_none() && error.is_some() {
            failed = Some(self.failed.lock().await);
        }
        if let Some(mut failed) = failed {
            self.is_away.store(error.is_some(), Ordering::Release);
            *failed = error.map(|error| Attempt { began, error });
        }
        opened
    }

    async fn attempt(&self) -> Result<ClientConnection, ClientError> {
        let tls = self.tls.current();
        let connecting = timeout(self.settings.connect_timeout, self.connect(&tls));
        let connected = connecting.await.unwrap_or(Err(ClientError::TimedOut("accept the connection")))?;
        let frames = Frames::new(connected, frame_limits(self.settings.max_message_bytes));
        Ok(ClientConnection { frames, tls, request_timeout: self.settings.request_timeout })
    }

    async fn within_time<T>(
        &self,
        work: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        timeout(self.settings.request_timeout, work).await.unwrap_or(Err(ClientError::TimedOut("answer")))
    }

    async fn exchange_pooled(&self, request: &[u8], idempotent: bool) -> Result<Bytes, ClientError> {
        let wanted = Instant::now();
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        if let Some(pooled) = self.take_idle() {
            match self.exchange_on(pooled, request).await {
                Err(failure) if idempotent && failure.closed_silently => {}
                ended => return ended.map_err(|failure| failure.error),
            }
        }
        let fresh = self.open_since(wanted).await?;
        self.exchange_on(fresh, request).await.map_err(|failure| failure.error)
    }

    async fn exchange_on(&self, mut connection: ClientConnection, request: &[u8]) -> Result<Bytes, Failure> {
        let response = connection.exchange_frames(request).await?;
        // Looked at now as well as when it is taken: this also wipes what TLS has decrypted last.
        if connection.is_quiet() {
            self.idle().push(connection);
        }
        Ok(response)
    }

    async fn connect(&self, tls: &ClientTls) -> Result<TlsStream<Wire>, ClientError> {
        let stream = TcpStream::connect(&self.settings.address).await.map_err(ClientError::Unreachable)?;
        configure(&stream).map_err(ClientError::Unreachable)?;
        let connector = TlsConnector::from(tls.config());
        connector.connect(self.server_name.clone(), Wiping(stream)).await.map_err(|error| {
            match tls_error(&error) {
                Some(error) => ClientError::Tls(error),
                None => ClientError::Unreachable(error),
            }
        })
    }

    /// The connection used last, if the server has not closed it meanwhile and our certificate is still the one it was opened with.
    fn take_idle(&self) -> Option<ClientConnection> {
        loop {
            let mut connection = self.idle().pop()?;
            if self.tls.is_current(&connection.tls) && connection.is_quiet() {
                return Some(connection);
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<ClientConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientConnection {
    /// Sends one message.
    ///
    /// # Errors
    /// The connection is lost, or the server does not take the message within [`ClientSettings::request_timeout`].
    pub async fn send(&mut self, message: SecretBuffer) -> Result<(), ClientError> {
        let sent = timeout(self.request_timeout, self.frames.send(&message)).await;
        sent.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(|error| lost(&error))
    }

    /// Waits, as long as it takes, until a message begins; then receives it within [`ClientSettings::request_timeout`]. May be
    /// cancelled and called again as long as no message has begun; otherwise the connection is of no more use.
    ///
    /// # Errors
    /// The connection is lost, or what comes is no message.
    pub async fn receive(&mut self) -> Result<Bytes, ClientError> {
        match self.frames.begins().await {
            Ok(true) => {}
            Ok(false) => return Err(ClientError::Interrupted),
            Err(error) => return Err(lost(&error)),
        }
        let finished = timeout(self.request_timeout, self.frames.finish()).await;
        finished.map_err(|_| ClientError::TimedOut("finish its message"))?.map_err(unusable)
    }

    /// Sends a request and receives its answer, within [`ClientSettings::request_timeout`].
    ///
    /// # Errors
    /// As [`Client::exchange_once`].
    pub async fn exchange(&mut self, request: SecretBuffer) -> Result<Bytes, ClientError> {
        let deadline = Instant::now() + self.request_timeout;
        let exchanged = timeout_at(deadline, self.exchange_frames(&request)).await;
        exchanged.map_err(|_| ClientError::TimedOut("answer"))?.map_err(|failure| failure.error)
    }

    /// Says goodbye to the server.
    pub async fn close(mut self) {
        close(self.frames.stream()).await;
    }

    async fn exchange_frames(&mut self, request: &[u8]) -> Result<Bytes, Failure> {
        let failed = |error: &io::Error| Failure { error: lost(error), closed_silently: is_departure(error) };
        self.frames.send(request).await.map_err(|error| failed(&error))?;
        match self.frames.begins().await {
            Ok(true) => {}
            Ok(false) => return Err(Failure { error: ClientError::Interrupted, closed_silently: true }),
            Err(error) => return Err(failed(&error)),
        }
        let finished = self.frames.finish().await;
        finished.map_err(|error| Failure { error: unusable(error), closed_silently: false })
    }

    /// Whether the server has said nothing since the last answer: neither goodbye nor anything out of turn.
    fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut context = Context::from_waker(Waker::noop());
        let stream = Pin::new(self.frames.stream());
        matches!(stream.poll_read(&mut context, &mut ReadBuf::new(&mut byte)), Poll::Pending)
    }
}

impl ClientError {
    /// The same reason, for somebody else who waited.
    fn again(&self) -> Self {
        match self {
            Self::Address(address) => Self::Address(address.clone()),
            Self::Unreachable(error) => Self::Unreachable(io::Error::new(error.kind(), error.to_string())),
            Self::TimedOut(what) => Self::TimedOut(what),
            Self::Tls(error) => Self::Tls(error.clone()),
            Self::Interrupted => Self::Interrupted,
            Self::Protocol(error) => Self::Protocol(*error),
        }
    }
}

fn server_name(settings: &ClientSettings) -> Option<ServerName<'static>> {
    let (host, port) = settings.address.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    ServerName::try_from(settings.server_name.as_deref().unwrap_or(host).to_owned()).ok()
}

fn lost(error: &io::Error) -> ClientError {
    match tls_error(error) {
        Some(error) => ClientError::Tls(error),
        None if error.kind() == io::ErrorKind::TimedOut => ClientError::TimedOut("take the message"),
        None => ClientError::Interrupted,
    }
}

fn unusable(error: FrameError) -> ClientError {
    match error {
        FrameError::Unreadable(error) => ClientError::Protocol(error),
        FrameError::Truncated => ClientError::Interrupted,
        FrameError::Broken(error) => lost(&error),
    }
}

fn tls_error(error: &io::Error) -> Option<rustls::Error> {
    error.get_ref()?.downcast_ref::<rustls::Error>().cloned()
}
