//! Shredding an L3 version: what it sealed is sealed anew by the Gateways, then it is destroyed, and with it every old backup.
//!
//! An operator marks the retired version. Each Gateway that serves it reports how far it is, in an attribute of the version that
//! bears its name and that of its store: the one thing of the chain that a Gateway may write. Until all have reported that they are
//! done, for each store that they were met with, the Core does not destroy the version.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytestring::ByteString;
use key_service::chain::{self as agreed, VENDOR};
use key_service::context::Context;
use key_service::fault::Fault;
use key_service::port::Change;
use key_service::record::Record;
use kmip_protocol::attribute::{Attribute, Attributes, CustomValue};
use kmip_protocol::enumeration::{ResultReason, State};
use kmip_protocol::operation::{
    AddAttributeRequest, AddAttributeResponse, ModifyAttributeRequest, ModifyAttributeResponse,
};

use super::obtain_lease::life;
use crate::chain::Level;
use crate::gateway_stores::MAXIMUM_STORES;
use crate::seat::Seat;

/// Bytes of a report at most.
const MAXIMUM_REPORT_BYTES: usize = 128;

/// Between two reports of a Gateway on a version at least, unless the second says nothing new.
const REPORT_PAUSE: Duration = Duration::from_secs(1);

/// Add Attribute by a Gateway: its first report.
pub(super) async fn begin(
    seat: &Seat,
    context: &Context<'_>,
    request: AddAttributeRequest,
) -> Result<AddAttributeResponse, Fault> {
    let key = context.live_object(request.unique_identifier.as_ref()).await?;
    if report_of(&key, &report_name(context)?).is_some() {
        let message = "this Gateway has reported already: Modify Attribute";
        return Err(Fault::new(ResultReason::AttributeSingleValued, message));
    }
    write(seat, context, &key, &request.new_attribute).await?;
    let unique_identifier = key.unique_identifier.clone();
    Ok(AddAttributeResponse { unique_identifier, attribute: request.new_attribute })
}

/// Modify Attribute by a Gateway: how far it is by now.
pub(super) async fn go_on(
    seat: &Seat,
    context: &Context<'_>,
    request: ModifyAttributeRequest,
) -> Result<ModifyAttributeResponse, Fault> {
    let key = context.live_object(request.unique_identifier.as_ref()).await?;
    if report_of(&key, &report_name(context)?).is_none() {
        let message = "this Gateway has not reported yet: Add Attribute";
        return Err(Fault::new(ResultReason::AttributeNotFound, message));
    }
    write(seat, context, &key, &request.new_attribute).await?;
    let unique_identifier = key.unique_identifier.clone();
    Ok(ModifyAttributeResponse { unique_identifier, attribute: request.new_attribute })
}

async fn write(
    seat: &Seat,
    context: &Context<'_>,
    key: &Record,
    attributes: &Attributes,
) -> Result<(), Fault> {
    let name = report_name(context)?;
    let told = match &attributes.instances[..] {
        [instance] if is_named(&instance.attribute, agreed::SHRED_REPORT) => text_of(&instance.attribute),
        _ => None,
    };
    let not_allowed = "a Gateway writes its own report on shredding and nothing else";
    let is_told = told.filter(|text| is_presentable(text));
    let told = is_told.ok_or_else(|| Fault::permission_denied(not_allowed))?;
    if !agreed::is_to_be_shredded(key.attributes.iter()) {
        return Err(Fault::wrong_state("the key is not marked to be shredded"));
    }
    let known = report_of(key, &name);
    if known.is_some_and(|report| **report == **told) {
        return Ok(());
    }
    let limit = |message| Err(Fault::new(ResultReason::ServerLimitExceeded, message));
    if known.is_none() && reports_by(key, &context.principal.name) > MAXIMUM_STORES {
        return limit("too many stores of this Gateway have reported on the version");
    }
    if !seat.reports.admits(format!("{} {name}", key.unique_identifier).into(), Instant::now()) {
        return limit("a Gateway reports on a version once a second at most");
    }
    let mut changed = key.clone();
    changed.attributes.instances.retain(|instance| !is_named(&instance.attribute, &name));
    let value = CustomValue::Text(ByteString::from(&**told));
    changed.add(Attribute::custom(VENDOR, name, value));
    changed.version += 1;
    Ok(seat.changes.commit(vec![Change::Replace(Arc::new(changed))]).await?)
}

/// Operators read it on their terminals.
fn is_presentable(report: &str) -> bool {
    report.len() <= MAXIMUM_REPORT_BYTES && report.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

/// When reports were taken from a Gateway: each is a commit.
#[derive(Default)]
pub(crate) struct Reports {
    taken: Mutex<HashMap<ByteString, Instant>>,
}

impl Reports {
    /// Whether a report of this name, on a version, is taken now.
    fn admits(&self, report: ByteString, now: Instant) -> bool {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|_, taken| now.duration_since(*taken) < REPORT_PAUSE);
        if taken.contains_key(&report) {
            return false;
        }
        taken.insert(report, now);
        true
    }
}

/// Judges a change of an operator: a version is marked when it seals no more. Returns whether it is marked now, and was not before.
///
/// # Errors
/// If the key is no retired L3.
pub(super) fn judge_mark(before: &Record, after: &Record) -> Result<bool, Fault> {
    let marks = |record: &Record| agreed::is_to_be_shredded(record.attributes.iter());
    if marks(before) || !marks(after) {
        return Ok(false);
    }
    match (Level::of(after), after.state()) {
        (Level::L3, Some(State::Deactivated)) => Ok(true),
        _ => Err(Fault::wrong_state("a version of an L3 is shredded that was rotated away")),
    }
}

/// The version without what Gateways have reported: that was about an earlier mark.
pub(super) fn without_reports(key: &Record) -> Record {
    let mut marked = key.clone();
    marked.attributes.instances.retain(|instance| reporter(&instance.attribute).is_none());
    marked
}

/// Refuses to destroy a version while a Gateway may still have something under it.
///
/// # Errors
/// Names the Gateways, and their stores.
pub(super) async fn refuse_unfinished(seat: &Seat, key: &Record) -> Result<(), Fault> {
    let Some(tenant) = crate::chain::tenant(key).filter(|_| Level::of(key) == Level::L3) else {
        return Ok(());
    };
    if !agreed::is_to_be_shredded(key.attributes.iter()) {
        return Ok(());
    }
    let mut missing = Vec::new();
    for (gateway, _) in seat.gateways.iter().filter(|(_, reach)| reach.includes(tenant, &key.service)) {
        for store in stores_to_report(seat, gateway).await? {
            let spoken_for = agreed::spoken_for(gateway, &store);
            let report = report_of(key, &named(&spoken_for));
            if !report.is_some_and(|report| report.starts_with(agreed::SHRED_DONE)) {
                missing.push(spoken_for);
            }
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("Gateways that have not sealed everything anew: {}", missing.join(", "));
    Err(Fault::new(ResultReason::WrongKeyLifecycleState, message))
}

/// The stores that a Gateway has to report on: those that are written down, and those of its lives. A Gateway of which no store is known
/// reports under its own name.
async fn stores_to_report(seat: &Seat, gateway: &str) -> Result<BTreeSet<ByteString>, Fault> {
    let mut stores: BTreeSet<ByteString> = seat.stores.of(gateway).await?.into_iter().collect();
    let lives = seat.leases.lives_of(gateway);
    stores.extend(lives.iter().map(|life| ByteString::from(agreed::store_of(life))));
    if stores.is_empty() {
        stores.insert(ByteString::new());
    }
    Ok(stores)
}

fn report_of<'a>(key: &'a Record, name: &str) -> Option<&'a ByteString> {
    key.attributes.iter().filter(|attribute| is_named(attribute, name)).find_map(text_of)
}

/// How many reports there are by a Gateway, for whichever store.
fn reports_by(key: &Record, gateway: &str) -> usize {
    let is_by = |reporter: &str| reporter.split(agreed::BEFORE_STORE).next() == Some(gateway);
    key.attributes.iter().filter_map(reporter).filter(|reporter| is_by(reporter)).count()
}

/// The name of the report of the Gateway that asks. Named by the Core, from the certificate: no Gateway reports for another one.
fn report_name(context: &Context<'_>) -> Result<ByteString, Fault> {
    let life = life(context)?;
    Ok(named(&agreed::spoken_for(&life.gateway, agreed::store_of(&life.instance))))
}

fn named(spoken_for: &str) -> ByteString {
    ByteString::from(format!("{} {spoken_for}", agreed::SHRED_REPORT))
}

fn is_named(attribute: &Attribute, name: &str) -> bool {
    matches!(attribute, Attribute::Custom(custom) if custom.vendor == VENDOR && *custom.name == *name)
}

fn text_of(attribute: &Attribute) -> Option<&ByteString> {
    match attribute {
        Attribute::Custom(custom) => custom.value.as_text(),
        _ => None,
    }
}

/// Whose report an attribute is.
fn reporter(attribute: &Attribute) -> Option<&str> {
    match attribute {
        Attribute::Custom(custom) if custom.vendor == VENDOR => {
            custom.name.strip_prefix(agreed::SHRED_REPORT)?.strip_prefix(' ')
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_reports_on_a_version_once_a_second() {
        let (reports, now) = (Reports::default(), Instant::now());
        assert!(reports.admits("l3".into(), now) && reports.admits("other".into(), now));
        assert!(!reports.admits("l3".into(), now + REPORT_PAUSE / 2));
        assert!(reports.admits("l3".into(), now + REPORT_PAUSE));
        assert_eq!(reports.taken.lock().map(|taken| taken.len()).ok(), Some(1));
    }
}
