//! The lease protocol in a seeded simulation: Gateways and a Core exchange messages that are delayed, reordered and lost;
//! machines crash, restart, are cut off or suspended, and have clocks of their own speed that leap ahead. The judge knows the
//! true time and says whether a key was ever used after its Revoke had been answered.
//!
//! A failure is a seed: `LEASE_SEED=n` runs that one, `LEASE_SCHEDULES=n` runs more of them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::time::Duration;

use super::{Asked, Drift, Grantor, Holder, Revocation};

const GATEWAYS: usize = 3;
const KEYS: u32 = 4;
const LEASE: Duration = Duration::from_millis(500);
const SCHEDULE: Duration = Duration::from_secs(6);
const DRIFT: Drift = Drift { per_mille: 10, fixed: Duration::from_millis(1) };

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
    /// The Core grants first and looks at the revocation later.
    GrantsRevokedKeys,
    /// The Core does not allow for clocks that run slower than its own.
    TrustsClocks,
    /// The holder's clock stands still while its machine is suspended.
    SleepsWhileSuspended,
}

/// A holder is one life of a Gateway: after a restart it is another one.
type Life = (usize, u32);

#[derive(Debug, Clone)]
enum Message {
    Ask { from: Life, key: u32, asked: Asked },
    Grant { to: Life, key: u32, asked: Asked },
    Recall { to: Life, key: u32, revocation: Revocation, core_life: u32 },
    Confirm { from: Life, revocation: Revocation, core_life: u32 },
}

#[derive(Debug, Clone)]
enum Event {
    Arrive(Message),
    Work(usize),
    Revoke(u32),
    Check,
    RestartGateway(usize),
    RestartCore,
    Cut(usize, Duration),
    SuspendGateway(usize, Duration),
    SuspendCore(Duration),
    LeapAhead(usize, Duration),
}

struct Gateway {
    life: u32,
    holder: Holder<u32>,
    /// Parts per thousand by which its clock is slow (positive) or fast.
    slowness: i32,
    offset: Duration,
    cut_until: Duration,
    suspended_until: Duration,
}

struct World {
    random: u64,
    flaw: Flaw,
    now: Duration,
    queue: BinaryHeap<Reverse<(Duration, u64)>>,
    events: HashMap<u64, Event>,
    next_event: u64,
    gateways: Vec<Gateway>,
    core: Grantor<u32, Life>,
    core_life: u32,
    core_suspended_until: Duration,
    /// For how long the Core's clock has stood still: it may, since that only makes the Core wait longer.
    core_stood_still: Duration,
    durably_revoked: HashSet<u32>,
    open: Vec<(Revocation, u32)>,
    answered: HashMap<u32, Duration>,
    uses: u64,
    violation: Option<String>,
}

impl World {
    fn new(seed: u64, flaw: Flaw) -> Self {
        let mut world = Self {
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            flaw,
            now: Duration::ZERO,
            queue: BinaryHeap::new(),
            events: HashMap::new(),
            next_event: 0,
            gateways: Vec::new(),
            core: Grantor::new(Duration::ZERO, LEASE, DRIFT),
            core_life: 0,
            core_suspended_until: Duration::ZERO,
            core_stood_still: Duration::ZERO,
            durably_revoked: HashSet::new(),
            open: Vec::new(),
            answered: HashMap::new(),
            uses: 0,
            violation: None,
        };
        for _ in 0..GATEWAYS {
            let slowness = world.below(21) as i32 - 10;
            let offset = Duration::from_millis(world.below(10_000));
            let (holder, never) = (Holder::default(), Duration::ZERO);
            world.gateways.push(Gateway {
                life: 0,
                holder,
                slowness,
                offset,
                cut_until: never,
                suspended_until: never,
            });
        }
        world.core = world.fresh_core();
        world.plan();
        world
    }

    /// xorshift64*: all that a simulation needs.
    fn below(&mut self, bound: u64) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }

    fn some_time(&mut self) -> Duration {
        Duration::from_micros(self.below(SCHEDULE.as_micros() as u64))
    }

    fn plan(&mut self) {
        for key in 0..KEYS {
            let at = self.some_time();
            self.schedule(at, Event::Revoke(key));
        }
        for gateway in 0..GATEWAYS {
            self.schedule(Duration::ZERO, Event::Work(gateway));
            for _ in 0..self.below(3) {
                let (at, long) = (self.some_time(), Duration::from_millis(self.below(1_500)));
                self.schedule(at, Event::Cut(gateway, long));
            }
            if self.below(3) == 0 {
                let at = self.some_time();
                self.schedule(at, Event::RestartGateway(gateway));
            }
            for _ in 0..self.below(3) {
                let (at, long) = (self.some_time(), Duration::from_millis(self.below(1_500)));
                self.schedule(at, Event::SuspendGateway(gateway, long));
            }
            if self.below(3) == 0 {
                let (at, far) = (self.some_time(), Duration::from_millis(self.below(1_000)));
                self.schedule(at, Event::LeapAhead(gateway, far));
            }
        }
        if self.below(3) == 0 {
            let (at, long) = (self.some_time(), Duration::from_millis(self.below(1_000)));
            self.schedule(at, Event::SuspendCore(long));
        }
        for _ in 0..self.below(3) {
            let at = self.some_time();
            self.schedule(at, Event::RestartCore);
        }
        self.schedule(Duration::ZERO, Event::Check);
    }

    fn schedule(&mut self, at: Duration, event: Event) {
        self.queue.push(Reverse((at, self.next_event)));
        self.events.insert(self.next_event, event);
        self.next_event += 1;
    }

    /// Sends a message over a network that loses one in twenty and delays the others as it likes.
    fn send(&mut self, gateway: usize, message: Message) {
        if self.now < self.gateways[gateway].cut_until || self.below(20) == 0 {
            return;
        }
        let delay = match self.below(10) {
            0 => self.below(700_000),
            1..=3 => self.below(50_000),
            _ => self.below(3_000),
        };
        self.schedule(self.now + Duration::from_micros(delay), Event::Arrive(message));
    }

    fn gateway_clock(&self, gateway: usize) -> Duration {
        let gateway = &self.gateways[gateway];
        let running = self.now.as_micros() as i128;
        let shown = running - running * i128::from(gateway.slowness) / 1000;
        gateway.offset + Duration::from_micros(shown as u64)
    }

    fn core_clock(&self) -> Duration {
        self.now - self.core_stood_still
    }

    fn fresh_core(&self) -> Grantor<u32, Life> {
        let drift = match self.flaw {
            Flaw::TrustsClocks => Drift { per_mille: 0, fixed: Duration::ZERO },
            _ => DRIFT,
        };
        let longest = if self.flaw == Flaw::ForgetsAfterRestart { Duration::ZERO } else { LEASE };
        Grantor::new(self.core_clock(), longest, drift)
    }

    fn run(mut self) -> Result<u64, String> {
        while let Some(Reverse((at, id))) = self.queue.pop() {
            if at > SCHEDULE || self.violation.is_some() {
                break;
            }
            self.now = at;
            if let Some(event) = self.events.remove(&id) {
                self.step(event);
            }
        }
        self.violation.map_or(Ok(self.uses), Err)
    }

    /// Until when the machine that an event is for does nothing.
    fn suspended_until(&self, event: &Event) -> Duration {
        match event {
            Event::Work(gateway) => self.gateways[*gateway].suspended_until,
            Event::Arrive(Message::Grant { to, .. } | Message::Recall { to, .. }) => {
                self.gateways[to.0].suspended_until
            }
            Event::Arrive(_) | Event::Check | Event::Revoke(_) => self.core_suspended_until,
            _ => Duration::ZERO,
        }
    }

    fn step(&mut self, event: Event) {
        let until = self.suspended_until(&event);
        if self.now < until {
            self.schedule(until, event);
            return;
        }
        match event {
            Event::Arrive(message) => self.arrive(message),
            Event::Work(gateway) => self.work(gateway),
            Event::Revoke(key) => self.revoke(key),
            Event::Check => self.check(),
            Event::RestartGateway(gateway) => {
                self.gateways[gateway].life += 1;
                self.gateways[gateway].holder = Holder::default();
            }
            Event::RestartCore => self.restart_core(),
            Event::Cut(gateway, long) => self.gateways[gateway].cut_until = self.now + long,
            Event::SuspendGateway(gateway, long) => self.suspend(gateway, long),
            Event::SuspendCore(long) => {
                self.core_suspended_until = self.now + long;
                if self.below(2) == 0 {
                    self.core_stood_still = (self.core_stood_still + long).min(self.core_clock());
                }
            }
            Event::LeapAhead(gateway, far) => self.gateways[gateway].offset += far,
        }
    }

    fn suspend(&mut self, gateway: usize, long: Duration) {
        let flaw = self.flaw;
        let (now, gateway) = (self.now, &mut self.gateways[gateway]);
        gateway.suspended_until = gateway.suspended_until.max(now + long);
        if flaw == Flaw::SleepsWhileSuspended {
            gateway.offset = gateway.offset.saturating_sub(long);
        }
    }

    /// A Gateway uses every key that it may, and asks for leases now and then.
    fn work(&mut self, gateway: usize) {
        let clock = self.gateway_clock(gateway);
        for key in 0..KEYS {
            if self.gateways[gateway].holder.is_live(&key, clock) {
                self.uses += 1;
                if let Some(answered) = self.answered.get(&key) {
                    let (now, flaw) = (self.now, self.flaw);
                    self.violation = Some(format!(
                        "{flaw:?}: gateway {gateway} used key {key} at {now:?}, its Revoke was answered at {answered:?}"
                    ));
                }
            }
            if self.below(4) == 0 {
                let from = (gateway, self.gateways[gateway].life);
                let asked = self.gateways[gateway].holder.ask(clock);
                self.send(gateway, Message::Ask { from, key, asked });
            }
        }
        let pause = Duration::from_micros(1_000 + self.below(20_000));
        self.schedule(self.now + pause, Event::Work(gateway));
    }

    fn revoke(&mut self, key: u32) {
        self.durably_revoked.insert(key);
        let revocation = self.core.revoke(&[key], self.core_clock());
        self.open.push((revocation, key));
        self.recall(revocation, key);
    }

    fn recall(&mut self, revocation: Revocation, key: u32) {
        let holders: Vec<Life> = self.core.holders(revocation).copied().collect();
        for to in holders {
            let core_life = self.core_life;
            self.send(to.0, Message::Recall { to, key, revocation, core_life });
        }
    }

    /// The Core answers the Revokes that are done, and reminds holders of the others.
    fn check(&mut self) {
        for (revocation, key) in std::mem::take(&mut self.open) {
            let clock = self.core_clock();
            let unreachable =
                self.flaw == Flaw::ForgetsTheUnreachable && self.core.done_at(revocation) < clock + LEASE / 2;
            if self.core.is_done(revocation, clock) || unreachable {
                self.answered.entry(key).or_insert(self.now);
                self.core.close(revocation);
            } else {
                self.open.push((revocation, key));
                self.recall(revocation, key);
            }
        }
        self.core.expire(self.core_clock());
        self.schedule(self.now + Duration::from_millis(5), Event::Check);
    }

    /// The book is lost; what was revoked is known from the store. A Revoke under way is asked for again.
    fn restart_core(&mut self) {
        self.core_life += 1;
        self.core = self.fresh_core();
        self.core.remember_revoked(self.durably_revoked.iter().copied());
        let asked_again: Vec<u32> = std::mem::take(&mut self.open).into_iter().map(|(_, key)| key).collect();
        for key in asked_again {
            self.revoke(key);
        }
    }

    fn arrive(&mut self, message: Message) {
        match message {
            Message::Ask { from, key, asked } => {
                let granted = match self.flaw {
                    Flaw::GrantsRevokedKeys => true,
                    _ => self.core.grant(&key, &from, LEASE, self.now - self.core_stood_still),
                };
                if granted {
                    self.send(from.0, Message::Grant { to: from, key, asked });
                }
            }
            Message::Grant { to, key, asked } => self.take_grant(to, key, asked),
            Message::Recall { to, key, revocation, core_life } => {
                if self.gateways[to.0].life == to.1 {
                    self.gateways[to.0].holder.give_up(key);
                }
                self.send(to.0, Message::Confirm { from: to, revocation, core_life });
            }
            Message::Confirm { from, revocation, core_life } => {
                if core_life == self.core_life {
                    self.core.confirm(revocation, &from);
                }
            }
        }
    }

    fn take_grant(&mut self, to: Life, key: u32, asked: Asked) {
        let clock = self.gateway_clock(to.0);
        let gateway = &mut self.gateways[to.0];
        if gateway.life != to.1 {
            return;
        }
        let asked = match self.flaw {
            Flaw::CountsFromTheAnswer => Asked { sent: clock, ..asked },
            Flaw::TakesOvertakenGrants => Asked { given_up: gateway.holder.ask(clock).given_up, ..asked },
            _ => asked,
        };
        gateway.holder.granted(asked, key, LEASE);
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn no_key_is_used_after_its_revoke_was_answered() {
    let seeds = match std::env::var("LEASE_SEED") {
        Ok(_) => number("LEASE_SEED", 0)..number("LEASE_SEED", 0) + 1,
        Err(_) => 0..number("LEASE_SCHEDULES", 2_000),
    };
    let mut uses = 0;
    for seed in seeds {
        match World::new(seed, Flaw::None).run() {
            Ok(more) => uses += more,
            Err(violation) => panic!("LEASE_SEED={seed}: {violation}"),
        }
    }
    assert!(uses > 0, "the simulation never used a key: it proves nothing");
}

#[test]
fn every_flaw_is_caught() {
    let flaws = [
        Flaw::CountsFromTheAnswer,
        Flaw::ForgetsTheUnreachable,
        Flaw::TakesOvertakenGrants,
        Flaw::ForgetsAfterRestart,
        Flaw::GrantsRevokedKeys,
        Flaw::TrustsClocks,
        Flaw::SleepsWhileSuspended,
    ];
    for flaw in flaws {
        let caught = (0..number("LEASE_SCHEDULES", 2_000).max(2_000))
            .any(|seed| World::new(seed, flaw).run().is_err());
        assert!(caught, "{flaw:?} went unnoticed");
    }
}
