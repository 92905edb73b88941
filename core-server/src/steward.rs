//! The steward: writes down how often L3s were used, and rotates those that are too old or have wrapped too often. A
//! rotation is the Re-key that an operator would ask for, asked for by the Core itself. Several Cores may do it at once:
//! the store lets one of them win, and the others find the L3 rotated.

use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use key_service::port::{Change, Clock, Store, StoreError};
use key_service::record::Record;
use kmip_net::CancellationToken;
use kmip_protocol::attribute::AttributeType;
use kmip_protocol::codec::DateTime;
use kmip_protocol::enumeration::State;
use tokio::time::MissedTickBehavior;

use crate::chain::{Level, REGION};
use crate::config::RotationSettings;
use crate::metrics::Metrics;
use crate::operations::rotate;
use crate::seat::Seats;
use crate::uses::{Uses, write_uses, written_uses};
use crate::vault::Vault;

/// L3s whose uses are written in one commit.
const WRITTEN_TOGETHER: usize = 64;

/// Records that a search for old L3s reads at once.
const PAGE: usize = 500;

/// After how long an L3 that could not be rotated is tried again.
const RETRY_AFTER_SECONDS: i64 = 600;

/// Looks after L3s for as long as the Core runs.
pub(crate) struct Steward {
    settings: RotationSettings,
    seats: Arc<Seats>,
    vault: Arc<Vault>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    /// When the first L3 may be too old, as far as is known.
    next_search: DateTime,
}

/// L3s that were used, and how often.
type Counted = [(ByteString, Arc<Uses>)];

impl Steward {
    /// A steward of the L3s in `store`, who asks for rotations from an operator's seat.
    pub(crate) fn new(
        settings: RotationSettings,
        seats: Arc<Seats>,
        vault: Arc<Vault>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Self {
        Self { settings, seats, vault, store, clock, metrics, next_search: DateTime(i64::MIN) }
    }

    /// Works until `shutdown`; then writes down what is left.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(self.settings.check_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick comes at once: a Core that starts has other things to do.
        ticks.tick().await;
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            self.write_uses().await;
            let in_time = shutdown.run_until_cancelled(self.rotate_old()).await;
            if in_time.is_none() {
                break;
            }
        }
        self.write_uses().await;
    }

    async fn write_uses(&self) {
        let counted = self.vault.uses().to_be_written();
        for counted in counted.chunks(WRITTEN_TOGETHER) {
            let written = match self.write_together(counted).await {
                // Somebody changes one of them, or one is damaged: the others are written all the same.
                Err(StoreError::Conflict | StoreError::Damaged(_)) => {
                    for one in counted.chunks(1) {
                        // What is not written now is written the next time.
                        if let Ok(written) = self.write_together(one).await {
                            self.rotate_worn(written).await;
                        }
                    }
                    continue;
                }
                written => written,
            };
            match written {
                Ok(written) => self.rotate_worn(written).await,
                Err(error) => tracing::warn!(%error, "uses of L3s not written down: tried again"),
            }
        }
    }

    /// Adds what was counted to the records; returns them. Not seen by the vault: a count changes nothing about a key.
    async fn write_together(&self, counted: &Counted) -> Result<Vec<Record>, StoreError> {
        let (mut records, mut amounts) = (Vec::new(), Vec::new());
        for (l3, uses) in counted {
            let Some(record) = self.store.fetch(REGION, l3).await?.filter(|record| !record.is_destroyed())
            else {
                self.vault.uses().forget(l3);
                continue;
            };
            let (amount, before) = (uses.counted(), written_uses(&record));
            let mut record = Record::clone(&record);
            write_uses(&mut record, (before.0 + amount.0, before.1 + amount.1));
            record.version += 1;
            records.push(record);
            amounts.push((uses, amount));
        }
        if !records.is_empty() {
            let changes = records.iter().map(|record| Change::Replace(Arc::new(record.clone())));
            self.store.commit(changes.collect()).await?;
        }
        for (uses, amount) in amounts {
            uses.written(amount);
        }
        Ok(records)
    }

    /// Rotates those that have wrapped too often.
    async fn rotate_worn(&self, records: Vec<Record>) {
        if self.settings.maximum_wraps == 0 {
            return;
        }
        for record in records {
            if record.state() == Some(State::Active) && written_uses(&record).0 >= self.settings.maximum_wraps
            {
                self.rotate(&record, "wraps").await;
            }
        }
    }

    /// Rotates those that are too old. Looks for them only when there may be one: what is made from now on is younger than
    /// what there is.
    async fn rotate_old(&mut self) {
        let (now, Some(maximum_age)) = (self.clock.now(), self.settings.maximum_age()) else { return };
        let maximum_age = i64::try_from(maximum_age.as_secs()).unwrap_or(i64::MAX);
        if now < self.next_search {
            return;
        }
        let mut next = now.0.saturating_add(maximum_age);
        let mut place = None;
        loop {
            // Also those that the index lacks. One that is damaged seals nothing.
            let stretch = match self.store.walk(REGION, place.as_ref(), PAGE).await {
                Ok(stretch) => stretch,
                Err(error) => {
                    tracing::warn!(%error, "no search for old L3s: tried again");
                    return;
                }
            };
            for record in stretch.records.iter().flatten().filter(|record| is_active_service_key(record)) {
                let due = begun(record).saturating_add(maximum_age);
                if due > now.0 {
                    next = next.min(due);
                } else if !self.rotate(record, "age").await {
                    next = next.min(now.0.saturating_add(RETRY_AFTER_SECONDS));
                }
            }
            place = stretch.next;
            if place.is_none() {
                break;
            }
        }
        self.next_search = DateTime(next);
    }

    /// Returns whether the L3 is rotated now, by whomever.
    async fn rotate(&self, record: &Record, reason: &'static str) -> bool {
        let (former, service) = (&record.unique_identifier, &record.service);
        match rotate(self.seats.operator(), former).await {
            Ok(successor) => {
                self.metrics.rotated(reason, "success");
                tracing::info!(%service, %former, %successor, reason, "L3 rotated");
                true
            }
            Err(message) => {
                let current = self.store.fetch(REGION, former).await;
                if let Ok(Some(current)) = current
                    && current.state() != Some(State::Active)
                {
                    // Another Core, or an operator, was faster.
                    return true;
                }
                self.metrics.rotated(reason, "failure");
                tracing::warn!(%service, %former, reason, message, "L3 not rotated: tried again");
                false
            }
        }
    }
}

fn is_active_service_key(record: &Record) -> bool {
    Level::of(record) == Level::L3 && record.state() == Some(State::Active)
}

/// When an L3 began to seal.
fn begun(record: &Record) -> i64 {
    let date = record.date(AttributeType::ActivationDate).or(record.date(AttributeType::InitialDate));
    date.map_or(0, |date| date.0)
}

impl RotationSettings {
    /// The age at which L3s are rotated; `None`: never.
    pub fn maximum_age(&self) -> Option<Duration> {
        let age = Duration::try_from_secs_f64(self.maximum_age_days * SECONDS_PER_DAY);
        age.ok().filter(|age| !age.is_zero())
    }
}

const SECONDS_PER_DAY: f64 = 86_400.0;
