//! Who may set, change and delete which attribute, and when: the columns of the table of attributes, applied.

use bytestring::ByteString;
use kmip_protocol::attribute::{
    Attribute, AttributeReference, AttributeRow, AttributeType, Attributes, Change, Instances, Setter,
    UsageLimits,
};
use kmip_protocol::enumeration::{LinkType, ResultReason, State};

use crate::chain::{RECEIPT, VENDOR};
use crate::fault::Fault;
use crate::record::Record;

/// The vendor of attributes that the server alone sets (KMIP 2.1 section 4.60).
pub(crate) const SERVER_VENDOR: &str = "y";

/// Attributes that the table says the server sets, but that it takes from what the client asks for.
const REQUESTED: &[AttributeType] = &[
    AttributeType::CertificateLength,
    AttributeType::CertificateType,
    AttributeType::CryptographicAlgorithm,
    AttributeType::CryptographicLength,
    AttributeType::DigitalSignatureAlgorithm,
    AttributeType::KeyFormatType,
    AttributeType::ObjectType,
    AttributeType::OpaqueDataType,
    AttributeType::ProtectionStorageMask,
];

/// Judges the attributes that a client asks for when an object is made.
///
/// # Errors
/// If one is the server's to set, or single and there twice, or there are too many.
pub fn judge_new(attributes: &Attributes, maximum: usize) -> Result<(), Fault> {
    if attributes.instances.len() > maximum {
        return Err(too_many());
    }
    let mut seen: Vec<AttributeType> = Vec::new();
    for attribute in attributes.iter() {
        let Some(attribute_type) = attribute.attribute_type() else {
            refuse_server_vendor(&attribute.reference())?;
            continue;
        };
        let row = attribute_type.row();
        if row.setter == Setter::Server && !REQUESTED.contains(&attribute_type) {
            return Err(read_only());
        }
        if row.instances == Instances::Single && seen.contains(&attribute_type) {
            return Err(single_valued());
        }
        seen.push(attribute_type);
    }
    Ok(())
}

/// Judges an attribute that a client adds to an object.
pub fn judge_added(record: &Record, attribute: &Attribute, maximum: usize) -> Result<(), Fault> {
    let Some(attribute_type) = attribute.attribute_type() else {
        refuse_server_vendor(&attribute.reference())?;
        return refuse_too_many(record, maximum);
    };
    let row = attribute_type.row();
    if row.setter == Setter::Server {
        return Err(read_only());
    }
    if row.instances == Instances::Single && record.attribute(attribute_type).is_some() {
        return Err(single_valued());
    }
    if row.modify != Change::Never {
        judge_state(record, row.modify)?;
    }
    refuse_duplicate_name(record, attribute, None)?;
    refuse_too_many(record, maximum)
}

/// Judges a new value for the instance at `position` of a record.
pub fn judge_modified(record: &Record, position: usize, attribute: &Attribute) -> Result<(), Fault> {
    let reference = attribute.reference();
    match &reference {
        AttributeReference::Known(known) => {
            judge_change(record, known.row(), known.row().modify)?;
            judge_value(record, attribute)?;
            refuse_duplicate_name(record, attribute, Some(position))
        }
        AttributeReference::Custom { .. } => refuse_server_vendor(&reference),
    }
}

/// An attribute as the server keeps it when a client has set it: all uses are left of new Usage Limits, whatever the
/// client says (4.59).
pub fn as_kept(attribute: Attribute) -> Attribute {
    match attribute {
        Attribute::UsageLimits(limits) => {
            Attribute::UsageLimits(UsageLimits { count: Some(limits.total), ..limits })
        }
        other => other,
    }
}

/// Judges the deletion of an attribute.
pub fn judge_deleted(record: &Record, reference: &AttributeReference) -> Result<(), Fault> {
    match reference {
        AttributeReference::Known(AttributeType::UsageLimits) if has_been_used(record) => Err(used()),
        AttributeReference::Known(known) => judge_change(record, known.row(), known.row().delete),
        AttributeReference::Custom { .. } => refuse_server_vendor(reference),
    }
}

/// Refuses a change of an attribute that may not be changed at all, before looking whether it is there.
pub fn judge_changeable(attribute_type: AttributeType) -> Result<(), Fault> {
    if attribute_type.row().modify == Change::Never { Err(read_only()) } else { Ok(()) }
}

fn judge_change(record: &Record, row: &AttributeRow, change: Change) -> Result<(), Fault> {
    if change == Change::Never || row.setter == Setter::Server {
        return Err(read_only());
    }
    judge_state(record, change)
}

fn judge_state(record: &Record, change: Change) -> Result<(), Fault> {
    let state = record.state().unwrap_or(State::PreActive);
    let allowed = match change {
        Change::Always => true,
        Change::PreActive => state == State::PreActive,
        Change::UntilDeactivated => matches!(state, State::PreActive | State::Active),
        Change::Never => false,
    };
    if allowed {
        Ok(())
    } else {
        Err(Fault::wrong_state("the state of the object does not allow this change"))
    }
}

/// Rules about values: Sensitive may be set but not cleared, Extractable cleared but not set (4.23, 4.55).
fn judge_value(record: &Record, attribute: &Attribute) -> Result<(), Fault> {
    match attribute {
        Attribute::Sensitive(false) if record.flag(AttributeType::Sensitive) => {
            Err(Fault::permission_denied("Sensitive cannot be cleared"))
        }
        Attribute::Extractable(true) if !record.flag(AttributeType::Extractable) => {
            Err(Fault::permission_denied("Extractable cannot be set"))
        }
        Attribute::UsageLimits(_) if has_been_used(record) => Err(used()),
        _ => Ok(()),
    }
}

/// Whether uses have been counted or allocated: then the limits stay as they are (4.59).
fn has_been_used(record: &Record) -> bool {
    match record.attribute(AttributeType::UsageLimits) {
        Some(Attribute::UsageLimits(limits)) => limits.count.is_some_and(|left| left != limits.total),
        _ => false,
    }
}

fn used() -> Fault {
    Fault::permission_denied("the Usage Limits of a key that has been used are not changed")
}

fn refuse_server_vendor(reference: &AttributeReference) -> Result<(), Fault> {
    match reference {
        AttributeReference::Custom { vendor, .. } if vendor == SERVER_VENDOR => Err(read_only()),
        AttributeReference::Custom { vendor, name } if vendor == VENDOR && name == RECEIPT => {
            Err(read_only())
        }
        AttributeReference::Custom { vendor, .. } if !is_vendor_name(vendor) => Err(Fault::new(
            ResultReason::InvalidAttribute,
            "the vendor of an attribute has characters that it may not",
        )),
        _ => Ok(()),
    }
}

/// Vendor names are alphanumeric, with underscores and periods (4.60).
fn is_vendor_name(vendor: &str) -> bool {
    !vendor.is_empty()
        && vendor.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
}

fn refuse_duplicate_name(record: &Record, attribute: &Attribute, except: Option<usize>) -> Result<(), Fault> {
    let Attribute::Name(name) = attribute else {
        return Ok(());
    };
    let others = record.attributes.iter().enumerate().filter(|(position, _)| Some(*position) != except);
    let mut others = others.map(|(_, other)| other);
    if others.any(|other| matches!(other, Attribute::Name(other) if other.value == name.value)) {
        return Err(Fault::new(ResultReason::NonUniqueNameAttribute, "the object has this name already"));
    }
    Ok(())
}

/// Links an object to another one, of which there may be any number over time. When there is no room left, the oldest
/// link of the type gives way: the other object links back, so nothing is lost that cannot be found.
///
/// # Errors
/// If other attributes take all the room.
pub fn link_newest(
    record: &mut Record,
    link_type: LinkType,
    unique_identifier: &ByteString,
    maximum: usize,
) -> Result<(), Fault> {
    let instances = &mut record.attributes.instances;
    if instances.len() >= maximum {
        let is_same =
            |attribute: &Attribute| matches!(attribute, Attribute::Link(link) if link.link_type == link_type);
        let oldest = instances.iter().position(|instance| is_same(&instance.attribute));
        instances.remove(oldest.ok_or_else(too_many)?);
    }
    record.link(link_type, unique_identifier);
    Ok(())
}

fn refuse_too_many(record: &Record, maximum: usize) -> Result<(), Fault> {
    if record.attributes.instances.len() >= maximum {
        return Err(too_many());
    }
    Ok(())
}

fn too_many() -> Fault {
    Fault::new(ResultReason::ServerLimitExceeded, "the object has too many attributes")
}

fn read_only() -> Fault {
    Fault::new(ResultReason::AttributeReadOnly, "the attribute cannot be set or changed by a client")
}

fn single_valued() -> Fault {
    Fault::new(ResultReason::AttributeSingleValued, "the attribute has one value at most")
}
