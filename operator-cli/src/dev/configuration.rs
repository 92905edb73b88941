//! The servers' configuration files in a development stack.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::layout::Layout;
use super::pki::{Credential, GATEWAY, TENANTS};
use crate::arguments::DevSettings;
use crate::error::Error;

/// Writes the Core's configuration. `headquarters`: whose policies it takes.
///
/// # Errors
/// If the file cannot be written.
pub fn write_core(layout: &Layout, settings: &DevSettings, headquarters: &str) -> Result<(), Error> {
    let configuration = json!({
        "listen": local(settings.core_port),
        "admin_listen": local(settings.core_admin_port),
        "state_directory": layout.state("core"),
        "tls": tls(layout, layout.pki().server("core")),
        "roots": roots(settings),
        "policy": { "trusted_keys": [headquarters] },
        "gateway": [{ "name": GATEWAY, "tenants": TENANTS }],
    });
    write(&layout.configuration("core"), &configuration)
}

/// Writes the Gateway's configuration, for a Core that listens at `core`.
///
/// # Errors
/// If the file cannot be written.
pub fn write_gateway(layout: &Layout, settings: &DevSettings, core: SocketAddr) -> Result<(), Error> {
    let configuration = json!({
        "listen": local(settings.gateway_port),
        "https_listen": local(settings.https_port),
        "admin_listen": local(settings.gateway_admin_port),
        "state_directory": layout.state("gateway"),
        "store": settings.store,
        "tls": tls(layout, layout.pki().server("gateway")),
        "core": {
            "client": { "address": core },
            "tls": tls(layout, layout.pki().server("gateway")),
        },
        "service": {
            "insecure_allow_triple_des": settings.insecure_allow_triple_des,
            "legacy_attribute_clients": settings.legacy_attribute_clients,
        },
    });
    write(&layout.configuration("gateway"), &configuration)
}

/// A module that the command line names is trusted; nobody else names one.
fn roots(settings: &DevSettings) -> Value {
    let (l1, probe_interval_seconds) = (settings.l1.as_str(), settings.probe_interval_seconds);
    if l1 == "software" {
        return json!({ "insecure_allow_software": true, "probe_interval_seconds": probe_interval_seconds });
    }
    let query = l1.split_once('?').map_or("", |(_, query)| query);
    let module = query.split('&').find_map(|part| part.strip_prefix("module-path="));
    let modules: BTreeMap<&str, &str> = module.into_iter().map(|path| ("dev", path)).collect();
    json!({ "pkcs11_modules": modules, "probe_interval_seconds": probe_interval_seconds })
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn tls(layout: &Layout, credential: Credential) -> Value {
    json!({
        "certificate": credential.certificate,
        "key": credential.key,
        "authority": layout.pki().authority(),
    })
}

fn write(path: &Path, configuration: &Value) -> Result<(), Error> {
    let unfit = |error: toml::ser::Error| Error::Unfit { path: path.to_owned(), problem: error.to_string() };
    let text = toml::to_string_pretty(configuration).map_err(unfit)?;
    let text = format!("# Written by `krypton dev` at each start: changes do not last.\n\n{text}");
    fs::write(path, text).map_err(Error::file("write", path))
}
