//! The binary `krypton-core`: hardens the process, reads the configuration, serves until it is told to stop.

#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use core_server::config::{LogFormat, LogSettings};
use core_server::{Config, Running, run};
use key_service::memory::{HardeningReport, harden_process, wipe_stack};
use kmip_net::CancellationToken;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// What is freed is zeroed: secrets also pass through buffers of libraries that do not clear them.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

/// Krypton Core: the sovereign vault of one region.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The configuration file (TOML).
    #[arg(long, value_name = "PATH")]
    config: PathBuf,
    /// Read the configuration, the certificates and the libraries that it names, and try its store; say what was tried, or what is wrong;
    /// end.
    #[arg(long)]
    check: bool,
}

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    // First of all: nothing secret has been read yet.
    let hardening = harden_process();
    match start(&Arguments::parse(), hardening) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The log may not be there yet.
            let _ = writeln!(io::stderr(), "krypton-core: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: &Arguments, hardening: HardeningReport) -> Result<(), Failure> {
    let config = Config::read(&arguments.config)?;
    if arguments.check {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        for tried in runtime.block_on(core_server::check(&config))? {
            writeln!(io::stdout(), "{tried}")?;
        }
        writeln!(io::stdout(), "{}: the configuration is sound", arguments.config.display())?;
        return Ok(());
    }
    begin_log(&config.log)?;
    judge_hardening(hardening, config.memory.insecure_allow_unlocked)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().on_thread_park(wipe_stack).build()?;
    let served = runtime.block_on(serve(config));
    // All that has to end in order has ended: a thread that waits for a lost token is not waited for.
    runtime.shutdown_background();
    served
}

async fn serve(config: Config) -> Result<(), Failure> {
    let shutdown = CancellationToken::new();
    let running = run(config, shutdown.clone()).await?;
    writeln!(io::stdout(), "ready listen={} admin={}", running.listen_address(), running.admin_address())?;
    io::stdout().flush()?;
    wait_for_end(&running).await?;
    tracing::info!("stopping");
    shutdown.cancel();
    running.stopped().await;
    Ok(())
}

/// Waits for SIGTERM or SIGINT. SIGHUP reads the certificates again.
async fn wait_for_end(running: &Running) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hang_up.recv() => {
                running.reopen_records();
                match running.reload_tls() {
                    Ok(()) => tracing::info!("certificates read again"),
                    Err(error) => tracing::error!(%error, "certificates not read again; the old ones stay in force"),
                }
            }
        }
    }
}

fn begin_log(settings: &LogSettings) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&settings.filter)?;
    let log =
        tracing_subscriber::fmt().log_internal_errors(false).with_env_filter(filter).with_writer(io::stderr);
    match settings.format {
        LogFormat::Text => log.with_ansi(false).init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}

fn judge_hardening(report: HardeningReport, tolerated: bool) -> Result<(), Failure> {
    if report.core_dumps_disabled && report.tracing_disabled {
        return Ok(());
    }
    if tolerated {
        tracing::warn!(?report, "INSECURE: other processes or core dumps may show keys");
        return Ok(());
    }
    Err("core dumps and tracing cannot be forbidden; memory.insecure_allow_unlocked starts all the same"
        .into())
}
