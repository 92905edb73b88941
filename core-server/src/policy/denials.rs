//! How often what the policy denies is logged: who asks again and again fills no log with it. The next line of a principal says how
//! many were left out, and a metric counts them. The audit log is another matter: it has what it has to have.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governance::{Principal, Role};

/// For how long lines are counted together.
const SPAN: Duration = Duration::from_secs(60);

/// Principals whose lines are counted apart. Those beyond share what one has.
const MAXIMUM_PRINCIPALS: usize = 1_000;

/// The lines of each principal.
pub(super) struct Denials {
    lines_per_minute: u32,
    principals: Mutex<HashMap<(Role, String), Lines>>,
}

/// The lines of a principal since `begun`.
#[derive(Default)]
struct Lines {
    begun: Duration,
    written: u32,
    /// Left out since the last one that was written.
    left_out: u64,
}

impl Denials {
    pub(super) fn new(lines_per_minute: u32) -> Self {
        Self { lines_per_minute, principals: Mutex::default() }
    }

    /// Whether a line about a principal is written `now`: then how many were left out before it.
    pub(super) fn line(&self, principal: &Principal<'_>, now: Duration) -> Option<u64> {
        let mut principals = self.principals.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |lines: &Lines| now.saturating_sub(lines.begun) >= SPAN;
        let mut key = (principal.role, principal.name.to_owned());
        if principals.len() >= MAXIMUM_PRINCIPALS && !principals.contains_key(&key) {
            principals.retain(|_, lines| !is_over(lines));
            if principals.len() >= MAXIMUM_PRINCIPALS {
                key.1.clear();
            }
        }
        let lines = principals.entry(key).or_insert_with(|| Lines { begun: now, ..Lines::default() });
        if is_over(lines) {
            (lines.begun, lines.written) = (now, 0);
        }
        if lines.written >= self.lines_per_minute {
            lines.left_out += 1;
            return None;
        }
        lines.written += 1;
        Some(std::mem::take(&mut lines.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway(name: &str) -> Principal<'_> {
        Principal { role: Role::Gateway, name }
    }

    #[test]
    fn a_principal_has_so_many_lines_a_minute_and_the_next_one_tells_what_was_left_out() {
        let denials = Denials::new(3);
        let at = Duration::from_secs;
        let lines: Vec<_> = (0..10).map(|second| denials.line(&gateway("thief"), at(second))).collect();
        assert_eq!(lines, [&[Some(0); 3][..], &[None; 7]].concat());
        assert_eq!(denials.line(&gateway("other"), at(10)), Some(0));
        assert_eq!(denials.line(&gateway("thief"), at(59)), None);
        assert_eq!(denials.line(&gateway("thief"), at(60)), Some(8));
        assert_eq!(denials.line(&gateway("thief"), at(61)), Some(0));
        assert_eq!(Denials::new(0).line(&gateway("thief"), at(0)), None);
    }

    #[test]
    fn any_number_of_names_takes_bounded_room_and_lines() {
        let denials = Denials::new(2);
        let names: Vec<_> = (0..3 * MAXIMUM_PRINCIPALS).map(|number| number.to_string()).collect();
        let written = names.iter().filter_map(|name| denials.line(&gateway(name), Duration::ZERO)).count();
        assert_eq!(written, MAXIMUM_PRINCIPALS + 2);
        assert!(
            denials.principals.lock().unwrap_or_else(PoisonError::into_inner).len() <= MAXIMUM_PRINCIPALS + 1
        );
        assert_eq!(denials.line(&gateway("late"), SPAN), Some(0), "there is room again");
    }
}
