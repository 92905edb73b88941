//! Judges a commit: which record follows which, and whether the names are free. The same for every store that can
//! look before it writes.

use std::collections::HashMap;
use std::sync::Arc;

use bytestring::ByteString;

use crate::port::{Change, IndexKey, StoreError};
use crate::record::Record;

/// What a commit does to one record.
#[derive(Debug)]
pub(super) struct Transition {
    /// The record as stored.
    pub(super) before: Option<Arc<Record>>,
    /// The record as it is to be.
    pub(super) after: Arc<Record>,
}

impl Transition {
    /// Names to be held.
    fn names_after(&self) -> Vec<IndexKey> {
        self.after.unique_keys()
    }

    fn is_of(&self, tenant: &str, unique_identifier: &str) -> bool {
        *self.after.tenant == *tenant && *self.after.unique_identifier == *unique_identifier
    }
}

/// Judges identifiers and versions. Several changes of one record count as one, from the first state to the last.
///
/// # Errors
/// [`StoreError::IdentifierTaken`], [`StoreError::Conflict`], or what `stored` fails with.
pub(super) fn transitions(
    changes: Vec<Change>,
    mut stored: impl FnMut(&str, &str) -> Result<Option<Arc<Record>>, StoreError>,
) -> Result<Vec<Transition>, StoreError> {
    let mut transitions: Vec<Transition> = Vec::with_capacity(changes.len());
    let mut places: HashMap<(ByteString, ByteString), usize> = HashMap::new();
    let several = changes.len() > 1;
    for change in changes {
        let record = change.record();
        let identity = || (record.tenant.clone(), record.unique_identifier.clone());
        let place = if several { places.get(&identity()).copied() } else { None };
        if let Some(place) = place {
            judge_version(&change, Some(&transitions[place].after))?;
            transitions[place].after = Arc::clone(record);
        } else {
            let before = stored(&record.tenant, &record.unique_identifier)?;
            judge_version(&change, before.as_deref())?;
            if several {
                places.insert(identity(), transitions.len());
            }
            transitions.push(Transition { before, after: Arc::clone(record) });
        }
    }
    Ok(transitions)
}

fn judge_version(change: &Change, before: Option<&Record>) -> Result<(), StoreError> {
    match (change, before) {
        (Change::Insert(_), Some(_)) => Err(StoreError::IdentifierTaken),
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
pub(super) fn judge_names(
    transitions: &[Transition],
    mut holder: impl FnMut(&str, &IndexKey) -> Result<Option<ByteString>, StoreError>,
) -> Result<(), StoreError> {
    let mut claimed: HashMap<(&str, IndexKey), &str> = HashMap::new();
    for transition in transitions {
        let Record { tenant, unique_identifier, .. } = &*transition.after;
        for name in transition.names_after() {
            let claimant = claimed.insert((tenant, name.clone()), unique_identifier);
            if claimant.is_some_and(|claimant| *claimant != **unique_identifier) {
                return Err(StoreError::NameTaken);
            }
            let Some(holder) = holder(tenant, &name)? else { continue };
            // Another holder is no obstacle if this very commit takes the name from it.
            let lets_go =
                |other: &Transition| other.is_of(tenant, &holder) && !other.names_after().contains(&name);
            if holder != *unique_identifier && !transitions.iter().any(lets_go) {
                return Err(StoreError::NameTaken);
            }
        }
    }
    Ok(())
}
