//! A server whose handler echoes, and the peers to try it with.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use kmip_net::{
    CancellationToken, Client, ClientSettings, Connection, Encoding, FrameHandler, IdentityRule, Pusher,
    ReloadableTls, Server, ServerLimits, ServerSettings, ServerTls, TlsSettings, TransportMetrics,
};
use kmip_ttlv::SecretBuffer;
use prometheus_client::registry::Registry;
use rustls::ClientConfig;
use rustls::version::TLS13;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::pki::{Pki, raw_client};

pub type Stream = TlsStream<TcpStream>;

/// Requests with these bodies make the handler do more than echo.
pub const WAIT: &[u8; 8] = b"wait....";
pub const PANIC: &[u8; 8] = b"panic...";
pub const REVERSE: &[u8; 8] = b"reverse.";
pub const WHO: &[u8; 8] = b"who.....";
pub const LARGE: &[u8; 8] = b"large...";

/// Bytes of the answer to [`LARGE`]: more than the socket buffers of both sides hold.
pub const LARGE_BYTES: usize = 64 * 1024 * 1024;

pub struct Echo {
    /// One permit lets one [`WAIT`] be answered.
    pub released: Semaphore,
    /// One permit for each [`WAIT`] that has arrived.
    pub waiting: Semaphore,
    pushers: mpsc::UnboundedSender<Pusher>,
}

impl FrameHandler for Echo {
    async fn handle(&self, connection: &Connection, request: Bytes) -> SecretBuffer {
        let body = &request[8..];
        if body == WAIT {
            self.waiting.add_permits(1);
            self.released.acquire().await.unwrap().forget();
        } else if body == PANIC {
            panic!("the test asked for it");
        } else if body == REVERSE {
            self.pushers.send(connection.pusher()).unwrap();
            connection.reverse();
        } else if body == WHO {
            return message(
                format!("{} {}", connection.identity(), connection.peer().fingerprint).as_bytes(),
            );
        } else if body == LARGE {
            return message(&vec![0x5A; LARGE_BYTES]);
        }
        message(body)
    }

    fn refuse(&self, error: kmip_ttlv::Error) -> SecretBuffer {
        message(format!("refused: {:?}", error.kind).as_bytes())
    }

    fn encodings(&self) -> &[Encoding] {
        &[Encoding::Ttlv, Encoding::Json]
    }

    async fn handle_encoded(&self, connection: &Connection, encoding: Encoding, body: Bytes) -> SecretBuffer {
        match encoding {
            Encoding::Ttlv => self.handle(connection, body).await,
            _ => SecretBuffer::from([&body[..], b"/json"].concat()),
        }
    }
}

pub struct Rig {
    pub pki: Arc<Pki>,
    pub address: SocketAddr,
    pub handler: Arc<Echo>,
    pub tls: Arc<ReloadableTls<ServerTls>>,
    pub pushers: Mutex<mpsc::UnboundedReceiver<Pusher>>,
    pub registry: Arc<Registry>,
    pub shutdown: CancellationToken,
    pub running: JoinHandle<()>,
}

#[derive(Clone)]
pub struct Options {
    pub limits: ServerLimits,
    pub identity: IdentityRule,
    pub https: bool,
    pub address: SocketAddr,
}

impl Default for Options {
    fn default() -> Self {
        let address = ([127, 0, 0, 1], 0).into();
        Self { limits: ServerLimits::default(), identity: IdentityRule::default(), https: false, address }
    }
}

impl From<ServerLimits> for Options {
    fn from(limits: ServerLimits) -> Self {
        Self { limits, ..Self::default() }
    }
}

impl Rig {
    pub fn start(options: impl Into<Options>) -> Self {
        Self::start_with(Arc::new(Pki::new()), options)
    }

    pub fn start_with(pki: Arc<Pki>, options: impl Into<Options>) -> Self {
        let Options { limits, identity, https, address } = options.into();
        let (pusher_sender, pushers) = mpsc::unbounded_channel();
        let handler = Arc::new(Echo {
            released: Semaphore::new(0),
            waiting: Semaphore::new(0),
            pushers: pusher_sender,
        });
        let tls = ReloadableTls::server(pki.server()).unwrap();
        let mut registry = Registry::default();
        let metrics = TransportMetrics::register(&mut registry);
        let settings = ServerSettings { address, limits, identity };
        let bind = if https { Server::bind_https } else { Server::bind };
        let server = bind(settings, Arc::clone(&tls), Arc::clone(&handler), metrics).unwrap();
        let (address, shutdown) = (server.local_address(), CancellationToken::new());
        let running = tokio::spawn(server.run(shutdown.clone()));
        let (pushers, registry) = (Mutex::new(pushers), Arc::new(registry));
        Self { pki, address, handler, tls, pushers, registry, shutdown, running }
    }

    /// A well-behaved peer on a connection of its own.
    pub async fn peer(&self, name: &str) -> Peer {
        let config = raw_client(&self.pki.client(name, 100), &TLS13, true);
        Peer::connect(self.address, &config).await.unwrap()
    }

    pub fn pooled(&self, tls: TlsSettings) -> Client {
        Client::new(ClientSettings::new(self.address.to_string()), ReloadableTls::client(tls).unwrap())
            .unwrap()
    }

    pub async fn next_pusher(&self) -> Pusher {
        std::future::poll_fn(|context| self.pushers.lock().unwrap().poll_recv(context)).await.unwrap()
    }

    /// A counter or gauge as the metrics page shows it; 0 if it is not there.
    pub fn metric(&self, name: &str) -> u64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
        text.lines().find_map(value).unwrap_or(0)
    }

    /// Stops the server and waits until it has.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.running.await.unwrap();
    }
}

pub struct Peer {
    pub stream: Stream,
}

impl Peer {
    pub async fn connect(address: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        Self::over(stream, config).await
    }

    pub async fn over(stream: TcpStream, config: &Arc<ClientConfig>) -> io::Result<Self> {
        let name = rustls::pki_types::ServerName::try_from("127.0.0.1").unwrap();
        Ok(Self { stream: TlsConnector::from(Arc::clone(config)).connect(name, stream).await? })
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    pub async fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut header = [0; 8];
        self.stream.read_exact(&mut header).await?;
        let mut body = vec![0; u32::from_be_bytes(header[4..].try_into().unwrap()) as usize];
        self.stream.read_exact(&mut body).await?;
        Ok(body)
    }

    pub async fn exchange(&mut self, body: &[u8]) -> io::Result<Vec<u8>> {
        self.stream.write_all(&message(body)).await?;
        self.stream.flush().await?;
        self.receive().await
    }

    /// Waits until the server says goodbye; an end without a close_notify is an error.
    pub async fn expect_close(&mut self) {
        assert_eq!(self.stream.read(&mut [0; 64]).await.unwrap(), 0, "the server said something instead");
    }
}

/// A message around `body`, which is padded with spaces to a multiple of 8.
pub fn message(body: &[u8]) -> SecretBuffer {
    let length = body.len().next_multiple_of(8);
    let mut message = vec![0x42, 0x00, 0x78, 0x01];
    message.extend_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
    message.extend_from_slice(body);
    message.resize(8 + length, b' ');
    SecretBuffer::from(message)
}
