//! Load, and what is measured of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::subject::{Subject, secret};

/// How requests follow each other.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    connections: usize,
    /// Between two requests of a connection; none: as soon as the one before is answered.
    interval: Option<Duration>,
}

impl Pace {
    pub(crate) fn closed(connections: usize) -> Self {
        Self { connections, interval: None }
    }

    /// So many requests a second by all connections together, as far as they are answered in time.
    pub(crate) fn open(connections: usize, rate: f64) -> Self {
        Self { connections, interval: Some(Duration::from_secs_f64(connections as f64 / rate)) }
    }
}

/// What was measured.
#[derive(Default)]
pub(crate) struct Measured {
    nanoseconds: Vec<u64>,
    duration: Duration,
    processor: Duration,
}

impl Measured {
    pub(crate) fn add(&mut self, other: Self) {
        self.nanoseconds.extend(other.nanoseconds);
        self.nanoseconds.sort_unstable();
        self.duration += other.duration;
        self.processor += other.processor;
    }

    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.nanoseconds.len() as f64 / self.duration.as_secs_f64()
    }

    /// What a share of all requests took at most, from send to answer.
    pub(crate) fn microseconds(&self, share: f64) -> f64 {
        let at = (self.nanoseconds.len() as f64 * share) as usize;
        self.nanoseconds[at.min(self.nanoseconds.len() - 1)] as f64 / 1e3
    }

    /// What the server's processors spent on each answer.
    pub(crate) fn processor_microseconds(&self) -> f64 {
        self.processor.as_secs_f64() * 1e6 / self.nanoseconds.len() as f64
    }
}

/// Asks a subject the same for a while.
pub(crate) async fn measure(subject: &Subject, message: &[u8], pace: Pace, duration: Duration) -> Measured {
    let message: Arc<[u8]> = message.into();
    let mut connections = Vec::new();
    for _ in 0..pace.connections {
        let mut connection = subject.client.open().await.unwrap();
        subject.check(&connection.exchange(secret(&message)).await.unwrap());
        connections.push(connection);
    }
    let (began, before) = (Instant::now(), subject.processor_time());
    let end = began + duration;
    let mut tasks = JoinSet::new();
    for (number, mut connection) in connections.into_iter().enumerate() {
        let message = message.clone();
        let mut next =
            began + pace.interval.unwrap_or_default().mul_f64(number as f64 / pace.connections as f64);
        tasks.spawn(async move {
            let mut taken = Vec::new();
            let mut answer = None;
            while Instant::now() < end {
                if let Some(interval) = pace.interval {
                    sleep_until(next).await;
                    next += interval;
                }
                let sent = Instant::now();
                answer = Some(connection.exchange(secret(&message)).await.unwrap());
                taken.push(u64::try_from(sent.elapsed().as_nanos()).unwrap());
            }
            connection.close().await;
            (taken, answer)
        });
    }
    let mut measured = Measured::default();
    while let Some(ended) = tasks.join_next().await {
        let (taken, answer) = ended.unwrap();
        // One that fails is quick: the last one of each connection stands for all.
        answer.iter().for_each(|answer| subject.check(answer));
        measured.nanoseconds.extend(taken);
    }
    measured.duration = began.elapsed();
    measured.processor = subject.processor_time() - before;
    measured
}
