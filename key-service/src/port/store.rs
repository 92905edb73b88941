//! The port for storage: records by identifier, an index for Locate, and atomic changes guarded by versions.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use bytestring::ByteString;

use super::Region;
use crate::port::SealerError;
use crate::record::Record;

/// One change of a [`Store::commit`].
#[derive(Debug, Clone)]
pub enum Change {
    /// A new record, of version 1. Fails if the identifier or one of its names is taken.
    Insert(Arc<Record>),
    /// The next version of a record: fails unless the stored version is the one before.
    Replace(Arc<Record>),
    /// A record of another store, of whatever version it has there. Fails if the identifier or one of its names is taken.
    Import(Arc<Record>),
}

impl Change {
    /// The record as it is to be.
    pub fn record(&self) -> &Arc<Record> {
        match self {
            Self::Insert(record) | Self::Replace(record) | Self::Import(record) => record,
        }
    }
}

/// A value by which records are found: an attribute and an encoding (or digest) of its value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IndexKey(pub Bytes);

/// A place in the order of records, newest first: the [`Record::sequence`] of the last one seen.
pub type Position = u64;

/// Why the store did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, does not answer in time, or failed half way: a commit may or may not have happened.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// It has no room: for any record, or for one as large as this
    /// ([`MAXIMUM_RECORD_BYTES`](crate::record::MAXIMUM_RECORD_BYTES)).
    #[error("the store is full")]
    Full,
    /// Somebody else changed the record first.
    #[error("the record was changed by another request")]
    Conflict,
    /// The identifier is taken.
    #[error("the identifier is taken")]
    IdentifierTaken,
    /// A name is taken by another object of the tenant.
    #[error("the name is taken")]
    NameTaken,
    /// A record cannot be read: damaged, or edited by somebody else.
    #[error("a record is damaged: {0}")]
    Damaged(String),
    /// A record cannot be authenticated now: the key for it is the vault's, and that does not give it.
    #[error("a record cannot be authenticated: {0}")]
    NotVerified(SealerError),
}

/// A place in a [`Store::walk`]. Only the store that gave it can tell what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bookmark(pub Bytes);

/// A part of a [`Store::walk`].
#[derive(Debug, Default)]
pub struct Stretch {
    /// Each record, or why it cannot be read. May be empty before the end.
    pub records: Vec<Result<Arc<Record>, StoreError>>,
    /// Where to go on; `None` at the end.
    pub next: Option<Bookmark>,
}

/// Keeps records.
///
/// A store makes changes durable before it answers (as far as its kind promises durability) and keeps these rules
/// itself, for many writers at once: identifiers are unique within a tenant, [`Record::unique_keys`] (names) too, and
/// a record is replaced only by its next version.
///
/// A store over another one names that one, and does itself what it does differently; all else is passed on.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The store below this one, if it stands on one. A store that does not does everything itself.
    fn below(&self) -> Option<&dyn Store> {
        None
    }

    /// The record of an object, or `None`: also where another tenant has an object of that identifier.
    async fn fetch(&self, tenant: &str, unique_identifier: &str) -> Result<Option<Arc<Record>>, StoreError> {
        self.below().ok_or_else(not_done)?.fetch(tenant, unique_identifier).await
    }

    /// Makes all changes, or none. They are of one tenant; several changes of one record in a row are fine. Names are
    /// judged by how they are held after the commit, so one commit may move a name from one record to another.
    ///
    /// A caller that stops waiting does not undo the commit.
    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        self.below().ok_or_else(not_done)?.commit(changes).await
    }

    /// Up to `limit` records of a tenant that carry `key` (all of them for `None`, destroyed ones included), the
    /// newest first, beginning after `after`. A page never ends between records of one sequence, so that the next
    /// page misses none: it may be longer than `limit` by the records that share the last one's sequence. A damaged
    /// record is left out, and logged: who has to meet all of them walks.
    async fn select(
        &self,
        tenant: &str,
        key: Option<&IndexKey>,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Arc<Record>>, StoreError> {
        self.below().ok_or_else(not_done)?.select(tenant, key, after, limit).await
    }

    /// About `limit` records of a tenant, destroyed ones included, in no particular order, from where the records
    /// themselves lie: whatever the index lacks, no record is missing. One that cannot be read is there as such. Those
    /// that are made meanwhile may be missing, and one may be there twice.
    async fn walk(&self, tenant: &str, from: Option<&Bookmark>, limit: usize) -> Result<Stretch, StoreError> {
        self.below().ok_or_else(not_done)?.walk(tenant, from, limit).await
    }

    /// The tenants that have records, destroyed ones included, in no particular order.
    async fn tenants(&self) -> Result<Vec<ByteString>, StoreError> {
        self.below().ok_or_else(not_done)?.tenants().await
    }

    /// Which of these objects of a tenant have a record, in their order; a damaged one is a record, too. This is for Cores: a store
    /// of theirs over a network is asked once. Not passed on by itself, since a store over another one may fetch otherwise.
    async fn present(
        &self,
        tenant: &str,
        unique_identifiers: &[ByteString],
    ) -> Result<Vec<bool>, StoreError> {
        let mut present = Vec::with_capacity(unique_identifiers.len());
        for unique_identifier in unique_identifiers {
            present.push(match self.fetch(tenant, unique_identifier).await {
                Ok(record) => record.is_some(),
                Err(StoreError::Damaged(_)) => true,
                Err(error) => return Err(error),
            });
        }
        Ok(present)
    }

    /// As [`tenants`](Self::tenants), but from where the records themselves lie, whatever a list lacks. It may take as long as
    /// looking at every record.
    async fn find_tenants(&self) -> Result<Vec<ByteString>, StoreError> {
        match self.below() {
            Some(below) => below.find_tenants().await,
            None => self.tenants().await,
        }
    }

    /// What several Cores on this store need to act as one; `None` where it serves one alone.
    fn region(&self) -> Option<Arc<dyn Region>> {
        self.below()?.region()
    }

    /// Copies the store as it is now into the new directory `target`, while it goes on being used.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] for stores that are backed up by their servers' own means, or not at all.
    async fn back_up(&self, target: &Path) -> Result<(), StoreError> {
        self.below().ok_or_else(not_done)?.back_up(target).await
    }
}

fn not_done() -> StoreError {
    StoreError::Unavailable("a store of this kind does not do that".to_owned())
}
