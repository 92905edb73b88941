//! The Core's side of leases.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;
use std::time::Duration;

use super::Drift;

/// Who holds a lease on what. `now` is always the Core's own monotonic clock.
#[derive(Debug)]
pub struct Grantor<K, H> {
    drift: Drift,
    /// Until when leases may be out there that this grantor does not know of.
    unknown_until: Duration,
    /// The keys that are revoked, and how many times: one revocation may be taken back, and another not.
    revoked: HashMap<K, u32>,
    leases: HashMap<K, HashMap<H, Duration>>,
    revocations: BTreeMap<u64, Pending<K, H>>,
    next_revocation: u64,
}

/// What became of a question for a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// It is granted.
    Granted,
    /// The key is revoked.
    Revoked,
    /// The holder was called to [forget](Grantor::call_to_forget), and has yet to give up what it holds. A renewal would have it
    /// go on, and keep what it was to forget.
    Owed,
}

/// Names a revocation that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revocation(u64);

/// Who has yet to give up, and when that no longer matters.
#[derive(Debug)]
struct Pending<K, H> {
    keys: HashSet<K>,
    holders: HashMap<H, Duration>,
    unknown_until: Duration,
    /// Whether they are granted no lease before.
    bars_renewal: bool,
}

impl<K: Eq + Hash + Clone, H: Eq + Hash + Clone> Grantor<K, H> {
    /// A grantor that starts at `now` and may have granted leases of up to `longest_lease` before it was restarted.
    pub fn new(now: Duration, longest_lease: Duration, drift: Drift) -> Self {
        Self {
            drift,
            unknown_until: now + drift.stretch(longest_lease),
            revoked: HashMap::new(),
            leases: HashMap::new(),
            revocations: BTreeMap::new(),
            next_revocation: 0,
        }
    }

    /// Grants a lease: never on a revoked key, nor to a holder that [owes](Self::owes) it.
    pub fn grant(&mut self, key: &K, holder: &H, lease_time: Duration, now: Duration) -> Grant {
        if self.revoked.contains_key(key) {
            return Grant::Revoked;
        }
        if self.owes(key, holder, now) {
            return Grant::Owed;
        }
        let ends = now + self.drift.stretch(lease_time);
        let holders = self.leases.entry(key.clone()).or_default();
        let lease = holders.entry(holder.clone()).or_default();
        *lease = ends.max(*lease);
        Grant::Granted
    }

    /// Whether a holder that was called to forget has yet to give up a key.
    pub fn owes(&self, key: &K, holder: &H, now: Duration) -> bool {
        let bars = |pending: &&Pending<K, H>| pending.bars_renewal && pending.keys.contains(key);
        let about_it = self.revocations.values().filter(bars);
        about_it.filter_map(|pending| pending.holders.get(holder)).any(|ends| *ends > now)
    }

    /// Revokes keys: grants no more leases on them. Tell [`holders`](Self::holders) to give up; answer the Revoke when
    /// [`is_done`](Self::is_done).
    pub fn revoke(&mut self, keys: &[K], now: Duration) -> Revocation {
        for key in keys {
            *self.revoked.entry(key.clone()).or_default() += 1;
        }
        self.recall(keys, now)
    }

    /// Takes back a revocation that was not recorded.
    pub fn readmit(&mut self, keys: &[K]) {
        for key in keys {
            let times = self.revoked.get_mut(key).map(|times| {
                *times -= 1;
                *times
            });
            if times == Some(0) {
                self.revoked.remove(key);
            }
        }
    }

    /// Recalls leases without revoking the keys: new ones are granted as before, and are no part of this.
    pub fn recall(&mut self, keys: &[K], now: Duration) -> Revocation {
        let holders = self.take_from(keys, |_| true, now);
        self.begin(keys.iter().cloned().collect(), holders, false)
    }

    /// Recalls the leases of a holder that could not be told what to forget. On these keys it is granted none before it has given
    /// up, or those have ended: then one begins.
    pub fn call_to_forget(&mut self, keys: &[K], holder: &H, now: Duration) -> Revocation {
        let holders = self.take_from(keys, |other| other == holder, now);
        self.begin(keys.iter().cloned().collect(), holders, true)
    }

    /// Takes leases out of the book. Returns who has yet to give up, and until when.
    fn take_from(
        &mut self,
        keys: &[K],
        is_meant: impl Fn(&H) -> bool,
        now: Duration,
    ) -> HashMap<H, Duration> {
        let mut holders: HashMap<H, Duration> = HashMap::new();
        for key in keys {
            let leases = self.leases.get_mut(key).into_iter();
            let recalled = leases.flat_map(|leases| leases.extract_if(|holder, _| is_meant(holder)));
            for (holder, ends) in recalled.filter(|(_, ends)| *ends > now) {
                let latest = holders.entry(holder).or_default();
                *latest = ends.max(*latest);
            }
        }
        // Whoever has yet to give up a key for an earlier revocation has yet to give it up for this one.
        for pending in
            self.revocations.values().filter(|pending| keys.iter().any(|key| pending.keys.contains(key)))
        {
            for (holder, ends) in
                pending.holders.iter().filter(|(holder, ends)| **ends > now && is_meant(holder))
            {
                let latest = holders.entry(holder.clone()).or_default();
                *latest = (*ends).max(*latest);
            }
        }
        holders
    }

    fn begin(&mut self, keys: HashSet<K>, holders: HashMap<H, Duration>, bars_renewal: bool) -> Revocation {
        let revocation = Revocation(self.next_revocation);
        self.next_revocation += 1;
        let unknown_until = self.unknown_until;
        self.revocations.insert(revocation.0, Pending { keys, holders, unknown_until, bars_renewal });
        revocation
    }

    /// Recalls all leases of some holders. Grant them none from before this is called on. Returns what has to be given up, too.
    pub fn expel(&mut self, is_expelled: impl Fn(&H) -> bool, now: Duration) -> (Revocation, Vec<K>) {
        let mut given_up = HashMap::new();
        let mut keys = HashSet::new();
        let mut owe = |holder: &H, ends: Duration| {
            let latest = given_up.entry(holder.clone()).or_insert(ends);
            *latest = ends.max(*latest);
        };
        for (key, holders) in &mut self.leases {
            for (holder, ends) in holders.extract_if(|holder, ends| *ends > now && is_expelled(holder)) {
                owe(&holder, ends);
                keys.insert(key.clone());
            }
        }
        // What they have yet to give up for others, they have yet to give up.
        for pending in self.revocations.values() {
            let owing = pending.holders.iter().filter(|(holder, ends)| **ends > now && is_expelled(holder));
            for (holder, ends) in owing {
                owe(holder, *ends);
                keys.extend(pending.keys.iter().cloned());
            }
        }
        let revocation = self.begin(keys.clone(), given_up, false);
        (revocation, keys.into_iter().collect())
    }

    /// Who has yet to give up.
    pub fn holders(&self, revocation: Revocation) -> impl Iterator<Item = &H> {
        self.revocations.get(&revocation.0).into_iter().flat_map(|pending| pending.holders.keys())
    }

    /// A holder has given up, and uses nothing of it any more.
    pub fn confirm(&mut self, revocation: Revocation, holder: &H) {
        if let Some(pending) = self.revocations.get_mut(&revocation.0) {
            pending.holders.remove(holder);
        }
    }

    /// Whether nobody can use the keys any more.
    pub fn is_done(&self, revocation: Revocation, now: Duration) -> bool {
        self.done_at(revocation) <= now
    }

    /// When nobody can use the keys any more, if nobody else gives up before.
    pub fn done_at(&self, revocation: Revocation) -> Duration {
        let Some(pending) = self.revocations.get(&revocation.0) else {
            return Duration::ZERO;
        };
        pending.holders.values().copied().max().unwrap_or_default().max(pending.unknown_until)
    }

    /// Until when somebody may hold a lease: a time that has passed where nobody does.
    pub fn all_end_at(&self) -> Duration {
        let leases = self.leases.values().flat_map(HashMap::values);
        let recalled = self.revocations.values().flat_map(|pending| pending.holders.values());
        leases.chain(recalled).copied().max().unwrap_or_default().max(self.unknown_until)
    }

    /// Forgets a revocation that has been answered.
    pub fn close(&mut self, revocation: Revocation) {
        self.revocations.remove(&revocation.0);
    }

    /// Until when leases may be out there that nobody here knows of.
    pub fn unknown_until(&self) -> Duration {
        self.unknown_until
    }

    /// Whether a revocation has to wait, beyond `now`, for leases of before a restart that nobody here knows of.
    pub fn waits_for_unknown(&self, revocation: Revocation, now: Duration) -> bool {
        self.revocations.get(&revocation.0).is_some_and(|pending| pending.unknown_until > now)
    }

    /// Forgets leases that have ended.
    pub fn expire(&mut self, now: Duration) {
        self.leases.retain(|_, holders| {
            holders.retain(|_, ends| *ends > now);
            !holders.is_empty()
        });
    }

    /// Who may use a key now: the holders of leases, and those who have yet to give theirs up.
    pub fn users(&self, key: &K, now: Duration) -> HashSet<H> {
        let leases = self.leases.get(key).into_iter().flatten();
        let pending = self.revocations.values().filter(|pending| pending.keys.contains(key));
        let all = leases.chain(pending.flat_map(|pending| &pending.holders));
        all.filter(|(_, ends)| **ends > now).map(|(holder, _)| holder.clone()).collect()
    }

    /// The live leases on a key.
    pub fn leases(&self, key: &K, now: Duration) -> impl Iterator<Item = (&H, Duration)> {
        let holders = self.leases.get(key).into_iter().flatten();
        holders.filter(move |(_, ends)| **ends > now).map(|(holder, ends)| (holder, *ends))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(5);
    const EXACT: Drift = Drift { per_mille: 0, fixed: Duration::ZERO };

    fn settled() -> (Grantor<&'static str, u32>, Duration) {
        (Grantor::new(Duration::ZERO, LEASE, EXACT), LEASE)
    }

    fn grants(
        grantor: &mut Grantor<&'static str, u32>,
        key: &'static str,
        holder: u32,
        now: Duration,
    ) -> bool {
        grantor.grant(&key, &holder, LEASE, now) == Grant::Granted
    }

    #[test]
    fn a_revocation_is_done_when_all_have_given_up() {
        let (mut grantor, now) = settled();
        assert!(grants(&mut grantor, "l3", 1, now) && grants(&mut grantor, "l3", 2, now));
        let revocation = grantor.revoke(&["l3"], now);
        grantor.confirm(revocation, &1);
        assert!(!grantor.is_done(revocation, now));
        grantor.confirm(revocation, &2);
        assert!(grantor.is_done(revocation, now));
        assert!(!grants(&mut grantor, "l3", 1, now));
    }

    #[test]
    fn a_recalled_key_is_leased_again() {
        let (mut grantor, now) = settled();
        assert!(grants(&mut grantor, "l3", 1, now));
        let recall = grantor.recall(&["l3"], now);
        assert_eq!(grantor.users(&"l3", now), HashSet::from([1]), "it has yet to give up");
        assert!(grants(&mut grantor, "l3", 1, now));
        assert!(!grantor.is_done(recall, now));
        grantor.confirm(recall, &1);
        assert!(grantor.is_done(recall, now));
        assert_eq!(grantor.leases(&"l3", now).count(), 1);
    }

    #[test]
    fn who_is_called_to_forget_gives_up_before_it_has_another_lease() {
        let (mut grantor, now) = settled();
        assert!(grants(&mut grantor, "l3", 1, now) && grants(&mut grantor, "l3", 2, now));
        let call = grantor.call_to_forget(&["l3"], &1, now);
        assert_eq!(grantor.grant(&"l3", &1, LEASE, now), Grant::Owed);
        assert!(grants(&mut grantor, "l3", 2, now) && grants(&mut grantor, "other", 1, now));
        grantor.confirm(call, &1);
        assert!(grantor.is_done(call, now) && grants(&mut grantor, "l3", 1, now));
        // One that is never told has nothing any more when its lease has ended.
        let call = grantor.call_to_forget(&["l3"], &1, now);
        assert_eq!(grantor.done_at(call), now + LEASE, "of others nothing is recalled");
        assert!(!grants(&mut grantor, "l3", 1, now) && grants(&mut grantor, "l3", 1, now + LEASE));
    }

    #[test]
    fn a_revocation_that_is_taken_back_leaves_another_one_in_force() {
        let (mut grantor, now) = settled();
        let first = grantor.revoke(&["l3"], now);
        grantor.revoke(&["l3"], now);
        grantor.readmit(&["l3"]);
        assert!(!grants(&mut grantor, "l3", 1, now));
        grantor.readmit(&["l3"]);
        assert!(grants(&mut grantor, "l3", 1, now));
        assert!(grantor.is_done(first, now), "what is granted later is no part of it");
    }

    #[test]
    fn a_holder_that_is_cut_off_delays_it_until_the_lease_has_ended() {
        let (mut grantor, now) = settled();
        assert!(grants(&mut grantor, "l3", 1, now));
        let revocation = grantor.revoke(&["l3"], now);
        assert_eq!(grantor.done_at(revocation), now + LEASE);
    }

    #[test]
    fn a_second_revocation_waits_for_the_holders_of_the_first() {
        let (mut grantor, now) = settled();
        assert!(grants(&mut grantor, "l3", 1, now));
        let first = grantor.revoke(&["l3"], now);
        let second = grantor.revoke(&["l3"], now);
        assert!(!grantor.is_done(first, now) && !grantor.is_done(second, now));
        grantor.confirm(second, &1);
        assert!(grantor.is_done(second, now));
    }

    #[test]
    fn who_is_expelled_gives_up_everything_and_nobody_else_does() {
        let (mut grantor, now) = settled();
        for key in ["a", "b"] {
            assert!(grants(&mut grantor, key, 1, now) && grants(&mut grantor, key, 2, now));
        }
        let recall = grantor.recall(&["a"], now);
        assert_eq!(grantor.grant(&"c", &1, LEASE + LEASE, now), Grant::Granted);
        let (expelled, mut keys) = grantor.expel(|holder| *holder == 1, now);
        keys.sort_unstable();
        assert_eq!(keys, ["a", "b", "c"]);
        assert_eq!(grantor.holders(expelled).collect::<Vec<_>>(), [&1]);
        assert_eq!(grantor.done_at(expelled), now + LEASE + LEASE);
        grantor.confirm(expelled, &1);
        assert!(grantor.is_done(expelled, now) && !grantor.is_done(recall, now));
        assert_eq!(grantor.leases(&"b", now).map(|(holder, _)| *holder).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn all_leases_end_with_the_last_one_that_is_out() {
        let (mut grantor, now) = settled();
        assert_eq!(grantor.all_end_at(), LEASE, "those of before its start");
        let later = now + LEASE;
        assert!(grants(&mut grantor, "l3", 1, later));
        assert_eq!(grantor.grant(&"other", &1, LEASE / 2, later), Grant::Granted);
        let revocation = grantor.revoke(&["l3"], later);
        assert_eq!(grantor.all_end_at(), later + LEASE, "what is recalled may be used until it is given up");
        grantor.confirm(revocation, &1);
        assert_eq!(grantor.all_end_at(), later + LEASE / 2);
    }

    #[test]
    fn a_restarted_grantor_waits_for_leases_that_it_forgot() {
        let mut grantor: Grantor<_, u32> = Grantor::new(Duration::from_secs(100), LEASE, EXACT);
        let revocation = grantor.revoke(&["l3"], Duration::from_secs(101));
        assert!(!grantor.is_done(revocation, Duration::from_secs(104)));
        assert!(grantor.is_done(revocation, Duration::from_secs(105)));
    }
}
