//! The Gateway's configuration: one TOML file. `krypton-gateway.example.toml` explains every key.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use key_service::audit_log::AuditSettings;
use key_service::memory::MemoryKind;
use key_service::service::ServiceSettings;
use key_service::store::StoreUrl;
use kmip_net::{ClientSettings, IdentityRule, ServerLimits, TlsSettings};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::errands::OTHER_CONNECTIONS;

/// What an operator may choose.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where KMIP over TLS is served; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where KMIP over HTTPS is served; nowhere where absent.
    #[serde(default)]
    pub https_listen: Option<SocketAddr>,
    /// Where health and metrics are served, over plain HTTP.
    pub admin_listen: SocketAddr,
    /// The Gateway's own directory.
    pub state_directory: PathBuf,
    /// Where records are kept: `memory`, `embedded` (in the state directory), `embedded:PATH`, or the URL of a server.
    #[serde(deserialize_with = "store_url")]
    pub store: StoreUrl,
    /// Where SIGUSR1 puts copies of an embedded store.
    #[serde(default)]
    pub backup_directory: Option<PathBuf>,
    /// The server's certificate, its key, and the authority of the clients.
    pub tls: TlsSettings,
    /// How a client's tenant and principal are read from its certificate.
    #[serde(default)]
    pub identity: IdentityRule,
    /// What is granted to clients.
    #[serde(default)]
    pub limits: ServerLimits,
    /// The Core.
    pub core: CoreConfig,
    /// Opened keys.
    #[serde(default)]
    pub cache: CacheConfig,
    /// Sealing anew what is to outlive an L3 version.
    #[serde(default)]
    pub shredding: ShreddingConfig,
    /// Destroyed objects that the Core has yet to bury.
    #[serde(default)]
    pub burial: BurialConfig,
    /// The rules of KMIP.
    #[serde(default)]
    pub service: ServiceSettings,
    /// The audit log.
    #[serde(default)]
    pub audit: AuditSettings,
    /// How this process logs.
    #[serde(default)]
    pub log: LogFormat,
}

/// How the Core is reached.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoreConfig {
    /// The connection.
    pub client: ClientSettings,
    /// The Gateway's certificate towards the Core, its key, and the authority of the Core.
    pub tls: TlsSettings,
    /// Objects that are sealed or unsealed in one message at most.
    #[serde(default = "CoreConfig::default_maximum_batch_items")]
    pub maximum_batch_items: usize,
    /// Bytes of objects in one message at most; a larger object travels alone.
    #[serde(default = "CoreConfig::default_maximum_batch_bytes")]
    pub maximum_batch_bytes: usize,
    /// Messages under way to the Core at once. Each carries objects of one tenant, and takes a connection.
    #[serde(default = "CoreConfig::default_concurrent_messages")]
    pub concurrent_messages: usize,
    /// Of these, messages of one tenant: one whose root is slow leaves the others to others.
    #[serde(default = "CoreConfig::default_concurrent_messages_per_tenant")]
    pub concurrent_messages_per_tenant: usize,
    /// Requests that wait to be sent to the Core. Beyond that the longest line gives way.
    #[serde(default = "CoreConfig::default_maximum_waiting")]
    pub maximum_waiting: usize,
    /// Of these, requests of one tenant: the length of its line.
    #[serde(default = "CoreConfig::default_maximum_waiting_per_tenant")]
    pub maximum_waiting_per_tenant: usize,
    /// Services of a tenant whose L3 is remembered for a moment. Clients choose Object Groups freely, and each is looked for.
    #[serde(default = "CoreConfig::default_maximum_remembered_services_per_tenant")]
    pub maximum_remembered_services_per_tenant: usize,
}

impl CoreConfig {
    fn default_maximum_batch_items() -> usize {
        64
    }

    fn default_maximum_batch_bytes() -> usize {
        256 * 1024
    }

    fn default_concurrent_messages() -> usize {
        48
    }

    fn default_concurrent_messages_per_tenant() -> usize {
        4
    }

    fn default_maximum_waiting() -> usize {
        8192
    }

    fn default_maximum_waiting_per_tenant() -> usize {
        1024
    }

    fn default_maximum_remembered_services_per_tenant() -> usize {
        256
    }

    /// What is wrong with it.
    fn problem(&self) -> Option<String> {
        let needed = self.concurrent_messages.saturating_add(OTHER_CONNECTIONS);
        let most = self.client.max_connections;
        (needed > most).then(|| {
            format!(
                "core.client.max_connections is {most}, and core.concurrent_messages is {}: each message takes a connection, \
                 and tombstones and shredding take {OTHER_CONNECTIONS}",
                self.concurrent_messages
            )
        })
    }
}

/// Sealing anew what is to outlive an L3 version that is shredded.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShreddingConfig {
    /// Records that are sealed anew in a second at most: each is unwrapped and wrapped by the Core, whose budgets count it.
    pub maximum_records_per_second: u32,
    /// Records that are looked at in a second at most, to see that none is left: all of the tenant, whatever they hang on.
    pub maximum_looks_per_second: u32,
}

impl Default for ShreddingConfig {
    fn default() -> Self {
        Self { maximum_records_per_second: 100, maximum_looks_per_second: 10_000 }
    }
}

/// How records are looked through for pending tombstones that the index of the store lacks.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BurialConfig {
    /// How often, beside the start.
    pub look_through_interval_seconds: u32,
    /// Records that are looked at in a second at most, of all tenants together.
    pub maximum_looks_per_second: u32,
}

impl Default for BurialConfig {
    fn default() -> Self {
        Self { look_through_interval_seconds: 6 * 60 * 60, maximum_looks_per_second: 10_000 }
    }
}

/// Where opened keys are kept, as long as the Core allows.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// Opened keys at most.
    pub maximum_keys: usize,
    /// Locked memory for them, in MiB. The process needs a RLIMIT_MEMLOCK of that much.
    pub memory_mebibytes: usize,
    /// The kind of memory.
    pub memory: MemoryChoice,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self { maximum_keys: 10_000, memory_mebibytes: 6, memory: MemoryChoice::Auto }
    }
}

/// The kind of memory that holds opened keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryChoice {
    /// Secret pages where the kernel has them, else locked ones.
    #[default]
    Auto,
    /// Pages that not even root reads from outside.
    Secret,
    /// Pages that are never swapped.
    Locked,
    /// Ordinary pages: for development.
    InsecureUnlocked,
}

impl From<MemoryChoice> for MemoryKind {
    fn from(choice: MemoryChoice) -> Self {
        match choice {
            MemoryChoice::Auto => Self::Auto,
            MemoryChoice::Secret => Self::Secret,
            MemoryChoice::Locked => Self::Locked,
            MemoryChoice::InsecureUnlocked => Self::InsecureUnlocked,
        }
    }
}

/// The form of the log on standard error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// Why a configuration cannot be used. Names the file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not a configuration.
    #[error("{path}: {problem}", path = path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where.
        problem: String,
    },
}

impl Config {
    /// Reads the configuration file. Relative paths in it are taken from the folder that it lies in.
    ///
    /// # Errors
    /// If the file cannot be read, is not TOML, or has keys that nobody knows.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        let invalid = |problem| ConfigError::Invalid { path: path.to_owned(), problem };
        let mut config: Self = toml::from_str(&text).map_err(|error| invalid(error.to_string()))?;
        if let Some(problem) = config.core.problem() {
            return Err(invalid(problem));
        }
        if let Some(folder) = path.parent() {
            config.resolve(folder);
        }
        Ok(config)
    }

    fn resolve(&mut self, folder: &Path) {
        let of_tls = [&mut self.tls, &mut self.core.tls].into_iter().flat_map(|tls| {
            let files = [&mut tls.certificate, &mut tls.key, &mut tls.authority];
            files.into_iter().chain(&mut tls.revocation_lists)
        });
        for path in of_tls.chain([&mut self.state_directory]).chain(&mut self.backup_directory) {
            *path = folder.join(&path);
        }
        self.store.resolve(folder);
        self.audit.resolve(folder);
    }
}

fn store_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StoreUrl, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_a_configuration() {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("krypton-gateway.example.toml");
        if let Err(error) = Config::load(&example) {
            panic!("{error}");
        }
    }

    /// The settings of the section `[service]` in the example, which are all commented out.
    fn service_in_the_example() -> toml::Table {
        let example = include_str!("../krypton-gateway.example.toml");
        let (_, service) = example.split_once("# [service]\n").expect("the example has the section");
        let is_key = |line: &&str| line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
        let keys: Vec<&str> =
            service.lines().filter_map(|line| line.strip_prefix("# ")).filter(is_key).collect();
        toml::from_str(&keys.join("\n")).expect("the settings are TOML")
    }

    #[test]
    fn the_example_shows_the_defaults_of_the_service() {
        let shown = service_in_the_example();
        let default = format!("{:#?}", ServiceSettings::default());
        for line in default.lines() {
            if let Some((setting, _)) = line.trim_start().split_once(": ") {
                assert!(shown.contains_key(setting), "{setting} is not in the example");
            }
        }
        let shown: ServiceSettings = shown.try_into().expect("the settings are those of the service");
        assert_eq!(format!("{shown:#?}"), default);
    }

    #[test]
    fn the_example_shows_the_defaults_of_the_audit_log() {
        let example = include_str!("../krypton-gateway.example.toml");
        let (_, section) = example.split_once("# [audit]\n").expect("the example has the section");
        let (section, _) = section.split_once("# [service]\n").expect("the next section");
        let is_setting = |line: &&str| {
            let key = line.split_once(" = ").map_or("", |(key, _)| key);
            *line == "[audit.limits]" || (!key.is_empty() && !key.contains(' '))
        };
        let made_at_the_start = ["directory", "signing_key", "origin", "opentelemetry"];
        let is_default = |line: &&str| !made_at_the_start.iter().any(|key| line.starts_with(key));
        let lines = section.lines().filter_map(|line| line.strip_prefix("# ")).filter(is_setting);
        let shown: Vec<&str> = lines.filter(is_default).collect();
        let shown = shown.join("\n").replace("[audit.limits]", "[limits]");
        let shown: AuditSettings = toml::from_str(&shown).expect("the settings are TOML");
        assert_eq!(shown, AuditSettings::default());
        assert!(section.contains("maximum_group_events") && section.contains("uses"));
    }

    const EXAMPLE: &str = include_str!("../krypton-gateway.example.toml");

    fn loaded(text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("gateway.toml");
        std::fs::write(&path, text).expect("a file");
        Config::load(&path)
    }

    #[test]
    fn the_example_shows_the_defaults_of_the_way_to_the_core() {
        let (_, section) = EXAMPLE.split_once("[core]\n").expect("the example has the section");
        let (section, _) = section.split_once("[core.tls]\n").expect("the next section");
        let lines = section.lines().map(|line| line.trim_start_matches("# "));
        let settings: Vec<&str> = lines.filter(|line| line.contains(" = ")).collect();
        let shown: toml::Table = settings.join("\n").parse().expect("the settings are TOML");
        let config = loaded(EXAMPLE).expect("the example is a configuration");
        let defaults = [
            ("maximum_batch_items", config.core.maximum_batch_items),
            ("maximum_batch_bytes", config.core.maximum_batch_bytes),
            ("concurrent_messages", config.core.concurrent_messages),
            ("concurrent_messages_per_tenant", config.core.concurrent_messages_per_tenant),
            ("maximum_waiting", config.core.maximum_waiting),
            ("maximum_waiting_per_tenant", config.core.maximum_waiting_per_tenant),
            ("maximum_remembered_services_per_tenant", config.core.maximum_remembered_services_per_tenant),
            ("max_connections", config.core.client.max_connections),
        ];
        for (name, default) in defaults {
            assert_eq!(shown[name].as_integer(), i64::try_from(default).ok(), "{name}");
        }
    }

    #[test]
    fn messages_and_connections_to_the_core_have_to_fit() {
        let text = EXAMPLE.replace("# max_connections = 64", "max_connections = 57");
        let refused = loaded(&text).expect_err("57 connections do not carry 48 messages and tombstones");
        assert!(refused.to_string().contains("core.client.max_connections is 57"), "{refused}");
    }

    #[test]
    fn relative_paths_are_taken_from_the_folder_of_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("gateway.toml");
        let text = EXAMPLE.replace("\"/etc/krypton/", "\"pki/").replace("\"/var/lib/krypton/", "\"state/");
        let text = text.replace("store = \"embedded\"", "store = \"embedded:records\"");
        std::fs::write(&path, text).expect("a file");
        let config = Config::load(&path).expect("a configuration");
        let within = |path: &Path| path.starts_with(folder.path());
        for tls in [&config.tls, &config.core.tls] {
            assert!([&tls.certificate, &tls.key, &tls.authority].into_iter().all(|path| within(path)));
        }
        assert!(within(&config.state_directory));
        assert_eq!(config.store, StoreUrl::Embedded(Some(folder.path().join("records"))));
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(toml::from_str::<Config>("listen = \"127.0.0.1:0\"\nnonsense = 1").is_err());
    }
}
