//! The audit log as the Core writes it: requests with what only the Core knows about them, and events that no request brings about.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytestring::ByteString;
use key_service::port::{Audit, AuditError, Clock, Event, Outcome};
use kmip_protocol::codec::DateTime;
use kmip_protocol::enumeration::ResultReason;

use crate::chain::REGION;
use crate::leases::Life;

/// Keys that an event names at most; it tells how many there are.
const MAXIMUM_NAMED_KEYS: usize = 50;

/// Lives of Gateways that an event names at most; it tells how many there are.
const MAXIMUM_NAMED_LIVES: usize = 20;

/// How a revocation or recall went: which keys nobody can use any more, since when, and how each Gateway was settled.
#[derive(Debug, Clone, Default)]
pub struct Settlement {
    /// The L3s concerned.
    pub keys: Vec<ByteString>,
    /// Further L3s that Gateways gave up, until a root that is left opens them again.
    pub recalled: Vec<ByteString>,
    /// The lives of Gateways that held leases, and whether each has confirmed; the others' leases have ended.
    pub lives: Vec<(Life, bool)>,
    /// Whether leases from before a restart of the Core had to end too.
    pub waited_for_unknown: bool,
    /// How long it took.
    pub took: Duration,
}

impl Settlement {
    /// This one and that of keys that were recalled after these.
    pub(crate) fn with_recalled(mut self, other: Self) -> Self {
        self.recalled.extend(other.keys);
        let lives = other.lives.into_iter().filter(|life| !self.lives.contains(life));
        self.lives.extend(lives.collect::<Vec<_>>());
        self.waited_for_unknown |= other.waited_for_unknown;
        self.took += other.took;
        self
    }

    /// Whether any key was concerned.
    pub(crate) fn is_of_keys(&self) -> bool {
        !self.keys.is_empty() || !self.recalled.is_empty()
    }

    fn details(&self, now: DateTime) -> impl Iterator<Item = (&'static str, String)> {
        let mut lives = String::new();
        for (life, confirmed) in self.lives.iter().take(MAXIMUM_NAMED_LIVES) {
            let how = if *confirmed { "confirmed" } else { "expired" };
            let gap = if lives.is_empty() { "" } else { " " };
            let _ = write!(lives, "{gap}{}/{}={how}", plain(&life.gateway), fingerprint(&life.instance));
        }
        let leases_before = if self.waited_for_unknown { "expired" } else { "none" };
        [
            ("closed_keys", named(&self.keys)),
            ("closed_key_count", self.keys.len().to_string()),
            ("recalled_keys", named(&self.recalled)),
            ("gateways", lives),
            ("gateway_count", self.lives.len().to_string()),
            ("leases_from_before_restart", leases_before.to_owned()),
            ("effective_at", now.0.to_string()),
            ("effective_after_milliseconds", self.took.as_millis().to_string()),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
    }
}

fn named(keys: &[ByteString]) -> String {
    keys.iter().take(MAXIMUM_NAMED_KEYS).map(|key| &**key).collect::<Vec<_>>().join(" ")
}

/// A name of a peer's, so that it cannot be taken for more than one.
fn plain(name: &str) -> String {
    let is_plain = |character: &char| character.is_ascii_alphanumeric() || "-_.:@".contains(*character);
    name.chars().map(|character| if is_plain(&character) { character } else { '?' }).collect()
}

/// Tells a life from others without naming it: who knows its name, and has the Gateway's certificate, can speak for it.
pub(crate) fn fingerprint(instance: &str) -> String {
    let digest = key_service::crypto::sha256(instance.as_bytes());
    digest[..FINGERPRINT_BYTES].iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Bytes of the digest of a life's name that are recorded.
const FINGERPRINT_BYTES: usize = 6;

/// How revocations went whose events are still to be recorded, by the object that was revoked.
#[derive(Debug, Default)]
pub struct Settlements {
    settled: Mutex<HashMap<ByteString, Settlement>>,
}

impl Settlements {
    /// Keeps how the revocation of an object went, for its event.
    pub fn keep(&self, unique_identifier: &ByteString, settlement: Settlement) {
        self.settled().insert(ByteString::from(&**unique_identifier), settlement);
    }

    fn take(&self, unique_identifier: &str) -> Option<Settlement> {
        self.settled().remove(unique_identifier)
    }

    fn settled(&self) -> MutexGuard<'_, HashMap<ByteString, Settlement>> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The log as requests from one seat are recorded.
pub(crate) struct SeatAudit {
    pub(crate) log: Arc<dyn Audit>,
    pub(crate) clock: Arc<dyn Clock>,
    /// How revocations went: of those who may revoke. They get receipts too; nobody else does, since receipts name Gateways.
    pub(crate) settlements: Option<Arc<Settlements>>,
}

#[async_trait]
impl Audit for SeatAudit {
    async fn record(&self, event: Event) -> Result<(), AuditError> {
        self.log.record(event).await
    }

    /// An event of a revocation says how it went.
    async fn record_done(&self, mut event: Event) -> Result<(), AuditError> {
        let settlements = self.settlements.as_ref().zip(event.unique_identifier.as_deref());
        if let Some(settlement) = settlements.and_then(|(settlements, key)| settlements.take(key)) {
            event.details.extend(texts(settlement.details(self.clock.now())));
        }
        self.log.record_done(event).await
    }

    async fn record_later(&self, event: Event) -> Result<(), AuditError> {
        self.log.record_later(event).await
    }

    fn ready(&self) -> Result<(), AuditError> {
        self.log.ready()
    }

    fn keeps_uses(&self) -> bool {
        self.log.keeps_uses()
    }

    async fn receipt(&self, tenant: &str, unique_identifier: &str) -> Result<Option<ByteString>, AuditError> {
        match self.settlements {
            Some(_) => self.log.receipt(tenant, unique_identifier).await,
            None => Ok(None),
        }
    }
}

/// Who acts where the Core does so by itself.
pub(crate) const OWN_PRINCIPAL: &str = "krypton-core";

/// Remembers that something was refused to the Core itself, or closed by it. If the log does not take it, the ordinary log
/// at least says so: there is no request that could fail.
pub(crate) async fn record_own(
    audit: &dyn Audit,
    time: DateTime,
    operation: &'static str,
    unique_identifier: Option<&ByteString>,
    details: &[(&'static str, &str)],
) {
    let refused = Outcome::Failure(ResultReason::PermissionDenied);
    let event = own_event(time, operation, unique_identifier, refused, details);
    if let Err(error) = audit.record_done(event).await {
        tracing::error!(%error, operation, "an event is not in the audit log");
    }
}

/// Remembers, shortly after, that a root has opened a tenant.
pub(crate) async fn record_opening(audit: &dyn Audit, time: DateTime, l2: &ByteString, tenant: &str) {
    let event = own_event(time, "Tenant Opened", Some(l2), Outcome::Success, &[("tenant", tenant)]);
    if let Err(error) = audit.record_later(event).await {
        tracing::error!(%error, "the opening of a tenant is not in the audit log");
    }
}

/// Remembers that no Gateway can use the keys of a tenant any more that its root has closed.
pub(crate) async fn record_recall(audit: &dyn Audit, time: DateTime, tenant: &str, settlement: &Settlement) {
    let mut event = own_event(time, "Leases Recalled", None, Outcome::Success, &[("tenant", tenant)]);
    event.details.extend(texts(settlement.details(time)));
    if let Err(error) = audit.record_done(event).await {
        tracing::error!(%error, "the recall of leases is not in the audit log");
    }
}

fn own_event(
    time: DateTime,
    operation: &'static str,
    unique_identifier: Option<&ByteString>,
    outcome: Outcome,
    details: &[(&'static str, &str)],
) -> Event {
    let details = details.iter().map(|(name, value)| (*name, (*value).to_owned()));
    Event {
        unique_identifier: unique_identifier.cloned(),
        details: BTreeMap::from_iter(texts(details)),
        ..Event::new(time, REGION, OWN_PRINCIPAL, operation, outcome)
    }
}

fn texts(
    details: impl IntoIterator<Item = (&'static str, String)>,
) -> impl Iterator<Item = (ByteString, ByteString)> {
    details.into_iter().map(|(name, value)| (ByteString::from_static(name), ByteString::from(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(instance: &str) -> Life {
        Life { gateway: ByteString::from_static("g"), instance: ByteString::from(instance) }
    }

    #[test]
    fn a_life_cannot_speak_for_another() {
        let life = Life { gateway: ByteString::from_static("g=confirmed g/b"), ..life("secret") };
        let settlement = Settlement { lives: vec![(life, false)], ..Settlement::default() };
        let details = BTreeMap::from_iter(settlement.details(DateTime(5)));
        let expected = format!("g?confirmed?g?b/{}=expired", fingerprint("secret"));
        assert_eq!(details["gateways"], expected);
        assert!(!details["gateways"].contains("secret"));
    }

    #[test]
    fn a_large_revocation_tells_how_large_it_is() {
        let keys = (0..1_000).map(|number| ByteString::from(format!("{number:036}"))).collect();
        let settlement = Settlement { keys, ..Settlement::default() };
        let details = BTreeMap::from_iter(settlement.details(DateTime(5)));
        assert_eq!(details["closed_key_count"], "1000");
        assert!(details["closed_keys"].len() < 3_000);
    }
}
