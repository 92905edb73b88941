//! `krypton revoke`: closes a service, a tenant, a Gateway or the whole region, for good, in plain KMIP.

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
}

/// What has become of a part.
struct Outcome {
    name: String,
    keys: Vec<ByteString>,
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
    Outcome { name: part.name, keys: part.keys, milliseconds, failure }
}

async fn parts(operator: &Operator, settings: &RevokeSettings) -> Result<Vec<Part>, Error> {
    if let Some(gateway) = &settings.gateway {
        let name = format!("gateway {gateway}");
        return Ok(vec![Part { name, keys: vec![gateway_object(gateway)] }]);
    }
    let Some(tenant) = &settings.tenant else {
        let all = chains(operator, None)
            .await?
            .into_iter()
            .map(|(tenant, chain)| Part { name: tenant, keys: keys_of_tenant(&chain) });
        return Ok(all.filter(|part| !part.keys.is_empty()).collect());
    };
    let chain = chain_of(operator, tenant).await?;
    let (name, keys) = match &settings.service {
        Some(service) => (format!("{tenant}/{service}"), versions(&chain, service)),
        None => (tenant.clone(), keys_of_tenant(&chain)),
    };
    if keys.is_empty() {
        return Err(Error::Option("there is nothing left to revoke".to_owned()));
    }
    Ok(vec![Part { name, keys }])
}

/// All versions of a service's L3.
fn versions(chain: &Chain, service: &str) -> Vec<ByteString> {
    let of_service = |key: &&Key| key.service.as_deref() == Some(service);
    revocable(chain.service_keys.iter().filter(of_service))
}

/// The L2 closes the tenant whatever anchors it has; with the anchors revoked, nothing opens a copy of it here either.
fn keys_of_tenant(chain: &Chain) -> Vec<ByteString> {
    revocable(chain.tenant_keys.iter().chain(&chain.roots))
}

fn revocable<'a>(keys: impl Iterator<Item = &'a Key>) -> Vec<ByteString> {
    let can_be = |key: &&Key| matches!(key.state, State::PreActive | State::Active | State::Deactivated);
    keys.filter(can_be).map(|key| key.unique_identifier.clone()).collect()
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
    fn what_is_revoked_or_destroyed_is_not_revoked_again() {
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
        assert_eq!(revocable(keys.iter()).len(), 2);
    }
}
