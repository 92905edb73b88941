//! How bundles come into force: judged, kept in the store, adopted; and noticed where another Core has kept a newer one.

use std::sync::Arc;

use bytestring::ByteString;
use governance::{Bundle, Policies};
use key_service::audit_log::VerifierKey;
use key_service::chain::{
    POLICY_BUNDLE, POLICY_DATA_TYPE, POLICY_DIGEST, POLICY_GROUP, POLICY_OBJECT, POLICY_SIGNER,
    POLICY_VERSION, own_attribute, own_value,
};
use key_service::context::Context;
use key_service::fault::Fault;
use key_service::port::{Store, StoreError};
use key_service::record::Record;
use kmip_protocol::attribute::Attribute;
use kmip_protocol::enumeration::ResultReason;
use kmip_protocol::object::OpaqueObject;
use kmip_protocol::operation::RegisterResponse;

use super::{Governance, InForce, Source};
use crate::governed::{self, NAMESPACE};
use crate::ledger::{PolicyMark, mark_of};

/// Takes a bundle: the next one in the store, if it is one that may come into force.
///
/// # Errors
/// Why it is refused. The policy in force stays.
pub(crate) async fn register(
    governance: &Governance,
    context: &mut Context<'_>,
    object: &OpaqueObject,
) -> Result<RegisterResponse, Fault> {
    let judged = judge(governance, context, object).await;
    if let Err(fault) = &judged {
        governance.metrics.bundles_refused.inc();
        tracing::warn!(reason = %fault.message, "a policy bundle was refused; the policy in force stays");
    }
    judged.map(|()| RegisterResponse { unique_identifier: ByteString::from_static(POLICY_OBJECT) })
}

async fn judge(
    governance: &Governance,
    context: &mut Context<'_>,
    object: &OpaqueObject,
) -> Result<(), Fault> {
    if object.opaque_data_type != POLICY_DATA_TYPE {
        return Err(Fault::new(
            ResultReason::InvalidObjectType,
            "the only Opaque Object here is a policy bundle",
        ));
    }
    let note = std::str::from_utf8(object.opaque_data_value.expose())
        .map_err(|_| Fault::invalid_field("a policy bundle is text in UTF-8"))?;
    let bundle = Bundle::open(note, &governance.trusted).map_err(refused)?;
    governance.judge_place_and_time(&bundle)?;
    compile(&bundle.policies, &governance.region).await.map_err(refused)?;
    let held = context.service.store.fetch(NAMESPACE, POLICY_OBJECT).await?;
    let offered = PolicyMark { version: bundle.header.version, digest: bundle.digest.clone() };
    let highest = held.as_ref().and_then(|record| mark_of(record)).into_iter().chain(governance.mark());
    if let Some(highest) = highest.max_by_key(|mark| mark.version) {
        judge_version(&offered, &highest)?;
    }
    let mut record = match &held {
        Some(held) => Record::clone(held),
        None => governed::record(POLICY_OBJECT.into(), group(), &*context.service.clock),
    };
    record.attributes.instances.retain(|instance| !matches!(instance.attribute, Attribute::Custom(_)));
    for (name, value) in [
        (POLICY_VERSION, bundle.header.version.to_string().as_str()),
        (POLICY_DIGEST, &bundle.digest),
        (POLICY_SIGNER, &bundle.signer),
        (POLICY_BUNDLE, &bundle.note),
    ] {
        record.add(own_attribute(name, value));
    }
    match held {
        Some(_) => context.replace(record),
        None => context.insert(record),
    }
    Ok(())
}

fn group() -> [Attribute; 2] {
    [
        Attribute::ObjectGroup(ByteString::from_static(POLICY_GROUP)),
        Attribute::OpaqueDataType(POLICY_DATA_TYPE),
    ]
}

/// A bundle may be delivered again; another one has to be newer.
fn judge_version(offered: &PolicyMark, highest: &PolicyMark) -> Result<(), Fault> {
    let (version, known) = (offered.version, highest.version);
    if version > known || offered == highest {
        return Ok(());
    }
    let problem = if version == known { "and differs from it" } else { "which is newer" };
    Err(refused(format!("it has version {version}; there has been version {known}, {problem}")))
}

fn refused(why: impl std::fmt::Display) -> Fault {
    Fault::new(ResultReason::InvalidField, format!("the policy bundle is refused: {why}"))
}

/// Reading and validating takes its time, and others are served meanwhile.
async fn compile(text: &str, region: &str) -> Result<Policies, String> {
    let (text, region) = (text.to_owned(), region.to_owned());
    let compiled = tokio::task::spawn_blocking(move || Policies::new(&text, &region)).await;
    compiled.map_err(|_| "it cannot be read".to_owned())?.map_err(|error| error.to_string())
}

impl Governance {
    /// Puts the bundle of a record in force, unless a newer one is.
    pub async fn adopt(&self, record: &Record) {
        match self.opened(record).await {
            Ok(in_force) => self.put_in_force(in_force),
            Err(why) => {
                self.metrics.bundles_refused.inc();
                tracing::error!(
                    why,
                    "the policy bundle in the store cannot be put in force; the last good one stays"
                );
            }
        }
    }

    async fn opened(&self, record: &Record) -> Result<InForce, String> {
        let note = own_value(record.attributes.iter(), POLICY_BUNDLE).ok_or("its text is missing")?;
        let bundle = Bundle::open(note, &self.trusted).map_err(|error| error.to_string())?;
        if !bundle.header.is_for(&self.region) {
            return Err("it is for other regions".to_owned());
        }
        let policies = compile(&bundle.policies, &self.region).await?;
        for warning in policies.warnings() {
            tracing::warn!(warning, "the policy has a part that looks like a mistake");
        }
        let source = Source::Bundle {
            version: bundle.header.version,
            digest: bundle.digest,
            not_after: bundle.header.not_after,
        };
        Ok(InForce { policies, source })
    }

    fn put_in_force(&self, in_force: InForce) {
        let Source::Bundle { version, digest, .. } = &in_force.source else { return };
        let (version, digest) = (*version, digest.clone());
        let in_force = Arc::new(in_force);
        let mut is_new = false;
        self.in_force.rcu(|current| {
            is_new = current.version().is_none_or(|current| current < version);
            if is_new { Arc::clone(&in_force) } else { Arc::clone(current) }
        });
        if is_new {
            self.metrics.policy_version.set(i64::try_from(version).unwrap_or(i64::MAX));
            tracing::info!(version, digest, policies = in_force.policies.len(), "the policy is in force");
        }
    }

    /// Reads the bundle in the store when the Core starts. Where there should be one and none can be used, nothing is permitted.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn load(&self, store: &dyn Store, highest: Option<PolicyMark>) -> Result<(), StoreError> {
        let record = store.fetch(NAMESPACE, POLICY_OBJECT).await?;
        let is_older = |record: &Record| match (&highest, mark_of(record)) {
            (Some(highest), Some(mark)) => mark.version < highest.version,
            (Some(_), None) => true,
            (None, _) => false,
        };
        match record {
            Some(record) if !is_older(&record) => self.adopt(&record).await,
            None if highest.is_none() => return Ok(()),
            _ => tracing::error!("the policy in the store is older than the one that was in force"),
        }
        if self.in_force.load().version().is_none() {
            tracing::error!(
                "no policy can be put in force: nothing is permitted until a newer bundle is applied"
            );
            self.permit_nothing();
        }
        if let Some(highest) = highest {
            self.remember(highest);
        }
        Ok(())
    }

    /// Looks whether another Core has kept a newer bundle.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn refresh(&self, store: &dyn Store) -> Result<(), StoreError> {
        let mark = store.fetch(NAMESPACE, POLICY_OBJECT).await?.map(|record| (mark_of(&record), record));
        let in_force = self.in_force.load().version();
        match (mark, in_force) {
            (Some((Some(mark), record)), in_force)
                // An older one than there was stays out.
                if in_force.is_none_or(|version| mark.version > version)
                    && self.mark().is_none_or(|highest| mark.version >= highest.version) =>
            {
                self.adopt(&record).await;
            }
            (Some((Some(mark), _)), Some(version)) if mark.version < version => self.behind(version),
            (None | Some((None, _)), Some(version)) => self.behind(version),
            _ => (),
        }
        Ok(())
    }

    fn behind(&self, version: u64) {
        self.metrics.store_behind.inc();
        tracing::error!(version, "the store has lost the policy that is in force: it is older than it was");
    }

    fn judge_place_and_time(&self, bundle: &Bundle) -> Result<(), Fault> {
        let header = &bundle.header;
        if !header.is_for(&self.region) {
            return Err(refused(format!("it is for {}, this is {}", header.regions.join(" "), self.region)));
        }
        let now = self.clock.now().0;
        if let Some(begin) = header.not_before.filter(|begin| now < *begin) {
            return Err(refused(format!("it is not before {}", governance::format_instant(begin))));
        }
        if let Some(end) = header.not_after.filter(|end| now >= *end) {
            return Err(refused(format!("its time ended {}", governance::format_instant(end))));
        }
        Ok(())
    }
}

/// The keys whose bundles are taken, from their text forms.
pub(super) fn trusted(keys: &[String]) -> Vec<VerifierKey> {
    // The configuration has been judged: each of them can be read.
    keys.iter().filter_map(|key| key.parse().ok()).collect()
}
