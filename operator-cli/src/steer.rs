//! `krypton tenant` and `rotate`: the tenants' chains of keys, steered in plain KMIP over the operator's certificate.

use std::collections::BTreeMap;
use std::process::ExitCode;

use kmip_protocol::attribute::Attributes;
use kmip_protocol::enumeration::State;
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::operation::{ReKeyRequest, ReKeyResponse};
use serde_json::{Value, json};

use crate::arguments::{AnchorCommand, RotateSettings, Target, TenantCommand};
use crate::error::Error;
use crate::operator::Operator;
use crate::output;
use crate::shred;
use crate::tenant::{self, Chain, Depth, Key, chains, chains_to};
use crate::{anchor, draw};

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
    use bytestring::ByteString;

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
