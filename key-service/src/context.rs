//! What an operation works with: who asks, in which version, what the batch has dealt with so far, and the changes
//! that it makes.

use std::sync::{Arc, Mutex, PoisonError};

use bytestring::ByteString;
use kmip_protocol::enumeration::UniqueIdentifierPlaceholder;
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::object::ManagedObject;
use kmip_protocol::operation::{Operation, Response};
use kmip_protocol::{Version, lifecycle};

use crate::auditing::Recorder;
use crate::fault::Fault;
use crate::lifecycle_dates;
use crate::port::{Change, IndexKey, Position, SealerError, StoreError};
use crate::principal::Principal;
use crate::record::Record;
use crate::service::Service;

/// The surroundings of one batch item.
pub struct Context<'a> {
    /// The rules and their ports.
    pub service: &'a Service,
    /// Who asks.
    pub principal: &'a Principal,
    /// The version of the message.
    pub version: Version,
    /// The Client Correlation Value of the message.
    pub client_correlation_value: Option<ByteString>,
    /// What the batch has dealt with.
    pub placeholders: Placeholders,
    changes: Vec<Change>,
    /// The keys of the vault that the item has sealed or opened with.
    vault_keys: Mutex<Vec<ByteString>>,
    /// What the audit log is to remember of the item, beside what it sees by itself.
    notes: Mutex<Vec<(&'static str, ByteString)>>,
    /// What must not be there when the message is answered.
    absences: Mutex<Vec<Absence>>,
    /// Whether each item of the batch commits its own changes.
    pub(crate) commits_each: bool,
    /// Records what an item is about to do.
    pub(crate) recorder: Option<&'a Recorder<'a>>,
    /// Whether the item has said in the audit log what it is about to do.
    pub(crate) is_intended: bool,
    /// Whether the items of the batch can be run again.
    pub(crate) is_repeatable: bool,
    /// Whether the batch goes on when an item fails, and keeps what the others did.
    pub(crate) goes_on: bool,
}

/// An object that must not be there for an item to be answered, such as a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absence {
    /// Where it would be.
    pub tenant: ByteString,
    /// Its identifier.
    pub unique_identifier: ByteString,
}

impl<'a> Context<'a> {
    /// The surroundings of the first item of a batch.
    pub fn new(service: &'a Service, principal: &'a Principal, version: Version) -> Self {
        let placeholders = Placeholders::default();
        let vault_keys = Mutex::default();
        Self {
            service,
            principal,
            version,
            client_correlation_value: None,
            placeholders,
            changes: Vec::new(),
            vault_keys,
            notes: Mutex::default(),
            absences: Mutex::default(),
            commits_each: true,
            recorder: None,
            is_intended: false,
            is_repeatable: true,
            goes_on: false,
        }
    }

    /// Says in the audit log what is about to be done. For an operation that cannot be taken back and does its work by itself, not
    /// by changes of this context: before those it is said anyway.
    ///
    /// # Errors
    /// If the log does not take it: then it must not be done. Or the batch succeeds or fails as a whole, which that cannot.
    pub async fn intend(&mut self, operation: Operation, object: &ByteString) -> Result<(), Fault> {
        if !self.commits_each {
            let message = "this cannot be undone, and so is not done in a batch that is to be undone when an item fails";
            return Err(Fault::feature_not_supported(message));
        }
        if let Some(recorder) = self.recorder.filter(|_| !self.is_intended) {
            recorder.intend(operation, Some(object)).await?;
        }
        self.is_intended = true;
        Ok(())
    }

    /// Seals an object for the record that will hold it.
    ///
    /// # Errors
    /// If the vault does not seal it.
    pub async fn seal(&self, record: &mut Record, object: &ManagedObject) -> Result<(), Fault> {
        self.service.seal(record, object).await?;
        self.note_vault_key(record);
        Ok(())
    }

    /// Opens the object of a record.
    ///
    /// # Errors
    /// If the object is destroyed, has no value here, or the vault does not open it.
    pub async fn unseal(&self, record: &Record) -> Result<ManagedObject, Fault> {
        let object = self.service.unseal(record).await?;
        self.note_vault_key(record);
        Ok(object)
    }

    /// Makes sure that the vault allows the object of a record to be used, by a client that has it already.
    ///
    /// # Errors
    /// If the vault refuses, or cannot be asked.
    pub async fn admit(&self, record: &Record) -> Result<(), Fault> {
        if let Some(sealed) = &record.sealed {
            self.service.sealer.admit(&record.binding(), sealed).await?;
            self.note_vault_key(record);
        }
        Ok(())
    }

    /// Makes sure of a lease on the key of the vault above a record, for what is to outlive this item; returns which one it is.
    ///
    /// # Errors
    /// If the vault refuses, or cannot be asked.
    pub(crate) async fn hold(&self, record: &Record) -> Result<u64, Fault> {
        let Some(sealed) = &record.sealed else { return Ok(0) };
        self.admit(record).await?;
        let lease = self.service.sealer.lease(&sealed.key);
        lease.ok_or_else(|| SealerError::Unavailable("the lease was recalled".to_owned()).into())
    }

    fn note_vault_key(&self, record: &Record) {
        if let Some(sealed) = &record.sealed {
            self.vault_keys.lock().unwrap_or_else(PoisonError::into_inner).push(sealed.key.clone());
        }
    }

    /// The keys of the vault that were used since this was last asked.
    pub(crate) fn take_vault_keys(&self) -> Vec<ByteString> {
        std::mem::take(&mut self.vault_keys.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Has the audit log remember something of this item, such as the tenant of a key of the chain.
    pub fn note(&self, name: &'static str, value: ByteString) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push((name, value));
    }

    /// What was noted since this was last asked.
    pub(crate) fn take_notes(&self) -> impl Iterator<Item = (ByteString, ByteString)> + use<> {
        let notes = std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner));
        notes.into_iter().map(|(name, value)| (ByteString::from_static(name), value))
    }

    /// Leaves it to the batch to look for something, for all items together, after they are done and before any is answered. Given
    /// back where it has to be looked for at once: the other items depend on whether this one fails.
    #[must_use]
    pub fn look_later(&self, absence: Absence) -> Option<Absence> {
        if !self.goes_on {
            return Some(absence);
        }
        self.absences.lock().unwrap_or_else(PoisonError::into_inner).push(absence);
        None
    }

    /// What was left to be looked for since this was last asked.
    pub(crate) fn take_absences(&self) -> Vec<Absence> {
        std::mem::take(&mut self.absences.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The identifier that a request means: spelled out, or by a placeholder of the batch.
    ///
    /// # Errors
    /// If the placeholder is empty.
    pub fn resolve(&self, identifier: Option<&UniqueIdentifier>) -> Result<ByteString, Fault> {
        self.placeholders.resolve(identifier).ok_or_else(Fault::object_not_found)
    }

    /// The object that a request means, whatever its state, with the state that its dates have brought about.
    ///
    /// # Errors
    /// If the principal's tenant has no such object.
    pub async fn object(&self, identifier: Option<&UniqueIdentifier>) -> Result<Arc<Record>, Fault> {
        let identifier = self.resolve(identifier)?;
        self.fetch(&identifier).await?.ok_or_else(Fault::object_not_found)
    }

    /// As [`object`](Self::object), but destroyed and archived objects are refused.
    pub async fn live_object(&self, identifier: Option<&UniqueIdentifier>) -> Result<Arc<Record>, Fault> {
        live(self.object(identifier).await?)
    }

    /// As [`object_to_close`](Self::object_to_close), but destroyed and archived objects are refused.
    pub async fn live_object_to_close(
        &self,
        identifier: Option<&UniqueIdentifier>,
    ) -> Result<Arc<Record>, Fault> {
        live(self.object_to_close(identifier).await?)
    }

    /// As [`object`](Self::object), but of an object that is only to be closed: revoked or destroyed. That needs no vault, so
    /// it may be one that cannot be verified now. Nothing of it may be shown or used.
    ///
    /// # Errors
    /// If the principal's tenant has no such object.
    pub async fn object_to_close(&self, identifier: Option<&UniqueIdentifier>) -> Result<Arc<Record>, Fault> {
        let identifier = self.resolve(identifier)?;
        self.fetch_unverified(&identifier).await?.ok_or_else(Fault::object_not_found)
    }

    /// The record of an identifier, as this batch sees it.
    ///
    /// # Errors
    /// If it cannot be had, or cannot be verified.
    pub async fn fetch(&self, unique_identifier: &str) -> Result<Option<Arc<Record>>, Fault> {
        let record = self.fetch_unverified(unique_identifier).await?;
        match record.as_ref().and_then(|record| record.guard.standing.doubt()) {
            Some(doubt) => Err(doubt.clone().into()),
            None => Ok(record),
        }
    }

    async fn fetch_unverified(&self, unique_identifier: &str) -> Result<Option<Arc<Record>>, Fault> {
        let pending = self.changes.iter().rev().map(Change::record);
        let record = match pending.into_iter().find(|record| record.unique_identifier == unique_identifier) {
            Some(record) => Some(record.clone()),
            None => self.service.store.fetch(&self.principal.tenant, unique_identifier).await?,
        };
        let now = self.service.clock.now();
        Ok(record.map(|record| lifecycle_dates::settle(record, now)))
    }

    /// Records of the tenant in the order of Locate, as this batch sees them. Those that the vault refuses to vouch for are left
    /// out, since they are of no use to anybody.
    ///
    /// # Errors
    /// If there is no answer, or records cannot be verified because the vault is away: an answer without them would be wrong.
    pub async fn select(
        &self,
        key: Option<&IndexKey>,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Arc<Record>>, StoreError> {
        let mut records = self.select_verified(key, after, limit).await?;
        let now = self.service.clock.now();
        for record in &mut records {
            let pending = self.changes.iter().map(Change::record);
            if let Some(pending) =
                pending.rev().find(|pending| pending.unique_identifier == record.unique_identifier)
            {
                *record = pending.clone();
            }
            *record = lifecycle_dates::settle(record.clone(), now);
        }
        Ok(records)
    }

    async fn select_verified(
        &self,
        key: Option<&IndexKey>,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Arc<Record>>, StoreError> {
        let mut asked = limit;
        // A page that is not full means the end to the caller, so pages are filled up.
        loop {
            let mut page = self.service.store.select(&self.principal.tenant, key, after, asked).await?;
            let is_last = page.len() < asked;
            let doubts = page.iter().filter_map(|record| record.guard.standing.doubt());
            if let Some(away) = doubts.into_iter().find(|doubt| doubt.is_for_now()) {
                return Err(StoreError::NotVerified(away.clone()));
            }
            page.retain(|record| record.guard.standing.doubt().is_none());
            if is_last || page.len() >= limit {
                return Ok(page);
            }
            asked += limit - page.len();
        }
    }

    /// Records that this batch has changed and the store does not know so yet, as they are to be: the newest first.
    pub fn pending(&self) -> Vec<Arc<Record>> {
        let now = self.service.clock.now();
        let records =
            self.changes.iter().map(|change| lifecycle_dates::settle(Arc::clone(change.record()), now));
        let mut records: Vec<_> = records.collect();
        records.sort_by_key(|record| std::cmp::Reverse(record.sequence));
        records
    }

    /// Makes a new object when the item (or the whole batch, for Undo) has succeeded.
    pub fn insert(&mut self, record: Record) {
        self.changes.push(Change::Insert(record.kept()));
    }

    /// Changes an object when the item (or the whole batch, for Undo) has succeeded. Bumps the version and the
    /// Last Change Date.
    pub fn replace(&mut self, mut record: Record) {
        record.touch(self.service.clock.now());
        self.replace_silently(record);
    }

    /// As [`replace`](Self::replace), for changes that are none to the client, such as counting uses.
    pub fn replace_silently(&mut self, mut record: Record) {
        let pending = self.changes.iter_mut();
        let earlier =
            pending.rev().find(|change| change.record().unique_identifier == record.unique_identifier);
        match earlier {
            // The store never saw the earlier change: the two become one.
            Some(Change::Insert(earlier) | Change::Replace(earlier) | Change::Import(earlier)) => {
                record.version = earlier.version;
                *earlier = record.kept();
            }
            None => {
                record.version += 1;
                self.changes.push(Change::Replace(record.kept()));
            }
        }
    }

    /// Makes the changes so far durable.
    pub(crate) async fn commit(&mut self) -> Result<(), Fault> {
        let changes = std::mem::take(&mut self.changes);
        if changes.is_empty() {
            return Ok(());
        }
        Ok(self.service.store.commit(changes).await?)
    }

    /// Makes the changes so far durable before something is done that cannot be done again, should the item have to be
    /// tried again. A batch that commits as a whole is not tried again from here on.
    pub(crate) async fn commit_early(&mut self) -> Result<(), Fault> {
        if self.commits_each {
            return self.commit().await;
        }
        self.is_repeatable = false;
        Ok(())
    }

    /// How many changes there are so far: where to go [`back_to`](Self::back_to).
    pub(crate) fn mark(&self) -> Vec<Change> {
        self.changes.clone()
    }

    /// Forgets the changes since a mark.
    pub(crate) fn back_to(&mut self, mark: Vec<Change>) {
        self.changes = mark;
    }
}

fn live(record: Arc<Record>) -> Result<Arc<Record>, Fault> {
    if record.state().is_some_and(lifecycle::is_destroyed) {
        return Err(Fault::object_destroyed());
    }
    record.refuse_archived()?;
    Ok(record)
}

/// What the items of a batch have dealt with so far: the ID Placeholder of 1.x and the more precise ones of 2.x
/// (KMIP 2.1 sections 4.58 and 11.58).
#[derive(Debug, Default, Clone)]
pub struct Placeholders {
    last: Option<ByteString>,
    by_operation: Vec<(UniqueIdentifierPlaceholder, ByteString)>,
    by_item: Vec<Option<ByteString>>,
}

impl Placeholders {
    fn resolve(&self, identifier: Option<&UniqueIdentifier>) -> Option<ByteString> {
        match identifier {
            None | Some(UniqueIdentifier::Placeholder(UniqueIdentifierPlaceholder::IdPlaceholder)) => {
                self.last.clone()
            }
            Some(UniqueIdentifier::Text(text)) => Some(text.clone()),
            Some(UniqueIdentifier::Placeholder(wanted)) => {
                let found = self.by_operation.iter().rev().find(|(placeholder, _)| placeholder == wanted);
                found.map(|(_, identifier)| identifier.clone())
            }
            Some(UniqueIdentifier::BatchItem(index)) => {
                let index = match usize::try_from(*index) {
                    Ok(index) => index,
                    Err(_) => self.by_item.len().checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?,
                };
                self.by_item.get(index)?.clone()
            }
        }
    }

    /// Remembers what an item dealt with: `None` for one that failed or dealt with no single object.
    pub(crate) fn remember(&mut self, response: Option<&Response>) {
        use UniqueIdentifierPlaceholder as P;
        let named: Vec<(P, ByteString)> = match response {
            Some(Response::Create(created)) => vec![(P::Create, created.unique_identifier.clone())],
            Some(Response::Register(registered)) => vec![(P::Register, registered.unique_identifier.clone())],
            Some(Response::CreateKeyPair(pair)) => vec![
                (P::CreateKeyPairPublicKey, pair.public_key_unique_identifier.clone()),
                (P::CreateKeyPairPrivateKey, pair.private_key_unique_identifier.clone()),
                (P::CreateKeyPair, pair.private_key_unique_identifier.clone()),
            ],
            Some(Response::ReKeyKeyPair(pair)) => vec![
                (P::ReKeyKeyPairPublicKey, pair.public_key_unique_identifier.clone()),
                (P::ReKeyKeyPairPrivateKey, pair.private_key_unique_identifier.clone()),
                (P::ReKeyKeyPair, pair.private_key_unique_identifier.clone()),
            ],
            Some(Response::ReKey(made)) => vec![(P::ReKey, made.unique_identifier.clone())],
            Some(Response::DeriveKey(made)) => vec![(P::DeriveKey, made.unique_identifier.clone())],
            Some(Response::Certify(made)) => vec![(P::Certify, made.unique_identifier.clone())],
            Some(Response::ReCertify(made)) => vec![(P::ReCertify, made.unique_identifier.clone())],
            Some(Response::Import(made)) => vec![(P::Import, made.unique_identifier.clone())],
            Some(Response::JoinSplitKey(made)) => vec![(P::JoinSplitKey, made.unique_identifier.clone())],
            Some(Response::CreateSplitKey(made)) => made
                .unique_identifiers
                .first()
                .map(|first| (P::CreateSplitKey, first.clone()))
                .into_iter()
                .collect(),
            Some(Response::Locate(located)) => match &located.unique_identifiers[..] {
                [only] => vec![(P::Locate, only.clone())],
                _ => {
                    self.last = None;
                    Vec::new()
                }
            },
            _ => Vec::new(),
        };
        if let Some((_, identifier)) = named.last() {
            self.last = Some(identifier.clone());
        }
        self.by_item.push(named.last().map(|(_, identifier)| identifier.clone()));
        self.by_operation.extend(named);
    }
}
