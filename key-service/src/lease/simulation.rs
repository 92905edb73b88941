//! The lease protocol in a seeded simulation: Gateways and a Core exchange messages that are delayed, reordered and lost;
//! machines crash, restart, are cut off, suspended or cannot be told anything, and have clocks of their own speed that leap ahead; the store takes its time, fails,
//! and may have done what it says has failed. Everything that gives or takes a lease is in it: Revokes of keys and tenants,
//! repeated where they fail, roots that refuse and permit again, keys made in between, Gateways that are expelled, objects
//! that are destroyed while somebody has kept the store as it was before.
//!
//! The judge knows the true time and says whether anything was used that should not have been.

mod core;
mod gateway;
mod judge;

use std::collections::BTreeSet;
use std::time::Duration;

use self::core::{Core, Written};
use self::gateway::Gateway;
use self::judge::{Judge, Tally};
use super::{Asked, Drift, Revocation};
use crate::simulation::{self, Clock, Timeline};

const GATEWAYS: usize = 3;
const TENANTS: u32 = 2;
/// The L3s, by turns of one tenant and the other. The last of them are made later.
const KEYS: Key = 6;
const KEYS_MADE_LATER: Key = 2;
/// The objects of each key.
const OBJECTS: u32 = 2;
const LEASE: Duration = Duration::from_millis(400);
const SCHEDULE: Duration = Duration::from_secs(4);
const DRIFT: Drift = Drift { per_mille: 25, fixed: Duration::from_millis(1) };

/// An L3.
type Key = u32;
/// An object under it.
type Object = (Key, u32);
/// A holder is one life of a Gateway: after a restart it is another one.
type Life = (usize, u32);

/// A way to get the protocol wrong. The simulation has to notice each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    /// The holder counts the lease from the arrival of the grant.
    CountsFromTheAnswer,
    /// The Revoke is answered without waiting for a holder that does not answer.
    ForgetsTheUnreachable,
    /// A grant counts although the key was given up since it was asked for.
    TakesOvertakenGrants,
    /// A restarted Core thinks that nobody holds anything.
    ForgetsAfterRestart,
    /// The Core grants leases on what it has not opened, or has forgotten.
    GrantsWhatIsNotOpen,
    /// A key that was being opened when it was forgotten is used.
    OpensWhatWasForgotten,
    /// The Core does not allow for clocks that run slower than its own.
    TrustsClocks,
    /// The holder's clock stands still while its machine is suspended.
    SleepsWhileSuspended,
    /// The Core grants again while the Revoke is still being written.
    ReadmitsTooSoon,
    /// A Revoke that is taken back takes another one with it.
    ReadmitsForOthers,
    /// The Core does not look for keys that were made while a Revoke was being written.
    OverlooksLateKeys,
    /// A tenant whose root refuses is wiped, but its leases are left.
    RecallsNothing,
    /// A Gateway that is expelled gets leases all the same.
    AdmitsTheExpelled,
    /// What has been opened of a destroyed object is kept when it arrives late.
    KeepsTheBuried,
    /// What was opened under a lease that has ended is kept under the next one.
    KeepsWhatWasOpenedBefore,
    /// What was asked for under a lease that has ended is kept under the next one.
    KeepsOvertakenObjects,
    /// Who has yet to give a key up is not told what to forget.
    TellsHoldersOnly,
    /// A Destroy that is repeated is taken for done.
    TellsOnce,
    /// A lease is renewed for one that could not be told yet to give it up.
    RenewsWhatIsOwed,
    /// A lease that another life of the Core has granted goes on.
    GoesOnAcrossLives,
}

/// What a Revoke is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Key(Key),
    Tenant(u32),
}

impl Target {
    fn includes(self, key: Key) -> bool {
        match self {
            Self::Key(only) => key == only,
            Self::Tenant(tenant) => tenant == tenant_of(key),
        }
    }
}

fn tenant_of(key: Key) -> u32 {
    key % TENANTS
}

#[derive(Debug, Clone)]
enum Message {
    Ask { from: Life, key: Key, asked: Asked },
    Grant { to: Life, key: Key, asked: Asked, core_life: u32 },
    Open { from: Life, object: Object, asked: Asked },
    Opened { to: Life, object: Object, asked: Asked },
    Recall { to: Life, keys: Vec<Key>, revocation: Revocation, core_life: u32 },
    Confirm { from: Life, revocation: Revocation, core_life: u32 },
    Destroy { from: Life, object: Object },
    Destroyed { to: Life, object: Object },
    Forget { to: Life, object: Object, errand: u64 },
    Forgotten { from: Life, errand: u64 },
}

#[derive(Debug, Clone)]
enum Event {
    Arrive(Message),
    Work(usize),
    Check,
    /// An operator revokes; also again, when it has failed.
    Revoke(Target),
    /// A Revoke becomes durable, whoever still waits for it.
    Land(Target),
    /// The store has answered the Core.
    Written {
        core_life: u32,
        change: u64,
        written: Written,
    },
    /// The store and the root are asked for a key, ...
    Read {
        core_life: u32,
        key: Key,
        place: u64,
    },
    /// ... and have answered.
    HaveRead {
        core_life: u32,
        key: Key,
        place: u64,
        opens: bool,
    },
    Make(Key),
    /// The root of a tenant refuses, for so long.
    Refuse(u32, Duration),
    Permit(u32),
    /// The Core notices it.
    Denied(u32),
    RecallTenant {
        core_life: u32,
        tenant: u32,
        refusal: u64,
    },
    Expel(usize),
    Destroy(usize, Object),
    /// A tombstone becomes durable.
    Buried {
        core_life: u32,
        from: Life,
        object: Object,
    },
    RestartGateway(usize),
    RestartCore,
    Cut(usize, Duration),
    /// A Gateway hears nothing of what it is told, but for the answers to what it asks.
    Deafen(usize, Duration),
    SuspendGateway(usize, Duration),
    SuspendCore(Duration),
    LeapAhead(usize, Duration),
}

/// What is durable, or in the hands of others: it survives the Core.
#[derive(Default)]
struct Outside {
    made: BTreeSet<Key>,
    revoked_keys: BTreeSet<Key>,
    revoked_tenants: BTreeSet<u32>,
    /// The tenants whose roots refuse: since when, by the number of the refusal, and until when.
    refusing: [Option<(u64, Duration)>; TENANTS as usize],
    expelled: BTreeSet<usize>,
    tombstones: BTreeSet<Object>,
}

impl Outside {
    fn opens(&self, key: Key) -> bool {
        self.made.contains(&key)
            && !self.revoked_keys.contains(&key)
            && !self.revoked_tenants.contains(&tenant_of(key))
            && self.refusing[tenant_of(key) as usize].is_none()
    }

    fn keys_of(&self, target: Target) -> Vec<Key> {
        self.made.iter().copied().filter(|key| target.includes(*key)).collect()
    }
}

struct World {
    flaw: Flaw,
    time: Timeline<Event>,
    outside: Outside,
    core: Core,
    gateways: Vec<Gateway>,
    judge: Judge,
}

impl World {
    fn new(seed: u64, flaw: Flaw) -> Self {
        let mut time = Timeline::new(seed);
        let gateways = (0..GATEWAYS).map(|_| {
            let (slowness, ahead) = (time.below(51) as i32 - 25, time.some_time(Duration::from_secs(10)));
            Gateway::new(Clock { slowness, ahead, ..Clock::default() })
        });
        let gateways = gateways.collect();
        let made = (0..KEYS - KEYS_MADE_LATER).collect();
        let outside = Outside { made, ..Outside::default() };
        let core = Core::new(Clock::default(), flaw);
        let mut world = Self { flaw, time, outside, core, gateways, judge: Judge::default() };
        world.plan();
        world
    }

    fn plan(&mut self) {
        for tenant in 0..TENANTS {
            let targets = (0..KEYS).filter(|key| tenant_of(*key) == tenant).map(Target::Key);
            // Often two at a time: one may fail.
            for target in targets.chain([Target::Tenant(tenant), Target::Tenant(tenant)]) {
                if self.time.below(3) > 0 {
                    self.plan_at_some_time(Event::Revoke(target));
                }
            }
            for _ in 0..self.time.below(3) {
                let long = self.some_milliseconds(900);
                self.plan_at_some_time(Event::Refuse(tenant, long));
            }
        }
        for key in KEYS - KEYS_MADE_LATER..KEYS {
            self.plan_at_some_time(Event::Make(key));
        }
        for gateway in 0..GATEWAYS {
            self.time.at(Duration::ZERO, Event::Work(gateway));
            self.plan_faults(gateway);
        }
        for object in (0..KEYS).flat_map(|key| (0..OBJECTS).map(move |object| (key, object))) {
            if self.time.once_in(2) {
                let gateway = self.time.below(GATEWAYS as u64) as usize;
                self.plan_at_some_time(Event::Destroy(gateway, object));
            }
        }
        if self.time.once_in(3) {
            let long = self.some_milliseconds(800);
            self.plan_at_some_time(Event::SuspendCore(long));
        }
        for _ in 0..self.time.below(3) {
            self.plan_at_some_time(Event::RestartCore);
        }
        self.time.at(Duration::ZERO, Event::Check);
    }

    fn plan_faults(&mut self, gateway: usize) {
        for _ in 0..self.time.below(3) {
            let long = self.some_milliseconds(1_200);
            self.plan_at_some_time(Event::Cut(gateway, long));
        }
        for _ in 0..self.time.below(3) {
            let long = self.some_milliseconds(1_200);
            self.plan_at_some_time(Event::Deafen(gateway, long));
        }
        for _ in 0..self.time.below(3) {
            let long = self.some_milliseconds(1_200);
            self.plan_at_some_time(Event::SuspendGateway(gateway, long));
        }
        if self.time.once_in(3) {
            self.plan_at_some_time(Event::RestartGateway(gateway));
        }
        if self.time.once_in(3) {
            let far = self.some_milliseconds(800);
            self.plan_at_some_time(Event::LeapAhead(gateway, far));
        }
        if self.time.once_in(5) {
            self.plan_at_some_time(Event::Expel(gateway));
        }
    }

    fn plan_at_some_time(&mut self, event: Event) {
        let at = self.time.some_time(SCHEDULE);
        self.time.at(at, event);
    }

    fn some_milliseconds(&mut self, bound: u64) -> Duration {
        Duration::from_millis(self.time.below(bound))
    }

    /// Sends a message over a network that loses one in twenty and delays the others as it likes.
    fn send(&mut self, gateway: usize, message: Message) {
        let is_told = matches!(message, Message::Recall { .. } | Message::Forget { .. });
        let is_lost = self.gateways[gateway].is_out_of_reach(self.time.now(), is_told);
        if is_lost || self.time.once_in(20) {
            return;
        }
        let delay = match self.time.below(10) {
            0 => self.time.below(600_000),
            1..=3 => self.time.below(50_000),
            _ => self.time.below(3_000),
        };
        self.time.after(Duration::from_micros(delay), Event::Arrive(message));
    }

    /// How long the store takes.
    fn storing(&mut self) -> Duration {
        let bound = if self.time.once_in(3) { 250_000 } else { 3_000 };
        Duration::from_micros(self.time.below(bound))
    }

    fn run(mut self) -> Result<Tally, String> {
        while !self.judge.has_found()
            && let Some(event) = self.time.next(SCHEDULE)
        {
            self.step(event);
        }
        self.judge.sentence().map_err(|violation| format!("{:?}: {violation}", self.flaw))
    }

    /// Until when the machine that an event is for does nothing.
    fn suspended_until(&self, event: &Event) -> Duration {
        match event {
            Event::Work(gateway) | Event::Destroy(gateway, _) => self.gateways[*gateway].suspended_until,
            Event::Arrive(
                Message::Grant { to, .. }
                | Message::Opened { to, .. }
                | Message::Recall { to, .. }
                | Message::Destroyed { to, .. }
                | Message::Forget { to, .. },
            ) => self.gateways[to.0].suspended_until,
            Event::Arrive(_)
            | Event::Check
            | Event::Revoke(_)
            | Event::Written { .. }
            | Event::HaveRead { .. }
            | Event::Denied(_)
            | Event::RecallTenant { .. }
            | Event::Expel(_)
            | Event::Buried { .. }
            | Event::RestartCore => self.core.suspended_until,
            _ => Duration::ZERO,
        }
    }

    fn step(&mut self, event: Event) {
        let until = self.suspended_until(&event);
        if self.time.now() < until {
            return self.time.at(until, event);
        }
        match event {
            Event::Arrive(message) => self.arrive(message),
            Event::Work(gateway) => self.work(gateway),
            Event::Check => self.check(),
            Event::Revoke(target) => self.revoke(target),
            Event::Land(Target::Key(key)) => _ = self.outside.revoked_keys.insert(key),
            Event::Land(Target::Tenant(tenant)) => _ = self.outside.revoked_tenants.insert(tenant),
            Event::Written { core_life, change, written } => self.written(core_life, change, written),
            Event::Read { core_life, key, place } => {
                let (opens, pause) = (self.outside.opens(key), self.storing());
                self.time.after(pause, Event::HaveRead { core_life, key, place, opens });
            }
            Event::HaveRead { core_life, key, place, opens } => self.have_read(core_life, key, place, opens),
            Event::Make(key) => _ = self.outside.made.insert(key),
            Event::Refuse(tenant, long) => self.refuse(tenant, long),
            Event::Permit(tenant) => self.permit(tenant),
            Event::Denied(tenant) => self.denied(tenant),
            Event::RecallTenant { core_life, tenant, refusal } => {
                self.recall_tenant(core_life, tenant, refusal);
            }
            Event::Expel(gateway) => self.expel(gateway),
            Event::Destroy(gateway, object) => self.destroy(gateway, object),
            Event::Buried { core_life, from, object } => self.buried(core_life, from, object),
            Event::RestartGateway(gateway) => self.gateways[gateway].restart(),
            Event::RestartCore => self.restart_core(),
            Event::Cut(gateway, long) => self.gateways[gateway].cut_until = self.time.now() + long,
            Event::Deafen(gateway, long) => self.gateways[gateway].deaf_until = self.time.now() + long,
            Event::SuspendGateway(gateway, long) => self.suspend(gateway, long),
            Event::SuspendCore(long) => self.suspend_core(long),
            Event::LeapAhead(gateway, far) => self.gateways[gateway].clock.ahead += far,
        }
    }

    fn refuse(&mut self, tenant: u32, long: Duration) {
        let until = self.time.now() + long;
        let name = self.time.name();
        let refusing = self.outside.refusing[tenant as usize].get_or_insert((name, until));
        refusing.1 = refusing.1.max(until);
        self.time.at(until, Event::Permit(tenant));
        let pause = self.some_milliseconds(100);
        self.time.after(pause, Event::Denied(tenant));
    }

    fn permit(&mut self, tenant: u32) {
        let refusing = &mut self.outside.refusing[tenant as usize];
        if refusing.is_some_and(|(_, until)| until <= self.time.now()) {
            *refusing = None;
            self.judge.reopen(tenant);
        }
    }

    fn arrive(&mut self, message: Message) {
        match message {
            Message::Ask { from, key, asked } => self.grant(from, key, asked),
            Message::Open { from, object, asked } => self.open(from, object, asked),
            Message::Confirm { from, revocation, core_life } => {
                if core_life == self.core.life {
                    self.core.grantor.confirm(revocation, &from);
                }
            }
            Message::Destroy { from, object } => self.bury(from, object),
            Message::Forgotten { from, errand } => self.forgotten(from, errand),
            Message::Grant { to, .. }
            | Message::Opened { to, .. }
            | Message::Recall { to, .. }
            | Message::Destroyed { to, .. }
            | Message::Forget { to, .. } => {
                // An earlier life has taken all it had with it, and nobody answers for it.
                if self.gateways[to.0].life == to.1 {
                    self.arrive_at(to, message);
                }
            }
        }
    }
}

#[test]
fn nothing_is_used_that_was_revoked_recalled_or_destroyed() {
    let tally = simulation::run("LEASE", (400, 100_000), |seed| World::new(seed, Flaw::None).run());
    eprintln!("LEASE: no violation; {tally:?}");
    tally.proves_something();
}

#[test]
fn every_flaw_is_caught() {
    let flaws = [
        Flaw::CountsFromTheAnswer,
        Flaw::ForgetsTheUnreachable,
        Flaw::TakesOvertakenGrants,
        Flaw::ForgetsAfterRestart,
        Flaw::GrantsWhatIsNotOpen,
        Flaw::OpensWhatWasForgotten,
        Flaw::TrustsClocks,
        Flaw::SleepsWhileSuspended,
        Flaw::ReadmitsTooSoon,
        Flaw::ReadmitsForOthers,
        Flaw::OverlooksLateKeys,
        Flaw::RecallsNothing,
        Flaw::AdmitsTheExpelled,
        Flaw::KeepsTheBuried,
        Flaw::KeepsWhatWasOpenedBefore,
        Flaw::KeepsOvertakenObjects,
        Flaw::TellsHoldersOnly,
        Flaw::TellsOnce,
        Flaw::RenewsWhatIsOwed,
        Flaw::GoesOnAcrossLives,
    ];
    for flaw in flaws {
        simulation::catch("LEASE", &format!("{flaw:?}"), |seed| World::new(seed, flaw).run());
    }
}
