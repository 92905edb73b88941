//! For tests that search memory and stores for keys: opens a stopped Core's store and unseals everything in it, also what an index
//! lacks.

use std::cmp::Reverse;
use std::sync::Arc;

use bytestring::ByteString;
use key_service::port::{NoAudit, Store, SystemClock};
use key_service::store::StoreMetrics;

use crate::chain::{self, Level, REGION};
use crate::config::Config;
use crate::metrics::Metrics;
use crate::server::{lock_memory, vault};
use crate::switch::Switch;

/// An unsealed key.
pub struct OfflineKey {
    /// L2 or L3.
    pub level: Level,
    /// The tenant.
    pub tenant: ByteString,
    /// The service; empty for an L2.
    pub service: ByteString,
    /// The identifier.
    pub unique_identifier: ByteString,
    /// The key itself.
    pub bytes: [u8; 32],
}

/// Records that are read at a time.
const STRETCH_RECORDS: usize = 256;

/// All L2s and L3s that can be opened in the store of a Core that does not run, the newest first.
///
/// # Errors
/// If the store or memory cannot be used; keys that do not open, and records that cannot be read, are left out.
pub async fn keys(config: &Config) -> Result<Vec<OfflineKey>, Box<dyn std::error::Error + Send + Sync>> {
    let store: Arc<dyn Store> = crate::persistence::open(config, StoreMetrics::default()).await?;
    let memory = lock_memory(&config.memory)?;
    let clock = Arc::new(SystemClock::default());
    let switch = Switch::alone(Arc::new(NoAudit), clock, Metrics::unregistered());
    let vault = vault(config, Arc::clone(&store), memory, switch);
    let (mut records, mut place) = (Vec::new(), None);
    loop {
        let stretch = store.walk(REGION, place.as_ref(), STRETCH_RECORDS).await?;
        records.extend(stretch.records.into_iter().flatten());
        place = stretch.next;
        if place.is_none() {
            break;
        }
    }
    records.sort_by_key(|record| Reverse(record.sequence));
    let mut keys = Vec::new();
    for record in records {
        let Some(tenant) = chain::tenant(&record).filter(|_| record.sealed.is_some()) else { continue };
        let Ok(key) = vault.open(&record.unique_identifier, tenant).await else { continue };
        keys.extend(key.with(|bytes| OfflineKey {
            level: Level::of(&record),
            tenant: tenant.clone(),
            service: record.service.clone(),
            unique_identifier: record.unique_identifier.clone(),
            bytes: *bytes,
        }));
    }
    Ok(keys)
}
