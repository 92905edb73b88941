//! The stores that Gateways speak for: several Gateways may go by one name, each with a store of its own, and what one of them says of its
//! records says nothing of another's. A store is written down, in the object of the Gateway, before it has its first lease, and so
//! before anything in it can be sealed or opened; it stays there when its Gateway has stopped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytestring::ByteString;
use key_service::chain::{PASSING_STORE, STORE, VENDOR, gateway_object, store_of};
use key_service::fault::Fault;
use key_service::port::{Change, Clock, Store, StoreError};
use key_service::record::Record;
use kmip_protocol::attribute::{Attribute, CustomValue};
use kmip_protocol::enumeration::ResultReason;

use crate::governed::NAMESPACE;
use crate::leases::Life;

/// Stores of one Gateway at most: the shredding of a version waits for each. Who holds a stolen certificate makes no more.
pub(crate) const MAXIMUM_STORES: usize = 32;

/// After how long it is looked at again whether a store is written down: an operator may have taken it away.
const BELIEVED_FOR: Duration = Duration::from_secs(60);

/// How often it is tried to write a store down while others change the object.
const ATTEMPTS: usize = 5;

/// The stores of the Gateway that sits somewhere.
pub(crate) struct GatewayStores {
    chain: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    known: Mutex<HashMap<ByteString, Instant>>,
}

impl GatewayStores {
    /// As they are written down in `chain`.
    pub(crate) fn new(chain: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { chain, clock, known: Mutex::default() }
    }

    /// Makes sure that the store of a life is written down. One that is gone with its process is not: there is nothing to lose in it
    /// then.
    ///
    /// # Errors
    /// If there are too many, or it cannot be written down.
    pub(crate) async fn note(&self, life: &Life) -> Result<(), Fault> {
        let store = store_of(&life.instance);
        if store.is_empty() || store.starts_with(PASSING_STORE) {
            return Ok(());
        }
        let now = Instant::now();
        if self.known().get(store).is_some_and(|looked| now.duration_since(*looked) < BELIEVED_FOR) {
            return Ok(());
        }
        for _ in 0..ATTEMPTS {
            // A Gateway without an object was never configured, and nobody sits for it.
            let object = self.chain.fetch(NAMESPACE, &gateway_object(&life.gateway)).await?;
            let object = object.ok_or_else(|| Fault::general_failure("the Gateway has no object"))?;
            let stores = stores_in(&object);
            if !stores.iter().any(|known| *known == store) {
                if stores.len() >= MAXIMUM_STORES {
                    return Err(too_many());
                }
                match self.chain.commit(vec![Change::Replace(Arc::new(self.with(&object, store)))]).await {
                    Ok(()) => {
                        tracing::info!(gateway = %life.gateway, store, "a store of the Gateway was met")
                    }
                    Err(StoreError::Conflict) => continue,
                    Err(error) => return Err(error.into()),
                }
            }
            self.known().insert(ByteString::from(store), now);
            return Ok(());
        }
        Err(Fault::general_failure("the object of the Gateway is being changed; try again"))
    }

    /// The stores of a Gateway, of whichever name, that are written down.
    ///
    /// # Errors
    /// If the Core's store does not answer.
    pub(crate) async fn of(&self, gateway: &str) -> Result<Vec<ByteString>, StoreError> {
        let object = self.chain.fetch(NAMESPACE, &gateway_object(gateway)).await?;
        Ok(object.map(|object| stores_in(&object)).unwrap_or_default())
    }

    fn with(&self, object: &Record, store: &str) -> Record {
        let mut changed = object.clone();
        changed.version += 1;
        let name = ByteString::from(format!("{STORE} {store}"));
        let value = CustomValue::DateTime(self.clock.now());
        changed.add(Attribute::custom(VENDOR, name, value));
        changed
    }

    fn known(&self) -> MutexGuard<'_, HashMap<ByteString, Instant>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stores_in(object: &Record) -> Vec<ByteString> {
    let named = object.attributes.iter().filter_map(store_named);
    named.map(ByteString::from).collect()
}

/// The store that an attribute of a Gateway's object names.
pub(crate) fn store_named(attribute: &Attribute) -> Option<&str> {
    match attribute {
        Attribute::Custom(custom) if custom.vendor == VENDOR => {
            custom.name.strip_prefix(STORE)?.strip_prefix(' ')
        }
        _ => None,
    }
}

fn too_many() -> Fault {
    Fault::new(
        ResultReason::ServerLimitExceeded,
        "too many stores go by the name of this Gateway; an operator deletes the attributes \"Store ...\" of those that are gone",
    )
}
