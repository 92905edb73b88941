//! What is known of a log while it is written, for metrics and health pages.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::queue::Queue;

/// Counted by the writer, read by anybody.
#[derive(Debug)]
pub(super) struct Statistics {
    began: Instant,
    pub(super) size: AtomicU64,
    pub(super) recorded: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) owed: AtomicU64,
    pub(super) left_open: AtomicU64,
    pub(super) export_failures: AtomicU64,
    /// When the log last was as its checkpoint file says, in milliseconds since the beginning.
    published: AtomicU64,
    failing: AtomicBool,
    problem: Mutex<String>,
}

impl Default for Statistics {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            size: AtomicU64::new(0),
            recorded: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            owed: AtomicU64::new(0),
            left_open: AtomicU64::new(0),
            export_failures: AtomicU64::new(0),
            published: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            problem: Mutex::default(),
        }
    }
}

impl Statistics {
    /// Why events are not taken, if they are not.
    pub(super) fn problem(&self) -> Option<String> {
        let is_failing = self.failing.load(Ordering::Acquire);
        is_failing.then(|| self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Acquire)
    }

    pub(super) fn fails(&self, problem: &str) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem.to_owned();
        self.failing.store(true, Ordering::Release);
    }

    pub(super) fn works(&self) {
        self.failing.store(false, Ordering::Release);
    }

    pub(super) fn published_now(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.published.store(now, Ordering::Relaxed);
    }

    /// How old the checkpoint file is, in seconds.
    fn checkpoint_age(&self) -> f64 {
        let published = self.published.load(Ordering::Relaxed) as f64 / 1_000.0;
        (self.began.elapsed().as_secs_f64() - published).max(0.0)
    }
}

/// The metrics of a log.
#[derive(Debug)]
pub(super) struct AuditMetrics {
    pub(super) statistics: Arc<Statistics>,
    pub(super) queue: Arc<Queue>,
}

impl Collector for AuditMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let told = &self.statistics;
        let counters = [
            ("audit_events", "Events recorded", &told.recorded),
            ("audit_refused_events", "Events that could not be recorded when they were to be", &told.refused),
            (
                "audit_lost_events",
                "Events that were neither recorded nor refused: too many were owed",
                &told.lost,
            ),
            (
                "audit_export_failures",
                "Groups of events that could not be written as OpenTelemetry records",
                &told.export_failures,
            ),
        ];
        for (name, help, counter) in counters {
            let counter = ConstCounter::new(counter.load(Ordering::Relaxed));
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        let gauges = [
            ("audit_entries", "Entries of the log", told.size.load(Ordering::Relaxed) as f64),
            ("audit_waiting_events", "Events that wait to be durable", self.queue.length() as f64),
            (
                "audit_owed_events",
                "Events of what has happened that the log has yet to take",
                told.owed.load(Ordering::Relaxed) as f64,
            ),
            (
                "audit_left_open_intents",
                "Intents of before a crash whose outcome is still being looked for",
                told.left_open.load(Ordering::Relaxed) as f64,
            ),
            (
                "audit_taking_events",
                "Whether the log takes events: 1, or 0",
                if told.is_failing() { 0.0 } else { 1.0 },
            ),
            (
                "audit_checkpoint_age_seconds",
                "Time since the log was as its checkpoint file says",
                told.checkpoint_age(),
            ),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}
