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
    leases: HashMap<K, Duration>,
    /// How often something was given up.
    given_up: u64,
    /// When, counted so, each key was given up last.
    given_up_keys: HashMap<K, u64>,
    /// When, counted so, the last key was that is not remembered any more.
    given_up_all: u64,
}

/// A request for a lease that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    pub(super) sent: Duration,
    pub(super) given_up: u64,
}

impl<K> Default for Holder<K> {
    fn default() -> Self {
        Self { leases: HashMap::new(), given_up: 0, given_up_keys: HashMap::new(), given_up_all: 0 }
    }
}

impl<K: Eq + Hash + Clone> Holder<K> {
    /// To be called right before a request for leases is sent.
    pub fn ask(&self, now: Duration) -> Asked {
        Asked { sent: now, given_up: self.given_up }
    }

    /// The grantor answered. Returns whether the lease counts: not if the key was given up since it was asked for,
    /// since the answer may be older than that; ask again then.
    pub fn granted(&mut self, asked: Asked, key: K, lease_time: Duration) -> bool {
        let last = self.given_up_keys.get(&key).copied().unwrap_or_default().max(self.given_up_all);
        if asked.given_up < last {
            return false;
        }
        let ends = asked.sent + lease_time;
        let lease = self.leases.entry(key).or_default();
        *lease = ends.max(*lease);
        true
    }

    /// Gives up the lease on a key: the grantor asked for it back. After this returned, and whatever is used under
    /// the lease has stopped, the grantor may be told.
    pub fn give_up(&mut self, key: K) {
        self.leases.remove(&key);
        self.given_up += 1;
        if self.given_up_keys.len() >= MAXIMUM_REMEMBERED {
            self.forget_given_up();
        }
        self.given_up_keys.insert(key, self.given_up);
    }

    /// No request under way counts any more, so that it need not be known which keys were given up.
    fn forget_given_up(&mut self) {
        self.given_up_keys.clear();
        self.given_up_all = self.given_up;
    }

    /// Whether the key may be used now.
    pub fn is_live<Q: Eq + Hash + ?Sized>(&self, key: &Q, now: Duration) -> bool
    where
        K: Borrow<Q>,
    {
        self.leases.get(key).is_some_and(|ends| now < *ends)
    }

    /// The keys whose leases end before `horizon`: to be asked for again, if they are still wanted.
    pub fn ending(&self, horizon: Duration) -> impl Iterator<Item = &K> {
        self.leases.iter().filter(move |(_, ends)| **ends < horizon).map(|(key, _)| key)
    }

    /// Forgets leases that have ended; returns their keys, so that what was unsealed under them can be wiped.
    pub fn expire(&mut self, now: Duration) -> Vec<K> {
        self.leases.extract_if(|_, ends| *ends <= now).map(|(key, _)| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(5);

    #[test]
    fn a_lease_counts_from_before_the_request() {
        let mut holder = Holder::default();
        let asked = holder.ask(Duration::from_secs(1));
        assert!(holder.granted(asked, "l3", LEASE));
        assert!(holder.is_live(&"l3", Duration::from_millis(5_999)));
        assert!(!holder.is_live(&"l3", Duration::from_secs(6)));
        assert_eq!(holder.expire(Duration::from_secs(6)), ["l3"]);
    }

    #[test]
    fn a_grant_that_was_overtaken_by_a_revocation_does_not_count() {
        let mut holder = Holder::default();
        let asked = holder.ask(Duration::ZERO);
        holder.give_up("l3");
        assert!(!holder.granted(asked, "l3", LEASE));
        assert!(!holder.is_live(&"l3", Duration::ZERO));
        let again = holder.ask(Duration::ZERO);
        assert!(holder.granted(again, "l3", LEASE));
    }

    #[test]
    fn a_recall_leaves_grants_of_other_keys_alone() {
        let mut holder = Holder::default();
        let asked = holder.ask(Duration::ZERO);
        holder.give_up("other");
        assert!(holder.granted(asked, "l3", LEASE));
    }

    #[test]
    fn recalls_that_are_too_many_to_remember_void_all_that_is_under_way() {
        let mut holder = Holder::default();
        let asked = holder.ask(Duration::ZERO);
        holder.give_up(0);
        (1..=MAXIMUM_REMEMBERED).for_each(|key| holder.give_up(key));
        assert!(holder.given_up_keys.len() <= MAXIMUM_REMEMBERED);
        assert!(!holder.granted(asked, 0, LEASE));
        let again = holder.ask(Duration::ZERO);
        assert!(holder.granted(again, 0, LEASE));
    }
}
