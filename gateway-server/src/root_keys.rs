//! Which L3 of the Core seals for a tenant and service: asked once, remembered for a while, asked again when it is refused.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytestring::ByteString;
use key_service::chain::{MAXIMUM_NAME_BYTES, TENANT, VENDOR, tenant_attribute, tenant_of};
use key_service::port::SealerError;
use kmip_protocol::attribute::{Attribute, AttributeReference, Attributes};
use kmip_protocol::enumeration::{ObjectType, State};
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::mask::StorageStatusMask;
use kmip_protocol::operation::{GetAttributesRequest, LocateRequest, Response};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use crate::errands::Errands;

/// How long an answer is believed: what a new L3, or a rotation, takes to be noticed without a push from the Core.
const BELIEVED_FOR: Duration = Duration::from_secs(5);

/// L3s of a tenant whose owner is remembered: operators make them, so that there are rarely many.
const MAXIMUM_OWNED_PER_TENANT: usize = 4096;

/// What the Core says about a service of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ServiceKey {
    /// This L3 seals for it.
    Active(ByteString),
    /// It had an L3 and has none that may seal now. Nothing else stands in for it.
    Closed,
    /// There is no such service.
    Unknown,
}

/// The L3s of the Core by tenant and service.
pub(crate) struct RootKeys {
    errands: Arc<Errands>,
    /// Answers that are remembered of a tenant at most: its clients choose Object Groups freely, and each makes one.
    maximum_answers: usize,
    tenants: Mutex<HashMap<ByteString, Known>>,
    asked: Counter,
}

/// What is known of a tenant.
#[derive(Default)]
struct Known {
    services: HashMap<ByteString, Answer>,
    /// Its L3s, as far as they were met. Whose an L3 is never changes.
    owned: HashSet<ByteString>,
}

struct Answer {
    service: ServiceKey,
    asked: Instant,
}

impl Answer {
    fn is_believed(&self, now: Instant) -> bool {
        now.duration_since(self.asked) < BELIEVED_FOR
    }
}

impl Known {
    fn find(&self, service: &str, now: Instant) -> Option<&ServiceKey> {
        self.services.get(service).filter(|answer| answer.is_believed(now)).map(|answer| &answer.service)
    }

    /// Remembers an answer. Where there are too many, the oldest one about a service that does not exist gives way: however many
    /// of these are asked for, those that exist stay.
    fn remember(&mut self, service: &str, answer: Answer, now: Instant, maximum: usize) {
        if self.services.len() >= maximum && !self.services.contains_key(service) {
            self.services.retain(|_, answer| answer.is_believed(now));
        }
        if self.services.len() >= maximum && !self.services.contains_key(service) {
            let unknown = self.services.iter().filter(|(_, answer)| answer.service == ServiceKey::Unknown);
            let oldest = unknown.min_by_key(|(_, answer)| answer.asked).map(|(service, _)| service.clone());
            match oldest {
                Some(oldest) => _ = self.services.remove(&oldest),
                None => return,
            }
        }
        self.services.insert(ByteString::from(service), answer);
    }
}

impl RootKeys {
    /// Asks by way of `errands`, and remembers so many answers of a tenant.
    pub(crate) fn new(errands: Arc<Errands>, maximum_answers: usize, registry: &mut Registry) -> Self {
        let asked = Counter::default();
        registry.register("services_asked", "Services that the Core was asked about", asked.clone());
        Self { errands, maximum_answers, tenants: Mutex::default(), asked }
    }

    /// The L3 of a service.
    pub(crate) async fn find(&self, tenant: &str, service: &str) -> Result<ServiceKey, SealerError> {
        if service.len() > MAXIMUM_NAME_BYTES {
            return Ok(ServiceKey::Unknown);
        }
        let asked = Instant::now();
        if let Some(known) = self.tenants().get(tenant).and_then(|known| known.find(service, asked)) {
            return Ok(known.clone());
        }
        self.asked.inc();
        let service_key = self.ask(tenant, service).await?;
        let answer = Answer { service: service_key.clone(), asked };
        let mut tenants = self.tenants();
        known(&mut tenants, tenant).remember(service, answer, Instant::now(), self.maximum_answers);
        Ok(service_key)
    }

    /// The L3 that seals for a service.
    pub(crate) async fn sealing_key(&self, tenant: &str, service: &str) -> Result<ByteString, SealerError> {
        match self.find(tenant, service).await? {
            ServiceKey::Active(key) => Ok(key),
            ServiceKey::Closed => Err(SealerError::Refused("the service has no active key".to_owned())),
            ServiceKey::Unknown => Err(SealerError::NoKey),
        }
    }

    /// Whether an L3 is of a tenant, as the Core says. A store says which L3 sealed a record, and a store can be edited: without
    /// this, a record copied to another tenant would open there.
    pub(crate) async fn is_of_tenant(&self, key: &ByteString, tenant: &str) -> Result<bool, SealerError> {
        if self.tenants().get(tenant).is_some_and(|known| known.owned.contains(key)) {
            return Ok(true);
        }
        let vendor = ByteString::from_static(VENDOR);
        let reference = AttributeReference::Custom { vendor, name: ByteString::from_static(TENANT) };
        let request = GetAttributesRequest {
            unique_identifier: Some(UniqueIdentifier::Text(key.clone())),
            attribute_references: vec![reference],
        };
        let is_owned = match self.errands.ask(tenant, 0, request).await? {
            Response::GetAttributes(got) => {
                tenant_of(got.attributes.iter()).is_some_and(|owner| **owner == *tenant)
            }
            _ => false,
        };
        if is_owned {
            let mut tenants = self.tenants();
            let owned = &mut known(&mut tenants, tenant).owned;
            if owned.len() >= MAXIMUM_OWNED_PER_TENANT {
                owned.clear();
            }
            owned.insert(ByteString::from(&**key));
        }
        Ok(is_owned)
    }

    /// Asks again the next time.
    pub(crate) fn forget(&self, tenant: &str, service: &str) {
        if let Some(known) = self.tenants().get_mut(tenant) {
            known.services.remove(service);
        }
    }

    async fn ask(&self, tenant: &str, service: &str) -> Result<ServiceKey, SealerError> {
        let of_service = [
            Attribute::ObjectType(ObjectType::SymmetricKey),
            Attribute::ObjectGroup(ByteString::from(service)),
            tenant_attribute(tenant),
        ];
        let active = of_service.iter().cloned().chain([Attribute::State(State::Active)]);
        if let Some(key) =
            self.locate(tenant, Attributes::new(active), StorageStatusMask::ON_LINE_STORAGE).await?
        {
            return Ok(ServiceKey::Active(key));
        }
        // A service whose keys were destroyed is closed: what belongs there must not go elsewhere.
        let ever = StorageStatusMask::ON_LINE_STORAGE | StorageStatusMask::DESTROYED_STORAGE;
        let any = self.locate(tenant, Attributes::new(of_service), ever).await?;
        Ok(if any.is_some() { ServiceKey::Closed } else { ServiceKey::Unknown })
    }

    async fn locate(
        &self,
        tenant: &str,
        attributes: Attributes,
        among: StorageStatusMask,
    ) -> Result<Option<ByteString>, SealerError> {
        let request = LocateRequest {
            maximum_items: Some(1),
            offset_items: None,
            storage_status_mask: Some(among),
            object_group_member: None,
            attributes,
        };
        match self.errands.ask(tenant, 0, request).await? {
            Response::Locate(located) => {
                Ok(located.unique_identifiers.first().map(|key| ByteString::from(&**key)))
            }
            _ => Ok(None),
        }
    }

    fn tenants(&self) -> MutexGuard<'_, HashMap<ByteString, Known>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn known<'a>(tenants: &'a mut HashMap<ByteString, Known>, tenant: &str) -> &'a mut Known {
    tenants.entry(ByteString::from(tenant)).or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_that_do_not_exist_push_none_out_that_does() {
        let (mut known, start) = (Known::default(), Instant::now());
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let active = ServiceKey::Active("l3".into());
        let mut remember = |service: &str, service_key: &ServiceKey, now| {
            let answer = Answer { service: service_key.clone(), asked: at(now) };
            known.remember(service, answer, at(now), 4);
        };
        remember("default", &active, 0);
        remember("closed", &ServiceKey::Closed, 0);
        for number in 1..1_000 {
            remember(&format!("random-{number}"), &ServiceKey::Unknown, number);
        }
        assert_eq!(known.find("default", at(1_000)), Some(&active));
        assert_eq!(known.find("closed", at(1_000)), Some(&ServiceKey::Closed));
        assert_eq!(known.find("random-999", at(1_000)), Some(&ServiceKey::Unknown));
        assert_eq!(known.services.len(), 4);
        assert_eq!(known.find("default", at(5_000)), None, "it is asked for anew");
    }

    #[test]
    fn services_that_exist_are_remembered_up_to_the_bound() {
        let (mut known, now) = (Known::default(), Instant::now());
        for number in 0..10 {
            let answer = Answer { service: ServiceKey::Active("l3".into()), asked: now };
            known.remember(&number.to_string(), answer, now, 4);
        }
        assert!(known.find("3", now).is_some() && known.find("4", now).is_none());
        let answer = Answer { service: ServiceKey::Closed, asked: now + BELIEVED_FOR };
        known.remember("later", answer, now + BELIEVED_FOR, 4);
        assert_eq!(known.services.len(), 1, "what is not believed any more gives way");
    }
}
