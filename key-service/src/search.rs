//! Searches the index: where one criterion says that matches can only be in some parts of it, and another that they can only
//! be in others, the search follows whichever leaves out the most.
//!
//! All parts are walked from the newest record to the oldest, and whoever searches compares every record in full. So after a
//! page of any one source, everything that is newer than its last record is decided, whatever the other sources hold there.
//! Now and then each source is asked for a few records, and the one that gets furthest with them goes on.

use std::cmp::Reverse;
use std::sync::Arc;

use crate::context::Context;
use crate::index::Part;
use crate::port::{Position, StoreError};
use crate::record::Record;

/// Records fetched from the store in one go at first: few answers need more, and each costs a look at the store. Each page is
/// twice as long as the one before.
const FIRST_PAGE_RECORDS: usize = 16;
const DOUBLINGS: usize = 4;

/// Records of each source that tell which of them gets furthest.
const PROBE_RECORDS: usize = 16;

/// Pages after which the sources are asked again.
const PROBE_PERIOD: usize = 8;

/// Parts of the index that hold all matches between them.
pub(crate) struct Source {
    parts: Vec<Part>,
}

/// A search under way.
pub(crate) struct Search {
    sources: Vec<Source>,
    best: usize,
    pages: usize,
    /// Everything newer is decided.
    frontier: Option<Position>,
    is_over: bool,
}

/// Records of a source, and how far they reach: to a sequence, which is included, or to the end.
struct Page {
    records: Vec<Arc<Record>>,
    reach: Option<Position>,
}

impl Source {
    /// A source of one or more parts.
    pub(crate) fn new(parts: Vec<Part>) -> Self {
        Self { parts }
    }

    async fn page(
        &mut self,
        context: &Context<'_>,
        after: Option<Position>,
        records: usize,
    ) -> Result<Page, StoreError> {
        let count = (records / self.parts.len().max(1)).max(PROBE_RECORDS);
        let mut page = Page { records: Vec::new(), reach: None };
        let mut walked = Vec::with_capacity(self.parts.len());
        for part in self.parts.drain(..) {
            let (first, last) = part.sequences.clone().into_inner();
            let begin =
                last.checked_add(1).map_or(after, |end| Some(after.map_or(end, |after| after.min(end))));
            let mut found = context.select(part.key.as_ref(), begin, count).await?;
            let oldest = found.last().map(|record| record.sequence);
            let goes_on = found.len() >= count && oldest.is_some_and(|oldest| oldest > first);
            found.retain(|record| record.sequence >= first);
            page.records.append(&mut found);
            if goes_on {
                page.reach = page.reach.max(oldest);
            }
            // A part that has nothing more is not asked again.
            if oldest.is_some() {
                walked.push(part);
            }
        }
        self.parts = walked;
        page.records.retain(|record| page.reach.is_none_or(|reach| record.sequence >= reach));
        page.records
            .sort_by_cached_key(|record| (Reverse(record.sequence), record.unique_identifier.clone()));
        page.records.dedup_by(|one, other| one.unique_identifier == other.unique_identifier);
        Ok(page)
    }
}

impl Search {
    /// A search among sources each of which holds all matches.
    pub(crate) fn new(sources: Vec<Source>) -> Self {
        Self { sources, best: 0, pages: 0, frontier: None, is_over: false }
    }

    /// The next records to compare, the newest first; `None` after the last.
    ///
    /// # Errors
    /// If the store does not answer.
    pub(crate) async fn next(
        &mut self,
        context: &Context<'_>,
    ) -> Result<Option<Vec<Arc<Record>>>, StoreError> {
        if self.is_over {
            return Ok(None);
        }
        let page = match self.sources.len() > 1 && self.pages.is_multiple_of(PROBE_PERIOD) {
            true => self.probe(context).await?,
            false => {
                let records = FIRST_PAGE_RECORDS << self.pages.min(DOUBLINGS);
                self.sources[self.best].page(context, self.frontier, records).await?
            }
        };
        self.pages += 1;
        self.is_over = page.reach.is_none();
        self.frontier = page.reach;
        Ok(Some(page.records))
    }

    /// Whether the records that came last are the last ones.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    async fn probe(&mut self, context: &Context<'_>) -> Result<Page, StoreError> {
        let mut furthest: Option<Page> = None;
        for (number, source) in self.sources.iter_mut().enumerate() {
            let page = source.page(context, self.frontier, PROBE_RECORDS).await?;
            // The end is further than any sequence, and an older one further than a newer one.
            if furthest.as_ref().is_none_or(|other| page.reach < other.reach) {
                self.best = number;
                furthest = Some(page);
            }
            if furthest.as_ref().is_some_and(|page| page.reach.is_none()) {
                break;
            }
        }
        Ok(furthest.unwrap_or(Page { records: Vec::new(), reach: None }))
    }
}
