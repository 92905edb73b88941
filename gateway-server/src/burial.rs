//! Burial: what is destroyed here is destroyed in every backup, too, because the Core refuses to open it ever after.
//!
//! The destroyed record is committed with the mark that its tombstone is pending. The Core is asked at once, within a bound;
//! what it confirms, and what could not be asked, is settled in the background until no record has the mark any more.
//!
//! Marks are found by an index, since they are looked for often. Now and then, and at the start, all records are looked through
//! for marks that the index lacks: whoever can edit the store could keep a tombstone from the Core by deleting a row of it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytestring::ByteString;
use key_service::guard::{Burial, burial_pending};
use key_service::port::{Change, SealerError, Store, StoreError};
use key_service::record::Record;
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::operation::DestroyRequest;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::config::BurialConfig;
use crate::errands::Errands;
use crate::leases::Leases;
use crate::shredding::pace;

/// How long a Destroy waits for the Core. After that the tombstone is pending, and the Destroy is answered all the same.
const BURY_WITHIN: Duration = Duration::from_secs(2);

/// How long to wait before the Core is asked again for what it has not confirmed.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How often all tenants are asked after: other Gateways, and earlier lives of this one, leave marks there, too.
const ALL_TENANTS_EVERY: Duration = Duration::from_secs(60);

/// When all records are looked through again where a mark was left, or not all could be seen.
const LOOK_THROUGH_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Records that are looked at, and objects that are buried, at a time.
const GRAVES_AT_A_TIME: usize = 64;

/// A destroyed object, and the L3 that it hung on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Grave {
    tenant: ByteString,
    key: ByteString,
    unique_identifier: ByteString,
}

impl Grave {
    fn of(record: &Record) -> Option<Self> {
        let authenticator = record.guard.authenticator.as_ref()?;
        Some(Self {
            tenant: ByteString::from(&*record.tenant),
            key: ByteString::from(&*authenticator.key),
            unique_identifier: ByteString::from(&*record.unique_identifier),
        })
    }

    /// The object's name at the Core.
    fn name(&self) -> ByteString {
        ByteString::from(format!("{}/{}", self.key, self.unique_identifier))
    }
}

/// A store that marks what is destroyed, and has it buried.
pub(crate) struct BuryingStore {
    store: Arc<dyn Store>,
    undertaker: Arc<Undertaker>,
}

impl BuryingStore {
    pub(crate) fn new(store: Arc<dyn Store>, undertaker: Arc<Undertaker>) -> Self {
        Self { store, undertaker }
    }
}

#[async_trait]
impl Store for BuryingStore {
    fn below(&self) -> Option<&dyn Store> {
        Some(&*self.store)
    }

    async fn commit(&self, mut changes: Vec<Change>) -> Result<(), StoreError> {
        let mut graves = Vec::new();
        for change in &mut changes {
            let (Change::Insert(record) | Change::Replace(record) | Change::Import(record)) = change;
            if record.is_destroyed() && record.guard.burial == Burial::None {
                let record = Arc::make_mut(record);
                record.guard.burial = Burial::Pending;
                graves.push(Grave::of(record).ok_or_else(|| ByteString::from(&*record.tenant)));
            }
        }
        self.store.commit(changes).await?;
        if !graves.is_empty() {
            self.undertaker.take(graves).await;
        }
        Ok(())
    }
}

/// What is counted.
#[derive(Clone, Default)]
struct Metrics {
    pending: Gauge,
    confirmed: Counter,
}

/// Has destroyed objects buried, now or later.
pub(crate) struct Undertaker {
    store: Arc<dyn Store>,
    errands: Arc<Errands>,
    leases: Arc<Leases>,
    work: Mutex<Work>,
    called: Notify,
    metrics: Metrics,
}

#[derive(Default)]
struct Work {
    /// Confirmed by the Core, and still marked.
    confirmed: HashSet<Grave>,
    /// Tenants that have records with the mark, and how many were left when they were last looked at.
    tenants: HashMap<ByteString, i64>,
}

impl Undertaker {
    /// An undertaker for the records in `store`, which authenticates them.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        errands: Arc<Errands>,
        leases: Arc<Leases>,
        registry: &mut Registry,
    ) -> Arc<Self> {
        let metrics = Metrics::default();
        let (pending, confirmed) = (metrics.pending.clone(), metrics.confirmed.clone());
        registry.register("tombstones_pending", "Destroyed objects not yet confirmed by the Core", pending);
        registry.register("tombstones_confirmed", "Destroyed objects confirmed by the Core", confirmed);
        Arc::new(Self { store, errands, leases, work: Mutex::default(), called: Notify::new(), metrics })
    }

    /// Wipes what is open of destroyed objects, and asks the Core to bury them, within a bound. Where nothing says which L3 an
    /// object hung on, the tenant is looked through later.
    async fn take(&self, graves: Vec<Result<Grave, ByteString>>) {
        {
            let mut work = self.work();
            for grave in &graves {
                let (Ok(Grave { tenant, .. }) | Err(tenant)) = grave;
                *work.tenants.entry(tenant.clone()).or_default() += 1;
            }
            self.metrics.pending.set(work.tenants.values().sum());
        }
        let graves: Vec<Grave> = graves.into_iter().filter_map(Result::ok).collect();
        for grave in &graves {
            self.leases.bury(&grave.key, &grave.unique_identifier);
        }
        if tokio::time::timeout(BURY_WITHIN, self.ask(&graves)).await.is_err() {
            tracing::warn!(
                count = graves.len(),
                "the Core did not confirm tombstones in time: they are pending"
            );
        }
        self.called.notify_one();
    }

    /// Asks the Core to bury; remembers what it confirms.
    async fn ask(&self, graves: &[Grave]) {
        for graves in graves.chunks(GRAVES_AT_A_TIME) {
            let mut asking = JoinSet::new();
            for grave in graves.iter().cloned() {
                let errands = self.errands.clone();
                asking.spawn(async move {
                    let request =
                        DestroyRequest { unique_identifier: Some(UniqueIdentifier::Text(grave.name())) };
                    let answer = errands.ask(&grave.tenant, 0, request).await;
                    (grave, answer)
                });
            }
            let mut is_away = false;
            while let Some(asked) = asking.join_next().await {
                let Ok((grave, answer)) = asked else { continue };
                let (tenant, object) = (&grave.tenant, &grave.unique_identifier);
                match answer {
                    Ok(_) => {
                        // Once more: until now the Core would have opened it again, for who has the store as it was before.
                        self.leases.bury(&grave.key, object);
                        self.work().confirmed.insert(grave);
                    }
                    Err(why) if why.is_for_now() => {
                        tracing::warn!(%tenant, %object, %why, "a tombstone is pending");
                        is_away = true;
                    }
                    Err(error) => tracing::error!(%tenant, %object, %error, "the Core refuses a tombstone"),
                }
            }
            if is_away {
                return;
            }
        }
    }

    /// Settles what is pending, for ever.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut looked_through: Option<Instant> = None;
        loop {
            if looked_through.is_none_or(|looked| looked.elapsed() >= ALL_TENANTS_EVERY) {
                match self.store.tenants().await {
                    Ok(tenants) => {
                        let mut work = self.work();
                        tenants.into_iter().for_each(|tenant| _ = work.tenants.entry(tenant).or_default());
                        looked_through = Some(Instant::now());
                    }
                    Err(error) => tracing::warn!(%error, "pending tombstones cannot be looked for"),
                }
            }
            let tenants: Vec<ByteString> = self.work().tenants.keys().cloned().collect();
            for tenant in tenants {
                self.settle(&tenant).await;
            }
            let pause = match self.work().tenants.is_empty() {
                true => ALL_TENANTS_EVERY,
                false => ASK_AGAIN_AFTER,
            };
            let _ = tokio::time::timeout(pause, self.called.notified()).await;
        }
    }

    /// Goes once through the pending records of a tenant.
    async fn settle(&self, tenant: &ByteString) {
        let mut after = None;
        let mut left = 0;
        loop {
            let page = self.store.select(tenant, Some(&burial_pending()), after, GRAVES_AT_A_TIME).await;
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    tracing::warn!(%tenant, %error, "pending tombstones cannot be looked for");
                    return;
                }
            };
            let Some(last) = page.last() else { break };
            after = Some(last.sequence);
            left += self.bury(&page).await;
        }
        let mut work = self.work();
        match left {
            0 => _ = work.tenants.remove(tenant),
            _ => _ = work.tenants.insert(tenant.clone(), left),
        }
        self.metrics.pending.set(work.tenants.values().sum());
    }

    /// Has the objects of marked records buried. Returns how many are left.
    async fn bury(&self, marked: &[Arc<Record>]) -> i64 {
        let graves: Vec<Option<Grave>> = marked.iter().map(|record| Grave::of(record)).collect();
        let is_unasked = |grave: &&Grave| !self.work().confirmed.contains(*grave);
        let unasked: Vec<Grave> = graves.iter().flatten().filter(is_unasked).cloned().collect();
        self.ask(&unasked).await;
        let mut left = 0;
        for (record, grave) in marked.iter().zip(&graves) {
            let is_settled = match grave {
                Some(grave) => self.confirm(record, grave).await,
                None => false,
            };
            left += i64::from(!is_settled);
        }
        left
    }

    /// Looks through all records, at the start and now and then, for ever. `records` are those of the store as they are.
    pub(crate) async fn look_through(self: Arc<Self>, records: Arc<dyn Store>, config: BurialConfig) {
        let interval = Duration::from_secs(config.look_through_interval_seconds.max(1).into());
        loop {
            let pause = match self.look_through_once(&*records, config.maximum_looks_per_second).await {
                Ok(0) => interval,
                Ok(left) => {
                    tracing::warn!(left, "tombstones that the index lacks are pending");
                    interval.min(LOOK_THROUGH_AGAIN_AFTER)
                }
                Err(error) => {
                    tracing::warn!(%error, "not all records can be looked through for pending tombstones");
                    interval.min(LOOK_THROUGH_AGAIN_AFTER)
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Returns how many marks are left that the index lacks.
    async fn look_through_once(&self, records: &dyn Store, per_second: u32) -> Result<i64, StoreError> {
        let mut pace = pace(GRAVES_AT_A_TIME, per_second);
        let mut left = 0;
        for tenant in records.find_tenants().await? {
            let mut next = None;
            loop {
                pace.tick().await;
                let stretch = records.walk(&tenant, next.as_ref(), GRAVES_AT_A_TIME).await?;
                let mut hidden = Vec::new();
                // One that cannot be read is told of where it is asked for, and before a shredding.
                for record in stretch.records.iter().flatten().filter(|record| is_pending(record)) {
                    if !is_in_index(records, record).await? {
                        hidden.extend(self.marked(record).await?);
                    }
                }
                if !hidden.is_empty() {
                    tracing::warn!(%tenant, count = hidden.len(), "the index lacks pending tombstones");
                    left += self.bury(&hidden).await;
                }
                next = stretch.next;
                if next.is_none() {
                    break;
                }
            }
        }
        Ok(left)
    }

    /// A record that is marked, if it still is when it is authenticated.
    async fn marked(&self, record: &Record) -> Result<Option<Arc<Record>>, StoreError> {
        match self.store.fetch(&record.tenant, &record.unique_identifier).await {
            Ok(found) => Ok(found.filter(|record| is_pending(record))),
            // Edited: it is in the log, and nobody is served it.
            Err(StoreError::Damaged(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes the mark from a record whose tombstone is confirmed. Returns whether that is done.
    async fn confirm(&self, record: &Record, grave: &Grave) -> bool {
        if !self.work().confirmed.contains(grave) {
            return false;
        }
        // The Core answers now; a moment later the record can be verified, and then keeps what it says.
        let is_away = record.guard.standing.doubt().is_some_and(SealerError::is_for_now);
        if is_away {
            return false;
        }
        let mut confirmed = record.clone();
        confirmed.guard.burial = Burial::Confirmed;
        confirmed.version += 1;
        match self.store.commit(vec![Change::Replace(Arc::new(confirmed))]).await {
            Ok(()) => {
                self.work().confirmed.remove(grave);
                self.metrics.confirmed.inc();
                true
            }
            // Another request, or another Gateway, was first: looked at again in a moment.
            Err(StoreError::Conflict) => false,
            Err(error) => {
                tracing::warn!(%error, "a confirmed tombstone stays marked as pending");
                false
            }
        }
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_pending(record: &Record) -> bool {
    record.guard.burial == Burial::Pending
}

/// Whether the index has the mark of a record: it is looked for right where it has to be.
async fn is_in_index(records: &dyn Store, record: &Record) -> Result<bool, StoreError> {
    let before = record.sequence.checked_add(1);
    let found = records.select(&record.tenant, Some(&burial_pending()), before, 1).await?;
    Ok(found.iter().any(|found| found.unique_identifier == record.unique_identifier))
}
