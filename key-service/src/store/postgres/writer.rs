//! The one task that writes: commits that wait at the same time share a transaction, and with it the disk's work at the
//! server. Statements sent one behind the other do not: each would wait for the disk by itself.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use super::batch::{Batch, Outcome};
use super::connections::{Connections, Failure, describe};
use super::region;
use crate::store::metrics::StoreMetrics;
use crate::store::transition::Prepared;

/// How often a transaction is done again because another server was faster.
const ATTEMPTS: usize = 8;

/// Bytes of records in one transaction, if it is of several commits.
const BATCH_BYTES: usize = 8 << 20;

/// A commit that waits.
pub(super) struct Request {
    pub(super) changes: Vec<Prepared>,
    pub(super) answer: oneshot::Sender<Outcome>,
}

pub(super) struct Writer {
    pub(super) connections: Arc<Connections>,
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) metrics: StoreMetrics,
    /// Whether other servers have to learn of changes.
    pub(super) tells: bool,
}

impl Writer {
    /// Works until nobody can send any more.
    pub(super) async fn run(mut self) {
        let maximum = self.connections.limits().batch_commits;
        let mut waiting: Vec<Request> = Vec::new();
        while !waiting.is_empty() || self.requests.recv_many(&mut waiting, maximum).await > 0 {
            // Whoever has stopped waiting was told that it may not have happened: it does not happen.
            waiting.retain(|request| !request.answer.is_closed());
            let rest = waiting.split_off(fitting(&waiting));
            let (commits, answers): (Vec<_>, Vec<_>) =
                waiting.into_iter().map(|request| (request.changes, request.answer)).unzip();
            waiting = rest;
            if commits.is_empty() {
                continue;
            }
            match self.measured(&commits).await {
                Ok(outcomes) => tell_outcomes(answers, outcomes),
                Err(failure) if commits.len() > 1 && failure.may_be_of_one() => {
                    self.one_by_one(commits, answers).await;
                }
                Err(failure) => tell_outcomes(answers, vec![Err(failure.into()); commits.len()]),
            }
        }
    }

    /// Each commit in a transaction of its own, after all of them together have failed: it cannot be told which of them the
    /// server refuses, and it must not spoil the others.
    async fn one_by_one(&self, commits: Vec<Vec<Prepared>>, answers: Vec<oneshot::Sender<Outcome>>) {
        for (changes, answer) in commits.into_iter().zip(answers) {
            if answer.is_closed() {
                continue;
            }
            let outcomes = self.measured(&[changes]).await;
            tell_outcomes([answer], outcomes.unwrap_or_else(|failure| vec![Err(failure.into())]));
        }
    }

    async fn measured(&self, commits: &[Vec<Prepared>]) -> Result<Vec<Outcome>, Failure> {
        let started = Instant::now();
        let outcomes = self.transact(commits).await;
        self.metrics.transacted(commits.len(), started.elapsed());
        outcomes
    }

    /// One transaction of all the commits that are not refused, done again where another server was in the way, or the
    /// connection was gone before anything was committed.
    async fn transact(&self, commits: &[Vec<Prepared>]) -> Result<Vec<Outcome>, Failure> {
        for _ in 1..ATTEMPTS {
            match self.attempt(commits).await {
                Err(Failure::Race) => self.metrics.raced(),
                Err(Failure::Closed(_)) => (),
                outcome => return outcome,
            }
        }
        self.attempt(commits).await
    }

    async fn attempt(&self, commits: &[Vec<Prepared>]) -> Result<Vec<Outcome>, Failure> {
        let mut connection = self.connections.take().await?;
        let attempted = self.connections.limited(async {
            let transaction = connection.transaction().await?;
            let mut batch = Batch::begin(&transaction, commits).await?;
            let outcomes: Vec<Outcome> = commits.iter().map(|changes| batch.take(changes.clone())).collect();
            if batch.is_empty() {
                transaction.rollback().await?;
                return Ok(outcomes);
            }
            batch.write(&transaction).await?;
            self.tell(&transaction, &batch).await?;
            // Whatever goes wrong from here on, it may have happened: it is not done again.
            transaction.commit().await.map_err(|error| Failure::Unavailable(describe(&error)))?;
            Ok(outcomes)
        });
        let attempted = attempted.await;
        // After a race the transaction was rolled back as it was dropped.
        if matches!(attempted, Ok(_) | Err(Failure::Race)) {
            connection.give_back();
        }
        attempted
    }

    /// Tells the other servers of changed records, within the transaction that changes them.
    async fn tell(
        &self,
        transaction: &deadpool_postgres::Transaction<'_>,
        batch: &Batch,
    ) -> Result<(), Failure> {
        if self.tells {
            let changed = batch.written().map(|record| (&*record.tenant, &*record.unique_identifier));
            let (tenants, identifiers) = region::columns(changed);
            let statement = transaction.prepare_cached(region::TELL).await?;
            transaction.execute(&statement, &[&tenants, &identifiers]).await?;
        }
        Ok(())
    }
}

fn tell_outcomes(answers: impl IntoIterator<Item = oneshot::Sender<Outcome>>, outcomes: Vec<Outcome>) {
    for (answer, outcome) in answers.into_iter().zip(outcomes) {
        // Nobody waits any more: the commit counts all the same.
        let _ = answer.send(outcome);
    }
}

/// How many of the commits fit into one transaction: one at least.
fn fitting(waiting: &[Request]) -> usize {
    let mut bytes = 0;
    let fits = |request: &&Request| {
        bytes += request.changes.iter().map(|prepared| prepared.bytes.len()).sum::<usize>();
        bytes <= BATCH_BYTES
    };
    waiting.iter().take_while(fits).count().max(1).min(waiting.len())
}
