//! The `krypton-gateway` program: reads its configuration, starts the Gateway, stops it on a signal.

#![forbid(unsafe_code)]

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use gateway_server::config::{Config, LogFormat};
use gateway_server::{Gateway, backup};
use key_service::audit_log::ServerLog;
use key_service::memory::wipe_stack;
use key_service::port::Store;
use kmip_net::{CancellationToken, ReloadableTls, ServerTls};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// What is freed is zeroed: secrets also pass through buffers of libraries that do not clear them.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

/// Krypton Gateway: KMIP for the applications beside it.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The configuration file (TOML).
    #[arg(long)]
    config: PathBuf,
    /// Read the configuration and the certificates that it names, and try its store; say what was tried, or what is wrong; end.
    #[arg(long)]
    check: bool,
    /// Write all records of the store into a new file, and end. An embedded store must not be in use.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["check", "import"])]
    export: Option<PathBuf>,
    /// Write the records of an exported file into the store, which should be empty, and end.
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    import: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("krypton-gateway: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::load(&arguments.config)?;
    if arguments.check {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        for tried in runtime.block_on(gateway_server::check(&config))? {
            writeln!(std::io::stdout(), "{tried}")?;
        }
        writeln!(std::io::stdout(), "{}: the configuration is sound", arguments.config.display())?;
        return Ok(());
    }
    start_log(config.log);
    let hardening = key_service::memory::harden_process();
    tracing::debug!(?hardening, "process hardened");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().on_thread_park(wipe_stack).build()?;
    match (&arguments.export, &arguments.import) {
        (Some(file), _) => Ok(runtime.block_on(backup::export(&config, file))?),
        (None, Some(file)) => Ok(runtime.block_on(backup::import(&config, file))?),
        (None, None) => runtime.block_on(serve(config)),
    }
}

async fn serve(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    let backup_directory = config.backup_directory.clone();
    let gateway = Gateway::start(config).await?;
    let shutdown = CancellationToken::new();
    tokio::spawn(cancel_on_signal(shutdown.clone())?);
    tokio::spawn(reload_on_signal(gateway.tls(), gateway.log())?);
    tokio::spawn(back_up_on_signal(gateway.store(), backup_directory)?);
    announce(&gateway)?;
    gateway.serve(shutdown).await;
    tracing::info!("stopped");
    Ok(())
}

/// One line on standard output tells whoever started us that we serve, and where.
fn announce(gateway: &Gateway) -> std::io::Result<()> {
    let mut line = format!("ready listen={} admin={}", gateway.address(), gateway.admin_address());
    if let Some(address) = gateway.https_address() {
        line.push_str(&format!(" https={address}"));
    }
    let mut output = std::io::stdout();
    writeln!(output, "{line}")?;
    output.flush()
}

fn cancel_on_signal(shutdown: CancellationToken) -> std::io::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        shutdown.cancel();
    })
}

/// SIGHUP reads certificates, keys and revocation lists again. Where they do not load, the old ones stay in force. The file of
/// OpenTelemetry records is opened again.
fn reload_on_signal(
    tls: Arc<ReloadableTls<ServerTls>>,
    log: ServerLog,
) -> std::io::Result<impl Future<Output = ()> + Send> {
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        while hangup.recv().await.is_some() {
            log.reopen_records();
            match tls.reload() {
                Ok(()) => tracing::info!("certificates read again"),
                Err(error) => tracing::error!(%error, "certificates not read again: the old ones stay"),
            }
        }
    })
}

/// SIGUSR1 copies the store. Without a directory for copies it says so: unhandled, the signal would end the process.
fn back_up_on_signal(
    store: Arc<dyn Store>,
    directory: Option<PathBuf>,
) -> std::io::Result<impl Future<Output = ()> + Send> {
    let mut signals = signal(SignalKind::user_defined1())?;
    Ok(async move {
        while signals.recv().await.is_some() {
            match backup::copy(&*store, directory.as_deref()).await {
                Ok(copy) => tracing::info!(copy = %copy.display(), "the store was copied"),
                Err(error) => tracing::error!(%error, "the store was not copied"),
            }
        }
    })
}

fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        // Standard error may be closed: that must not stop the Gateway from stopping.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}
