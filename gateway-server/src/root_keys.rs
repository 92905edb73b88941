//! Which L3 of the Core seals for a tenant and service: asked once, remembered for a while, asked again when it is refused.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytestring::ByteString;
use key_service::chain::{TENANT, VENDOR, tenant_attribute, tenant_of};
use key_service::port::SealerError;
use kmip_protocol::attribute::{Attribute, AttributeReference, Attributes};
use kmip_protocol::enumeration::{ObjectType, ResultStatus, State};
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::mask::StorageStatusMask;
use kmip_protocol::message::ResponseBatchItem;
use kmip_protocol::operation::{GetAttributesRequest, LocateRequest, Response};

use crate::core_client::{CoreLink, refusal};

/// How long an answer is believed: what a new L3, or a rotation, takes to be noticed without a push from the Core.
const BELIEVED_FOR: Duration = Duration::from_secs(5);

/// Answers remembered at most: clients choose Object Groups freely, and each makes one.
const MAXIMUM_REMEMBERED: usize = 16_384;

type Place = (String, String);

struct Answer {
    service: ServiceKey,
    asked: Instant,
}

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
    link: Arc<CoreLink>,
    answers: Mutex<HashMap<Place, Answer>>,
    /// Whose an L3 is never changes.
    owners: Mutex<HashMap<ByteString, ByteString>>,
}

impl RootKeys {
    pub(crate) fn new(link: Arc<CoreLink>) -> Self {
        Self { link, answers: Mutex::default(), owners: Mutex::default() }
    }

    /// The L3 of a service.
    pub(crate) async fn find(&self, tenant: &str, service: &str) -> Result<ServiceKey, SealerError> {
        let place = (tenant.to_owned(), service.to_owned());
        if let Some(answer) = self.answers().get(&place)
            && answer.asked.elapsed() < BELIEVED_FOR
        {
            return Ok(answer.service.clone());
        }
        let asked = Instant::now();
        let found = self.ask(tenant, service).await?;
        let mut answers = self.answers();
        if answers.len() >= MAXIMUM_REMEMBERED {
            answers.retain(|_, answer| answer.asked.elapsed() < BELIEVED_FOR);
        }
        if answers.len() < MAXIMUM_REMEMBERED {
            answers.insert(place, Answer { service: found.clone(), asked });
        }
        Ok(found)
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
        if let Some(owner) = self.owners().get(key) {
            return Ok(owner == tenant);
        }
        let vendor = ByteString::from_static(VENDOR);
        let reference = AttributeReference::Custom { vendor, name: ByteString::from_static(TENANT) };
        let request = GetAttributesRequest {
            unique_identifier: Some(UniqueIdentifier::Text(key.clone())),
            attribute_references: vec![reference],
        };
        let items = self.link.send(&[request.into()]).await?;
        let owner = match items.into_iter().next() {
            Some(item) if item.result_status != ResultStatus::Success => return Err(refusal(&item)),
            Some(ResponseBatchItem { payload: Some(Response::GetAttributes(got)), .. }) => {
                tenant_of(got.attributes.iter()).map(|owner| ByteString::from(&**owner))
            }
            _ => None,
        };
        let Some(owner) = owner else { return Ok(false) };
        let mut owners = self.owners();
        if owners.len() >= MAXIMUM_REMEMBERED {
            owners.clear();
        }
        owners.insert(ByteString::from(&**key), owner.clone());
        Ok(owner == tenant)
    }

    fn owners(&self) -> MutexGuard<'_, HashMap<ByteString, ByteString>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks again the next time.
    pub(crate) fn forget(&self, tenant: &str, service: &str) {
        self.answers().remove(&(tenant.to_owned(), service.to_owned()));
    }

    async fn ask(&self, tenant: &str, service: &str) -> Result<ServiceKey, SealerError> {
        let of_service = [
            Attribute::ObjectType(ObjectType::SymmetricKey),
            Attribute::ObjectGroup(ByteString::from(service)),
            tenant_attribute(tenant),
        ];
        let active = of_service.iter().cloned().chain([Attribute::State(State::Active)]);
        if let Some(key) = self.locate(Attributes::new(active), StorageStatusMask::ON_LINE_STORAGE).await? {
            return Ok(ServiceKey::Active(key));
        }
        // A service whose keys were destroyed is closed: what belongs there must not go elsewhere.
        let ever = StorageStatusMask::ON_LINE_STORAGE | StorageStatusMask::DESTROYED_STORAGE;
        let any = self.locate(Attributes::new(of_service), ever).await?;
        Ok(if any.is_some() { ServiceKey::Closed } else { ServiceKey::Unknown })
    }

    async fn locate(
        &self,
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
        let items = self.link.send(&[request.into()]).await?;
        match items.into_iter().next() {
            Some(item) if item.result_status != ResultStatus::Success => Err(refusal(&item)),
            Some(ResponseBatchItem { payload: Some(Response::Locate(located)), .. }) => {
                Ok(located.unique_identifiers.first().map(|key| ByteString::from(&**key)))
            }
            _ => Ok(None),
        }
    }

    fn answers(&self) -> MutexGuard<'_, HashMap<Place, Answer>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
