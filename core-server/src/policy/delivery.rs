//! How bundles come into force: judged, kept in the store, adopted; and noticed where another Core has kept a newer one.

use std::sync::Arc;

use bytestring::ByteString;
use governance::{Bundle, Policies};
use key_service::audit_log::VerifierKey;
use key_service::chain::{
    POLICY_BUNDLE, POLICY_DATA_TYPE, POLICY_DIGEST, POLICY_GROUP, POLICY_OBJECT, POLICY_SIGNER,
    POLICY_STORED, POLICY_VERSION, own_attribute, own_value,
};
use key_service::context::Context;
use key_service::fault::Fault;
use key_service::port::{Clock, Store, StoreError};
use key_service::record::Record;
use kmip_protocol::attribute::Attribute;
use kmip_protocol::enumeration::ResultReason;
use kmip_protocol::object::OpaqueObject;
use kmip_protocol::operation::RegisterResponse;

use super::{Governance, InForce, InForceBundle};
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
    governance.judge_place(&bundle).map_err(refused)?;
    governance.judge_begin(&bundle).map_err(refused)?;
    governance.judge_end(&bundle).map_err(refused)?;
    compile(&bundle.policies, &governance.region).await.map_err(refused)?;
    let held = context.service.store.fetch(NAMESPACE, POLICY_OBJECT).await?;
    let of_store = held.as_ref().and_then(|record| governance.signed_mark(record));
    if let Some(highest) = of_store.into_iter().chain(governance.mark()).max_by_key(|mark| mark.version) {
        judge_version(&mark(&bundle), &highest).map_err(refused)?;
    }
    let mut record = match &held {
        Some(held) => Record::clone(held),
        None => blank(&*context.service.clock),
    };
    label(&mut record, &bundle);
    match held {
        Some(_) => context.replace(record),
        None => context.insert(record),
    }
    Ok(())
}

/// What the store has as object of the policy, or why that cannot be told.
type Stored = Result<Option<Arc<Record>>, StoreError>;

/// The object of the policy, without any yet.
pub(super) fn blank(clock: &dyn Clock) -> Record {
    governed::record(POLICY_OBJECT.into(), attributes(), clock)
}

fn attributes() -> [Attribute; 2] {
    let group = Attribute::ObjectGroup(ByteString::from_static(POLICY_GROUP));
    [group, Attribute::OpaqueDataType(POLICY_DATA_TYPE)]
}

fn remove_bundle(record: &mut Record) {
    record.attributes.instances.retain(|instance| !matches!(instance.attribute, Attribute::Custom(_)));
}

/// Puts a bundle into a record, and says what it is.
pub(super) fn label(record: &mut Record, bundle: &Bundle) {
    remove_bundle(record);
    for attribute in told(&mark(bundle), &bundle.signer, &bundle.note) {
        record.add(attribute);
    }
}

/// What is told of a bundle.
fn told(mark: &PolicyMark, signer: &str, note: &str) -> [Attribute; 4] {
    [
        own_attribute(POLICY_VERSION, &mark.version.to_string()),
        own_attribute(POLICY_DIGEST, &mark.digest),
        own_attribute(POLICY_SIGNER, signer),
        own_attribute(POLICY_BUNDLE, note),
    ]
}

/// What was signed: the header's number, and the digest of the whole text.
fn mark(bundle: &Bundle) -> PolicyMark {
    PolicyMark { version: bundle.header.version, digest: bundle.digest.clone() }
}

/// A bundle may be delivered again; another one has to be newer.
fn judge_version(offered: &PolicyMark, highest: &PolicyMark) -> Result<(), String> {
    let (version, known) = (offered.version, highest.version);
    if version > known || offered == highest {
        return Ok(());
    }
    let problem = if version == known { "and differs from it" } else { "which is newer" };
    Err(format!("it has version {version}; there has been version {known}, {problem}"))
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
    /// The object of the policy as operators are told it: the bundle that is in force, and how what is `stored` stands to it. Whoever
    /// can write to the store can have it say anything: where no bundle is in force, nothing is told of one. `None`: there is neither.
    ///
    /// # Errors
    /// If the store does not answer, or what it has is damaged and no bundle is in force.
    pub(crate) fn told(&self, stored: Stored) -> Result<Option<Record>, StoreError> {
        let in_force = self.in_force.load();
        let Some(bundle) = in_force.bundle() else {
            let without_any = |mut record: Record| {
                remove_bundle(&mut record);
                record
            };
            return Ok(stored?.map(|record| without_any(Record::clone(&record))));
        };
        let undated = || governed::undated(POLICY_OBJECT.into(), attributes());
        let (mut record, standing) = match stored {
            Ok(Some(record)) if is_record_of(bundle, &record) => (Record::clone(&record), "in force"),
            Ok(Some(record)) => (Record::clone(&record), "another"),
            Ok(None) => (undated(), "missing"),
            Err(StoreError::Damaged(_)) => (undated(), "damaged"),
            Err(error) => return Err(error),
        };
        remove_bundle(&mut record);
        let stored = own_attribute(POLICY_STORED, standing);
        told(&bundle.mark, &bundle.signer, &bundle.note).into_iter().chain([stored]).for_each(|attribute| {
            record.add(attribute);
        });
        Ok(Some(record))
    }

    /// Puts the bundle of a record in force, unless a newer one is.
    pub async fn adopt(&self, record: &Record) {
        match self.labelled(record) {
            Ok(bundle) => self.put_in_force(bundle, "the store").await,
            Err(why) => self.refuse("the store", &why),
        }
    }

    /// The bundle of a record. What the record says about it has to be what was signed: whoever can write to the store writes
    /// a number beside an old bundle, and signs none.
    pub(super) fn labelled(&self, record: &Record) -> Result<Bundle, String> {
        let note = own_value(record.attributes.iter(), POLICY_BUNDLE).ok_or("its text is missing")?;
        let bundle = Bundle::open(note, &self.trusted).map_err(|error| error.to_string())?;
        match mark_of(record) {
            Some(label) if label == mark(&bundle) => Ok(bundle),
            label => {
                let label = label.map_or("nothing".to_owned(), |label| describe(&label));
                Err(format!(
                    "the record was edited: it says {label}, and {} is in it",
                    describe(&mark(&bundle))
                ))
            }
        }
    }

    /// The mark of the bundle in a record, if it is one that may be in force here.
    fn signed_mark(&self, record: &Record) -> Option<PolicyMark> {
        let note = own_value(record.attributes.iter(), POLICY_BUNDLE)?;
        let bundle = Bundle::open(note, &self.trusted).ok()?;
        self.judge_place(&bundle).and_then(|()| self.judge_begin(&bundle)).ok()?;
        Some(mark(&bundle))
    }

    /// Puts a bundle in force, if it is one for here and now and no newer one has been.
    async fn put_in_force(&self, bundle: Bundle, source: &str) {
        let named = describe(&mark(&bundle));
        match self.opened(bundle).await {
            Ok(bundle) => self.replace(bundle).await,
            Err(why) => self.refuse(source, &format!("{named}: {why}")),
        }
    }

    fn refuse(&self, source: &str, why: &str) {
        self.metrics.bundles_refused.inc();
        let kept = self.in_force.load().bundle().map_or("none".to_owned(), |bundle| describe(&bundle.mark));
        tracing::error!(
            why,
            in_force = kept,
            "the policy bundle in {source} cannot be put in force; the last good one stays"
        );
    }

    async fn opened(&self, bundle: Bundle) -> Result<InForceBundle, String> {
        self.judge_place(&bundle)?;
        self.judge_begin(&bundle)?;
        let mark = mark(&bundle);
        if let Some(highest) = self.mark() {
            judge_version(&mark, &highest)?;
        }
        let policies = compile(&bundle.policies, &self.region).await?;
        for warning in policies.warnings() {
            tracing::warn!(warning, "the policy has a part that looks like a mistake");
        }
        let (not_after, signer, note) = (bundle.header.not_after, bundle.signer, bundle.note);
        Ok(InForceBundle { policies, mark, not_after, signer, note })
    }

    async fn replace(&self, bundle: InForceBundle) {
        let (mark, policies) = (bundle.mark.clone(), bundle.policies.len());
        let in_force = Arc::new(InForce::Bundle(bundle));
        let mut is_new = false;
        self.in_force.rcu(|current| {
            is_new = current.version().is_none_or(|current| current < mark.version);
            if is_new { Arc::clone(&in_force) } else { Arc::clone(current) }
        });
        if !is_new {
            return;
        }
        let PolicyMark { version, digest } = &mark;
        self.metrics.policy_version.set(i64::try_from(*version).unwrap_or(i64::MAX));
        tracing::info!(version, digest, policies, "the policy is in force");
        if let (Some(ledger), Some(bundle)) = (&self.ledger, in_force.bundle()) {
            ledger.note_policy(&mark, &bundle.note).await;
        }
    }

    /// Puts the bundle in the store in force when the Core starts; where that one cannot be used, the last good one, which is kept
    /// beside the ledger. Where there should be one and neither can be used, nothing is permitted.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn load(&self, store: &dyn Store) -> Result<(), StoreError> {
        let record = store.fetch(NAMESPACE, POLICY_OBJECT).await?;
        if let Some(record) = &record {
            self.adopt(record).await;
        }
        let kept = self.ledger.as_ref().and_then(|ledger| ledger.kept_policy());
        if record.is_none() && self.mark().is_none() && kept.is_none() {
            return Ok(());
        }
        if let Some(kept) = kept.filter(|_| self.in_force.load().bundle().is_none()) {
            match Bundle::open(&kept, &self.trusted) {
                Ok(bundle) => self.put_in_force(bundle, "the state folder").await,
                Err(error) => self.refuse("the state folder", &error.to_string()),
            }
        }
        if self.in_force.load().bundle().is_none() {
            tracing::error!(
                "no policy can be put in force: nothing is permitted until a newer bundle is applied"
            );
            self.in_force.store(Arc::new(InForce::Nothing));
        }
        Ok(())
    }

    /// Looks whether another Core has kept a newer bundle, or the time of one has come.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn refresh(&self, store: &dyn Store) -> Result<(), StoreError> {
        let record = store.fetch(NAMESPACE, POLICY_OBJECT).await?;
        let in_force = self.in_force.load_full();
        match (record, in_force.bundle()) {
            (Some(record), Some(bundle)) if is_record_of(bundle, &record) => (),
            // As an older store has it.
            (record, Some(bundle))
                if record
                    .as_ref()
                    .and_then(|record| mark_of(record))
                    .is_none_or(|mark| mark.version < bundle.mark.version) =>
            {
                self.behind(bundle.mark.version);
            }
            (Some(record), _) => self.adopt(&record).await,
            (None, _) => (),
        }
        Ok(())
    }

    fn behind(&self, version: u64) {
        self.metrics.store_behind.inc();
        tracing::error!(version, "the store has lost the policy that is in force: it is older than it was");
    }

    fn judge_place(&self, bundle: &Bundle) -> Result<(), String> {
        let header = &bundle.header;
        match header.is_for(&self.region) {
            true => Ok(()),
            false => Err(format!("it is for {}, this is {}", header.regions.join(" "), self.region)),
        }
    }

    fn judge_begin(&self, bundle: &Bundle) -> Result<(), String> {
        match bundle.header.not_before.filter(|begin| self.clock.now().0 < *begin) {
            Some(begin) => Err(format!("it is not before {}", governance::format_instant(begin))),
            None => Ok(()),
        }
    }

    /// Of a bundle that is brought. One that ends later stays in force and permits nothing.
    fn judge_end(&self, bundle: &Bundle) -> Result<(), String> {
        match bundle.header.not_after.filter(|end| self.clock.now().0 >= *end) {
            Some(end) => Err(format!("its time ended {}", governance::format_instant(end))),
            None => Ok(()),
        }
    }
}

fn describe(mark: &PolicyMark) -> String {
    format!("policy {} ({})", mark.version, mark.digest)
}

/// Whether a record has the bundle that is in force, and says so.
fn is_record_of(bundle: &InForceBundle, record: &Record) -> bool {
    let note = own_value(record.attributes.iter(), POLICY_BUNDLE);
    note.is_some_and(|note| **note == *bundle.note) && mark_of(record).as_ref() == Some(&bundle.mark)
}

/// The keys whose bundles are taken, from their text forms.
pub(super) fn trusted(keys: &[String]) -> Vec<VerifierKey> {
    // The configuration has been judged: each of them can be read.
    keys.iter().filter_map(|key| key.parse().ok()).collect()
}
