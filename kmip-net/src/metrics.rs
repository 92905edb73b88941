//! What the transport counts. The caller's registry exposes it.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Upper bounds of the request duration's buckets, in seconds: 10 µs to 10 s.
const DURATION_BUCKETS: [f64; 16] = [
    0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5,
    1.0, 10.0,
];

/// The transport's metrics. Cheap to clone; the clones count together, so several listeners can share one.
#[derive(Clone)]
pub struct TransportMetrics {
    pub(crate) open: Gauge,
    pub(crate) accepted: Counter,
    pub(crate) handshake_failures: Counter,
    pub(crate) handler_panics: Counter,
    received: Counter,
    sent: Counter,
    pushes: Counter,
    refused: Family<RefusedLabels, Counter>,
    request_durations: Histogram,
}

/// Why a connection ended before the peer wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    SourceShare,
    Identity,
    Certificate,
    Unreadable,
    Truncated,
    IdleTimeout,
    RequestTimeout,
    WriteTimeout,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedLabels {
    reason: &'static str,
}

impl Refusal {
    fn name(self) -> &'static str {
        match self {
            Self::SourceShare => "source_share",
            Self::Identity => "identity",
            Self::Certificate => "certificate",
            Self::Unreadable => "unreadable",
            Self::Truncated => "truncated",
            Self::IdleTimeout => "idle_timeout",
            Self::RequestTimeout => "request_timeout",
            Self::WriteTimeout => "write_timeout",
        }
    }
}

impl TransportMetrics {
    /// Makes the metrics known to `registry`, below whatever prefix and labels it has.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::unregistered();
        registry.register("connections_open", "Connections open now", metrics.open.clone());
        registry.register("connections_accepted", "Connections accepted", metrics.accepted.clone());
        registry.register(
            "connections_refused",
            "Connections that the server refused or ended, by reason",
            metrics.refused.clone(),
        );
        registry.register(
            "handshake_failures",
            "TLS handshakes that failed",
            metrics.handshake_failures.clone(),
        );
        registry.register("handler_panics", "Connections lost to a panic", metrics.handler_panics.clone());
        registry.register("pushes", "Messages the server sent on its own", metrics.pushes.clone());
        let bytes = |direction| format!("Bytes of messages {direction}, without TLS");
        registry.register_with_unit("received", bytes("received"), Unit::Bytes, metrics.received.clone());
        registry.register_with_unit("sent", bytes("sent"), Unit::Bytes, metrics.sent.clone());
        registry.register_with_unit(
            "request_duration",
            "Time from a whole request to its answer; the count is that of requests",
            Unit::Seconds,
            metrics.request_durations.clone(),
        );
        metrics
    }

    /// Metrics that nobody sees.
    pub fn unregistered() -> Self {
        Self {
            open: Gauge::default(),
            accepted: Counter::default(),
            handshake_failures: Counter::default(),
            handler_panics: Counter::default(),
            received: Counter::default(),
            sent: Counter::default(),
            pushes: Counter::default(),
            refused: Family::default(),
            request_durations: Histogram::new(DURATION_BUCKETS),
        }
    }

    pub(crate) fn refused(&self, reason: Refusal) {
        self.refused.get_or_create(&RefusedLabels { reason: reason.name() }).inc();
    }

    pub(crate) fn answered(&self, request_bytes: usize, response_bytes: usize, took: Duration) {
        self.received.inc_by(request_bytes as u64);
        self.sent.inc_by(response_bytes as u64);
        self.request_durations.observe(took.as_secs_f64());
    }

    pub(crate) fn pushed(&self, request_bytes: usize, response_bytes: usize) {
        self.sent.inc_by(request_bytes as u64);
        self.received.inc_by(response_bytes as u64);
        self.pushes.inc();
    }
}
