//! The Gateway's side of a lease.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// Recalled keys that are remembered at most. Where there are more, requests under way count for nothing, whatever
/// their key: they are asked again.
const MAXIMUM_REMEMBERED: usize = 4_096;

/// The leases that a Gateway holds, by key. `now` is always its own monotonic clock.
#[derive(Debug)]
pub struct Holder<K> {
    leases: HashMap<K, Lease>,
    /// How often a lease has begun, or something was given up.
    turns: u64,
    /// In which turn each key was given up last.
    given_up_keys: HashMap<K, u64>,
    /// In which turn the last key was that is not remembered any more.
    given_up_all: u64,
}

/// A lease, renewed or not, without a gap.
#[derive(Debug, Clone, Copy)]
struct Lease {
    /// When it began, in turns.
    began: u64,
    /// The life of the grantor that grants it.
    by: u64,
    ends: Duration,
}

/// A request that is under way: for a lease, or for something that is kept under one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    pub(super) sent: Duration,
    pub(super) turn: u64,
}

/// What became of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granted {
    /// It does not count: the key was given up since the lease was asked for, and the answer may be older than that. Ask again.
    Overtaken,
    /// The lease that there was goes on.
    Renewed,
    /// A lease begins: what is still there of what was opened under an earlier one is to be wiped. It was not told meanwhile
    /// what to forget.
    Begun,
}

impl<K> Default for Holder<K> {
    fn default() -> Self {
        Self { leases: HashMap::new(), turns: 0, given_up_keys: HashMap::new(), given_up_all: 0 }
    }
}

impl<K: Eq + Hash + Clone> Holder<K> {
    /// To be called right before a request is sent.
    pub fn ask(&self, now: Duration) -> Asked {
        Asked { sent: now, turn: self.turns }
    }

    /// A grantor answered: `by` tells its life from others. A lease of another life does not go on: what the earlier one wanted
    /// forgotten, and could not tell, this one does not know of.
    pub fn granted(&mut self, asked: Asked, by: u64, key: K, lease_time: Duration, now: Duration) -> Granted {
        let last = self.given_up_keys.get(&key).copied().unwrap_or_default().max(self.given_up_all);
        if asked.turn < last {
            return Granted::Overtaken;
        }
        let ends = asked.sent + lease_time;
        if let Some(lease) = self.leases.get_mut(&key).filter(|lease| now < lease.ends && lease.by == by) {
            lease.ends = ends.max(lease.ends);
            return Granted::Renewed;
        }
        self.turns += 1;
        self.leases.insert(key, Lease { began: self.turns, by, ends });
        Granted::Begun
    }

    /// Whether something that was asked for may be kept under the lease on a key: only if that has been held all the time. Else
    /// the answer may be older than something that the grantor wanted forgotten.
    pub fn may_keep<Q: Eq + Hash + ?Sized>(&self, asked: Asked, key: &Q, now: Duration) -> bool
    where
        K: Borrow<Q>,
    {
        self.leases.get(key).is_some_and(|lease| now < lease.ends && lease.began <= asked.turn)
    }

    /// Gives up the lease on a key: the grantor asked for it back. After this returned, and whatever is used under
    /// the lease has stopped, the grantor may be told.
    pub fn give_up(&mut self, key: K) {
        self.leases.remove(&key);
        self.turns += 1;
        if self.given_up_keys.len() >= MAXIMUM_REMEMBERED {
            self.forget_given_up();
        }
        self.given_up_keys.insert(key, self.turns);
    }

    /// No request under way counts any more, so that it need not be known which keys were given up.
    fn forget_given_up(&mut self) {
        self.given_up_keys.clear();
        self.given_up_all = self.turns;
    }

    /// Whether the key may be used now.
    pub fn is_live<Q: Eq + Hash + ?Sized>(&self, key: &Q, now: Duration) -> bool
    where
        K: Borrow<Q>,
    {
        self.lease(key, now).is_some()
    }

    /// Under which lease the key may be used now: when it began, in turns, which tells it from every other one.
    pub fn lease<Q: Eq + Hash + ?Sized>(&self, key: &Q, now: Duration) -> Option<u64>
    where
        K: Borrow<Q>,
    {
        self.leases.get(key).filter(|lease| now < lease.ends).map(|lease| lease.began)
    }

    /// The keys whose leases end before `horizon`: to be asked for again, if they are still wanted.
    pub fn ending(&self, horizon: Duration) -> impl Iterator<Item = &K> {
        self.leases.iter().filter(move |(_, lease)| lease.ends < horizon).map(|(key, _)| key)
    }

    /// Forgets leases that have ended; returns their keys, so that what was unsealed under them can be wiped.
    pub fn expire(&mut self, now: Duration) -> Vec<K> {
        self.leases.extract_if(|_, lease| lease.ends <= now).map(|(key, _)| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(5);
    const CORE: u64 = 1;

    #[test]
    fn a_lease_counts_from_before_the_request() {
        let mut holder = Holder::default();
        let asked = holder.ask(Duration::from_secs(1));
        assert_eq!(holder.granted(asked, CORE, "l3", LEASE, Duration::from_secs(2)), Granted::Begun);
        assert!(holder.is_live(&"l3", Duration::from_millis(5_999)));
        assert!(!holder.is_live(&"l3", Duration::from_secs(6)));
        assert_eq!(holder.expire(Duration::from_secs(6)), ["l3"]);
    }

    #[test]
    fn a_grant_that_was_overtaken_by_a_revocation_does_not_count() {
        let mut holder = Holder::default();
        let asked = holder.ask(Duration::ZERO);
        holder.give_up("l3");
        assert_eq!(holder.granted(asked, CORE, "l3", LEASE, Duration::ZERO), Granted::Overtaken);
        assert!(!holder.is_live(&"l3", Duration::ZERO));
        let again = holder.ask(Duration::ZERO);
        assert_eq!(holder.granted(again, CORE, "l3", LEASE, Duration::ZERO), Granted::Begun);
    }

    #[test]
    fn a_recall_leaves_grants_of_other_keys_alone() {
        let mut holder = Holder::default();
        let asked = holder.ask(Duration::ZERO);
        holder.give_up("other");
        assert_eq!(holder.granted(asked, CORE, "l3", LEASE, Duration::ZERO), Granted::Begun);
    }

    #[test]
    fn recalls_that_are_too_many_to_remember_void_all_that_is_under_way() {
        let mut holder = Holder::default();
        let asked = holder.ask(Duration::ZERO);
        holder.give_up(0);
        (1..=MAXIMUM_REMEMBERED).for_each(|key| holder.give_up(key));
        assert!(holder.given_up_keys.len() <= MAXIMUM_REMEMBERED);
        assert_eq!(holder.granted(asked, CORE, 0, LEASE, Duration::ZERO), Granted::Overtaken);
        let again = holder.ask(Duration::ZERO);
        assert_eq!(holder.granted(again, CORE, 0, LEASE, Duration::ZERO), Granted::Begun);
    }

    #[test]
    fn a_lease_that_is_renewed_in_time_goes_on_and_another_one_begins() {
        let (mut holder, second) = (Holder::default(), Duration::from_secs(1));
        let first = holder.ask(Duration::ZERO);
        assert_eq!(holder.granted(first, CORE, "l3", LEASE, second), Granted::Begun);
        let opening = holder.ask(second);
        let renewal = holder.ask(second);
        assert_eq!(holder.granted(renewal, CORE, "l3", LEASE, 2 * second), Granted::Renewed);
        assert!(holder.may_keep(opening, &"l3", 2 * second) && !holder.may_keep(first, &"l3", 2 * second));
        let earlier = holder.lease(&"l3", 2 * second);
        // It has ended, though nobody has looked yet.
        let late = holder.ask(7 * second);
        assert_eq!(holder.granted(late, CORE, "l3", LEASE, 7 * second), Granted::Begun);
        assert!(!holder.may_keep(opening, &"l3", 7 * second));
        assert!(earlier.is_some() && holder.lease(&"l3", 7 * second) > earlier);
    }

    #[test]
    fn a_lease_of_another_life_of_the_grantor_does_not_go_on() {
        let (mut holder, second) = (Holder::default(), Duration::from_secs(1));
        let first = holder.ask(Duration::ZERO);
        assert_eq!(holder.granted(first, CORE, "l3", LEASE, second), Granted::Begun);
        let (opening, again) = (holder.ask(second), holder.ask(second));
        assert_eq!(holder.granted(again, CORE + 1, "l3", LEASE, second), Granted::Begun);
        assert!(!holder.may_keep(opening, &"l3", second));
        let renewal = holder.ask(2 * second);
        assert_eq!(holder.granted(renewal, CORE + 1, "l3", LEASE, 2 * second), Granted::Renewed);
    }

    #[test]
    fn what_was_asked_for_before_a_recall_is_not_kept_after_it() {
        let mut holder = Holder::default();
        let granted = |holder: &mut Holder<_>| {
            let asked = holder.ask(Duration::ZERO);
            holder.granted(asked, CORE, "l3", LEASE, Duration::ZERO)
        };
        assert_eq!(granted(&mut holder), Granted::Begun);
        let opening = holder.ask(Duration::ZERO);
        assert!(holder.may_keep(opening, &"l3", Duration::ZERO));
        holder.give_up("l3");
        assert!(!holder.may_keep(opening, &"l3", Duration::ZERO));
        assert_eq!(granted(&mut holder), Granted::Begun);
        assert!(!holder.may_keep(opening, &"l3", Duration::ZERO));
    }
}
