//! The governance policy at work: which policies are in force, and the one place where they are asked.
//!
//! * [`Governance`]: what is in force; `authorization`: who asks what about which object; [`Authorized`]: the proof.
//! * `delivery`: how bundles come into force, `watch`: also those that other Cores have taken.
//! * [`budget`]: how much a Gateway may unwrap.
//!
//! A policy narrows what the restricted profile and the configuration allow, and widens nothing. What closes something for
//! good, the kill switch, is never asked of it.

pub(crate) mod authorization;
pub mod budget;
pub(crate) mod delivery;
pub(crate) mod watch;

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use governance::{Circumstances, Policies, PolicyError, Question, Why};
use key_service::audit_log::VerifierKey;
use key_service::fault::Fault;
use key_service::port::Clock;

use crate::config::Config;
use crate::ledger::PolicyMark;
use crate::metrics::Metrics;
use crate::vault::UnsealedKey;

pub use authorization::{Scope, scope};

/// The policies in force.
pub struct InForce {
    /// What answers.
    pub policies: Policies,
    /// The bundle that they came in.
    pub source: Source,
}

/// Where policies came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// They are shipped with the Core: each role may do all that the profile has for it.
    BuiltIn,
    /// There is no bundle, or an older one than there was: nothing is permitted.
    Nothing,
    /// A bundle of headquarters.
    Bundle {
        /// Its number.
        version: u64,
        /// SHA-256 of its text.
        digest: String,
        /// From when on it permits nothing any more.
        not_after: Option<i64>,
    },
}

/// What is in force, replaced as a whole.
pub struct Governance {
    region: String,
    trusted: Vec<VerifierKey>,
    in_force: ArcSwap<InForce>,
    /// The highest bundle that there was, where it is not in force: the store was older when the Core started.
    highest: Mutex<Option<PolicyMark>>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

/// Proof that a key may be used now. Made by [`Governance::decide`] only.
pub struct Authorized {
    _asked: (),
}

/// What the policy did not permit. The log and the audit log learn why, the peer does not.
pub struct Denied {
    /// Why.
    pub why: &'static str,
    /// The ids of the policies that decided it.
    pub policies: String,
}

impl From<Denied> for Fault {
    fn from(_: Denied) -> Self {
        Self::permission_denied("the policy does not permit this")
    }
}

impl InForce {
    /// The version of the bundle.
    pub fn version(&self) -> Option<u64> {
        match &self.source {
            Source::Bundle { version, .. } => Some(*version),
            _ => None,
        }
    }
}

impl Authorized {
    /// Works with a key; `None` if it was wiped.
    pub fn work_with<T>(
        &self,
        key: &UnsealedKey,
        work: impl FnOnce(&[u8; key_service::crypto::SEALING_KEY_BYTES]) -> T,
    ) -> Option<T> {
        key.with(work)
    }
}

impl Governance {
    /// What is in force before any bundle is: the built-in policies, or nothing where the configuration requires a bundle.
    ///
    /// # Errors
    /// Never: a test holds the built-in policies to it.
    pub fn new(config: &Config, clock: Arc<dyn Clock>, metrics: Metrics) -> Result<Self, PolicyError> {
        let in_force = ArcSwap::from_pointee(without_bundle(&config.region, config.policy.required)?);
        let trusted = delivery::trusted(&config.policy.trusted_keys);
        let (region, highest) = (config.region.clone(), Mutex::default());
        Ok(Self { region, trusted, in_force, highest, clock, metrics })
    }

    /// The region that policies are asked for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The policies in force now.
    pub fn in_force(&self) -> Arc<InForce> {
        self.in_force.load_full()
    }

    /// Asks the policies. What they refuse is logged with the policies that decided, of which the peer learns nothing.
    ///
    /// # Errors
    /// How it was decided.
    pub fn decide(
        &self,
        question: &Question<'_>,
        circumstances: impl FnOnce() -> Circumstances,
    ) -> Result<Authorized, Denied> {
        let in_force = self.in_force.load();
        let denied = match self.ended(&in_force.source) {
            Some(_) => Denied { why: "the policy has ended", policies: String::new() },
            None => {
                let verdict = in_force.policies.decide(question, circumstances);
                if verdict.is_permitted() {
                    return Ok(Authorized { _asked: () });
                }
                Denied { why: reason(verdict.why), policies: verdict.policies.join(",") }
            }
        };
        self.metrics.denied(question.action.name());
        let Question { principal, action, resource } = question;
        let Denied { why, policies } = &denied;
        tracing::warn!(principal = principal.name, role = ?principal.role, %action, ?resource, why, policies, "denied");
        Err(denied)
    }

    /// The highest bundle that is known, in force or not.
    fn mark(&self) -> Option<PolicyMark> {
        let in_force = match &self.in_force.load().source {
            Source::Bundle { version, digest, .. } => {
                Some(PolicyMark { version: *version, digest: digest.clone() })
            }
            _ => None,
        };
        let highest = self.highest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        in_force.into_iter().chain(highest).max_by_key(|mark| mark.version)
    }

    fn remember(&self, highest: PolicyMark) {
        *self.highest.lock().unwrap_or_else(PoisonError::into_inner) = Some(highest);
    }

    /// Until a bundle comes into force.
    fn permit_nothing(&self) {
        match Policies::new("", &self.region) {
            Ok(policies) => self.in_force.store(Arc::new(InForce { policies, source: Source::Nothing })),
            Err(error) => {
                tracing::error!(%error, "the empty policy cannot be put in force: the one before stays")
            }
        }
    }

    /// As [`decide`](Self::decide), for what is left out rather than refused.
    pub fn permits(&self, question: &Question<'_>, circumstances: impl FnOnce() -> Circumstances) -> bool {
        let in_force = self.in_force.load();
        self.ended(&in_force.source).is_none()
            && in_force.policies.decide(question, circumstances).is_permitted()
    }

    /// The version of a bundle whose time is over.
    fn ended(&self, source: &Source) -> Option<u64> {
        match source {
            Source::Bundle { not_after: Some(end), version, .. } if self.clock.now().0 >= *end => {
                Some(*version)
            }
            _ => None,
        }
    }
}

/// What is in force where there is no bundle.
fn without_bundle(region: &str, required: bool) -> Result<InForce, PolicyError> {
    Ok(if required {
        InForce { policies: Policies::new("", region)?, source: Source::Nothing }
    } else {
        InForce { policies: Policies::built_in(region)?, source: Source::BuiltIn }
    })
}

fn reason(why: Why) -> &'static str {
    match why {
        Why::Permitted => "permitted",
        Why::Forbidden => "forbidden",
        Why::Failed => "the policy fails",
        Why::NotPermitted => "not permitted",
    }
}
