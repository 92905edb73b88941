//! What a Core knows of its own membership.

use std::collections::BTreeMap;
use std::time::Duration;

/// A membership. `now` and `sent` are always on the Core's own monotonic clock.
#[derive(Debug)]
pub struct Member {
    membership: Duration,
    live_until: Duration,
    bound: u64,
    /// A renewal that counts as soon as all changes up to its number bind this member.
    renewal: Option<Renewal>,
    /// Changes that bind this member, but perhaps not its Gateways yet: up to which number, and after which.
    settling: BTreeMap<u64, u64>,
}

#[derive(Debug, Clone, Copy)]
struct Renewal {
    sent: Duration,
    last: u64,
}

/// A renewal that is under way.
#[derive(Debug, Clone, Copy)]
pub struct Renewing {
    pub(super) sent: Duration,
    pub(super) bound: u64,
}

/// The database has forgotten changes: it was restored from a backup, or is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewound;

impl Member {
    /// A Core that has joined, having asked at `sent`, and holds nothing: `last` is what it was told.
    pub fn joined(sent: Duration, membership: Duration, last: u64) -> Self {
        Self {
            membership,
            live_until: sent + membership,
            bound: last,
            renewal: None,
            settling: BTreeMap::new(),
        }
    }

    /// Whether keys may be used and leases be granted.
    pub fn is_live(&self, now: Duration) -> bool {
        now < self.live_until
    }

    /// Until when they may be, if nothing else comes.
    pub fn live_until(&self) -> Duration {
        self.live_until
    }

    /// The number up to which all changes bind this member.
    pub fn bound(&self) -> u64 {
        self.bound
    }

    /// To be called right before a renewal is sent.
    pub fn renewing(&self, now: Duration) -> Renewing {
        Renewing { sent: now, bound: self.bound }
    }

    /// A renewal was answered with `last`. Returns whether there are changes that have to
    /// [`bind`](Self::bind) before it counts.
    ///
    /// # Errors
    /// If the database is behind this member: it has to give up everything and join anew.
    pub fn renewed(&mut self, renewing: Renewing, last: u64) -> Result<bool, Rewound> {
        if last < renewing.bound {
            return Err(Rewound);
        }
        self.renewal = Some(Renewal { sent: renewing.sent, last });
        self.count_renewal();
        Ok(last > self.bound)
    }

    /// The changes up to a number bind this member now. Returns the number before them, for [`settled`](Self::settled).
    pub fn bind(&mut self, up_to: u64) {
        if up_to > self.bound {
            self.settling.insert(up_to, self.bound);
            self.bound = up_to;
        }
        self.count_renewal();
    }

    /// The changes that were bound up to a number bind the Gateways, too.
    pub fn settled(&mut self, up_to: u64) {
        self.settling.remove(&up_to);
    }

    /// Up to which number all changes bind this member and its Gateways: what the others are to be told.
    pub fn applied(&self) -> u64 {
        self.settling.values().next().copied().unwrap_or(self.bound)
    }

    fn count_renewal(&mut self) {
        if let Some(Renewal { sent, last }) = self.renewal
            && last <= self.bound
        {
            self.live_until = self.live_until.max(sent + self.membership);
            self.renewal = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMBERSHIP: Duration = Duration::from_secs(5);

    fn second(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    #[test]
    fn a_renewal_counts_from_before_it_was_sent() {
        let mut member = Member::joined(second(1), MEMBERSHIP, 7);
        assert!(member.is_live(second(5)) && !member.is_live(second(6)));
        assert_eq!(member.renewed(member.renewing(second(3)), 7), Ok(false));
        assert!(member.is_live(second(7)) && !member.is_live(second(8)));
    }

    #[test]
    fn a_renewal_counts_only_when_the_changes_bind() {
        let mut member = Member::joined(second(1), MEMBERSHIP, 7);
        assert_eq!(member.renewed(member.renewing(second(3)), 9), Ok(true));
        assert!(!member.is_live(second(6)));
        member.bind(8);
        assert!(!member.is_live(second(6)));
        member.bind(9);
        assert!(member.is_live(second(7)));
    }

    #[test]
    fn what_is_applied_waits_for_the_slowest() {
        let mut member = Member::joined(second(1), MEMBERSHIP, 7);
        member.bind(9);
        member.bind(12);
        assert_eq!(member.applied(), 7);
        member.settled(12);
        assert_eq!(member.applied(), 7);
        member.settled(9);
        assert_eq!(member.applied(), 12);
    }

    #[test]
    fn a_database_that_forgot_is_noticed() {
        let mut member = Member::joined(second(1), MEMBERSHIP, 7);
        let overtaken = member.renewing(second(2));
        assert_eq!(member.renewed(member.renewing(second(2)), 6), Err(Rewound));
        member.bind(8);
        assert_eq!(member.renewed(overtaken, 7), Ok(false));
        assert!(member.is_live(second(6)));
    }
}
