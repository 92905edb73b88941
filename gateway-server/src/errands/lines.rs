//! The lines of tenants: who waits with what, and whose turn it is. They know neither time nor the network.

use std::collections::{HashMap, VecDeque};

use bytestring::ByteString;

use super::Bounds;

/// What a client of a tenant is told that has as much waiting as it may.
const OWN_LINE_IS_FULL: &str = "too many requests of this tenant wait for the key vault already (core.maximum_waiting_per_tenant of \
     the Gateway): send fewer at a time, or try again later";

/// What a client of the tenant is told that has most waiting where no more can.
const LONGEST_LINE_GIVES_WAY: &str = "too many requests wait for the key vault (core.maximum_waiting of the Gateway), and most of them \
     are of this tenant: send fewer at a time, or try again later";

/// What there is no room for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TurnedAway<E> {
    pub(super) waiting: E,
    /// Why, for the client: it is the line of its own tenant.
    pub(super) limit: &'static str,
}

/// What waits in a line.
pub(super) trait Waiting {
    fn bytes(&self) -> usize;

    /// Whether nobody waits for it any more.
    fn is_given_up(&self) -> bool;
}

/// The lines of tenants, and whose turn it is.
pub(super) struct Lines<E> {
    bounds: Bounds,
    tenants: HashMap<ByteString, Line<E>>,
    /// Those who have something waiting and may send it now.
    turns: VecDeque<ByteString>,
    waiting: usize,
    messages: usize,
    pub(super) is_closed: bool,
}

struct Line<E> {
    waiting: VecDeque<E>,
    messages: usize,
    /// Messages that may be under way: more while they are answered quickly.
    allowance: usize,
    has_turn: bool,
}

impl<E> Default for Line<E> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), messages: 0, allowance: 1, has_turn: false }
    }
}

impl<E: Waiting> Line<E> {
    /// What goes into the next message. Empty where all has been given up.
    fn next_message(&mut self, bounds: &Bounds) -> Vec<E> {
        let (mut errands, mut bytes) = (Vec::new(), 0);
        while errands.len() < bounds.items.max(1)
            && let Some(next) = self.waiting.front()
            && (next.is_given_up() || errands.is_empty() || bytes + next.bytes() <= bounds.bytes)
            && let Some(next) = self.waiting.pop_front()
        {
            if !next.is_given_up() {
                bytes += next.bytes();
                errands.push(next);
            }
        }
        errands
    }
}

impl<E: Waiting> Lines<E> {
    pub(super) fn new(bounds: Bounds) -> Self {
        let (tenants, turns) = (HashMap::new(), VecDeque::new());
        Self { bounds, tenants, turns, waiting: 0, messages: 0, is_closed: false }
    }

    /// Lines an errand up. Returns the one that there is no room for: it, or the last one of the longest line.
    pub(super) fn push(&mut self, tenant: &str, errand: E) -> Option<TurnedAway<E>> {
        if self.is_full(tenant) {
            return Some(TurnedAway { waiting: errand, limit: OWN_LINE_IS_FULL });
        }
        let turned_away = match self.waiting >= self.bounds.waiting {
            true => self.shorten_the_longest(),
            false => None,
        };
        if !self.tenants.contains_key(tenant) {
            self.tenants.insert(ByteString::from(tenant), Line::default());
        }
        if let Some(line) = self.tenants.get_mut(tenant) {
            line.waiting.push_back(errand);
            self.waiting += 1;
        }
        self.settle(tenant);
        turned_away
    }

    /// Whether a tenant has as much waiting as it may. What was given up does not count.
    fn is_full(&mut self, tenant: &str) -> bool {
        let most = self.bounds.waiting_per_tenant;
        let Some(line) = self.tenants.get_mut(tenant).filter(|line| line.waiting.len() >= most) else {
            return false;
        };
        let before = line.waiting.len();
        line.waiting.retain(|errand| !errand.is_given_up());
        self.waiting -= before - line.waiting.len();
        line.waiting.len() >= most
    }

    fn shorten_the_longest(&mut self) -> Option<TurnedAway<E>> {
        let longest = self.tenants.values_mut().max_by_key(|line| line.waiting.len())?;
        let last = longest.waiting.pop_back()?;
        self.waiting -= 1;
        Some(TurnedAway { waiting: last, limit: LONGEST_LINE_GIVES_WAY })
    }

    /// Whether somebody has a turn.
    pub(super) fn has_more(&self) -> bool {
        !self.turns.is_empty()
    }

    /// How much waits, of how many tenants something waits or is under way, and how many messages are.
    pub(super) fn extent(&self) -> [usize; 3] {
        [self.waiting, self.tenants.len(), self.messages]
    }

    /// The next message: whose, and what.
    pub(super) fn take(&mut self) -> Option<(ByteString, Vec<E>)> {
        while let Some(tenant) = self.turns.pop_front() {
            let Some(line) = self.tenants.get_mut(&tenant) else { continue };
            line.has_turn = false;
            let before = line.waiting.len();
            let errands = line.next_message(&self.bounds);
            self.waiting -= before - line.waiting.len();
            if !errands.is_empty() {
                line.messages += 1;
                self.messages += 1;
            }
            self.settle(&tenant);
            if !errands.is_empty() {
                return Some((tenant, errands));
            }
        }
        None
    }

    /// A message of the tenant was answered, quickly or not.
    pub(super) fn done(&mut self, tenant: &str, is_quick: bool) {
        if let Some(line) = self.tenants.get_mut(tenant) {
            line.messages -= 1;
            self.messages -= 1;
            line.allowance = match is_quick {
                true => (line.allowance * 2).min(self.bounds.messages_per_tenant.max(1)),
                false => 1,
            };
            self.settle(tenant);
        }
    }

    /// Gives a tenant its next turn, if it has something to send and may; forgets it if it has nothing at all.
    fn settle(&mut self, tenant: &str) {
        let Some((name, line)) = self.tenants.get_key_value(tenant) else { return };
        if line.has_turn {
            return;
        }
        if line.waiting.is_empty() && line.messages == 0 {
            self.tenants.remove(tenant);
        } else if !line.waiting.is_empty() && line.messages < line.allowance {
            self.turns.push_back(name.clone());
            if let Some(line) = self.tenants.get_mut(tenant) {
                line.has_turn = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;

    /// So many bytes, for which somebody waits or, if it is 0, nobody does.
    impl Waiting for usize {
        fn bytes(&self) -> usize {
            *self
        }

        fn is_given_up(&self) -> bool {
            *self == 0
        }
    }

    fn lines() -> Lines<usize> {
        Lines::new(Bounds {
            items: 4,
            bytes: 100,
            messages: 4,
            messages_per_tenant: 2,
            waiting: 20,
            waiting_per_tenant: 12,
            patience: Duration::ZERO,
        })
    }

    fn next(lines: &mut Lines<usize>) -> Option<(String, Vec<usize>)> {
        lines.take().map(|(tenant, errands)| (tenant.to_string(), errands))
    }

    fn push(lines: &mut Lines<usize>, tenant: &str, count: usize) {
        (0..count).for_each(|_| assert_eq!(lines.push(tenant, 1), None));
    }

    fn assert_empty(lines: &Lines<usize>) {
        assert!(lines.tenants.is_empty() && lines.turns.is_empty());
        assert_eq!((lines.waiting, lines.messages), (0, 0));
    }

    #[test]
    fn a_message_is_cut_by_items_and_by_bytes_and_a_large_errand_travels_alone() {
        let mut lines = lines();
        for bytes in [10, 20, 30, 40, 50, 500, 10, 60, 60] {
            assert_eq!(lines.push("acme", bytes), None);
        }
        let mut messages = Vec::new();
        while let Some((tenant, errands)) = next(&mut lines) {
            messages.push(errands);
            lines.done(&tenant, true);
        }
        assert_eq!(messages, [vec![10, 20, 30, 40], vec![50], vec![500], vec![10, 60], vec![60]]);
        assert_empty(&lines);
    }

    #[test]
    fn a_tenant_with_many_errands_leaves_every_other_turn_to_others() {
        let mut lines = lines();
        push(&mut lines, "greedy", 12);
        let refused = TurnedAway { waiting: 7, limit: OWN_LINE_IS_FULL };
        assert_eq!(lines.push("greedy", 7), Some(refused), "its line has an end");
        push(&mut lines, "acme", 1);
        push(&mut lines, "globex", 1);
        let first = next(&mut lines).unwrap().0;
        lines.done(&first, true);
        let order: Vec<String> = (0..4).map(|_| next(&mut lines).unwrap().0).collect();
        assert_eq!((&*first, &order[..2]), ("greedy", &["acme".to_owned(), "globex".to_owned()][..]));
        assert_eq!(order[2..], ["greedy", "greedy"]);
    }

    #[test]
    fn where_all_lines_are_too_long_the_longest_gives_way() {
        let mut lines = lines();
        push(&mut lines, "greedy", 11);
        assert_eq!(lines.push("greedy", 7), None);
        push(&mut lines, "busy", 8);
        let of_the_longest = |waiting| Some(TurnedAway { waiting, limit: LONGEST_LINE_GIVES_WAY });
        assert_eq!(lines.push("acme", 2), of_the_longest(7), "its last one");
        for _ in 0..6 {
            assert_eq!(lines.push("acme", 2), of_the_longest(1));
        }
        let waiting = |tenant: &str| lines.tenants[tenant].waiting.len();
        assert_eq!((waiting("acme"), waiting("greedy") + waiting("busy"), lines.waiting), (7, 13, 20));
    }

    #[test]
    fn a_tenant_whose_messages_are_not_answered_has_one_messenger() {
        let mut lines = lines();
        push(&mut lines, "slow", 10);
        assert_eq!(next(&mut lines).unwrap().0, "slow");
        assert_eq!(next(&mut lines), None, "it has all that it may have under way");
        push(&mut lines, "acme", 8);
        assert_eq!(next(&mut lines).unwrap().0, "acme");
        assert_eq!(next(&mut lines), None);
        lines.done("acme", true);
        push(&mut lines, "acme", 4);
        assert_eq!(
            [next(&mut lines).unwrap().0, next(&mut lines).unwrap().0],
            ["acme", "acme"],
            "quick ones have more"
        );
        lines.done("slow", false);
        assert_eq!(next(&mut lines).unwrap().0, "slow");
        assert_eq!(next(&mut lines), None);
        lines.done("slow", false);
        lines.done("acme", true);
        lines.done("acme", false);
        assert_eq!(next(&mut lines).unwrap().0, "slow");
        lines.done("slow", true);
        assert_empty(&lines);
    }

    #[test]
    fn what_was_given_up_is_not_sent_and_takes_no_room() {
        let mut lines = lines();
        (0..12).for_each(|_| assert_eq!(lines.push("acme", 0), None));
        assert_eq!(lines.push("acme", 3), None, "there is room in the line");
        assert_eq!(next(&mut lines), Some(("acme".to_owned(), vec![3])));
        lines.done("acme", true);
        (0..5).for_each(|_| assert_eq!(lines.push("acme", 0), None));
        assert_eq!(next(&mut lines), None);
        assert_empty(&lines);
    }
}
