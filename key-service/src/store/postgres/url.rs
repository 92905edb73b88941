//! What the URL of a PostgreSQL says: where it is, who we are there, and how it is dealt with.
//!
//! Everything that `tokio-postgres` knows may stand in it, and these parameters of ours. docs/OPERATIONS.md explains them.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Where the authorities of the system are, for `sslrootcert=system`.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Parameters that are passed on as they are.
const PASSED_ON: &[&str] = &[
    "user",
    "password",
    "dbname",
    "host",
    "hostaddr",
    "port",
    "options",
    "application_name",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "channel_binding",
    "load_balance_hosts",
    "sslnegotiation",
];

/// A PostgreSQL and how it is dealt with.
pub(super) struct PostgresUrl {
    /// For the connections.
    pub(super) config: Config,
    /// Their TLS; not used where [`Config::get_ssl_mode`] says so.
    pub(super) tls: MakeRustlsConnect,
    /// Time-outs and the like.
    pub(super) limits: Limits,
    /// What the operator puts up with.
    pub(super) tolerance: Tolerance,
}

/// What may be used, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// `connect_timeout`: for a connection to be made. Default: 3 s.
    pub(super) connect_timeout: Duration,
    /// `statement_timeout_seconds`: for a statement or a transaction. Default: 5 s.
    pub(super) statement_timeout: Duration,
    /// `pool_wait_seconds`: for a connection to be free. Default: 2 s.
    pub(super) pool_wait: Duration,
    /// `pool_size`: connections at most. Default: 8.
    pub(super) pool_size: usize,
    /// `batch_commits`: commits in one transaction. Default: 256.
    pub(super) batch_commits: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            statement_timeout: Duration::from_secs(5),
            pool_wait: Duration::from_secs(2),
            pool_size: 8,
            batch_commits: 256,
        }
    }
}

/// What is put up with, against the promises of a store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tolerance {
    /// `insecure_allow_lost_commits`: a server that does not write commits to the disk before it answers.
    pub(super) lost_commits: bool,
    /// `insecure_allow_superuser`: a role that row-level security does not bind.
    pub(super) superuser: bool,
}

/// Why a URL cannot be used. Shows nothing of its values.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UrlError(String);

impl fmt::Display for UrlError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn wrong(what: impl Into<String>) -> UrlError {
    UrlError(what.into())
}

/// The parameters about TLS, as they are written.
#[derive(Default)]
struct TlsParameters {
    mode: Option<String>,
    authority: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl FromStr for PostgresUrl {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut limits, mut tolerance) = (Limits::default(), Tolerance::default());
        let (mut tls, mut password_file) = (TlsParameters::default(), None);
        let mut passed_on = String::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').ok_or_else(|| wrong("a parameter has no value"))?;
            let text = decode(value).ok_or_else(|| wrong(format!("{name} is not encoded as in a URL")))?;
            match name {
                "sslmode" => tls.mode = Some(text),
                "sslrootcert" if text == "system" => tls.authority = Some(SYSTEM_AUTHORITIES.into()),
                "sslrootcert" => tls.authority = Some(text.into()),
                "sslcert" => tls.certificate = Some(text.into()),
                "sslkey" => tls.key = Some(text.into()),
                "password_file" => password_file = Some(text),
                "connect_timeout" => limits.connect_timeout = seconds(name, &text)?,
                "statement_timeout_seconds" => limits.statement_timeout = seconds(name, &text)?,
                "pool_wait_seconds" => limits.pool_wait = seconds(name, &text)?,
                "pool_size" => limits.pool_size = number(name, &text)?,
                "batch_commits" => limits.batch_commits = number(name, &text)?,
                "insecure_allow_lost_commits" => tolerance.lost_commits = flag(name, &text)?,
                "insecure_allow_superuser" => tolerance.superuser = flag(name, &text)?,
                known if PASSED_ON.contains(&known) => {
                    passed_on.push(if passed_on.is_empty() { '?' } else { '&' });
                    passed_on.push_str(parameter);
                }
                _ => {
                    return Err(wrong(
                        "it has a parameter that is not known (docs/OPERATIONS.md lists them)",
                    ));
                }
            }
        }
        // What the library says of a URL may show parts of it.
        let mut config: Config =
            format!("{address}{passed_on}").parse().map_err(|_| wrong("it is not readable as a URL"))?;
        if let Some(path) = password_file {
            let password = fs::read_to_string(&path).map_err(|error| wrong(format!("{path}: {error}")))?;
            config.password(password.trim_end_matches(['\r', '\n']));
        }
        if config.get_hosts().is_empty() {
            return Err(wrong("it names no host"));
        }
        tune(&mut config, &limits);
        let tls = tls.settle(&mut config)?;
        Ok(Self { config, tls, limits, tolerance })
    }
}

/// Time-outs that the server and the kernel keep for us, whatever has become of this process.
fn tune(config: &mut Config, limits: &Limits) {
    let milliseconds = limits.statement_timeout.as_millis();
    let own = format!(
        "-c statement_timeout={milliseconds} -c idle_in_transaction_session_timeout={milliseconds} \
         -c lock_timeout={milliseconds}"
    );
    config.options(match config.get_options() {
        Some(options) => format!("{own} {options}"),
        None => own,
    });
    config.connect_timeout(limits.connect_timeout).tcp_user_timeout(limits.statement_timeout);
    // With several hosts, the one that takes changes is looked for. A single one is judged when it is connected to, and still read
    // from where it has been made read-only.
    if config.get_hosts().len() > 1 {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    if config.get_application_name().is_none() {
        config.application_name("krypton");
    }
}

impl TlsParameters {
    /// Whether and how connections are encrypted.
    fn settle(self, config: &mut Config) -> Result<MakeRustlsConnect, UrlError> {
        let is_local = config.get_hosts().iter().all(|host| match host {
            Host::Unix(_) => true,
            Host::Tcp(name) => {
                name == "localhost"
                    || name.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
            }
        });
        let is_encrypted = match self.mode.as_deref() {
            Some("disable") => false,
            // Encrypted without knowing to whom protects from nobody who matters, so these are all the last one.
            Some("require" | "verify-ca" | "verify-full") => true,
            Some(_) => return Err(wrong("sslmode is disable or verify-full")),
            None => !is_local || self.authority.is_some(),
        };
        config.ssl_mode(if is_encrypted { SslMode::Require } else { SslMode::Disable });
        let mut roots = RootCertStore::empty();
        if is_encrypted {
            let path = self.authority.as_ref().ok_or_else(|| {
                wrong(
                    "TLS needs sslrootcert=PATH, the authority of the server's certificate (or sslrootcert=system); \
                     sslmode=disable does without TLS",
                )
            })?;
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| wrong(format!("{}: {error}", path.display())))?;
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(error.to_string()))?
            .with_root_certificates(roots);
        let client = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let own = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| wrong(format!("{}: {error}", key.display())))?;
                client
                    .with_client_auth_cert(certificates(certificate)?, own)
                    .map_err(|error| wrong(format!("{}: {error}", certificate.display())))?
            }
            (None, None) => client.with_no_client_auth(),
            _ => return Err(wrong("sslcert and sslkey go together")),
        };
        Ok(MakeRustlsConnect::new(client))
    }
}

fn certificates(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, UrlError> {
    let unfit = |error| wrong(format!("{}: {error}", path.display()));
    let found = CertificateDer::pem_file_iter(path).map_err(unfit)?;
    let found = found.collect::<Result<Vec<_>, _>>().map_err(unfit)?;
    if found.is_empty() {
        return Err(wrong(format!("{}: no certificate in it", path.display())));
    }
    Ok(found)
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = after;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

fn seconds(name: &str, text: &str) -> Result<Duration, UrlError> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let in_bounds = |time: &Duration| (Duration::from_millis(1)..=Duration::from_secs(3600)).contains(time);
    seconds.filter(in_bounds).ok_or_else(|| wrong(format!("{name} is a number of seconds, up to 3600")))
}

fn number(name: &str, text: &str) -> Result<usize, UrlError> {
    let number = text.parse().ok().filter(|number| (1..=10_000).contains(number));
    number.ok_or_else(|| wrong(format!("{name} is a number from 1 to 10000")))
}

fn flag(name: &str, text: &str) -> Result<bool, UrlError> {
    text.parse().map_err(|_| wrong(format!("{name} is true or false")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn refusal(url: &str) -> String {
        url.parse::<PostgresUrl>().err().unwrap().to_string()
    }

    #[test]
    fn local_servers_need_no_tls_and_others_do() {
        let mode = |url: &str| url.parse::<PostgresUrl>().unwrap().config.get_ssl_mode();
        for local in ["127.0.0.1", "localhost", "[::1]:5433", "%2Frun%2Fpostgresql"] {
            assert_eq!(mode(&format!("postgres://u:p@{local}/d")), SslMode::Disable, "{local}");
        }
        assert_eq!(mode("postgres://u@db.example/d?sslmode=disable"), SslMode::Disable);
        assert!(refusal("postgres://u@db.example/d").contains("sslrootcert"));
        assert!(refusal("postgres://u@127.0.0.1,db.example/d").contains("sslrootcert"));
        assert!(refusal("postgres://u@db.example/d?sslmode=prefer").contains("sslmode"));
    }

    #[test]
    fn parameters_are_read() {
        let url = "postgres://u@127.0.0.1/d?pool_size=3&connect_timeout=0.5&statement_timeout_seconds=2\
                   &application_name=mine&insecure_allow_lost_commits=true&options=-c%20x.y%3Dz";
        let url: PostgresUrl = url.parse().unwrap();
        assert_eq!((url.limits.pool_size, url.limits.connect_timeout), (3, Duration::from_millis(500)));
        assert_eq!(url.tolerance, Tolerance { lost_commits: true, superuser: false });
        assert_eq!(url.config.get_application_name(), Some("mine"));
        assert!(url.config.get_options().unwrap().contains("statement_timeout=2000"));
        assert!(url.config.get_options().unwrap().ends_with("-c x.y=z"));
        assert!(refusal("postgres://u@127.0.0.1/d?pool_size=0").contains("pool_size"));
        assert!(refusal("postgres://u@127.0.0.1/d?nonsense=1").contains("parameter"));
    }

    #[test]
    fn a_refusal_shows_no_password() {
        for url in [
            "postgres://u:secret@127.0.0.1:port/d",
            "postgres://u:secret@127.0.0.1/d?secret",
            "postgres://u@127.0.0.1/d?password=secret&secret=1",
            "postgres://u@127.0.0.1/d?pool_size=secret",
            "postgres://u@127.0.0.1/d?password=%zzsecret",
            "postgres://u:secret@db/d",
        ] {
            assert!(!refusal(url).contains("secret"), "{url}");
        }
    }

    #[test]
    fn a_password_may_lie_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, "from-the-file\n").unwrap();
        let url = format!("postgres://u@127.0.0.1/d?password_file={}", path.display());
        let url: PostgresUrl = url.parse().unwrap();
        assert_eq!(url.config.get_password(), Some(&b"from-the-file"[..]));
    }
}
