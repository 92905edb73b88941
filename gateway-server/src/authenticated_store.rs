//! The store as the Gateway trusts it: every record that comes out of it was put in by a Gateway, and by nobody else.
//!
//! A decorator over any [`Store`], so that it holds for each kind by construction. It tags what is committed, and checks what
//! is fetched and selected. An edited record is damaged; no other record suffers. Where the vault gives no key to check with,
//! a record comes back in doubt: it may be revoked and destroyed, nothing else (docs/decisions/0007-authenticated-records.md).

use std::collections::HashMap;
use std::future::{Future as _, poll_fn};
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use bytes::Bytes;
use bytestring::ByteString;
use key_service::crypto::{authenticate_record, is_authentic_record};
use key_service::guard::{Authenticator, Burial, Proof, Standing};
use key_service::memory::LockedSecret;
use key_service::port::{Bookmark, Change, IndexKey, Position, SealerError, Store, StoreError, Stretch};
use key_service::record::Record;
use kmip_protocol::attribute::{Attribute, AttributeType, Attributes, Instance};
use kmip_protocol::enumeration::State;

use crate::seal_gate::SealGate;

/// Where the keys come from.
#[async_trait]
pub(crate) trait RecordVault: Send + Sync + 'static {
    /// The key of the records of a tenant that hang on an L3, for a moment.
    async fn record_key(&self, tenant: &str, key: &ByteString) -> Result<Arc<LockedSecret>, SealerError>;

    /// The L3 that new records of a service hang on.
    async fn sealing_key(&self, tenant: &str, service: &str) -> Result<ByteString, SealerError>;
}

/// A store whose records are authenticated.
pub(crate) struct AuthenticatedStore {
    store: Arc<dyn Store>,
    vault: Arc<dyn RecordVault>,
    gate: Arc<SealGate>,
}

/// A record as it is stored, and as far as it is believed.
pub(crate) struct Inspected {
    /// `None` if it cannot be read.
    pub(crate) stored: Option<Arc<Record>>,
    pub(crate) verified: Result<Arc<Record>, StoreError>,
}

/// Record keys that were asked for while a page is looked at: each once.
type Asked = HashMap<ByteString, Result<Arc<LockedSecret>, SealerError>>;

impl AuthenticatedStore {
    pub(crate) fn new(store: Arc<dyn Store>, vault: Arc<dyn RecordVault>, gate: Arc<SealGate>) -> Self {
        Self { store, vault, gate }
    }

    /// The record, if somebody of us wrote it; in doubt if that cannot be found out now.
    async fn verify(
        &self,
        tenant: &str,
        record: Arc<Record>,
        asked: &mut Asked,
    ) -> Result<Arc<Record>, StoreError> {
        if record.guard.standing.is_verified() {
            return Ok(record);
        }
        let damaged = |what: &str| {
            StoreError::Damaged(format!("record {} of {tenant}: {what}", record.unique_identifier))
        };
        if record.tenant != tenant {
            return Err(damaged("it is the record of another tenant"));
        }
        let Some(authenticator) = &record.guard.authenticator else {
            return Err(damaged("it has no authenticator"));
        };
        if authenticator.proof == Proof::Nothing {
            let remains = remains(&record).ok_or_else(|| damaged("it has no proof"))?;
            return Ok(Arc::new(remains));
        }
        let key = match self.ask(tenant, &authenticator.key, asked).await {
            Ok(key) => key,
            Err(SealerError::NoKey) => return Err(damaged("it hangs on a key that the vault does not have")),
            Err(reason) => return Ok(Arc::new(doubtful(&record, reason))),
        };
        let checked = match &authenticator.proof {
            Proof::Tag(tag) => check_tag(&record, tag, &key),
            Proof::Restricts(before) => check_restriction(&record, before, &key),
            Proof::Nothing => Err("it has no proof"),
        };
        checked.map_err(damaged)?;
        record.guard.standing.note_verified();
        Ok(record)
    }

    /// A part of a [`Store::walk`] through the records as they are stored, each with what it proves to be.
    pub(crate) async fn inspect(
        &self,
        tenant: &str,
        from: Option<&Bookmark>,
        limit: usize,
    ) -> Result<(Vec<Inspected>, Option<Bookmark>), StoreError> {
        let mut asked = Asked::new();
        let mut inspected = Vec::new();
        let stretch = self.store.walk(tenant, from, limit).await?;
        for record in stretch.records {
            let stored = record.as_ref().ok().cloned();
            let verified = match record {
                Ok(record) => self.verify(tenant, record, &mut asked).await,
                Err(error) => Err(error),
            };
            inspected.push(Inspected { stored, verified });
        }
        Ok((inspected, stretch.next))
    }

    async fn ask(
        &self,
        tenant: &str,
        key: &ByteString,
        asked: &mut Asked,
    ) -> Result<Arc<LockedSecret>, SealerError> {
        if let Some(known) = asked.get(key) {
            return known.clone();
        }
        let answer = self.vault.record_key(tenant, key).await;
        asked.insert(key.clone(), answer.clone());
        answer
    }

    /// The record as it is to be stored.
    async fn vouch(&self, change: Change) -> Result<Change, StoreError> {
        let (is_new, record) = match change {
            Change::Insert(record) => (true, record),
            Change::Replace(record) => (false, record),
            // Of another store: what vouches for it has come with it.
            Change::Import(record) => return Ok(Change::Import(record)),
        };
        let mut record = Record::clone(&record);
        // What was in doubt when it was read is not vouched for now: it may be anybody's.
        let doubt = record.guard.standing.doubt().cloned();
        record.guard.standing = Standing::default();
        let tagged = match doubt {
            Some(reason) => Err(reason),
            None => self.tag(&mut record).await,
        };
        match tagged {
            Ok(()) => record.guard.standing.note_verified(),
            Err(reason) => self.close(&mut record, is_new, reason).await?,
        }
        let record = Arc::new(record);
        Ok(if is_new { Change::Insert(record) } else { Change::Replace(record) })
    }

    async fn tag(&self, record: &mut Record) -> Result<(), SealerError> {
        let hangs_on = match (&record.sealed, &record.guard.authenticator) {
            (Some(sealed), _) => sealed.key.clone(),
            (None, Some(authenticator)) => authenticator.key.clone(),
            (None, None) => self.vault.sealing_key(&record.tenant, &record.service).await?,
        };
        let key = self.vault.record_key(&record.tenant, &hangs_on).await?;
        record.guard.authenticator = Some(Authenticator { key: hangs_on, proof: Proof::Nothing });
        let tag = authenticate_record(key.expose(), &record.authenticated_bytes());
        if let Some(authenticator) = &mut record.guard.authenticator {
            authenticator.proof = Proof::Tag(Bytes::copy_from_slice(&tag));
        }
        Ok(())
    }

    /// Nothing new may hang on an L3 that is being shredded: whoever sealed under it does that again.
    async fn refuse_retired(&self, changes: &[Change]) -> Result<(), StoreError> {
        let hangs_on =
            |record: &Record| record.guard.authenticator.as_ref().map(|vouched| vouched.key.clone());
        for change in changes {
            let record = change.record();
            let Some(key) = hangs_on(record).filter(|key| self.gate.is_retired(key)) else { continue };
            let is_there_already = match change {
                Change::Insert(_) | Change::Import(_) => false,
                Change::Replace(_) => {
                    let stored = self.store.fetch(&record.tenant, &record.unique_identifier).await?;
                    stored.and_then(|stored| hangs_on(&stored)) == Some(key)
                }
            };
            if !is_there_already {
                return Err(StoreError::Conflict);
            }
        }
        Ok(())
    }

    /// Without a key for a tag, an object may be revoked or destroyed, and nothing else.
    async fn close(&self, record: &mut Record, is_new: bool, reason: SealerError) -> Result<(), StoreError> {
        let refused = || StoreError::NotVerified(reason.clone());
        if is_new {
            return Err(refused());
        }
        let stored = self.store.fetch(&record.tenant, &record.unique_identifier).await?;
        let stored = stored.filter(|stored| stored.version.checked_add(1) == Some(record.version));
        let stored = stored.ok_or(StoreError::Conflict)?;
        let Some(vouched) = &stored.guard.authenticator else { return Err(refused()) };
        let proof = if record.is_destroyed() {
            Proof::Nothing
        } else {
            let before = match &vouched.proof {
                Proof::Tag(_) => stored.encode(),
                Proof::Restricts(before) => before.clone(),
                Proof::Nothing => return Err(refused()),
            };
            let decoded = Record::decode(&before).map_err(|_| refused())?;
            if !is_restriction(&decoded, record) {
                return Err(refused());
            }
            Proof::Restricts(before)
        };
        record.guard.authenticator = Some(Authenticator { key: vouched.key.clone(), proof });
        if let Some(remains) = remains(record) {
            *record = remains;
        }
        Ok(())
    }
}

#[async_trait]
impl Store for AuthenticatedStore {
    fn below(&self) -> Option<&dyn Store> {
        Some(&*self.store)
    }

    async fn fetch(&self, tenant: &str, unique_identifier: &str) -> Result<Option<Arc<Record>>, StoreError> {
        let Some(record) = self.store.fetch(tenant, unique_identifier).await? else { return Ok(None) };
        if record.unique_identifier != unique_identifier {
            let what = format!("record {unique_identifier} of {tenant}: it is the record of another object");
            return Err(StoreError::Damaged(what));
        }
        self.verify(tenant, record, &mut Asked::new()).await.map(Some)
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let mut vouched = Vec::with_capacity(changes.len());
        for change in changes {
            vouched.push(self.vouch(change).await?);
        }
        let passage = self.gate.enter().await;
        if self.gate.is_any_retired() {
            self.refuse_retired(&vouched).await?;
        }
        let store = self.store.clone();
        let mut commit = Box::pin(async move {
            let _passage = passage;
            store.commit(vouched).await
        });
        // Memory is done at once.
        if let Poll::Ready(done) = poll_fn(|context| Poll::Ready(commit.as_mut().poll(context))).await {
            return done;
        }
        // A store that takes its time goes on, and keeps the gate, also where nobody waits for it any more.
        tokio::spawn(commit).await.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
    }

    async fn select(
        &self,
        tenant: &str,
        key: Option<&IndexKey>,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Arc<Record>>, StoreError> {
        let mut wanted = limit;
        let mut asked = Asked::new();
        // A page that is not full means the end to the caller: one damaged record must not hide those after it.
        loop {
            let page = self.store.select(tenant, key, after, wanted).await?;
            let is_last = page.len() < wanted;
            let mut authentic = Vec::with_capacity(page.len());
            for record in page {
                match self.verify(tenant, record, &mut asked).await {
                    Ok(record) => authentic.push(record),
                    Err(StoreError::Damaged(reason)) => {
                        tracing::error!(reason, "a record is left out of a search");
                    }
                    Err(error) => return Err(error),
                }
            }
            if is_last || authentic.len() >= limit {
                return Ok(authentic);
            }
            wanted += limit - authentic.len();
        }
    }

    async fn walk(&self, tenant: &str, from: Option<&Bookmark>, limit: usize) -> Result<Stretch, StoreError> {
        let (inspected, next) = self.inspect(tenant, from, limit).await?;
        Ok(Stretch { records: inspected.into_iter().map(|inspected| inspected.verified).collect(), next })
    }
}

fn doubtful(record: &Record, reason: SealerError) -> Record {
    let mut record = record.clone();
    record.guard.standing = Standing::doubtful(reason);
    record
}

/// All that is believed of an object that was destroyed without a key for a tag: that it was. `None` if it was not.
fn remains(record: &Record) -> Option<Record> {
    let state = record.state().filter(|_| record.is_destroyed() && record.seals().next().is_none())?;
    let vouched = record.guard.authenticator.as_ref()?;
    let mut remains = record.clone();
    if vouched.proof == Proof::Nothing {
        let instances = vec![Instance { index: Some(0), attribute: Attribute::State(state) }];
        remains.attributes = Attributes { instances, templates: Vec::new() };
    }
    Some(remains)
}

fn check_tag(record: &Record, tag: &[u8], key: &LockedSecret) -> Result<(), &'static str> {
    match is_authentic_record(key.expose(), &record.authenticated_bytes(), tag) {
        true => Ok(()),
        false => Err("its authenticator does not fit: it was edited, or moved here"),
    }
}

fn check_restriction(record: &Record, before: &Bytes, key: &LockedSecret) -> Result<(), &'static str> {
    let before = Record::decode(before).map_err(|_| "what it restricts is no record")?;
    let Some(Authenticator { proof: Proof::Tag(tag), .. }) = &before.guard.authenticator else {
        return Err("what it restricts has no authenticator");
    };
    check_tag(&before, tag, key)?;
    match is_restriction(&before, record) {
        true => Ok(()),
        false => Err("more than a Revoke differs from what was last authenticated"),
    }
}

/// What a Revoke sets.
const RESTRICTING: [AttributeType; 6] = [
    AttributeType::State,
    AttributeType::DeactivationDate,
    AttributeType::CompromiseDate,
    AttributeType::CompromiseOccurrenceDate,
    AttributeType::RevocationReason,
    AttributeType::LastChangeDate,
];

/// Whether `after` is `before`, revoked.
fn is_restriction(before: &Record, after: &Record) -> bool {
    let rank = |record: &Record| match record.state() {
        Some(State::PreActive) => 0,
        Some(State::Active) => 1,
        Some(State::Deactivated) => 2,
        Some(State::Compromised) => 3,
        _ => u8::MAX,
    };
    let others = |record: &Record| -> Vec<Instance> {
        let is_other = |instance: &&Instance| {
            instance.attribute.attribute_type().is_none_or(|known| !RESTRICTING.contains(&known))
        };
        record.attributes.instances.iter().filter(is_other).cloned().collect()
    };
    let same_object = before.tenant == after.tenant
        && before.service == after.service
        && before.unique_identifier == after.unique_identifier
        && before.sequence == after.sequence
        && before.object_type == after.object_type
        && before.seals().eq(after.seals());
    same_object
        && before.version < after.version
        && after.guard.burial == Burial::None
        && matches!(rank(after), 2 | 3)
        && rank(before) <= rank(after)
        && others(before) == others(after)
}

#[cfg(test)]
mod tests;
