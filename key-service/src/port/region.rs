//! The port for what several Cores of a region need besides a shared store: who is a member, what has changed, and who has
//! followed. `crate::region` says why.

use std::time::Duration;

use async_trait::async_trait;
use bytestring::ByteString;

use super::StoreError;

/// A member, as the others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRow {
    /// One life of a Core.
    pub instance: ByteString,
    /// Counts its renewals.
    pub beat: u64,
    /// All changes up to here bind it and its Gateways.
    pub applied: u64,
    /// How long a renewal keeps it a member, on its own clock.
    pub membership: Duration,
    /// The longest lease that it grants.
    pub lease: Duration,
}

/// Where the region stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The number of the last change.
    pub last: u64,
    /// The members, those that have ended and are not forgotten yet included.
    pub members: Vec<MemberRow>,
}

/// A record that is not what it was; or whatever else the members have to hear of, named likewise.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Changed {
    /// The tenant of the store.
    pub tenant: ByteString,
    /// The record.
    pub unique_identifier: ByteString,
}

/// What changed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionChange {
    /// Its number; the next change has the next one.
    pub sequence: u64,
    /// What has changed.
    pub changed: Vec<Changed>,
}

/// What the members of a region share. Every change that a [`Store`](super::Store) of it commits is numbered in the same
/// transaction.
#[async_trait]
pub trait Region: Send + Sync + 'static {
    /// Makes a member of a name that no member has had; returns the number of the last change. Whoever commits the next one
    /// finds the member.
    async fn join(&self, instance: &str, membership: Duration, lease: Duration) -> Result<u64, StoreError>;

    /// Renews a membership and says what binds the member; returns the number of the last change, or `None` if it is no
    /// member any more.
    async fn renew(&self, instance: &str, applied: u64) -> Result<Option<u64>, StoreError>;

    /// Ends a membership whose member uses no key any more, before its time: the leases that it granted end within `lease`.
    async fn leave(&self, instance: &str, lease: Duration) -> Result<(), StoreError>;

    /// Numbers a change that no record shows.
    async fn tell(&self, changed: &[Changed]) -> Result<(), StoreError>;

    /// The changes after a number, in order.
    async fn changes(&self, after: u64) -> Result<Vec<RegionChange>, StoreError>;

    /// Where the region stands.
    async fn standing(&self) -> Result<Standing, StoreError>;

    /// Forgets a member, unless it was renewed since its `beat`.
    async fn forget(&self, instance: &str, beat: u64) -> Result<(), StoreError>;

    /// Forgets the changes that bind all members.
    async fn forget_changes(&self) -> Result<(), StoreError>;

    /// Waits until there may be news. A hint: it may come late, not at all, or for nothing.
    async fn news(&self);
}
