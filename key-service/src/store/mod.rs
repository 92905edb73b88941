//! The stores: implementations of the port [`Store`], and how an operator picks one.

pub mod archive;
mod embedded;
mod identity;
mod memory;
mod metrics;
mod postgres;
mod pulse;
mod redis;
#[cfg(test)]
pub(crate) mod suite;
mod transition;
mod value;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use crate::port::Store;
pub use embedded::{EmbeddedLimits, EmbeddedStore};
pub use identity::{IDENTITY_TENANT, name_of};
pub use memory::{MemoryLimits, MemoryStore};
pub use metrics::StoreMetrics;
pub use postgres::PostgresStore;
pub use pulse::Pulse;
pub use redis::RedisStore;

/// Which store, as an operator writes it.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// `memory`: forgets everything when the process ends.
    Memory,
    /// `embedded:PATH`: the directory PATH; `embedded`: [`StoreSettings::state_directory`]`/store`.
    Embedded(Option<PathBuf>),
    /// `redis://…` or `rediss://…`, whole.
    Redis(String),
    /// `postgres://…` or `postgresql://…`, whole.
    Postgres(String),
}

/// What a store needs beside its URL.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// The server's own directory.
    pub state_directory: PathBuf,
    /// For `memory`.
    pub memory: MemoryLimits,
    /// For `embedded`.
    pub embedded: EmbeddedLimits,
    /// For stores that several servers share: which they are.
    pub purpose: Purpose,
    /// What stores on other machines count.
    pub metrics: StoreMetrics,
}

impl StoreSettings {
    /// The usual settings.
    pub fn new(state_directory: PathBuf, purpose: Purpose) -> Self {
        Self {
            state_directory,
            memory: MemoryLimits::default(),
            embedded: EmbeddedLimits::default(),
            purpose,
            metrics: StoreMetrics::default(),
        }
    }
}

/// Whose store it is. A database is the store of one kind only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Gateways.
    Gateway,
    /// The Cores of a region.
    Core,
}

impl Purpose {
    /// The name in messages.
    fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Core => "core",
        }
    }
}

/// Why a store was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL names no store that Krypton knows.
    #[error("the store is one of: memory, embedded, embedded:PATH, redis://…, postgres://…")]
    UnknownUrl,
    /// Another process works with it.
    #[error("another process works with the store {}", .0.display())]
    InUse(PathBuf),
    /// Written by a later version, most likely.
    #[error("the store {} has format {found}; this version reads and writes format {known}", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// What is known here.
        known: u64,
    },
    /// The file is not what a store left.
    #[error("the store {} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// It is older or emptier than it has been.
    #[error(
        "the store {} has lost records that were confirmed, or was replaced by an older copy: restore it from a \
         backup, or remove its file `anchor` to go on with what is there",
        .0.display()
    )]
    Lost(PathBuf),
    /// The attempt ended half way.
    #[error("the store was not opened: {0}")]
    NotOpened(String),
    /// The server of a store cannot be reached, or is not fit for a store.
    #[error("the {kind} store: {what}")]
    Server {
        /// Its kind.
        kind: &'static str,
        /// What is wrong, without secrets.
        what: String,
    },
    /// A file or directory cannot be used.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Opens the store that an operator picked.
///
/// Takes its time while a store that was not closed properly is checked.
///
/// # Errors
/// If this build does not have it, or it cannot be opened.
pub async fn open(url: &StoreUrl, settings: &StoreSettings) -> Result<Arc<dyn Store>, OpenError> {
    match url {
        StoreUrl::Memory => Ok(Arc::new(MemoryStore::new(settings.memory))),
        StoreUrl::Embedded(path) => {
            let directory = path.clone().unwrap_or_else(|| settings.state_directory.join(DEFAULT_DIRECTORY));
            let limits = settings.embedded;
            let opening = tokio::task::spawn_blocking(move || EmbeddedStore::open(&directory, limits));
            Ok(Arc::new(opening.await.map_err(|error| OpenError::NotOpened(error.to_string()))??))
        }
        StoreUrl::Redis(url) if settings.purpose == Purpose::Gateway => {
            Ok(Arc::new(RedisStore::open(url, settings.metrics.clone()).await?))
        }
        // Several Cores could not act as one there.
        StoreUrl::Redis(_) => {
            let what = "the Core keeps its records in an embedded store or in PostgreSQL".to_owned();
            Err(OpenError::Server { kind: "redis", what })
        }
        StoreUrl::Postgres(url) => {
            Ok(Arc::new(PostgresStore::open(url, &settings.purpose, settings.metrics.clone()).await?))
        }
    }
}

/// Where `embedded` is within the state directory.
const DEFAULT_DIRECTORY: &str = "store";

impl StoreUrl {
    /// Whether what is acknowledged survives the process.
    pub fn is_durable(&self) -> bool {
        !matches!(self, Self::Memory)
    }

    /// Takes a relative path from `folder`.
    pub fn resolve(&mut self, folder: &Path) {
        if let Self::Embedded(Some(path)) = self {
            *path = folder.join(&path);
        }
    }

    /// Tries what can be tried without changing anything: the URL with the files that it names and, of a database, whether it lets us in.
    /// Returns what was tried.
    ///
    /// # Errors
    /// Why the store could not be opened.
    pub async fn check(&self) -> Result<&'static str, OpenError> {
        match self {
            Self::Memory => Ok("forgets everything when the process ends"),
            // It may be in use, and is made at the first start.
            Self::Embedded(_) => Ok("not opened"),
            Self::Redis(url) => RedisStore::check(url).await.map(|()| "reached"),
            Self::Postgres(url) => PostgresStore::check(url).await.map(|()| "reached"),
        }
    }
}

impl FromStr for StoreUrl {
    type Err = OpenError;

    fn from_str(text: &str) -> Result<Self, OpenError> {
        let (scheme, rest) = text.split_once(':').map_or((text, None), |(scheme, rest)| (scheme, Some(rest)));
        match (scheme, rest) {
            ("memory", None) => Ok(Self::Memory),
            ("embedded", None) => Ok(Self::Embedded(None)),
            ("embedded", Some(path)) if !path.is_empty() => Ok(Self::Embedded(Some(path.into()))),
            ("redis" | "rediss", Some(rest)) if rest.starts_with("//") => Ok(Self::Redis(text.to_owned())),
            ("postgres" | "postgresql", Some(rest)) if rest.starts_with("//") => {
                Ok(Self::Postgres(text.to_owned()))
            }
            _ => Err(OpenError::UnknownUrl),
        }
    }
}

/// Without user and password.
impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Embedded(None) => f.write_str("embedded"),
            Self::Embedded(Some(path)) => write!(f, "embedded:{}", path.display()),
            Self::Redis(url) | Self::Postgres(url) => f.write_str(&without_secrets(url)),
        }
    }
}

/// As [`Display`](fmt::Display): a password must not reach a log by this way either.
impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Scheme and host. Whatever may hold a password is left out, in URLs that are written wrongly, too.
fn without_secrets(url: &str) -> String {
    let (scheme, rest) = url.split_once("//").unwrap_or((url, ""));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.rsplit_once('@') {
        Some((_, host)) => host,
        None if rest.contains('@') => "",
        None => authority,
    };
    format!("{scheme}//{host}")
}

impl OpenError {
    fn file(path: &Path, error: io::Error) -> Self {
        Self::File { path: path.to_owned(), error }
    }

    fn damaged(path: &Path, what: impl fmt::Display) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.to_string() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn urls_are_read() {
        let read = |text: &str| text.parse::<StoreUrl>().ok();
        assert_eq!(read("memory"), Some(StoreUrl::Memory));
        assert_eq!(read("embedded"), Some(StoreUrl::Embedded(None)));
        assert_eq!(read("embedded:/var/lib/x:y"), Some(StoreUrl::Embedded(Some("/var/lib/x:y".into()))));
        assert_eq!(read("rediss://h"), Some(StoreUrl::Redis("rediss://h".to_owned())));
        assert_eq!(read("postgresql://h"), Some(StoreUrl::Postgres("postgresql://h".to_owned())));
        for wrong in ["", "memory:", "embedded:", "redis", "redis:h", "Memory", "mysql://h"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn urls_are_shown_without_secrets() {
        for url in [
            "redis://user:p@ss@host:1/0",
            "redis://:p@ss@host:1",
            "redis://host:1/?password=p@ss",
            "redis://u:pass/@host",
        ] {
            let url: StoreUrl = url.parse().unwrap();
            assert!(!format!("{url} {url:?}").contains("ss@"), "{url}");
            assert!(!format!("{url} {url:?}").contains("pass"), "{url}");
        }
    }
}
