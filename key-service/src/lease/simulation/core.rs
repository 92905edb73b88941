//! The Core of the simulation: it opens keys as the vault of `core-server` does, grants and recalls leases as its `Leases` do, and
//! commits Revokes as its `WatchedStore` does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Asked, DRIFT, Drift, Event, Flaw, Key, LEASE, Life, Message, Object, Target, World, tenant_of};
use crate::lease::{Grant, Grantor, Revocation};
use crate::simulation::Clock;

/// How often the Core looks what has come of its recalls, ...
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// ... and how often it asks again.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(20);
/// How often a Gateway is told to forget an object before its leases are recalled.
const FORGET_ATTEMPTS: u32 = 3;
/// After so long a Destroy is answered, whoever has not been told yet.
const FORGET_WITHIN: Duration = Duration::from_millis(200);

/// One life of the Core, and what it has in memory.
pub(super) struct Core {
    pub(super) life: u32,
    pub(super) clock: Clock,
    pub(super) suspended_until: Duration,
    pub(super) grantor: Grantor<Key, Life>,
    /// Keys that are being opened, or are open.
    places: BTreeMap<Key, Place>,
    shut_out: BTreeSet<usize>,
    /// Revokes under way.
    changes: BTreeMap<u64, Change>,
    recalls: Vec<Recall>,
    /// Objects that are being forgotten.
    errands: BTreeMap<u64, Errand>,
    /// Objects of which an earlier life did not come to tell everybody: none of the leases that it had granted goes on.
    untold: Vec<(Object, Life)>,
}

struct Place {
    name: u64,
    is_open: bool,
}

/// A Revoke that is being written while the Gateways are told.
struct Change {
    target: Target,
    closed: Vec<Key>,
    is_told: bool,
    written: Option<Written>,
}

/// What the store says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    Done,
    Failed,
    /// It may have been done, or may be yet.
    Unknown,
}

struct Recall {
    revocation: Revocation,
    keys: Vec<Key>,
    purpose: Purpose,
    ask_at: Duration,
}

/// What a recall is for.
#[derive(Debug, Clone, Copy)]
enum Purpose {
    /// A Revoke that is being written.
    Change(u64),
    /// The keys that were made meanwhile: then the Revoke is answered.
    Answer(Target),
    /// The keys that may be leased though a Revoke has failed: then that is answered.
    Failure(Target),
    /// A tenant, closed by its root by this refusal.
    Close(u32, u64),
    Expel(usize),
    /// What a Gateway may have open that could not be told to forget it.
    Forget(u64, Life),
}

/// An object that is to be forgotten.
struct Errand {
    object: Object,
    by: Life,
    /// When it was begun, while that is not answered.
    unanswered_since: Option<Duration>,
    /// Who has been told how often, and has not said yes.
    told: BTreeMap<Life, u32>,
    ask_at: Duration,
    /// When no lease is left that the Core does not know of.
    all_known_at: Duration,
}

impl Core {
    pub(super) fn new(clock: Clock, flaw: Flaw) -> Self {
        Self {
            life: 0,
            clock,
            suspended_until: Duration::ZERO,
            grantor: grantor(Duration::ZERO, flaw),
            places: BTreeMap::new(),
            shut_out: BTreeSet::new(),
            changes: BTreeMap::new(),
            recalls: Vec::new(),
            errands: BTreeMap::new(),
            untold: Vec::new(),
        }
    }

    fn is_open(&self, key: Key) -> bool {
        self.places.get(&key).is_some_and(|place| place.is_open)
    }
}

fn grantor(now: Duration, flaw: Flaw) -> Grantor<Key, Life> {
    let exact = Drift { per_mille: 0, fixed: Duration::ZERO };
    let drift = if flaw == Flaw::TrustsClocks { exact } else { DRIFT };
    let longest_lease = if flaw == Flaw::ForgetsAfterRestart { Duration::ZERO } else { LEASE };
    Grantor::new(now, longest_lease, drift)
}

impl World {
    fn core_clock(&self) -> Duration {
        self.core.clock.shows(self.time.now())
    }

    pub(super) fn suspend_core(&mut self, long: Duration) {
        self.core.suspended_until = self.time.now() + long;
        // The Core's clock may stand still meanwhile: that only makes it wait longer.
        if self.time.once_in(2) {
            self.core.clock.stood_still += long.min(self.core_clock());
        }
    }

    /// All that was in memory is lost.
    pub(super) fn restart_core(&mut self) {
        let (life, clock) = (self.core.life + 1, self.core.clock);
        let lost = std::mem::replace(&mut self.core, Core::new(clock, self.flaw));
        self.core.life = life;
        self.core.grantor = grantor(self.core_clock(), self.flaw);
        self.core.shut_out.clone_from(&self.outside.expelled);
        let targets = lost.changes.values().map(|change| change.target);
        let late = lost.recalls.iter().filter_map(|recall| match recall.purpose {
            Purpose::Answer(target) | Purpose::Failure(target) => Some(target),
            _ => None,
        });
        for target in targets.chain(late).collect::<Vec<_>>() {
            self.repeat(target);
        }
        // Nothing is kept of who was still to be told.
        let untold = lost.errands.into_values().map(|errand| (errand.object, errand.by));
        self.core.untold = lost.untold.into_iter().chain(untold).collect();
        for recall in lost.recalls {
            if let Purpose::Expel(gateway) = recall.purpose {
                self.time.after(Duration::ZERO, Event::Expel(gateway));
            }
        }
    }

    /// An operator who was not told of a success tries again, as a rule.
    fn repeat(&mut self, target: Target) {
        if self.time.below(4) > 0 {
            let pause = Duration::from_millis(self.time.below(200));
            self.time.after(pause, Event::Revoke(target));
        }
    }

    /// Whether a key is open; it is opened if it is not.
    fn use_key(&mut self, gateway: usize, key: Key) -> bool {
        if self.core.shut_out.contains(&gateway) && self.flaw != Flaw::AdmitsTheExpelled {
            return false;
        }
        if !self.core.places.contains_key(&key) {
            let (name, core_life, pause) = (self.time.name(), self.core.life, self.storing());
            self.core.places.insert(key, Place { name, is_open: false });
            self.time.after(pause, Event::Read { core_life, key, place: name });
        }
        self.core.is_open(key) || self.flaw == Flaw::GrantsWhatIsNotOpen
    }

    /// Store and root have answered. The place of a key that was forgotten meanwhile is not its own any more.
    pub(super) fn have_read(&mut self, core_life: u32, key: Key, place: u64, opens: bool) {
        if core_life != self.core.life {
            return;
        }
        let is_current = |own: &Place| own.name == place || self.flaw == Flaw::OpensWhatWasForgotten;
        if let Some(own) = self.core.places.get_mut(&key).filter(|own| is_current(own)) {
            own.is_open |= opens;
            if !own.is_open {
                self.core.places.remove(&key);
            }
        }
    }

    /// Obtain Lease.
    pub(super) fn grant(&mut self, from: Life, key: Key, asked: Asked) {
        if self.use_key(from.0, key) {
            let (now, core_life) = (self.core_clock(), self.core.life);
            let granted = match self.core.grantor.grant(&key, &from, LEASE, now) {
                Grant::Granted => true,
                Grant::Revoked => false,
                Grant::Owed => {
                    self.judge.sees_debt();
                    self.flaw == Flaw::RenewsWhatIsOwed
                }
            };
            if granted {
                self.send(from.0, Message::Grant { to: from, key, asked, core_life });
            }
        }
    }

    /// Decrypt, of a data key.
    pub(super) fn open(&mut self, from: Life, object: Object, asked: Asked) {
        if self.use_key(from.0, object.0) && !self.outside.tombstones.contains(&object) {
            self.send(from.0, Message::Opened { to: from, object, asked });
        }
    }

    fn recall(&mut self, revocation: Revocation, keys: Vec<Key>, purpose: Purpose) {
        let ask_at = self.time.now();
        self.core.recalls.push(Recall { revocation, keys, purpose, ask_at });
    }

    /// The Gateways are told while the store writes.
    pub(super) fn revoke(&mut self, target: Target) {
        let (now, core_life, change) = (self.core_clock(), self.core.life, self.time.name());
        let closed = self.outside.keys_of(target);
        let revocation = self.core.grantor.revoke(&closed, now);
        let told = Change { target, closed: closed.clone(), is_told: false, written: None };
        self.core.changes.insert(change, told);
        self.recall(revocation, closed, Purpose::Change(change));
        let (lands, answers) = (self.storing(), self.storing());
        let (written, lands) = match self.time.below(10) {
            0 | 1 => (Written::Failed, None),
            2 => (Written::Unknown, Some(lands)),
            3 => (Written::Unknown, None),
            4 => (Written::Unknown, Some(lands + answers + self.storing())),
            _ => (Written::Done, Some(lands)),
        };
        if let Some(lands) = lands {
            self.time.after(lands, Event::Land(target));
        }
        let pause = answers + lands.unwrap_or_default().min(answers);
        let pause = if written == Written::Done { pause.max(lands.unwrap_or_default()) } else { pause };
        self.time.after(pause, Event::Written { core_life, change, written });
    }

    /// Whatever the store says: what it may have closed is forgotten.
    pub(super) fn written(&mut self, core_life: u32, change: u64, written: Written) {
        if core_life != self.core.life {
            return;
        }
        if let Some(own) = self.core.changes.get_mut(&change) {
            own.written = Some(written);
            let target = own.target;
            self.core.places.retain(|key, _| !target.includes(*key));
        }
        self.conclude(change);
    }

    /// Goes on with a Revoke when both the store and the Gateways have answered.
    fn conclude(&mut self, change: u64) {
        let is_ready = |own: &Change| own.is_told && own.written.is_some();
        if !self.core.changes.get(&change).is_some_and(is_ready) {
            return;
        }
        let Some(Change { target, closed, written, .. }) = self.core.changes.remove(&change) else { return };
        let (now, mut late) = (self.core_clock(), self.outside.keys_of(target));
        late.retain(|key| !closed.contains(key));
        if written == Some(Written::Done) {
            if self.flaw == Flaw::OverlooksLateKeys {
                late.clear();
            }
            let revocation = self.core.grantor.revoke(&late, now);
            return self.recall(revocation, late, Purpose::Answer(target));
        }
        self.judge.take_back();
        if self.flaw != Flaw::ReadmitsTooSoon {
            self.core.grantor.readmit(&closed);
        }
        if self.flaw == Flaw::ReadmitsForOthers {
            self.core.grantor.readmit(&closed);
        }
        if written == Some(Written::Failed) {
            return self.repeat(target);
        }
        let revocation = self.core.grantor.recall(&late, now);
        self.recall(revocation, late, Purpose::Failure(target));
    }

    /// A root says no.
    pub(super) fn denied(&mut self, tenant: u32) {
        let Some((refusal, _)) = self.outside.refusing[tenant as usize] else { return };
        self.core.places.retain(|key, _| tenant_of(*key) != tenant);
        let (core_life, pause) = (self.core.life, self.storing());
        self.time.after(pause, Event::RecallTenant { core_life, tenant, refusal });
    }

    pub(super) fn recall_tenant(&mut self, core_life: u32, tenant: u32, refusal: u64) {
        if core_life != self.core.life {
            return;
        }
        let (now, mut keys) = (self.core_clock(), self.outside.keys_of(Target::Tenant(tenant)));
        if self.flaw == Flaw::RecallsNothing {
            keys.clear();
        }
        let revocation = self.core.grantor.recall(&keys, now);
        self.recall(revocation, keys, Purpose::Close(tenant, refusal));
    }

    /// A Gateway is revoked: that is durable first, then it is let in no more.
    pub(super) fn expel(&mut self, gateway: usize) {
        self.outside.expelled.insert(gateway);
        self.core.shut_out.insert(gateway);
        let now = self.core_clock();
        let (revocation, keys) = self.core.grantor.expel(|life| life.0 == gateway, now);
        self.recall(revocation, keys, Purpose::Expel(gateway));
    }

    /// The Core concludes what is done, and reminds Gateways of the rest.
    pub(super) fn check(&mut self) {
        let (now, clock) = (self.time.now(), self.core_clock());
        for mut recall in std::mem::take(&mut self.core.recalls) {
            let done_at = self.core.grantor.done_at(recall.revocation);
            let unreachable = self.flaw == Flaw::ForgetsTheUnreachable && done_at < clock + LEASE / 2;
            if done_at <= clock || unreachable {
                self.core.grantor.close(recall.revocation);
                self.fulfil(recall.purpose);
                continue;
            }
            if recall.ask_at <= now {
                recall.ask_at = now + ASK_AGAIN_AFTER;
                let (revocation, core_life) = (recall.revocation, self.core.life);
                let holders: Vec<Life> = self.core.grantor.holders(revocation).copied().collect();
                for to in holders {
                    let keys = recall.keys.clone();
                    self.send(to.0, Message::Recall { to, keys, revocation, core_life });
                }
            }
            self.core.recalls.push(recall);
        }
        for errand in self.core.errands.keys().copied().collect::<Vec<_>>() {
            self.run_errand(errand);
        }
        if self.core.grantor.unknown_until() <= clock {
            for (object, by) in std::mem::take(&mut self.core.untold) {
                self.judge.destroy_untold(object, by, now);
            }
        }
        self.core.grantor.expire(clock);
        self.time.after(LOOK_EVERY, Event::Check);
    }

    /// Nobody can use any more what was recalled.
    fn fulfil(&mut self, purpose: Purpose) {
        let now = self.time.now();
        match purpose {
            Purpose::Change(change) => {
                if let Some(own) = self.core.changes.get_mut(&change) {
                    own.is_told = true;
                    if self.flaw == Flaw::ReadmitsTooSoon {
                        self.core.grantor.readmit(&own.closed);
                    }
                }
                self.conclude(change);
            }
            Purpose::Answer(target) => self.judge.answer(target, now),
            Purpose::Failure(target) => self.repeat(target),
            Purpose::Close(tenant, refusal) => {
                // The root has refused ever since it was asked.
                if self.outside.refusing[tenant as usize].is_some_and(|(current, _)| current == refusal) {
                    self.judge.close(tenant, now);
                }
            }
            Purpose::Expel(gateway) => self.judge.expel(gateway, now),
            Purpose::Forget(errand, life) => {
                if let Some(errand) = self.core.errands.get_mut(&errand) {
                    errand.told.remove(&life);
                }
            }
        }
    }

    /// Destroy, of a Gateway: the tombstone first.
    pub(super) fn bury(&mut self, from: Life, object: Object) {
        if !self.core.shut_out.contains(&from.0) {
            let (core_life, pause) = (self.core.life, self.storing());
            self.time.after(pause, Event::Buried { core_life, from, object });
        }
    }

    /// The tombstone is durable: every Gateway that may have the object open is told to forget it.
    pub(super) fn buried(&mut self, core_life: u32, from: Life, object: Object) {
        let is_new = self.outside.tombstones.insert(object);
        // One that an earlier life has asked for is followed, as those of other Cores are.
        let is_own = core_life == self.core.life;
        if is_own && !is_new && self.flaw == Flaw::TellsOnce {
            self.judge.destroy(object, from, self.time.now());
            return self.send(from.0, Message::Destroyed { to: from, object });
        }
        let errand = Errand {
            object,
            by: from,
            unanswered_since: is_own.then_some(self.time.now()),
            told: self.users(object.0, from),
            ask_at: self.time.now(),
            all_known_at: self.core.grantor.unknown_until(),
        };
        let name = self.time.name();
        self.core.errands.insert(name, errand);
    }

    /// Who may have something open under a key, but for whoever destroys it.
    fn users(&self, key: Key, by: Life) -> BTreeMap<Life, u32> {
        let clock = self.core_clock();
        let users: Vec<Life> = match self.flaw {
            Flaw::TellsHoldersOnly => self.core.grantor.leases(&key, clock).map(|(life, _)| *life).collect(),
            _ => self.core.grantor.users(&key, clock).into_iter().collect(),
        };
        users.into_iter().filter(|life| *life != by).map(|life| (life, 0)).collect()
    }

    pub(super) fn forgotten(&mut self, from: Life, errand: u64) {
        if let Some(errand) = self.core.errands.get_mut(&errand) {
            errand.told.remove(&from);
        }
    }

    fn run_errand(&mut self, name: u64) {
        let (now, clock) = (self.time.now(), self.core_clock());
        let Some(mut errand) = self.core.errands.remove(&name) else { return };
        let is_done = errand.told.is_empty() && errand.all_known_at <= clock;
        if errand.unanswered_since.is_some_and(|since| is_done || since + FORGET_WITHIN <= now) {
            errand.unanswered_since = None;
            self.send(errand.by.0, Message::Destroyed { to: errand.by, object: errand.object });
        }
        if is_done {
            return self.judge.destroy(errand.object, errand.by, now);
        }
        if errand.ask_at <= now {
            errand.ask_at = now + ASK_AGAIN_AFTER;
            for (to, told) in &mut errand.told {
                *told += 1;
                if *told <= FORGET_ATTEMPTS {
                    self.send(to.0, Message::Forget { to: *to, object: errand.object, errand: name });
                } else if *told == FORGET_ATTEMPTS + 1 {
                    let revocation = self.core.grantor.call_to_forget(&[errand.object.0], to, clock);
                    self.recall(revocation, vec![errand.object.0], Purpose::Forget(name, *to));
                }
            }
        }
        self.core.errands.insert(name, errand);
    }
}
