//! Exports: all records of a store in one file, to be imported into a store of another kind, or kept.
//!
//! | bytes | content |
//! | --- | --- |
//! | 8 | `KRYPTEX1`: the format |
//! | 4 + n, again and again | length and [`Record::encode`] |
//! | 4 | `FFFFFFFF`: the end |
//! | 8 | how many records |
//! | 32 | SHA-256 of all that is before it |
//!
//! Numbers are big-endian. Records are sealed and authenticated as they were in the store: a file tells no secret, and the
//! digest only finds accidents.

use std::io::{self, Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use kmip_protocol::enumeration::HashingAlgorithm;

use crate::crypto::Hasher;
use crate::port::{Change, Store, StoreError};
use crate::record::{MAXIMUM_RECORD_BYTES, Record};
use crate::store::identity::IDENTITY_TENANT;

const MAGIC: &[u8; 8] = b"KRYPTEX1";
const END: u32 = u32::MAX;
const DIGEST_BYTES: usize = 32;

/// Records that are selected or committed in one go.
const CHUNK_RECORDS: usize = 500;

/// Records after which the progress is told.
const PROGRESS_RECORDS: u64 = 10_000;

/// Why a store was not exported or imported.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file cannot be read or written.
    #[error("the file: {0}")]
    File(#[from] io::Error),
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is not what an export wrote, or not all of it.
    #[error("the file is damaged: {0}")]
    Damaged(&'static str),
    /// The file is sound, but does not hold all records.
    #[error(
        "{0} records of the store cannot be read, as its log says, and are missing in the file, which is sound otherwise: restore \
         them from a backup and export again, or rename the file to go on without them"
    )]
    Incomplete(u64),
    /// The store has another object of an identifier or name.
    #[error(
        "tenant {tenant}, object {unique_identifier}: {error}; the store has another one: import into an empty store"
    )]
    Taken {
        /// The object's tenant.
        tenant: String,
        /// Its identifier.
        unique_identifier: String,
        /// What is taken.
        error: StoreError,
    },
}

/// What was moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    /// Records that were written.
    pub records: u64,
    /// Records that the store had already, just as they are in the file.
    pub present: u64,
}

/// Writes all records of a store into a file. What is changed meanwhile is exported as it was before or after; stop those
/// who use the store for an export of one moment. Records that cannot be read are left out, and told at the end; what the
/// index or a list of tenants lacks is in it. One that a Redis names twice is in it twice.
///
/// # Errors
/// If the store or the file fails: what was written then is no whole export.
pub async fn export(
    store: &dyn Store,
    file: &mut (dyn Write + Send),
    mut progress: impl FnMut(u64),
) -> Result<Moved, ArchiveError> {
    let mut file = Digesting::new(file);
    file.put(MAGIC)?;
    let mut moved = Moved::default();
    let mut unreadable = 0;
    for tenant in store.find_tenants().await?.into_iter().filter(|tenant| *tenant != IDENTITY_TENANT) {
        let mut next = None;
        loop {
            let stretch = store.walk(&tenant, next.as_ref(), CHUNK_RECORDS).await?;
            for record in stretch.records {
                let record = match record {
                    Ok(record) => record,
                    Err(error) => {
                        tracing::error!(%tenant, %error, "a record is left out of an export");
                        unreadable += 1;
                        continue;
                    }
                };
                let bytes = record.encode();
                file.put(&(bytes.len() as u32).to_be_bytes())?;
                file.put(&bytes)?;
                moved.records += 1;
                if moved.records.is_multiple_of(PROGRESS_RECORDS) {
                    progress(moved.records);
                }
            }
            next = stretch.next;
            if next.is_none() {
                break;
            }
        }
    }
    file.put(&END.to_be_bytes())?;
    file.put(&moved.records.to_be_bytes())?;
    let digest = file.hasher.finish();
    file.inner.write_all(&digest)?;
    file.inner.flush()?;
    match unreadable {
        0 => Ok(moved),
        missing => Err(ArchiveError::Incomplete(missing)),
    }
}

/// Reads a whole file and finds out whether it is all that an export wrote. To be done before [`import`].
///
/// # Errors
/// If it is not.
pub fn verify(file: &mut dyn Read) -> Result<u64, ArchiveError> {
    let mut reader = Reader::open(file)?;
    while reader.next()?.is_some() {}
    Ok(reader.records)
}

/// Writes the records of a file into a store. Those that are there already just as they are in the file are left alone, so an
/// import that was interrupted may be repeated.
///
/// # Errors
/// If the store or the file fails, or the store has other objects of the same identifiers or names.
pub async fn import(
    store: &dyn Store,
    file: &mut (dyn Read + Send),
    mut progress: impl FnMut(u64),
) -> Result<Moved, ArchiveError> {
    let mut reader = Reader::open(file)?;
    let mut moved = Moved::default();
    let mut chunk: Vec<Arc<Record>> = Vec::new();
    let (mut told, mut bytes) = (0, 0);
    loop {
        let next = reader.next()?;
        let is_other_tenant =
            |record: &Record| chunk.first().is_some_and(|first| first.tenant != record.tenant);
        let ends_chunk = next.as_ref().is_none_or(|(record, _)| is_other_tenant(record));
        if ends_chunk || chunk.len() >= CHUNK_RECORDS || bytes >= MAXIMUM_RECORD_BYTES {
            import_chunk(store, std::mem::take(&mut chunk), &mut moved).await?;
            bytes = 0;
        }
        if moved.records + moved.present >= told + PROGRESS_RECORDS {
            told = moved.records + moved.present;
            progress(told);
        }
        let Some((record, length)) = next else { return Ok(moved) };
        bytes += length;
        chunk.push(Arc::new(record));
    }
}

async fn import_chunk(
    store: &dyn Store,
    records: Vec<Arc<Record>>,
    moved: &mut Moved,
) -> Result<(), ArchiveError> {
    let count = records.len() as u64;
    match store.commit(records.iter().cloned().map(Change::Import).collect()).await {
        Ok(()) => {
            moved.records += count;
            return Ok(());
        }
        Err(StoreError::IdentifierTaken | StoreError::NameTaken) => (),
        Err(error) => return Err(error.into()),
    }
    for record in records {
        let found = store.fetch(&record.tenant, &record.unique_identifier).await?;
        if found.is_some_and(|found| *found == *record) {
            moved.present += 1;
            continue;
        }
        match store.commit(vec![Change::Import(Arc::clone(&record))]).await {
            Ok(()) => moved.records += 1,
            Err(error @ (StoreError::IdentifierTaken | StoreError::NameTaken)) => {
                return Err(ArchiveError::Taken {
                    tenant: record.tenant.to_string(),
                    unique_identifier: record.unique_identifier.to_string(),
                    error,
                });
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Digests what passes.
struct Digesting<T> {
    inner: T,
    hasher: Hasher,
}

impl<T> Digesting<T> {
    fn new(inner: T) -> Self {
        let hasher = Hasher::new(HashingAlgorithm::Sha256).expect("there is SHA-256");
        Self { inner, hasher }
    }
}

impl Digesting<&mut (dyn Write + Send)> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.inner.write_all(bytes)
    }
}

impl<R: Read + ?Sized> Digesting<&mut R> {
    fn take(&mut self, bytes: &mut [u8]) -> Result<(), ArchiveError> {
        self.inner.read_exact(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ArchiveError::Damaged("it ends too early"),
            _ => error.into(),
        })?;
        self.hasher.update(bytes);
        Ok(())
    }
}

struct Reader<'f, R: ?Sized> {
    file: Digesting<&'f mut R>,
    records: u64,
}

impl<'f, R: Read + ?Sized> Reader<'f, R> {
    fn open(file: &'f mut R) -> Result<Self, ArchiveError> {
        let mut file = Digesting::new(file);
        let mut magic = [0; MAGIC.len()];
        file.take(&mut magic)?;
        match &magic == MAGIC {
            true => Ok(Self { file, records: 0 }),
            false => Err(ArchiveError::Damaged("it is no export, or of a later version")),
        }
    }

    /// The next record and the length of its bytes; `None` at the end, whose digest is checked.
    fn next(&mut self) -> Result<Option<(Record, usize)>, ArchiveError> {
        let mut length = [0; 4];
        self.file.take(&mut length)?;
        let length = u32::from_be_bytes(length);
        if length == END {
            self.judge_end()?;
            return Ok(None);
        }
        let length = length as usize;
        if length > MAXIMUM_RECORD_BYTES {
            return Err(ArchiveError::Damaged("a record has no possible length"));
        }
        let mut bytes = vec![0; length];
        self.file.take(&mut bytes)?;
        let record = Record::decode(&Bytes::from(bytes));
        self.records += 1;
        Ok(Some((record.map_err(|_| ArchiveError::Damaged("a record cannot be read"))?, length)))
    }

    fn judge_end(&mut self) -> Result<(), ArchiveError> {
        let mut count = [0; 8];
        self.file.take(&mut count)?;
        let fresh = Hasher::new(HashingAlgorithm::Sha256).expect("there is SHA-256");
        let digest = std::mem::replace(&mut self.file.hasher, fresh).finish();
        let mut written = [0; DIGEST_BYTES];
        self.file.take(&mut written)?;
        if digest != written {
            return Err(ArchiveError::Damaged("its checksum is wrong"));
        }
        if u64::from_be_bytes(count) != self.records {
            return Err(ArchiveError::Damaged("it has not as many records as it says"));
        }
        match self.file.inner.read(&mut [0])? {
            0 => Ok(()),
            _ => Err(ArchiveError::Damaged("it goes on after its end")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::record::index_key;
    use crate::store::suite::{insert, name, record, replace, with};
    use crate::store::{EmbeddedLimits, EmbeddedStore, MemoryLimits, MemoryStore};

    fn memory() -> MemoryStore {
        MemoryStore::new(MemoryLimits::default())
    }

    /// Two tenants, several versions, more than one chunk.
    async fn some_records(store: &dyn Store) {
        for tenant in ["acme", "globex"] {
            let changes = (0..1200).map(|number| {
                insert(&with(
                    record(tenant, &format!("k{number}"), number / 3),
                    [name(&format!("n{number}"))],
                ))
            });
            store.commit(changes.collect()).await.unwrap();
            let gone = Record { version: 2, sealed: None, ..record(tenant, "k7", 2) };
            store.commit(vec![replace(&gone)]).await.unwrap();
        }
    }

    async fn exported(store: &dyn Store) -> Vec<u8> {
        let mut file = Vec::new();
        export(store, &mut file, |_| ()).await.unwrap();
        file
    }

    #[tokio::test]
    async fn what_is_exported_is_imported_into_a_store_of_another_kind() {
        let (source, folder) = (memory(), tempfile::tempdir().unwrap());
        some_records(&source).await;
        let file = exported(&source).await;
        assert_eq!(verify(&mut &file[..]).unwrap(), 2400);
        let target = EmbeddedStore::open(
            folder.path(),
            EmbeddedLimits { minimum_free_bytes: 0, ..EmbeddedLimits::default() },
        )
        .unwrap();
        let moved = import(&target, &mut &file[..], |_| ()).await.unwrap();
        assert_eq!(moved, Moved { records: 2400, present: 0 });
        for tenant in ["acme", "globex"] {
            let found = source.select(tenant, None, None, usize::MAX).await.unwrap();
            assert_eq!(found, target.select(tenant, None, None, usize::MAX).await.unwrap());
            let key = index_key(&name("n9"));
            assert_eq!(target.select(tenant, key.as_ref(), None, 9).await.unwrap().len(), 1);
        }
        // Once more: nothing is done twice, and nothing overwritten.
        let again = import(&target, &mut &file[..], |_| ()).await.unwrap();
        assert_eq!(again, Moved { records: 0, present: 2400 });
        assert_eq!(verify(&mut &exported(&target).await[..]).unwrap(), 2400);
    }

    #[tokio::test]
    async fn another_object_in_its_place_is_left_alone() {
        let (source, target) = (memory(), memory());
        source.commit(vec![insert(&record("t", "a", 1)), insert(&record("t", "b", 2))]).await.unwrap();
        let other = record("t", "a", 9);
        target.commit(vec![insert(&other)]).await.unwrap();
        let refused = import(&target, &mut &exported(&source).await[..], |_| ()).await.unwrap_err();
        assert!(
            refused.to_string().contains("object a") && refused.to_string().contains("empty store"),
            "{refused}"
        );
        assert_eq!(*target.fetch("t", "a").await.unwrap().unwrap(), other);
    }

    #[tokio::test]
    async fn every_changed_or_missing_byte_is_found() {
        let source = memory();
        source.commit(vec![insert(&record("t", "a", 1)), insert(&record("t", "b", 2))]).await.unwrap();
        let file = exported(&source).await;
        for at in 0..file.len() {
            let mut edited = file.clone();
            edited[at] ^= 1;
            verify(&mut &edited[..]).unwrap_err();
            verify(&mut &file[..at]).unwrap_err();
        }
        verify(&mut &[&file[..], b"x"].concat()[..]).unwrap_err();
    }
}
