//! The server shell: accept, shake hands, identify, hand over to a session; shut down without dropping answers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use kmip_ttlv::SecretBuffer;
use prometheus_client::metrics::gauge::Gauge;
use rustls::HandshakeKind;
use serde::Deserialize;
use socket2::{SockRef, TcpKeepalive};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::metrics::Refusal;
use crate::shares::{Share, Shares};
use crate::wiping::{Wiping, Wire};
use crate::{
    Connection, Identity, IdentityError, IdentityRule, Peer, PeerError, ReloadableTls, ServerLimits,
    ServerTls, TransportMetrics, https, session,
};

/// Connections that the system completes before we accept them.
const BACKLOG: u32 = 1024;

/// A silent peer is probed after this long, ...
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
/// ... then this often, ...
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// ... and given up after this many probes without an answer.
const KEEPALIVE_PROBES: u32 = 3;

/// How long accepting rests when the system has no descriptor or memory left.
pub(crate) const ACCEPT_REST: Duration = Duration::from_millis(100);

/// How long, and how much, a refused peer may go on sending before the connection is cut.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 1024 * 1024;

/// How a message is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Tag, type, length, value: the only one on a plain KMIP connection.
    Ttlv,
    /// KMIP Profiles 2.1, 5.4.
    Xml,
    /// KMIP Profiles 2.1, 5.5.
    Json,
}

/// What a server does with requests.
pub trait FrameHandler: Send + Sync + 'static {
    /// Answers one TTLV request. Called for one request of a connection at a time, in the order they came; not cancelled when the
    /// peer goes, but dropped when the drain time-out passes. A panic costs this connection only.
    fn handle(&self, connection: &Connection, request: Bytes) -> impl Future<Output = SecretBuffer> + Send;

    /// The whole-message error response for a frame that cannot be read. The connection is closed after it.
    fn refuse(&self, error: kmip_ttlv::Error) -> SecretBuffer;

    /// The encodings that [`FrameHandler::handle_encoded`] understands.
    fn encodings(&self) -> &[Encoding] {
        &[Encoding::Ttlv]
    }

    /// Answers one request over HTTPS, in the encoding it came in: one of [`FrameHandler::encodings`].
    fn handle_encoded(
        &self,
        connection: &Connection,
        _encoding: Encoding,
        body: Bytes,
    ) -> impl Future<Output = SecretBuffer> + Send {
        self.handle(connection, body)
    }
}

/// Where a server listens, what it grants and how it identifies its peers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSettings {
    /// The address to listen on; port 0 takes a free one.
    pub address: SocketAddr,
    /// What is granted to peers.
    #[serde(default)]
    pub limits: ServerLimits,
    /// How a peer's identity is read from its certificate.
    #[serde(default)]
    pub identity: IdentityRule,
}

/// Why a server cannot listen.
#[derive(Debug, Error)]
#[error("cannot listen on {address}: {source}")]
pub struct ServerError {
    /// The address asked for.
    pub address: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

/// A server that listens but does not run yet.
pub struct Server<H> {
    listener: TcpListener,
    local_address: SocketAddr,
    shared: Arc<Shared<H>>,
}

/// What messages are carried by.
#[derive(Clone, Copy)]
enum Carrier {
    Tls,
    Https,
}

/// What all connections of a server share.
pub(crate) struct Shared<H> {
    carrier: Carrier,
    pub(crate) handler: Arc<H>,
    pub(crate) limits: ServerLimits,
    pub(crate) metrics: TransportMetrics,
    pub(crate) tls: Arc<ReloadableTls<ServerTls>>,
    identity: IdentityRule,
    permits: Arc<Semaphore>,
    handshakes: Semaphore,
    shares: Arc<Shares>,
    next_id: AtomicU64,
}

/// A TLS stream and the configuration under which its peer was last judged.
pub(crate) struct Secured {
    pub(crate) stream: TlsStream<Wire>,
    pub(crate) judged_under: Arc<ServerTls>,
}

/// What a connection holds while it lives; given back when dropped, also by a panic.
struct Held {
    _permit: OwnedSemaphorePermit,
    share: Share,
    open: Gauge,
}

/// Why a peer that completed the handshake is not served.
#[derive(Debug, Error)]
enum Unidentified {
    #[error(transparent)]
    Peer(#[from] PeerError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

impl<H: FrameHandler> Server<H> {
    /// Listens for KMIP over TLS. Must be called within a tokio runtime. Connections wait until [`Server::run`].
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn bind(
        settings: ServerSettings,
        tls: Arc<ReloadableTls<ServerTls>>,
        handler: Arc<H>,
        metrics: TransportMetrics,
    ) -> Result<Self, ServerError> {
        Self::bind_for(Carrier::Tls, settings, tls, handler, metrics)
    }

    /// Listens for KMIP over HTTPS, `POST /kmip` (KMIP Profiles 2.1, 5.3); otherwise as [`Server::bind`].
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn bind_https(
        settings: ServerSettings,
        tls: Arc<ReloadableTls<ServerTls>>,
        handler: Arc<H>,
        metrics: TransportMetrics,
    ) -> Result<Self, ServerError> {
        Self::bind_for(Carrier::Https, settings, tls, handler, metrics)
    }

    fn bind_for(
        carrier: Carrier,
        settings: ServerSettings,
        tls: Arc<ReloadableTls<ServerTls>>,
        handler: Arc<H>,
        metrics: TransportMetrics,
    ) -> Result<Self, ServerError> {
        let ServerSettings { address, limits, identity } = settings;
        let fail = |source| ServerError { address, source };
        let listener = listen(address).map_err(fail)?;
        let local_address = listener.local_addr().map_err(fail)?;
        let shared = Shared {
            carrier,
            handler,
            limits,
            metrics,
            tls,
            identity,
            permits: Arc::new(Semaphore::new(limits.max_connections)),
            handshakes: Semaphore::new(limits.max_handshakes),
            shares: Shares::new(limits.max_connections_per_source, limits.max_handshakes_per_source),
            next_id: AtomicU64::new(1),
        };
        Ok(Self { listener, local_address, shared: Arc::new(shared) })
    }

    /// The address that the server listens on.
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// Serves until `shutdown` is cancelled; then accepts no more, lets requests in flight finish within the drain time-out, closes
    /// each connection properly, and returns.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(ended) = connections.join_next() => self.shared.ended(ended),
                accepted = self.accept() => {
                    let (stream, address, permit) = accepted;
                    if let Some(held) = self.shared.admit(address, permit) {
                        let shared = Arc::clone(&self.shared);
                        connections.spawn(shared.serve(stream, address, held, shutdown.child_token()));
                    }
                }
            }
        }
        let Self { listener, shared, .. } = self;
        drop(listener);
        drain(&shared, connections).await;
    }

    /// The permit comes first: a connection that we cannot serve stays in the backlog, where it costs nothing.
    async fn accept(&self) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
        let permits = Arc::clone(&self.shared.permits);
        let permit = permits.acquire_owned().await.expect("the semaphore is never closed");
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => return (stream, address, permit),
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_REST).await;
                }
            }
        }
    }
}

impl<H: FrameHandler> Shared<H> {
    fn admit(&self, address: SocketAddr, permit: OwnedSemaphorePermit) -> Option<Held> {
        self.metrics.accepted.inc();
        let Some(share) = self.shares.take(address.ip()) else {
            debug!(%address, "the source address holds its share of connections");
            self.metrics.refused(Refusal::SourceShare);
            return None;
        };
        self.metrics.open.inc();
        Some(Held { _permit: permit, share, open: self.metrics.open.clone() })
    }

    async fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        address: SocketAddr,
        held: Held,
        shutdown: CancellationToken,
    ) {
        // Boxed, so that an idle connection does not carry the size of a handshake.
        let handshake = Box::pin(self.shake_hands(stream, &held.share));
        let secured = tokio::select! {
            secured = handshake => secured,
            () = shutdown.cancelled() => return,
        };
        let mut secured = match secured {
            Ok(Some(secured)) => secured,
            Ok(None) => return,
            Err(error) => {
                info!(%address, %error, "TLS handshake failed");
                self.metrics.handshake_failures.inc();
                return;
            }
        };
        match self.identify(&secured.stream, address) {
            Ok((peer, identity)) => {
                let id = self.next_id.fetch_add(1, Ordering::Relaxed);
                let connection = Connection::new(id, peer, identity);
                debug!(?connection, "connected");
                match self.carrier {
                    Carrier::Tls => session::run(&self, &connection, secured, shutdown).await,
                    Carrier::Https => https::run(&self, &connection, secured, shutdown).await,
                }
                debug!(?connection, "disconnected");
            }
            Err(error) => {
                warn!(%address, %error, "the peer is verified but cannot be identified");
                self.metrics.refused(Refusal::Identity);
                close(&mut secured.stream).await;
            }
        }
    }

    /// The server side of a handshake; nothing if the peer left before it sent a byte, as those do that only probe the port.
    async fn shake_hands(&self, stream: TcpStream, share: &Share) -> io::Result<Option<Secured>> {
        configure(&stream)?;
        let hello = async {
            if stream.peek(&mut [0]).await? == 0 {
                return Ok(None);
            }
            LazyConfigAcceptor::new(rustls::server::Acceptor::default(), Wiping(stream)).await.map(Some)
        };
        let Some(start) = within(self.limits.handshake_timeout, hello).await? else { return Ok(None) };
        // Only a peer that has said hello takes up a place, and of those no source address all.
        let _own = share.handshakes.acquire().await.expect("the semaphore is never closed");
        let _any = self.handshakes.acquire().await.expect("the semaphore is never closed");
        let judged_under = self.tls.current();
        let accept = start.into_stream(judged_under.config()).into_fallible();
        let accepted = within(self.limits.handshake_timeout, async { Ok(accept.await) }).await?;
        match accepted {
            Ok(stream) => {
                judge_resumed(&judged_under, &stream)?;
                Ok(Some(Secured { stream, judged_under }))
            }
            Err((error, mut stream)) => {
                // The peer shall see the alert, not a reset.
                linger(&mut stream).await;
                Err(error)
            }
        }
    }

    fn identify(
        &self,
        stream: &TlsStream<Wire>,
        address: SocketAddr,
    ) -> Result<(Peer, Identity), Unidentified> {
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let peer = Peer::read(chain.first().ok_or(PeerError::NoCertificate)?, address)?;
        let identity = self.identity.identify(&peer)?;
        Ok((peer, identity))
    }

    fn ended(&self, ended: Result<(), JoinError>) {
        if let Err(failure) = ended
            && failure.is_panic()
        {
            error!("a connection was lost to a panic");
            self.metrics.handler_panics.inc();
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.open.dec();
    }
}

async fn drain<H: FrameHandler>(shared: &Shared<H>, mut connections: JoinSet<()>) {
    let all_end = async {
        while let Some(ended) = connections.join_next().await {
            shared.ended(ended);
        }
    };
    if timeout(shared.limits.drain_timeout, all_end).await.is_err() {
        warn!(connections = connections.len(), "the drain time-out passed: connections are cut");
        connections.shutdown().await;
    }
}

/// A resumed session brings its certificate along unjudged; it may have expired since.
fn judge_resumed(tls: &ServerTls, stream: &TlsStream<Wire>) -> io::Result<()> {
    let session = stream.get_ref().1;
    if session.handshake_kind() == Some(HandshakeKind::Resumed) {
        tls.judge(session.peer_certificates().unwrap_or_default()).map_err(io::Error::other)?;
    }
    Ok(())
}

pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// No delay for small messages; a peer that vanished without a word is noticed.
pub(crate) fn configure(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

/// Says goodbye (close_notify, then end of stream).
pub(crate) async fn close<S: tokio::io::AsyncWrite + Unpin>(stream: &mut S) {
    // The peer may be gone already; there is nobody to tell then.
    let _ = timeout(LINGER, stream.shutdown()).await;
}

/// Closes, but takes in what the peer is still sending: closing over unread bytes would reset the connection and could
/// overtake our last words.
pub(crate) async fn linger<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(stream: &mut S) {
    close(stream).await;
    let discard = async {
        let mut scratch = vec![0; 4096];
        let mut taken = 0;
        while taken < LINGER_BYTES {
            match stream.read(&mut scratch).await {
                Ok(0) | Err(_) => break,
                Ok(count) => taken += count,
            }
        }
    };
    let _ = timeout(LINGER, discard).await;
}

async fn within<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
