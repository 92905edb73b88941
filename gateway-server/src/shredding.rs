//! Shredding: what hangs on an L3 version that is marked for it is sealed anew, in the background and at a bounded rate, and the
//! Core is told how far that is.
//!
//! What is left is found by an index of the store, so that there is nothing to remember: a Gateway that was stopped goes on
//! where it was. It reports that it is done after a look through all records of the tenant that found nothing, begun when the
//! gate behind the old version was closed ([`SealGate`]). An index is not enough for that: it may lack a record, and a search
//! leaves out what is damaged. The look walks through the records themselves, at a bounded rate, too. A damaged record may be
//! repaired from a backup for as long as the old version is there.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytestring::ByteString;
use key_service::chain::{self, SHRED_DONE, SHRED_REPORT};
use key_service::guard::{Burial, guarded_by};
use key_service::port::{Change, Sealer, SealerError, Store, StoreError};
use key_service::record::Record;
use kmip_protocol::attribute::{Attribute, Attributes};
use kmip_protocol::enumeration::{ResultReason, ResultStatus, State};
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::message::ResponseBatchItem;
use kmip_protocol::operation::{
    AddAttributeRequest, GetAttributesRequest, LocateRequest, ModifyAttributeRequest, Request, Response,
};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::time::{Interval, MissedTickBehavior};

use crate::authenticated_store::{AuthenticatedStore, Inspected, RecordVault as _};
use crate::config::ShreddingConfig;
use crate::core_client::{CoreLink, CoreSealer, refusal};
use crate::seal_gate::SealGate;

/// How often the Core is asked for versions that are marked.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How often progress is reported.
const REPORT_EVERY: Duration = Duration::from_secs(2);

/// Between two reports at least: the Core takes one a second.
const REPORT_PAUSE: Duration = Duration::from_millis(1200);

/// How often all records of a tenant are looked through again where nothing but damaged ones is left.
const DAMAGED_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// Records that are fetched at a time.
const PAGE_RECORDS: usize = 64;

/// What is counted.
#[derive(Clone, Default)]
struct Metrics {
    moved: Counter,
    looked_at: Counter,
    stuck: Gauge,
    under_way: Gauge,
}

/// Seals anew what hangs on versions that are to be shredded.
pub(crate) struct Shredder {
    stores: Stores,
    link: Arc<CoreLink>,
    sealer: Arc<CoreSealer>,
    gate: Arc<SealGate>,
    settings: ShreddingConfig,
    metrics: Metrics,
}

/// The store, in two ways.
pub(crate) struct Stores {
    /// Where records are found and changed.
    pub(crate) changes: Arc<dyn Store>,
    /// Where nothing is left out.
    pub(crate) inspected: Arc<AuthenticatedStore>,
}

/// A version that is marked.
struct Marked {
    key: ByteString,
    tenant: ByteString,
    service: ByteString,
}

/// What has become of the records of a version.
#[derive(Default)]
struct Progress {
    moved: u64,
    /// Those that cannot be sealed anew now, damaged ones included.
    stuck: u64,
    damaged: u64,
    reported: Option<Instant>,
}

/// How far the shredding of a version is.
enum Stage {
    /// Nothing is left, which was reported in these words.
    Done(String),
    /// It goes on with the next look at the Core.
    Stuck,
    /// Only damaged records are left: it goes on then.
    Damaged(Instant),
}

/// What has become of a record.
enum Fate {
    Moved,
    /// It cannot be moved now.
    Stuck,
    /// Somebody else has changed it: it is looked at again.
    Overtaken,
    /// The index has it by mistake.
    Elsewhere,
}

impl Shredder {
    pub(crate) fn new(
        stores: Stores,
        link: Arc<CoreLink>,
        sealer: Arc<CoreSealer>,
        gate: Arc<SealGate>,
        settings: ShreddingConfig,
        registry: &mut Registry,
    ) -> Self {
        let metrics = Metrics::default();
        let Metrics { moved, looked_at, stuck, under_way } = metrics.clone();
        registry.register("shredding_moved", "Records sealed anew, so that their L3 can be destroyed", moved);
        let help = "Records looked at before an L3 is destroyed, whatever they hang on";
        registry.register("shredding_looked_at", help, looked_at);
        registry.register("shredding_stuck", "Records that cannot be sealed anew; the log says why", stuck);
        registry.register("shredding_under_way", "L3 versions that are being shredded", under_way);
        Self { stores, link, sealer, gate, settings, metrics }
    }

    /// Looks for marked versions and shreds them, for ever.
    pub(crate) async fn run(self) {
        let mut stages: HashMap<ByteString, Stage> = HashMap::new();
        loop {
            match self.marked().await {
                Ok(marked) => {
                    let is_marked = |key: &ByteString| marked.iter().any(|marked| marked.key == *key);
                    self.gate.retain(is_marked);
                    stages.retain(|key, _| is_marked(key));
                    for marked in &marked {
                        self.go_on(marked, &mut stages).await;
                    }
                }
                Err(error) => tracing::debug!(%error, "versions to be shredded cannot be looked for"),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn go_on(&self, marked: &Marked, stages: &mut HashMap<ByteString, Stage>) {
        match stages.get(&marked.key) {
            Some(Stage::Damaged(again)) if Instant::now() < *again => return,
            Some(Stage::Done(report)) => match self.amend_report(marked, report).await {
                // The Core has forgotten the report: the mark is another one.
                Ok(false) => _ = stages.remove(&marked.key),
                Ok(true) => return,
                Err(error) => return tracing::debug!(%error, "the report cannot be repeated"),
            },
            _ => (),
        }
        self.metrics.under_way.inc();
        match self.shred(marked, !stages.contains_key(&marked.key)).await {
            Ok(stage) => _ = stages.insert(marked.key.clone(), stage),
            Err(error) => tracing::warn!(key = %marked.key, %error, "shredding goes on later"),
        }
        self.metrics.under_way.dec();
    }

    /// Seals anew what hangs on a version.
    async fn shred(&self, marked: &Marked, is_first: bool) -> Result<Stage, SealerError> {
        let Marked { key, tenant, service } = marked;
        // What is known of the service may be from before the rotation.
        self.sealer.forget_service(tenant, service);
        self.gate.retire(key).await;
        let mut progress = Progress::default();
        if is_first {
            tracing::info!(%key, %tenant, %service, "sealing anew what is to outlive this version");
            // What was reported before this process began, or under an earlier mark, is true no more.
            self.report(marked, &mut progress, "under way: 0 sealed anew").await?;
        }
        loop {
            (progress.stuck, progress.damaged) = (0, 0);
            let mut found = self.pass(marked, &mut progress).await?;
            if found == 0 {
                found = self.look_through(marked, &mut progress).await?;
            }
            self.metrics.stuck.set(i64::try_from(progress.stuck).unwrap_or(i64::MAX));
            if found == 0 {
                let report = format!("{SHRED_DONE}: {} sealed anew", progress.moved);
                self.report(marked, &mut progress, &report).await?;
                tracing::info!(%key, moved = progress.moved, "nothing is left under this version");
                return Ok(Stage::Done(report));
            }
            if found == progress.stuck {
                let Progress { moved, stuck, damaged, .. } = progress;
                let report = match damaged {
                    0 => format!("stuck: {stuck} cannot be sealed anew, {moved} are"),
                    _ => format!("stuck: {stuck} cannot be sealed anew ({damaged} damaged), {moved} are"),
                };
                self.report(marked, &mut progress, &report).await?;
                return Ok(match stuck == damaged {
                    true => Stage::Damaged(Instant::now() + DAMAGED_AGAIN_AFTER),
                    false => Stage::Stuck,
                });
            }
        }
    }

    /// Goes once through the records that the index has of a version; returns how many there were.
    async fn pass(&self, marked: &Marked, progress: &mut Progress) -> Result<u64, SealerError> {
        let mut pace = self.pace_of_renewals();
        let index = guarded_by(&marked.key);
        let (mut found, mut after) = (0, None);
        loop {
            let page = self.stores.changes.select(&marked.tenant, Some(&index), after, PAGE_RECORDS).await;
            let page = page.map_err(unavailable)?;
            let Some(last) = page.last() else { return Ok(found) };
            after = Some(last.sequence);
            for record in page {
                pace.tick().await;
                found += self.settle(&marked.key, &record, progress).await;
                if progress.is_report_due() {
                    let report = format!("under way: {} sealed anew", progress.moved);
                    self.report(marked, progress, &report).await?;
                }
            }
        }
    }

    fn pace_of_renewals(&self) -> Interval {
        pace(1, self.settings.maximum_records_per_second)
    }

    /// Goes once through all records of the tenant, as they are in the store; returns how many may be lost with the version.
    async fn look_through(&self, marked: &Marked, progress: &mut Progress) -> Result<u64, SealerError> {
        let mut pace_of_looks = pace(PAGE_RECORDS, self.settings.maximum_looks_per_second);
        let mut pace_of_renewals = self.pace_of_renewals();
        let (mut found, mut looked_at, mut next) = (0, 0, None);
        loop {
            pace_of_looks.tick().await;
            let page = self.stores.inspected.inspect(&marked.tenant, next.as_ref(), PAGE_RECORDS).await;
            let (page, after) = page.map_err(unavailable)?;
            looked_at += page.len() as u64;
            self.metrics.looked_at.inc_by(page.len() as u64);
            for Inspected { stored, verified } in page {
                match verified {
                    Ok(record) if hangs_on(&record, &marked.key) => {
                        pace_of_renewals.tick().await;
                        found += self.settle(&marked.key, &record, progress).await;
                    }
                    Ok(_) => (),
                    Err(StoreError::Damaged(what)) if may_hang_on(stored.as_deref(), marked) => {
                        tracing::error!(what, "a damaged record holds up shredding");
                        progress.damaged += 1;
                    }
                    Err(StoreError::Damaged(_)) => (),
                    Err(error) => return Err(unavailable(error)),
                }
            }
            if progress.is_report_due() {
                let moved = progress.moved;
                let report = format!("under way: {moved} sealed anew, {looked_at} of all looked at");
                self.report(marked, progress, &report).await?;
            }
            next = after;
            if next.is_none() {
                break;
            }
        }
        progress.stuck += progress.damaged;
        Ok(found + progress.damaged)
    }

    /// Has a record hang on another version, and counts it. Returns 0 if it does so already.
    async fn settle(&self, key: &ByteString, record: &Record, progress: &mut Progress) -> u64 {
        match self.renew(key, record).await {
            Fate::Moved => {
                progress.moved += 1;
                self.metrics.moved.inc();
            }
            Fate::Stuck => progress.stuck += 1,
            Fate::Overtaken => (),
            Fate::Elsewhere => return 0,
        }
        1
    }

    /// Lets a record hang on the active version of its service.
    async fn renew(&self, key: &ByteString, record: &Record) -> Fate {
        if !hangs_on(record, key) {
            return Fate::Elsewhere;
        }
        let renewed = match self.renewed(record).await {
            Ok(renewed) => renewed,
            Err(error) => {
                let (tenant, object) = (&record.tenant, &record.unique_identifier);
                tracing::warn!(%tenant, %object, %error, "a record cannot be sealed anew");
                return Fate::Stuck;
            }
        };
        match self.stores.changes.commit(vec![Change::Replace(Arc::new(renewed))]).await {
            Ok(()) => Fate::Moved,
            Err(StoreError::Conflict) => Fate::Overtaken,
            Err(error) => {
                tracing::warn!(object = %record.unique_identifier, %error, "a record cannot be sealed anew");
                Fate::Stuck
            }
        }
    }

    async fn renewed(&self, record: &Record) -> Result<Record, SealerError> {
        if let Some(doubt) = record.guard.standing.doubt() {
            return Err(doubt.clone());
        }
        let mut renewed = record.clone();
        renewed.version += 1;
        // It gets another one, under what seals it then.
        renewed.guard.authenticator = None;
        let Some(sealed) = &record.sealed else {
            // Without a key to hang on it would be left where it is, again and again.
            let next = self.sealer.sealing_key(&record.tenant, &record.service).await?;
            self.sealer.record_key(&record.tenant, &next).await?;
            return Ok(renewed);
        };
        let binding = record.binding();
        match self.sealer.unseal(&binding, sealed).await {
            Ok(secret) => renewed.sealed = Some(self.sealer.seal(&binding, secret).await?),
            // The store was restored: what was destroyed is destroyed again. The same is said of all objects of an L3 that was
            // itself destroyed, and these are not to be closed.
            Err(SealerError::Buried) if !self.is_destroyed(&sealed.key).await? => {
                renewed.retain_seals(|_| false);
                renewed.set(Attribute::State(State::Destroyed));
                renewed.guard.burial = Burial::Confirmed;
            }
            Err(error) => return Err(error),
        }
        Ok(renewed)
    }

    async fn is_destroyed(&self, key: &ByteString) -> Result<bool, SealerError> {
        let is_state = |attribute: &Attribute| match attribute {
            Attribute::State(state) => Some(*state),
            _ => None,
        };
        let attributes = self.attributes(key).await?;
        let state = attributes.and_then(|attributes| attributes.iter().find_map(is_state));
        Ok(matches!(state, None | Some(State::Destroyed | State::DestroyedCompromised)))
    }

    async fn attributes(&self, key: &str) -> Result<Option<Attributes>, SealerError> {
        let request = GetAttributesRequest {
            unique_identifier: Some(UniqueIdentifier::Text(ByteString::from(key))),
            attribute_references: Vec::new(),
        };
        match first(self.link.send(&[request.into()]).await?.items)? {
            Some(Response::GetAttributes(got)) => Ok(Some(got.attributes)),
            _ => Ok(None),
        }
    }

    /// The versions that are marked, as far as this Gateway serves them.
    async fn marked(&self) -> Result<Vec<Marked>, SealerError> {
        let request = LocateRequest {
            maximum_items: None,
            offset_items: None,
            storage_status_mask: None,
            object_group_member: None,
            attributes: Attributes::new([chain::shred_mark()]),
        };
        let items = self.link.send(&[request.into()]).await?.items;
        let Some(Response::Locate(located)) = first(items)? else { return Ok(Vec::new()) };
        let mut marked = Vec::new();
        for key in located.unique_identifiers {
            if let Some(attributes) = self.attributes(&key).await? {
                marked.extend(Marked::read(&key, &attributes));
            }
        }
        Ok(marked)
    }

    async fn report(
        &self,
        marked: &Marked,
        progress: &mut Progress,
        report: &str,
    ) -> Result<(), SealerError> {
        if let Some(reported) = progress.reported {
            tokio::time::sleep_until((reported + REPORT_PAUSE).into()).await;
        }
        progress.reported = Some(Instant::now());
        if self.amend_report(marked, report).await? {
            return Ok(());
        }
        let unique_identifier = Some(UniqueIdentifier::Text(marked.key.clone()));
        let new_attribute = Attributes::new([report_attribute(report)]);
        let add = Request::from(AddAttributeRequest { unique_identifier, new_attribute });
        first(self.link.send(&[add]).await?.items).map(drop)
    }

    /// Replaces the report. Returns `false` if the Core has none.
    async fn amend_report(&self, marked: &Marked, report: &str) -> Result<bool, SealerError> {
        let modify = ModifyAttributeRequest {
            unique_identifier: Some(UniqueIdentifier::Text(marked.key.clone())),
            current_attribute: Attributes::default(),
            new_attribute: Attributes::new([report_attribute(report)]),
        };
        let items = self.link.send(&[modify.into()]).await?.items;
        let has_none = |item: &ResponseBatchItem| item.result_reason == Some(ResultReason::AttributeNotFound);
        if items.first().is_some_and(has_none) {
            return Ok(false);
        }
        first(items).map(|_| true)
    }
}

fn report_attribute(report: &str) -> Attribute {
    chain::own_attribute(SHRED_REPORT, report)
}

fn unavailable(error: StoreError) -> SealerError {
    SealerError::Unavailable(error.to_string())
}

/// Whether a record needs an L3: to be opened, or to be believed.
fn hangs_on(record: &Record, key: &str) -> bool {
    let vouched = record.guard.authenticator.iter().map(|authenticator| &authenticator.key);
    vouched.chain(record.seals().map(|sealed| &sealed.key)).any(|hangs_on| *hangs_on == *key)
}

/// Whether a damaged record may hang on a version: what it says may be the damage. `None`: it says nothing.
fn may_hang_on(record: Option<&Record>, marked: &Marked) -> bool {
    record.is_none_or(|record| record.service == marked.service || hangs_on(record, &marked.key))
}

/// Ticks so often that `records` at each make `per_second`.
/// So many records at a time, and so many a second at most.
pub(crate) fn pace(records: usize, per_second: u32) -> Interval {
    let pause = Duration::from_secs_f64(records as f64 / f64::from(per_second.max(1)));
    let mut pace = tokio::time::interval(pause);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}

impl Progress {
    fn is_report_due(&self) -> bool {
        self.reported.is_none_or(|reported| reported.elapsed() >= REPORT_EVERY)
    }
}

impl Marked {
    fn read(key: &str, attributes: &Attributes) -> Option<Self> {
        let tenant = chain::tenant_of(attributes.iter())?;
        let service = attributes.iter().find_map(|attribute| match attribute {
            Attribute::ObjectGroup(group) => Some(ByteString::from(&**group)),
            _ => None,
        });
        Some(Self { key: ByteString::from(key), tenant: ByteString::from(&**tenant), service: service? })
    }
}

fn first(items: Vec<ResponseBatchItem>) -> Result<Option<Response>, SealerError> {
    match items.into_iter().next() {
        Some(item) if item.result_status != ResultStatus::Success => Err(refusal(&item)),
        Some(item) => Ok(item.payload),
        None => Ok(None),
    }
}
