//! The Gateway's side of a lease.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// The leases that a Gateway holds, by key. `now` is always its own monotonic clock.
#[derive(Debug)]
pub struct Holder<K> {
    leases: HashMap<K, Duration>,
    given_up: u64,
}

/// A request for a lease that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    pub(super) sent: Duration,
    pub(super) given_up: u64,
}

impl<K> Default for Holder<K> {
    fn default() -> Self {
        Self { leases: HashMap::new(), given_up: 0 }
    }
}

impl<K: Eq + Hash> Holder<K> {
    /// To be called right before a request for leases is sent.
    pub fn ask(&self, now: Duration) -> Asked {
        Asked { sent: now, given_up: self.given_up }
    }

    /// The grantor answered. Returns whether the lease counts: not if a key was given up since it was asked for,
    /// since the answer may be older than that; ask again then.
    pub fn granted(&mut self, asked: Asked, key: K, lease_time: Duration) -> bool {
        if asked.given_up != self.given_up {
            return false;
        }
        let ends = asked.sent + lease_time;
        let lease = self.leases.entry(key).or_default();
        *lease = ends.max(*lease);
        true
    }

    /// Gives up the lease on a key: the grantor asked for it back. After this returned, and whatever is used under
    /// the lease has stopped, the grantor may be told.
    pub fn give_up(&mut self, key: &K) {
        self.given_up += 1;
        self.leases.remove(key);
    }

    /// Gives up all leases: the way to the grantor is lost for good, or the grantor is another one now.
    pub fn give_up_all(&mut self) {
        self.given_up += 1;
        self.leases.clear();
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
        holder.give_up(&"l3");
        assert!(!holder.granted(asked, "l3", LEASE));
        assert!(!holder.is_live(&"l3", Duration::ZERO));
    }
}
