//! Krypton Gateway: speaks KMIP to the applications beside it, makes their keys, keeps them sealed in the store that the
//! operator picked, and asks the Core to seal and unseal. It never holds a root key.
//!
//! * [`config`]: what an operator may choose.
//! * `handler`: from frames to the rules of KMIP (crate `key-service`).
//! * `core_client`, `root_keys`: the Core as the port that seals.

#![forbid(unsafe_code)]

pub mod config;
mod core_client;
mod handler;
mod root_keys;

use std::net::SocketAddr;
use std::sync::Arc;

use key_service::crypto::SystemEntropy;
use key_service::operations::HANDLED;
use key_service::port::{NoAudit, Store, SystemClock};
use key_service::service::Service;
use kmip_net::{
    AdminServer, CancellationToken, Client, ClientError, ReloadableTls, Server, ServerError, ServerSettings,
    TlsError, TransportMetrics,
};
use kmip_ttlv::Limits;
use prometheus_client::registry::Registry;

use crate::config::{Config, CoreConfig};
use crate::core_client::{CoreLink, CoreSealer};
use crate::handler::Handler;

/// Why a Gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A certificate or key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ServerError),
    /// The Core's address cannot be used.
    #[error("core.client: {0}")]
    Core(#[from] ClientError),
    /// The store cannot be opened.
    #[error("store: {0}")]
    Store(String),
}

/// A Gateway that listens but does not serve yet.
pub struct Gateway {
    kmip: Server<Handler>,
    https: Option<Server<Handler>>,
    admin: AdminServer,
}

impl Gateway {
    /// Opens the store and the listeners. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// Whatever stands against serving.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let store = open_store(&config)?;
        let sealer = seal_with_core(&config.core)?;
        let message_bytes = config.limits.max_message_bytes;
        let service = Service {
            store,
            sealer: Arc::new(sealer),
            clock: Arc::new(SystemClock::default()),
            entropy: Arc::new(SystemEntropy::new()),
            audit: Arc::new(NoAudit),
            settings: config.service,
            offered: HANDLED,
        };
        let limits = Limits { message_bytes, value_bytes: message_bytes, ..Limits::default() };
        let handler = Arc::new(Handler::new(service, limits));
        let mut registry = Registry::with_prefix("krypton_gateway");
        let metrics = TransportMetrics::register(&mut registry);
        let tls = ReloadableTls::server(config.tls)?;
        let settings =
            |address| ServerSettings { address, limits: config.limits, identity: config.identity.clone() };
        let kmip = Server::bind(settings(config.listen), tls.clone(), handler.clone(), metrics.clone())?;
        let https = match config.https_listen {
            Some(address) => Some(Server::bind_https(settings(address), tls, handler, metrics)?),
            None => None,
        };
        let admin = AdminServer::bind(config.admin_listen, Arc::new(|| Ok(())), Arc::new(registry))?;
        Ok(Self { kmip, https, admin })
    }

    /// Where KMIP over TLS is served.
    pub fn address(&self) -> SocketAddr {
        self.kmip.local_address()
    }

    /// Where KMIP over HTTPS is served.
    pub fn https_address(&self) -> Option<SocketAddr> {
        self.https.as_ref().map(Server::local_address)
    }

    /// Where health and metrics are served.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.local_address()
    }

    /// Serves until `shutdown` is cancelled and the requests in flight have ended.
    pub async fn serve(self, shutdown: CancellationToken) {
        let https = async {
            if let Some(https) = self.https {
                https.run(shutdown.clone()).await;
            }
        };
        tokio::join!(self.kmip.run(shutdown.clone()), https, self.admin.run(shutdown.clone()));
    }
}

fn open_store(config: &Config) -> Result<Arc<dyn Store>, StartError> {
    key_service::store::open(&config.store).map_err(|error| StartError::Store(error.to_string()))
}

fn seal_with_core(config: &CoreConfig) -> Result<CoreSealer, StartError> {
    let tls = ReloadableTls::client(config.tls.clone())?;
    let maximum_message_bytes = config.client.max_message_bytes;
    let client = Client::new(config.client.clone(), tls)?;
    let link = Arc::new(CoreLink::new(client, maximum_message_bytes));
    Ok(CoreSealer::start(link, config.maximum_batch_items, config.concurrent_messages))
}
