//! A tenant's anchors: the L1s any of which opens its L2. Added, removed, exchanged and drilled, in plain KMIP.

use std::process::ExitCode;
use std::time::Instant;

use bytestring::ByteString;
use kmip_protocol::attribute::RevocationReason;
use kmip_protocol::enumeration::{RevocationReasonCode, State};
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::mask::CryptographicUsageMask;
use kmip_protocol::operation::{CheckRequest, CheckResponse, RevokeRequest, RevokeResponse};
use serde_json::{Value, json};

use crate::error::Error;
use crate::operator::Operator;
use crate::output;
use crate::steer::{chain_of, no_such_tenant};
use crate::tenant::{self, Chain, Key, chains};

/// Seals the L2 of a tenant under the L1 at `location` too.
///
/// # Errors
/// If there is no such tenant, the Core does not answer, or it refuses: the L1 cannot be used.
pub async fn add(operator: &Operator, tenant: &str, location: &str) -> Result<(), Error> {
    let chain = chain_of(operator, tenant).await?;
    let tenant_keys = live_tenant_keys(&chain)?;
    let at = |root: &&Key| root.is_live() && root.location.as_deref() == Some(location);
    let root = match chain.roots.iter().find(at) {
        // Left over from an attempt that failed half way.
        Some(root) if !tenant_keys.iter().any(|key| key.is_wrapped_by(root)) => root.clone(),
        Some(_) => return Err(Error::Option(format!("{location} is an anchor of {tenant} already"))),
        None => tenant::register_root(operator, tenant, location).await?,
    };
    tenant::activate(operator, &root).await?;
    for key in tenant_keys {
        tenant::seal_under(operator, key, &root.unique_identifier).await?;
    }
    Ok(())
}

/// Drops the seals under an L1, which is named by location or identifier, and retires it.
///
/// # Errors
/// If there is no such tenant or anchor, the Core does not answer, or it refuses: no other anchor opens the L2 now.
pub async fn remove(operator: &Operator, tenant: &str, anchor: &str) -> Result<(), Error> {
    let chain = chain_of(operator, tenant).await?;
    let root = find(&chain, anchor)?;
    for key in live_tenant_keys(&chain)?.iter().filter(|key| key.is_wrapped_by(root)) {
        tenant::unseal_from(operator, key, &root.unique_identifier).await?;
    }
    retire(operator, root).await
}

/// Seals the L2 of a tenant under the L1 at `to` instead of the anchor `from`, or instead of all that it has.
///
/// # Errors
/// As [`add`] and [`remove`].
pub async fn rewrap(operator: &Operator, tenant: &str, to: &str, from: Option<&str>) -> Result<(), Error> {
    let chain = chain_of(operator, tenant).await?;
    let tenant_keys = live_tenant_keys(&chain)?;
    let replaced: Vec<&Key> = match from {
        Some(anchor) => vec![find(&chain, anchor)?],
        None => {
            let is_anchor = |root: &&Key| tenant_keys.iter().any(|key| key.is_wrapped_by(root));
            chain.roots.iter().filter(is_anchor).filter(|root| root.location.as_deref() != Some(to)).collect()
        }
    };
    let replaced: Vec<ByteString> = replaced.iter().map(|root| root.unique_identifier.clone()).collect();
    let is_there = |root: &Key| root.is_live() && root.location.as_deref() == Some(to);
    let is_anchor = |root: &Key| tenant_keys.iter().all(|key| key.is_wrapped_by(root));
    // One that was begun before is finished.
    if !chain.roots.iter().any(|root| is_there(root) && is_anchor(root)) {
        add(operator, tenant, to).await?;
    }
    for root in replaced {
        remove(operator, tenant, &root).await?;
    }
    Ok(())
}

/// Lets each anchor open the L2s that are sealed under it. Fails as a program if one does not.
///
/// # Errors
/// If there is no such tenant, or the Core does not answer.
pub async fn drill(operator: &Operator, tenant: Option<&str>, json: bool) -> Result<ExitCode, Error> {
    let chains = chains(operator, tenant).await?;
    if let Some(tenant) = tenant.filter(|tenant| !chains.contains_key(*tenant)) {
        return Err(no_such_tenant(tenant));
    }
    let mut reports = Vec::new();
    for (tenant, chain) in &chains {
        // A tenant that was revoked has nothing to drill.
        let Ok(tenant_keys) = live_tenant_keys(chain) else { continue };
        let is_anchor = |root: &&Key| {
            root.state == State::Active && tenant_keys.iter().any(|key| key.is_wrapped_by(root))
        };
        for root in chain.roots.iter().filter(is_anchor) {
            let started = Instant::now();
            let problem = match check(operator, root).await {
                Ok(()) => None,
                Err(Error::Refused { message, .. }) => Some(message),
                Err(error) => return Err(error),
            };
            let milliseconds = started.elapsed().as_millis();
            reports.push(Report { tenant, root, milliseconds, problem });
        }
    }
    print(&reports, json);
    let succeeded = !reports.is_empty() && reports.iter().all(|report| report.problem.is_none());
    Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How an anchor did in a drill.
struct Report<'a> {
    tenant: &'a str,
    root: &'a Key,
    milliseconds: u128,
    problem: Option<String>,
}

fn print(reports: &[Report<'_>], json: bool) {
    if json {
        let one = |report: &Report<'_>| {
            json!({
                "tenant": report.tenant,
                "unique_identifier": &*report.root.unique_identifier,
                "location": report.root.location.as_deref(),
                "opens": report.problem.is_none(),
                "milliseconds": u64::try_from(report.milliseconds).unwrap_or(u64::MAX),
                "problem": report.problem,
            })
        };
        output::line(&Value::from(reports.iter().map(one).collect::<Vec<_>>()).to_string());
        return;
    }
    let mut rows = vec![["TENANT", "L1", "LOCATION", "TIME", "OPENS"].map(str::to_owned).to_vec()];
    rows.extend(reports.iter().map(|report| {
        vec![
            report.tenant.to_owned(),
            report.root.unique_identifier.to_string(),
            report.root.location.as_deref().unwrap_or("").to_owned(),
            format!("{} ms", report.milliseconds),
            report.problem.as_deref().map_or("yes".to_owned(), |problem| format!("NO: {problem}")),
        ]
    }));
    output::table(&rows);
}

/// Check of an L1 for the use Unwrap Key: the Core lets it do so.
async fn check(operator: &Operator, root: &Key) -> Result<(), Error> {
    let request = CheckRequest {
        unique_identifier: Some(UniqueIdentifier::Text(root.unique_identifier.clone())),
        usage_limits_count: None,
        cryptographic_usage_mask: Some(CryptographicUsageMask::UNWRAP_KEY),
        lease_time: None,
    };
    operator.call::<CheckResponse>(request).await.map(drop)
}

/// An L1 that nothing is sealed under any more is Deactivated.
async fn retire(operator: &Operator, root: &Key) -> Result<(), Error> {
    if !root.is_live() {
        return Ok(());
    }
    let request = RevokeRequest {
        unique_identifier: Some(UniqueIdentifier::Text(root.unique_identifier.clone())),
        revocation_reason: RevocationReason { code: RevocationReasonCode::Superseded, message: None },
        compromise_occurrence_date: None,
    };
    operator.call::<RevokeResponse>(request).await.map(drop)
}

fn live_tenant_keys(chain: &Chain) -> Result<Vec<&Key>, Error> {
    let live: Vec<&Key> = chain.tenant_keys.iter().filter(|key| key.is_live()).collect();
    if live.is_empty() {
        return Err(Error::Option("the tenant has no L2 that is of use: it was revoked".to_owned()));
    }
    Ok(live)
}

/// The L1 of that identifier or location; of several, the one that is of use.
fn find<'a>(chain: &'a Chain, anchor: &str) -> Result<&'a Key, Error> {
    let named = |root: &&Key| root.unique_identifier == anchor || root.location.as_deref() == Some(anchor);
    let mut named = chain.roots.iter().filter(named);
    let first = named.next();
    let live = first.into_iter().chain(named).find(|root| root.is_live());
    live.or(first).ok_or_else(|| Error::Option(format!("the tenant has no L1 {anchor}")))
}
