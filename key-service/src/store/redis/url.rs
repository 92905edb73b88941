//! What an operator writes of a Redis: `redis://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]…][/DATABASE][?NAME=VALUE&…]`,
//! `rediss://` for TLS. docs/STORAGE.md lists the parameters.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use zeroize::Zeroizing;

/// How a Redis is reached, and what is expected of it.
pub(super) struct RedisUrl {
    /// One; several nodes of a cluster, any of which will do.
    pub(super) hosts: Vec<(String, u16)>,
    pub(super) cluster: bool,
    pub(super) user: Option<String>,
    pub(super) password: Option<Password>,
    pub(super) database: Option<u8>,
    /// For TLS.
    pub(super) tls: Option<TlsFiles>,
    /// Connections for commits, and as many again for reads.
    pub(super) connections: usize,
    pub(super) connect_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) durability: Durability,
    /// Replicas that must have a commit before it is answered.
    pub(super) wait_replicas: u32,
}

pub(super) enum Password {
    Given(Zeroizing<String>),
    /// Its first line.
    File(PathBuf),
}

pub(super) struct TlsFiles {
    /// The authorities of the server's certificate, PEM.
    pub(super) authority: PathBuf,
    /// The client's certificate and its key, where the server asks for one.
    pub(super) client: Option<(PathBuf, PathBuf)>,
}

/// What is demanded of the server's persistence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// The server itself says that each write is on the disk before it is answered.
    Checked,
    /// The operator says so: of a managed service that does not show its configuration.
    Vouched,
    /// Nothing: acknowledged keys may be lost.
    InsecureUnchecked,
}

/// What is wrong with a URL. Never repeats a part of it that may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct UrlError(String);

const DEFAULT_PORT: u16 = 6379;
const DEFAULT_CONNECTIONS: usize = 4;
const MAXIMUM_CONNECTIONS: usize = 256;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);

fn error(what: impl fmt::Display) -> UrlError {
    UrlError(what.to_string())
}

impl FromStr for RedisUrl {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| error("it begins with redis://"))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, hosts) = match authority.rsplit_once('@') {
            Some((credentials, hosts)) => (Some(credentials), hosts),
            None => (None, authority),
        };
        let mut parsed = Self {
            hosts: hosts.split(',').map(read_host).collect::<Result<_, _>>()?,
            cluster: false,
            user: None,
            password: None,
            database: None,
            tls: None,
            connections: DEFAULT_CONNECTIONS,
            connect_timeout: DEFAULT_TIMEOUT,
            request_timeout: DEFAULT_TIMEOUT,
            durability: Durability::Checked,
            wait_replicas: 0,
        };
        if let Some(credentials) = credentials {
            parsed.read_credentials(credentials)?;
        }
        if !path.is_empty() {
            parsed.database = Some(path.parse().map_err(|_| error("the database is a number"))?);
        }
        let mut files = Files::default();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            parsed.read_parameter(&mut files, name, decode(value)?)?;
        }
        parsed.tls = files.into_tls(scheme == "rediss")?;
        parsed.judge()
    }
}

/// The parameters that TLS needs.
#[derive(Default)]
struct Files {
    authority: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl Files {
    fn into_tls(self, is_wanted: bool) -> Result<Option<TlsFiles>, UrlError> {
        let is_given = self.authority.is_some() || self.certificate.is_some() || self.key.is_some();
        match (is_wanted, self.authority) {
            (false, _) if is_given => Err(error("files for TLS, but not rediss://")),
            (false, _) => Ok(None),
            (true, None) => Err(error("rediss:// needs ca_file=PATH, the authority of the server")),
            (true, Some(authority)) => match (self.certificate, self.key) {
                (None, None) => Ok(Some(TlsFiles { authority, client: None })),
                (Some(certificate), Some(key)) => {
                    Ok(Some(TlsFiles { authority, client: Some((certificate, key)) }))
                }
                _ => Err(error("client_certificate_file and client_key_file go together")),
            },
        }
    }
}

impl RedisUrl {
    fn read_credentials(&mut self, credentials: &str) -> Result<(), UrlError> {
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        self.user = Some(decode(user)?).filter(|user| !user.is_empty());
        if !password.is_empty() {
            self.password = Some(Password::Given(Zeroizing::new(decode(password)?)));
        }
        Ok(())
    }

    fn read_parameter(&mut self, files: &mut Files, name: &str, value: String) -> Result<(), UrlError> {
        match name {
            "cluster" => self.cluster = read_flag(name, &value)?,
            "user" => self.user = Some(value),
            "password_file" if self.password.is_some() => {
                return Err(error("the password is given twice"));
            }
            "password_file" => self.password = Some(Password::File(value.into())),
            "ca_file" => files.authority = Some(value.into()),
            "client_certificate_file" => files.certificate = Some(value.into()),
            "client_key_file" => files.key = Some(value.into()),
            "connections" => {
                self.connections = read_number(name, &value, 1, MAXIMUM_CONNECTIONS as u64)? as usize
            }
            "connect_timeout_milliseconds" => self.connect_timeout = read_duration(name, &value)?,
            "request_timeout_milliseconds" => self.request_timeout = read_duration(name, &value)?,
            "wait_replicas" => self.wait_replicas = read_number(name, &value, 0, 100)? as u32,
            "durability" => {
                self.durability = match &*value {
                    "checked" => Durability::Checked,
                    "vouched" => Durability::Vouched,
                    "insecure-unchecked" => Durability::InsecureUnchecked,
                    _ => return Err(error("durability is one of checked, vouched, insecure-unchecked")),
                }
            }
            // The value may be a secret: it is not repeated.
            _ => return Err(error(format_args!("there is no parameter \"{}\"", name.escape_debug()))),
        }
        Ok(())
    }

    fn judge(self) -> Result<Self, UrlError> {
        if !self.cluster && self.hosts.len() > 1 {
            return Err(error("several hosts are the nodes of a cluster: cluster=true"));
        }
        if self.cluster && self.database.unwrap_or(0) != 0 {
            return Err(error("a cluster has no databases"));
        }
        if self.user.is_some() && self.password.is_none() {
            return Err(error("a user needs a password: in the URL, or password_file=PATH"));
        }
        Ok(self)
    }
}

fn read_host(text: &str) -> Result<(String, u16), UrlError> {
    let wrong = || error("a host is HOST or HOST:PORT");
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(wrong)?;
            (host, rest.strip_prefix(':'))
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Ok(DEFAULT_PORT), |port| port.parse().map_err(|_| wrong()))?;
    if host.is_empty() { Err(wrong()) } else { Ok((decode(host)?, port)) }
}

fn read_flag(name: &str, value: &str) -> Result<bool, UrlError> {
    value.parse().map_err(|_| error(format_args!("{name} is true or false")))
}

fn read_number(name: &str, value: &str, least: u64, most: u64) -> Result<u64, UrlError> {
    let number = value.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| error(format_args!("{name} is a number from {least} to {most}")))
}

fn read_duration(name: &str, value: &str) -> Result<Duration, UrlError> {
    read_number(name, value, 10, 60_000).map(Duration::from_millis)
}

/// Percent-encoding.
fn decode(text: &str) -> Result<String, UrlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.ok_or_else(|| error("% is followed by two hexadecimal digits"))?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).map_err(|_| error("what is percent-encoded is not UTF-8"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn refusal(url: &str) -> String {
        url.parse::<RedisUrl>().err().unwrap_or_else(|| panic!("{url}")).to_string()
    }

    #[test]
    fn a_bare_host_has_safe_defaults() {
        let url: RedisUrl = "redis://keys.example".parse().unwrap();
        assert_eq!(url.hosts, [("keys.example".to_owned(), 6379)]);
        assert_eq!(url.durability, Durability::Checked);
        assert!(url.tls.is_none() && url.user.is_none() && url.password.is_none() && !url.cluster);
    }

    #[test]
    fn every_part_is_read() {
        let url: RedisUrl = "rediss://gate:p%40s%3As@a:1,[::1]:2?cluster=true&ca_file=/x%20y&connections=9&\
             request_timeout_milliseconds=50&wait_replicas=2&durability=vouched&client_certificate_file=c&client_key_file=k"
            .parse()
            .unwrap();
        assert_eq!(url.hosts, [("a".to_owned(), 1), ("::1".to_owned(), 2)]);
        assert_eq!(url.user.as_deref(), Some("gate"));
        assert!(matches!(&url.password, Some(Password::Given(password)) if **password == "p@s:s"));
        let tls = url.tls.unwrap();
        assert_eq!(tls.authority, PathBuf::from("/x y"));
        assert_eq!(tls.client, Some(("c".into(), "k".into())));
        assert_eq!((url.connections, url.wait_replicas), (9, 2));
        assert_eq!(url.request_timeout, Duration::from_millis(50));
        assert_eq!(url.durability, Durability::Vouched);
        let url: RedisUrl = "redis://h/3?user=u&password_file=/p".parse().unwrap();
        assert_eq!(url.database, Some(3));
        assert!(matches!(&url.password, Some(Password::File(path)) if path.as_os_str() == "/p"));
    }

    #[test]
    fn what_is_wrong_is_said_without_secrets() {
        for (url, what) in [
            ("redis://", "a host is"),
            ("redis://h:port", "a host is"),
            ("redis://h/x", "a number"),
            ("redis://a,b", "cluster=true"),
            ("redis://a/1?cluster=true", "no databases"),
            ("redis://u@h", "needs a password"),
            ("redis://:p@h?password_file=x", "given twice"),
            ("rediss://h", "needs ca_file"),
            ("redis://h?ca_file=x", "not rediss"),
            ("rediss://h?ca_file=x&client_key_file=k", "go together"),
            ("redis://h?durability=maybe", "insecure-unchecked"),
            ("redis://h?connections=0", "from 1"),
            ("redis://h?pasword=hush", "no parameter \"pasword\""),
            ("redis://:%zzhush@h", "hexadecimal"),
        ] {
            let refusal = refusal(url);
            assert!(refusal.contains(what) && !refusal.contains("hush"), "{url}: {refusal}");
        }
    }
}
