//! A Core in this process, and its peers.

use std::sync::Arc;

use core_server::chain::REGION;
use core_server::{Config, Running, run};
use key_service::port::Change;
use key_service::record::Record;
use key_service::store::{Purpose, StoreSettings};
use kmip_net::CancellationToken;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::Party;
use crate::pki::Pki;

pub struct Rig {
    pub folder: TempDir,
    pub pki: Pki,
    /// Further lines of the section `roots` of the configuration.
    pub roots: &'static str,
    /// Lines in front of the configuration.
    pub front: String,
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
        Self { folder, pki, roots: "", front: String::new(), core: None }
    }

    pub fn config(&self) -> Config {
        let path = self.write_config(&self.front);
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
            {roots}
            [[gateway]]
            name = "acme-gateway"
            tenants = ["acme"]
            [[gateway]]
            name = "globex-gateway"
            tenants = ["globex"]
            [[gateway]]
            name = "both-gateway"
            tenants = ["acme", "globex"]
            [[gateway]]
            name = "mail-gateway"
            tenants = ["acme", "globex"]
            services = ["acme/mail"]
            "#,
            roots = self.roots
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    /// As [`start`](Self::start), with `more` in front of the configuration.
    pub async fn start_with(more: &str) -> Self {
        let mut rig = Self::stopped();
        rig.front = more.to_owned();
        rig.restart().await;
        rig
    }

    /// Why the Core does not start.
    pub async fn start_refused(&self) -> String {
        let shutdown = CancellationToken::new();
        match run(self.config(), shutdown.clone()).await {
            Err(error) => error.to_string(),
            Ok(running) => {
                shutdown.cancel();
                running.stopped().await;
                panic!("the Core starts");
            }
        }
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

    /// Changes a record in the store of a Core that does not run, as somebody could who writes to its disk.
    pub async fn edit(&self, unique_identifier: &str, change: impl FnOnce(&mut Record)) -> Record {
        self.edit_in(REGION, unique_identifier, change).await
    }

    /// As [`edit`](Self::edit), in a namespace of the store.
    pub async fn edit_in(
        &self,
        namespace: &str,
        unique_identifier: &str,
        change: impl FnOnce(&mut Record),
    ) -> Record {
        let config = self.config();
        let settings = StoreSettings::new(config.state_directory.clone(), Purpose::Core);
        let store = key_service::store::open(&config.store, &settings).await.unwrap();
        let before = store.fetch(namespace, unique_identifier).await.unwrap().unwrap();
        let mut record = Record::clone(&before);
        change(&mut record);
        record.version += 1;
        store.commit(vec![Change::Replace(Arc::new(record))]).await.unwrap();
        Record::clone(&before)
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

    /// Waits until a metric has reached a value; fails after a time that only a defect needs.
    pub async fn await_metric(&self, name: &str, least: u64) {
        let started = std::time::Instant::now();
        while self.metric(name).await < least {
            assert!(started.elapsed() < std::time::Duration::from_secs(30), "{name} did not reach {least}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// The value of a metric, its labels included in `name`; 0 if it is not there.
    pub async fn metric(&self, name: &str) -> u64 {
        let page = self.admin_page("/metrics").await;
        page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0)
    }
}
