//! From the identity in a client certificate to a seat: a role, what can be seen from there, and the rules bound to it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use key_service::port::{Audit, Clock, Entropy, Store};
use key_service::principal::Principal;
use key_service::service::{Service, ServiceSettings};
use kmip_net::Identity;

use crate::audit::{SeatAudit, Settlements};
use crate::chain::{Level, REGION};
use crate::config::{Config, GatewaySettings};
use crate::gateway_stores::GatewayStores;
use crate::gateways::{Admission, Gateways};
use crate::governed::GovernedStore;
use crate::leases::Leases;
use crate::membership::Membership;
use crate::metrics::Metrics;
use crate::no_sealer::NoSealer;
use crate::operations::check::Drills;
use crate::operations::shredding::Reports;
use crate::policy::Governance;
use crate::policy::budget::Meter;
use crate::profile::{self, Role};
use crate::reach::Reach;
use crate::store::{ServiceKeyView, WatchedStore};
use crate::tombstones::Tombstones;
use crate::vault::{UnsealedKey, Vault};

/// A role and what goes with it.
pub struct Seat {
    /// The role.
    pub role: Role,
    /// KMIP's rules over what can be seen from here.
    pub service: Service,
    /// The vault.
    pub vault: Arc<Vault>,
    /// The leases of Gateways.
    pub leases: Arc<Leases>,
    /// The objects of Gateways that were destroyed.
    pub tombstones: Arc<Tombstones>,
    /// This Core among the others of its region.
    pub membership: Arc<Membership>,
    /// The whole chain, for the one change that a Gateway may make: its report on shredding.
    pub(crate) changes: Arc<dyn Store>,
    /// The Gateways, and what each reaches.
    pub(crate) gateways: Vec<(String, Reach)>,
    /// What is counted.
    pub metrics: Metrics,
    /// L1s that one L2 may be sealed under.
    pub maximum_anchors: usize,
    /// After how long without a proof of its anchors an open tenant is overdue.
    pub proof_overdue_after: Duration,
    /// Bytes of a plaintext at most.
    pub maximum_plaintext_bytes: usize,
    /// The policy.
    pub governance: Arc<Governance>,
    /// The tenants that are being drilled from here.
    pub(crate) drills: Drills,
    /// When reports on shredding came from here.
    pub(crate) reports: Reports,
    /// The stores of the Gateway that sits here.
    pub(crate) stores: GatewayStores,
    /// What has been wrapped and unwrapped from here.
    pub meter: Meter,
    /// Whether whoever sits here is let in.
    pub admission: Arc<Admission>,
    /// `None`: all.
    reach: Option<Arc<Reach>>,
}

/// The seats of a Core.
pub struct Seats {
    operator_unit: String,
    gateway_unit: String,
    operator: Seat,
    gateways: HashMap<String, Seat>,
    stranger: Seat,
}

/// What all seats share.
pub struct Ports {
    /// Where wrapped keys are kept.
    pub store: Arc<dyn Store>,
    /// The vault.
    pub vault: Arc<Vault>,
    /// The leases of Gateways.
    pub leases: Arc<Leases>,
    /// The objects of Gateways that were destroyed.
    pub tombstones: Arc<Tombstones>,
    /// This Core among the others of its region.
    pub membership: Arc<Membership>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// What is counted.
    pub metrics: Metrics,
    /// The policy.
    pub governance: Arc<Governance>,
    /// The audit log.
    pub audit: Arc<dyn Audit>,
    /// Which Gateways are let in.
    pub gateways: Arc<Gateways>,
}

impl Seats {
    /// The seats that `config` gives.
    pub fn new(config: &Config, ports: &Ports) -> Self {
        let gateway = |settings: &GatewaySettings| {
            let meter = meter(config, ports, settings);
            let seat = Seat::new(Role::Gateway, Some(Reach::of(settings)), meter, config, ports);
            Seat { admission: ports.gateways.admission(&settings.name), ..seat }
        };
        let named = config.gateways.iter().map(|settings| (settings.name.clone(), gateway(settings)));
        let unmetered = || Meter::new(config.budget, Arc::clone(&ports.clock), []);
        Self {
            operator_unit: config.operator_unit.clone(),
            gateway_unit: config.gateway_unit.clone(),
            operator: Seat::new(Role::Operator, None, unmetered(), config, ports),
            gateways: named.collect(),
            stranger: Seat::new(Role::Stranger, Some(Reach::default()), unmetered(), config, ports),
        }
    }

    /// The seat of operators.
    pub(crate) fn operator(&self) -> &Seat {
        &self.operator
    }

    /// The seat of an identity.
    pub fn of(&self, identity: &Identity) -> &Seat {
        match identity.tenant.as_deref() {
            Some(unit) if unit == self.operator_unit => &self.operator,
            Some(unit) if unit == self.gateway_unit => {
                self.gateways.get(&*identity.principal).unwrap_or(&self.stranger)
            }
            _ => &self.stranger,
        }
    }
}

impl Seat {
    fn new(role: Role, reach: Option<Reach>, meter: Meter, config: &Config, ports: &Ports) -> Self {
        let reach = reach.map(Arc::new);
        let gateways = config.gateways.iter().map(|settings| (settings.name.clone(), Reach::of(settings)));
        let settlements = reach.is_none().then(Arc::<Settlements>::default);
        let changes = watched_store(ports, settlements.clone());
        let store: Arc<dyn Store> = match &reach {
            Some(reach) => Arc::new(ServiceKeyView::new(Arc::clone(&ports.store), Arc::clone(reach))),
            None => Arc::clone(&changes),
        };
        let (log, clock) = (Arc::clone(&ports.audit), Arc::clone(&ports.clock));
        let audit: Arc<dyn Audit> = Arc::new(SeatAudit { log, clock, settlements });
        let service = Service::new(
            store,
            Arc::new(NoSealer),
            Arc::clone(&ports.clock),
            Arc::clone(&ports.entropy),
            audit,
            settings(config),
            profile::offered(role),
        );
        Self {
            role,
            service,
            vault: Arc::clone(&ports.vault),
            leases: Arc::clone(&ports.leases),
            maximum_anchors: config.roots.maximum_anchors,
            proof_overdue_after: config.roots.probe_interval * OVERDUE_AFTER_PERIODS,
            tombstones: Arc::clone(&ports.tombstones),
            membership: Arc::clone(&ports.membership),
            changes,
            gateways: gateways.collect(),
            metrics: ports.metrics.clone(),
            maximum_plaintext_bytes: config.requests.maximum_plaintext_bytes,
            governance: Arc::clone(&ports.governance),
            drills: Drills::default(),
            reports: Reports::default(),
            stores: GatewayStores::new(Arc::clone(&ports.store), Arc::clone(&ports.clock)),
            meter,
            admission: Arc::default(),
            reach,
        }
    }

    /// Who sits here.
    pub fn principal(&self, identity: &Identity) -> Principal {
        Principal { tenant: ByteString::from_static(REGION), name: identity.principal.clone() }
    }

    /// Whether an open key can be seen from here, as the store would show it.
    pub fn sees(&self, key: &UnsealedKey) -> bool {
        let reaches = |reach: &Arc<Reach>| reach.includes(key.tenant(), &key.record().service);
        self.reach.as_ref().is_none_or(|reach| key.level() == Level::L3 && reaches(reach))
    }
}

fn meter(config: &Config, ports: &Ports, settings: &GatewaySettings) -> Meter {
    let tenants = settings.tenants.iter().map(|tenant| ByteString::from(tenant.as_str()));
    Meter::new(settings.budget.unwrap_or(config.budget), Arc::clone(&ports.clock), tenants)
}

/// One proof may be late by as much as a slow root takes.
const OVERDUE_AFTER_PERIODS: u32 = 2;

/// The store of those who change the chain. Operators (they have `settlements`) reach the objects that are no keys, too.
fn watched_store(ports: &Ports, settlements: Option<Arc<Settlements>>) -> Arc<dyn Store> {
    let watched = Arc::new(WatchedStore::new(
        Arc::clone(&ports.store),
        Arc::clone(&ports.vault),
        Arc::clone(&ports.leases),
        Arc::clone(&ports.membership),
        settlements.clone().unwrap_or_default(),
    ));
    let (gateways, governance) = (Arc::clone(&ports.gateways), Arc::clone(&ports.governance));
    match settlements {
        Some(settlements) => Arc::new(GovernedStore {
            chain: watched,
            store: Arc::clone(&ports.store),
            membership: Arc::clone(&ports.membership),
            gateways,
            governance,
            settlements,
        }),
        None => watched,
    }
}

fn settings(config: &Config) -> ServiceSettings {
    let requests = &config.requests;
    ServiceSettings {
        maximum_batch_items: requests.maximum_batch_items,
        maximum_response_bytes: requests.maximum_response_bytes,
        maximum_located_items: requests.maximum_located_items,
        lease_time_seconds: requests.lease_time_seconds,
        server_name: "krypton-core".to_owned(),
        ..ServiceSettings::default()
    }
}
