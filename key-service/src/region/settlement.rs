//! What the Core that made a change waits for, and how members that have ended are forgotten.

use std::collections::HashMap;
use std::time::Duration;

use bytestring::ByteString;

use crate::lease::Drift;
use crate::port::{MemberRow, Standing};

/// A change that has been committed, and the members that it may not bind yet.
#[derive(Debug)]
pub struct Settlement {
    sequence: u64,
    /// By when each of them can neither use a key that it should not, nor a Gateway under its lease.
    waiting: HashMap<ByteString, Duration>,
}

impl Settlement {
    /// A change that was committed before `standing` was asked for: it is among those up to [`Standing::last`]. `now` is when
    /// the answer was there, on the clock of the Core that made the change, which is the member `own`.
    pub fn new(standing: &Standing, own: &str, drift: Drift, now: Duration) -> Self {
        let others = standing.members.iter().filter(|member| member.instance != own);
        let waiting = others
            .filter(|member| member.applied < standing.last)
            .map(|member| (member.instance.clone(), now + longest(member, drift)))
            .collect();
        Self { sequence: standing.last, waiting }
    }

    /// Takes in what the members say, in an answer to a question that was asked later than the one before. One that has gone was forgotten because it had ended.
    pub fn look(&mut self, standing: &Standing) {
        self.waiting.retain(|instance, _| {
            let mut members = standing.members.iter();
            members.any(|member| member.instance == *instance && member.applied < self.sequence)
        });
    }

    /// Whom it waits for.
    pub fn waiting(&self) -> impl Iterator<Item = &ByteString> {
        self.waiting.keys()
    }

    /// When the change binds everybody, if nobody says so before; `None` if it does.
    pub fn done_at(&self) -> Option<Duration> {
        self.waiting.values().max().copied()
    }

    /// Whether the change binds everybody.
    pub fn is_done(&self, now: Duration) -> bool {
        self.done_at().is_none_or(|done_at| done_at <= now)
    }
}

/// For how long a member without renewal, and then the Gateways under its leases, may go on.
fn longest(member: &MemberRow, drift: Drift) -> Duration {
    drift.stretch(member.membership) + drift.stretch(member.lease)
}

/// Looks which members are not renewed any more.
#[derive(Debug, Default)]
pub struct Watch {
    seen: HashMap<ByteString, (u64, Duration)>,
}

impl Watch {
    /// The members that can be forgotten, with the beats that they are to be forgotten at.
    pub fn look(&mut self, standing: &Standing, drift: Drift, now: Duration) -> Vec<(ByteString, u64)> {
        self.seen.retain(|instance, _| standing.members.iter().any(|member| member.instance == *instance));
        let mut ended = Vec::new();
        for member in &standing.members {
            let seen = self.seen.entry(member.instance.clone()).or_insert((member.beat, now));
            if seen.0 != member.beat {
                *seen = (member.beat, now);
            }
            if now.saturating_sub(seen.1) >= longest(member, drift) {
                ended.push((member.instance.clone(), member.beat));
            }
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXACT: Drift = Drift { per_mille: 0, fixed: Duration::ZERO };

    fn member(instance: &'static str, beat: u64, applied: u64) -> MemberRow {
        let (membership, lease) = (Duration::from_secs(2), Duration::from_secs(5));
        MemberRow { instance: instance.into(), beat, applied, membership, lease }
    }

    fn second(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    #[test]
    fn a_change_is_settled_when_all_have_applied_it() {
        let members = vec![member("own", 1, 3), member("a", 1, 3), member("b", 1, 4), member("c", 1, 3)];
        let standing = Standing { last: 4, members };
        let mut settlement = Settlement::new(&standing, "own", EXACT, second(10));
        assert_eq!(settlement.done_at(), Some(second(17)));
        // One has applied it, the other was forgotten.
        settlement.look(&Standing { last: 9, members: vec![member("a", 2, 4), member("d", 1, 0)] });
        assert!(settlement.is_done(second(10)));
    }

    #[test]
    fn a_member_that_is_not_renewed_is_forgotten_in_the_end() {
        let mut watch = Watch::default();
        let standing = |beat| Standing { last: 0, members: vec![member("a", beat, 0)] };
        assert!(watch.look(&standing(1), EXACT, second(1)).is_empty());
        assert!(watch.look(&standing(2), EXACT, second(8)).is_empty());
        assert!(watch.look(&standing(2), EXACT, second(14)).is_empty());
        assert_eq!(watch.look(&standing(2), EXACT, second(15)), [("a".into(), 2)]);
    }
}
