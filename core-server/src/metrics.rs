//! What the Core counts, beside the transport.

use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::anchor::Standing;
use crate::chain::Level;

/// Upper bounds of the buckets of a wrap or unwrap, in seconds: 1 µs to 1 s. A cold tenant waits for its root.
const DURATION_BUCKETS: [f64; 13] =
    [0.000001, 0.0000025, 0.000005, 0.00001, 0.000025, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.25, 1.0];

/// The metrics. Clones count together.
#[derive(Clone)]
pub struct Metrics {
    /// Keys that were forgotten and zeroized.
    pub(crate) wiped: Counter,
    /// Objects of Gateways that were destroyed.
    pub(crate) buried: Counter,
    /// Wraps and unwraps of such objects that were not answered.
    pub(crate) buried_uses: Counter,
    unseals: Family<LevelLabels, Counter>,
    probes: Family<OutcomeLabels, Counter>,
    closings: Family<ReasonLabels, Counter>,
    denials: Family<ActionLabels, Counter>,
    /// Denials that the log was spared.
    pub(crate) denials_left_out: Counter,
    over_budget: Family<GatewayLabels, Counter>,
    over_wrap_budget: Family<GatewayLabels, Counter>,
    over_burial_budget: Family<GatewayLabels, Counter>,
    anchors: Family<StandingLabels, Gauge>,
    oldest_proof: Gauge,
    rotations: Family<RotationLabels, Counter>,
    /// Bundles that were refused, delivered or found in the store.
    pub(crate) bundles_refused: Counter,
    /// The version of the bundle in force; 0 without one.
    pub(crate) policy_version: Gauge,
    /// How often the store was found older than it was.
    pub(crate) store_behind: Counter,
    /// Gateways whose objects are damaged.
    damaged_gateways: Gauge,
    /// Entries that the ledger did not take.
    pub(crate) ledger_failures: Counter,
    uses: Family<UseLabels, Counter>,
    durations: Family<DurationLabels, Histogram, fn() -> Histogram>,
    wraps: UseMetrics,
    unwraps: UseMetrics,
}

/// Of one kind of use: looked up in the families once, not once a wrap.
#[derive(Clone)]
struct UseMetrics {
    successes: Counter,
    failures: Counter,
    durations: Histogram,
}

/// What an L3 is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Encrypt.
    Wrap,
    /// Decrypt.
    Unwrap,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LevelLabels {
    level: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ActionLabels {
    action: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GatewayLabels {
    gateway: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RotationLabels {
    reason: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StandingLabels {
    standing: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UseLabels {
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DurationLabels {
    operation: &'static str,
}

impl Metrics {
    /// Makes the metrics known to `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::unregistered();
        registry.register("key_uses", "Wraps and unwraps, by outcome", metrics.uses.clone());
        registry.register("unseals", "L2s and L3s opened", metrics.unseals.clone());
        registry.register(
            "root_probes",
            "Proofs of the roots of open tenants, by outcome",
            metrics.probes.clone(),
        );
        registry.register(
            "closed_tenants",
            "Tenants closed by their roots, by reason",
            metrics.closings.clone(),
        );
        registry.register(
            "policy_denials",
            "Requests that the policy did not permit, by action",
            metrics.denials.clone(),
        );
        registry.register(
            "policy_denials_left_out",
            "Denials left out of the log: beyond policy.denied_lines_per_minute",
            metrics.denials_left_out.clone(),
        );
        registry.register(
            "unwraps_over_budget",
            "Unwraps refused because the budget of the Gateway was spent",
            metrics.over_budget.clone(),
        );
        registry.register(
            "wraps_over_budget",
            "Wraps refused because the budget of the Gateway was spent",
            metrics.over_wrap_budget.clone(),
        );
        registry.register(
            "tombstones_over_budget",
            "Tombstones put off because the budget of the Gateway was spent",
            metrics.over_burial_budget.clone(),
        );
        registry.register(
            "anchors",
            "L1s that L2s are sealed under, by how they answered last; those never asked are not counted",
            metrics.anchors.clone(),
        );
        registry.register_with_unit(
            "oldest_proof_age",
            "Time since the anchors of an open tenant were proved, of the tenant where it was longest ago",
            Unit::Seconds,
            metrics.oldest_proof.clone(),
        );
        registry.register("tombstones", "Objects of Gateways buried since the start", metrics.buried.clone());
        registry.register(
            "buried_uses",
            "Wraps and unwraps refused because the object is buried",
            metrics.buried_uses.clone(),
        );
        registry.register(
            "rotations",
            "L3s that the Core rotated by itself, by reason and outcome",
            metrics.rotations.clone(),
        );
        registry.register("policy_version", "Bundle in force; 0 without one", metrics.policy_version.clone());
        registry.register(
            "policy_bundles_refused",
            "Policy bundles refused",
            metrics.bundles_refused.clone(),
        );
        registry.register(
            "store_behind",
            "Times the store was found older than it was",
            metrics.store_behind.clone(),
        );
        registry.register(
            "damaged_gateways",
            "Gateways that are not let in because their objects are damaged",
            metrics.damaged_gateways.clone(),
        );
        registry.register(
            "ledger_failures",
            "Times the ledger could not be written",
            metrics.ledger_failures.clone(),
        );
        registry.register("wiped_keys", "Unsealed keys forgotten and zeroized", metrics.wiped.clone());
        registry.register_with_unit(
            "key_use_duration",
            "Time of one wrap or unwrap within its batch",
            Unit::Seconds,
            metrics.durations.clone(),
        );
        metrics
    }

    /// Metrics that nobody sees.
    pub fn unregistered() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(DURATION_BUCKETS);
        let (uses, durations) = (Family::default(), Family::new_with_constructor(histogram));
        Self {
            wiped: Counter::default(),
            buried: Counter::default(),
            buried_uses: Counter::default(),
            unseals: Family::default(),
            probes: Family::default(),
            closings: Family::default(),
            denials: Family::default(),
            denials_left_out: Counter::default(),
            over_budget: Family::default(),
            over_wrap_budget: Family::default(),
            over_burial_budget: Family::default(),
            anchors: Family::default(),
            oldest_proof: Gauge::default(),
            rotations: Family::default(),
            bundles_refused: Counter::default(),
            policy_version: Gauge::default(),
            store_behind: Counter::default(),
            damaged_gateways: Gauge::default(),
            ledger_failures: Counter::default(),
            wraps: UseMetrics::of("wrap", &uses, &durations),
            unwraps: UseMetrics::of("unwrap", &uses, &durations),
            uses,
            durations,
        }
    }

    pub(crate) fn unsealed(&self, level: Level) {
        self.unseals.get_or_create(&LevelLabels { level: level.name() }).inc();
    }

    pub(crate) fn probed(&self, outcome: &'static str) {
        self.probes.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    pub(crate) fn closed(&self, reason: &'static str) {
        self.closings.get_or_create(&ReasonLabels { reason }).inc();
    }

    pub(crate) fn denied(&self, action: &'static str) {
        self.denials.get_or_create(&ActionLabels { action }).inc();
    }

    /// Names of Gateways come from the configuration: there are not many.
    pub(crate) fn over_budget(&self, gateway: &str) {
        self.over_budget.get_or_create(&GatewayLabels { gateway: gateway.to_owned() }).inc();
    }

    pub(crate) fn over_wrap_budget(&self, gateway: &str) {
        self.over_wrap_budget.get_or_create(&GatewayLabels { gateway: gateway.to_owned() }).inc();
    }

    pub(crate) fn over_burial_budget(&self, gateway: &str) {
        self.over_burial_budget.get_or_create(&GatewayLabels { gateway: gateway.to_owned() }).inc();
    }

    pub(crate) fn damaged_gateways(&self, count: usize) {
        self.damaged_gateways.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// An anchor changes its standing; `None`: it is not, or no longer, known.
    pub(crate) fn anchor_stands(&self, before: Option<Standing>, now: Option<Standing>) {
        let of = |standing: Standing| {
            self.anchors.get_or_create_owned(&StandingLabels { standing: standing.name() })
        };
        before.map(of).inspect(|gauge| {
            gauge.dec();
        });
        now.map(of).inspect(|gauge| {
            gauge.inc();
        });
    }

    pub(crate) fn rotated(&self, reason: &'static str, outcome: &'static str) {
        self.rotations.get_or_create(&RotationLabels { reason, outcome }).inc();
    }

    pub(crate) fn oldest_proof(&self, age: Duration) {
        self.oldest_proof.set(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
    }

    pub(crate) fn used(&self, purpose: Use, succeeded: bool, started: Instant) {
        let uses = match purpose {
            Use::Wrap => &self.wraps,
            Use::Unwrap => &self.unwraps,
        };
        if succeeded { &uses.successes } else { &uses.failures }.inc();
        uses.durations.observe(started.elapsed().as_secs_f64());
    }
}

impl UseMetrics {
    fn of(
        operation: &'static str,
        uses: &Family<UseLabels, Counter>,
        durations: &Family<DurationLabels, Histogram, fn() -> Histogram>,
    ) -> Self {
        let counter = |outcome| uses.get_or_create_owned(&UseLabels { operation, outcome });
        Self {
            successes: counter("success"),
            failures: counter("failure"),
            durations: durations.get_or_create_owned(&DurationLabels { operation }),
        }
    }
}
