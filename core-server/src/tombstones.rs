//! Tombstones: which objects of Gateways (L4s) were destroyed. What a tombstone names is never wrapped or unwrapped again,
//! under no version of its service's L3, however old the store is that it comes from.
//!
//! They are records of the Core's store, in a namespace for each service that no listing of the chain meets: a Gateway that
//! serves one service of a tenant buries nothing of another.

use std::collections::HashMap;
use std::sync::Arc;

use bytestring::ByteString;
use key_service::context::Absence;
use key_service::guard::Guard;
use key_service::port::{Change, Clock, Store, StoreError};
use key_service::record::Record;
use kmip_protocol::attribute::{Attribute, Attributes, Instance};
use kmip_protocol::enumeration::{ObjectType, State};

const NAMESPACE_PREFIX: &str = "tombstones/";

/// Where the objects of a service are buried.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Plot {
    tenant: ByteString,
    service: ByteString,
}

impl Plot {
    /// Where the objects go that an L3 has sealed.
    pub fn of(tenant: &ByteString, l3: &Record) -> Self {
        Self { tenant: tenant.clone(), service: l3.service.clone() }
    }

    /// Whose tombstones a store keeps in a namespace, if it is one of tombstones.
    pub fn named(namespace: &str) -> Option<Self> {
        let (tenant, service) = namespace.strip_prefix(NAMESPACE_PREFIX)?.split_once('/')?;
        Some(Self { tenant: tenant.into(), service: service.into() })
    }

    /// The tenant.
    pub fn tenant(&self) -> &ByteString {
        &self.tenant
    }

    /// Where an object is buried, if it is.
    pub fn grave(&self, unique_identifier: &str) -> Absence {
        Absence { tenant: self.namespace(), unique_identifier: ByteString::from(unique_identifier) }
    }

    /// No tenant and no service has a slash in its name.
    fn namespace(&self) -> ByteString {
        ByteString::from(format!("{NAMESPACE_PREFIX}{}/{}", self.tenant, self.service))
    }
}

/// The tombstones of a region.
pub struct Tombstones {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl Tombstones {
    /// The tombstones that `store` keeps.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Sets a tombstone, durably. Returns whether there was none yet.
    ///
    /// # Errors
    /// If the store does not take it.
    pub async fn bury(&self, plot: &Plot, unique_identifier: &str) -> Result<bool, StoreError> {
        let attributes = [Attribute::State(State::Destroyed), Attribute::DestroyDate(self.clock.now())];
        let instances = attributes.map(|attribute| Instance { index: Some(0), attribute }).to_vec();
        let tombstone = Record {
            tenant: plot.namespace(),
            service: ByteString::new(),
            unique_identifier: ByteString::from(unique_identifier),
            sequence: self.clock.stamp(),
            version: 1,
            // Nobody needs to know; a record has to have one.
            object_type: ObjectType::OpaqueObject,
            attributes: Attributes { instances, templates: Vec::new() },
            sealed: None,
            further_seals: Vec::new(),
            guard: Guard::default(),
        };
        match self.store.commit(vec![Change::Insert(Arc::new(tombstone))]).await {
            Ok(()) => Ok(true),
            Err(StoreError::IdentifierTaken) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Which of these objects were destroyed, in their order: the store is asked once for each service. What it leaves open is
    /// taken for buried.
    ///
    /// # Errors
    /// If the store does not tell: nothing may be unwrapped then.
    pub async fn are_buried(&self, graves: &[Absence]) -> Result<Vec<bool>, StoreError> {
        let mut buried = vec![true; graves.len()];
        let mut plots: HashMap<&ByteString, Vec<usize>> = HashMap::new();
        for (place, grave) in graves.iter().enumerate() {
            plots.entry(&grave.tenant).or_default().push(place);
        }
        for (plot, places) in plots {
            let objects: Vec<ByteString> =
                places.iter().map(|place| graves[*place].unique_identifier.clone()).collect();
            let present = self.store.present(plot, &objects).await?;
            for (place, present) in places.into_iter().zip(present) {
                buried[place] = present;
            }
        }
        Ok(buried)
    }

    /// Whether an object was destroyed.
    ///
    /// # Errors
    /// If the store does not tell: nothing may be unwrapped then.
    pub async fn is_buried(&self, plot: &Plot, unique_identifier: &str) -> Result<bool, StoreError> {
        Ok(self.are_buried(&[plot.grave(unique_identifier)]).await? != [false])
    }
}
