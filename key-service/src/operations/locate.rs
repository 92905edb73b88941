//! Locate (6.1.28): finds objects by their attributes.
//!
//! The criteria say which parts of the index can hold matches; whichever leaves out the most is followed, and every record that
//! it yields is compared in full. A criterion that cannot be compared is refused: leaving it out would widen the answer.

use std::ops::RangeInclusive;

use bytestring::ByteString;
use kmip_protocol::attribute::{Attribute, AttributeType, Attributes};
use kmip_protocol::codec::DateTime;
use kmip_protocol::enumeration::{ObjectGroupMember, ResultReason};
use kmip_protocol::mask::StorageStatusMask;
use kmip_protocol::operation::{LocateRequest, LocateResponse};

use super::get_attributes::attributes;
use crate::context::Context;
use crate::fault::Fault;
use crate::index::{self, Part, date, index_key};
use crate::record::{Record, outlives_destruction};
use crate::search::{Search, Source};

/// Criteria of one Locate: each is compared with every record that is looked at.
const MAXIMUM_CRITERIA: usize = 32;

/// Criteria that are asked which part of the index they leave.
const MAXIMUM_SOURCES: usize = 8;

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: LocateRequest,
) -> Result<LocateResponse, Fault> {
    let criteria = Criteria::new(&request)?;
    let maximum = match request.maximum_items {
        Some(maximum) => count(maximum, "Maximum Items is negative")?,
        None => usize::MAX,
    };
    let offset = count(request.offset_items.unwrap_or(0), "Offset Items is negative")?;
    let limit = maximum.min(context.service.settings.maximum_located_items);
    let located = find(context, &criteria, offset, limit).await?;
    Ok(LocateResponse {
        located_items: located.total.and_then(|total| i32::try_from(total).ok()),
        unique_identifiers: located.identifiers,
    })
}

fn count(number: i32, message: &'static str) -> Result<usize, Fault> {
    usize::try_from(number).map_err(|_| Fault::invalid_field(message))
}

struct Located {
    identifiers: Vec<ByteString>,
    /// How many match in all; `None` if the search ended before the last record.
    total: Option<usize>,
}

async fn find(
    context: &Context<'_>,
    criteria: &Criteria<'_>,
    offset: usize,
    limit: usize,
) -> Result<Located, Fault> {
    let mut matched = 0;
    let mut identifiers = Vec::new();
    let mut take = |record: &Record| {
        if criteria.matches(record) {
            if matched >= offset && identifiers.len() < limit {
                identifiers.push(record.unique_identifier.clone());
            }
            matched += 1;
        }
        matched >= offset.saturating_add(limit)
    };
    if let Some(identifier) = criteria.identifier() {
        if let Some(record) = context.fetch(identifier).await? {
            take(&record);
        }
        return Ok(Located { total: Some(matched), identifiers });
    }
    let pending = context.pending();
    for record in &pending {
        take(record);
    }
    let is_pending =
        |record: &Record| pending.iter().any(|pending| pending.unique_identifier == record.unique_identifier);
    let mut search = Search::new(criteria.sources());
    while let Some(records) = search.next(context).await? {
        // A long search lets others have their turn.
        tokio::task::yield_now().await;
        for record in records.iter().filter(|record| !is_pending(record)) {
            // The search goes on past a full answer only where it is about to end anyway.
            if take(record) && !search.is_over() {
                return Ok(Located { total: None, identifiers });
            }
        }
    }
    Ok(Located { total: Some(matched), identifiers })
}

/// What is looked for.
struct Criteria<'a> {
    attributes: &'a Attributes,
    storage_status_mask: StorageStatusMask,
    fresh_only: bool,
}

impl<'a> Criteria<'a> {
    fn new(request: &'a LocateRequest) -> Result<Self, Fault> {
        if !request.attributes.templates.is_empty() {
            return Err(Fault::feature_not_supported("Locate does not take criteria from templates"));
        }
        if request.attributes.instances.len() > MAXIMUM_CRITERIA {
            return Err(Fault::new(ResultReason::ServerLimitExceeded, "Locate has too many criteria"));
        }
        refuse_indexes(&request.attributes)?;
        refuse_more_than_a_range(&request.attributes)?;
        let fresh_only = match request.object_group_member {
            None => false,
            Some(ObjectGroupMember::GroupMemberFresh) => true,
            Some(_) => return Err(Fault::feature_not_supported("groups have no default member")),
        };
        Ok(Self {
            attributes: &request.attributes,
            storage_status_mask: request.storage_status_mask.unwrap_or(StorageStatusMask::ON_LINE_STORAGE),
            fresh_only,
        })
    }

    fn identifier(&self) -> Option<&'a ByteString> {
        self.attributes.iter().find_map(|attribute| match attribute {
            Attribute::UniqueIdentifier(identifier) => Some(identifier),
            _ => None,
        })
    }

    /// Parts of the index that hold all matches, as each criterion says. Destroyed objects are in few.
    fn sources(&self) -> Vec<Source> {
        let with_destroyed = self.storage_status_mask.contains(StorageStatusMask::DESTROYED_STORAGE);
        let criteria =
            self.attributes.iter().filter(|attribute| !with_destroyed || outlives_destruction(attribute));
        let criteria: Vec<_> = criteria.collect();
        let name = criteria.iter().find(|attribute| matches!(attribute, Attribute::Name(_)));
        // No other criterion can leave out more than a name.
        let criteria = name.map_or_else(|| criteria.clone(), |name| vec![name]);
        let parts = criteria.into_iter().filter_map(|attribute| self.parts(attribute));
        let sources: Vec<_> = parts.take(MAXIMUM_SOURCES).map(Source::new).collect();
        if sources.is_empty() { vec![Source::new(vec![Part::whole(None)])] } else { sources }
    }

    fn parts(&self, wanted: &Attribute) -> Option<Vec<Part>> {
        match (wanted, date(wanted)) {
            (Attribute::State(state), _) => Some(index::state_parts(*state)),
            (_, Some(_)) => {
                let range = self.range(wanted)?;
                index::date_parts(wanted.attribute_type()?, *range.start(), *range.end())
            }
            _ => index_key(wanted).map(|key| vec![Part::whole(Some(key))]),
        }
    }

    fn matches(&self, record: &Record) -> bool {
        let present = attributes(record);
        self.matches_storage(record)
            && (!self.fresh_only || record.flag(AttributeType::Fresh))
            && self.attributes.iter().all(|wanted| self.matches_attribute(record, &present, wanted))
    }

    fn matches_storage(&self, record: &Record) -> bool {
        let storage = if record.is_destroyed() {
            StorageStatusMask::DESTROYED_STORAGE
        } else if record.attribute(AttributeType::ArchiveDate).is_some() {
            StorageStatusMask::ARCHIVAL_STORAGE
        } else {
            StorageStatusMask::ON_LINE_STORAGE
        };
        self.storage_status_mask.contains(storage)
    }

    fn matches_attribute(&self, record: &Record, present: &Attributes, wanted: &Attribute) -> bool {
        match (wanted, date(wanted)) {
            (_, Some(_)) => self.matches_dates(record, wanted),
            // Every mask contains the empty one: taken so, it would match everything.
            (Attribute::CryptographicUsageMask(mask), _) if mask.0 == 0 => record.usage_mask() == *mask,
            (Attribute::CryptographicUsageMask(mask), _) => record.usage_mask().contains(*mask),
            _ => present.iter().any(|present| present == wanted),
        }
    }

    fn matches_dates(&self, record: &Record, wanted: &Attribute) -> bool {
        let same = |attribute: &&Attribute| attribute.attribute_type() == wanted.attribute_type();
        let present = record.attributes.iter().find(same).and_then(date);
        present.zip(self.range(wanted)).is_some_and(|(present, range)| range.contains(&present))
    }

    /// One date has to be met exactly, two are the ends of a range (6.1.28).
    fn range(&self, wanted: &Attribute) -> Option<RangeInclusive<DateTime>> {
        let same = |attribute: &&Attribute| attribute.attribute_type() == wanted.attribute_type();
        let dates = || self.attributes.iter().filter(same).filter_map(date);
        Some(dates().min()?..=dates().max()?)
    }
}

/// An index would narrow the criterion to one instance, which is not looked for.
fn refuse_indexes(attributes: &Attributes) -> Result<(), Fault> {
    if attributes.instances.iter().any(|instance| instance.index.is_some_and(|index| index != 0)) {
        return Err(Fault::feature_not_supported("criteria of Locate have no Attribute Index"));
    }
    Ok(())
}

/// Two dates are a range (6.1.28); what three would be is not said.
fn refuse_more_than_a_range(attributes: &Attributes) -> Result<(), Fault> {
    for attribute in attributes.iter().filter(|attribute| date(attribute).is_some()) {
        let same = attributes.iter().filter(|other| other.attribute_type() == attribute.attribute_type());
        if same.count() > 2 {
            return Err(Fault::invalid_field(
                "a date is looked for by one value or by the two ends of a range",
            ));
        }
    }
    Ok(())
}
