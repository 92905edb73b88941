//! The store `postgres`: records in a PostgreSQL that several servers may share.
//!
//! Commits that wait at the same time share a transaction. There is no cache: what another server has changed is seen at
//! once. docs/decisions/0004-postgresql-store.md says what was decided, docs/STORAGE.md how the tables look.

mod batch;
mod connections;
mod region;
mod schema;
#[cfg(test)]
mod tests;
mod url;
mod writer;

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use bytestring::ByteString;
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::Row;

use super::transition::Prepared;
use super::{OpenError, Purpose, StoreMetrics, value};
use crate::port::{Bookmark, Change, IndexKey, Position, Region, Store, StoreError, Stretch};
use crate::record::Record;
use batch::{ordered, unordered};
use connections::Connections;
use region::PostgresRegion;
use url::PostgresUrl;
use writer::{Request, Writer};

/// Commits that may wait; further ones wait to be let in.
const WAITING_COMMITS: usize = 1024;

/// Keeps records in a PostgreSQL.
pub struct PostgresStore {
    connections: Arc<Connections>,
    requests: mpsc::Sender<Request>,
    region: Option<Arc<PostgresRegion>>,
}

impl PostgresStore {
    /// Connects to the PostgreSQL of a URL, checks that it keeps its promises, and brings its tables up to date.
    ///
    /// # Errors
    /// If the URL is wrong, the server cannot be reached or does not do, or the tables are not ours.
    pub async fn open(url: &str, purpose: &Purpose, metrics: StoreMetrics) -> Result<Self, OpenError> {
        let (url, connections) = connect(url, metrics.clone())?;
        let mut connection =
            connections.take().await.map_err(|failure| refuse(StoreError::from(failure).to_string()))?;
        schema::prepare(&mut connection, purpose.name()).await.map_err(refuse)?;
        connection.give_back();

        let (requests, receiver) = mpsc::channel(WAITING_COMMITS);
        let region = (*purpose == Purpose::Core)
            .then(|| Arc::new(PostgresRegion::new(Arc::clone(&connections), url.config, url.tls)));
        let tells = region.is_some();
        let writer = Writer { connections: Arc::clone(&connections), requests: receiver, metrics, tells };
        tokio::spawn(writer.run());
        Ok(Self { connections, requests, region })
    }

    /// Whether the server lets us in. Changes nothing there.
    ///
    /// # Errors
    /// Why not.
    pub(super) async fn check(url: &str) -> Result<(), OpenError> {
        let (_, connections) = connect(url, StoreMetrics::default())?;
        let taken = connections.take().await.map_err(|failure| refuse(StoreError::from(failure).to_string()));
        taken.map(drop)
    }
}

fn connect(url: &str, metrics: StoreMetrics) -> Result<(PostgresUrl, Arc<Connections>), OpenError> {
    let url: PostgresUrl = url.parse().map_err(|error: url::UrlError| refuse(format!("its URL: {error}")))?;
    let connections = Connections::new(&url, metrics).map_err(refuse)?;
    Ok((url, Arc::new(connections)))
}

fn refuse(what: String) -> OpenError {
    OpenError::Server { kind: "postgres", what }
}

const FETCH: &str = "SELECT own_sequence, own_version, found FROM krypton_fetch($1, $2)";
const SELECT: &str =
    "SELECT own_sequence, own_version, found, identifier, place FROM krypton_select($1, $2, $3, $4)";
const WALK: &str = "SELECT own_sequence, own_version, found, identifier FROM krypton_walk($1, $2, $3)";
const PRESENT: &str = "SELECT wanted FROM unnest($2::text[]) AS wanted \
     WHERE EXISTS (SELECT 1 FROM krypton_fetch($1, wanted))";
const TENANTS: &str = "SELECT of_tenant FROM krypton_find_tenants()";

#[async_trait]
impl Store for PostgresStore {
    async fn fetch(&self, tenant: &str, unique_identifier: &str) -> Result<Option<Arc<Record>>, StoreError> {
        if !is_storable(tenant) || !is_storable(unique_identifier) {
            return Ok(None);
        }
        let rows = self.connections.query(FETCH, &[&tenant, &unique_identifier]).await?;
        rows.first().map(|row| open(row, tenant, unique_identifier)).transpose()
    }

    async fn present(
        &self,
        tenant: &str,
        unique_identifiers: &[ByteString],
    ) -> Result<Vec<bool>, StoreError> {
        let storable = unique_identifiers.iter().map(|identifier| &**identifier);
        let storable: Vec<&str> = storable.filter(|identifier| is_storable(identifier)).collect();
        if storable.is_empty() || !is_storable(tenant) {
            return Ok(vec![false; unique_identifiers.len()]);
        }
        let rows = self.connections.query(PRESENT, &[&tenant, &storable]).await?;
        let found: HashSet<&str> = rows.iter().map(|row| row.get(0)).collect();
        Ok(unique_identifiers.iter().map(|identifier| found.contains(&**identifier)).collect())
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        let changes = changes.into_iter().map(prepare).collect::<Result<Vec<_>, _>>()?;
        let closed = || StoreError::Unavailable("PostgreSQL: the store is closed".to_owned());
        let longest = connections::longest(self.connections.limits());
        let committed = tokio::time::timeout(longest, async {
            let (answer, answered) = oneshot::channel();
            self.requests.send(Request { changes, answer }).await.map_err(|_| closed())?;
            answered.await.map_err(|_| closed())?
        });
        match committed.await {
            Ok(outcome) => outcome,
            Err(_) => Err(StoreError::Unavailable("PostgreSQL: too many commits wait for it".to_owned())),
        }
    }

    async fn select(
        &self,
        tenant: &str,
        key: Option<&IndexKey>,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Arc<Record>>, StoreError> {
        let newest = match after {
            None => Some(Position::MAX),
            Some(after) => after.checked_sub(1),
        };
        let Some(mut newest) = newest.filter(|_| limit > 0 && is_storable(tenant)) else {
            return Ok(Vec::new());
        };
        let key: Option<&[u8]> = key.map(|key| &*key.0);
        let mut page = Vec::new();
        // A page that is not full means the end to the caller: a row without a sound record must not hide those after it.
        loop {
            let asked = limit - page.len();
            let most = i64::try_from(asked).unwrap_or(i64::MAX);
            let rows = self.connections.query(SELECT, &[&tenant, &key, &ordered(newest), &most]).await?;
            for row in &rows {
                match open_at(row, tenant) {
                    Ok(record) => page.push(record),
                    Err(error) => tracing::error!(%error, "a record is left out of a search"),
                }
            }
            let older = rows.last().and_then(|row| unordered(row.get(4)).checked_sub(1));
            match older {
                Some(older) if rows.len() >= asked && page.len() < limit => newest = older,
                _ => return Ok(page),
            }
        }
    }

    async fn walk(&self, tenant: &str, from: Option<&Bookmark>, limit: usize) -> Result<Stretch, StoreError> {
        if !is_storable(tenant) {
            return Ok(Stretch::default());
        }
        let first = from.map(|Bookmark(first)| std::str::from_utf8(first)).transpose();
        let first = first.map_err(|_| StoreError::Unavailable("a bookmark of another store".to_owned()))?;
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.connections.query(WALK, &[&tenant, &first.unwrap_or_default(), &most]).await?;
        let next = rows.last().filter(|_| rows.len() >= limit).map(|row| beyond(row.get(3)));
        Ok(Stretch { records: rows.iter().map(|row| open(row, tenant, row.get(3))).collect(), next })
    }

    async fn tenants(&self) -> Result<Vec<ByteString>, StoreError> {
        let rows = self.connections.query(TENANTS, &[]).await?;
        Ok(rows.iter().map(|row| ByteString::from(row.get::<_, &str>(0))).collect())
    }

    fn region(&self) -> Option<Arc<dyn Region>> {
        self.region.clone().map(|region| region as Arc<dyn Region>)
    }
}

/// Opens a row that begins with sequence, version and record. The columns have to be those of the record: whoever has edited one
/// has damaged it.
fn open(row: &Row, tenant: &str, unique_identifier: &str) -> Result<Arc<Record>, StoreError> {
    let (sequence, version, found): (i64, i64, Vec<u8>) = (row.get(0), row.get(1), row.get(2));
    let record = value::open(&Bytes::from(found), tenant, unique_identifier)?;
    let wrong = match (ordered(record.sequence) == sequence, ordered(record.version) == version) {
        (true, true) => return Ok(record),
        (false, _) => "sequence",
        (true, false) => "version",
    };
    Err(StoreError::Damaged(format!("{unique_identifier}: its column {wrong} is not its own")))
}

/// Opens a row of [`SELECT`]. The place has to be the record's: the caller goes on after the last record of a page, and one
/// from elsewhere would lead past others.
fn open_at(row: &Row, tenant: &str) -> Result<Arc<Record>, StoreError> {
    let record = open(row, tenant, row.get(3))?;
    value::judge_place(&record, unordered(row.get(4)))?;
    Ok(record)
}

/// Where a walk goes on: at the first text beyond an identifier.
fn beyond(identifier: &str) -> Bookmark {
    Bookmark(Bytes::from(format!("{identifier}\u{1}")))
}

/// Writes a record down, if PostgreSQL can hold its names.
fn prepare(change: Change) -> Result<Prepared, StoreError> {
    let record = change.record();
    if !is_storable(&record.tenant) || !is_storable(&record.unique_identifier) {
        return Err(StoreError::Damaged("a tenant or identifier holds the character NUL".to_owned()));
    }
    Prepared::new(change)
}

/// PostgreSQL has no text with NUL in it.
fn is_storable(text: &str) -> bool {
    !text.contains('\0')
}
