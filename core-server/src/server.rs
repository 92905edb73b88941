//! A running Core: listeners, the way of a frame to its seat, and a graceful end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use key_service::audit_log::{LogError, ServerKind, ServerLog};
use key_service::batch;
use key_service::lease::Drift;
use key_service::memory::{LockedMemory, MemoryError, MemoryKind, wipe_stack_if_due};
use key_service::port::{AuditError, Clock, Entropy, Store, SystemClock, SystemEntropy};
use key_service::store::{OpenError, Pulse, StoreMetrics};
use kmip_net::{
    AdminServer, CancellationToken, Connection, FrameHandler, ReloadableTls, Server, ServerError,
    ServerSettings, ServerTls, TlsError, TransportMetrics,
};
use kmip_protocol::message::MessageError;
use kmip_ttlv::{Limits, SecretBuffer};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use thiserror::Error;
use tokio::task::JoinHandle;

use crate::config::{Config, MemorySettings};
use crate::following::Following;
use crate::gateways::Gateways;
use crate::leases::Leases;
use crate::ledger::{Ledger, LedgerError, LedgeredStore};
use crate::membership::Membership;
use crate::metrics::Metrics;
use crate::operations::Sitting;
use crate::policy::Governance;
use crate::policy::watch::Watch;
use crate::prober::Prober;
use crate::region_metrics::RegionMetrics;
use crate::root::{self, RootError, Roots};
use crate::seat::{Ports, Seats};
use crate::steward::Steward;
use crate::store::WatchedStore;
use crate::switch::Switch;
use crate::tombstones::Tombstones;
use crate::vault::Vault;
use crate::witness::ChainWitness;

/// Why a Core does not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The state folder cannot be used.
    #[error("cannot use the state folder: {0}")]
    State(std::io::Error),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The store is older than the ledger says, or one of them cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The built-in policies cannot be used.
    #[error("the policy cannot be used: {0}")]
    Policy(governance::PolicyError),
    /// A PKCS#11 library cannot be used.
    #[error("the PKCS#11 library {path}: {1}", path = .0.display())]
    Module(PathBuf, RootError),
    /// The other Cores of the region cannot be joined.
    #[error("the other Cores of the region: {0}")]
    Region(key_service::port::StoreError),
    /// Memory for keys cannot be locked.
    #[error("{0}; memory.insecure_allow_unlocked starts all the same")]
    Memory(MemoryError),
    /// The audit log cannot be opened.
    #[error("audit log: {0}")]
    Audit(#[from] LogError),
    /// The audit log does not take events.
    #[error(transparent)]
    Record(#[from] AuditError),
    /// Certificates or keys cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A listener cannot listen.
    #[error(transparent)]
    Listen(#[from] ServerError),
}

/// Tries what a configuration names, without starting or changing anything: certificates, keys, authorities and revocation lists, PKCS#11
/// libraries, and the store. Returns what was tried, a line each.
///
/// # Errors
/// What cannot be used.
pub async fn check(config: &Config) -> Result<Vec<String>, StartError> {
    ReloadableTls::server(config.tls.clone())?;
    root::check_modules(&config.roots).map_err(|(path, error)| StartError::Module(path, error))?;
    let tried = config.store.check().await?;
    let modules = config.roots.pkcs11_modules.values();
    let certificate = config.tls.certificate.display();
    let mut lines = vec![format!("certificate: {certificate}, with its key and authorities")];
    lines.extend(modules.map(|path| format!("PKCS#11 library: {}", path.display())));
    lines.push(format!("store: {}; {tried}", config.store));
    Ok(lines)
}

/// A Core that serves.
pub struct Running {
    log: ServerLog,
    clock: Arc<dyn Clock>,
    listen: SocketAddr,
    admin: SocketAddr,
    tls: Arc<ReloadableTls<ServerTls>>,
    vault: Arc<Vault>,
    serving: JoinHandle<()>,
    proving: JoinHandle<()>,
    stewarding: JoinHandle<()>,
    following: JoinHandle<()>,
    watching: JoinHandle<()>,
    administering: JoinHandle<()>,
    concluding: JoinHandle<()>,
}

/// Starts a Core. It serves until `shutdown` is cancelled; requests in flight are finished then.
///
/// # Errors
/// What it lacks.
pub async fn run(config: Config, shutdown: CancellationToken) -> Result<Running, StartError> {
    let mut registry = Registry::with_prefix("krypton_core");
    let metrics = Metrics::register(&mut registry);
    let memory = lock_memory(&config.memory)?;
    registry.register(
        "memory_capacity_bytes",
        "Locked memory for unsealed keys",
        ConstGauge::new(i64::try_from(config.memory.capacity_bytes).unwrap_or(i64::MAX)),
    );
    let pulse = Arc::new(Pulse::default());
    let store = crate::persistence::open(&config, StoreMetrics::register(&mut registry)).await?;
    let store = pulse.over(store);
    let pulsing = Arc::clone(&store);
    let (store, ledger) = with_ledger(&config, store, &metrics).await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let log = ServerLog::open(&config.audit, &config.state_directory, ServerKind::Core)?;
    log.register(&mut registry);
    let audit = log.port();
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::new());
    let lease_time = Duration::from_secs(config.requests.lease_time_seconds.into());
    let longest_lease = Duration::from_secs(config.requests.longest_lease_seconds.into()).max(lease_time);
    let leases = Arc::new(Leases::new(
        Arc::clone(&clock),
        lease_time,
        longest_lease,
        config.requests.maximum_lives_per_gateway,
    ));
    let membership = match store.region() {
        None => Membership::alone(Arc::clone(&clock)),
        Some(region) => {
            let metrics = RegionMetrics::register(&mut registry);
            let (clock, entropy) = (Arc::clone(&clock), Arc::clone(&entropy));
            Membership::join(region, clock, entropy, config.cores.membership, longest_lease, metrics)
                .await
                .map_err(StartError::Region)?
        }
    };
    let switch =
        Switch::new(leases.clone(), membership.clone(), audit.clone(), clock.clone(), metrics.clone());
    let vault = vault(&config, store.clone(), memory, switch);
    let prober = Prober::new(&config.roots, Arc::clone(&vault), Arc::clone(&clock), metrics.clone());
    let tombstones = Arc::new(Tombstones::new(Arc::clone(&store), Arc::clone(&clock)));
    let watch = govern(&config, &store, ledger.clone(), &leases, &clock, &metrics).await?;
    let (governance, gateways) = (Arc::clone(&watch.governance), Arc::clone(&watch.gateways));
    // What the others change is theirs to record.
    let settlements = Arc::default();
    let following = Following {
        chain: WatchedStore::new(
            store.clone(),
            vault.clone(),
            leases.clone(),
            membership.clone(),
            settlements,
        ),
        store: Arc::clone(&store),
        leases: Arc::clone(&leases),
        gateways: Arc::clone(&gateways),
        governance: Arc::clone(&governance),
        vault: Arc::clone(&vault),
        ledger,
    };
    let ports = Ports {
        gateways,
        store,
        vault: Arc::clone(&vault),
        leases: Arc::clone(&leases),
        tombstones,
        membership: Arc::clone(&membership),
        clock: Arc::clone(&clock),
        entropy,
        metrics,
        governance,
        audit,
    };
    let seats = Arc::new(Seats::new(&config, &ports));
    let witness = ChainWitness::new(seats.operator());
    // By then leases of before a crash have ended, at the other Cores as well: a Revoke that was committed then is in force.
    let elsewhere = ports.store.region().map_or(Duration::ZERO, |_| config.cores.membership);
    let leases_ended = Drift::default().stretch(elsewhere) + Drift::default().stretch(longest_lease);
    let steward = Steward::new(
        config.rotation.clone(),
        Arc::clone(&seats),
        Arc::clone(&vault),
        ports.store,
        Arc::clone(&clock),
        ports.metrics,
    );
    let handler = Handler { seats, clock: Arc::clone(&clock), limits: message_limits(&config) };

    let tls = ReloadableTls::server(config.tls.clone())?;
    let transport = TransportMetrics::register(&mut registry);
    let settings =
        ServerSettings { address: config.listen, limits: config.limits, identity: config.identity.clone() };
    let server = Server::bind(settings, Arc::clone(&tls), Arc::new(handler), transport)?;
    let (stopping, problems, member) = (shutdown.clone(), log.clone(), Arc::clone(&membership));
    let of_store = Arc::clone(&pulse);
    let readiness = move || {
        let stops = stopping.is_cancelled().then(|| "stopping".to_owned());
        let cut_off = "the database that the Cores share does not answer";
        let cut_off = (!member.is_live()).then(|| cut_off.to_owned());
        let reasons = stops.into_iter().chain(of_store.problem()).chain(cut_off).chain(problems.problem());
        let reasons: Vec<String> = reasons.collect();
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    };
    let admin = AdminServer::bind(config.admin_listen, Arc::new(readiness), Arc::new(registry))?;
    let left_open = log.record_start(clock.now()).await?;
    let (concluding_clock, stopping) = (Arc::clone(&clock), shutdown.clone().cancelled_owned());
    let concluding = async move {
        left_open.conclude(&witness, &*concluding_clock, leases_ended, stopping).await;
    };
    // Done when nobody works with keys any more: this Core is a member of its region until then.
    let idle = CancellationToken::new();
    let at_work = Arc::new(idle.clone().drop_guard());
    let following = membership.run(following, Arc::clone(&vault), leases, idle);
    Ok(Running {
        log,
        clock,
        listen: server.local_address(),
        admin: admin.local_address(),
        tls,
        vault,
        administering: tokio::spawn(administer(admin, pulse, pulsing, shutdown.clone())),
        concluding: tokio::spawn(concluding),
        watching: tokio::spawn(watch.run(shutdown.clone())),
        proving: tokio::spawn(holding(Arc::clone(&at_work), prober.run(shutdown.clone()))),
        stewarding: tokio::spawn(holding(Arc::clone(&at_work), steward.run(shutdown.clone()))),
        serving: tokio::spawn(holding(at_work, server.run(shutdown))),
        following: tokio::spawn(following),
    })
}

/// Serves the admin pages, and looks whether the store answers.
async fn administer(
    admin: AdminServer,
    pulse: Arc<Pulse>,
    store: Arc<dyn Store>,
    shutdown: CancellationToken,
) {
    let watching = shutdown.run_until_cancelled(pulse.watch(&*store));
    tokio::join!(admin.run(shutdown.clone()), watching);
}

/// Holds something until the work is done.
async fn holding<T>(held: T, work: impl Future<Output = ()>) {
    work.await;
    drop(held);
}

impl Running {
    /// Where KMIP is served.
    pub fn listen_address(&self) -> SocketAddr {
        self.listen
    }

    /// Where the admin pages are served.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Reads certificates, keys and revocation lists again. Where they do not load, the old ones stay in force.
    ///
    /// # Errors
    /// Why they did not load.
    pub fn reload_tls(&self) -> Result<(), TlsError> {
        self.tls.reload()
    }

    /// Opens the file of OpenTelemetry records again, after it was given another name.
    pub fn reopen_records(&self) {
        self.log.reopen_records();
    }

    /// L2s and L3s that are unsealed now.
    pub fn opened_keys(&self) -> usize {
        self.vault.opened_keys()
    }

    /// Waits until the Core has stopped, all its connections closed and its store let go.
    pub async fn stopped(self) {
        let tasks = [
            self.serving,
            self.proving,
            self.stewarding,
            self.following,
            self.watching,
            self.administering,
            self.concluding,
        ];
        for task in tasks {
            if task.await.is_err() {
                tracing::error!("a listener, the prober, the steward or the membership ended by a panic");
            }
        }
        self.log.record_stop(self.clock.now()).await;
    }
}

/// The store with its ledger, where the store outlives the process. One that is older than its ledger is refused, or put right.
async fn with_ledger(
    config: &Config,
    store: Arc<dyn Store>,
    metrics: &Metrics,
) -> Result<(Arc<dyn Store>, Option<Arc<Ledger>>), LedgerError> {
    if !config.store.is_durable() {
        return Ok((store, None));
    }
    let ledger = Arc::new(Ledger::open(&config.state_directory, metrics.clone())?);
    ledger.judge(&*store, config.policy.accept_older_store).await?;
    Ok((Arc::new(LedgeredStore::new(store, Arc::clone(&ledger))), Some(ledger)))
}

/// Puts the policy in force, lets the Gateways in that were not revoked, and goes on watching both.
async fn govern(
    config: &Config,
    store: &Arc<dyn Store>,
    ledger: Option<Arc<Ledger>>,
    leases: &Arc<Leases>,
    clock: &Arc<dyn Clock>,
    metrics: &Metrics,
) -> Result<Watch, StartError> {
    let governance =
        Governance::new(&config.region, &config.policy, ledger.clone(), Arc::clone(clock), metrics.clone());
    let governance = governance.map_err(StartError::Policy)?;
    governance.load(&**store).await.map_err(LedgerError::Store)?;
    let names = config.gateways.iter().map(|gateway| gateway.name.as_str());
    let gateways = Gateways::new(names, Arc::clone(leases), Arc::clone(clock), metrics.clone());
    gateways.establish(&**store, ledger.as_deref()).await.map_err(LedgerError::Store)?;
    Ok(Watch {
        governance: Arc::new(governance),
        gateways: Arc::new(gateways),
        ledger,
        store: Arc::clone(store),
        interval: config.policy.poll_interval,
    })
}

/// The vault over a store.
pub(crate) fn vault(
    config: &Config,
    store: Arc<dyn Store>,
    memory: LockedMemory,
    switch: Switch,
) -> Arc<Vault> {
    let roots = Roots::new(config, memory.clone());
    Arc::new(Vault::new(store, roots, memory, Arc::new(SystemEntropy::new()), switch))
}

/// Memory for keys, locked; unlocked only where the operator puts up with it.
pub(crate) fn lock_memory(settings: &MemorySettings) -> Result<LockedMemory, StartError> {
    let locked = LockedMemory::new(settings.kind.into(), settings.capacity_bytes);
    match locked {
        Err(error) if settings.insecure_allow_unlocked => {
            tracing::warn!(%error, "INSECURE: keys may be swapped to disk");
            LockedMemory::new(MemoryKind::InsecureUnlocked, settings.capacity_bytes)
                .map_err(StartError::Memory)
        }
        locked => locked.map_err(StartError::Memory),
    }
}

fn message_limits(config: &Config) -> Limits {
    let bytes = config.limits.max_message_bytes;
    Limits { message_bytes: bytes, value_bytes: bytes, ..Limits::default() }
}

struct Handler {
    seats: Arc<Seats>,
    clock: Arc<dyn Clock>,
    limits: Limits,
}

impl FrameHandler for Handler {
    async fn handle(&self, connection: &Connection, request: Bytes) -> SecretBuffer {
        let seat = self.seats.of(connection.identity());
        let principal = seat.principal(connection.identity());
        let sitting = Sitting { seat, connection };
        let answer = batch::answer(&sitting, &seat.service, &principal, &request, self.limits).await;
        wipe_stack_if_due();
        answer
    }

    fn refuse(&self, error: kmip_ttlv::Error) -> SecretBuffer {
        batch::refuse(MessageError { error, version: None }, self.clock.now())
    }
}
