//! Replacing a key by a new one: what the replacement takes over, and what becomes of the replaced key (KMIP 2.1 sections
//! 6.1.46 and 6.1.47, tables 303, 304, 308 and 309).

use kmip_protocol::attribute::{Attribute, AttributeReference, AttributeType, Attributes, Instance, Setter};
use kmip_protocol::codec::{DateTime, Interval};
use kmip_protocol::enumeration::LinkType;
use kmip_protocol::object::ManagedObject;

use crate::attribute_rules::link_newest;
use crate::context::Context;
use crate::creation::{self, Origin};
use crate::fault::Fault;
use crate::record::Record;

/// Attributes that the replacement does not take over as they are.
const NOT_COPIED: &[AttributeType] = &[
    AttributeType::ActivationDate,
    AttributeType::CryptographicAlgorithm,
    AttributeType::CryptographicLength,
    AttributeType::DeactivationDate,
    AttributeType::Fresh,
    AttributeType::KeyValueLocation,
    AttributeType::Link,
    AttributeType::Name,
    AttributeType::OriginalCreationDate,
    AttributeType::ProcessStartDate,
    AttributeType::ProtectStopDate,
    AttributeType::RandomNumberGenerator,
];

/// What a client asks of the replacement, completed by what it takes over from `existing`.
pub fn attributes(
    context: &Context<'_>,
    existing: &Record,
    requested: Attributes,
    offset: Option<Interval>,
) -> Attributes {
    let mut attributes = requested;
    let is_requested = |attributes: &Attributes, reference: &AttributeReference| {
        attributes.iter().any(|requested| requested.reference() == *reference)
    };
    let copies = existing.attributes.iter().filter(|attribute| is_copied(attribute));
    let dates = dates(context.service.clock.now(), existing, offset);
    let copies: Vec<Attribute> = copies.cloned().chain(dates).collect();
    let taken: Vec<_> =
        copies.into_iter().filter(|attribute| !is_requested(&attributes, &attribute.reference())).collect();
    let names = existing.attributes.iter().filter(|attribute| matches!(attribute, Attribute::Name(_)));
    let names: Vec<_> = names.filter(|name| !attributes.iter().any(|own| own == *name)).cloned().collect();
    let instances = taken.into_iter().chain(names).map(|attribute| Instance { index: None, attribute });
    attributes.instances.extend(instances);
    attributes
}

/// The record of the replacement: [`attributes`] gave the attributes.
pub async fn draft(
    context: &Context<'_>,
    existing: &Record,
    attributes: Attributes,
    object: &ManagedObject,
) -> Result<Record, Fault> {
    let mut replacement = creation::draft(context, Origin::Generated, attributes, object).await?;
    // The server's own attributes are not for clients to ask for.
    let own = existing.attributes.iter().filter(|attribute| is_server_vendor(attribute)).cloned();
    for attribute in own.collect::<Vec<_>>() {
        replacement.add(attribute);
    }
    replacement.link(LinkType::ReplacedObjectLink, &existing.unique_identifier);
    replacement.set(Attribute::RotateDate(context.service.clock.now()));
    replacement.set(Attribute::RotateGeneration(generation(existing).saturating_add(1)));
    replacement.set(Attribute::RotateLatest(true));
    Ok(replacement)
}

/// Takes the names from the existing key, and links it to its replacement.
///
/// # Errors
/// If the existing key has no room for the link.
pub fn retire(context: &mut Context<'_>, existing: &Record, replacement: &Record) -> Result<(), Fault> {
    let mut retired = existing.clone();
    retired.remove(AttributeType::Name);
    let (link, maximum) = (LinkType::ReplacementObjectLink, context.service.settings.maximum_attributes);
    link_newest(&mut retired, link, &replacement.unique_identifier, maximum)?;
    retired.set(Attribute::RotateLatest(false));
    context.replace(retired);
    Ok(())
}

fn is_copied(attribute: &Attribute) -> bool {
    match attribute.attribute_type() {
        Some(known) => known.row().setter != Setter::Server && !NOT_COPIED.contains(&known),
        None => !is_server_vendor(attribute),
    }
}

fn is_server_vendor(attribute: &Attribute) -> bool {
    matches!(attribute, Attribute::Custom(custom) if custom.vendor == crate::attribute_rules::SERVER_VENDOR)
}

/// How often the object had been replaced when this one was made.
pub fn generation(record: &Record) -> i32 {
    match record.attribute(AttributeType::RotateGeneration) {
        Some(Attribute::RotateGeneration(generation)) => *generation,
        _ => 0,
    }
}

/// The dates of the existing key, moved with the offset (tables 303 and 308).
fn dates(now: DateTime, existing: &Record, offset: Option<Interval>) -> Vec<Attribute> {
    let activation = existing.date(AttributeType::ActivationDate);
    let activated = match offset {
        Some(Interval(offset)) => Some(DateTime(now.0.saturating_add(i64::from(offset)))),
        None => activation,
    };
    let shift = match (offset, activation, activated) {
        (Some(_), Some(before), Some(after)) => after.0.saturating_sub(before.0),
        _ => 0,
    };
    let moved = |attribute_type| {
        existing.date(attribute_type).map(|DateTime(date)| DateTime(date.saturating_add(shift)))
    };
    [
        activated.map(Attribute::ActivationDate),
        moved(AttributeType::ProcessStartDate).map(Attribute::ProcessStartDate),
        moved(AttributeType::ProtectStopDate).map(Attribute::ProtectStopDate),
        moved(AttributeType::DeactivationDate).map(Attribute::DeactivationDate),
    ]
    .into_iter()
    .flatten()
    .collect()
}
