//! Judges a commit: which record follows which, and whether the names are free. The same for every store that can
//! look before it writes.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;

use crate::port::{Change, IndexKey, StoreError};
use crate::record::{MAXIMUM_RECORD_BYTES, Record};

/// A change and the bytes of its record.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    pub(super) change: Change,
    pub(super) bytes: Bytes,
}

impl Prepared {
    /// Writes the record down.
    ///
    /// # Errors
    /// [`StoreError::Full`] for a record above [`MAXIMUM_RECORD_BYTES`].
    pub(super) fn new(change: Change) -> Result<Self, StoreError> {
        let bytes = change.record().encode();
        if bytes.len() > MAXIMUM_RECORD_BYTES {
            return Err(StoreError::Full);
        }
        Ok(Self { change, bytes })
    }
}

/// What a commit does to one record.
#[derive(Debug)]
pub(super) struct Transition {
    /// The record as stored.
    pub(super) before: Option<Arc<Record>>,
    /// The record as it is to be.
    pub(super) after: Arc<Record>,
    /// The bytes of `after`.
    pub(super) bytes: Bytes,
}

impl Transition {
    fn is_of(&self, tenant: &str, unique_identifier: &str) -> bool {
        *self.after.tenant == *tenant && *self.after.unique_identifier == *unique_identifier
    }
}

/// Judges identifiers and versions. Several changes of one record count as one, from the first state to the last.
///
/// # Errors
/// [`StoreError::IdentifierTaken`], [`StoreError::Conflict`], or what `stored` fails with.
pub(super) fn transitions<E: From<StoreError>>(
    changes: Vec<Prepared>,
    mut stored: impl FnMut(&str, &str) -> Result<Option<Arc<Record>>, E>,
) -> Result<Vec<Transition>, E> {
    let mut transitions: Vec<Transition> = Vec::with_capacity(changes.len());
    let mut places: HashMap<(ByteString, ByteString), usize> = HashMap::new();
    for Prepared { change, bytes } in changes {
        let after = Arc::clone(change.record());
        let identity = (after.tenant.clone(), after.unique_identifier.clone());
        if let Some(place) = places.get(&identity) {
            let transition = &mut transitions[*place];
            judge_version(&change, Some(&transition.after))?;
            (transition.after, transition.bytes) = (after, bytes);
        } else {
            let before = stored(&after.tenant, &after.unique_identifier)?;
            judge_version(&change, before.as_deref())?;
            places.insert(identity, transitions.len());
            transitions.push(Transition { before, after, bytes });
        }
    }
    Ok(transitions)
}

fn judge_version(change: &Change, before: Option<&Record>) -> Result<(), StoreError> {
    match (change, before) {
        (Change::Insert(_) | Change::Import(_), Some(_)) => Err(StoreError::IdentifierTaken),
        (Change::Import(_), None) => Ok(()),
        (Change::Insert(record), None) if record.version == 1 => Ok(()),
        (Change::Replace(record), Some(before)) if before.version.checked_add(1) == Some(record.version) => {
            Ok(())
        }
        _ => Err(StoreError::Conflict),
    }
}

/// Judges the names: each is held by one record of the tenant after the commit, whatever the order of the changes.
/// `holder` tells who holds a name now.
///
/// # Errors
/// [`StoreError::NameTaken`], or what `holder` fails with.
pub(super) fn judge_names<E: From<StoreError>>(
    transitions: &[Transition],
    mut holder: impl FnMut(&str, &IndexKey) -> Result<Option<ByteString>, E>,
) -> Result<(), E> {
    let mut claimed: HashMap<(&str, IndexKey), &str> = HashMap::new();
    for transition in transitions {
        let Record { tenant, unique_identifier, .. } = &*transition.after;
        for name in transition.after.unique_keys() {
            let claimant = claimed.insert((tenant, name.clone()), unique_identifier);
            if claimant.is_some_and(|claimant| *claimant != **unique_identifier) {
                return Err(StoreError::NameTaken.into());
            }
            let Some(holder) = holder(tenant, &name)? else { continue };
            // Another holder is no obstacle if this very commit takes the name from it.
            let lets_go = |other: &Transition| {
                other.is_of(tenant, &holder) && !other.after.unique_keys().contains(&name)
            };
            if holder != *unique_identifier && !transitions.iter().any(lets_go) {
                return Err(StoreError::NameTaken.into());
            }
        }
    }
    Ok(())
}
