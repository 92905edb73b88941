//! Whether the server keeps what it acknowledges: asked when the store is opened, after each reconnection, and every
//! few seconds while commits are made, since a server may be restarted or configured otherwise.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fred::types::Value;
use tokio::sync::Mutex;

use super::connections::Connections;
use super::url::Durability;
use crate::port::StoreError;

/// Stands before every commit.
pub(super) struct Guard {
    demanded: Durability,
    started: Instant,
    /// Until when the last check counts, in milliseconds since `started`.
    fresh_until: AtomicU64,
    /// The reconnections when it was made.
    reconnections: AtomicU64,
    checking: Mutex<()>,
}

/// How long a check counts.
const FRESH: Duration = Duration::from_secs(10);

impl Guard {
    pub(super) fn new(demanded: Durability) -> Self {
        if demanded == Durability::InsecureUnchecked {
            tracing::warn!("durability=insecure-unchecked: the store may lose keys that were acknowledged");
        }
        Self {
            demanded,
            started: Instant::now(),
            fresh_until: AtomicU64::new(0),
            reconnections: AtomicU64::new(0),
            checking: Mutex::new(()),
        }
    }

    /// Refuses a commit that the server may lose.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], with the reason.
    pub(super) async fn judge(&self, connections: &Connections) -> Result<(), StoreError> {
        if self.is_fresh(connections) {
            return Ok(());
        }
        let _checking = self.checking.lock().await;
        // Somebody else may have checked meanwhile.
        if self.is_fresh(connections) {
            return Ok(());
        }
        self.check(connections).await.map_err(StoreError::Unavailable)
    }

    fn is_fresh(&self, connections: &Connections) -> bool {
        self.demanded == Durability::InsecureUnchecked
            || (self.reconnections.load(Ordering::Acquire) == connections.reconnections()
                && self.now() < self.fresh_until.load(Ordering::Acquire))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Asks the server.
    ///
    /// # Errors
    /// Why it may lose records, or cannot be asked.
    pub(super) async fn check(&self, connections: &Connections) -> Result<(), String> {
        let reconnections = connections.reconnections();
        if self.demanded == Durability::Checked {
            demand(connections, "appendonly", &["yes"], "keys would be gone after a restart").await?;
            demand(connections, "appendfsync", &["always"], "a power failure would take acknowledged keys")
                .await?;
        }
        if self.demanded != Durability::InsecureUnchecked {
            demand_room(connections, self.demanded == Durability::Vouched).await?;
        }
        self.reconnections.store(reconnections, Ordering::Release);
        self.fresh_until.store(self.now() + FRESH.as_millis() as u64, Ordering::Release);
        Ok(())
    }
}

async fn demand(
    connections: &Connections,
    setting: &str,
    wanted: &[&str],
    because: &str,
) -> Result<(), String> {
    for found in settings(connections, setting).await? {
        if !wanted.contains(&&*found) {
            return Err(format!(
                "Redis has {setting} = {found}, but a durable store needs {}: {because}. Set it, or accept the loss of \
                 keys with durability=insecure-unchecked",
                wanted.join(" or ")
            ));
        }
    }
    Ok(())
}

/// A server that makes room by throwing keys away is no store.
async fn demand_room(connections: &Connections, may_be_hidden: bool) -> Result<(), String> {
    let found = match settings(connections, "maxmemory-policy").await {
        Err(_) if may_be_hidden => return Ok(()),
        found => found?,
    };
    match found.into_iter().find(|policy| policy.starts_with("allkeys")) {
        Some(policy) => Err(format!(
            "Redis has maxmemory-policy = {policy} and would throw keys away when its memory is full: set noeviction"
        )),
        None => Ok(()),
    }
}

/// A setting of every node.
async fn settings(connections: &Connections, setting: &str) -> Result<Vec<String>, String> {
    let answers = connections.ask_all("CONFIG", &["GET", setting]).await.map_err(|error| {
        format!(
            "Redis does not show its configuration ({error}): allow CONFIG GET, or, if you know that each write is on \
             the disk before it is answered, say so with durability=vouched"
        )
    })?;
    let value = |answer: Value| answer.into_array().into_iter().nth(1).and_then(|value| value.into_string());
    let found: Vec<_> = answers.into_iter().filter_map(value).collect();
    if found.is_empty() { Err(format!("Redis does not say its setting {setting}")) } else { Ok(found) }
}
