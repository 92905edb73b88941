//! The connections: a pool with time-outs, each connection judged when it is made, and none used again after something
//! went wrong on it.

use std::error::Error as _;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::url::{Limits, PostgresUrl, Tolerance};
use crate::port::StoreError;
use crate::store::metrics::StoreMetrics;

/// Why a statement or a transaction was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// Another transaction was in the way: nothing was done, and it may be tried again.
    Race,
    /// The disk of the server is full.
    Full,
    /// The connection is gone: whoever only reads may try again.
    Closed(String),
    /// The server has refused a statement: it may be for what one commit of several asks.
    Refused(String),
    /// Anything else.
    Unavailable(String),
}

/// The pool.
pub(super) struct Connections {
    pool: Pool,
    limits: Limits,
    metrics: StoreMetrics,
}

/// A connection that is used. Dropped before it was given back, it is closed: who knows what state it is in.
pub(super) struct Lease(Option<Object>);

impl Connections {
    /// A pool for the server of a URL; connects to nobody yet.
    pub(super) fn new(url: &PostgresUrl, metrics: StoreMetrics) -> Result<Self, String> {
        let limits = url.limits;
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(url.config.clone(), url.tls.clone(), recycling);
        let tolerance = url.tolerance;
        let judge = Hook::async_fn(move |client, _| {
            Box::pin(async move {
                let judged = tokio::time::timeout(limits.connect_timeout, judge(client, tolerance)).await;
                match judged {
                    Ok(judged) => judged.map_err(HookError::message),
                    Err(_) => Err(HookError::message("it does not answer within connect_timeout")),
                }
            })
        });
        let pool = Pool::builder(manager)
            .max_size(limits.pool_size)
            .wait_timeout(Some(limits.pool_wait))
            .create_timeout(Some(limits.connect_timeout))
            .recycle_timeout(Some(limits.connect_timeout))
            .post_create(judge)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { pool, limits, metrics })
    }

    /// What may be used.
    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A connection, when one is free.
    pub(super) async fn take(&self) -> Result<Lease, Failure> {
        let taken = self.pool.get().await;
        let status = self.pool.status();
        self.metrics.pooled(status.size, status.size.saturating_sub(status.available), status.waiting);
        taken.map(|object| Lease(Some(object))).map_err(|error| {
            self.metrics.failed("connect");
            Failure::Unavailable(describe_pool(&error))
        })
    }

    /// Waits for an answer of the server, but not longer than `statement_timeout_seconds`.
    pub(super) async fn limited<T>(
        &self,
        answer: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(self.limits.statement_timeout, answer).await {
            Ok(answer) => answer,
            Err(_) => {
                self.metrics.failed("timeout");
                // The others are not likely to fare better: the next request finds out with a new one.
                self.pool.retain(|_, _| false);
                Err(Failure::Unavailable("it does not answer within statement_timeout_seconds".to_owned()))
            }
        }
    }

    /// Runs one statement that can be run twice: it is tried again where the connection turns out to be gone.
    pub(super) async fn query(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Failure> {
        match self.query_once(sql, parameters).await {
            Err(Failure::Closed(_)) => self.query_once(sql, parameters).await,
            answer => answer,
        }
    }

    async fn query_once(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Failure> {
        let connection = self.take().await?;
        let answer = self.limited(async {
            let statement = connection.prepare_cached(sql).await?;
            Ok(connection.query(&statement, parameters).await?)
        });
        let rows = answer.await?;
        connection.give_back();
        Ok(rows)
    }
}

impl Lease {
    /// Gives the connection back to the pool.
    pub(super) fn give_back(mut self) {
        self.0.take();
    }
}

impl Deref for Lease {
    type Target = Object;

    fn deref(&self) -> &Object {
        self.0.as_ref().expect("a connection is there until it is given back")
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Object {
        self.0.as_mut().expect("a connection is there until it is given back")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            drop(Object::take(object));
        }
    }
}

/// What the server has to be for a store to keep its promises; looked at anew with each connection.
const QUALITIES: &str = "SELECT current_setting('fsync') = 'on', current_setting('full_page_writes') = 'on', \
     current_setting('synchronous_commit') <> 'off', NOT pg_is_in_recovery(), \
     (SELECT NOT (rolsuper OR rolbypassrls) FROM pg_roles WHERE rolname = current_user)";

async fn judge(client: &Client, tolerance: Tolerance) -> Result<(), String> {
    let qualities = client.query_one(QUALITIES, &[]).await.map_err(|error| describe(&error))?;
    let has = |column: usize| qualities.get::<_, Option<bool>>(column).unwrap_or(false);
    let durability = [(0, "fsync"), (1, "full_page_writes"), (2, "synchronous_commit")];
    if let Some((_, setting)) = durability.iter().find(|(column, _)| !has(*column) && !tolerance.lost_commits)
    {
        return Err(format!(
            "{setting} is off there, so that what it has confirmed can be lost: turn it on (for the role: ALTER ROLE … SET \
             synchronous_commit = on), or add insecure_allow_lost_commits=true to the URL"
        ));
    }
    if !has(3) {
        return Err("it is a standby, which shows what has been and takes no changes".to_owned());
    }
    if !has(4) && !tolerance.superuser {
        return Err("the role is a superuser or has BYPASSRLS, so that nothing keeps tenants apart there: use another \
                    one, or add insecure_allow_superuser=true to the URL"
            .to_owned());
    }
    Ok(())
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        if error.is_closed() {
            return Self::Closed(describe(&error));
        }
        match error.code() {
            Some(
                &SqlState::UNIQUE_VIOLATION
                | &SqlState::T_R_SERIALIZATION_FAILURE
                | &SqlState::T_R_DEADLOCK_DETECTED,
            ) => Self::Race,
            Some(&SqlState::DISK_FULL) => Self::Full,
            // The server is stopping: the connection is as good as gone.
            Some(&SqlState::ADMIN_SHUTDOWN | &SqlState::CRASH_SHUTDOWN) => Self::Closed(describe(&error)),
            Some(_) => Self::Refused(describe(&error)),
            None => Self::Unavailable(describe(&error)),
        }
    }
}

impl Failure {
    /// Whether one commit of several may have failed them all: nothing was done, and the server answers.
    pub(super) fn may_be_of_one(&self) -> bool {
        matches!(self, Self::Race | Self::Full | Self::Refused(_))
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            // Others were faster again and again.
            Failure::Race => Self::Conflict,
            Failure::Full => Self::Full,
            Failure::Closed(what) | Failure::Refused(what) | Failure::Unavailable(what) => {
                Self::Unavailable(format!("PostgreSQL: {what}"))
            }
        }
    }
}

/// What went wrong, without anything that was stored or typed.
pub(super) fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        return format!("{} ({})", error.message(), error.code().code());
    }
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn describe_pool(error: &PoolError) -> String {
    match error {
        PoolError::Timeout(deadpool_postgres::TimeoutType::Wait) => {
            "all connections are busy (pool_size, pool_wait_seconds)".to_owned()
        }
        PoolError::Timeout(_) => "no connection within connect_timeout".to_owned(),
        PoolError::Backend(error) => describe(error),
        PoolError::PostCreateHook(HookError::Message(what)) => what.to_string(),
        other => other.to_string(),
    }
}

/// How long [`Connections::take`] and a statement may take together.
pub(super) fn longest(limits: &Limits) -> Duration {
    limits.pool_wait + 2 * limits.connect_timeout + limits.statement_timeout
}
