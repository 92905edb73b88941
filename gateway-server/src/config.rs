//! The Gateway's configuration: one TOML file. `krypton-gateway.example.toml` explains every key.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use key_service::service::ServiceSettings;
use kmip_net::{ClientSettings, IdentityRule, ServerLimits, TlsSettings};
use serde::Deserialize;

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
    /// Where records are kept: `memory`, or `embedded:PATH`.
    pub store: String,
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
    /// The rules of KMIP.
    #[serde(default)]
    pub service: ServiceSettings,
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
    /// Messages under way to the Core at once.
    #[serde(default = "CoreConfig::default_concurrent_messages")]
    pub concurrent_messages: usize,
}

impl CoreConfig {
    fn default_maximum_batch_items() -> usize {
        64
    }

    fn default_concurrent_messages() -> usize {
        4
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
    /// Reads the configuration file.
    ///
    /// # Errors
    /// If the file cannot be read, is not TOML, or has keys that nobody knows.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        toml::from_str(&text)
            .map_err(|error| ConfigError::Invalid { path: path.to_owned(), problem: error.to_string() })
    }
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

    #[test]
    fn unknown_keys_are_refused() {
        assert!(toml::from_str::<Config>("listen = \"127.0.0.1:0\"\nnonsense = 1").is_err());
    }
}
