//! The governance policy: who may do what with which keys, in Cedar, as headquarters writes and signs it.
//!
//! * [`question`]: what is asked; [`Policies`]: a set of policies that answers, fast.
//! * [`Bundle`]: how a set travels: numbered, for named regions, signed.
//!
//! The schema (`krypton.cedarschema`) says what policies may speak of; `default.cedar` is in force where no bundle is.
//! Nothing here knows a socket or a store: the Core asks, and `krypton policy test` asks the same way offline.

#![forbid(unsafe_code)]

mod bundle;
mod decisions;
mod instant;
mod moments;
mod policies;
pub mod question;
mod reading;

pub use bundle::{Bundle, BundleError, Header, MAXIMUM_BUNDLE_BYTES};
pub use instant::{format_instant, parse_instant};
pub use policies::{Policies, PolicyError, Verdict, Why};
pub use question::{Action, Circumstances, Principal, Question, Resource, Role};

/// The schema that policies are validated against.
pub const SCHEMA: &str = include_str!("krypton.cedarschema");

/// The policies in force where no bundle is: each role may do all that the restricted profile has for it.
pub const DEFAULT_POLICIES: &str = include_str!("default.cedar");
