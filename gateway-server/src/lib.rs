//! Krypton Gateway: speaks KMIP to the applications beside it, makes their keys, keeps them sealed in the store that the
//! operator picked, and asks the Core to seal and unseal. It never holds a root key.
//!
//! * [`config`]: what an operator may choose; [`backup`]: copies, exports and imports of the store.
//! * `handler`: from frames to the rules of KMIP (crate `key-service`).
//! * `core_client`, `root_keys`, `errands`: the Core as the port that seals.
//! * `authenticated_store`: records of which nobody else has changed a byte.
//! * `burial`: tombstones of what was destroyed; `shredding`, `seal_gate`: sealing anew what is to outlive an L3 version.
//! * `leases`, `recall`, `key_cache`, `record_keys`, `questions`: opened keys, for as long as the Core allows.

#![forbid(unsafe_code)]

mod authenticated_store;
pub mod backup;
mod burial;
pub mod config;
mod core_client;
mod errands;
mod handler;
mod key_cache;
mod leases;
mod questions;
mod recall;
mod record_keys;
mod root_keys;
mod seal_gate;
mod shredding;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use key_service::audit_log::{LeftOpen, LogError, RecordWitness, ServerKind, ServerLog};
use key_service::chain;
use key_service::crypto::{CryptoError, Entropy, SystemEntropy};
use key_service::memory::{LockedMemory, MemoryError};
use key_service::operations::HANDLED;
use key_service::port::{AuditError, Clock, Store, StoreError, SystemClock};
use key_service::service::Service;
use key_service::store::{self, OpenError, Pulse, Purpose, StoreMetrics, StoreSettings};
use kmip_net::{
    AdminServer, CancellationToken, Client, ClientError, ReloadableTls, Server, ServerError, ServerSettings,
    ServerTls, TlsError, TransportMetrics,
};
use kmip_ttlv::Limits;
use prometheus_client::registry::Registry;

use crate::authenticated_store::AuthenticatedStore;
use crate::burial::{BuryingStore, Undertaker};
use crate::config::{CacheConfig, Config, CoreConfig};
use crate::core_client::{CoreLink, CoreSealer};
use crate::errands::{Bounds, Errands};
use crate::handler::Handler;
use crate::key_cache::KeyCache;
use crate::leases::Leases;
use crate::record_keys::RecordKeys;
use crate::root_keys::RootKeys;
use crate::seal_gate::SealGate;
use crate::shredding::Shredder;

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
    /// There is no locked memory for opened keys.
    #[error("locked memory: {0}")]
    Memory(#[from] MemoryError),
    /// There is no randomness.
    #[error("randomness: {0}")]
    Entropy(#[from] CryptoError),
    /// The store cannot be opened.
    #[error("store: {0}")]
    Store(#[from] OpenError),
    /// The store does not say its name.
    #[error("store: {0}")]
    Nameless(#[from] StoreError),
    /// The audit log cannot be opened.
    #[error("audit log: {0}")]
    Audit(#[from] LogError),
    /// The audit log does not take events.
    #[error(transparent)]
    Record(#[from] AuditError),
}

/// A Gateway that listens but does not serve yet.
pub struct Gateway {
    /// The records as they are kept, to be copied.
    records: Arc<dyn Store>,
    /// Whether they can be reached.
    pulse: Arc<Pulse>,
    kmip: Server<Handler>,
    https: Option<Server<Handler>>,
    admin: AdminServer,
    tls: Arc<ReloadableTls<ServerTls>>,
    log: ServerLog,
    left_open: LeftOpen,
    witness: RecordWitness,
    clock: Arc<dyn Clock>,
}

impl Gateway {
    /// Opens the store and the listeners.
    ///
    /// # Errors
    /// Whatever stands against serving.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let log = ServerLog::open(&config.audit, &config.state_directory, ServerKind::Gateway)?;
        let mut registry = Registry::with_prefix("krypton_gateway");
        let pulse = Arc::new(Pulse::default());
        let records = pulse.over(open_store(&config, StoreMetrics::register(&mut registry)).await?);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let is_durable = config.store.is_durable();
        let store_name = store::name_of(&*records, is_durable, &*clock, &SystemEntropy::new()).await?;
        let life = chain::life_of(&store_name, &new_life()?);
        let core = connect(&config.core, &config.cache, life, clock.clone(), &mut registry)?;
        let Core { link, leases, sealer, burials } = core;
        let gate = Arc::new(SealGate::default());
        let store = Arc::new(AuthenticatedStore::new(records.clone(), sealer.clone(), gate.clone()));
        let authenticated = store.clone();
        let undertaker = Undertaker::new(store.clone(), burials, leases.clone(), &mut registry);
        tokio::spawn(undertaker.clone().run());
        tokio::spawn(undertaker.clone().look_through(records.clone(), config.burial));
        let store = Arc::new(BuryingStore::new(store, undertaker));
        let witness = RecordWitness { store: authenticated.clone() };
        let stores = shredding::Stores { changes: store.clone(), inspected: authenticated };
        let shredder = Shredder::new(stores, link, sealer.clone(), gate, config.shredding, &mut registry);
        tokio::spawn(shredder.run());
        let message_bytes = config.limits.max_message_bytes;
        let service = Service::new(
            store,
            sealer,
            clock.clone(),
            Arc::new(SystemEntropy::new()),
            log.port(),
            config.service,
            HANDLED,
        );
        leases.watch(service.streams.clone());
        let limits = Limits { message_bytes, value_bytes: message_bytes, ..Limits::default() };
        let handler = Arc::new(Handler::new(service, limits));
        let metrics = TransportMetrics::register(&mut registry);
        log.register(&mut registry);
        let tls = ReloadableTls::server(config.tls)?;
        let settings =
            |address| ServerSettings { address, limits: config.limits, identity: config.identity.clone() };
        let kmip = Server::bind(settings(config.listen), tls.clone(), handler.clone(), metrics.clone())?;
        let https = match config.https_listen {
            Some(address) => Some(Server::bind_https(settings(address), tls.clone(), handler, metrics)?),
            None => None,
        };
        let (problems, of_store) = (log.clone(), Arc::clone(&pulse));
        let readiness = move || {
            let reasons: Vec<String> = of_store.problem().into_iter().chain(problems.problem()).collect();
            if reasons.is_empty() { Ok(()) } else { Err(reasons) }
        };
        let admin = AdminServer::bind(config.admin_listen, Arc::new(readiness), Arc::new(registry))?;
        let left_open = log.record_start(clock.now()).await?;
        Ok(Self { records, pulse, kmip, https, admin, tls, log, left_open, witness, clock })
    }

    /// The store, to be copied while it is used.
    pub fn store(&self) -> Arc<dyn Store> {
        self.records.clone()
    }

    /// The certificates of the listeners, to be read again.
    pub fn tls(&self) -> Arc<ReloadableTls<ServerTls>> {
        self.tls.clone()
    }

    /// The audit log.
    pub fn log(&self) -> ServerLog {
        self.log.clone()
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
        let stopping = shutdown.cancelled();
        // A change of the store is all that a Gateway's Destroy or Revoke is: there is nothing to be waited for.
        let concluding = self.left_open.conclude(&self.witness, &*self.clock, Duration::ZERO, stopping);
        let (kmip, admin) = (self.kmip.run(shutdown.clone()), self.admin.run(shutdown.clone()));
        let watching = shutdown.run_until_cancelled(self.pulse.watch(&*self.records));
        tokio::join!(kmip, https, admin, concluding, watching);
        self.log.record_stop(self.clock.now()).await;
    }
}

/// Tries what a configuration names, without starting or changing anything: certificates, keys, authorities and revocation lists, the
/// address of the Core, and the store. Returns what was tried, a line each.
///
/// # Errors
/// What cannot be used.
pub async fn check(config: &Config) -> Result<Vec<String>, StartError> {
    ReloadableTls::server(config.tls.clone())?;
    let tls = ReloadableTls::client(config.core.tls.clone())?;
    Client::new(config.core.client.clone(), tls)?;
    let tried = config.store.check().await?;
    Ok(vec![
        format!(
            "certificate for clients: {}, with its key and authorities",
            config.tls.certificate.display()
        ),
        format!(
            "certificate for the Core: {}, with its key and authorities",
            config.core.tls.certificate.display()
        ),
        format!("the Core: {} is an address; not connected", config.core.client.address),
        format!("store: {}; {tried}", config.store),
    ])
}

/// Opens the store that the configuration names.
///
/// # Errors
/// If it cannot be opened.
pub async fn open_store(config: &Config, metrics: StoreMetrics) -> Result<Arc<dyn Store>, OpenError> {
    let settings =
        StoreSettings { metrics, ..StoreSettings::new(config.state_directory.clone(), Purpose::Gateway) };
    store::open(&config.store, &settings).await
}

/// Locked memory for record keys: 16,384 L3s at once. Objects that are open do not take it away from them.
const RECORD_KEY_MEMORY_BYTES: usize = 512 * 1024;

/// The Core, as a Gateway deals with it.
struct Core {
    link: Arc<CoreLink>,
    leases: Arc<Leases>,
    sealer: Arc<CoreSealer>,
    burials: Arc<Errands>,
}

fn connect(
    config: &CoreConfig,
    cache: &CacheConfig,
    life: ByteString,
    clock: Arc<dyn Clock>,
    registry: &mut Registry,
) -> Result<Core, StartError> {
    let tls = ReloadableTls::client(config.tls.clone())?;
    let maximum_message_bytes = config.client.max_message_bytes;
    let client = Client::new(config.client.clone(), tls)?;
    let link = Arc::new(CoreLink::new(client, maximum_message_bytes, life));
    let kind = cache.memory.into();
    let memory = LockedMemory::new(kind, cache.memory_mebibytes << 20)?;
    let cache = KeyCache::new(memory, cache.maximum_keys);
    let record_keys = RecordKeys::new(LockedMemory::new(kind, RECORD_KEY_MEMORY_BYTES)?);
    let bounds = Bounds::of(config);
    let errands = Arc::new(Errands::start(&link, bounds, registry.sub_registry_with_prefix("core")));
    // In lines of their own: a tombstone is answered when other Gateways have heard of it.
    let registry_of_burials = registry.sub_registry_with_prefix("burial");
    let burials = Arc::new(Errands::start(&link, bounds.of_burials(), registry_of_burials));
    let leases = Arc::new(Leases::new(errands.clone(), clock.clone(), cache, record_keys));
    tokio::spawn(leases.clone().look_after());
    tokio::spawn(recall::listen(link.clone(), leases.clone(), clock));
    let root_keys = RootKeys::new(errands.clone(), config.maximum_remembered_services_per_tenant, registry);
    let sealer = Arc::new(CoreSealer::new(errands, root_keys, leases.clone()));
    Ok(Core { link, leases, sealer, burials })
}

/// What tells this life of this Gateway from others.
fn new_life() -> Result<String, CryptoError> {
    let mut random = [0; 16];
    SystemEntropy::new().fill(&mut random)?;
    Ok(format!("{:032x}", u128::from_be_bytes(random)))
}
