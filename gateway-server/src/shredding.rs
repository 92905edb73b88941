//! Shredding: what hangs on an L3 version that is marked for it is sealed anew, in the background and at a bounded rate, and the
//! Core is told how far that is.
//!
//! What is left is found by an index of the store, so that there is nothing to remember: a Gateway that was stopped goes on
//! where it was. It reports that it is done after a look through the store that found nothing, begun when the gate behind the
//! old version was closed ([`SealGate`]).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytestring::ByteString;
use key_service::chain::{self, SHRED_DONE, SHRED_REPORT, VENDOR};
use key_service::guard::{Burial, guarded_by};
use key_service::port::{Change, Sealer, SealerError, Store, StoreError};
use key_service::record::Record;
use kmip_protocol::attribute::{Attribute, Attributes, CustomAttribute, CustomValue};
use kmip_protocol::enumeration::{ResultReason, ResultStatus, State};
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::message::ResponseBatchItem;
use kmip_protocol::operation::{
    AddAttributeRequest, GetAttributesRequest, LocateRequest, ModifyAttributeRequest, Request, Response,
};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::time::MissedTickBehavior;

use crate::config::ShreddingConfig;
use crate::core_client::{CoreLink, CoreSealer, refusal};
use crate::seal_gate::SealGate;

/// How often the Core is asked for versions that are marked.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How often progress is reported.
const REPORT_EVERY: Duration = Duration::from_secs(2);

/// Records that are fetched at a time.
const PAGE_RECORDS: usize = 64;

/// What is counted.
#[derive(Clone, Default)]
struct Metrics {
    moved: Counter,
    stuck: Gauge,
    under_way: Gauge,
}

/// Seals anew what hangs on versions that are to be shredded.
pub(crate) struct Shredder {
    store: Arc<dyn Store>,
    link: Arc<CoreLink>,
    sealer: Arc<CoreSealer>,
    gate: Arc<SealGate>,
    settings: ShreddingConfig,
    metrics: Metrics,
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
    stuck: i64,
}

/// What has become of a record.
enum Fate {
    Moved,
    /// It cannot be moved now.
    Stuck,
    /// Somebody else has changed it: it is looked at again.
    Overtaken,
}

impl Shredder {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        link: Arc<CoreLink>,
        sealer: Arc<CoreSealer>,
        gate: Arc<SealGate>,
        settings: ShreddingConfig,
        registry: &mut Registry,
    ) -> Self {
        let metrics = Metrics::default();
        let Metrics { moved, stuck, under_way } = metrics.clone();
        registry.register("shredding_moved", "Records sealed anew, so that their L3 can be destroyed", moved);
        registry.register("shredding_stuck", "Records that cannot be sealed anew; the log says why", stuck);
        registry.register("shredding_under_way", "L3 versions that are being shredded", under_way);
        Self { store, link, sealer, gate, settings, metrics }
    }

    /// Looks for marked versions and shreds them, for ever.
    pub(crate) async fn run(self) {
        let mut done: HashSet<ByteString> = HashSet::new();
        loop {
            match self.marked().await {
                Ok(marked) => {
                    let is_marked = |key: &ByteString| marked.iter().any(|marked| marked.key == *key);
                    self.gate.retain(is_marked);
                    done.retain(is_marked);
                    for marked in
                        marked.iter().filter(|marked| !done.contains(&marked.key)).collect::<Vec<_>>()
                    {
                        self.metrics.under_way.inc();
                        match self.shred(marked).await {
                            Ok(true) => _ = done.insert(marked.key.clone()),
                            Ok(false) => (),
                            Err(error) => {
                                tracing::warn!(key = %marked.key, %error, "shredding goes on later")
                            }
                        }
                        self.metrics.under_way.dec();
                    }
                }
                Err(error) => tracing::debug!(%error, "versions to be shredded cannot be looked for"),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Seals anew what hangs on a version. Returns whether nothing is left.
    async fn shred(&self, marked: &Marked) -> Result<bool, SealerError> {
        let Marked { key, tenant, service } = marked;
        // What is known of the service may be from before the rotation.
        self.sealer.forget_service(tenant, service);
        self.gate.retire(key).await;
        tracing::info!(%key, %tenant, %service, "sealing anew what is to outlive this version");
        let mut progress = Progress::default();
        loop {
            progress.stuck = 0;
            let found = self.pass(marked, &mut progress).await?;
            self.metrics.stuck.set(progress.stuck);
            if found == 0 {
                self.report(marked, &format!("{SHRED_DONE}: {} sealed anew", progress.moved)).await?;
                tracing::info!(%key, moved = progress.moved, "nothing is left under this version");
                return Ok(true);
            }
            if progress.stuck > 0 && found == progress.stuck.unsigned_abs() {
                let report =
                    format!("stuck: {} cannot be sealed anew, {} are", progress.stuck, progress.moved);
                self.report(marked, &report).await?;
                return Ok(false);
            }
        }
    }

    /// Goes once through the records of a version; returns how many there were.
    async fn pass(&self, marked: &Marked, progress: &mut Progress) -> Result<u64, SealerError> {
        let pause = Duration::from_secs_f64(1.0 / f64::from(self.settings.maximum_records_per_second.max(1)));
        let mut pace = tokio::time::interval(pause);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let index = guarded_by(&marked.key);
        let (mut found, mut after) = (0, None);
        let mut reported = Instant::now();
        loop {
            let page = self.store.select(&marked.tenant, Some(&index), after, PAGE_RECORDS).await;
            let page = page.map_err(|error| SealerError::Unavailable(error.to_string()))?;
            let Some(last) = page.last() else { return Ok(found) };
            after = Some(last.sequence);
            for record in page {
                pace.tick().await;
                found += 1;
                match self.renew(&marked.key, &record).await {
                    Fate::Moved => {
                        progress.moved += 1;
                        self.metrics.moved.inc();
                    }
                    Fate::Stuck => progress.stuck += 1,
                    Fate::Overtaken => (),
                }
                if reported.elapsed() >= REPORT_EVERY {
                    self.report(marked, &format!("under way: {} sealed anew", progress.moved)).await?;
                    reported = Instant::now();
                }
            }
        }
    }

    /// Lets a record hang on the active version of its service.
    async fn renew(&self, key: &ByteString, record: &Record) -> Fate {
        if record.guard.authenticator.as_ref().is_none_or(|authenticator| authenticator.key != *key) {
            return Fate::Overtaken;
        }
        let renewed = match self.renewed(record).await {
            Ok(renewed) => renewed,
            Err(error) => {
                let (tenant, object) = (&record.tenant, &record.unique_identifier);
                tracing::warn!(%tenant, %object, %error, "a record cannot be sealed anew");
                return Fate::Stuck;
            }
        };
        match self.store.commit(vec![Change::Replace(Arc::new(renewed))]).await {
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
        let Some(sealed) = &record.sealed else { return Ok(renewed) };
        let binding = record.binding();
        match self.sealer.unseal(&binding, sealed).await {
            Ok(secret) => renewed.sealed = Some(self.sealer.seal(&binding, secret).await?),
            // The store was restored: what was destroyed is destroyed again.
            Err(SealerError::Buried) => {
                renewed.retain_seals(|_| false);
                renewed.set(Attribute::State(State::Destroyed));
                renewed.guard.burial = Burial::Confirmed;
            }
            Err(error) => return Err(error),
        }
        Ok(renewed)
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
        let items = self.link.send(&[request.into()]).await?;
        let Some(Response::Locate(located)) = first(items)? else { return Ok(Vec::new()) };
        let mut marked = Vec::new();
        for key in located.unique_identifiers {
            let request = GetAttributesRequest {
                unique_identifier: Some(UniqueIdentifier::Text(ByteString::from(&*key))),
                attribute_references: Vec::new(),
            };
            let items = self.link.send(&[request.into()]).await?;
            if let Some(Response::GetAttributes(got)) = first(items)? {
                marked.extend(Marked::read(&key, &got.attributes));
            }
        }
        Ok(marked)
    }

    async fn report(&self, marked: &Marked, report: &str) -> Result<(), SealerError> {
        let attribute = Attribute::Custom(CustomAttribute {
            vendor: ByteString::from_static(VENDOR),
            name: ByteString::from_static(SHRED_REPORT),
            value: CustomValue::Text(ByteString::from(report)),
        });
        let unique_identifier = Some(UniqueIdentifier::Text(marked.key.clone()));
        let modify = ModifyAttributeRequest {
            unique_identifier: unique_identifier.clone(),
            current_attribute: Attributes::default(),
            new_attribute: Attributes::new([attribute.clone()]),
        };
        let items = self.link.send(&[modify.into()]).await?;
        let is_first = |item: &ResponseBatchItem| item.result_reason == Some(ResultReason::AttributeNotFound);
        if !items.first().is_some_and(is_first) {
            return first(items).map(drop);
        }
        let new_attribute = Attributes::new([attribute]);
        let add = Request::from(AddAttributeRequest { unique_identifier, new_attribute });
        first(self.link.send(&[add]).await?).map(drop)
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
