//! The chain of keys as records: which level an object is of, whose it is, what wraps it, and what a sealed key is
//! bound to. docs/STORAGE.md gives the associated data byte by byte.

use bytestring::ByteString;
use key_service::chain::{self, MAXIMUM_NAME_BYTES};
use key_service::fault::Fault;
use key_service::record::Record;
use kmip_protocol::attribute::{Attribute, AttributeType, Name};
use kmip_protocol::enumeration::{LinkType, NameType};
use kmip_protocol::identifier::UniqueIdentifier;
use thiserror::Error;

/// The tenant under which a store keeps the whole region. Whose an object of the chain is, its attribute tells.
pub const REGION: &str = "region";

/// Names that begin so are the Core's own: no client sets, changes or deletes them.
pub const RESERVED_NAME_PREFIX: &str = "krypton:";

/// The level of a key in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// A tenant's root, outside Krypton.
    L1 = 1,
    /// A tenant's key in this region, wrapped by an L1.
    L2 = 2,
    /// One version of a service's key, wrapped by an L2.
    L3 = 3,
    /// A data key of a Gateway, wrapped by an L3. The Core keeps none.
    L4 = 4,
}

impl Level {
    /// The level of an object of the chain.
    pub fn of(record: &Record) -> Self {
        if record.attribute(AttributeType::KeyValueLocation).is_some() {
            Self::L1
        } else if record.service.is_empty() {
            Self::L2
        } else {
            Self::L3
        }
    }

    /// The name in logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::L1 => "L1",
            Self::L2 => "L2",
            Self::L3 => "L3",
            Self::L4 => "L4",
        }
    }
}

/// The tenant of an object of the chain.
pub fn tenant(record: &Record) -> Option<&ByteString> {
    chain::tenant_of(record.attributes.iter())
}

/// The identifiers of the keys that wrap an L2 or L3: the anchors of an L2, the L2 of an L3.
pub fn wrapping_keys(record: &Record) -> impl Iterator<Item = &ByteString> {
    record.attributes.iter().filter_map(wrapping_key_of_link)
}

/// The identifier of the key that wraps an L3; of the first one that wraps an L2.
pub fn wrapping_key(record: &Record) -> Option<&ByteString> {
    wrapping_keys(record).next()
}

/// Whether an L2 or L3 has a Wrapping Key Link to this key.
pub fn is_wrapped_by(record: &Record, unique_identifier: &str) -> bool {
    wrapping_keys(record).any(|key| key == unique_identifier)
}

/// The identifier that a Wrapping Key Link leads to.
pub fn wrapping_key_of_link(attribute: &Attribute) -> Option<&ByteString> {
    match attribute {
        Attribute::Link(link) if link.link_type == LinkType::WrappingKeyLink => {
            link.linked_object_identifier.as_text()
        }
        _ => None,
    }
}

/// Where the value of an L1 is.
pub fn location(record: &Record) -> Option<&ByteString> {
    match record.attribute(AttributeType::KeyValueLocation) {
        Some(Attribute::KeyValueLocation(location)) => Some(&location.value),
        _ => None,
    }
}

/// The Wrapping Key Link to `parent`.
pub fn wrapping_key_link(parent: ByteString) -> Attribute {
    Attribute::Link(kmip_protocol::attribute::Link {
        link_type: LinkType::WrappingKeyLink,
        linked_object_identifier: UniqueIdentifier::Text(parent),
    })
}

/// The name that the Active L3 of a service holds, and no other object: stores keep names unique, so that there is one
/// Active L3 at most, however many Cores share the store.
pub fn active_name(tenant: &str, service: &str) -> Attribute {
    Attribute::Name(Name {
        value: ByteString::from(format!("{RESERVED_NAME_PREFIX}active/{tenant}/{service}")),
        name_type: NameType::UninterpretedTextString,
    })
}

/// Whether an attribute is a name of the Core's own.
pub fn is_reserved_name(attribute: &Attribute) -> bool {
    matches!(attribute, Attribute::Name(name) if name.value.starts_with(RESERVED_NAME_PREFIX))
}

/// Judges the name of a tenant or service: short, printable, and without the separator of [`active_name`].
///
/// # Errors
/// If it is not.
pub fn judge_name(name: &str) -> Result<(), Fault> {
    let fits = (1..=MAXIMUM_NAME_BYTES).contains(&name.len());
    if fits && !name.chars().any(|character| character == '/' || character.is_control()) {
        return Ok(());
    }
    Err(Fault::invalid_field(
        "names of tenants and services have 1 to 128 bytes, without control characters and slashes",
    ))
}

/// The format version of [`associated_data`].
const BINDING_VERSION: u8 = 1;

/// Bytes of a name or identifier in [`associated_data`] at most: no Core makes a longer one, see [`judge_name`].
pub const MAXIMUM_BOUND_BYTES: usize = 1_024;

/// A record has a name or identifier that no Core gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "a name or identifier in the chain has {0} bytes, more than {MAXIMUM_BOUND_BYTES}: its record was edited"
)]
pub struct Overlong(usize);

/// What a sealed key is bound to: its level, its tenant and service, and the key that seals it. What follows (the
/// identifier of an L2 or L3, the binding of an L4) is appended.
///
/// # Errors
/// If one of them is too long: whoever can write to the store can write anything there.
pub fn associated_data(
    level: Level,
    tenant: &str,
    service: &str,
    sealing_key: &str,
) -> Result<Vec<u8>, Overlong> {
    let mut data = vec![BINDING_VERSION, level as u8];
    for text in [tenant, service, sealing_key] {
        let fits = Some(text.len()).filter(|length| *length <= MAXIMUM_BOUND_BYTES);
        let length = fits.and_then(|length| u16::try_from(length).ok()).ok_or(Overlong(text.len()))?;
        data.extend_from_slice(&length.to_be_bytes());
        data.extend_from_slice(text.as_bytes());
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn no_two_bindings_share_their_bytes() {
        let bindings =
            [("ab", "c", "d"), ("a", "bc", "d"), ("a", "b", "cd"), ("", "abc", "d"), ("abcd", "", "")];
        let mut encoded: Vec<_> = bindings
            .iter()
            .map(|(tenant, service, key)| associated_data(Level::L3, tenant, service, key).unwrap())
            .collect();
        encoded.push(associated_data(Level::L4, "ab", "c", "d").unwrap());
        encoded.sort();
        encoded.dedup();
        assert_eq!(encoded.len(), bindings.len() + 1);
    }

    #[test]
    fn the_binding_is_as_documented() {
        assert_eq!(
            associated_data(Level::L4, "acme", "default", "id").unwrap(),
            b"\x01\x04\x00\x04acme\x00\x07default\x00\x02id"
        );
    }

    #[test]
    fn what_no_core_has_made_is_refused() {
        let longest = "x".repeat(MAXIMUM_BOUND_BYTES);
        associated_data(Level::L3, &longest, &longest, &longest).unwrap();
        for length in [MAXIMUM_BOUND_BYTES + 1, 1 << 16, 1 << 20] {
            let text = "x".repeat(length);
            for (tenant, service, key) in [(&*text, "s", "k"), ("t", &text, "k"), ("t", "s", &text)] {
                assert_eq!(associated_data(Level::L3, tenant, service, key), Err(Overlong(length)));
            }
        }
    }

    #[test]
    fn names_that_could_be_mistaken_are_refused() {
        for fit in ["acme", "Acme Inc.", "r&d", &"x".repeat(128)] {
            judge_name(fit).unwrap();
        }
        for unfit in ["", "a/b", "a\nb", &"x".repeat(129)] {
            judge_name(unfit).unwrap_err();
        }
    }
}
