//! The ports: every effect that the rules need, behind a trait, so that the same rules run in both servers, in tests
//! and in a seeded simulation.

mod audit;
mod clock;
mod region;
mod sealer;
mod store;

pub use crate::crypto::{Entropy, SystemEntropy};
pub use audit::{Audit, AuditError, Event, NoAudit, Outcome};
pub use clock::{Clock, SystemClock};
pub use region::{Changed, MemberRow, Region, RegionChange, Standing};
pub use sealer::{Binding, Sealed, Sealer, SealerError};
pub use store::{Bookmark, Change, IndexKey, Position, Store, StoreError, Stretch};
