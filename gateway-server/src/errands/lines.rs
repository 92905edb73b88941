//! The lines of tenants: who waits with what, and whose turn it is. They know neither a clock nor the network.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use bytestring::ByteString;

use super::Bounds;

/// A tenant whose message was answered within this may have twice as many under way, up to its share. One whose message was not
/// begins with one again.
const QUICK: Duration = Duration::from_millis(250);

/// A tenant whose last message took longer than this is slow, until one is answered quickly: of all messages, half are left to
/// those that are not.
const SLOW: Duration = Duration::from_secs(1);

/// Slow tenants that are remembered while they have nothing to send.
const MAXIMUM_SLOW: usize = 16_384;

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
    /// Those who would have a turn, were there not as many messages of slow tenants under way as there may be.
    held: VecDeque<ByteString>,
    slow: HashSet<ByteString>,
    /// Messages of slow tenants that are under way.
    slow_messages: usize,
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
    is_slow: bool,
}

impl<E> Default for Line<E> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), messages: 0, allowance: 1, has_turn: false, is_slow: false }
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
        Self {
            bounds,
            tenants: HashMap::new(),
            turns: VecDeque::new(),
            held: VecDeque::new(),
            slow: HashSet::new(),
            slow_messages: 0,
            waiting: 0,
            messages: 0,
            is_closed: false,
        }
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
            let line = Line { is_slow: self.slow.contains(tenant), ..Line::default() };
            self.tenants.insert(ByteString::from(tenant), line);
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
            let most_of_slow = self.most_of_slow();
            let Some(line) = self.tenants.get_mut(&tenant) else { continue };
            if line.is_slow && self.slow_messages >= most_of_slow {
                self.held.push_back(tenant);
                continue;
            }
            line.has_turn = false;
            let before = line.waiting.len();
            let errands = line.next_message(&self.bounds);
            self.waiting -= before - line.waiting.len();
            if !errands.is_empty() {
                line.messages += 1;
                self.messages += 1;
                self.slow_messages += usize::from(line.is_slow);
            }
            self.settle(&tenant);
            if !errands.is_empty() {
                return Some((tenant, errands));
            }
        }
        None
    }

    /// Messages of slow tenants that may be under way.
    fn most_of_slow(&self) -> usize {
        (self.bounds.messages / 2).max(1)
    }

    /// A message of the tenant was answered, or given up, after so long.
    pub(super) fn done(&mut self, tenant: &str, took: Duration) {
        let Some(line) = self.tenants.get_mut(tenant) else { return };
        let slow_before = if line.is_slow { line.messages } else { 0 };
        line.messages -= 1;
        self.messages -= 1;
        line.allowance = match took <= QUICK {
            true => (line.allowance * 2).min(self.bounds.messages_per_tenant.max(1)),
            false => 1,
        };
        if took > SLOW {
            line.is_slow = true;
            if self.slow.len() < MAXIMUM_SLOW {
                self.slow.insert(ByteString::from(tenant));
            }
        } else if took <= QUICK && line.is_slow {
            line.is_slow = false;
            self.slow.remove(tenant);
        }
        let slow_after = if line.is_slow { line.messages } else { 0 };
        self.slow_messages = self.slow_messages - slow_before + slow_after;
        self.settle(tenant);
        // As many of those that were held back have their turn now as there is room for.
        let room = self.most_of_slow().saturating_sub(self.slow_messages).min(self.held.len());
        self.turns.extend(self.held.drain(..room));
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
        assert!(lines.tenants.is_empty() && lines.turns.is_empty() && lines.held.is_empty());
        assert_eq!((lines.waiting, lines.messages, lines.slow_messages), (0, 0, 0));
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
            lines.done(&tenant, QUICK);
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
        lines.done(&first, QUICK);
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
        lines.done("acme", QUICK);
        push(&mut lines, "acme", 4);
        assert_eq!(
            [next(&mut lines).unwrap().0, next(&mut lines).unwrap().0],
            ["acme", "acme"],
            "quick ones have more"
        );
        lines.done("slow", QUICK * 2);
        assert_eq!(next(&mut lines).unwrap().0, "slow");
        assert_eq!(next(&mut lines), None);
        lines.done("slow", QUICK * 2);
        lines.done("acme", QUICK);
        lines.done("acme", QUICK * 2);
        assert_eq!(next(&mut lines).unwrap().0, "slow");
        lines.done("slow", QUICK);
        assert_empty(&lines);
    }

    #[test]
    fn tenants_whose_roots_are_silent_leave_half_of_the_messengers_to_others() {
        let mut lines = lines();
        let silent = ["a", "b", "c", "d"];
        // Nobody knows yet, ...
        silent.iter().for_each(|tenant| push(&mut lines, tenant, 1));
        silent.iter().for_each(|tenant| assert_eq!(next(&mut lines).unwrap().0, *tenant));
        silent.iter().for_each(|tenant| lines.done(tenant, SLOW * 2));
        assert_empty(&lines);
        // ... and now it is remembered.
        silent.iter().for_each(|tenant| push(&mut lines, tenant, 1));
        push(&mut lines, "acme", 1);
        push(&mut lines, "globex", 1);
        let under_way: Vec<String> = (0..4).map(|_| next(&mut lines).unwrap().0).collect();
        assert_eq!(under_way, ["a", "b", "acme", "globex"]);
        assert_eq!(next(&mut lines), None, "two of four are theirs");
        lines.done("a", SLOW * 2);
        assert_eq!(next(&mut lines).unwrap().0, "c");
        // One that answers quickly is as others are, and makes room.
        lines.done("b", QUICK);
        assert_eq!(next(&mut lines).unwrap().0, "d");
        push(&mut lines, "b", 1);
        assert_eq!(next(&mut lines).unwrap().0, "b");
        for (tenant, took) in
            [("c", SLOW * 2), ("d", SLOW * 2), ("b", QUICK), ("acme", QUICK), ("globex", QUICK)]
        {
            lines.done(tenant, took);
        }
        assert_empty(&lines);
        assert_eq!(lines.slow.len(), 3);
    }

    #[test]
    fn what_was_given_up_is_not_sent_and_takes_no_room() {
        let mut lines = lines();
        (0..12).for_each(|_| assert_eq!(lines.push("acme", 0), None));
        assert_eq!(lines.push("acme", 3), None, "there is room in the line");
        assert_eq!(next(&mut lines), Some(("acme".to_owned(), vec![3])));
        lines.done("acme", QUICK);
        (0..5).for_each(|_| assert_eq!(lines.push("acme", 0), None));
        assert_eq!(next(&mut lines), None);
        assert_empty(&lines);
    }
}
