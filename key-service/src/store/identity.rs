//! The name of a store: a random one, made by whoever opens it first and kept in it. Gateways of one certificate are told apart by the stores
//! that they speak for.

use std::sync::Arc;

use bytestring::ByteString;
use kmip_protocol::attribute::{Attribute, Attributes, Name};
use kmip_protocol::enumeration::{NameType, ObjectType};

use crate::chain::PASSING_STORE;
use crate::crypto::Entropy;
use crate::guard::Guard;
use crate::port::{Change, Clock, Store, StoreError};
use crate::record::Record;

/// The tenant of the record that names a store. It belongs to this store, and is not exported.
pub const IDENTITY_TENANT: &str = "krypton:store";

const IDENTIFIER: &str = "identity";

/// Bytes of randomness in a name.
const NAME_BYTES: usize = 8;

/// The name of a store, made now if it has none.
///
/// # Errors
/// If the store does not answer, or there is no randomness.
pub async fn name_of(
    store: &dyn Store,
    is_durable: bool,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<ByteString, StoreError> {
    let mut random = [0; NAME_BYTES];
    entropy.fill(&mut random).map_err(|error| StoreError::Unavailable(error.to_string()))?;
    let made = format!("{:016x}", u64::from_be_bytes(random));
    if !is_durable {
        return Ok(ByteString::from(format!("{PASSING_STORE}{made}")));
    }
    if let Some(name) = known(store).await? {
        return Ok(name);
    }
    match store.commit(vec![Change::Insert(Arc::new(identity(&made, clock)))]).await {
        Ok(()) => Ok(ByteString::from(made)),
        // Another Gateway of this store was first.
        Err(StoreError::IdentifierTaken | StoreError::NameTaken | StoreError::Conflict) => {
            let nameless = || StoreError::Damaged("the record that names the store is missing".to_owned());
            known(store).await?.ok_or_else(nameless)
        }
        Err(error) => Err(error),
    }
}

async fn known(store: &dyn Store) -> Result<Option<ByteString>, StoreError> {
    let Some(record) = store.fetch(IDENTITY_TENANT, IDENTIFIER).await? else { return Ok(None) };
    let name = record.attributes.iter().find_map(|attribute| match attribute {
        Attribute::Name(name) => Some(name.value.clone()),
        _ => None,
    });
    let nameless = || StoreError::Damaged("the record that names the store has no name".to_owned());
    name.map(Some).ok_or_else(nameless)
}

fn identity(name: &str, clock: &dyn Clock) -> Record {
    let now = clock.now();
    let name = Name { value: ByteString::from(name), name_type: NameType::UninterpretedTextString };
    let attributes = [Attribute::Name(name), Attribute::InitialDate(now), Attribute::LastChangeDate(now)];
    Record {
        tenant: ByteString::from_static(IDENTITY_TENANT),
        service: ByteString::new(),
        unique_identifier: ByteString::from_static(IDENTIFIER),
        sequence: clock.stamp(),
        version: 1,
        object_type: ObjectType::OpaqueObject,
        attributes: Attributes::new(attributes),
        sealed: None,
        further_seals: Vec::new(),
        guard: Guard::default(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::chain::{life_of, store_of};
    use crate::crypto::SystemEntropy;
    use crate::port::SystemClock;
    use crate::store::{MemoryLimits, MemoryStore};

    #[tokio::test]
    async fn a_store_keeps_its_name_and_stores_differ() {
        let (clock, entropy) = (SystemClock::default(), SystemEntropy::new());
        let [one, other] = [(); 2].map(|()| MemoryStore::new(MemoryLimits::default()));
        let name = name_of(&one, true, &clock, &entropy).await.unwrap();
        assert_eq!(name_of(&one, true, &clock, &entropy).await.unwrap(), name);
        assert_ne!(name_of(&other, true, &clock, &entropy).await.unwrap(), name);
        let passing = name_of(&other, false, &clock, &entropy).await.unwrap();
        assert!(passing.starts_with(PASSING_STORE));
        for name in [name, passing] {
            assert_eq!(name, store_of(&life_of(&name, &"f".repeat(32))));
        }
        for other in ["", "nameless", ".x", "with space.x", &format!("{}.x", "s".repeat(25))] {
            assert_eq!(store_of(other), "", "{other:?}");
        }
    }
}
