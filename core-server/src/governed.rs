//! Objects of the Core that are no keys: the policy bundle, and one for each Gateway. They are kept apart from the chain, so
//! that who lists the chain does not meet them; operators reach them by identifier, name or Object Group.

use std::sync::Arc;

use async_trait::async_trait;
use bytestring::ByteString;
use key_service::chain::{GATEWAY_GROUP, GATEWAY_PREFIX, POLICY_OBJECT, gateway_object};
use key_service::guard::Guard;
use key_service::port::{Change, Clock, IndexKey, Position, Store, StoreError};
use key_service::record::Record;
use kmip_protocol::attribute::{Attribute, Attributes, Name};
use kmip_protocol::enumeration::{NameType, ObjectType, State};

use crate::audit::Settlements;
use crate::chain::REGION;
use crate::gateways::Gateways;
use crate::membership::Membership;
use crate::policy::Governance;

/// The tenant under which a store keeps them.
pub const NAMESPACE: &str = "governance";

/// Whether an identifier is that of a Gateway.
pub fn is_gateway(unique_identifier: &str) -> bool {
    unique_identifier.starts_with(GATEWAY_PREFIX)
}

fn is_governed(unique_identifier: &str) -> bool {
    is_gateway(unique_identifier) || unique_identifier == POLICY_OBJECT
}

/// A new object of this kind.
pub(crate) fn record(
    unique_identifier: ByteString,
    attributes: impl IntoIterator<Item = Attribute>,
    clock: &dyn Clock,
) -> Record {
    let now = clock.now();
    let dates = [Attribute::InitialDate(now), Attribute::LastChangeDate(now)];
    Record { sequence: clock.stamp(), ..undated(unique_identifier, attributes.into_iter().chain(dates)) }
}

/// As [`record`], but made at no time: it is never stored.
pub(crate) fn undated(
    unique_identifier: ByteString,
    attributes: impl IntoIterator<Item = Attribute>,
) -> Record {
    Record {
        tenant: ByteString::from_static(NAMESPACE),
        service: ByteString::new(),
        unique_identifier,
        sequence: 0,
        version: 1,
        object_type: ObjectType::OpaqueObject,
        attributes: Attributes::new(attributes),
        sealed: None,
        further_seals: Vec::new(),
        guard: Guard::default(),
    }
}

/// The object of a Gateway that is let in.
pub(crate) fn gateway_record(name: &str, clock: &dyn Clock) -> Record {
    let unique_identifier = gateway_object(name);
    let attributes = [
        Attribute::Name(Name {
            value: unique_identifier.clone(),
            name_type: NameType::UninterpretedTextString,
        }),
        Attribute::ObjectGroup(ByteString::from_static(GATEWAY_GROUP)),
        Attribute::State(State::Active),
        Attribute::ActivationDate(clock.now()),
    ];
    record(unique_identifier, attributes, clock)
}

/// What an operator sees: the chain, and these objects where they are named. A Gateway that is closed is expelled, and a policy
/// put in force, at all Cores of the region before it is answered.
pub struct GovernedStore {
    /// The chain, watched.
    pub(crate) chain: Arc<dyn Store>,
    /// Where these objects are.
    pub(crate) store: Arc<dyn Store>,
    pub(crate) membership: Arc<Membership>,
    pub(crate) gateways: Arc<Gateways>,
    pub(crate) governance: Arc<Governance>,
    pub(crate) settlements: Arc<Settlements>,
}

impl GovernedStore {
    /// Sees to it that what has become of one of these objects binds this Core and its Gateways.
    async fn bind(&self, record: &Arc<Record>) {
        if &*record.unique_identifier == POLICY_OBJECT {
            self.governance.adopt(record).await;
        } else if let Some(expelled) = self.gateways.judge(record) {
            self.settlements.keep(&record.unique_identifier, expelled.await);
        }
    }
}

#[async_trait]
impl Store for GovernedStore {
    fn below(&self) -> Option<&dyn Store> {
        Some(&*self.chain)
    }

    async fn fetch(&self, tenant: &str, unique_identifier: &str) -> Result<Option<Arc<Record>>, StoreError> {
        let namespace = if is_governed(unique_identifier) { NAMESPACE } else { tenant };
        self.chain.fetch(namespace, unique_identifier).await
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let is_of_these = |record: &Arc<Record>| record.tenant == NAMESPACE;
        let changed: Vec<Arc<Record>> =
            changes.iter().map(Change::record).filter(|record| is_of_these(record)).cloned().collect();
        if changed.is_empty() {
            return self.chain.commit(changes).await;
        }
        if changed.len() < changes.len() {
            let mixed = "the chain is not changed together with Gateways or the policy";
            return Err(StoreError::Unavailable(mixed.to_owned()));
        }
        self.store.commit(changes).await?;
        let here = async {
            for record in &changed {
                self.bind(record).await;
            }
        };
        let ((), elsewhere) = tokio::join!(here, self.membership.settle());
        elsewhere
    }

    async fn select(
        &self,
        tenant: &str,
        key: Option<&IndexKey>,
        after: Option<Position>,
        limit: usize,
    ) -> Result<Vec<Arc<Record>>, StoreError> {
        let mut selected = self.chain.select(tenant, key, after, limit).await?;
        // A search without any name or group is one for keys of the chain.
        if key.is_some() && tenant == REGION {
            selected.extend(self.store.select(NAMESPACE, key, after, limit).await?);
            selected.sort_by_key(|record| std::cmp::Reverse(record.sequence));
            selected.truncate(limit);
        }
        Ok(selected)
    }
}
