//! The echo server: the transport of the servers with nothing behind it, in a process of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use key_service::memory::wipe_stack;
use kmip_net::{
    CancellationToken, Connection, FrameHandler, IdentityRule, ReloadableTls, Server, ServerLimits,
    ServerSettings, TlsSettings, TransportMetrics,
};
use kmip_ttlv::SecretBuffer;

/// Tells a process to be the echo server, with this development PKI.
const PKI: &str = "KRYPTON_BENCH_ECHO_PKI";
/// Whether its threads wipe their stacks when they rest, as those of the servers do.
const WIPES: &str = "KRYPTON_BENCH_ECHO_WIPES";

/// A running echo server; ends when it is dropped.
pub(crate) struct Echo {
    child: Child,
    pub(crate) address: String,
}

impl Echo {
    pub(crate) fn start(pki: &Path, wipes: bool) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env(PKI, pki).stdin(Stdio::piped()).stdout(Stdio::piped());
        if wipes {
            command.env(WIPES, "1");
        }
        let mut child = command.spawn().unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut address).unwrap();
        Self { child, address: address.trim().to_owned() }
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

/// Is the echo server until the standard input ends, if that is what this process was started for.
pub(crate) fn serve_if_asked() -> bool {
    let Some(pki) = std::env::var_os(PKI).map(PathBuf::from) else { return false };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if std::env::var_os(WIPES).is_some() {
        runtime.on_thread_park(wipe_stack);
    }
    runtime.enable_all().build().unwrap().block_on(serve(&pki));
    true
}

async fn serve(pki: &Path) {
    let tls = TlsSettings {
        certificate: pki.join("servers/gateway.pem"),
        key: pki.join("servers/gateway.key"),
        authority: pki.join("ca.pem"),
        revocation_lists: Vec::new(),
    };
    let settings = ServerSettings {
        address: ([127, 0, 0, 1], 0).into(),
        limits: ServerLimits::default(),
        identity: IdentityRule::default(),
    };
    let (tls, metrics) = (ReloadableTls::server(tls).unwrap(), TransportMetrics::unregistered());
    let server = Server::bind(settings, tls, Arc::new(EchoHandler), metrics).unwrap();
    let mut output = std::io::stdout();
    writeln!(output, "{}", server.local_address()).unwrap();
    output.flush().unwrap();
    let shutdown = CancellationToken::new();
    let ended = shutdown.clone();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        ended.cancel();
    });
    server.run(shutdown).await;
}

struct EchoHandler;

impl FrameHandler for EchoHandler {
    async fn handle(&self, _: &Connection, request: Bytes) -> SecretBuffer {
        let mut answer = SecretBuffer::with_capacity(request.len());
        answer.extend_from_slice(&request);
        answer
    }

    fn refuse(&self, _: kmip_ttlv::Error) -> SecretBuffer {
        SecretBuffer::new()
    }
}
