//! What the Core's store tells of intents that a crash has left without an outcome: the records of the chain, and the tombstones.

use std::sync::Arc;

use async_trait::async_trait;
use key_service::audit_log::{Entry, Found, RecordWitness, Witness};
use key_service::port::StoreError;

use crate::chain::{self, REGION};
use crate::governed::is_gateway;
use crate::seat::Seat;
use crate::tombstones::{Plot, Tombstones};

/// Looks at what operators see, and at tombstones.
pub(crate) struct ChainWitness {
    records: RecordWitness,
    tombstones: Arc<Tombstones>,
}

impl ChainWitness {
    /// A witness who sees what can be seen from a seat.
    pub(crate) fn new(seat: &Seat) -> Self {
        let records = RecordWitness { store: Arc::clone(&seat.service.store) };
        Self { records, tombstones: Arc::clone(&seat.tombstones) }
    }
}

#[async_trait]
impl Witness for ChainWitness {
    async fn find(&self, intent: &Entry) -> Result<Found, StoreError> {
        // An object of a Gateway is named L3/OBJECT.
        let name = intent.unique_identifier.as_deref().filter(|name| !is_gateway(name));
        let Some((l3, object)) = name.and_then(|name| name.split_once('/')) else {
            return self.records.find(intent).await;
        };
        let Some(l3) = self.records.store.fetch(REGION, l3).await? else { return Ok(Found::NoSuchObject) };
        let Some(tenant) = chain::tenant(&l3) else { return Ok(Found::NoSuchObject) };
        let is_buried = self.tombstones.is_buried(&Plot::of(tenant, &l3), object).await?;
        Ok(if is_buried { Found::Completed } else { Found::DidNotHappen })
    }
}
