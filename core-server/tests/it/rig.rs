//! A Core in this process, and its peers.

use core_server::{Config, Running, run};
use kmip_net::CancellationToken;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::Party;
use crate::pki::Pki;

pub struct Rig {
    pub folder: TempDir,
    pub pki: Pki,
    core: Option<(Running, CancellationToken)>,
}

impl Rig {
    /// A Core with an embedded store; the Gateway `acme-gateway` serves acme, `globex-gateway` globex, `both-gateway` both.
    pub async fn start() -> Self {
        let mut rig = Self::stopped();
        rig.restart().await;
        rig
    }

    /// As [`start`](Self::start), but not started yet.
    pub fn stopped() -> Self {
        let folder = TempDir::new().unwrap();
        let pki = Pki::new(&folder.path().join("pki"));
        Self { folder, pki, core: None }
    }

    pub fn config(&self) -> Config {
        let path = self.write_config("");
        Config::read(&path).unwrap()
    }

    /// Writes the configuration file, with `more` in front.
    pub fn write_config(&self, more: &str) -> std::path::PathBuf {
        let path = self.folder.path().join("core.toml");
        let text = format!(
            r#"{more}
            listen = "127.0.0.1:0"
            admin_listen = "127.0.0.1:0"
            state_directory = "state"
            [tls]
            certificate = "pki/core.pem"
            key = "pki/core.key"
            authority = "pki/ca.pem"
            [memory]
            kind = "locked"
            capacity_bytes = 262144
            [roots]
            insecure_allow_software = true
            [[gateway]]
            name = "acme-gateway"
            tenants = ["acme"]
            [[gateway]]
            name = "globex-gateway"
            tenants = ["globex"]
            [[gateway]]
            name = "both-gateway"
            tenants = ["acme", "globex"]
            "#
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Stops the Core if it runs, and starts it again.
    pub async fn restart(&mut self) {
        self.stop().await;
        let shutdown = CancellationToken::new();
        self.core = Some((run(self.config(), shutdown.clone()).await.unwrap(), shutdown));
    }

    /// Stops the Core and waits until it has.
    pub async fn stop(&mut self) {
        if let Some((running, shutdown)) = self.core.take() {
            shutdown.cancel();
            running.stopped().await;
        }
    }

    pub fn core(&self) -> &Running {
        &self.core.as_ref().unwrap().0
    }

    pub fn operator(&self) -> Party {
        self.party("krypton-operator", "olga")
    }

    pub fn gateway(&self, name: &str) -> Party {
        self.party("krypton-gateway", name)
    }

    pub fn party(&self, unit: &str, name: &str) -> Party {
        Party::new(self.core().listen_address(), self.pki.client(unit, name))
    }

    /// A page of the admin server: status line and body.
    pub async fn admin_page(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.core().admin_address()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// The value of a metric, its labels included in `name`; 0 if it is not there.
    pub async fn metric(&self, name: &str) -> u64 {
        let page = self.admin_page("/metrics").await;
        page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0)
    }
}
