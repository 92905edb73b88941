//! `krypton tenant`, `revoke` and `rotate`: the tenants' chains of keys, steered in plain KMIP over the operator's certificate.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use bytestring::ByteString;
use kmip_protocol::attribute::Attributes;
use kmip_protocol::attribute::RevocationReason;
use kmip_protocol::enumeration::{RevocationReasonCode, State};
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::operation::{ReKeyRequest, ReKeyResponse, Request, RevokeRequest, RevokeResponse};
use serde_json::{Value, json};

use crate::arguments::{AnchorCommand, RevokeSettings, RotateSettings, Target, TenantCommand};
use crate::error::Error;
use crate::operator::Operator;
use crate::output;
use crate::shred;
use crate::tenant::{self, Chain, Depth, Key, chains, chains_to};
use crate::{anchor, certificate, draw};

/// The service that is meant where none is named.
const DEFAULT_SERVICE: &str = "default";

/// `krypton tenant`.
///
/// # Errors
/// If the Core does not answer, or refuses.
pub async fn tenant(target: &Target, command: &TenantCommand, json: bool) -> Result<ExitCode, Error> {
    let operator = Operator::of_target(target)?;
    match command {
        TenantCommand::Add { tenant, l1, service } => {
            tenant::add(&operator, tenant, l1, service.as_deref().unwrap_or(DEFAULT_SERVICE)).await?;
            show(&operator, tenant, json).await?;
        }
        TenantCommand::Show { tenant } => show(&operator, tenant, json).await?,
        TenantCommand::List => list(&chains(&operator, None).await?, json),
        TenantCommand::Anchor(AnchorCommand::Add { tenant, l1 }) => {
            anchor::add(&operator, tenant, l1).await?;
            show(&operator, tenant, json).await?;
        }
        TenantCommand::Anchor(AnchorCommand::Remove { tenant, l1 }) => {
            anchor::remove(&operator, tenant, l1).await?;
            show(&operator, tenant, json).await?;
        }
        TenantCommand::Rewrap { tenant, to, from } => {
            anchor::rewrap(&operator, tenant, to, from.as_deref()).await?;
            show(&operator, tenant, json).await?;
        }
        TenantCommand::Drill { tenant } => return anchor::drill(&operator, tenant.as_deref(), json).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(operator: &Operator, tenant: &str, json: bool) -> Result<(), Error> {
    let chains = chains_to(operator, Some(tenant), Depth::Facts).await?;
    let chain = chains.get(tenant).ok_or_else(|| no_such_tenant(tenant))?;
    if json {
        output::line(&draw::as_json(tenant, chain).to_string());
    } else {
        draw::lines(tenant, chain, draw::now()).iter().for_each(|line| output::line(line));
    }
    Ok(())
}

pub(crate) fn no_such_tenant(tenant: &str) -> Error {
    Error::Option(format!("there is no tenant \"{tenant}\""))
}

/// `krypton revoke`: returns when no Gateway can use the keys any more.
///
/// # Errors
/// If there is no such tenant or service, the Core does not answer, or it refuses.
pub async fn revoke(target: &Target, settings: &RevokeSettings, json: bool) -> Result<ExitCode, Error> {
    let operator = Operator::of_target(target)?;
    let keys = match &settings.tenant {
        Some(tenant) => keys_of(&operator, tenant, settings.service.as_deref()).await?,
        None => all_tenants(&chains(&operator, None).await?),
    };
    let started = Instant::now();
    let reason = RevocationReason {
        code: RevocationReasonCode::KeyCompromise,
        message: settings.reason.as_deref().map(ByteString::from),
    };
    revoke_all(&operator, &keys, &reason).await?;
    let milliseconds = started.elapsed().as_millis();
    let certificates = certificate::fetch(&operator, &keys).await;
    if json {
        let keys: Vec<&str> = keys.iter().map(|key| &**key).collect();
        let certificates = certificates.as_deref().unwrap_or_default();
        let told = json!({ "revoked": keys, "milliseconds": milliseconds, "certificates": certificates });
        output::line(&told.to_string());
    } else {
        keys.iter().for_each(|key| output::line(&format!("revoked {key}")));
        output::line(&format!("no Gateway can use them any more, after {milliseconds} ms"));
    }
    certificate::keep(certificates, settings.receipt.as_deref(), json)?;
    Ok(ExitCode::SUCCESS)
}

/// Revokes keys. Those of one message are revoked together, and waited for together. Where that is refused, each is tried by
/// itself, so that one that cannot be revoked does not shield the others.
async fn revoke_all(
    operator: &Operator,
    keys: &[ByteString],
    revocation_reason: &RevocationReason,
) -> Result<(), Error> {
    let request = |key: &ByteString| {
        Request::from(RevokeRequest {
            unique_identifier: Some(UniqueIdentifier::Text(key.clone())),
            revocation_reason: revocation_reason.clone(),
            compromise_occurrence_date: None,
        })
    };
    let mut outcome = Ok(());
    for page in keys.chunks(REVOKED_TOGETHER) {
        let together = operator.call_together::<RevokeResponse>(page.iter().map(request)).await;
        if let Err(Error::Refused { .. }) = together {
            for key in page {
                let revoked = operator.call::<RevokeResponse>(request(key)).await;
                outcome = outcome.and(revoked.map(drop));
            }
        } else {
            outcome = outcome.and(together.map(drop));
        }
    }
    outcome
}

/// Keys that are revoked in one message.
const REVOKED_TOGETHER: usize = 100;

/// `krypton rotate`: a new version of a service's L3 seals from now on.
///
/// # Errors
/// If there is no such active service, the Core does not answer, or it refuses.
pub async fn rotate(target: &Target, settings: &RotateSettings, json: bool) -> Result<ExitCode, Error> {
    let operator = Operator::of_target(target)?;
    let chain = chain_of(&operator, &settings.tenant).await?;
    let wanted = |key: &&Key| {
        key.state == State::Active
            && settings.service.as_deref().is_none_or(|service| key.service.as_deref() == Some(service))
    };
    let active: Vec<&Key> = chain.service_keys.iter().filter(wanted).collect();
    let services: Vec<&str> = active.iter().filter_map(|key| key.service.as_deref()).collect();
    if active.is_empty() {
        return Err(Error::Option("the tenant has no such service with an active key".to_owned()));
    }
    for key in active {
        let request = ReKeyRequest {
            unique_identifier: Some(UniqueIdentifier::Text(key.unique_identifier.clone())),
            offset: None,
            attributes: Attributes::default(),
            protection_storage_masks: None,
        };
        let successor = operator.call::<ReKeyResponse>(request).await?.unique_identifier;
        let (service, former) = (key.service.as_deref().unwrap_or(DEFAULT_SERVICE), &*key.unique_identifier);
        if json {
            let rotated = json!({ "service": service, "former": former, "active": &*successor });
            output::line(&rotated.to_string());
        } else {
            output::line(&format!("{service}: {successor} seals from now on, {former} opens only"));
        }
    }
    if settings.shred {
        return shred::old_versions(&operator, settings, &services, json).await;
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn chain_of(operator: &Operator, tenant: &str) -> Result<Chain, Error> {
    chains(operator, Some(tenant)).await?.remove(tenant).ok_or_else(|| no_such_tenant(tenant))
}

/// What has to be revoked: all versions of a service's L3, or the tenant's L2 and all its anchors.
async fn keys_of(operator: &Operator, tenant: &str, service: Option<&str>) -> Result<Vec<ByteString>, Error> {
    let chain = chain_of(operator, tenant).await?;
    let keys = match service {
        Some(service) => {
            let of_service = |key: &&Key| key.service.as_deref() == Some(service);
            revocable(chain.service_keys.iter().filter(of_service))
        }
        None => keys_of_tenant(&chain),
    };
    if keys.is_empty() {
        return Err(Error::Option("there is nothing left to revoke".to_owned()));
    }
    Ok(keys)
}

fn all_tenants(chains: &BTreeMap<String, Chain>) -> Vec<ByteString> {
    chains.values().flat_map(keys_of_tenant).collect()
}

/// The L2 closes the tenant whatever anchors it has; with the anchors revoked, nothing opens a copy of it here either.
fn keys_of_tenant(chain: &Chain) -> Vec<ByteString> {
    revocable(chain.tenant_keys.iter().chain(&chain.roots))
}

fn revocable<'a>(keys: impl Iterator<Item = &'a Key>) -> Vec<ByteString> {
    let can_be = |key: &&Key| matches!(key.state, State::PreActive | State::Active | State::Deactivated);
    keys.filter(can_be).map(|key| key.unique_identifier.clone()).collect()
}

fn list(chains: &BTreeMap<String, Chain>, json: bool) {
    if json {
        let tenants = chains.iter().map(|(tenant, chain)| {
            json!({ "tenant": tenant, "open": is_open(chain), "services": services(chain) })
        });
        output::line(&Value::from(tenants.collect::<Vec<_>>()).to_string());
        return;
    }
    let mut rows = vec![["TENANT", "ROOT", "SERVICES"].map(str::to_owned).to_vec()];
    rows.extend(chains.iter().map(|(tenant, chain)| {
        let root = if is_open(chain) { "active" } else { "revoked" };
        vec![tenant.clone(), root.to_owned(), services(chain).join(", ")]
    }));
    output::table(&rows);
}

/// Whether nothing has been revoked that the tenant needs: an L2, and an anchor of it.
fn is_open(chain: &Chain) -> bool {
    let is_active = |key: &&Key| key.state == State::Active;
    chain
        .tenant_keys
        .iter()
        .filter(is_active)
        .any(|tenant_key| chain.roots.iter().filter(is_active).any(|root| tenant_key.is_wrapped_by(root)))
}

fn services(chain: &Chain) -> Vec<String> {
    let active = chain.service_keys.iter().filter(|key| key.state == State::Active);
    let mut services: Vec<String> =
        active.filter_map(|key| key.service.as_deref()).map(str::to_owned).collect();
    services.sort();
    services
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(state: State) -> Key {
        Key {
            unique_identifier: ByteString::from_static("k"),
            state,
            location: None,
            wrapping_keys: vec![ByteString::from_static("k")],
            service: Some(ByteString::from_static("s")),
            generation: 0,
            facts: Box::default(),
        }
    }

    #[test]
    fn what_is_revoked_or_destroyed_is_not_revoked_again() {
        let keys = [State::Active, State::Deactivated, State::Compromised, State::Destroyed].map(key);
        assert_eq!(revocable(keys.iter()).len(), 2);
    }

    #[test]
    fn a_tenant_is_open_while_its_l2_and_an_anchor_are_active() {
        let chain = |root, tenant_key| Chain {
            roots: vec![key(State::Compromised), key(root)],
            tenant_keys: vec![key(tenant_key)],
            ..Chain::default()
        };
        assert!(is_open(&chain(State::Active, State::Active)));
        assert!(!is_open(&chain(State::Compromised, State::Active)));
        assert!(!is_open(&chain(State::Active, State::Compromised)));
    }
}
