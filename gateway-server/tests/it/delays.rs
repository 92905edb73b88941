//! How long revocations take, measured round by round.

use std::time::Duration;

/// What the rounds of a test took.
#[derive(Default)]
pub struct Delays {
    last_success: Vec<Duration>,
    answer: Vec<Duration>,
}

impl Delays {
    /// Notes a round: from the Revoke to the last success, and to its answer.
    pub fn note(&mut self, last_success: Duration, answer: Duration) {
        self.last_success.push(last_success);
        self.answer.push(answer);
    }

    pub fn longest_success(&self) -> Duration {
        self.last_success.iter().copied().max().unwrap_or_default()
    }

    /// Prints the figures. They are for people: a machine that is busy with something else makes them useless.
    pub fn print(&self, what: &str) {
        print(what, "last success", &self.last_success);
        print(what, "answer", &self.answer);
    }
}

fn print(what: &str, until: &str, delays: &[Duration]) {
    let mut sorted = delays.to_vec();
    sorted.sort();
    let at = |part: usize| sorted.get((sorted.len() * part).div_ceil(100).saturating_sub(1));
    println!(
        "{what}: Revoke to {until} over {} rounds: p50 {:.1?}, p99 {:.1?}, max {:.1?}",
        sorted.len(),
        at(50).unwrap(),
        at(99).unwrap(),
        at(100).unwrap()
    );
}
