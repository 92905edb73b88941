//! The store `redis`: records in a Redis that several Gateways may share, alone or as a cluster.
//!
//! Every commit is one script, which Redis runs alone and writes to its append-only file as one transaction. There is
//! no cache: what another Gateway has changed is seen at once. docs/decisions/0006-redis-store.md says what it costs.

mod connections;
mod durability;
mod layout;
#[cfg(test)]
mod tests;
mod url;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use bytestring::ByteString;
use fred::types::Value;

use super::transition::Prepared;
use super::{OpenError, StoreMetrics};
use crate::port::{Bookmark, Change, IndexKey, Position, Store, StoreError, Stretch};
use crate::record::{INDEX_VERSION, Record};
use connections::{Connections, Script};
use durability::Guard;
use url::RedisUrl;

/// Keeps records in a Redis.
pub struct RedisStore {
    writes: Connections,
    /// Apart from the writes: those may wait for replicas.
    reads: Connections,
    commit: Script,
    select: Script,
    walk: Script,
    guard: Guard,
    wait_replicas: u32,
    metrics: StoreMetrics,
    /// Those that are surely in the set of tenants.
    tenants: RwLock<HashSet<ByteString>>,
}

/// Records that a script looks up in one go, and bytes of them: Redis does nothing else meanwhile.
const CHUNK_RECORDS: usize = 500;
const CHUNK_BYTES: usize = 4 << 20;

impl RedisStore {
    /// Connects to the Redis of a URL and checks that it keeps what it acknowledges.
    ///
    /// # Errors
    /// If the URL is wrong, the server cannot be reached, or it may lose what it acknowledges.
    pub async fn open(url: &str, metrics: StoreMetrics) -> Result<Self, OpenError> {
        let url = read(url)?;
        let writes = Connections::open(&url, metrics.clone()).await.map_err(refuse)?;
        let reads = Connections::open(&url, metrics.clone()).await.map_err(refuse)?;
        let guard = Guard::new(url.durability);
        guard.check(&writes).await.map_err(refuse)?;
        let store = Self {
            writes,
            reads,
            commit: Script::new(include_str!("redis/commit.lua")),
            select: Script::new(include_str!("redis/select.lua")),
            walk: Script::new(include_str!("redis/walk.lua")),
            guard,
            wait_replicas: url.wait_replicas,
            metrics,
            tenants: RwLock::default(),
        };
        store.judge_format().await.map_err(refuse)?;
        Ok(store)
    }

    /// Whether the server lets us in. Changes nothing there.
    ///
    /// # Errors
    /// Why not.
    pub(super) async fn check(url: &str) -> Result<(), OpenError> {
        Connections::open(&read(url)?, StoreMetrics::default()).await.map(drop).map_err(refuse)
    }

    /// What is indexed changes with versions of Krypton: an index that lacks something would hide records.
    async fn judge_format(&self) -> Result<(), String> {
        let known = INDEX_VERSION.to_string();
        let arguments = vec![Value::from(known.clone()), Value::from_static_str("NX")];
        self.writes.ask("SET", layout::FORMAT, arguments).await.map_err(|error| error.to_string())?;
        let found = self.reads.get(layout::FORMAT.to_owned()).await.map_err(|error| error.to_string())?;
        match found {
            Some(found) if found == known.as_bytes() => Ok(()),
            found => {
                let found = found.map_or_else(String::new, |found| found.escape_ascii().to_string());
                Err(format!(
                    "its records are indexed in the way {found:?}, this version does it in the way {known:?}: \
                     export them with the version that wrote them, and import them"
                ))
            }
        }
    }

    /// A tenant is noted before its first record: the set may name a tenant too many, never one too few.
    async fn note_tenant(&self, tenant: &ByteString) -> Result<(), StoreError> {
        if self.tenants.read().unwrap_or_else(PoisonError::into_inner).contains(tenant) {
            return Ok(());
        }
        let value = Value::Bytes(tenant.as_bytes().clone());
        self.writes.ask("SADD", layout::TENANTS, vec![value]).await?;
        self.tenants.write().unwrap_or_else(PoisonError::into_inner).insert(tenant.clone());
        Ok(())
    }

    async fn run_commit(
        &self,
        tenant: &ByteString,
        mode: &'static [u8],
        steps: &[Step],
    ) -> Result<(), StoreError> {
        let records = layout::records(tenant);
        let index = layout::index(tenant);
        let mut keys = vec![index.clone()];
        let mut arguments = vec![Bytes::from_static(mode)];
        for step in steps {
            keys.push(format!("{records}{}", step.record.unique_identifier));
            arguments.push(step.record.unique_identifier.as_bytes().clone());
            arguments.push(
                step.version_before
                    .map_or_else(Bytes::new, |version| Bytes::copy_from_slice(&version.to_be_bytes())),
            );
            arguments.push(layout::seal(&step.record, &step.bytes));
        }
        let (client, started) = (self.writes.client(), Instant::now());
        let answer =
            self.writes.run(client, &self.commit, keys, arguments).await.inspect_err(|_| self.forget())?;
        match &*text(answer.into_iter().next()) {
            b"done" => (),
            b"taken" => return Err(StoreError::IdentifierTaken),
            b"conflict" => return Err(StoreError::Conflict),
            b"name" => return Err(StoreError::NameTaken),
            _ => return Err(StoreError::Unavailable("Redis gave an unknown answer".to_owned())),
        }
        if self.wait_replicas > 0 && mode == COMMIT {
            self.writes.wait(client, self.wait_replicas, &index).await?;
        }
        self.metrics.transacted(1, started.elapsed());
        Ok(())
    }

    /// After a failure the server may be another one, or an older one.
    fn forget(&self) {
        self.tenants.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// A part of a page, and whether the page has more.
    async fn select_chunk(
        &self,
        tenant: &str,
        key: Option<&IndexKey>,
        cursor: &Bytes,
        limit: usize,
    ) -> Result<(bool, Vec<(Bytes, Bytes)>), StoreError> {
        let number = |number: usize| Bytes::from(number.to_string());
        let arguments = vec![
            layout::records(tenant).into(),
            layout::entry_prefix(key).into(),
            cursor.clone(),
            number(limit),
            number(CHUNK_BYTES),
        ];
        let client = self.reads.client();
        let mut answer = self.reads.run(client, &self.select, vec![layout::index(tenant)], arguments).await?;
        let more = answer.next().and_then(|more| more.as_i64()) == Some(1);
        let mut rows = Vec::with_capacity(answer.len() / 2);
        while let (Some(place), Some(value)) = (answer.next(), answer.next()) {
            rows.push((text(Some(place)), text(Some(value))));
        }
        Ok((more, rows))
    }
}

/// The cursor with which a walk begins, and that it ends with.
const START: &[u8] = b"0";

const COMMIT: &[u8] = b"commit";
const JUDGE: &[u8] = b"judge";

/// What a commit does to one record.
struct Step {
    record: Arc<Record>,
    bytes: Bytes,
    /// `None` if the record must not be there.
    version_before: Option<u64>,
}

/// Several changes of one record count as one. The second part says what is wrong with the changes among themselves;
/// the first has those before it, and is judged first.
fn steps(changes: Vec<Prepared>) -> (Vec<Step>, Option<StoreError>) {
    let mut steps: Vec<Step> = Vec::with_capacity(changes.len());
    let mut places: HashMap<ByteString, usize> = HashMap::new();
    for Prepared { change, bytes } in changes {
        let record = Arc::clone(change.record());
        let place = places.get(&record.unique_identifier);
        let version = record.version;
        match (&change, place.map(|place| &mut steps[*place])) {
            (Change::Insert(_) | Change::Import(_), Some(_)) => {
                return (steps, Some(StoreError::IdentifierTaken));
            }
            (Change::Replace(_), Some(step)) if step.record.version.checked_add(1) == Some(version) => {
                (step.record, step.bytes) = (record, bytes);
            }
            (Change::Replace(_), Some(_)) => return (steps, Some(StoreError::Conflict)),
            (_, None) => {
                let is_import = matches!(change, Change::Import(_));
                let version_before = match change {
                    Change::Insert(_) | Change::Import(_) => None,
                    // Version 0 is never stored: a conflict.
                    Change::Replace(_) => Some(version.wrapping_sub(1)),
                };
                places.insert(record.unique_identifier.clone(), steps.len());
                steps.push(Step { record, bytes, version_before });
                if version_before.is_none() && version != 1 && !is_import {
                    return (steps, Some(StoreError::Conflict));
                }
            }
        }
    }
    (steps, None)
}

fn read(url: &str) -> Result<RedisUrl, OpenError> {
    url.parse().map_err(|error: url::UrlError| refuse(format!("its URL: {error}")))
}

fn refuse(what: String) -> OpenError {
    OpenError::Server { kind: "redis", what }
}

#[async_trait]
impl Store for RedisStore {
    async fn fetch(&self, tenant: &str, unique_identifier: &str) -> Result<Option<Arc<Record>>, StoreError> {
        let key = layout::records(tenant) + unique_identifier;
        let stored = match self.reads.get(key.clone()).await {
            Err(error) if self.reads.may_read_again(&error) => self.reads.get(key).await?,
            stored => stored?,
        };
        stored.map(|stored| layout::open(stored, tenant, unique_identifier)).transpose()
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let Some(tenant) = changes.first().map(|change| change.record().tenant.clone()) else {
            return Ok(());
        };
        if changes.iter().any(|change| change.record().tenant != tenant) {
            return Err(StoreError::Unavailable("a commit is of one tenant".to_owned()));
        }
        self.guard.judge(&self.writes).await?;
        let changes = changes.into_iter().map(Prepared::new).collect::<Result<Vec<_>, _>>()?;
        self.note_tenant(&tenant).await?;
        match steps(changes) {
            (steps, None) => self.run_commit(&tenant, COMMIT, &steps).await,
            (steps, Some(error)) => {
                self.run_commit(&tenant, JUDGE, &steps).await?;
                Err(error)
            }
        }
    }

    async fn select(
        &self,
        tenant: &str,
        key: Option<&IndexKey>,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Arc<Record>>, StoreError> {
        let mut page = Vec::new();
        let mut cursor: Bytes = after.map(layout::beyond).unwrap_or_default().into();
        if limit == 0 {
            return Ok(page);
        }
        loop {
            // More than the limit where one moment has made more; a damaged record is made up for.
            let asked = limit.saturating_sub(page.len()).min(CHUNK_RECORDS);
            let (more, rows) = match self.select_chunk(tenant, key, &cursor, asked).await {
                Err(error) if self.reads.may_read_again(&error) => {
                    self.select_chunk(tenant, key, &cursor, asked).await?
                }
                chunk => chunk?,
            };
            let found = rows.len();
            for (place, value) in rows {
                match layout::open_at(&place, value, tenant) {
                    Ok(record) => page.push(record),
                    Err(error) => tracing::error!(%error, "a record is left out of a search"),
                }
                cursor = place;
            }
            if !more && (found < asked || page.len() >= limit) {
                break;
            }
        }
        Ok(page)
    }

    /// A bookmark is a cursor of Redis, and how often this process had connected when the walk began: a cursor means
    /// nothing to another server, or after a restart.
    async fn walk(&self, tenant: &str, from: Option<&Bookmark>, limit: usize) -> Result<Stretch, StoreError> {
        let connected = self.reads.reconnections();
        let cursor = match from.and_then(|Bookmark(bookmark)| bookmark.split_first_chunk()) {
            None => START,
            Some((began, cursor)) if u64::from_be_bytes(*began) == connected => cursor,
            Some(_) => {
                let lost = "Redis was connected to anew in the middle of a walk, which has to begin again";
                return Err(StoreError::Unavailable(lost.to_owned()));
            }
        };
        let arguments = vec![
            layout::records(tenant).into(),
            Bytes::copy_from_slice(cursor),
            Bytes::from(limit.max(1).to_string()),
        ];
        let (client, keys) = (self.reads.client(), vec![layout::index(tenant)]);
        let mut answer = self.reads.run(client, &self.walk, keys, arguments).await?;
        let next = text(answer.next());
        let mut records = Vec::with_capacity(answer.len() / 2);
        while let (Some(identifier), Some(value)) = (answer.next(), answer.next()) {
            let (identifier, value) = (text(Some(identifier)), text(Some(value)));
            records.push(layout::open(value, tenant, &String::from_utf8_lossy(&identifier)));
        }
        let bookmark = || Bookmark([&connected.to_be_bytes()[..], &next].concat().into());
        Ok(Stretch { records, next: (next != START).then(bookmark) })
    }

    async fn tenants(&self) -> Result<Vec<ByteString>, StoreError> {
        let noted = self.reads.ask("SMEMBERS", layout::TENANTS, Vec::new()).await?;
        let mut tenants = Vec::new();
        for tenant in noted.into_array() {
            let Ok(tenant) = ByteString::try_from(text(Some(tenant))) else { continue };
            let size = self.reads.ask("ZCARD", &layout::index(&tenant), Vec::new()).await?;
            if size.as_i64().is_some_and(|size| size > 0) {
                tenants.push(tenant);
            }
        }
        Ok(tenants)
    }

    /// Looks at every key of every node.
    async fn find_tenants(&self) -> Result<Vec<ByteString>, StoreError> {
        let mut tenants = HashSet::new();
        self.reads.scan(layout::ALL_RECORDS, |keys| note_tenants(keys, &mut tenants)).await?;
        Ok(tenants.into_iter().collect())
    }
}

/// Those of whom a part of a scan has records.
fn note_tenants(keys: Vec<Value>, tenants: &mut HashSet<ByteString>) {
    tenants.extend(keys.into_iter().filter_map(|key| layout::tenant_of(&text(Some(key)))));
}

/// The bytes of a string that Redis answered; none where it is something else.
fn text(value: Option<Value>) -> Bytes {
    value.and_then(Value::into_bytes).unwrap_or_default()
}
