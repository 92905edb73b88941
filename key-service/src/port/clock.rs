//! The port for time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kmip_protocol::codec::DateTime;
use rustix::time::{ClockId, clock_gettime};

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock, in seconds since 1970.
    fn now(&self) -> DateTime;

    /// Microseconds since 1970, each call more than the one before: orders what happens.
    fn stamp(&self) -> u64;

    /// The monotonic clock, for leases and time-outs: time since an arbitrary start. It also counts the time for which the
    /// machine was suspended: a lease ends during it.
    fn monotonic(&self) -> Duration;
}

/// The clocks of the machine.
#[derive(Debug)]
pub struct SystemClock {
    started: Duration,
    last_stamp: AtomicU64,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { started: since_boot(), last_stamp: AtomicU64::new(0) }
    }
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Not `Instant`: that stands still while the machine is suspended, and would lengthen every lease by it.
fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

impl Clock for SystemClock {
    fn now(&self) -> DateTime {
        DateTime(i64::try_from(since_epoch().as_secs()).unwrap_or(i64::MAX))
    }

    fn stamp(&self) -> u64 {
        let now = u64::try_from(since_epoch().as_micros()).unwrap_or(u64::MAX);
        let next = |last: u64| Some(now.max(last + 1));
        match self.last_stamp.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) {
            Ok(last) | Err(last) => now.max(last + 1),
        }
    }

    fn monotonic(&self) -> Duration {
        since_boot().saturating_sub(self.started)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_never_repeat() {
        let clock = SystemClock::default();
        let stamps: Vec<_> = (0..1000).map(|_| clock.stamp()).collect();
        assert!(stamps.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn the_monotonic_clock_runs_with_the_system_s() {
        let clock = SystemClock::default();
        let started = std::time::Instant::now();
        std::thread::sleep(Duration::from_millis(20));
        let (shown, passed) = (clock.monotonic(), started.elapsed());
        assert!(shown >= Duration::from_millis(20) && shown <= 2 * passed);
    }
}
