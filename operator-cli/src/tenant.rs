//! A tenant's chain of keys at the Core, through KMIP: read for `status`, made for `dev`.
//!
//! An L1 names where its value is (Key Value Location), an L2 links to its L1, an L3 to its L2 and carries its service's name as
//! Object Group. All of them carry the tenant's name.

use std::collections::{BTreeMap, HashSet};

use bytestring::ByteString;
use key_service::chain::{TENANT, VENDOR, computed, tenant_attribute, tenant_of};
use key_service::creation::DEFAULT_SERVICE;
use kmip_protocol::attribute::{
    Attribute, AttributeReference, AttributeType, Attributes, CustomValue, KeyValueLocation, Link,
};
use kmip_protocol::enumeration::{
    CryptographicAlgorithm, KeyFormatType, KeyValueLocationType, LinkType, ObjectType, State,
};
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::key_block::KeyBlock;
use kmip_protocol::mask::CryptographicUsageMask;
use kmip_protocol::object::{ManagedObject, SymmetricKey};
use kmip_protocol::operation::{
    ActivateRequest, ActivateResponse, AddAttributeRequest, AddAttributeResponse, CreateRequest,
    CreateResponse, DeleteAttributeRequest, DeleteAttributeResponse, DestroyRequest, DestroyResponse,
    GetAttributesRequest, GetAttributesResponse, LocateRequest, LocateResponse, RegisterRequest,
    RegisterResponse, Request,
};

use crate::error::Error;
use crate::operator::Operator;

/// Identifiers asked for in one Locate. A Core passes over what was found before, so few large pages are cheaper.
const LOCATED: usize = 1000;

/// Objects asked about in one batch.
const PAGE: usize = 100;

/// A tenant's keys, the newest of each level first.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// L1: references to root keys that Krypton does not hold.
    pub roots: Vec<Key>,
    /// L2: the tenant's keys.
    pub tenant_keys: Vec<Key>,
    /// L3: the services' keys.
    pub service_keys: Vec<Key>,
}

/// One key of a chain: what may be known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its Unique Identifier.
    pub unique_identifier: ByteString,
    /// Its state.
    pub state: State,
    /// Where the value of an L1 is.
    pub location: Option<ByteString>,
    /// The keys that wrap it: the anchors of an L2, the L2 of an L3.
    pub wrapping_keys: Vec<ByteString>,
    /// The service of an L3.
    pub service: Option<ByteString>,
    /// How often the service's L3 had been rotated when this version was made.
    pub generation: i32,
    /// What the Core works out about it, where it was asked.
    pub facts: Box<Facts>,
}

/// What a Core works out about a key when it is asked: as it is at that Core, at that moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Whether an L2 or L3 is unsealed.
    pub open: Option<bool>,
    /// The L1 that opened an L2.
    pub opened_by: Option<ByteString>,
    /// How an L1 answered last.
    pub standing: Option<ByteString>,
    /// When an L1, or any anchor of an L2, was proved last: seconds since 1970.
    pub last_proved: Option<i64>,
    /// Whether the proof of an open L2 is overdue.
    pub overdue: Option<bool>,
    /// The Gateways that have a live lease on an L3.
    pub holders: Vec<ByteString>,
    /// How often an L3 has wrapped.
    pub wraps: Option<i64>,
    /// How often an L3 has unwrapped.
    pub unwraps: Option<i64>,
}

/// How much is asked about each key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// What its record says.
    Stored,
    /// And what the Core works out.
    Facts,
}

/// The chains that the operator may see, by tenant: all, or that of one tenant.
///
/// # Errors
/// If the Core does not answer, or refuses.
pub async fn chains(operator: &Operator, tenant: Option<&str>) -> Result<BTreeMap<String, Chain>, Error> {
    chains_to(operator, tenant, Depth::Stored).await
}

/// As [`chains`], to the depth that is wanted.
///
/// # Errors
/// As [`chains`].
pub async fn chains_to(
    operator: &Operator,
    tenant: Option<&str>,
    depth: Depth,
) -> Result<BTreeMap<String, Chain>, Error> {
    let mut chains = BTreeMap::<String, Chain>::new();
    for page in locate(operator, tenant).await?.chunks(PAGE) {
        let requests = page.iter().map(|key| Request::from(attributes_request(key, depth)));
        for answer in operator.call_each::<GetAttributesResponse>(requests).await? {
            let GetAttributesResponse { unique_identifier, attributes } = answer?;
            if let Some(tenant) = tenant_of(attributes.iter()) {
                let key = Key::new(unique_identifier, &attributes);
                chains.entry(tenant.to_string()).or_default().add(key);
            }
        }
    }
    Ok(chains)
}

/// Makes what a tenant lacks: an L1 at `location`, an L2 and the L3 of the default service, all active. Where a
/// level has keys but none that is usable, somebody has revoked them: nothing is made then.
///
/// # Errors
/// If the Core does not answer, or refuses; if the tenant has an L1 of another kind.
pub async fn ensure(operator: &Operator, tenant: &str, location: &str) -> Result<(), Error> {
    let chain = chains(operator, Some(tenant)).await?.remove(tenant).unwrap_or_default();
    let root = match usable(chain.roots.iter()) {
        Found::Usable(root) => of_kind(root, tenant, location)?,
        Found::None => register_root(operator, tenant, location).await?,
        Found::Revoked => return Ok(()),
    };
    activate(operator, &root).await?;
    let tenant_key = match usable(chain.tenant_keys.iter()) {
        Found::Usable(key) => key,
        Found::None => create(operator, tenant, &root.unique_identifier, None).await?,
        Found::Revoked => return Ok(()),
    };
    activate(operator, &tenant_key).await?;
    let of_default = |key: &&Key| key.service.as_deref() == Some(DEFAULT_SERVICE);
    let service_key = match usable(chain.service_keys.iter().filter(of_default)) {
        Found::Usable(key) => key,
        Found::None => create(operator, tenant, &tenant_key.unique_identifier, Some(DEFAULT_SERVICE)).await?,
        Found::Revoked => return Ok(()),
    };
    activate(operator, &service_key).await
}

/// The L1, if it is of the kind of `location`: the Core has been set up for that kind.
fn of_kind(root: Key, tenant: &str, location: &str) -> Result<Key, Error> {
    let kind = |location: &str| location.split(':').next().map(str::to_owned);
    match root.location.as_deref() {
        Some(found) if kind(found) != kind(location) => Err(Error::Option(format!(
            "the L1 of {tenant} is {found}: begin with another --dir to have it elsewhere"
        ))),
        _ => Ok(root),
    }
}

/// Adds a tenant: an L1 at each of `locations`, an L2 under all of them, and an L3 of `service`, all active.
///
/// # Errors
/// If the tenant is there already, the Core does not answer, or it refuses.
pub async fn add(
    operator: &Operator,
    tenant: &str,
    locations: &[String],
    service: &str,
) -> Result<(), Error> {
    if !chains(operator, Some(tenant)).await?.is_empty() {
        return Err(Error::Option(format!("there is a tenant \"{tenant}\" already")));
    }
    // All roots first: one that cannot be used leaves nothing behind.
    let mut roots = Vec::new();
    for location in locations {
        match register_root(operator, tenant, location).await {
            Ok(root) => roots.push(root),
            Err(error) => {
                for root in roots {
                    // The first error is the one to tell.
                    let _ = destroy(operator, &root).await;
                }
                return Err(error);
            }
        }
    }
    let Some((first, others)) = roots.split_first() else {
        return Err(Error::Option("a tenant needs an L1: name one with --l1".to_owned()));
    };
    activate(operator, first).await?;
    let tenant_key = create(operator, tenant, &first.unique_identifier, None).await?;
    activate(operator, &tenant_key).await?;
    for root in others {
        activate(operator, root).await?;
        seal_under(operator, &tenant_key, &root.unique_identifier).await?;
    }
    let service_key = create(operator, tenant, &tenant_key.unique_identifier, Some(service)).await?;
    activate(operator, &service_key).await
}

/// Seals an L2 under one L1 more.
///
/// # Errors
/// If the Core does not answer, or refuses.
pub async fn seal_under(operator: &Operator, tenant_key: &Key, root: &ByteString) -> Result<(), Error> {
    let request = AddAttributeRequest {
        unique_identifier: Some(UniqueIdentifier::Text(tenant_key.unique_identifier.clone())),
        new_attribute: Attributes::new([wrapping_key_link(root)]),
    };
    operator.call::<AddAttributeResponse>(request).await.map(drop)
}

/// Drops the seal of an L2 under an L1.
///
/// # Errors
/// If the Core does not answer, or refuses: no other anchor opens the L2 now.
pub async fn unseal_from(operator: &Operator, tenant_key: &Key, root: &ByteString) -> Result<(), Error> {
    let request = DeleteAttributeRequest {
        unique_identifier: Some(UniqueIdentifier::Text(tenant_key.unique_identifier.clone())),
        current_attribute: Attributes::new([wrapping_key_link(root)]),
        attribute_references: Vec::new(),
        attribute_index: None,
    };
    operator.call::<DeleteAttributeResponse>(request).await.map(drop)
}

fn wrapping_key_link(wrapping_key: &ByteString) -> Attribute {
    Attribute::Link(Link {
        link_type: LinkType::WrappingKeyLink,
        linked_object_identifier: UniqueIdentifier::Text(wrapping_key.clone()),
    })
}

async fn destroy(operator: &Operator, key: &Key) -> Result<(), Error> {
    let unique_identifier = Some(UniqueIdentifier::Text(key.unique_identifier.clone()));
    operator.call::<DestroyResponse>(DestroyRequest { unique_identifier }).await.map(drop)
}

impl Chain {
    fn add(&mut self, key: Key) {
        if key.location.is_some() {
            self.roots.push(key);
        } else if key.service.is_some() {
            self.service_keys.push(key);
        } else {
            self.tenant_keys.push(key);
        }
    }
}

impl Key {
    fn new(unique_identifier: ByteString, attributes: &Attributes) -> Self {
        let mut key = Self {
            unique_identifier,
            state: State::PreActive,
            location: None,
            wrapping_keys: Vec::new(),
            service: None,
            generation: 0,
            facts: Box::default(),
        };
        for attribute in attributes.iter() {
            match attribute {
                Attribute::State(state) => key.state = *state,
                Attribute::KeyValueLocation(location) => key.location = Some(location.value.clone()),
                Attribute::ObjectGroup(group) => key.service = Some(group.clone()),
                Attribute::Link(link) if link.link_type == LinkType::WrappingKeyLink => {
                    key.wrapping_keys.extend(link.linked_object_identifier.as_text().cloned());
                }
                Attribute::RotateGeneration(generation) => key.generation = *generation,
                Attribute::Custom(custom) if custom.vendor == VENDOR => {
                    key.facts.learn(&custom.name, &custom.value)
                }
                _ => (),
            }
        }
        key
    }

    fn fresh(unique_identifier: ByteString) -> Self {
        Self::new(unique_identifier, &Attributes::default())
    }

    /// Whether it is not yet, or still, of use.
    pub fn is_live(&self) -> bool {
        matches!(self.state, State::PreActive | State::Active)
    }

    /// Whether `above` wraps it.
    pub fn is_wrapped_by(&self, above: &Key) -> bool {
        self.wrapping_keys.contains(&above.unique_identifier)
    }
}

impl Facts {
    fn learn(&mut self, name: &str, value: &CustomValue) {
        match (name, value) {
            (computed::OPEN, CustomValue::Boolean(open)) => self.open = Some(*open),
            (computed::OPENED_BY, CustomValue::Text(root)) => self.opened_by = Some(root.clone()),
            (computed::STANDING, CustomValue::Text(standing)) => self.standing = Some(standing.clone()),
            (computed::LAST_PROVED, CustomValue::DateTime(at)) => self.last_proved = Some(at.0),
            (computed::PROOF_OVERDUE, CustomValue::Boolean(overdue)) => self.overdue = Some(*overdue),
            (computed::LEASE_HOLDER, CustomValue::Text(holder)) => self.holders.push(holder.clone()),
            (computed::WRAPS, CustomValue::LongInteger(wraps)) => self.wraps = Some(*wraps),
            (computed::UNWRAPS, CustomValue::LongInteger(unwraps)) => self.unwraps = Some(*unwraps),
            _ => (),
        }
    }
}

/// What a level has.
enum Found {
    Usable(Key),
    Revoked,
    None,
}

/// Active before Pre-Active; the rest is of no use.
fn usable<'a>(keys: impl Iterator<Item = &'a Key> + Clone) -> Found {
    let in_state = |state| keys.clone().find(move |key| key.state == state);
    match in_state(State::Active).or_else(|| in_state(State::PreActive)) {
        Some(key) => Found::Usable(key.clone()),
        None if keys.clone().next().is_some() => Found::Revoked,
        None => Found::None,
    }
}

async fn locate(operator: &Operator, tenant: Option<&str>) -> Result<Vec<ByteString>, Error> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut passed = 0;
    loop {
        let is_key = Attribute::ObjectType(ObjectType::SymmetricKey);
        let request = LocateRequest {
            maximum_items: Some(LOCATED as i32),
            offset_items: Some(i32::try_from(passed).unwrap_or(i32::MAX)),
            storage_status_mask: None,
            object_group_member: None,
            attributes: Attributes::new(tenant.map(tenant_attribute).into_iter().chain([is_key])),
        };
        let page = operator.call::<LocateResponse>(request).await?.unique_identifiers;
        // A Core may give less than it was asked for: only an empty page is the end.
        if page.is_empty() {
            return Ok(found);
        }
        passed += page.len();
        // What is made meanwhile comes first, and moves what was found into the next page.
        found.extend(page.into_iter().filter(|key| seen.insert(key.clone())));
    }
}

fn attributes_request(key: &ByteString, depth: Depth) -> GetAttributesRequest {
    let known = [
        AttributeType::State,
        AttributeType::KeyValueLocation,
        AttributeType::Link,
        AttributeType::ObjectGroup,
        AttributeType::RotateGeneration,
    ];
    let vendor_attribute = |name: &'static str| AttributeReference::Custom {
        vendor: ByteString::from_static(VENDOR),
        name: ByteString::from_static(name),
    };
    let facts = if depth == Depth::Facts { computed::ALL } else { &[] };
    let names = [TENANT].iter().chain(facts).copied().map(vendor_attribute);
    GetAttributesRequest {
        unique_identifier: Some(UniqueIdentifier::Text(key.clone())),
        attribute_references: known.map(AttributeReference::Known).into_iter().chain(names).collect(),
    }
}

/// The bits of each key of a chain.
const KEY_BITS: i32 = 256;

/// Registers an L1 at `location`.
///
/// # Errors
/// If the Core does not answer, or refuses: there is no such root, or it is none.
pub async fn register_root(operator: &Operator, tenant: &str, location: &str) -> Result<Key, Error> {
    let location =
        KeyValueLocation { value: ByteString::from(location), location_type: KeyValueLocationType::Uri };
    let key_block = KeyBlock {
        key_format_type: KeyFormatType::Raw,
        key_compression_type: None,
        key_value: None,
        cryptographic_algorithm: Some(CryptographicAlgorithm::Aes),
        cryptographic_length: Some(KEY_BITS),
        key_wrapping_data: None,
    };
    let attributes = [
        tenant_attribute(tenant),
        Attribute::KeyValueLocation(location),
        Attribute::CryptographicUsageMask(wraps()),
    ];
    let request = RegisterRequest {
        object_type: ObjectType::SymmetricKey,
        attributes: Attributes::new(attributes),
        object: ManagedObject::SymmetricKey(SymmetricKey { key_block }),
        protection_storage_masks: None,
    };
    Ok(Key::fresh(operator.call::<RegisterResponse>(request).await?.unique_identifier))
}

async fn create(
    operator: &Operator,
    tenant: &str,
    wrapping_key: &ByteString,
    service: Option<&str>,
) -> Result<Key, Error> {
    let mut attributes = vec![
        tenant_attribute(tenant),
        Attribute::CryptographicAlgorithm(CryptographicAlgorithm::Aes),
        Attribute::CryptographicLength(KEY_BITS),
        Attribute::CryptographicUsageMask(wraps()),
        wrapping_key_link(wrapping_key),
    ];
    attributes.extend(service.map(|service| Attribute::ObjectGroup(ByteString::from(service))));
    let request = CreateRequest {
        object_type: ObjectType::SymmetricKey,
        attributes: Attributes::new(attributes),
        protection_storage_masks: None,
    };
    Ok(Key::fresh(operator.call::<CreateResponse>(request).await?.unique_identifier))
}

fn wraps() -> CryptographicUsageMask {
    CryptographicUsageMask(CryptographicUsageMask::ENCRYPT.0 | CryptographicUsageMask::DECRYPT.0)
}

/// Activates a key that is not yet.
///
/// # Errors
/// If the Core does not answer, or refuses.
pub async fn activate(operator: &Operator, key: &Key) -> Result<(), Error> {
    if key.state == State::PreActive {
        let unique_identifier = Some(UniqueIdentifier::Text(key.unique_identifier.clone()));
        operator.call::<ActivateResponse>(ActivateRequest { unique_identifier }).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(state: State) -> Key {
        Key { state, ..Key::fresh(ByteString::from_static("k")) }
    }

    #[test]
    fn an_active_key_goes_before_a_newer_one_that_is_not() {
        let keys = [key(State::PreActive), key(State::Active)];
        assert!(matches!(usable(keys.iter()), Found::Usable(key) if key.state == State::Active));
    }

    #[test]
    fn revoked_keys_are_not_replaced() {
        assert!(matches!(usable([key(State::Compromised)].iter()), Found::Revoked));
        assert!(matches!(usable([].iter()), Found::None));
    }
}
