//! `krypton revoke`: closes a service, a tenant, a Gateway or the whole region, for good, in plain KMIP. Given again, it asks again for
//! what is closed already: an earlier attempt may have failed after the Core had revoked, and before nobody could use the keys.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytestring::ByteString;
use key_service::chain::gateway_object;
use kmip_protocol::attribute::RevocationReason;
use kmip_protocol::enumeration::{ResultReason, RevocationReasonCode, State};
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::operation::{Request, RevokeRequest, RevokeResponse};
use serde_json::json;
use tokio::task::JoinSet;

use crate::arguments::{RevokeSettings, Target};
use crate::certificate;
use crate::error::Error;
use crate::operator::Operator;
use crate::output;
use crate::steer::chain_of;
use crate::tenant::{Chain, Key, chains};

/// What is closed together, and under which name it is reported.
struct Part {
    name: String,
    keys: Vec<ByteString>,
    /// How many of them were revoked before.
    revoked_before: usize,
}

/// What has become of a part.
struct Outcome {
    name: String,
    keys: Vec<ByteString>,
    revoked_before: usize,
    milliseconds: u128,
    failure: Option<Error>,
}

/// Returns when no Gateway can use the keys any more. The keys of a tenant are revoked together, all tenants at the same time.
///
/// # Errors
/// If there is no such tenant, service or Gateway, the Core does not answer, or it refuses. Where several tenants are closed,
/// each is reported, and the command fails if one of them is not closed.
pub async fn run(target: &Target, settings: &RevokeSettings, json: bool) -> Result<ExitCode, Error> {
    let operator = Arc::new(Operator::of_target(target)?);
    let parts = parts(&operator, settings).await?;
    let started = Instant::now();
    let mut closing = JoinSet::new();
    for part in parts {
        let (operator, reason) = (Arc::clone(&operator), settings.reason.clone());
        closing.spawn(async move { close(&operator, part, reason.as_deref()).await });
    }
    let mut outcomes = closing.join_all().await;
    outcomes.sort_by(|one, other| one.name.cmp(&other.name));
    let took = started.elapsed();
    let closed = outcomes.iter().filter(|outcome| outcome.failure.is_none());
    let keys: Vec<ByteString> = closed.flat_map(|outcome| outcome.keys.iter().cloned()).collect();
    let certificates = certificate::fetch(&operator, &keys).await;
    report(&outcomes, took, certificates.as_deref().unwrap_or_default(), json);
    certificate::keep(certificates, settings.receipt.as_deref(), json)?;
    let mut failures = outcomes.into_iter().filter_map(|outcome| outcome.failure);
    match (failures.next(), settings.region) {
        (None, _) => Ok(ExitCode::SUCCESS),
        // Reported with its tenant.
        (Some(_), true) => Ok(ExitCode::FAILURE),
        (Some(error), false) => Err(error),
    }
}

/// Keys that are revoked in one message.
const REVOKED_TOGETHER: usize = 100;

async fn close(operator: &Operator, part: Part, reason: Option<&str>) -> Outcome {
    let started = Instant::now();
    let request = |key: &ByteString| {
        Request::from(RevokeRequest {
            unique_identifier: Some(UniqueIdentifier::Text(key.clone())),
            revocation_reason: RevocationReason {
                code: RevocationReasonCode::KeyCompromise,
                message: reason.map(ByteString::from),
            },
            compromise_occurrence_date: None,
        })
    };
    let mut failure = None;
    for keys in part.keys.chunks(REVOKED_TOGETHER) {
        match operator.call_together::<RevokeResponse>(keys.iter().map(request)).await {
            Ok(_) => (),
            // Each by itself, so that one that cannot be revoked does not shield the others.
            Err(Error::Refused { .. }) if keys.len() > 1 => {
                for key in keys {
                    failure = operator.call::<RevokeResponse>(request(key)).await.err().or(failure);
                }
            }
            Err(error) => failure = Some(error),
        }
    }
    let milliseconds = started.elapsed().as_millis();
    let Part { name, keys, revoked_before } = part;
    Outcome { name, keys, revoked_before, milliseconds, failure }
}

async fn parts(operator: &Operator, settings: &RevokeSettings) -> Result<Vec<Part>, Error> {
    if let Some(gateway) = &settings.gateway {
        let name = format!("gateway {gateway}");
        return Ok(vec![Part { name, keys: vec![gateway_object(gateway)], revoked_before: 0 }]);
    }
    let Some(tenant) = &settings.tenant else {
        let all = chains(operator, None)
            .await?
            .into_iter()
            .map(|(tenant, chain)| part(tenant, keys_of_tenant(&chain)));
        return Ok(all.filter(|part| !part.keys.is_empty()).collect());
    };
    let chain = chain_of(operator, tenant).await?;
    let part = match &settings.service {
        Some(service) => part(format!("{tenant}/{service}"), versions(&chain, service)),
        None => part(tenant.clone(), keys_of_tenant(&chain)),
    };
    if part.keys.is_empty() {
        return Err(Error::Option(
            "there is nothing left to revoke: it is destroyed, or never was".to_owned(),
        ));
    }
    Ok(vec![part])
}

/// What of these keys is to be revoked: all but what is destroyed.
fn part<'a>(name: String, keys: impl Iterator<Item = &'a Key>) -> Part {
    let mut part = Part { name, keys: Vec::new(), revoked_before: 0 };
    for key in keys {
        match key.state {
            State::PreActive | State::Active | State::Deactivated => (),
            State::Compromised => part.revoked_before += 1,
            _ => continue,
        }
        part.keys.push(key.unique_identifier.clone());
    }
    part
}

/// All versions of a service's L3.
fn versions<'a>(chain: &'a Chain, service: &str) -> impl Iterator<Item = &'a Key> {
    chain.service_keys.iter().filter(move |key| key.service.as_deref() == Some(service))
}

/// The L2 closes the tenant whatever anchors it has; with the anchors revoked, nothing opens a copy of it here either.
fn keys_of_tenant(chain: &Chain) -> impl Iterator<Item = &Key> {
    chain.tenant_keys.iter().chain(&chain.roots)
}

fn report(outcomes: &[Outcome], whole: Duration, certificates: &[String], json: bool) {
    let closed = || outcomes.iter().filter(|outcome| outcome.failure.is_none());
    let keys = || closed().flat_map(|outcome| &outcome.keys).map(|key| &**key);
    if json {
        let parts: Vec<_> = outcomes
            .iter()
            .map(|outcome| {
                json!({
                    "name": outcome.name,
                    "revoked_before": outcome.revoked_before,
                    "milliseconds": outcome.milliseconds,
                    "failure": outcome.failure.as_ref().map(ToString::to_string),
                })
            })
            .collect();
        let revoked: Vec<&str> = keys().collect();
        let told = json!({
            "revoked": revoked,
            "milliseconds": whole.as_millis(),
            "parts": parts,
            "certificates": certificates,
        });
        output::line(&told.to_string());
        return;
    }
    keys().for_each(|key| output::line(&format!("revoked {key}")));
    for outcome in outcomes {
        if outcome.failure.is_none() && outcome.revoked_before > 0 {
            let (before, of) = (outcome.revoked_before, outcome.keys.len());
            output::line(&format!(
                "{}: {before} of {of} were revoked before, and asked for again",
                outcome.name
            ));
        }
        match &outcome.failure {
            None => output::line(&format!("{}: closed after {} ms", outcome.name, outcome.milliseconds)),
            Some(error) => {
                output::line(&format!("{}: NOT closed: {}", outcome.name, told(error, &outcome.name)))
            }
        }
    }
    if closed().count() == outcomes.len() {
        output::line(&format!("no Gateway can use them any more, after {} ms", whole.as_millis()));
    }
}

fn told(error: &Error, name: &str) -> String {
    match error {
        Error::Refused { reason: ResultReason::ObjectNotFound | ResultReason::ItemNotFound, .. } => {
            format!("there is no {name}")
        }
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_but_what_is_destroyed_is_revoked_and_revoked_again() {
        let keys =
            [State::Active, State::Deactivated, State::Compromised, State::Destroyed].map(|state| Key {
                unique_identifier: ByteString::from_static("k"),
                state,
                location: None,
                wrapping_keys: Vec::new(),
                generation: 0,
                facts: Box::default(),
                service: Some(ByteString::from_static("s")),
            });
        let part = part("acme".to_owned(), keys.iter());
        assert_eq!((part.keys.len(), part.revoked_before), (3, 1));
    }
}
