//! What the thread of the writer does: it encodes events, makes them durable in groups, tells who waits, and keeps what has
//! happened while the disk refuses.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::entries::Entries;
use super::entry::{Entry, ServerKind};
use super::error::LogError;
use super::index::{self, Index};
use super::note::VerifierKey;
use super::opentelemetry::Exporter;
use super::queue::{Queue, Request, Waiting};
use super::reader::LogReader;
use super::settings::AuditLogSettings;
use super::statistics::Statistics;
use super::writer::Writer;
use crate::port::{AuditError, Event, Outcome};

/// The writer and what it works with.
pub(super) struct Work {
    pub(super) writer: Writer,
    pub(super) queue: Arc<Queue>,
    pub(super) statistics: Arc<Statistics>,
    pub(super) server: ServerKind,
    pub(super) settings: AuditLogSettings,
    pub(super) exporter: Option<Exporter>,
    /// `None` while it lacks entries: it is opened again then.
    pub(super) index: Option<Index>,
    pub(super) directory: PathBuf,
    pub(super) verifier: VerifierKey,
    /// What has happened and could not be made durable.
    pub(super) owed: Vec<Event>,
    /// Room for a group while it is written.
    pub(super) group: Entries,
}

impl Work {
    pub(super) fn run(mut self) {
        let gathering = Duration::from_millis(self.settings.gathering_milliseconds);
        let publication_interval = Duration::from_millis(self.settings.publication_interval_milliseconds);
        let retry_interval = Duration::from_millis(self.settings.retry_interval_milliseconds);
        let (mut published, mut tried) = (Instant::now(), Instant::now());
        let mut waiting = Vec::new();
        loop {
            let publication = (!self.writer.is_published()).then(|| published + publication_interval);
            let retry = self.has_to_try_again().then(|| tried + retry_interval);
            let due = publication.into_iter().chain(retry).min();
            let taken = self.queue.take(&mut waiting, gathering, due);
            for group in waiting.chunks_mut(self.settings.maximum_group_events.max(1)) {
                self.append(group);
            }
            waiting.clear();
            for request in taken.requests {
                self.answer(request);
            }
            if self.has_to_try_again() && (taken.closed || tried.elapsed() >= retry_interval) {
                self.try_again();
                tried = Instant::now();
            }
            if taken.closed || published.elapsed() >= publication_interval {
                if let Err(error) = self.publish() {
                    tracing::warn!(%error, "the audit log has recorded what it was told, but cannot publish it");
                }
                published = Instant::now();
            }
            if taken.closed {
                return;
            }
        }
    }

    /// Makes a group durable and tells who waits, or keeps what has to be kept.
    fn append(&mut self, group: &mut [Waiting]) {
        self.pay();
        let first = match self.statistics.problem() {
            Some(problem) if !self.owed.is_empty() => Err(AuditError(problem)),
            _ => self.write(group.iter().map(|waiting| &waiting.event)),
        };
        for (position, Waiting { event, reply, is_kept }) in (0..).zip(group.iter_mut()) {
            let index = first.clone().map(|first| first + position);
            trace(event, self.server, &index, reply.is_some());
            if index.is_err() {
                self.statistics.refused.fetch_add(1, Ordering::Relaxed);
            }
            if index.is_err() && *is_kept {
                self.owe(event.clone());
            }
            if let Some(reply) = reply.take() {
                // Whoever asked may have gone: the event is remembered all the same.
                drop(reply.send(index));
            }
        }
        self.queue.release(group.len());
    }

    /// Makes events durable. They get the indices from the one that is answered.
    fn write<'e>(&mut self, events: impl Iterator<Item = &'e Event> + Clone) -> Result<u64, AuditError> {
        self.group.clear();
        for event in events.clone() {
            self.group.push_with(|bytes| Entry::<Cow<'_, str>>::new(event, self.server).encode(bytes));
        }
        let appended = self.writer.append(&self.group);
        match &appended {
            Ok(first) => {
                self.statistics.works();
                self.statistics.recorded.fetch_add(self.group.len() as u64, Ordering::Relaxed);
                self.statistics.size.store(self.writer.size(), Ordering::Relaxed);
                self.note(*first, events);
            }
            Err(error) => self.statistics.fails(&error.0),
        }
        appended
    }

    /// Index and OpenTelemetry records follow the log; if they cannot, the log holds all the same.
    fn note<'e>(&mut self, first: u64, events: impl Iterator<Item = &'e Event> + Clone) {
        let indexed = || (first..).zip(events.clone());
        let finals = indexed().filter(|(_, event)| is_final(event));
        let finals = finals.filter_map(|(at, event)| Some((event.unique_identifier.as_deref()?, at)));
        if let Some(index) = &mut self.index
            && let Err(error) = index.add(finals, self.writer.size())
        {
            tracing::warn!(%error, "the index of receipts is not written: receipts may not be found for a while");
            self.index = None;
        }
        if let Some(exporter) = &mut self.exporter
            && let Err(error) = exporter.write(indexed())
        {
            exporter.reopen();
            tracing::warn!(%error, "OpenTelemetry records are not written");
            self.statistics.export_failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Keeps what has happened until the log takes it.
    fn owe(&mut self, event: Event) {
        if self.owed.len() >= 2 * self.settings.maximum_waiting_events {
            tracing::error!(target: "audit", operation = &*event.operation, "an event is lost");
            self.statistics.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.owed.push(event);
        self.statistics.owed.store(self.owed.len() as u64, Ordering::Relaxed);
    }

    /// Makes durable what is owed, if it can.
    fn pay(&mut self) {
        if self.owed.is_empty() {
            return;
        }
        let owed = std::mem::take(&mut self.owed);
        let paid = self.write(owed.iter());
        match paid {
            Ok(_) => tracing::warn!(events = owed.len(), "the audit log has taken what it was owed"),
            Err(_) => self.owed = owed,
        }
        self.statistics.owed.store(self.owed.len() as u64, Ordering::Relaxed);
    }

    fn has_to_try_again(&self) -> bool {
        self.statistics.is_failing() || self.index.is_none()
    }

    /// Looks whether the disk takes something again.
    fn try_again(&mut self) {
        self.pay();
        if self.owed.is_empty() && self.statistics.is_failing() {
            match self.writer.renew() {
                Ok(()) => self.statistics.works(),
                Err(error) => self.statistics.fails(&error.to_string()),
            }
        }
        if self.index.is_none() {
            let opened = self.publish().and_then(|()| self.open_index());
            self.index = opened.map_err(|error| tracing::warn!(%error, "no index of receipts")).ok();
        }
    }

    fn open_index(&self) -> Result<Index, LogError> {
        Index::open(&self.directory, &LogReader::open(&self.directory, &self.verifier)?)
    }

    fn answer(&mut self, request: Request) {
        match request {
            // Whoever asked may have gone.
            Request::Publish(reply) => drop(reply.send(self.publish())),
            Request::Reopen => self.exporter.iter_mut().for_each(Exporter::reopen),
        }
    }

    fn publish(&mut self) -> Result<(), LogError> {
        self.writer.publish()?;
        self.statistics.published_now();
        Ok(())
    }
}

fn is_final(event: &Event) -> bool {
    event.outcome == Outcome::Success && index::FINAL_OPERATIONS.contains(&&*event.operation)
}

/// The event for the ordinary log: changes at level `info`, what is recorded later at `debug`.
fn trace(event: &Event, server: ServerKind, index: &Result<u64, AuditError>, is_awaited: bool) {
    if let Err(error) = index {
        tracing::error!(target: "audit", %error, operation = &*event.operation, "not recorded");
        return;
    }
    macro_rules! event_at {
        ($level:ident) => {
            tracing::$level!(
                target: "audit",
                index = index.as_ref().ok(),
                %server,
                tenant = &*event.tenant,
                principal = &*event.principal,
                operation = &*event.operation,
                unique_identifier = event.unique_identifier.as_deref(),
                outcome = ?event.outcome,
                server_correlation_value = event.server_correlation_value.as_deref(),
                "event"
            )
        };
    }
    if is_awaited { event_at!(info) } else { event_at!(debug) }
}
