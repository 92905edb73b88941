//! Leases: what makes a Revoke mean revoked on machines that cannot be reached.
//!
//! A Gateway uses a key only under a live lease on the L3 above it. The Core grants leases ([`Grantor`]), the Gateway
//! holds them ([`Holder`]). Both are plain state machines: they are told the time and what arrived, and say what to do.
//! The servers drive them with sockets and clocks, `simulation` with a seed.
//!
//! Why no use follows an answered Revoke:
//!
//! 1. The holder counts a lease from *before* it sent the request; the grantor from when it granted, plus
//!    [`Drift`]. So the grantor's end of a lease is never before the holder's.
//! 2. The grantor marks a key as revoked before it looks who holds leases: every lease is either in its book when it
//!    looks, or is not granted.
//! 3. The Revoke is answered when every lease in the book has been given up by its holder, or has ended. A holder
//!    that gives up forgets the lease *and* disregards grants that it asked for earlier: they may have been
//!    overtaken.
//! 4. A grantor that has lost its book in a restart acts as if everybody held every lease for the longest time that
//!    it grants.
//! 5. A Revoke that fails is taken back when the store has answered, never while it may yet succeed. Whether it was recorded
//!    all the same does not matter: the store is asked anew before anything is granted.
//!
//! Why no opened object is used after all have been told to forget it:
//!
//! 1. Whoever may use the key is told: those in the book, and those who have yet to give it up. One that cannot be told is to
//!    give up the key, and gets no lease before it has, or its earlier one has ended.
//! 2. Whoever is in neither holds no lease of this life of the grantor. When one begins, the holder wipes what it had opened;
//!    and it keeps nothing that was asked for before that.
//! 3. A lease goes on by grants of one life of one grantor. Where the next grant is of another life, or of another grantor, a lease
//!    begins. So what a grantor that has died did not come to tell matters no longer than the leases that it had granted.

mod grantor;
mod holder;
#[cfg(test)]
mod simulation;

use std::time::Duration;

pub use grantor::{Grant, Grantor, Revocation};
pub use holder::{Asked, Granted, Holder};

/// How much slower than the grantor's a holder's clock may run. Quartz is a hundred times better; the rest is for
/// virtual machines that are held up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drift {
    /// Parts per thousand.
    pub per_mille: u32,
    /// On top of that.
    pub fixed: Duration,
}

impl Default for Drift {
    fn default() -> Self {
        Self { per_mille: 10, fixed: Duration::from_millis(20) }
    }
}

impl Drift {
    /// A time on the holder's clock, as long as it may take on the grantor's.
    pub fn stretch(self, time: Duration) -> Duration {
        time + time * self.per_mille / 1000 + self.fixed
    }
}
