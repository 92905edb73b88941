//! Re-key: rotates an L3. The new version is Active and seals from now on; the old one is Deactivated: it goes on opening what
//! it sealed, and seals nothing more. Both changes are made at once, so that a service never has two active keys, or none.

use key_service::context::Context;
use key_service::creation::{self, Origin};
use key_service::fault::Fault;
use key_service::port::Sealed;
use key_service::record::Record;
use key_service::replacement::generation;
use kmip_protocol::attribute::{Attribute, AttributeType, Attributes};
use kmip_protocol::enumeration::{LinkType, State};
use kmip_protocol::operation::{ReKeyRequest, ReKeyResponse};

use super::activate::{drop_active_name, take_active_name};
use super::create::{decide, of_level, outline};
use crate::chain::{self, Level};
use crate::seat::Seat;
use crate::uses::tells_uses;

pub(super) async fn handle(
    seat: &Seat,
    context: &mut Context<'_>,
    request: ReKeyRequest,
) -> Result<ReKeyResponse, Fault> {
    if request.offset.is_some() || !request.attributes.is_empty() {
        return Err(Fault::invalid_field(
            "a rotated L3 is Active at once and takes over what its predecessor was",
        ));
    }
    let existing = context.live_object(request.unique_identifier.as_ref()).await?;
    if Level::of(&existing) != Level::L3 {
        return Err(Fault::feature_not_supported("Re-key rotates L3s"));
    }
    if existing.state() != Some(State::Active) {
        return Err(Fault::wrong_state("only the Active L3 of a service is rotated"));
    }
    let mut record = successor(context, &existing).await?;
    let parent = chain::wrapping_key(&existing).cloned().map(Into::into);
    let parent = context.live_object(parent.as_ref()).await?;
    let envelope = seat.vault.generate(&record, &parent).await?;
    record.sealed = Some(Sealed { key: parent.unique_identifier.clone(), envelope });
    retire(context, &existing, &record);
    take_active_name(context, &mut record).await?;
    let unique_identifier = record.unique_identifier.clone();
    context.insert(record);
    Ok(ReKeyResponse { unique_identifier })
}

/// The next version: of the same tenant and service, under the same L2.
async fn successor(context: &Context<'_>, existing: &Record) -> Result<Record, Fault> {
    let is_kept = |attribute: &&Attribute| {
        let is_wrapping_key =
            |link: &kmip_protocol::attribute::Link| link.link_type == LinkType::WrappingKeyLink;
        match attribute {
            Attribute::Link(link) => is_wrapping_key(link),
            // Uses are those of one version.
            Attribute::Custom(_) => !tells_uses(attribute),
            Attribute::ObjectGroup(_) => true,
            _ => false,
        }
    };
    let now = context.service.clock.now();
    let kept = existing.attributes.iter().filter(is_kept).cloned();
    let mut attributes = Attributes::new(kept.chain([Attribute::ActivationDate(now)]));
    decide(&mut attributes, &of_level(Level::L3))?;
    let mut record = creation::draft(context, Origin::Generated, attributes, &outline()).await?;
    record.remove(AttributeType::KeyValuePresent);
    record.service = existing.service.clone();
    record.link(LinkType::ReplacedObjectLink, &existing.unique_identifier);
    record.set(Attribute::RotateDate(now));
    record.set(Attribute::RotateGeneration(generation(existing).saturating_add(1)));
    record.set(Attribute::RotateLatest(true));
    Ok(record)
}

/// The old version opens what it sealed, and no more.
fn retire(context: &mut Context<'_>, existing: &Record, successor: &Record) {
    let mut retired = existing.clone();
    drop_active_name(&mut retired);
    retired.set(Attribute::State(State::Deactivated));
    retired.set(Attribute::DeactivationDate(context.service.clock.now()));
    retired.set(Attribute::RotateLatest(false));
    retired.link(LinkType::ReplacementObjectLink, &successor.unique_identifier);
    context.replace(retired);
}
