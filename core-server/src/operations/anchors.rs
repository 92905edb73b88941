//! The anchors of an L2, as Wrapping Key Links: Add Attribute of a link to another L1 seals the L2 under that L1 too, Delete
//! Attribute of a link drops the seal. Re-wrapping an L2 under another root is the one, then the other, and the tenant
//! stays open throughout.

use std::collections::BTreeSet;

use bytestring::ByteString;
use key_service::context::Context;
use key_service::fault::Fault;
use key_service::record::Record;
use kmip_protocol::enumeration::State;
use kmip_protocol::identifier::UniqueIdentifier;

use crate::chain::{self, Level, REGION};
use crate::seat::Seat;

/// Follows a change of the Wrapping Key Links of an L2, which is pending in `context`.
///
/// # Errors
/// If the L2 is of no more use, a link leads to no fit L1, or no anchor would be left that does its work.
pub(super) async fn change(
    seat: &Seat,
    context: &mut Context<'_>,
    before: &Record,
    after: &Record,
) -> Result<(), Fault> {
    if !matches!(before.state(), Some(State::PreActive | State::Active)) {
        return Err(Fault::wrong_state("the L2 is of no more use: its anchors stay as they are"));
    }
    let (had, has) = (anchors(before), anchors(after));
    if has.len() != chain::wrapping_keys(after).count() {
        return Err(Fault::invalid_field("the L2 has this anchor already"));
    }
    let mut record = Record::clone(after);
    match (has.difference(&had).next(), had.difference(&has).next()) {
        // Whoever exchanges one for the other would be without both if the new one fails.
        (Some(_), Some(_)) => {
            return Err(Fault::invalid_field("add the new anchor first, then delete the old one"));
        }
        (Some(added), None) => add(seat, context, before, &mut record, added, has.len()).await?,
        (None, Some(_)) => drop_seals(seat, context, before, &mut record, &has).await?,
        (None, None) => {
            return Err(Fault::invalid_field("a Wrapping Key Link names a key by its Unique Identifier"));
        }
    }
    context.replace(record);
    Ok(())
}

fn anchors(record: &Record) -> BTreeSet<ByteString> {
    chain::wrapping_keys(record).cloned().collect()
}

async fn add(
    seat: &Seat,
    context: &Context<'_>,
    before: &Record,
    record: &mut Record,
    added: &ByteString,
    count: usize,
) -> Result<(), Fault> {
    if count > seat.maximum_anchors {
        return Err(Fault::new(
            kmip_protocol::enumeration::ResultReason::ServerLimitExceeded,
            format!("an L2 has {} anchors at most", seat.maximum_anchors),
        ));
    }
    let l1 = context.live_object(Some(&UniqueIdentifier::Text(added.clone()))).await?;
    let tenant = chain::tenant(before).ok_or_else(|| Fault::general_failure("the key has no tenant"))?;
    if Level::of(&l1) != Level::L1 || chain::tenant(&l1) != Some(tenant) {
        return Err(Fault::invalid_field("an anchor is an L1 of the same tenant"));
    }
    if l1.state() != Some(State::Active) {
        return Err(Fault::wrong_state("an anchor has to be Active"));
    }
    let key = seat.vault.open(&before.unique_identifier, tenant).await?;
    record.add_seal(seat.vault.seal_under(&key, &l1).await?);
    Ok(())
}

/// Drops the seals whose links are gone, if an anchor that is left opens the L2 at this moment: losing a root must not be an
/// accident.
async fn drop_seals(
    seat: &Seat,
    context: &Context<'_>,
    before: &Record,
    record: &mut Record,
    left: &BTreeSet<ByteString>,
) -> Result<(), Fault> {
    let last = || Fault::permission_denied("no other anchor opens the L2: the last one is not deleted");
    let tenant = chain::tenant(before).ok_or_else(|| Fault::general_failure("the key has no tenant"))?;
    let opening = seat.vault.begin_opening(tenant);
    // Read again, now that a closing would be seen: what an L2 that was revoked meanwhile is like is of no interest.
    let l2 = context.service.store.fetch(REGION, &before.unique_identifier).await?;
    let l2 = l2.filter(|l2| l2.version == before.version).ok_or_else(last)?;
    let anchors = seat.vault.anchors_of(&l2).await.map_err(|_| last())?;
    let mut opens = false;
    for anchor in anchors.iter().filter(|anchor| left.contains(&anchor.unique_identifier)) {
        opens |= seat.vault.prove(&opening, &l2.unique_identifier, anchor).await.is_ok();
    }
    if !opens {
        return Err(last());
    }
    record.retain_seals(|sealed| left.contains(&sealed.key));
    Ok(())
}
