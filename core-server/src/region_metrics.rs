//! What a Core counts that shares its store with others.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Upper bounds of the buckets of the time until a change binds all Cores, in seconds.
const SETTLE_BUCKETS: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 2.0, 5.0, 15.0];

/// The metrics. Clones count together.
#[derive(Clone)]
pub struct RegionMetrics {
    live: Gauge,
    members: Gauge,
    followed: Counter,
    settle: Histogram,
}

impl RegionMetrics {
    /// Makes the metrics known to `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            live: Gauge::default(),
            members: Gauge::default(),
            followed: Counter::default(),
            settle: Histogram::new(SETTLE_BUCKETS),
        };
        registry.register(
            "region_member",
            "1 while this Core is a member of its region",
            metrics.live.clone(),
        );
        registry.register(
            "region_members",
            "Cores of the region that are not forgotten",
            metrics.members.clone(),
        );
        registry.register(
            "region_changes_followed",
            "Changes of the chain that were followed",
            metrics.followed.clone(),
        );
        registry.register_with_unit(
            "region_settle_duration",
            "Time from a change of ours until it bound all Cores",
            Unit::Seconds,
            metrics.settle.clone(),
        );
        metrics
    }

    pub(crate) fn live(&self, live: bool) {
        self.live.set(i64::from(live));
    }

    pub(crate) fn members(&self, members: usize) {
        self.members.set(i64::try_from(members).unwrap_or(i64::MAX));
    }

    pub(crate) fn followed(&self, changes: usize) {
        self.followed.inc_by(changes as u64);
    }

    pub(crate) fn settled(&self, time: Duration) {
        self.settle.observe(time.as_secs_f64());
    }
}
