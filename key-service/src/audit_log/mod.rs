//! The audit log: an append-only Merkle tree of events with signed checkpoints, and receipts that anybody verifies.
//!
//! The formats are those of C2SP: [tlog-tiles](https://c2sp.org/tlog-tiles) for the files,
//! [tlog-checkpoint](https://c2sp.org/tlog-checkpoint) and [signed-note](https://c2sp.org/signed-note) for what is
//! signed, [tlog-proof](https://c2sp.org/tlog-proof) for receipts; the tree is that of RFC 6962. `docs/AUDIT.md` tells
//! what is guaranteed, and how a third party verifies it.
//!
//! * [`AuditLog`] writes, as the port [`Audit`](crate::port::Audit); [`LogReader`] reads, proves, exports and verifies.
//! * [`ServerLog`]: the log of a server, as its section `[audit]` ([`AuditSettings`]) asks for.
//! * [`receipt`]: what leaves the house; [`VerifierKey`]: what verifies it.
//! * [`MemoryAudit`] collects events in tests.

mod checkpoint;
mod entries;
mod entry;
mod error;
mod index;
mod journal;
mod left_open;
mod log;
mod memory;
mod merkle;
mod note;
mod opentelemetry;
mod queue;
mod reader;
pub mod receipt;
mod recovery;
mod server;
mod settings;
mod settling;
mod statistics;
pub mod subject;
#[cfg(test)]
mod tests;
mod tiles;
mod verification;
mod work;
mod writer;

pub use checkpoint::{Checkpoint, SignedCheckpoint};
pub use entry::{
    Entry, MAXIMUM_DETAIL_BYTES, MAXIMUM_DETAIL_NAME_BYTES, MAXIMUM_DETAILS, MAXIMUM_TEXT_BYTES, ServerKind,
};
pub use error::LogError;
pub use left_open::{Found, LeftOpen, RecordWitness, Witness};
pub use log::AuditLog;
pub use memory::MemoryAudit;
pub use merkle::{Hash, leaf_hash, verify_consistency, verify_inclusion};
pub use note::{MAXIMUM_NOTE_BYTES, NoteError, SigningKey, VerifierKey};
pub use reader::{InclusionProof, LogReader, verify};
pub use receipt::Receipt;
pub use server::ServerLog;
pub use settings::{AuditLogSettings, AuditSettings, Uses};
pub use verification::{LogFault, MAXIMUM_FAULTS, Report};
