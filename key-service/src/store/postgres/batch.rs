//! Many commits in one transaction: each is judged against what the ones before it leave, and what all of them leave is
//! written with one statement a table.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytestring::ByteString;
use deadpool_postgres::Transaction;

use super::connections::Failure;
use crate::port::{IndexKey, StoreError};
use crate::record::Record;
use crate::store::transition::{self, Prepared, Transition};
use crate::store::value;

/// What a commit is answered.
pub(super) type Outcome = Result<(), StoreError>;

/// A tenant and an identifier.
type Identity = (ByteString, ByteString);

/// The state within a transaction: what was stored, and what the commits so far leave.
#[derive(Default)]
pub(super) struct Batch {
    stored: HashMap<Identity, Result<Arc<Record>, StoreError>>,
    holders: HashMap<(ByteString, IndexKey), ByteString>,
    written: HashMap<Identity, Transition>,
}

const LOCK: &str =
    "SELECT own_sequence, own_version, found, identifier, tenant FROM krypton_lock($1, $2, $3)";

const HOLDERS: &str = "SELECT i.tenant, i.key, i.unique_identifier FROM unnest($1::text[], $2::bytea[]) AS wanted(tenant, key) \
     JOIN krypton_index i ON i.tenant = wanted.tenant AND i.key = wanted.key AND i.is_name";

const INSERT: &str = "INSERT INTO krypton_records (tenant, unique_identifier, sequence, version, record) \
     SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bytea[]) \
     ORDER BY 1, 2";

const UPDATE: &str = "UPDATE krypton_records r SET sequence = new.sequence, version = new.version, record = new.record \
     FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bytea[]) \
     AS new(tenant, unique_identifier, sequence, version, record) \
     WHERE r.tenant = new.tenant AND r.unique_identifier = new.unique_identifier";

const UNINDEX: &str = "DELETE FROM krypton_index i USING unnest($1::text[], $2::bytea[], $3::bigint[], $4::text[]) \
     AS old(tenant, key, sequence, unique_identifier) WHERE i.tenant = old.tenant AND i.key = old.key \
     AND i.sequence = old.sequence AND i.unique_identifier = old.unique_identifier";

const INDEX: &str = "INSERT INTO krypton_index (tenant, key, sequence, unique_identifier, is_name) \
     SELECT * FROM unnest($1::text[], $2::bytea[], $3::bigint[], $4::text[], $5::boolean[]) ORDER BY 1, 2";

impl Batch {
    /// Locks the records that the commits are about and reads them, and who holds the names that they claim.
    pub(super) async fn begin(
        transaction: &Transaction<'_>,
        commits: &[Vec<Prepared>],
    ) -> Result<Self, Failure> {
        let records: BTreeSet<(&str, &str)> =
            changed(commits).map(|record| (&*record.tenant, &*record.unique_identifier)).collect();
        let tenants: BTreeSet<&str> = records.iter().map(|(tenant, _)| *tenant).collect();
        let tenants: Vec<&str> = tenants.into_iter().collect();
        let (of, identifiers): (Vec<&str>, Vec<&str>) = records.into_iter().unzip();
        let statement = transaction.prepare_cached(LOCK).await?;
        let mut batch = Self::default();
        for row in transaction.query(&statement, &[&tenants, &of, &identifiers]).await? {
            let (identifier, tenant): (String, String) = (row.get(3), row.get(4));
            let found = super::open(&row, &tenant, &identifier);
            batch.stored.insert((tenant.into(), identifier.into()), found);
        }
        let names: BTreeSet<(ByteString, IndexKey)> = changed(commits)
            .flat_map(|record| record.unique_keys().into_iter().map(|name| (record.tenant.clone(), name)))
            .collect();
        if names.is_empty() {
            return Ok(batch);
        }
        let statement = transaction.prepare_cached(HOLDERS).await?;
        let (of, names): (Vec<&str>, Vec<&[u8]>) =
            names.iter().map(|(tenant, name)| (&**tenant, &*name.0)).unzip();
        for row in transaction.query(&statement, &[&of, &names]).await? {
            let (tenant, name, holder): (String, Vec<u8>, String) = (row.get(0), row.get(1), row.get(2));
            batch.holders.insert((tenant.into(), IndexKey(name.into())), holder.into());
        }
        Ok(batch)
    }

    /// Judges a commit and takes it in, or leaves everything as it was.
    pub(super) fn take(&mut self, changes: Vec<Prepared>) -> Outcome {
        let transitions =
            transition::transitions(changes, |tenant, identifier| self.stored(tenant, identifier))?;
        transition::judge_names(&transitions, |tenant, name| {
            Ok::<_, StoreError>(self.holders.get(&(tenant.into(), name.clone())).cloned())
        })?;
        // First all names that are let go: one commit may move a name.
        for Transition { before, after, .. } in &transitions {
            for name in before.iter().flat_map(|before| before.unique_keys()) {
                let place = (after.tenant.clone(), name);
                if self.holders.get(&place) == Some(&after.unique_identifier) {
                    self.holders.remove(&place);
                }
            }
        }
        for transition in transitions {
            let Record { tenant, unique_identifier, .. } = &*transition.after;
            for name in transition.after.unique_keys() {
                self.holders.insert((tenant.clone(), name), unique_identifier.clone());
            }
            let identity = (tenant.clone(), unique_identifier.clone());
            // The first state before the transaction and the last one after it.
            let first = self.written.remove(&identity).map(|first| first.before);
            let before = first.unwrap_or(transition.before);
            self.written.insert(identity, Transition { before, ..transition });
        }
        Ok(())
    }

    fn stored(&self, tenant: &str, unique_identifier: &str) -> Result<Option<Arc<Record>>, StoreError> {
        let identity = (ByteString::from(tenant), ByteString::from(unique_identifier));
        if let Some(transition) = self.written.get(&identity) {
            return Ok(Some(Arc::clone(&transition.after)));
        }
        self.stored.get(&identity).cloned().transpose()
    }

    /// The records that are to be written.
    pub(super) fn written(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.written.values().map(|transition| &transition.after)
    }

    /// Whether there is nothing to be written.
    pub(super) fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    /// Writes what the commits leave.
    pub(super) async fn write(&self, transaction: &Transaction<'_>) -> Result<(), Failure> {
        let (changed, new): (Vec<&Transition>, Vec<&Transition>) =
            self.written.values().partition(|transition| transition.before.is_some());
        if !changed.is_empty() {
            let count = changed.len() as u64;
            if Rows::of(&changed).write(transaction, UPDATE).await? != count {
                return Err(Failure::Refused("records that were locked have changed".to_owned()));
            }
        }
        if !new.is_empty() {
            Rows::of(&new).write(transaction, INSERT).await?;
        }
        let (mut old, mut new) = (Entries::default(), Entries::default());
        for Transition { before, after, .. } in self.written.values() {
            let before: BTreeSet<_> = before.iter().flat_map(|before| entries(before)).collect();
            let after: BTreeSet<_> = entries(after).collect();
            before.difference(&after).for_each(|entry| old.push(entry));
            after.difference(&before).for_each(|entry| new.push(entry));
        }
        // The old ones first: a name may move.
        if !old.tenants.is_empty() {
            let statement = transaction.prepare_cached(UNINDEX).await?;
            let old: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
                [&old.tenants, &old.keys, &old.sequences, &old.identifiers];
            transaction.execute(&statement, &old).await?;
        }
        if !new.tenants.is_empty() {
            let statement = transaction.prepare_cached(INDEX).await?;
            let new: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
                [&new.tenants, &new.keys, &new.sequences, &new.identifiers, &new.names];
            transaction.execute(&statement, &new).await?;
        }
        Ok(())
    }
}

fn changed(commits: &[Vec<Prepared>]) -> impl Iterator<Item = &Arc<Record>> {
    commits.iter().flatten().map(|prepared| prepared.change.record())
}

/// Rows of `krypton_records`, by column.
#[derive(Default)]
struct Rows<'a> {
    tenants: Vec<&'a str>,
    identifiers: Vec<&'a str>,
    sequences: Vec<i64>,
    versions: Vec<i64>,
    records: Vec<Vec<u8>>,
}

impl<'a> Rows<'a> {
    fn of(transitions: &[&'a Transition]) -> Self {
        let mut rows = Self::default();
        for Transition { after, bytes, .. } in transitions {
            rows.tenants.push(&after.tenant);
            rows.identifiers.push(&after.unique_identifier);
            rows.sequences.push(ordered(after.sequence));
            rows.versions.push(ordered(after.version));
            rows.records.push(value::enclose(bytes));
        }
        rows
    }

    async fn write(&self, transaction: &Transaction<'_>, sql: &str) -> Result<u64, Failure> {
        let statement = transaction.prepare_cached(sql).await?;
        let columns: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
            [&self.tenants, &self.identifiers, &self.sequences, &self.versions, &self.records];
        Ok(transaction.execute(&statement, &columns).await?)
    }
}

/// Rows of `krypton_index`, by column.
#[derive(Default)]
struct Entries {
    tenants: Vec<String>,
    keys: Vec<Vec<u8>>,
    sequences: Vec<i64>,
    identifiers: Vec<String>,
    names: Vec<bool>,
}

/// A row of `krypton_index`.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Entry<'a> {
    record: (&'a str, &'a str),
    key: IndexKey,
    sequence: u64,
    is_name: bool,
}

impl Entries {
    fn push(&mut self, entry: &Entry<'_>) {
        self.tenants.push(entry.record.0.to_owned());
        self.keys.push(entry.key.0.to_vec());
        self.sequences.push(ordered(entry.sequence));
        self.identifiers.push(entry.record.1.to_owned());
        self.names.push(entry.is_name);
    }
}

fn entries(record: &Record) -> impl Iterator<Item = Entry<'_>> {
    let names = record.unique_keys();
    record.index_keys().into_iter().map(move |key| Entry {
        record: (&record.tenant, &record.unique_identifier),
        is_name: names.contains(&key),
        key,
        sequence: record.sequence,
    })
}

/// An unsigned number as the signed one of the same order.
pub(super) fn ordered(number: u64) -> i64 {
    (number ^ (1 << 63)).cast_signed()
}

/// The unsigned number that [`ordered`] was given.
pub(super) fn unordered(number: i64) -> u64 {
    number.cast_unsigned() ^ (1 << 63)
}
