//! `krypton status`: how Core and Gateway are, and the tenants' chains of keys.

use std::collections::BTreeMap;
use std::process::ExitCode;

use key_service::audit_log::LogReader;
use kmip_protocol::enumeration::QueryFunction;
use kmip_protocol::operation::{QueryRequest, QueryResponse};
use serde_json::{Value, json};

use crate::admin::{Health, health};
use crate::arguments::Target;
use crate::audit::{Log, stack_logs};
use crate::dev::layout::Layout;
use crate::draw::{self, levels};
use crate::error::Error;
use crate::operator::Operator;
use crate::output;
use crate::tenant::{Chain, chains};

/// One server's line.
struct Server {
    name: &'static str,
    address: String,
    version: Option<String>,
    health: Health,
}

/// Prints the status. Fails as a program if a server is not ready, so that scripts can wait for it.
///
/// # Errors
/// If it is not known where to ask, or the Core refuses to tell.
pub async fn run(target: &Target, json: bool) -> Result<ExitCode, Error> {
    let operator = Operator::of_target(target)?;
    let core_version = version(&operator).await;
    let servers = servers(target, &operator, &core_version).await?;
    let chains = match core_version {
        Ok(_) => chains(&operator, None).await?,
        Err(_) => BTreeMap::new(),
    };
    let logs = if target.core.is_some() { Vec::new() } else { stack_logs(&Layout::new(&target.dir)?)? };
    if json {
        output::line(&as_json(&servers, &logs, &chains).to_string());
    } else {
        output::table(&server_rows(&servers));
        output::line("");
        output::table(&log_rows(&logs));
        output::line("");
        output::table(&key_rows(&chains));
    }
    let is_ready = servers.iter().all(|server| server.health == Health::Ready);
    Ok(if is_ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Asks the admin pages of a stack; of a Core somewhere else, only its KMIP address is known.
async fn servers(
    target: &Target,
    operator: &Operator,
    core_version: &Result<Option<String>, Error>,
) -> Result<Vec<Server>, Error> {
    let of_core = |address: String, health: Health| Server {
        name: "core",
        address,
        version: core_version.as_ref().ok().cloned().flatten(),
        health,
    };
    let layout = Layout::new(&target.dir)?;
    let endpoints = if target.core.is_some() { None } else { layout.endpoints()? };
    let Some(endpoints) = endpoints else {
        let health =
            core_version.as_ref().map_or_else(|error| Health::Down(error.to_string()), |_| Health::Ready);
        return Ok(vec![of_core(operator.address().to_owned(), health)]);
    };
    let gateway = Operator::of_stack(&layout, endpoints.gateway)?;
    Ok(vec![
        of_core(endpoints.core.to_string(), health(endpoints.core_admin).await),
        Server {
            name: "gateway",
            address: endpoints.gateway.to_string(),
            version: version(&gateway).await.ok().flatten(),
            health: health(endpoints.gateway_admin).await,
        },
    ])
}

async fn version(operator: &Operator) -> Result<Option<String>, Error> {
    let query_functions = vec![QueryFunction::QueryServerInformation];
    let request = QueryRequest { query_functions, object_groups: None };
    let information = operator.call::<QueryResponse>(request).await?.server_information;
    Ok(information.and_then(|information| information.server_version).map(|version| version.to_string()))
}

fn server_rows(servers: &[Server]) -> Vec<Vec<String>> {
    let mut rows = vec![row(["SERVER", "ADDRESS", "VERSION", "STATUS", ""])];
    rows.extend(servers.iter().map(|server| {
        let version = server.version.as_deref().unwrap_or("-");
        row([
            server.name,
            &server.address,
            version,
            server.health.word(),
            server.health.problem().unwrap_or(""),
        ])
    }));
    rows
}

fn key_rows(chains: &BTreeMap<String, Chain>) -> Vec<Vec<String>> {
    let mut rows = vec![row(["TENANT", "KEY", "SERVICE", "STATE", "UNIQUE IDENTIFIER", "WRAPPED BY"])];
    for (tenant, chain) in chains {
        for (level, key) in levels(chain) {
            let service = key.service.as_deref().unwrap_or("-");
            let state = key.state.to_string();
            let wrapped_by = match &key.location {
                Some(location) => location.to_string(),
                None => key.wrapping_keys.iter().map(|above| &**above).collect::<Vec<_>>().join(" "),
            };
            rows.push(row([tenant, level, service, &state, &key.unique_identifier, &wrapped_by]));
        }
    }
    rows
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).into()
}

fn log_rows(logs: &[Log]) -> Vec<Vec<String>> {
    let mut rows = vec![row(["AUDIT LOG", "ENTRIES", "VERIFIER KEY"])];
    rows.extend(logs.iter().map(|log| row([&log.name, &entries(log), &log.key.to_string()])));
    rows
}

/// The size of a log, or why it is not to be had.
fn entries(log: &Log) -> String {
    match LogReader::open(&log.directory, &log.key) {
        Ok(reader) => reader.checkpoint().size().to_string(),
        Err(error) => error.to_string(),
    }
}

fn as_json(servers: &[Server], logs: &[Log], chains: &BTreeMap<String, Chain>) -> Value {
    let log =
        |log: &Log| json!({ "server": log.name, "entries": entries(log), "verifier": log.key.to_string() });
    let logs: Vec<Value> = logs.iter().map(log).collect();
    let servers = servers.iter().map(|server| {
        json!({
            "server": server.name,
            "address": server.address,
            "version": server.version,
            "status": server.health.word(),
            "problem": server.health.problem(),
        })
    });
    let tenants =
        chains.iter().map(|(tenant, chain)| json!({ "tenant": tenant, "keys": draw::keys_json(chain) }));
    json!({ "servers": servers.collect::<Vec<_>>(), "audit_logs": logs, "tenants": tenants.collect::<Vec<_>>() })
}
