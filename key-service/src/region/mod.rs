//! Several Cores that serve one region together: why a revocation at one binds all of them before it is answered.
//!
//! The Cores share a store and nothing else. Each is a *member* for a while at a time: it renews its membership in the
//! database, and a renewal counts on its own monotonic clock from *before* it was sent. The database numbers every change
//! of the chain in the transaction that makes it. [`Member`] is what a Core knows of itself, [`Settlement`] what the Core
//! that made a change waits for, [`Watch`] how members that have ended are forgotten. All are plain state machines: they
//! are told the time and what was read, and say what to do. `core-server` drives them with a database, `simulation` with a
//! seed.
//!
//! Why no key is used after its revocation has been answered:
//!
//! 1. A renewal returns the number of the last change. It counts only when all changes up to that number bind the member:
//!    it has forgotten the keys concerned and grants no lease on them.
//! 2. So a member that does not know of a change has no renewal that was carried out after it, and is no member any more
//!    when a membership has passed since the change was committed. A Core that is no member uses no key and grants no lease.
//! 3. The change is answered when every member says that it binds its Gateways too, or when a membership and the longest
//!    lease have passed, on the clock of the Core that made the change. No two clocks are ever compared.
//! 4. Whoever joins later is told a number that includes the change, and opens keys anew from then on: the database lets
//!    a change commit either before the number was read, or when the new member can be seen.
//! 5. A member is forgotten when it has not been renewed for a membership and the longest lease, on the clock of the one
//!    that forgets it; a renewal that comes in between keeps it, one that comes later is refused.
//! 6. A Core that stops uses no key any more and then leaves: its membership is over, and its leases end within what it says.
//!    That counts as a renewal, so that nobody counts those leases from before.

mod member;
mod settlement;
#[cfg(test)]
mod simulation;

pub use member::{Member, Renewing, Rewound};
pub use settlement::{Settlement, Watch};
