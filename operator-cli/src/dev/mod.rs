//! `krypton dev`: a whole Krypton on this machine for development, from certificates to tenants, until Ctrl-C or SIGTERM.

pub mod configuration;
pub mod headquarters;
pub mod layout;
pub mod pki;
pub mod server;

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::layout::{Endpoints, Layout};
use self::server::ServerProcess;
use crate::arguments::DevSettings;
use crate::error::Error;
use crate::operator::Operator;
use crate::{output, tenant};

/// Runs the stack in `folder` until a signal stops it.
///
/// # Errors
/// If something of it cannot be made or started, or a server ends by itself.
pub async fn run(folder: &Path, settings: &DevSettings, json: bool) -> Result<ExitCode, Error> {
    judge(settings)?;
    let mut stop = Stop::new()?;
    let layout = Layout::new(folder)?;
    layout.create()?;
    let _lock = layout.lock()?;
    layout.withdraw();
    let started = tokio::select! {
        started = Stack::start(&layout, settings) => started?,
        () = stop.requested() => return Ok(ExitCode::SUCCESS),
    };
    let mut stack = started;
    layout.announce(&stack.endpoints)?;
    print_ready(folder, &stack.endpoints, json);
    let ended = tokio::select! {
        () = stop.requested() => None,
        error = stack.ended() => Some(error),
    };
    layout.withdraw();
    stack.stop().await;
    ended.map_or(Ok(ExitCode::SUCCESS), Err)
}

/// Core and Gateway, running.
struct Stack {
    core: ServerProcess,
    gateway: ServerProcess,
    endpoints: Endpoints,
}

impl Stack {
    async fn start(layout: &Layout, settings: &DevSettings) -> Result<Self, Error> {
        layout.pki().ensure()?;
        let headquarters = layout.pki().headquarters().ensure()?;
        claim_ports(settings)?;
        configuration::write_core(layout, settings, &headquarters)?;
        let core = ServerProcess::start("core", &layout.configuration("core")).await?;
        match Self::start_gateway(layout, settings, &core).await {
            Ok((gateway, endpoints)) => Ok(Self { core, gateway, endpoints }),
            Err(error) => {
                core.stop().await;
                Err(error)
            }
        }
    }

    /// Starts the Gateway, once the tenants have what it needs at the Core.
    async fn start_gateway(
        layout: &Layout,
        settings: &DevSettings,
        core: &ServerProcess,
    ) -> Result<(ServerProcess, Endpoints), Error> {
        let (core, core_admin) = (core.address("listen")?, core.address("admin")?);
        let operator = Operator::of_stack(layout, core)?;
        for name in pki::TENANTS {
            tenant::ensure(&operator, name, &location(settings, name)).await?;
        }
        configuration::write_gateway(layout, settings, core)?;
        let server = ServerProcess::start("gateway", &layout.configuration("gateway")).await?;
        let (gateway, https) = (server.address("listen")?, server.address("https")?);
        let gateway_admin = server.address("admin")?;
        Ok((server, Endpoints { gateway, https, gateway_admin, core, core_admin }))
    }

    /// Waits until either server ends by itself.
    async fn ended(&mut self) -> Error {
        tokio::select! {
            error = self.core.ended() => error,
            error = self.gateway.ended() => error,
        }
    }

    /// The Gateway first: it needs the Core to finish what it is at.
    async fn stop(self) {
        self.gateway.stop().await;
        self.core.stop().await;
    }
}

/// Ctrl-C and SIGTERM.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn new() -> Result<Self, Error> {
        let listen =
            |kind| signal(kind).map_err(|source| Error::System { action: "wait for signals", source });
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn requested(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        eprintln!("krypton: stopping");
    }
}

/// Refuses what cannot be had before anything is made.
fn judge(settings: &DevSettings) -> Result<(), Error> {
    let schemes = ["redis://", "rediss://", "postgres://", "postgresql://"];
    let is_url = |text: &str| schemes.iter().any(|scheme| text.starts_with(scheme));
    match settings.store.as_str() {
        "memory" | "embedded" => {}
        url if is_url(url) => {}
        other => {
            let kinds = "memory, embedded, redis://… or postgres://…";
            return Err(Error::Option(format!("there is no store \"{other}\": use {kinds}")));
        }
    }
    match settings.l1.as_str() {
        "software" => Ok(()),
        token if token.starts_with("pkcs11:") && token.contains("module-path=/") => Ok(()),
        token if token.starts_with("pkcs11:") => {
            Err(Error::Option("the URI of the L1 has to name the token's library: module-path=/PATH".into()))
        }
        other => Err(Error::Option(format!("there is no L1 \"{other}\": use software or pkcs11:…"))),
    }
}

/// Where the L1 of a tenant is. `{tenant}` in a URI stands for its name; without it, the tenants share a key.
fn location(settings: &DevSettings, tenant: &str) -> String {
    match settings.l1.as_str() {
        "software" => format!("software:{tenant}"),
        uri => uri.replace("{tenant}", tenant),
    }
}

/// Finds out about taken ports before a server stumbles over them: here we know which option helps.
fn claim_ports(settings: &DevSettings) -> Result<(), Error> {
    let ports = [
        (settings.gateway_port, "--gateway-port"),
        (settings.core_port, "--core-port"),
        (settings.https_port, "--https-port"),
        (settings.gateway_admin_port, "--gateway-admin-port"),
        (settings.core_admin_port, "--core-admin-port"),
    ];
    // Held together until all are had: two options may name the same port.
    let mut claimed = Vec::new();
    for (port, option) in ports {
        let taken = |source| Error::PortTaken { port, option, source };
        claimed.push(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(taken)?);
    }
    Ok(())
}

fn print_ready(folder: &Path, endpoints: &Endpoints, json: bool) {
    if json {
        output::line(&json!({ "ready": true, "dir": folder, "endpoints": endpoints }).to_string());
        return;
    }
    let Endpoints { gateway, https, gateway_admin, core, core_admin } = endpoints;
    output::line(&format!(
        "ready gateway={gateway} https={https} gateway-admin={gateway_admin} core={core} core-admin={core_admin}"
    ));
    let pki = folder.join("pki");
    let pki = pki.display();
    output::line(&format!(
        "\nPoint a KMIP client at {gateway} (mutual TLS), or POST to https://{https}/kmip:\n  \
         authority    {pki}/ca.pem\n  \
         certificate  {pki}/clients/acme.pem   (tenant acme; globex.pem for the other one)\n  \
         key          {pki}/clients/acme.key\n\
         See how it is with `krypton --dir {} status`. This stack is for development only.\n\
         Ctrl-C stops it; keys and certificates stay for the next start.",
        folder.display()
    ));
}
