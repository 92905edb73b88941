//! The Gateways of the simulation: they use whatever they may, as the leases of `gateway-server` do.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Asked, Flaw, KEYS, Key, LEASE, Life, Message, OBJECTS, Object, World};
use crate::lease::{Granted, Holder};
use crate::simulation::Clock;

pub(super) struct Gateway {
    pub(super) life: u32,
    pub(super) clock: Clock,
    pub(super) cut_until: Duration,
    pub(super) deaf_until: Duration,
    pub(super) suspended_until: Duration,
    holder: Holder<Key>,
    /// The objects that are open here, ...
    opened: BTreeSet<Object>,
    /// ... and those that were destroyed, as far as is known here. Both are wiped with the key.
    buried: BTreeSet<Object>,
    /// What it destroys and has not been told that it is done.
    destroying: Vec<Object>,
}

impl Gateway {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            life: 0,
            clock,
            cut_until: Duration::ZERO,
            deaf_until: Duration::ZERO,
            suspended_until: Duration::ZERO,
            holder: Holder::default(),
            opened: BTreeSet::new(),
            buried: BTreeSet::new(),
            destroying: Vec::new(),
        }
    }

    /// Another life: what is to be destroyed is in the store, all else is lost.
    pub(super) fn restart(&mut self) {
        self.life += 1;
        self.holder = Holder::default();
        self.opened.clear();
        self.buried.clear();
    }

    /// Whether it cannot be reached with a message; `is_told` are those that it did not ask for.
    pub(super) fn is_out_of_reach(&self, now: Duration, is_told: bool) -> bool {
        now < self.cut_until || is_told && now < self.deaf_until
    }

    fn wipe(&mut self, key: Key) {
        self.opened.retain(|object| object.0 != key);
        self.buried.retain(|object| object.0 != key);
    }

    fn bury(&mut self, object: Object) {
        self.opened.remove(&object);
        self.buried.insert(object);
    }
}

impl World {
    fn gateway_clock(&self, gateway: usize) -> Duration {
        self.gateways[gateway].clock.shows(self.time.now())
    }

    pub(super) fn suspend(&mut self, gateway: usize, long: Duration) {
        let until = self.time.now() + long;
        let gateway = &mut self.gateways[gateway];
        gateway.suspended_until = gateway.suspended_until.max(until);
        if self.flaw == Flaw::SleepsWhileSuspended {
            gateway.clock.stood_still += long;
        }
    }

    /// A Gateway uses every key and object that it may, and asks for more now and then.
    pub(super) fn work(&mut self, gateway: usize) {
        let (clock, now, life) =
            (self.gateway_clock(gateway), self.time.now(), (gateway, self.gateways[gateway].life));
        for key in 0..KEYS {
            let is_live = self.gateways[gateway].holder.is_live(&key, clock);
            if is_live {
                self.judge.sees_use(life, key, now);
                self.use_objects(life, key, clock);
            }
            if self.time.once_in(if is_live { 12 } else { 4 }) {
                let asked = self.gateways[gateway].holder.ask(clock);
                self.send(gateway, Message::Ask { from: life, key, asked });
            }
        }
        // What has ended is noticed now and then only.
        if self.time.once_in(8) {
            let own = &mut self.gateways[gateway];
            for key in own.holder.expire(clock) {
                own.wipe(key);
            }
        }
        if self.time.once_in(8) {
            for object in self.gateways[gateway].destroying.clone() {
                self.send(gateway, Message::Destroy { from: life, object });
            }
        }
        let pause = Duration::from_micros(2_000 + self.time.below(25_000));
        self.time.after(pause, super::Event::Work(gateway));
    }

    fn use_objects(&mut self, life: Life, key: Key, clock: Duration) {
        for object in (0..OBJECTS).map(|object| (key, object)) {
            if self.gateways[life.0].opened.contains(&object) {
                self.judge.sees_use_of(object, life, self.time.now());
            } else if self.time.once_in(4) {
                let asked = self.gateways[life.0].holder.ask(clock);
                self.send(life.0, Message::Open { from: life, object, asked });
            }
        }
    }

    pub(super) fn destroy(&mut self, gateway: usize, object: Object) {
        let own = &mut self.gateways[gateway];
        own.bury(object);
        own.destroying.push(object);
        let from = (gateway, own.life);
        self.send(gateway, Message::Destroy { from, object });
    }

    /// A message to a Gateway arrives.
    pub(super) fn arrive_at(&mut self, to: Life, message: Message) {
        let clock = self.gateway_clock(to.0);
        let own = &mut self.gateways[to.0];
        match message {
            Message::Grant { key, asked, core_life, .. } => self.take_grant(to.0, key, asked, core_life),
            Message::Opened { object, asked, .. } => {
                let is_kept = match self.flaw {
                    Flaw::KeepsOvertakenObjects => own.holder.is_live(&object.0, clock),
                    _ => own.holder.may_keep(asked, &object.0, clock),
                };
                if is_kept && (!own.buried.contains(&object) || self.flaw == Flaw::KeepsTheBuried) {
                    own.opened.insert(object);
                }
            }
            Message::Recall { keys, revocation, core_life, .. } => {
                for key in keys {
                    own.holder.give_up(key);
                    own.wipe(key);
                }
                self.send(to.0, Message::Confirm { from: to, revocation, core_life });
            }
            Message::Destroyed { object, .. } => {
                own.destroying.retain(|destroying| *destroying != object);
                own.bury(object);
                self.judge.knows(object, to);
            }
            Message::Forget { object, errand, .. } => {
                own.bury(object);
                self.send(to.0, Message::Forgotten { from: to, errand });
            }
            _ => (),
        }
    }

    fn take_grant(&mut self, gateway: usize, key: Key, asked: Asked, core_life: u32) {
        let clock = self.gateway_clock(gateway);
        let own = &mut self.gateways[gateway];
        let asked = match self.flaw {
            Flaw::CountsFromTheAnswer => Asked { sent: clock, ..asked },
            Flaw::TakesOvertakenGrants => Asked { turn: own.holder.ask(clock).turn, ..asked },
            _ => asked,
        };
        let by = if self.flaw == Flaw::GoesOnAcrossLives { 0 } else { core_life };
        let granted = own.holder.granted(asked, by.into(), key, LEASE, clock);
        if granted == Granted::Begun && self.flaw != Flaw::KeepsWhatWasOpenedBefore {
            own.wipe(key);
        }
    }
}
