//! `krypton tenant`, `revoke` and `rotate`: the tenants' chains of keys, steered in plain KMIP over the operator's certificate.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use bytestring::ByteString;
use kmip_protocol::attribute::Attributes;
use kmip_protocol::attribute::RevocationReason;
use kmip_protocol::enumeration::{RevocationReasonCode, State};
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::operation::{ReKeyRequest, ReKeyResponse, RevokeRequest, RevokeResponse};
use serde_json::{Value, json};

use crate::arguments::{RevokeSettings, RotateSettings, Target, TenantCommand};
use crate::error::Error;
use crate::operator::Operator;
use crate::output;
use crate::tenant::{self, Chain, Key, chains};

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
            show(&chains(&operator, Some(tenant)).await?, json);
        }
        TenantCommand::Show { tenant } => {
            let chains = chains(&operator, Some(tenant)).await?;
            if chains.is_empty() {
                return Err(Error::Option(format!("there is no tenant \"{tenant}\"")));
            }
            show(&chains, json);
        }
        TenantCommand::List => list(&chains(&operator, None).await?, json),
    }
    Ok(ExitCode::SUCCESS)
}

/// `krypton revoke`: returns when no Gateway can use the keys any more.
///
/// # Errors
/// If there is no such tenant or service, the Core does not answer, or it refuses.
pub async fn revoke(target: &Target, settings: &RevokeSettings, json: bool) -> Result<ExitCode, Error> {
    let operator = Operator::of_target(target)?;
    let keys = match &settings.tenant {
        Some(tenant) => keys_of(&operator, tenant, settings.service.as_deref()).await?,
        None => all_roots(&chains(&operator, None).await?),
    };
    let started = Instant::now();
    for key in &keys {
        let request = RevokeRequest {
            unique_identifier: Some(UniqueIdentifier::Text(key.clone())),
            revocation_reason: RevocationReason {
                code: RevocationReasonCode::KeyCompromise,
                message: settings.reason.as_deref().map(ByteString::from),
            },
            compromise_occurrence_date: None,
        };
        operator.call::<RevokeResponse>(request).await?;
    }
    let milliseconds = started.elapsed().as_millis();
    if json {
        let keys: Vec<&str> = keys.iter().map(|key| &**key).collect();
        output::line(&json!({ "revoked": keys, "milliseconds": milliseconds }).to_string());
    } else {
        keys.iter().for_each(|key| output::line(&format!("revoked {key}")));
        output::line(&format!("no Gateway can use them any more, after {milliseconds} ms"));
    }
    Ok(ExitCode::SUCCESS)
}

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
    Ok(ExitCode::SUCCESS)
}

async fn chain_of(operator: &Operator, tenant: &str) -> Result<Chain, Error> {
    let chain = chains(operator, Some(tenant)).await?.remove(tenant);
    chain.ok_or_else(|| Error::Option(format!("there is no tenant \"{tenant}\"")))
}

/// What has to be revoked: all versions of a service's L3, or the tenant's L1 links.
async fn keys_of(operator: &Operator, tenant: &str, service: Option<&str>) -> Result<Vec<ByteString>, Error> {
    let chain = chain_of(operator, tenant).await?;
    let keys = match service {
        Some(service) => {
            let of_service = |key: &&Key| key.service.as_deref() == Some(service);
            revocable(chain.service_keys.iter().filter(of_service))
        }
        None => revocable(chain.roots.iter()),
    };
    if keys.is_empty() {
        return Err(Error::Option("there is nothing left to revoke".to_owned()));
    }
    Ok(keys)
}

fn all_roots(chains: &BTreeMap<String, Chain>) -> Vec<ByteString> {
    revocable(chains.values().flat_map(|chain| &chain.roots))
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

fn is_open(chain: &Chain) -> bool {
    chain.roots.iter().any(|root| root.state == State::Active)
}

fn services(chain: &Chain) -> Vec<String> {
    let active = chain.service_keys.iter().filter(|key| key.state == State::Active);
    let mut services: Vec<String> =
        active.filter_map(|key| key.service.as_deref()).map(str::to_owned).collect();
    services.sort();
    services
}

/// Draws the chain: L1, the L2s that it wraps, the L3s that those wrap.
fn show(chains: &BTreeMap<String, Chain>, json: bool) {
    for (tenant, chain) in chains {
        if json {
            output::line(&tenant_json(tenant, chain).to_string());
            continue;
        }
        output::line(tenant);
        for root in &chain.roots {
            output::line(&format!(
                "  L1 {} {} {}",
                root.unique_identifier,
                root.state,
                root.location.as_deref().unwrap_or("")
            ));
            for tenant_key in wrapped_by(&chain.tenant_keys, root) {
                output::line(&format!("   `- L2 {} {}", tenant_key.unique_identifier, tenant_key.state));
                for key in wrapped_by(&chain.service_keys, tenant_key) {
                    let service = key.service.as_deref().unwrap_or("");
                    output::line(&format!("       `- L3 {} {} {service}", key.unique_identifier, key.state));
                }
            }
        }
    }
}

fn wrapped_by<'a>(keys: &'a [Key], above: &'a Key) -> impl Iterator<Item = &'a Key> {
    keys.iter().filter(|key| key.wrapping_key.as_ref() == Some(&above.unique_identifier))
}

fn tenant_json(tenant: &str, chain: &Chain) -> Value {
    let level = |level: &str, keys: &[Key]| -> Vec<Value> {
        keys.iter()
            .map(|key| {
                json!({
                    "level": level,
                    "unique_identifier": &*key.unique_identifier,
                    "state": key.state.to_string(),
                    "service": key.service.as_deref(),
                    "location": key.location.as_deref(),
                    "wrapping_key": key.wrapping_key.as_deref(),
                })
            })
            .collect()
    };
    let keys = [level("L1", &chain.roots), level("L2", &chain.tenant_keys), level("L3", &chain.service_keys)];
    json!({ "tenant": tenant, "keys": keys.concat() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(state: State) -> Key {
        Key {
            unique_identifier: ByteString::from_static("k"),
            state,
            location: None,
            wrapping_key: None,
            service: Some(ByteString::from_static("s")),
        }
    }

    #[test]
    fn what_is_revoked_or_destroyed_is_not_revoked_again() {
        let keys = [State::Active, State::Deactivated, State::Compromised, State::Destroyed].map(key);
        assert_eq!(revocable(keys.iter()).len(), 2);
    }

    #[test]
    fn a_tenant_is_open_while_a_root_is_active() {
        let chain = |state| Chain { roots: vec![key(state)], ..Chain::default() };
        assert!(is_open(&chain(State::Active)) && !is_open(&chain(State::Compromised)));
    }
}
