//! The configuration of a Core: one TOML file, unknown keys refused. `krypton-core.example.toml` explains every key.

use std::collections::{BTreeMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use key_service::audit_log::{AuditSettings, VerifierKey};
use key_service::chain::BEFORE_STORE;
use key_service::memory::MemoryKind;
use key_service::store::StoreUrl;
use kmip_net::{IdentityRule, ServerLimits, TlsSettings};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use thiserror::Error;

use crate::chain::judge_name;
use crate::policy::budget::BudgetSettings;

/// The whole configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where KMIP over TLS is served. Default: 127.0.0.1:5697.
    #[serde(default = "Config::default_listen")]
    pub listen: SocketAddr,
    /// Where `/healthz`, `/readyz` and `/metrics` are served, over plain HTTP. Default: 127.0.0.1:9697.
    #[serde(default = "Config::default_admin_listen")]
    pub admin_listen: SocketAddr,
    /// The folder of everything that this Core keeps; made if it is not there.
    pub state_directory: PathBuf,
    /// Where wrapped keys are kept: `memory`, `embedded`, `embedded:PATH` or `postgres://…`. Default: `embedded`.
    #[serde(default = "Config::default_store", deserialize_with = "store_url")]
    pub store: StoreUrl,
    /// The name of the region that this Core serves, as policies and their bundles name it. Default: `default`.
    #[serde(default = "Config::default_region")]
    pub region: String,
    /// The organizational unit in the certificates of operators. Default: `krypton-operator`.
    #[serde(default = "Config::default_operator_unit")]
    pub operator_unit: String,
    /// The organizational unit in the certificates of Gateways. Default: `krypton-gateway`.
    #[serde(default = "Config::default_gateway_unit")]
    pub gateway_unit: String,
    /// Certificate, key and authorities of the KMIP listener.
    pub tls: TlsSettings,
    /// Where unit and name stand in a client certificate. Default: organizational unit and common name.
    #[serde(default)]
    pub identity: IdentityRule,
    /// What is granted to connections.
    #[serde(default)]
    pub limits: ServerLimits,
    /// What is granted to requests.
    #[serde(default)]
    pub requests: RequestLimits,
    /// Where keys live while they are unsealed.
    #[serde(default)]
    pub memory: MemorySettings,
    /// The roots of trust.
    #[serde(default)]
    pub roots: RootSettings,
    /// The governance policy.
    #[serde(default)]
    pub policy: PolicySettings,
    /// What a Gateway may unwrap for one tenant.
    #[serde(default)]
    pub budget: BudgetSettings,
    /// The audit log.
    #[serde(default)]
    pub audit: AuditSettings,
    /// When L3s are rotated by themselves.
    #[serde(default)]
    pub rotation: RotationSettings,
    /// Several Cores on one PostgreSQL.
    #[serde(default)]
    pub cores: CoresSettings,
    /// What is logged, and how.
    #[serde(default)]
    pub log: LogSettings,
    /// The Gateways, and the tenants that each serves.
    #[serde(default, rename = "gateway")]
    pub gateways: Vec<GatewaySettings>,
}

/// Bounds of single requests.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RequestLimits {
    /// Bytes of one plaintext that is wrapped. Default: 1 MiB less 4 KiB for the message around it.
    pub maximum_plaintext_bytes: usize,
    /// Items of a batch. Default: 256.
    pub maximum_batch_items: usize,
    /// Bytes of one response; an item of a batch whose answer does not fit fails by itself. Default: 8 MiB.
    pub maximum_response_bytes: usize,
    /// Identifiers that one Locate returns. Default: 1,000.
    pub maximum_located_items: usize,
    /// The lease that Obtain Lease grants on an L3, in seconds: how long a Gateway that is cut off goes on, and how long a
    /// Revoke waits for it. Default: 5.
    pub lease_time_seconds: u32,
    /// The longest lease that may be out from before a restart, in seconds. After lowering `lease_time_seconds`, the old value
    /// belongs here for as long. Default: 5.
    pub longest_lease_seconds: u32,
    /// Lives of one Gateway (processes with its certificate) that hold leases at a time. Default: 64.
    pub maximum_lives_per_gateway: usize,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            maximum_plaintext_bytes: kmip_ttlv::Limits::DEFAULT_MESSAGE_BYTES - MESSAGE_SLACK_BYTES,
            maximum_batch_items: 256,
            maximum_response_bytes: 8 << 20,
            maximum_located_items: 1_000,
            lease_time_seconds: 5,
            longest_lease_seconds: 5,
            maximum_lives_per_gateway: 64,
        }
    }
}

/// A renewal needs a few of these.
const SHORTEST_MEMBERSHIP: Duration = Duration::from_millis(500);

/// What a message around one plaintext needs at most.
const MESSAGE_SLACK_BYTES: usize = 4096;

/// Where keys live while they are unsealed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemorySettings {
    /// The kind of pages.
    pub kind: PageKind,
    /// Bytes of locked memory; an unsealed key takes 32. Default: 4 MiB.
    pub capacity_bytes: usize,
    /// Whether to start all the same where memory cannot be locked, or core dumps and tracing cannot be forbidden.
    pub insecure_allow_unlocked: bool,
}

impl Default for MemorySettings {
    fn default() -> Self {
        Self { kind: PageKind::Auto, capacity_bytes: 4 << 20, insecure_allow_unlocked: false }
    }
}

/// The kind of pages that hold unsealed keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PageKind {
    /// The best that the kernel offers.
    Auto,
    /// `memfd_secret(2)`: unreadable from outside the process, for root too.
    Secret,
    /// Anonymous pages, locked against swapping.
    Locked,
}

impl From<PageKind> for MemoryKind {
    fn from(kind: PageKind) -> Self {
        match kind {
            PageKind::Auto => Self::Auto,
            PageKind::Secret => Self::Secret,
            PageKind::Locked => Self::Locked,
        }
    }
}

/// The roots of trust that L1s may name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RootSettings {
    /// Whether an L1 may be a `software:` key: a file that anybody can copy. For development.
    pub insecure_allow_software: bool,
    /// The folder of `software:` keys. Default: `l1` in the state folder.
    pub software_directory: Option<PathBuf>,
    /// The PKCS#11 libraries that L1s may be reached through, by name. No other library is ever loaded.
    pub pkcs11_modules: BTreeMap<String, PathBuf>,
    /// Time for a token to answer, waiting for a session included. Default: 5 s.
    #[serde(rename = "request_timeout_seconds", deserialize_with = "seconds")]
    pub request_timeout: Duration,
    /// How often the roots of open tenants are proved anew. Default: 30 s.
    #[serde(rename = "probe_interval_seconds", deserialize_with = "seconds")]
    pub probe_interval: Duration,
    /// How long a tenant stays open whose root cannot be reached. Default: 300 s.
    #[serde(rename = "sovereignty_timeout_seconds", deserialize_with = "seconds")]
    pub sovereignty_timeout: Duration,
    /// Proofs at once of roots that share a token. Default: 3, so that one of its 4 sessions is left to requests.
    pub probes_at_once: usize,
    /// L1s that one L2 may be sealed under. Default: 8.
    pub maximum_anchors: usize,
}

impl Default for RootSettings {
    fn default() -> Self {
        Self {
            insecure_allow_software: false,
            software_directory: None,
            pkcs11_modules: BTreeMap::new(),
            request_timeout: Duration::from_secs(5),
            probe_interval: Duration::from_secs(30),
            sovereignty_timeout: Duration::from_secs(300),
            probes_at_once: 3,
            maximum_anchors: 8,
        }
    }
}

/// The governance policy: whose bundles are taken.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicySettings {
    /// The keys of headquarters (`NAME+ID+BASE64`, as `krypton policy keygen` prints them). A bundle that none of them has
    /// signed is refused. Default: none.
    pub trusted_keys: Vec<String>,
    /// Whether nothing is permitted until a bundle has been applied. Otherwise the built-in policies are in force until then.
    pub required: bool,
    /// How often the store is asked whether another Core has a newer policy or has revoked a Gateway. Default: 2 s.
    #[serde(rename = "poll_interval_seconds", deserialize_with = "seconds")]
    pub poll_interval: Duration,
    /// Lines of the log that tell what one Gateway or operator was denied, in a minute. The next line says how many were left out.
    /// Default: 60.
    pub denied_lines_per_minute: u32,
    /// Whether to start on a store that is older than the ledger in the state folder: what the ledger has as closed is closed
    /// again, and no older policy comes into force.
    pub accept_older_store: bool,
}

impl Default for PolicySettings {
    fn default() -> Self {
        let poll_interval = Duration::from_secs(2);
        Self {
            trusted_keys: Vec::new(),
            required: false,
            poll_interval,
            denied_lines_per_minute: 60,
            accept_older_store: false,
        }
    }
}

/// When L3s are rotated by themselves.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RotationSettings {
    /// Days that a version of an L3 seals; parts of days are fine. 0: however long. Default: 365.
    pub maximum_age_days: f64,
    /// Wraps of a version of an L3. 0: any number. Default: 0.
    pub maximum_wraps: u64,
    /// How often it is looked whether an L3 is due, and how often it was used is written down. Default: 60 s.
    #[serde(rename = "check_interval_seconds", deserialize_with = "seconds")]
    pub check_interval: Duration,
}

impl Default for RotationSettings {
    fn default() -> Self {
        Self { maximum_age_days: 365.0, maximum_wraps: 0, check_interval: Duration::from_secs(60) }
    }
}

/// Several Cores on one PostgreSQL. With a store of its own, nothing of this counts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CoresSettings {
    /// How long a Core that is cut off from the database goes on, and how long a Revoke waits for it, on top of its leases.
    /// Default: 5 s.
    #[serde(rename = "membership_seconds", deserialize_with = "seconds")]
    pub membership: Duration,
}

impl Default for CoresSettings {
    fn default() -> Self {
        Self { membership: Duration::from_secs(5) }
    }
}

/// What is logged, and how. Logs go to the standard error stream.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// The form of a line. Default: `text`.
    pub format: LogFormat,
    /// What is logged, as `tracing` filters: a level, or `target=level` pairs. Default: `info`.
    pub filter: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".to_owned() }
    }
}

/// The form of a line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one object a line.
    Json,
}

/// A Gateway, and the tenants and services that it serves. It sees and uses no other L3s.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewaySettings {
    /// The common name in its certificate.
    pub name: String,
    /// The tenants.
    pub tenants: Vec<String>,
    /// The services: `NAME` of any of the tenants, or `TENANT/NAME`. Default: all.
    #[serde(default)]
    pub services: Option<Vec<String>>,
    /// What it may unwrap, wrap and bury for one tenant. Default: as `[budget]` says.
    #[serde(default)]
    pub budget: Option<BudgetSettings>,
}

/// Why a configuration cannot be used. Names the file.
#[derive(Debug, Error)]
#[error("{path}: {problem}", path = path.display())]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a configuration.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(std::io::Error),
    /// The file is not TOML, or has keys or values that mean nothing here.
    #[error("{0}")]
    Unparsable(Box<toml::de::Error>),
    /// The values contradict each other.
    #[error("{0}")]
    Contradiction(String),
}

impl Config {
    /// Reads a file. Relative paths in it are taken from the folder that it lies in.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let fail = |problem| ConfigError { path: path.to_owned(), problem };
        let text = std::fs::read_to_string(path).map_err(|error| fail(Problem::Unreadable(error)))?;
        let mut config: Self =
            toml::from_str(&text).map_err(|error| fail(Problem::Unparsable(Box::new(error))))?;
        config.judge().map_err(|problem| fail(Problem::Contradiction(problem)))?;
        if let Some(folder) = path.parent() {
            config.resolve(folder);
        }
        Ok(config)
    }

    /// The folder of `software:` keys.
    pub fn software_directory(&self) -> PathBuf {
        self.roots.software_directory.clone().unwrap_or_else(|| self.state_directory.join("l1"))
    }

    fn resolve(&mut self, folder: &Path) {
        let tls = &mut self.tls;
        let paths = [&mut self.state_directory, &mut tls.certificate, &mut tls.key, &mut tls.authority];
        let roots = &mut self.roots;
        let of_roots = roots.software_directory.iter_mut().chain(roots.pkcs11_modules.values_mut());
        let others = tls.revocation_lists.iter_mut().chain(of_roots);
        self.store.resolve(folder);
        for path in paths.into_iter().chain(others) {
            *path = folder.join(&path);
        }
        self.audit.resolve(folder);
    }

    fn judge(&self) -> Result<(), String> {
        if self.operator_unit == self.gateway_unit {
            return Err("operator_unit and gateway_unit are the same: who is who?".to_owned());
        }
        if judge_name(&self.region).is_err() || self.region.contains(' ') || self.region == "*" {
            return Err(format!("{:?} cannot be the name of a region", self.region));
        }
        if self.requests.maximum_plaintext_bytes > self.limits.max_message_bytes {
            return Err("requests.maximum_plaintext_bytes exceeds limits.max_message_bytes".to_owned());
        }
        if !(self.rotation.maximum_age_days >= 0.0 && self.rotation.maximum_age_days.is_finite()) {
            return Err("rotation.maximum_age_days is a number of days, or 0".to_owned());
        }
        if self.roots.probes_at_once == 0 || self.roots.maximum_anchors == 0 {
            return Err("roots.probes_at_once and roots.maximum_anchors are 1 at least".to_owned());
        }
        if self.cores.membership < SHORTEST_MEMBERSHIP {
            return Err("cores.membership_seconds is too short to be renewed in time".to_owned());
        }
        if let Some(unfit) = self.policy.trusted_keys.iter().find(|key| key.parse::<VerifierKey>().is_err()) {
            return Err(format!(
                "policy.trusted_keys: {unfit:?} is no key as `krypton policy keygen` prints it"
            ));
        }
        if self.policy.required && self.policy.trusted_keys.is_empty() {
            return Err(
                "policy.required needs policy.trusted_keys: no bundle could ever be applied".to_owned()
            );
        }
        let mut names = HashSet::new();
        for gateway in &self.gateways {
            if !names.insert(&gateway.name) {
                return Err(format!("there are two gateways of the name {:?}", gateway.name));
            }
            let is_ambiguous = gateway.name.contains(BEFORE_STORE);
            if gateway.name.is_empty() || gateway.name.contains(char::is_control) || is_ambiguous {
                return Err(format!("{:?} cannot be the name of a gateway", gateway.name));
            }
            if let Some(unfit) = gateway.tenants.iter().find(|tenant| judge_name(tenant).is_err()) {
                return Err(format!("{unfit:?} cannot be the name of a tenant"));
            }
            judge_services(gateway)?;
        }
        Ok(())
    }

    fn default_region() -> String {
        "default".to_owned()
    }

    fn default_listen() -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 5697).into()
    }

    fn default_admin_listen() -> SocketAddr {
        (Ipv4Addr::LOCALHOST, 9697).into()
    }

    fn default_store() -> StoreUrl {
        StoreUrl::Embedded(None)
    }

    fn default_operator_unit() -> String {
        "krypton-operator".to_owned()
    }

    fn default_gateway_unit() -> String {
        "krypton-gateway".to_owned()
    }
}

/// Services are named alone or after one of the Gateway's tenants.
fn judge_services(gateway: &GatewaySettings) -> Result<(), String> {
    for service in gateway.services.iter().flatten() {
        let (tenant, name) = service.split_once('/').map_or((None, service.as_str()), |(t, n)| (Some(t), n));
        if judge_name(name).is_err() {
            return Err(format!("{service:?} cannot be the name of a service"));
        }
        if tenant.is_some_and(|tenant| !gateway.tenants.iter().any(|served| served == tenant)) {
            return Err(format!(
                "{service:?} is of a tenant that the gateway {:?} does not serve",
                gateway.name
            ));
        }
    }
    Ok(())
}

fn store_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StoreUrl, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    match Duration::try_from_secs_f64(f64::deserialize(deserializer)?) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(D::Error::custom("a positive number of seconds is needed")),
    }
}
