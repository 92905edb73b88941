//! The governance policy at work: which policies are in force, and the one place where they are asked.
//!
//! * [`Governance`]: what is in force; [`authorization`]: who asks what about which object; [`Authorized`]: the proof.
//! * [`budget`]: how much a Gateway may unwrap.
//!
//! A policy narrows what the restricted profile and the configuration allow, and widens nothing. What closes something for
//! good, the kill switch, is never asked of it.

pub(crate) mod authorization;
pub mod budget;

use std::sync::Arc;

use arc_swap::ArcSwap;
use governance::{Circumstances, Policies, PolicyError, Question, Verdict, Why};
use key_service::fault::Fault;
use key_service::port::Clock;

use crate::config::Config;
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
    in_force: ArcSwap<InForce>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

/// Proof that a key may be used now. Made by [`Governance::decide`] only.
pub struct Authorized {
    _asked: (),
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
        Ok(Self { region: config.region.clone(), in_force, clock, metrics })
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
    /// Permission Denied.
    pub fn decide(
        &self,
        question: &Question<'_>,
        circumstances: impl FnOnce() -> Circumstances,
    ) -> Result<Authorized, Fault> {
        let in_force = self.in_force.load();
        let refusal = match self.ended(&in_force.source) {
            Some(version) => {
                tracing::warn!(
                    version,
                    "denied: the policy has ended, and permits nothing until a newer one is applied"
                );
                None
            }
            None => Some(in_force.policies.decide(question, circumstances)),
        };
        match refusal {
            Some(verdict) if verdict.is_permitted() => return Ok(Authorized { _asked: () }),
            Some(verdict) => log(question, &verdict),
            None => (),
        }
        self.metrics.denied(question.action.name());
        Err(Fault::permission_denied("the policy does not permit this"))
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

fn log(question: &Question<'_>, verdict: &Verdict) {
    let why = match verdict.why {
        Why::Permitted => "permitted",
        Why::Forbidden => "forbidden",
        Why::Failed => "the policy fails",
        Why::NotPermitted => "not permitted",
    };
    let Question { principal, action, resource } = question;
    let policies = verdict.policies.join(",");
    tracing::warn!(principal = principal.name, role = ?principal.role, %action, ?resource, why, policies, "denied");
}
