//! What records are indexed by, and in which parts of the index to look for what.
//!
//! An index key is an attribute and its value. Three attributes need more thought than that:
//!
//! * **State** moves by itself when a date has come. A record whose state may still do so is kept under a key of its own.
//! * **Dates** are looked for by ranges. Most dates of most records are the moment of their creation, which the order of
//!   all records tells already; the others are kept in buckets of two widths.
//! * **Destroyed** objects keep nothing but what guards them, and [what outlives them](outlives_destruction).

use std::ops::RangeInclusive;

use bytes::Bytes;
use kmip_protocol::attribute::{Attribute, AttributeType};
use kmip_protocol::codec::{DateTime, Item as _};
use kmip_protocol::enumeration::State;
use kmip_protocol::tag;
use kmip_protocol::version::V2_1;
use kmip_ttlv::Writer;

use crate::port::{IndexKey, Position};
use crate::record::Record;

/// Counts the changes of what [`Record::index_keys`] yields: a store whose index is of another version has to be indexed
/// anew, or what it hides would be taken for absent.
pub const INDEX_VERSION: u64 = 2;

/// A part of the index: a key (all records, for `None`), from one sequence to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) key: Option<IndexKey>,
    pub(crate) sequences: RangeInclusive<Position>,
}

impl Part {
    pub(crate) fn whole(key: Option<IndexKey>) -> Self {
        Self { key, sequences: 0..=Position::MAX }
    }
}

/// The keys by which a record is found.
pub(crate) fn keys(record: &Record) -> Vec<IndexKey> {
    let mut keys: Vec<_> = record.guard.index_keys().collect();
    if record.is_destroyed() {
        let outliving = record.attributes.iter().filter(|attribute| outlives_destruction(attribute));
        keys.extend(outliving.filter_map(index_key));
        return keys;
    }
    keys.extend(index_key(&Attribute::ObjectType(record.object_type)));
    keys.extend(record.state().map(|state| state_key(state, may_move(record, state))));
    for attribute in record.attributes.iter() {
        match attribute {
            // The record's own field tells it.
            Attribute::ObjectType(_) => (),
            _ => match date(attribute) {
                Some(date) => keys.extend(date_keys(attribute, date, record.sequence)),
                None => keys.extend(index_key(attribute)),
            },
        }
    }
    keys
}

/// The key of an attribute's value, for attributes whose values are looked for as they are.
pub fn index_key(attribute: &Attribute) -> Option<IndexKey> {
    let (prefix, value): (u32, Vec<u8>) = match attribute {
        Attribute::Name(name) => (tag::NAME.value(), name.value.as_bytes().to_vec()),
        Attribute::AlternativeName(name) => (tag::ALTERNATIVE_NAME.value(), name.value.as_bytes().to_vec()),
        Attribute::ObjectGroup(group) => (tag::OBJECT_GROUP.value(), group.as_bytes().to_vec()),
        Attribute::ApplicationSpecificInformation(information) => {
            let mut value = information.namespace.as_bytes().to_vec();
            value.push(0);
            value.extend_from_slice(information.data.as_deref().unwrap_or_default().as_bytes());
            (tag::APPLICATION_SPECIFIC_INFORMATION.value(), value)
        }
        Attribute::Custom(custom) => {
            let mut writer = Writer::new();
            writer.text_string(tag::VENDOR_IDENTIFICATION, &custom.vendor);
            writer.text_string(tag::ATTRIBUTE_NAME, &custom.name);
            custom.value.write(&mut writer, tag::ATTRIBUTE_VALUE, V2_1);
            (tag::ATTRIBUTE.value(), writer.as_slice().to_vec())
        }
        Attribute::ObjectType(object_type) => {
            return Some(short_key(tag::OBJECT_TYPE.value(), &[&object_type.value().to_be_bytes()]));
        }
        Attribute::CryptographicAlgorithm(algorithm) => {
            return Some(short_key(
                tag::CRYPTOGRAPHIC_ALGORITHM.value(),
                &[&algorithm.value().to_be_bytes()],
            ));
        }
        _ => return None,
    };
    Some(digest_key(prefix, &value))
}

/// Attributes that a destroyed object is found by: those by which the Core tells whose an object of the chain was. A service
/// whose keys are all destroyed is closed; it is not one that never was.
pub fn outlives_destruction(attribute: &Attribute) -> bool {
    matches!(attribute, Attribute::Custom(custom) if custom.vendor == crate::chain::VENDOR)
}

/// A tag and a digest, which bounds the length of the key whatever the client wrote.
pub(crate) fn digest_key(prefix: u32, value: &[u8]) -> IndexKey {
    short_key(prefix, &[&crate::crypto::sha256(value)[..DIGEST_BYTES]])
}

/// Bytes of a value's SHA-256 in its index key: matches are compared in full afterwards.
const DIGEST_BYTES: usize = 20;

/// A tag and what is short enough as it is.
fn short_key(prefix: u32, parts: &[&[u8]]) -> IndexKey {
    IndexKey(Bytes::from([&prefix.to_be_bytes()[1..], &parts.concat()].concat()))
}

/// Whether dates of the record may move its state on.
fn may_move(record: &Record, state: State) -> bool {
    let has = |attribute_type| record.date(attribute_type).is_some();
    match state {
        State::PreActive => has(AttributeType::ActivationDate),
        State::Active => has(AttributeType::DeactivationDate),
        _ => false,
    }
}

fn state_key(state: State, may_move: bool) -> IndexKey {
    short_key(tag::STATE.value(), &[&state.value().to_be_bytes(), &[may_move.into()]])
}

/// Where the objects in a state are: those that are written down with it, and those that may have come to it since.
pub(crate) fn state_parts(state: State) -> Vec<Part> {
    let keys = match state {
        State::PreActive => vec![state_key(state, false), state_key(state, true)],
        State::Active => {
            vec![state_key(state, false), state_key(state, true), state_key(State::PreActive, true)]
        }
        State::Deactivated => {
            vec![state_key(state, false), state_key(State::Active, true), state_key(State::PreActive, true)]
        }
        _ => vec![state_key(state, false)],
    };
    keys.into_iter().map(|key| Part::whole(Some(key))).collect()
}

/// The widths of buckets, as powers of two of seconds: a day and a half, and a year and three weeks.
const BUCKET_BITS: [u32; 2] = [17, 25];

/// Buckets that a range may consist of: 97 days of the narrow ones, 68 years of the wide ones.
const MAXIMUM_BUCKETS: i64 = 64;

/// A date so near to the record's sequence is that of its creation.
const CREATION_SECONDS: i64 = 5;

fn date_keys(attribute: &Attribute, date: DateTime, sequence: Position) -> Vec<IndexKey> {
    let created = i64::try_from(sequence / 1_000_000).unwrap_or(i64::MAX);
    let Some(attribute_type) = attribute.attribute_type() else { return Vec::new() };
    if date.0.abs_diff(created) <= CREATION_SECONDS.unsigned_abs() {
        return Vec::new();
    }
    BUCKET_BITS.iter().map(|bits| bucket_key(attribute_type, *bits, date.0 >> bits)).collect()
}

fn bucket_key(attribute_type: AttributeType, bits: u32, bucket: i64) -> IndexKey {
    short_key(attribute_type.row().tag.value(), &[&[bits as u8], &bucket.to_be_bytes()])
}

/// Where the objects are that have a date in a range; `None` if the range is too long to tell.
pub(crate) fn date_parts(attribute_type: AttributeType, from: DateTime, to: DateTime) -> Option<Vec<Part>> {
    let buckets = |bits: &u32| (from.0 >> bits)..=(to.0 >> bits);
    let is_short = |bits: &&u32| {
        let buckets = buckets(bits);
        buckets.end().checked_sub(*buckets.start()).is_some_and(|count| count < MAXIMUM_BUCKETS)
    };
    let bits = BUCKET_BITS.iter().find(is_short)?;
    let mut parts: Vec<_> =
        buckets(bits).map(|bucket| Part::whole(Some(bucket_key(attribute_type, *bits, bucket)))).collect();
    // And those whose date is that of their creation.
    let sequence = |seconds: i64| u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000);
    let first = sequence(from.0.saturating_sub(CREATION_SECONDS));
    let last = sequence(to.0.saturating_add(CREATION_SECONDS + 1));
    parts.push(Part { key: None, sequences: first..=last });
    Some(parts)
}

/// The date that an attribute holds.
pub(crate) fn date(attribute: &Attribute) -> Option<DateTime> {
    match attribute {
        Attribute::ActivationDate(date)
        | Attribute::ArchiveDate(date)
        | Attribute::CompromiseDate(date)
        | Attribute::CompromiseOccurrenceDate(date)
        | Attribute::DeactivationDate(date)
        | Attribute::DestroyDate(date)
        | Attribute::InitialDate(date)
        | Attribute::LastChangeDate(date)
        | Attribute::OriginalCreationDate(date)
        | Attribute::ProcessStartDate(date)
        | Attribute::ProtectStopDate(date) => Some(*date),
        _ => None,
    }
}
