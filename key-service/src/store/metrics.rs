//! What a store counts that is on another machine.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Upper bounds of the buckets of commits in one transaction.
const COMMITS_BUCKETS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// Upper bounds of the buckets of the time of a transaction, in seconds.
const DURATION_BUCKETS: [f64; 10] = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 2.0, 10.0];

/// The metrics. Clones count together.
#[derive(Clone)]
pub struct StoreMetrics {
    connections: Gauge,
    busy: Gauge,
    waiting: Gauge,
    commits: Histogram,
    durations: Histogram,
    races: Counter,
    failures: Family<FailureLabels, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    kind: &'static str,
}

impl Default for StoreMetrics {
    /// Metrics that nobody sees.
    fn default() -> Self {
        Self {
            connections: Gauge::default(),
            busy: Gauge::default(),
            waiting: Gauge::default(),
            commits: Histogram::new(COMMITS_BUCKETS),
            durations: Histogram::new(DURATION_BUCKETS),
            races: Counter::default(),
            failures: Family::default(),
        }
    }
}

impl StoreMetrics {
    /// Makes the metrics known to `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("store_connections", "Connections to the database", metrics.connections.clone());
        registry.register("store_connections_busy", "Those of them that are in use", metrics.busy.clone());
        registry.register("store_connections_waiting", "Requests that wait for one", metrics.waiting.clone());
        registry.register("store_batch_commits", "Commits in one transaction", metrics.commits.clone());
        registry.register_with_unit(
            "store_transaction_duration",
            "Time of one transaction of commits",
            Unit::Seconds,
            metrics.durations.clone(),
        );
        registry.register(
            "store_races",
            "Transactions done again because another server was faster",
            metrics.races.clone(),
        );
        registry.register(
            "store_failures",
            "What the database did not do, by kind",
            metrics.failures.clone(),
        );
        metrics
    }

    pub(super) fn pooled(&self, connections: usize, busy: usize, waiting: usize) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.connections.set(number(connections));
        self.busy.set(number(busy));
        self.waiting.set(number(waiting));
    }

    pub(super) fn transacted(&self, commits: usize, duration: std::time::Duration) {
        self.commits.observe(commits as f64);
        self.durations.observe(duration.as_secs_f64());
    }

    pub(super) fn raced(&self) {
        self.races.inc();
    }

    pub(super) fn failed(&self, kind: &'static str) {
        self.failures.get_or_create(&FailureLabels { kind }).inc();
    }
}

impl std::fmt::Debug for StoreMetrics {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("StoreMetrics")
    }
}
