//! How often each L3 has wrapped and unwrapped. Counted in memory, and written down into the record of the L3 now and then by
//! the `steward`: a crash forgets what was counted since, a wrap writes nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytestring::ByteString;
use key_service::chain::{VENDOR, computed, vendor_attribute};
use key_service::record::Record;
use kmip_protocol::attribute::{Attribute, CustomValue};

/// Uses of one L3 that are not written down yet.
#[derive(Debug, Default)]
pub struct Uses {
    wraps: AtomicU64,
    unwraps: AtomicU64,
}

impl Uses {
    /// The L3 has wrapped.
    pub fn wrapped(&self) {
        self.wraps.fetch_add(1, Ordering::Relaxed);
    }

    /// The L3 has unwrapped.
    pub fn unwrapped(&self) {
        self.unwraps.fetch_add(1, Ordering::Relaxed);
    }

    /// Wraps and unwraps that are not written down yet.
    pub(crate) fn counted(&self) -> (u64, u64) {
        (self.wraps.load(Ordering::Relaxed), self.unwraps.load(Ordering::Relaxed))
    }

    /// So many have been written down.
    pub(crate) fn written(&self, (wraps, unwraps): (u64, u64)) {
        self.wraps.fetch_sub(wraps, Ordering::Relaxed);
        self.unwraps.fetch_sub(unwraps, Ordering::Relaxed);
    }
}

/// The uses of all L3s.
#[derive(Debug, Default)]
pub struct UseBook {
    uses: Mutex<HashMap<ByteString, Arc<Uses>>>,
}

impl UseBook {
    /// The uses of an L3.
    pub(crate) fn of(&self, l3: &ByteString) -> Arc<Uses> {
        Arc::clone(self.uses().entry(l3.clone()).or_default())
    }

    /// Wraps and unwraps of an L3 that are not written down yet.
    pub(crate) fn counted(&self, l3: &str) -> (u64, u64) {
        self.uses().get(l3).map(|uses| uses.counted()).unwrap_or_default()
    }

    /// The L3s with uses that are not written down yet. Those without, which nobody has open, are forgotten.
    pub(crate) fn to_be_written(&self) -> Vec<(ByteString, Arc<Uses>)> {
        let mut uses = self.uses();
        uses.retain(|_, uses| Arc::strong_count(uses) > 1 || uses.counted() != (0, 0));
        let counted = uses.iter().filter(|(_, uses)| uses.counted() != (0, 0));
        counted.map(|(l3, uses)| (l3.clone(), Arc::clone(uses))).collect()
    }

    /// Forgets an L3, and what was counted of it.
    pub(crate) fn forget(&self, l3: &str) {
        self.uses().remove(l3);
    }

    fn uses(&self) -> MutexGuard<'_, HashMap<ByteString, Arc<Uses>>> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wraps and unwraps as the record of an L3 tells them.
pub(crate) fn written_uses(record: &Record) -> (u64, u64) {
    let value = |wanted: &str| {
        record.attributes.iter().find_map(|attribute| match attribute {
            Attribute::Custom(custom) if custom.vendor == VENDOR && custom.name == wanted => {
                match custom.value {
                    CustomValue::LongInteger(count) => u64::try_from(count).ok(),
                    _ => None,
                }
            }
            _ => None,
        })
    };
    (value(computed::WRAPS).unwrap_or(0), value(computed::UNWRAPS).unwrap_or(0))
}

/// Writes uses into the record of an L3, instead of those that it tells.
pub(crate) fn write_uses(record: &mut Record, uses: (u64, u64)) {
    record.attributes.instances.retain(|instance| !tells_uses(&instance.attribute));
    for attribute in use_attributes(uses) {
        record.add(attribute);
    }
}

/// Wraps and unwraps as attributes.
pub(crate) fn use_attributes((wraps, unwraps): (u64, u64)) -> [Attribute; 2] {
    let count = |count| CustomValue::LongInteger(i64::try_from(count).unwrap_or(i64::MAX));
    [vendor_attribute(computed::WRAPS, count(wraps)), vendor_attribute(computed::UNWRAPS, count(unwraps))]
}

/// Whether an attribute tells of uses: it is of one version of an L3, and no part of the chain.
pub(crate) fn tells_uses(attribute: &Attribute) -> bool {
    matches!(attribute, Attribute::Custom(custom)
        if custom.vendor == VENDOR && (custom.name == computed::WRAPS || custom.name == computed::UNWRAPS))
}
