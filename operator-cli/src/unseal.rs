//! `krypton unseal status`: which tenants are unsealed at this Core, by which L1, and how their L1s stand.

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::arguments::Target;
use crate::draw::{ago, now};
use crate::error::Error;
use crate::operator::Operator;
use crate::output;
use crate::tenant::{Chain, Depth, Key, chains_to};

/// Prints how the tenants are.
///
/// # Errors
/// If the Core does not answer, or refuses.
pub async fn run(target: &Target, json: bool) -> Result<ExitCode, Error> {
    let operator = Operator::of_target(target)?;
    let chains = chains_to(&operator, None, Depth::Facts).await?;
    if json {
        let tenants: Vec<Value> = chains.iter().flat_map(|(tenant, chain)| as_json(tenant, chain)).collect();
        output::line(&Value::from(tenants).to_string());
    } else {
        output::table(&rows(&chains, now()));
    }
    Ok(ExitCode::SUCCESS)
}

/// One row for each L2 that is of use; a tenant has one as a rule.
fn rows(chains: &BTreeMap<String, Chain>, now: i64) -> Vec<Vec<String>> {
    let mut rows = vec![["TENANT", "UNSEALED", "OPENED BY", "PROVED", "ANCHORS"].map(str::to_owned).to_vec()];
    for (tenant, chain) in chains {
        for key in &chain.tenant_keys {
            let opened_by = key.facts.opened_by.as_deref().and_then(|opened_by| location(chain, opened_by));
            let proved = key.facts.last_proved.map_or("-".to_owned(), |at| ago(at, now));
            let overdue = if key.facts.overdue == Some(true) { " OVERDUE" } else { "" };
            rows.push(vec![
                tenant.clone(),
                word(key).to_owned(),
                opened_by.unwrap_or("-").to_owned(),
                proved + overdue,
                anchors(chain, key)
                    .map(|(root, standing)| format!("{}={standing}", label(root)))
                    .collect::<Vec<_>>()
                    .join(" "),
            ]);
        }
    }
    rows
}

fn word(key: &Key) -> &'static str {
    match key.facts.open {
        _ if !key.is_live() => "revoked",
        Some(true) => "yes",
        _ => "no",
    }
}

/// The L1s of an L2, and how they stand: a revoked one opens nothing, whatever it answered.
fn anchors<'a>(chain: &'a Chain, key: &'a Key) -> impl Iterator<Item = (&'a Key, &'a str)> {
    let roots = chain.roots.iter().filter(|root| key.is_wrapped_by(root));
    roots.map(|root| match root.is_live() {
        true => (root, root.facts.standing.as_deref().unwrap_or("unasked")),
        false => (root, "revoked"),
    })
}

fn location<'a>(chain: &'a Chain, root: &str) -> Option<&'a str> {
    chain.roots.iter().find(|key| key.unique_identifier == root)?.location.as_deref()
}

/// A URI without its query, which says how to reach the token, not which it is.
fn label(root: &Key) -> &str {
    root.location.as_deref().and_then(|location| location.split('?').next()).unwrap_or("?")
}

fn as_json(tenant: &str, chain: &Chain) -> Vec<Value> {
    let one = |key: &Key| {
        let anchors: Vec<Value> = anchors(chain, key)
            .map(|(root, standing)| {
                json!({
                    "unique_identifier": &*root.unique_identifier,
                    "location": root.location.as_deref(),
                    "standing": standing,
                    "last_proved": root.facts.last_proved,
                })
            })
            .collect();
        json!({
            "tenant": tenant,
            "unique_identifier": &*key.unique_identifier,
            "unsealed": word(key) == "yes",
            "revoked": !key.is_live(),
            "opened_by": key.facts.opened_by.as_deref(),
            "last_proved": key.facts.last_proved,
            "proof_overdue": key.facts.overdue.unwrap_or(false),
            "anchors": anchors,
        })
    };
    chain.tenant_keys.iter().map(one).collect()
}
