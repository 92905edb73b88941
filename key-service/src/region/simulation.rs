//! Several Cores in a seeded simulation: a database that carries out one request after the other, and machines whose
//! messages to it are delayed and lost, that crash, stop and go on, with clocks of their own speed. Each Core has a Gateway under
//! its leases. The judge knows the true time and says whether a key was used anywhere after its Revoke had been answered.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::AddAssign;
use std::time::Duration;

use bytestring::ByteString;

use super::{Member, Renewing, Settlement, Watch};
use crate::lease::{Asked, Drift, Grant, Grantor, Holder, Revocation};
use crate::port::{MemberRow, Standing};
use crate::simulation::{self, Clock, Timeline};

const CORES: usize = 3;
const KEYS: u32 = 4;
const LEASE: Duration = Duration::from_millis(150);
const MEMBERSHIP: Duration = Duration::from_millis(200);
const SCHEDULE: Duration = Duration::from_secs(2);
const DRIFT: Drift = Drift { per_mille: 10, fixed: Duration::from_millis(1) };
/// Which life of a Core grants matters for objects that are opened: here are none.
const ONE_LIFE: u64 = 0;

/// A way to get the protocol wrong. The simulation has to notice each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    /// A renewal counts although changes do not bind yet.
    RenewsWithoutFollowing,
    /// A renewal counts from when its answer arrives.
    CountsFromTheAnswer,
    /// A Core goes on when its membership has ended.
    IgnoresItsEnd,
    /// A change is answered when the memberships have ended, whatever leases they granted.
    ForgetsLeases,
    /// A Core says that it has followed while its Gateway may still use the key.
    SpeaksForItsGateway,
    /// A Core that joins again keeps what it had opened.
    KeepsKeysOnJoining,
    /// Members are forgotten while they may still be live.
    ForgetsTheLiving,
    /// The number that a new member begins with is read before the others can see it.
    JoinsInTwoSteps,
    /// A Core that stops is no member any more, whatever leases it has granted.
    LeavesItsLeases,
    /// A change is settled by an answer to a question that was asked before it was made.
    TakesAnEarlierAnswer,
    /// A Core that stops does not count as renewed: the others take its leases for older than they are.
    LeavesUnseen,
}

/// What a Core asks the database. The life keeps a crashed Core from taking an answer for its own.
#[derive(Debug, Clone)]
enum Ask {
    Join,
    Renew { applied: u64, renewing: Renewing },
    Changes { after: u64 },
    Standing,
    Read { key: u32, place: u64 },
    Revoke { key: u32 },
    Forget { instance: ByteString, beat: u64 },
    Leave { lease: Duration },
}

#[derive(Debug, Clone)]
enum Answer {
    Joined { last: u64 },
    Renewed { last: Option<u64>, renewing: Renewing },
    Changes { after: u64, keys: Vec<u32> },
    Standing(Standing),
    Read { key: u32, place: u64, revoked: bool },
    Revoked { key: u32 },
    None,
}

#[derive(Debug, Clone)]
enum Event {
    /// A request of a Core's life and instance, sent at a time of its clock, arrives at the database.
    Asked {
        core: usize,
        life: u32,
        instance: ByteString,
        sent: Duration,
        ask: Ask,
    },
    Answered {
        core: usize,
        life: u32,
        instance: ByteString,
        sent: Duration,
        answer: Answer,
    },
    /// The second step of a join, with the flaw.
    Appear {
        instance: ByteString,
        last: u64,
    },
    News(usize),
    AskLease {
        core: usize,
        key: u32,
        asked: Asked,
    },
    GrantLease {
        core: usize,
        key: u32,
        asked: Asked,
    },
    Recall {
        core: usize,
        life: u32,
        key: u32,
        revocation: Revocation,
    },
    Confirm {
        core: usize,
        life: u32,
        revocation: Revocation,
    },
    Work(usize),
    Beat(usize),
    Revoke(usize, u32),
    Crash(usize),
    /// It is stopped properly, and started again.
    Stop(usize),
    Pause(usize, Duration),
    Cut(usize, Duration),
}

/// A Revoke under way at the Core that was asked for it.
struct Pending {
    key: u32,
    own: Revocation,
    /// When it was committed, as far as the Core knows.
    committed: Duration,
    settlement: Option<Settlement>,
}

struct Core {
    life: u32,
    instance: ByteString,
    member: Option<Member>,
    grantor: Grantor<u32, usize>,
    /// Keys that are being opened, by their places, or are open.
    places: HashMap<u32, (u64, bool)>,
    watch: Watch,
    pending: Vec<Pending>,
    settling: Vec<(u64, Vec<(u32, Revocation)>)>,
    clock: Clock,
    cut_until: Duration,
    paused_until: Duration,
    gateway: Holder<u32>,
    gateway_clock: Clock,
}

#[derive(Default)]
struct Database {
    last: u64,
    changes: BTreeMap<u64, u32>,
    revoked: HashSet<u32>,
    members: BTreeMap<ByteString, MemberRow>,
}

struct World {
    flaw: Flaw,
    time: Timeline<Event>,
    cores: Vec<Core>,
    database: Database,
    answered: HashMap<u32, Duration>,
    uses: u64,
    violation: Option<String>,
}

impl World {
    fn new(seed: u64, flaw: Flaw) -> Self {
        let mut world = Self {
            flaw,
            time: Timeline::new(seed),
            cores: Vec::new(),
            database: Database::default(),
            answered: HashMap::new(),
            uses: 0,
            violation: None,
        };
        for core in 0..CORES {
            let mut clock = || Clock { slowness: world.time.below(11) as i32 - 5, ..Clock::default() };
            let (clock, gateway_clock) = (clock(), clock());
            world.cores.push(Core {
                life: 0,
                instance: ByteString::new(),
                member: None,
                grantor: Grantor::new(Duration::ZERO, Duration::ZERO, DRIFT),
                places: HashMap::new(),
                watch: Watch::default(),
                pending: Vec::new(),
                settling: Vec::new(),
                clock,
                cut_until: Duration::ZERO,
                paused_until: Duration::ZERO,
                gateway: Holder::default(),
                gateway_clock,
            });
            world.start(core);
            world.plan(core);
        }
        for key in 0..KEYS {
            let (at, core) = (world.time.some_time(SCHEDULE), world.time.below(CORES as u64) as usize);
            world.time.at(at, Event::Revoke(core, key));
        }
        world
    }

    fn plan(&mut self, core: usize) {
        self.time.at(Duration::ZERO, Event::Work(core));
        self.time.at(Duration::ZERO, Event::Beat(core));
        for _ in 0..self.time.below(3) {
            let (at, long) = (self.time.some_time(SCHEDULE), Duration::from_millis(self.time.below(900)));
            self.time.at(at, Event::Cut(core, long));
        }
        for _ in 0..self.time.below(3) {
            let (at, long) = (self.time.some_time(SCHEDULE), Duration::from_millis(self.time.below(900)));
            self.time.at(at, Event::Pause(core, long));
        }
        if self.time.below(3) == 0 {
            let at = self.time.some_time(SCHEDULE);
            if self.time.below(2) == 0 {
                self.time.at(at, Event::Crash(core));
            } else {
                // Often it could not renew for a while before it is stopped.
                let long = Duration::from_millis(self.time.below(180)).min(at);
                self.time.at(at - long, Event::Cut(core, long));
                self.time.at(at, Event::Stop(core));
            }
        }
    }

    fn delay(&mut self) -> Duration {
        Duration::from_micros(match self.time.below(12) {
            0 => self.time.below(250_000),
            1..=3 => self.time.below(30_000),
            _ => self.time.below(2_000),
        })
    }

    fn clock(&self, core: usize) -> Duration {
        self.cores[core].clock.shows(self.time.now())
    }

    fn gateway_clock(&self, core: usize) -> Duration {
        self.cores[core].gateway_clock.shows(self.time.now())
    }

    /// A life of a Core begins, with nothing.
    fn start(&mut self, core: usize) {
        let clock = self.clock(core);
        let first = self.time.now().is_zero();
        let own = &mut self.cores[core];
        own.life += 1;
        own.grantor = Grantor::new(clock, if first { Duration::ZERO } else { LEASE }, DRIFT);
        own.watch = Watch::default();
        own.pending.clear();
        own.places.clear();
        self.join(core);
    }

    fn join(&mut self, core: usize) {
        let name = ByteString::from(format!("{core}.{}", self.time.name()));
        let keeps_keys = self.flaw == Flaw::KeepsKeysOnJoining;
        let own = &mut self.cores[core];
        own.instance = name;
        own.member = None;
        own.settling.clear();
        if !keeps_keys {
            own.places.clear();
        }
        self.ask(core, Ask::Join);
    }

    fn ask(&mut self, core: usize, ask: Ask) {
        if self.time.now() < self.cores[core].cut_until || self.time.below(25) == 0 {
            return;
        }
        let (life, instance, sent) =
            (self.cores[core].life, self.cores[core].instance.clone(), self.clock(core));
        let at = self.time.now() + self.delay();
        self.time.at(at, Event::Asked { core, life, instance, sent, ask });
    }

    fn run(mut self) -> Result<Tally, String> {
        while self.violation.is_none()
            && let Some(event) = self.time.next(SCHEDULE)
        {
            self.step(event);
        }
        let answered = self.answered.len() as u64;
        self.violation.map_or(Ok(Tally { uses: self.uses, answered }), Err)
    }

    fn step(&mut self, event: Event) {
        let paused_until = match &event {
            Event::Answered { core, .. }
            | Event::News(core)
            | Event::AskLease { core, .. }
            | Event::Confirm { core, .. }
            | Event::Work(core)
            | Event::Beat(core)
            | Event::Revoke(core, _) => self.cores[*core].paused_until,
            _ => Duration::ZERO,
        };
        if self.time.now() < paused_until {
            self.time.at(paused_until, event);
            return;
        }
        match event {
            Event::Asked { core, life, instance, sent, ask } => {
                let answer = self.serve(&instance, ask);
                if self.time.now() >= self.cores[core].cut_until && self.time.below(25) > 0 {
                    let at = self.time.now() + self.delay();
                    self.time.at(at, Event::Answered { core, life, instance, sent, answer });
                }
            }
            Event::Answered { core, life, instance, sent, answer } => {
                let own = &self.cores[core];
                if own.life == life && own.instance == instance {
                    self.take(core, sent, answer);
                }
            }
            Event::Appear { instance, last } => self.add_member(instance, last),
            Event::News(core) => self.ask(core, Ask::Standing),
            Event::AskLease { core, key, asked } => self.grant(core, key, asked),
            Event::GrantLease { core, key, asked } => {
                let clock = self.gateway_clock(core);
                self.cores[core].gateway.granted(asked, ONE_LIFE, key, LEASE, clock);
            }
            Event::Recall { core, life, key, revocation } => {
                self.cores[core].gateway.give_up(key);
                let at = self.time.now() + self.delay();
                self.time.at(at, Event::Confirm { core, life, revocation });
            }
            Event::Confirm { core, life, revocation } => {
                if self.cores[core].life == life {
                    self.cores[core].grantor.confirm(revocation, &core);
                }
            }
            Event::Work(core) => self.work(core),
            Event::Beat(core) => self.beat(core),
            Event::Revoke(core, key) => self.ask(core, Ask::Revoke { key }),
            Event::Crash(core) => self.start(core),
            Event::Stop(core) => {
                let ends = self.cores[core].grantor.all_end_at();
                let lease = ends.saturating_sub(self.clock(core));
                self.ask(core, Ask::Leave { lease });
                // It takes its time to come back: until then no new life of it speaks for its leases.
                self.cores[core].cut_until = self.time.now() + Duration::from_millis(self.time.below(600));
                self.start(core);
            }
            Event::Pause(core, long) => self.cores[core].paused_until = self.time.now() + long,
            Event::Cut(core, long) => self.cores[core].cut_until = self.time.now() + long,
        }
    }

    /// The database carries a request out.
    fn serve(&mut self, instance: &ByteString, ask: Ask) -> Answer {
        match ask {
            Ask::Join => {
                let last = self.database.last;
                if self.flaw == Flaw::JoinsInTwoSteps {
                    let at = self.time.now() + self.delay();
                    self.time.at(at, Event::Appear { instance: instance.clone(), last });
                } else {
                    self.add_member(instance.clone(), last);
                }
                Answer::Joined { last }
            }
            Ask::Renew { applied, renewing } => {
                let Some(row) = self.database.members.get_mut(instance) else {
                    return Answer::Renewed { last: None, renewing };
                };
                row.beat += 1;
                let is_news = applied > row.applied;
                row.applied = applied.max(row.applied);
                if is_news {
                    self.tell_all();
                }
                Answer::Renewed { last: Some(self.database.last), renewing }
            }
            Ask::Changes { after } => {
                let keys = self.database.changes.range(after + 1..).map(|(_, key)| *key).collect();
                Answer::Changes { after, keys }
            }
            Ask::Standing => {
                let members = self.database.members.values().cloned().collect();
                Answer::Standing(Standing { last: self.database.last, members })
            }
            Ask::Read { key, place } => {
                Answer::Read { key, place, revoked: self.database.revoked.contains(&key) }
            }
            Ask::Revoke { key } => {
                self.database.revoked.insert(key);
                self.database.last += 1;
                self.database.changes.insert(self.database.last, key);
                self.tell_all();
                Answer::Revoked { key }
            }
            Ask::Forget { instance, beat } => {
                if self.database.members.get(&instance).is_some_and(|row| row.beat == beat) {
                    self.database.members.remove(&instance);
                }
                Answer::None
            }
            Ask::Leave { lease } => {
                let (loses_leases, is_unseen) =
                    (self.flaw == Flaw::LeavesItsLeases, self.flaw == Flaw::LeavesUnseen);
                if lease.is_zero() || loses_leases {
                    self.database.members.remove(instance);
                } else if let Some(row) = self.database.members.get_mut(instance) {
                    (row.membership, row.lease) = (Duration::ZERO, lease);
                    row.beat += u64::from(!is_unseen);
                }
                self.tell_all();
                Answer::None
            }
        }
    }

    fn add_member(&mut self, instance: ByteString, last: u64) {
        let row = MemberRow {
            instance: instance.clone(),
            beat: 0,
            applied: last,
            membership: MEMBERSHIP,
            lease: LEASE,
        };
        self.database.members.insert(instance, row);
    }

    fn tell_all(&mut self) {
        for core in 0..CORES {
            if self.time.below(5) > 0 {
                let at = self.time.now() + self.delay();
                self.time.at(at, Event::News(core));
            }
        }
    }

    /// A Core takes an answer of the database.
    fn take(&mut self, core: usize, sent: Duration, answer: Answer) {
        let (clock, flaw) = (self.clock(core), self.flaw);
        let counted = if flaw == Flaw::CountsFromTheAnswer { clock } else { sent };
        let own = &mut self.cores[core];
        match answer {
            Answer::Joined { last } => {
                if flaw != Flaw::KeepsKeysOnJoining {
                    own.places.clear();
                }
                own.member = Some(Member::joined(counted, MEMBERSHIP, last));
            }
            Answer::Renewed { last: None, .. } => self.join(core),
            Answer::Renewed { last: Some(last), renewing } => {
                let Some(member) = &mut own.member else { return };
                let last = if flaw == Flaw::RenewsWithoutFollowing { member.bound() } else { last };
                let renewing = Renewing { sent: counted, ..renewing };
                if member.renewed(renewing, last).expect("the database forgets nothing") {
                    let after = member.bound();
                    self.ask(core, Ask::Changes { after });
                }
            }
            Answer::Changes { after, keys } => self.follow(core, after, &keys),
            Answer::Standing(standing) => {
                // One answer for all that wait. What was asked before says nothing.
                let takes_all = flaw == Flaw::TakesAnEarlierAnswer;
                for pending in own.pending.iter_mut().filter(|pending| takes_all || pending.committed <= sent)
                {
                    match &mut pending.settlement {
                        Some(settlement) => settlement.look(&standing),
                        None => {
                            pending.settlement =
                                Some(Settlement::new(&standing, &own.instance, DRIFT, clock));
                        }
                    }
                }
                let ended = if flaw == Flaw::ForgetsTheLiving {
                    let mut shortened = standing.clone();
                    for row in &mut shortened.members {
                        (row.membership, row.lease) = (MEMBERSHIP / 4, Duration::ZERO);
                    }
                    own.watch.look(&shortened, DRIFT, clock)
                } else {
                    own.watch.look(&standing, DRIFT, clock)
                };
                let behind = own.member.as_ref().map(Member::bound).filter(|bound| *bound < standing.last);
                for (instance, beat) in ended {
                    self.ask(core, Ask::Forget { instance, beat });
                }
                if let Some(after) = behind {
                    self.ask(core, Ask::Changes { after });
                }
            }
            Answer::Read { key, place, revoked } => match own.places.get_mut(&key) {
                Some((current, open)) if *current == place && !revoked => *open = true,
                Some((current, _)) if *current == place => _ = own.places.remove(&key),
                _ => (),
            },
            Answer::Revoked { key } => {
                own.places.remove(&key);
                let revocation = own.grantor.revoke(&[key], clock);
                own.pending.push(Pending { key, own: revocation, committed: clock, settlement: None });
                self.ask(core, Ask::Standing);
            }
            Answer::None => (),
        }
    }

    fn follow(&mut self, core: usize, after: u64, keys: &[u32]) {
        let (clock, flaw) = (self.clock(core), self.flaw);
        let own = &mut self.cores[core];
        let Some(member) = own.member.as_mut().filter(|member| member.bound() == after && !keys.is_empty())
        else {
            return;
        };
        let up_to = after + keys.len() as u64;
        let mut revocations = Vec::new();
        for key in keys {
            own.places.remove(key);
            revocations.push((*key, own.grantor.revoke(&[*key], clock)));
        }
        member.bind(up_to);
        if flaw == Flaw::SpeaksForItsGateway {
            member.settled(up_to);
        }
        own.settling.push((up_to, revocations));
    }

    fn grant(&mut self, core: usize, key: u32, asked: Asked) {
        let clock = self.clock(core);
        if !self.is_live(core) || !self.cores[core].places.get(&key).is_some_and(|(_, open)| *open) {
            return;
        }
        if self.cores[core].grantor.grant(&key, &core, LEASE, clock) == Grant::Granted
            && self.time.below(20) > 0
        {
            let at = self.time.now() + self.delay();
            self.time.at(at, Event::GrantLease { core, key, asked });
        }
    }

    fn is_live(&self, core: usize) -> bool {
        let member = self.cores[core].member.as_ref();
        member.is_some_and(|member| self.flaw == Flaw::IgnoresItsEnd || member.is_live(self.clock(core)))
    }

    /// Core and Gateway use every key that they may; the Gateway runs where the Core is stopped, too.
    fn work(&mut self, core: usize) {
        for key in 0..KEYS {
            match self.cores[core].places.get(&key) {
                Some((_, true)) if self.is_live(core) => self.judge("Core", core, key),
                Some(_) => (),
                None if self.is_live(core) => {
                    let place = self.time.name();
                    self.cores[core].places.insert(key, (place, false));
                    self.ask(core, Ask::Read { key, place });
                }
                None => (),
            }
            // An attempt to open that got lost is given up.
            if self.time.below(30) == 0 && self.cores[core].places.get(&key).is_some_and(|(_, open)| !open) {
                self.cores[core].places.remove(&key);
            }
            if self.cores[core].gateway.is_live(&key, self.gateway_clock(core)) {
                self.judge("Gateway", core, key);
            }
            if self.time.below(4) == 0 {
                let asked = self.cores[core].gateway.ask(self.gateway_clock(core));
                let at = self.time.now() + self.delay();
                self.time.at(at, Event::AskLease { core, key, asked });
            }
        }
        let at = self.time.now() + Duration::from_micros(1_000 + self.time.below(15_000));
        self.time.at(at, Event::Work(core));
    }

    fn judge(&mut self, who: &str, core: usize, key: u32) {
        self.uses += 1;
        if let Some(answered) = self.answered.get(&key) {
            let (now, flaw) = (self.time.now(), self.flaw);
            self.violation = Some(format!(
                "{flaw:?}: {who} {core} used key {key} at {now:?}, its Revoke was answered at {answered:?}"
            ));
        }
    }

    /// A Core renews, asks its Gateway to give up, looks what has settled, and answers.
    fn beat(&mut self, core: usize) {
        let clock = self.clock(core);
        let own = &mut self.cores[core];
        let (member, grantor) = (&mut own.member, &mut own.grantor);
        own.settling.retain(|(up_to, revocations)| {
            let is_settled = revocations.iter().all(|(_, revocation)| grantor.is_done(*revocation, clock));
            if let Some(member) = member.as_mut().filter(|_| is_settled) {
                member.settled(*up_to);
            }
            !is_settled
        });
        let early = if self.flaw == Flaw::ForgetsLeases { DRIFT.stretch(LEASE) } else { Duration::ZERO };
        let mut answered = Vec::new();
        own.pending.retain(|Pending { key, own, settlement, .. }| {
            let settled = settlement.as_ref().is_some_and(|settlement| settlement.is_done(clock + early));
            let is_done = settled && grantor.is_done(*own, clock);
            answered.extend(is_done.then_some(*key));
            !is_done
        });
        let mut recalls: Vec<(u32, Revocation)> =
            own.settling.iter().flat_map(|(_, revocations)| revocations.clone()).collect();
        recalls.extend(own.pending.iter().map(|pending| (pending.key, pending.own)));
        let (life, is_waiting) = (own.life, !own.pending.is_empty());
        let renewal = own.member.as_ref().map(|member| (member.applied(), member.renewing(clock)));
        for key in answered {
            self.answered.entry(key).or_insert(self.time.now());
        }
        for (key, revocation) in recalls {
            if self.cores[core].grantor.holders(revocation).next().is_some() && self.time.below(3) > 0 {
                let at = self.time.now() + self.delay();
                self.time.at(at, Event::Recall { core, life, key, revocation });
            }
        }
        match renewal {
            Some((applied, renewing)) => self.ask(core, Ask::Renew { applied, renewing }),
            None => self.join(core),
        }
        if is_waiting || self.time.below(3) == 0 {
            self.ask(core, Ask::Standing);
        }
        let pause = Duration::from_micros(10_000 + self.time.below(40_000));
        self.time.at(self.time.now() + pause, Event::Beat(core));
    }
}

/// What schedules add up to.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    uses: u64,
    answered: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.uses += other.uses;
        self.answered += other.answered;
    }
}

#[test]
fn no_key_is_used_anywhere_after_its_revoke_was_answered() {
    let tally = simulation::run("REGION", (200, 20_000), |seed| World::new(seed, Flaw::None).run());
    eprintln!("REGION: no violation; {tally:?}");
    assert!(
        tally.uses > 0 && tally.answered > 0,
        "no key was used, or no Revoke answered: it proves nothing"
    );
}

#[test]
fn every_flaw_is_caught() {
    let flaws = [
        Flaw::RenewsWithoutFollowing,
        Flaw::CountsFromTheAnswer,
        Flaw::IgnoresItsEnd,
        Flaw::ForgetsLeases,
        Flaw::SpeaksForItsGateway,
        Flaw::KeepsKeysOnJoining,
        Flaw::ForgetsTheLiving,
        Flaw::JoinsInTwoSteps,
        Flaw::LeavesItsLeases,
        Flaw::TakesAnEarlierAnswer,
        Flaw::LeavesUnseen,
    ];
    for flaw in flaws {
        simulation::catch("REGION", &format!("{flaw:?}"), |seed| World::new(seed, flaw).run());
    }
}
