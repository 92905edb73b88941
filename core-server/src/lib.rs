//! Krypton Core: the sovereign vault of one region.
//!
//! It keeps the chain of keys of each tenant (an L1 outside, L2 and L3 wrapped in its store) as KMIP objects, and wraps
//! and unwraps data of Gateways under the L3s. No L2 or L3 leaves it.
//!
//! * [`config`], [`server`]: what an operator writes, and the running Core.
//! * [`profile`]: who may ask for what; [`seat`]: from a certificate to a role and what can be seen from there.
//! * [`policy`]: what headquarters permits, asked in one place, and how much a Gateway may do.
//! * [`chain`]: the objects; [`root`]: the L1s; [`anchor`]: how an L2 stands under several of them; `prober` and [`switch`]: whether they are still there, and what follows if not; [`vault`]: the unsealed keys; [`openings`]: those that are being opened; [`store`]: how rules see the store.
//! * [`leases`]: how long Gateways may use what an L3 sealed, and how that is recalled; [`membership`], `following`: the same among several Cores.
//! * [`tombstones`]: which objects of Gateways were destroyed.
//! * [`gateways`]: who is let in; [`governed`]: objects that are no keys; [`ledger`]: what an older store must not bring back.
//! * [`audit`]: what the audit log is told beside requests.
//! * [`uses`]: how often L3s are used; `steward`: rotates those that were used too often or too long.
//! * `operations`: what KMIP's operations mean here.

#![forbid(unsafe_code)]

pub mod anchor;
pub mod audit;
pub mod chain;
pub mod config;
mod following;
mod gateway_stores;
pub mod gateways;
pub mod governed;
pub mod leases;
pub mod ledger;
pub mod membership;
pub mod metrics;
mod no_sealer;
#[doc(hidden)]
pub mod offline;
pub mod openings;
mod operations;
mod persistence;
pub mod policy;
mod prober;
pub mod profile;
pub mod reach;
mod region_metrics;
pub mod root;
pub mod seat;
pub mod server;
mod steward;
pub mod store;
pub mod switch;
pub mod tombstones;
pub mod uses;
pub mod vault;
mod witness;

pub use config::Config;
pub use server::{Running, StartError, check, run};
