//! What seeded simulations have in common: randomness from a seed, the true time, events in their order, clocks of their own speed,
//! and the running of many schedules.
//!
//! A failure is a seed: of the simulation `LEASE`, say, `LEASE_SEED=n` runs that one, `LEASE_SCHEDULES=n` the first so many.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::num::NonZero;
use std::ops::{AddAssign, Range};
use std::sync::Mutex;
use std::sync::atomic::{self, AtomicU64};
use std::thread;
use std::time::Duration;

/// A schedule with a deliberate flaw is tried so often before it counts as unnoticed.
const FLAWED_SCHEDULES: u64 = 2_000;

/// After so many schedules, a long run says how far it is.
const PROGRESS: u64 = 20_000;

/// The true time, and what is to happen.
pub(crate) struct Timeline<E> {
    random: u64,
    now: Duration,
    planned: BinaryHeap<Planned<E>>,
    count: u64,
}

struct Planned<E> {
    at: Duration,
    number: u64,
    event: E,
}

impl<E> Timeline<E> {
    /// What follows from a seed.
    pub(crate) fn new(seed: u64) -> Self {
        let random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Self { random, now: Duration::ZERO, planned: BinaryHeap::new(), count: 0 }
    }

    /// xorshift64*: all that a simulation needs.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }

    /// Whether something happens that does so once in `times`.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// A time before `bound`.
    pub(crate) fn some_time(&mut self, bound: Duration) -> Duration {
        Duration::from_micros(self.below(bound.as_micros() as u64))
    }

    /// The true time.
    pub(crate) fn now(&self) -> Duration {
        self.now
    }

    /// Has something happen at a time.
    pub(crate) fn at(&mut self, at: Duration, event: E) {
        self.planned.push(Planned { at, number: self.count, event });
        self.count += 1;
    }

    /// Has something happen after a while.
    pub(crate) fn after(&mut self, pause: Duration, event: E) {
        self.at(self.now + pause, event);
    }

    /// A number that nothing else has.
    pub(crate) fn name(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// What happens next, up to an end: it is the time of that now.
    pub(crate) fn next(&mut self, end: Duration) -> Option<E> {
        let next = self.planned.pop().filter(|next| next.at <= end)?;
        self.now = next.at;
        Some(next.event)
    }
}

/// The earliest comes first; of those at the same time, what was planned first.
impl<E> Ord for Planned<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl<E> PartialOrd for Planned<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Planned<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Planned<E> {}

/// A clock that runs at a speed of its own.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Clock {
    /// Parts per thousand by which it is slow (positive) or fast.
    pub(crate) slowness: i32,
    /// By how much it was ahead when it was set, ...
    pub(crate) ahead: Duration,
    /// ... and for how long it has stood still.
    pub(crate) stood_still: Duration,
}

impl Clock {
    /// What it shows at a true time.
    pub(crate) fn shows(&self, now: Duration) -> Duration {
        let running = now.as_micros() as i64;
        let shown = running - running * i64::from(self.slowness) / 1000;
        (self.ahead + Duration::from_micros(shown as u64)).saturating_sub(self.stood_still)
    }
}

/// Runs schedules without a flaw: those that the environment asks for, else the first `short`, or with `KRYPTON_SOAK` the first
/// `long`. Returns what they add up to; a violation ends the test with its seed.
pub(crate) fn run<T: Default + AddAssign + Send>(
    name: &str,
    (short, long): (u64, u64),
    schedule: impl Fn(u64) -> Result<T, String> + Sync,
) -> T {
    let seeds = seeds(name, if std::env::var_os("KRYPTON_SOAK").is_some() { long } else { short });
    let (next, done) = (AtomicU64::new(seeds.start), AtomicU64::new(0));
    let total = Mutex::new((T::default(), None::<(u64, String)>));
    // A short run leaves the other processors to other tests.
    let is_long = seeds.end - seeds.start > short;
    let threads = if is_long { thread::available_parallelism().map_or(1, NonZero::get) } else { 1 };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, atomic::Ordering::Relaxed);
                    let is_over = |first: &Option<(u64, String)>| first.is_some() || seed >= seeds.end;
                    if is_over(&lock(&total).1) {
                        return;
                    }
                    let outcome = schedule(seed);
                    let (sum, first) = &mut *lock(&total);
                    match outcome {
                        Ok(more) => *sum += more,
                        Err(violation) if first.as_ref().is_none_or(|(earlier, _)| seed < *earlier) => {
                            *first = Some((seed, violation));
                        }
                        Err(_) => (),
                    }
                    let done = done.fetch_add(1, atomic::Ordering::Relaxed) + 1;
                    if done.is_multiple_of(PROGRESS) {
                        eprintln!("{name}: {done} schedules");
                    }
                }
            });
        }
    });
    let (sum, first) = total.into_inner().expect("no schedule panicked");
    if let Some((seed, violation)) = first {
        panic!("{name}_SEED={seed}: {violation}");
    }
    sum
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("no schedule panicked")
}

/// Runs schedules with a flaw until it is noticed. A flaw that is not noticed ends the test.
pub(crate) fn catch<T>(name: &str, flaw: &str, schedule: impl Fn(u64) -> Result<T, String>) {
    let caught = (0..FLAWED_SCHEDULES).find_map(|seed| Some((seed, schedule(seed).err()?)));
    let (seed, violation) = caught.unwrap_or_else(|| panic!("{name}: {flaw} went unnoticed"));
    eprintln!("{name}: {flaw} is caught by seed {seed}: {violation}");
}

fn seeds(name: &str, usual: u64) -> Range<u64> {
    let number = |what: &str| std::env::var(format!("{name}_{what}")).ok()?.parse::<u64>().ok();
    match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SCHEDULES").unwrap_or(usual),
    }
}
