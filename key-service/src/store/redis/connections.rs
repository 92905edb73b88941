//! The connections to a Redis: the only place that names its client library.
//!
//! A request fails at once while its connection is away, and after the request time-out in any case. It is never sent
//! twice: a commit that may have happened is not repeated. After a time-out the connection is dropped, so that a late
//! answer cannot be taken for that of another request; scripts answer a nonce besides, for the same reason.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike as _, EventInterface as _, KeysInterface as _, LuaInterface as _};
use fred::types::config::{
    ClusterDiscoveryPolicy, Config, ConnectionConfig, Options, PerformanceConfig, ReconnectPolicy, Server,
    ServerConfig, TcpConfig, TlsConfig, TlsConnector, TlsHostMapping, UnresponsiveConfig,
};
use fred::types::{ClusterHash, CustomCommand, Value};
use kmip_protocol::enumeration::HashingAlgorithm;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use zeroize::Zeroizing;

use super::url::{Password, RedisUrl, TlsFiles};
use crate::crypto;
use crate::port::StoreError;
use crate::store::StoreMetrics;

/// A script, and the hash by which Redis knows it: SHA-1, a name and no protection.
pub(super) struct Script {
    text: &'static str,
    hash: String,
}

impl Script {
    pub(super) fn new(text: &'static str) -> Self {
        // Were the hash a wrong one, Redis would not know it, and be sent the text.
        let hash = crypto::hash(HashingAlgorithm::Sha1, text.as_bytes()).unwrap_or_default();
        let hash = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { text, hash }
    }
}

/// Connections of one kind.
pub(super) struct Connections {
    clients: Vec<Client>,
    next: AtomicUsize,
    nonces: AtomicU64,
    reconnections: Arc<AtomicU64>,
    request_timeout: Duration,
    metrics: StoreMetrics,
}

const LONGEST_RECONNECT_DELAY_MILLISECONDS: u32 = 1_000;
const SHORTEST_RECONNECT_DELAY_MILLISECONDS: u32 = 20;

/// Keys that a node looks at in one go.
const SCANNED_TOGETHER: &str = "1000";

const NOT_IN_TIME: &str = "Redis has not answered in time";

/// What a script answered, after its nonce.
pub(super) type Answer = std::vec::IntoIter<Value>;

impl Connections {
    /// Connects, as often as the URL says.
    ///
    /// # Errors
    /// What stands against it, for the operator.
    pub(super) async fn open(url: &RedisUrl, metrics: StoreMetrics) -> Result<Self, String> {
        let config = config(url)?;
        let clients = (0..url.connections).map(|_| client(&config, url)).collect::<Vec<_>>();
        let reconnections = Arc::new(AtomicU64::new(0));
        for client in &clients {
            let connected = tokio::time::timeout(url.connect_timeout * 2, client.init()).await;
            match connected {
                Ok(Ok(_)) => (),
                Ok(Err(error)) => return Err(format!("it cannot be reached: {}", error.details())),
                Err(_) => return Err("it cannot be reached in time".to_owned()),
            }
            watch(client, &reconnections);
        }
        let (next, nonces) = (AtomicUsize::new(0), AtomicU64::new(0));
        Ok(Self { clients, next, nonces, reconnections, request_timeout: url.request_timeout, metrics })
    }

    /// A connection that works, if there is one.
    pub(super) fn client(&self) -> &Client {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let nth = |nth: usize| &self.clients[(first + nth) % self.clients.len()];
        (0..self.clients.len()).map(nth).find(|client| client.is_connected()).unwrap_or_else(|| nth(0))
    }

    /// How often a connection was made anew.
    pub(super) fn reconnections(&self) -> u64 {
        self.reconnections.load(Ordering::Acquire)
    }

    /// A value by its key.
    pub(super) async fn get(&self, key: String) -> Result<Option<Bytes>, StoreError> {
        let client = self.client();
        let got = client.with_options(&self.options()).get(key).await;
        got.map_err(|error| self.failed(client, &error))
    }

    /// Whether a read that failed is worth a second attempt: its connection was lost, and there is another one. After a
    /// time-out it is not: whoever asks has waited enough.
    pub(super) fn may_read_again(&self, error: &StoreError) -> bool {
        matches!(error, StoreError::Unavailable(why) if why != NOT_IN_TIME)
            && self.clients.iter().any(|client| client.is_connected())
    }

    /// Runs a script on a connection.
    pub(super) async fn run(
        &self,
        client: &Client,
        script: &Script,
        keys: Vec<String>,
        arguments: Vec<Bytes>,
    ) -> Result<Answer, StoreError> {
        let nonce = Bytes::from(self.nonces.fetch_add(1, Ordering::Relaxed).to_string());
        let arguments: Vec<Value> =
            std::iter::once(nonce.clone()).chain(arguments).map(Value::Bytes).collect();
        let with_options = client.with_options(&self.options());
        let answer = with_options.evalsha(script.hash.clone(), keys.clone(), arguments.clone()).await;
        let answer: Result<Vec<Value>, Error> = match answer {
            // Restarted since: nothing was run, so it may be sent once more.
            Err(error) if error.details().starts_with("NOSCRIPT") => {
                with_options.eval(script.text, keys, arguments).await
            }
            answer => answer,
        };
        let mut answer = answer.map_err(|error| self.failed(client, &error))?.into_iter();
        match answer.next().and_then(Value::into_bytes) {
            Some(echo) if echo == nonce => Ok(answer),
            _ => {
                drop_connection(client);
                Err(StoreError::Unavailable("an answer was that of another request".to_owned()))
            }
        }
    }

    /// Waits until so many replicas have what this connection wrote for a tenant, whose index has this key.
    pub(super) async fn wait(&self, client: &Client, replicas: u32, key: &str) -> Result<(), StoreError> {
        let milliseconds = i64::try_from(self.request_timeout.as_millis() / 2).unwrap_or(i64::MAX);
        let command = CustomCommand::new_static("WAIT", ClusterHash::from(key), false);
        let arguments: Vec<Value> = vec![i64::from(replicas).into(), milliseconds.into()];
        let reached: i64 = client
            .with_options(&self.options())
            .custom(command, arguments)
            .await
            .map_err(|error| self.failed(client, &error))?;
        if reached >= i64::from(replicas) {
            return Ok(());
        }
        Err(StoreError::Unavailable(format!(
            "{reached} of {replicas} replicas have confirmed a commit in time"
        )))
    }

    /// A command without keys, on every node that is connected.
    pub(super) async fn ask_all(&self, name: &'static str, arguments: &[&str]) -> Result<Vec<Value>, Error> {
        let client = self.client();
        let mut answers = Vec::new();
        for node in client.active_connections() {
            answers.push(self.ask_node(client, &node, name, arguments).await?);
        }
        Ok(answers)
    }

    /// All keys like a pattern, on every node, a part at a time; some may come twice.
    ///
    /// # Errors
    /// If a node does not answer, or was connected to anew meanwhile: its cursor means nothing then.
    pub(super) async fn scan(
        &self,
        pattern: &str,
        mut note: impl FnMut(Vec<Value>) + Send,
    ) -> Result<(), StoreError> {
        let (client, connected) = (self.client(), self.reconnections());
        for node in client.active_connections() {
            let mut cursor = Value::from_static_str("0");
            loop {
                let place = cursor.as_string().unwrap_or_default();
                let arguments = [&*place, "MATCH", pattern, "COUNT", SCANNED_TOGETHER];
                let answer = self.ask_node(client, &node, "SCAN", &arguments).await;
                let mut answer =
                    answer.map_err(|error| self.failed(client, &error))?.into_array().into_iter();
                if self.reconnections() != connected {
                    let lost =
                        "Redis was connected to anew in the middle of a scan, which has to begin again";
                    return Err(StoreError::Unavailable(lost.to_owned()));
                }
                cursor = answer.next().unwrap_or(Value::Null);
                note(answer.next().map(Value::into_array).unwrap_or_default());
                match cursor.as_string().as_deref() {
                    Some("0") => break,
                    Some(_) => (),
                    None => return Err(StoreError::Unavailable("Redis gave an unknown answer".to_owned())),
                }
            }
        }
        Ok(())
    }

    async fn ask_node(
        &self,
        client: &Client,
        node: &Server,
        name: &'static str,
        arguments: &[&str],
    ) -> Result<Value, Error> {
        let is_cluster = client.client_config().server.is_clustered();
        let options = Options { cluster_node: is_cluster.then(|| node.clone()), ..self.options() };
        let command = CustomCommand::new_static(name, ClusterHash::Random, false);
        let arguments: Vec<Value> = arguments.iter().map(|argument| Value::from(*argument)).collect();
        client.with_options(&options).custom(command, arguments).await
    }

    /// A command with one key.
    pub(super) async fn ask(
        &self,
        name: &'static str,
        key: &str,
        arguments: Vec<Value>,
    ) -> Result<Value, StoreError> {
        let client = self.client();
        let command = CustomCommand::new_static(name, ClusterHash::from(key), false);
        let arguments: Vec<Value> = std::iter::once(Value::from(key)).chain(arguments).collect();
        let answer = client.with_options(&self.options()).custom(command, arguments).await;
        answer.map_err(|error| self.failed(client, &error))
    }

    /// What the rules are told of a failed request; drops a connection that can no longer be trusted.
    fn failed(&self, client: &Client, error: &Error) -> StoreError {
        let details = error.details();
        if *error.kind() == ErrorKind::Timeout {
            self.metrics.failed("timeout");
            drop_connection(client);
            return StoreError::Unavailable(NOT_IN_TIME.to_owned());
        }
        if details.contains("OOM command not allowed") {
            self.metrics.failed("full");
            return StoreError::Full;
        }
        self.metrics.failed(if client.is_connected() { "refused" } else { "unreachable" });
        StoreError::Unavailable(format!("Redis: {details}"))
    }

    fn options(&self) -> Options {
        Options {
            max_attempts: Some(1),
            timeout: Some(self.request_timeout),
            fail_fast: true,
            ..Options::default()
        }
    }
}

fn client(config: &Config, url: &RedisUrl) -> Client {
    let connection = ConnectionConfig {
        connection_timeout: url.connect_timeout,
        internal_command_timeout: url.connect_timeout,
        max_command_attempts: 1,
        reconnect_on_auth_error: true,
        tcp: TcpConfig { nodelay: Some(true), ..TcpConfig::default() },
        unresponsive: UnresponsiveConfig {
            max_timeout: Some(url.request_timeout * 2),
            interval: url.request_timeout / 2,
        },
        ..ConnectionConfig::default()
    };
    let performance =
        PerformanceConfig { default_command_timeout: url.request_timeout, ..PerformanceConfig::default() };
    let forever = 0;
    let policy = ReconnectPolicy::new_exponential(
        forever,
        SHORTEST_RECONNECT_DELAY_MILLISECONDS,
        LONGEST_RECONNECT_DELAY_MILLISECONDS,
        2,
    );
    Client::new(config.clone(), Some(performance), Some(connection), Some(policy))
}

/// Says when a connection is lost and when it is back.
fn watch(client: &Client, reconnections: &Arc<AtomicU64>) {
    client.on_error(|(error, _)| async move {
        tracing::warn!(error = error.details(), "a connection to the store has failed");
        Ok(())
    });
    let reconnections = Arc::clone(reconnections);
    client.on_reconnect(move |_| {
        reconnections.fetch_add(1, Ordering::AcqRel);
        tracing::info!("a connection to the store is back");
        std::future::ready(Ok(()))
    });
}

impl Drop for Connections {
    /// The tasks behind the connections would go on connecting for ever.
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        for client in self.clients.drain(..) {
            runtime.spawn(async move { client.quit().await });
        }
    }
}

fn drop_connection(client: &Client) {
    let client = client.clone();
    // Not waited for: that takes as long as connecting again.
    tokio::spawn(async move { client.force_reconnection().await });
}

fn config(url: &RedisUrl) -> Result<Config, String> {
    let servers: Vec<_> = url.hosts.iter().map(|(host, port)| Server::new(host.clone(), *port)).collect();
    let server = match (url.cluster, servers.into_iter()) {
        (true, hosts) => {
            ServerConfig::Clustered { hosts: hosts.collect(), policy: ClusterDiscoveryPolicy::default() }
        }
        (false, mut hosts) => ServerConfig::Centralized { server: hosts.next().ok_or("it has no host")? },
    };
    let password = match &url.password {
        None => None,
        Some(Password::Given(password)) => Some(password.to_string()),
        Some(Password::File(path)) => Some(read_password(path)?.to_string()),
    };
    let tls = url.tls.as_ref().map(tls).transpose()?;
    let (username, database) = (url.user.clone(), url.database);
    Ok(Config { fail_fast: true, server, username, password, database, tls, ..Config::default() })
}

fn read_password(path: &Path) -> Result<Zeroizing<String>, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let text = Zeroizing::new(text);
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

fn tls(files: &TlsFiles) -> Result<TlsConfig, String> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(&files.authority)? {
        let refused = |error| format!("{}: {error}", files.authority.display());
        roots.add(certificate).map_err(refused)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let config = match &files.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let private = PrivateKeyDer::from_pem_file(key);
            let private = private.map_err(|error| format!("{}: {error}", key.display()))?;
            builder
                .with_client_auth_cert(read_certificates(certificate)?, private)
                .map_err(|error| format!("{}: {error}", certificate.display()))?
        }
    };
    Ok(TlsConfig { connector: TlsConnector::from(config), hostnames: TlsHostMapping::None })
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let failed = |error: rustls::pki_types::pem::Error| format!("{}: {error}", path.display());
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
    match certificates.is_empty() {
        true => Err(format!("{}: no certificate in it", path.display())),
        false => Ok(certificates),
    }
}
