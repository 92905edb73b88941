//! Get Attributes: as key-service answers it, and for operators what the Core works out when it is asked for it by name:
//! whether a key is open, by which anchor, who holds leases. Of the policy the Core tells what is in force, not what the store has.

use bytestring::ByteString;
use key_service::chain::{POLICY_OBJECT, VENDOR, computed, vendor_attribute};
use key_service::context::Context;
use key_service::fault::Fault;
use key_service::operations;
use key_service::record::Record;
use kmip_protocol::attribute::{Attribute, AttributeReference, Attributes, CustomValue};
use kmip_protocol::codec::DateTime;
use kmip_protocol::operation::{GetAttributesRequest, Request, Response};

use crate::anchor::{Report, Standing};
use crate::audit::fingerprint;
use crate::chain::{self, Level, REGION};
use crate::profile::Role;
use crate::seat::Seat;
use crate::store::of_tenant;
use crate::uses::{use_attributes, written_uses};

/// Holders of leases that are told of one L3 at most.
const MAXIMUM_HOLDERS: usize = 256;

pub(super) async fn handle(
    seat: &Seat,
    context: &mut Context<'_>,
    request: GetAttributesRequest,
) -> Result<Response, Fault> {
    let wanted: Vec<&'static str> = request.attribute_references.iter().filter_map(computed_name).collect();
    if seat.role != Role::Operator {
        return operations::handle(context, Request::GetAttributes(request)).await;
    }
    if context.resolve(request.unique_identifier.as_ref())? == POLICY_OBJECT {
        return policy(seat, context, &request.attribute_references).await;
    }
    let record = context.object(request.unique_identifier.as_ref()).await?;
    if wanted.is_empty() {
        return operations::handle(context, Request::GetAttributes(request)).await;
    }
    let mut response = operations::handle(context, Request::GetAttributes(request)).await?;
    if let Response::GetAttributes(response) = &mut response {
        let mut computed = compute(seat, context, &record).await?;
        computed.retain(|attribute| is_wanted(attribute, &wanted));
        // Uses are written down now and then: what the record tells is older.
        response.attributes.instances.retain(|instance| !is_wanted(&instance.attribute, &wanted));
        response.attributes.instances.extend(Attributes::new(computed).instances);
    }
    Ok(response)
}

/// Tells of the policy what is in force here, whatever the store has, and how the store stands to it.
async fn policy(
    seat: &Seat,
    context: &Context<'_>,
    wanted: &[AttributeReference],
) -> Result<Response, Fault> {
    let stored = context.service.store.fetch(REGION, POLICY_OBJECT).await;
    let told = seat.governance.told(stored)?.ok_or_else(Fault::object_not_found)?;
    Ok(operations::get_attributes::tell(context, &told, wanted).await?.into())
}

fn computed_name(reference: &AttributeReference) -> Option<&'static str> {
    match reference {
        AttributeReference::Custom { vendor, name } if vendor == VENDOR => {
            computed::ALL.iter().find(|known| name == **known).copied()
        }
        _ => None,
    }
}

fn is_wanted(attribute: &Attribute, wanted: &[&str]) -> bool {
    matches!(attribute, Attribute::Custom(custom) if wanted.contains(&&*custom.name))
}

async fn compute(seat: &Seat, context: &Context<'_>, record: &Record) -> Result<Vec<Attribute>, Fault> {
    match Level::of(record) {
        Level::L1 => of_root(seat, context, record).await,
        Level::L2 => Ok(of_tenant_key(seat, context, record)),
        _ => Ok(of_service_key(seat, record)),
    }
}

/// Of an L1: the worst of what it answered for the L2s that are sealed under it.
async fn of_root(seat: &Seat, context: &Context<'_>, l1: &Record) -> Result<Vec<Attribute>, Fault> {
    let tenant = chain::tenant(l1).ok_or_else(|| Fault::general_failure("the key has no tenant"))?;
    let chain = of_tenant(&*context.service.store, tenant).await?;
    let below = chain.iter().filter(|key| chain::is_wrapped_by(key, &l1.unique_identifier));
    let reports =
        below.filter_map(|l2| seat.vault.anchor_report(&l2.unique_identifier, &l1.unique_identifier));
    let worst = reports.max_by_key(|report| match report.standing {
        Standing::Proved => 0,
        Standing::Unreachable => 1,
        Standing::Denied => 2,
    });
    let standing = worst.map_or("unasked", |report| report.standing.name());
    let standing = vendor_attribute(computed::STANDING, CustomValue::Text(ByteString::from_static(standing)));
    Ok([standing].into_iter().chain(last_proved(worst)).collect())
}

fn of_tenant_key(seat: &Seat, context: &Context<'_>, l2: &Record) -> Vec<Attribute> {
    let reports =
        chain::wrapping_keys(l2).filter_map(|l1| seat.vault.anchor_report(&l2.unique_identifier, l1));
    let latest = reports.max_by_key(|report| report.proved.map(|(asked, _)| asked));
    let open = seat.vault.opened(&l2.unique_identifier);
    let mut attributes = vec![flag(computed::OPEN, open.is_some())];
    attributes.extend(last_proved(latest));
    if let Some(key) = open
        && let Some(anchorage) = key.anchorage()
    {
        let opened_by = CustomValue::Text(anchorage.opened_by.clone());
        attributes.push(vendor_attribute(computed::OPENED_BY, opened_by));
        let age = context.service.clock.monotonic().saturating_sub(seat.vault.proved(&key));
        attributes.push(flag(computed::PROOF_OVERDUE, age > seat.proof_overdue_after));
    }
    attributes
}

fn of_service_key(seat: &Seat, l3: &Record) -> Vec<Attribute> {
    let holders = seat.leases.holders(&l3.unique_identifier).into_iter().take(MAXIMUM_HOLDERS);
    let holders = holders.map(|(life, _)| {
        let name = ByteString::from(format!("{}/{}", life.gateway, fingerprint(&life.instance)));
        vendor_attribute(computed::LEASE_HOLDER, CustomValue::Text(name))
    });
    let is_open = flag(computed::OPEN, seat.vault.opened(&l3.unique_identifier).is_some());
    let ((wraps, unwraps), counted) = (written_uses(l3), seat.vault.uses().counted(&l3.unique_identifier));
    let uses = use_attributes((wraps.saturating_add(counted.0), unwraps.saturating_add(counted.1)));
    [is_open].into_iter().chain(uses).chain(holders).collect()
}

fn flag(name: &'static str, value: bool) -> Attribute {
    vendor_attribute(name, CustomValue::Boolean(value))
}

fn last_proved(report: Option<Report>) -> Option<Attribute> {
    let (_, at): (_, DateTime) = report?.proved?;
    Some(vendor_attribute(computed::LAST_PROVED, CustomValue::DateTime(at)))
}
