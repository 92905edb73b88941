//! The governance policy at work: which policies are in force, and the one place where they are asked.
//!
//! * [`Governance`]: what is in force; `authorization`: who asks what about which object; [`Authorized`]: the proof.
//! * `delivery`: how bundles come into force, `watch`: also those that other Cores have taken.
//! * [`budget`]: how much a Gateway may unwrap, wrap and bury.
//!
//! A policy narrows what the restricted profile and the configuration allow, and widens nothing. What closes something for
//! good, the kill switch, is never asked of it.

pub(crate) mod authorization;
pub mod budget;
pub(crate) mod delivery;
mod denials;
pub(crate) mod watch;

use std::sync::Arc;

use arc_swap::ArcSwap;
use governance::{Circumstances, Policies, PolicyError, Question};
use key_service::audit_log::VerifierKey;
use key_service::fault::Fault;
use key_service::port::Clock;

use self::denials::Denials;
use crate::config::PolicySettings;
use crate::ledger::{Ledger, PolicyMark};
use crate::metrics::Metrics;
use crate::vault::UnsealedKey;

pub use authorization::{Scope, scope};

/// What is in force.
pub enum InForce {
    /// There is no bundle where one is needed, or none that can be used: nothing is permitted. Nothing has to be read for that,
    /// so nothing can go wrong.
    Nothing,
    /// The policies that are shipped with the Core: each role may do all that the profile has for it.
    BuiltIn(Policies),
    /// A bundle of headquarters.
    Bundle(InForceBundle),
}

/// A bundle of headquarters in force.
pub struct InForceBundle {
    /// What answers.
    pub policies: Policies,
    /// Its number and digest, as they were signed.
    pub mark: PolicyMark,
    /// From when on it permits nothing any more.
    pub not_after: Option<i64>,
    /// The name of the key that signed it.
    pub signer: String,
    /// The bundle as it came.
    pub note: String,
}

/// What is in force, replaced as a whole.
pub struct Governance {
    region: String,
    trusted: Vec<VerifierKey>,
    in_force: ArcSwap<InForce>,
    /// What remembers the bundle in force beside the store, where the store outlives the process.
    ledger: Option<Arc<Ledger>>,
    clock: Arc<dyn Clock>,
    denials: Denials,
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
        self.bundle().map(|bundle| bundle.mark.version)
    }

    fn bundle(&self) -> Option<&InForceBundle> {
        match self {
            Self::Bundle(bundle) => Some(bundle),
            Self::Nothing | Self::BuiltIn(_) => None,
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
    /// What is in force before any bundle is: the built-in policies, or nothing where the settings require a bundle.
    ///
    /// # Errors
    /// Never: a test holds the built-in policies to it.
    pub fn new(
        region: &str,
        settings: &PolicySettings,
        ledger: Option<Arc<Ledger>>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Result<Self, PolicyError> {
        let in_force = match settings.required {
            true => InForce::Nothing,
            false => InForce::BuiltIn(Policies::built_in(region)?),
        };
        let trusted = delivery::trusted(&settings.trusted_keys);
        let (region, in_force) = (region.to_owned(), ArcSwap::from_pointee(in_force));
        let denials = Denials::new(settings.denied_lines_per_minute);
        Ok(Self { region, trusted, in_force, ledger, clock, denials, metrics })
    }

    /// The region that policies are asked for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The policies in force now.
    pub fn in_force(&self) -> Arc<InForce> {
        self.in_force.load_full()
    }

    /// Asks the policies. What they refuse is logged with the policies that decided, of which the peer learns nothing; so often for
    /// one principal, and no more.
    ///
    /// # Errors
    /// How it was decided.
    pub fn decide(
        &self,
        question: &Question<'_>,
        circumstances: impl FnOnce() -> Circumstances,
    ) -> Result<Authorized, Denied> {
        let in_force = self.in_force.load();
        let denied = match self.answering(&in_force) {
            Err(why) => Denied { why, policies: String::new() },
            Ok(policies) => {
                let verdict = policies.decide(question, circumstances);
                if verdict.is_permitted() {
                    return Ok(Authorized { _asked: () });
                }
                Denied { why: verdict.why.words(), policies: verdict.policies.join(",") }
            }
        };
        self.metrics.denied(question.action.name());
        self.log(question, &denied);
        Err(denied)
    }

    fn log(&self, question: &Question<'_>, denied: &Denied) {
        let Question { principal, action, resource } = question;
        let Denied { why, policies } = denied;
        match self.denials.line(principal, self.clock.monotonic()) {
            Some(left_out) => {
                tracing::warn!(principal = principal.name, role = ?principal.role, %action, ?resource, why, policies, left_out, "denied");
            }
            None => _ = self.metrics.denials_left_out.inc(),
        }
    }

    /// The highest bundle that was in force here, now or before this Core was started.
    fn mark(&self) -> Option<PolicyMark> {
        let in_force = self.in_force.load().bundle().map(|bundle| bundle.mark.clone());
        let noted = self.ledger.as_ref().and_then(|ledger| ledger.policy());
        in_force.into_iter().chain(noted).max_by_key(|mark| mark.version)
    }

    /// As [`decide`](Self::decide), for what is left out rather than refused.
    pub fn permits(&self, question: &Question<'_>, circumstances: impl FnOnce() -> Circumstances) -> bool {
        let in_force = self.in_force.load();
        let answering = self.answering(&in_force);
        answering.is_ok_and(|policies| policies.decide(question, circumstances).is_permitted())
    }

    /// The policies that answer now, or why none does.
    fn answering<'a>(&self, in_force: &'a InForce) -> Result<&'a Policies, &'static str> {
        match in_force {
            InForce::Nothing => Err("no policy is in force"),
            InForce::BuiltIn(policies) => Ok(policies),
            InForce::Bundle(bundle) if bundle.not_after.is_some_and(|end| self.clock.now().0 >= end) => {
                Err("the policy has ended")
            }
            InForce::Bundle(bundle) => Ok(&bundle.policies),
        }
    }
}

#[cfg(test)]
mod tests;
