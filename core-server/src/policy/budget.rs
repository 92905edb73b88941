//! How much a Gateway may unwrap, wrap and bury for a tenant: buckets of tokens that fill up again, so that whoever has stolen a
//! Gateway's certificate can neither open nor destroy in minutes what took years to seal, nor wear out an L3. And how much it did in
//! the last minute, for policies to look at.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytestring::ByteString;
use key_service::fault::Fault;
use key_service::port::Clock;
use kmip_protocol::enumeration::ResultReason;
use serde::Deserialize;

/// What a Gateway may unwrap, wrap and bury for one tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BudgetSettings {
    /// Unwraps a second in the long run. Default: 5,000.
    pub unwraps_per_second: u32,
    /// Unwraps in one go, after a time of rest: what a Gateway needs to warm up after a restart. Default: 50,000.
    pub unwrap_burst: u32,
    /// Wraps a second in the long run: one for each key that is made or sealed anew. Default: 50,000, more than three times what one Gateway
    /// was seen to make.
    pub wraps_per_second: u32,
    /// Wraps in one go, after a time of rest. Default: 500,000.
    pub wrap_burst: u32,
    /// Tombstones a second in the long run. What goes beyond stays pending at the Gateway, which asks again. Default: 100.
    pub tombstones_per_second: u32,
    /// Tombstones in one go, after a time of rest. Default: 10,000.
    pub tombstone_burst: u32,
}

impl Default for BudgetSettings {
    fn default() -> Self {
        Self {
            unwraps_per_second: 5_000,
            unwrap_burst: 50_000,
            wraps_per_second: 50_000,
            wrap_burst: 500_000,
            tombstones_per_second: 100,
            tombstone_burst: 10_000,
        }
    }
}

/// The unwraps, wraps and burials of one Gateway.
pub struct Meter {
    clock: Arc<dyn Clock>,
    accounts: HashMap<ByteString, Mutex<Account>>,
}

/// Of one tenant.
struct Account {
    to_unwrap: Bucket,
    to_wrap: Bucket,
    to_bury: Bucket,
    unwraps: LastMinute,
    wraps: LastMinute,
}

/// What may be done in one go, filling up again.
struct Bucket {
    /// What is done.
    what: &'static str,
    per_second: u32,
    burst: u32,
    tokens: f64,
    filled: Duration,
    /// When it was last told that the budget is spent.
    told: Option<Duration>,
}

/// That the budget is spent is told this often.
const TELL_EVERY: Duration = Duration::from_secs(1);

impl Meter {
    /// A meter for each of the tenants, with full buckets.
    pub fn new(
        settings: BudgetSettings,
        clock: Arc<dyn Clock>,
        tenants: impl IntoIterator<Item = ByteString>,
    ) -> Self {
        let now = clock.monotonic();
        let bucket = |what, per_second, burst: u32| {
            let (tokens, filled, told) = (burst.into(), now, None);
            Bucket { what, per_second, burst, tokens, filled, told }
        };
        let account = || Account {
            to_unwrap: bucket("unwrap", settings.unwraps_per_second, settings.unwrap_burst),
            to_wrap: bucket("wrap", settings.wraps_per_second, settings.wrap_burst),
            to_bury: bucket("tombstone", settings.tombstones_per_second, settings.tombstone_burst),
            unwraps: LastMinute::default(),
            wraps: LastMinute::default(),
        };
        let accounts = tenants.into_iter().map(|tenant| (tenant, Mutex::new(account()))).collect();
        Self { clock, accounts }
    }

    /// Takes one unwrap out of the budget.
    ///
    /// # Errors
    /// If it is spent.
    pub fn unwrap(&self, gateway: &str, tenant: &str) -> Result<(), Fault> {
        let now = self.clock.monotonic();
        let Some(mut account) = self.account(tenant) else { return Ok(()) };
        account.to_unwrap.spend(now, gateway, tenant)?;
        account.unwraps.count(now);
        Ok(())
    }

    /// Takes one tombstone out of the budget.
    ///
    /// # Errors
    /// If it is spent.
    pub fn bury(&self, gateway: &str, tenant: &str) -> Result<(), Fault> {
        let now = self.clock.monotonic();
        let Some(mut account) = self.account(tenant) else { return Ok(()) };
        account.to_bury.spend(now, gateway, tenant)
    }

    /// Takes one wrap out of the budget.
    ///
    /// # Errors
    /// If it is spent.
    pub fn wrap(&self, gateway: &str, tenant: &str) -> Result<(), Fault> {
        let now = self.clock.monotonic();
        let Some(mut account) = self.account(tenant) else { return Ok(()) };
        account.to_wrap.spend(now, gateway, tenant)?;
        account.wraps.count(now);
        Ok(())
    }

    /// Unwraps and wraps of the last minute.
    pub fn last_minute(&self, tenant: &str) -> (u32, u32) {
        let now = self.clock.monotonic();
        self.account(tenant).map_or((0, 0), |account| (account.unwraps.total(now), account.wraps.total(now)))
    }

    fn account(&self, tenant: &str) -> Option<MutexGuard<'_, Account>> {
        Some(self.accounts.get(tenant)?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Bucket {
    /// Takes one out of the bucket of a Gateway and tenant, or says that there is none: to the peer each time, in the log now
    /// and then.
    fn spend(&mut self, now: Duration, gateway: &str, tenant: &str) -> Result<(), Fault> {
        if self.take(now) {
            return Ok(());
        }
        let what = self.what;
        if self.is_to_be_told(now) {
            tracing::warn!(
                gateway,
                tenant,
                "the {what} budget is spent: a stolen certificate, or a budget too small"
            );
        }
        let message = format!("the Gateway has spent its {what} budget for this tenant; try again later");
        Err(Fault::new(ResultReason::ServerLimitExceeded, message))
    }

    /// Takes one out, if there is one.
    fn take(&mut self, now: Duration) -> bool {
        let passed = now.saturating_sub(self.filled);
        self.filled = now.max(self.filled);
        let refilled = self.tokens + passed.as_secs_f64() * f64::from(self.per_second);
        self.tokens = refilled.min(self.burst.into());
        let is_there = self.tokens >= 1.0;
        if is_there {
            self.tokens -= 1.0;
        }
        is_there
    }

    fn is_to_be_told(&mut self, now: Duration) -> bool {
        let is_due = self.told.is_none_or(|told| now >= told + TELL_EVERY);
        if is_due {
            self.told = Some(now);
        }
        is_due
    }
}

/// Counts by spans of ten seconds; the last six are a minute, more or less.
#[derive(Debug, Default)]
struct LastMinute {
    counts: [u32; SPANS],
    /// The span that was counted last, from the start of the clock.
    latest: u64,
}

const SPANS: usize = 6;
const SPAN_SECONDS: u64 = 10;

impl LastMinute {
    fn count(&mut self, now: Duration) {
        let span = now.as_secs() / SPAN_SECONDS;
        let passed = span.saturating_sub(self.latest).min(SPANS as u64);
        for step in 1..=passed {
            self.counts[place(span - passed + step)] = 0;
        }
        self.latest = span.max(self.latest);
        let count = &mut self.counts[place(self.latest)];
        *count = count.saturating_add(1);
    }

    fn total(&self, now: Duration) -> u32 {
        let span = now.as_secs() / SPAN_SECONDS;
        let oldest = (span + 1).saturating_sub(SPANS as u64);
        let recent = (oldest..=self.latest).map(|span| self.counts[place(span)]);
        recent.fold(0, u32::saturating_add)
    }
}

fn place(span: u64) -> usize {
    (span % SPANS as u64) as usize
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use kmip_protocol::codec::DateTime;

    use super::*;

    #[derive(Default)]
    struct Hand(AtomicU64);

    impl Hand {
        fn set(&self, milliseconds: u64) {
            self.0.store(milliseconds, Ordering::Relaxed);
        }
    }

    impl Clock for Hand {
        fn now(&self) -> DateTime {
            DateTime(0)
        }

        fn stamp(&self) -> u64 {
            0
        }

        fn monotonic(&self) -> Duration {
            Duration::from_millis(self.0.load(Ordering::Relaxed))
        }
    }

    fn meter(unwraps_per_second: u32, unwrap_burst: u32) -> (Arc<Meter>, Arc<Hand>) {
        let hand = Arc::new(Hand::default());
        let settings = BudgetSettings {
            unwraps_per_second,
            unwrap_burst,
            wraps_per_second: 20,
            wrap_burst: 200,
            tombstones_per_second: 1,
            tombstone_burst: 5,
        };
        let tenants = ["acme", "globex"].map(ByteString::from_static);
        (Arc::new(Meter::new(settings, hand.clone(), tenants)), hand)
    }

    fn taken(meter: &Meter, tenant: &str, tries: usize) -> usize {
        (0..tries).filter(|_| meter.unwrap("g", tenant).is_ok()).count()
    }

    #[test]
    fn a_burst_goes_through_and_then_the_rate() {
        let (meter, hand) = meter(10, 100);
        assert_eq!(taken(&meter, "acme", 1_000), 100);
        assert_eq!(taken(&meter, "globex", 1_000), 100);
        hand.set(1_050);
        assert_eq!(taken(&meter, "acme", 1_000), 10);
        hand.set(1_100);
        assert_eq!(taken(&meter, "acme", 1_000), 1);
        hand.set(3_600_000);
        assert_eq!(taken(&meter, "acme", 1_000), 100);
        let fault = meter.unwrap("g", "acme").err();
        assert_eq!(fault.map(|fault| fault.reason), Some(ResultReason::ServerLimitExceeded));
    }

    #[test]
    fn burials_have_a_budget_of_their_own() {
        let (meter, hand) = meter(10, 100);
        let buried = |tenant, tries: usize| (0..tries).filter(|_| meter.bury("g", tenant).is_ok()).count();
        assert_eq!((buried("acme", 20), buried("globex", 20), taken(&meter, "acme", 1_000)), (5, 5, 100));
        hand.set(2_000);
        assert_eq!(buried("acme", 20), 2);
    }

    #[test]
    fn wraps_have_a_budget_of_their_own_and_only_those_within_it_are_counted() {
        let (meter, hand) = meter(10, 100);
        let wrapped = |tenant, tries: usize| (0..tries).filter(|_| meter.wrap("g", tenant).is_ok()).count();
        assert_eq!((wrapped("acme", 1_000), wrapped("globex", 1_000)), (200, 200));
        assert_eq!((taken(&meter, "acme", 1_000), meter.last_minute("acme")), (100, (100, 200)));
        hand.set(2_000);
        assert_eq!(wrapped("acme", 1_000), 40);
        let fault = meter.wrap("g", "acme").err().map(|fault| (fault.reason, fault.message.to_string()));
        let told = "the Gateway has spent its wrap budget for this tenant; try again later".to_owned();
        assert_eq!(fault, Some((ResultReason::ServerLimitExceeded, told)));
    }

    /// One Gateway was seen to make 15,393 keys a second, with a wrap each, however many there are in a message.
    #[test]
    fn the_default_budget_of_wraps_does_not_get_in_the_way_of_a_busy_gateway() {
        const SEEN_PER_SECOND: u64 = 15_393;
        let hand = Arc::new(Hand::default());
        let meter = Meter::new(BudgetSettings::default(), hand.clone(), ["acme".into()]);
        for wrap in 0..SEEN_PER_SECOND * 3 * 60 {
            hand.set(wrap * 1_000 / (SEEN_PER_SECOND * 3));
            assert!(meter.wrap("g", "acme").is_ok(), "after {wrap}");
        }
    }

    #[test]
    fn many_at_once_get_no_more() {
        let (meter, _) = meter(10, 1_000);
        let thieves: Vec<_> = (0..4)
            .map(|_| {
                let meter = Arc::clone(&meter);
                std::thread::spawn(move || taken(&meter, "acme", 1_000))
            })
            .collect();
        let stolen: usize = thieves.into_iter().filter_map(|thief| thief.join().ok()).sum();
        assert_eq!(stolen, 1_000);
    }

    #[test]
    fn the_last_minute_moves_on() {
        let (meter, hand) = meter(1_000, 1_000);
        for second in 0..60 {
            hand.set(second * 1_000);
            assert!(meter.wrap("g", "acme").is_ok());
        }
        assert_eq!(meter.last_minute("acme"), (0, 60));
        assert_eq!(meter.last_minute("globex"), (0, 0));
        hand.set(65_000);
        assert_eq!(meter.last_minute("acme"), (0, 50));
        assert!(meter.wrap("g", "acme").is_ok());
        assert_eq!(meter.last_minute("acme"), (0, 51));
        hand.set(119_000);
        assert_eq!(meter.last_minute("acme"), (0, 1));
        hand.set(10_000_000);
        assert_eq!(meter.last_minute("acme"), (0, 0));
        assert!(meter.wrap("g", "acme").is_ok());
        assert_eq!(meter.last_minute("acme"), (0, 1));
    }
}
