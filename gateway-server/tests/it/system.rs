//! A Core and a Gateway as processes, provisioned once by `krypton dev` and started one by one after that.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::application::Application;

/// Both servers, and the folder that they live in.
pub struct System {
    folder: TempDir,
    pub core: Option<Server>,
    pub gateway: Option<Server>,
}

/// One server process; killed when dropped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

impl System {
    /// Provisions the tenants `acme` and `globex` on the embedded store and starts both servers.
    pub fn start() -> Self {
        Self::start_on("embedded")
    }

    /// As [`start`](Self::start), on another store.
    pub fn start_on(store: &str) -> Self {
        let mut system = Self::provision_on(store);
        system.start_both();
        system
    }

    /// Starts the Core and then the Gateway, as they are configured by now.
    pub fn start_both(&mut self) {
        self.core = Some(self.start_server("core"));
        self.gateway = Some(self.start_server("gateway"));
    }

    /// As [`start`](Self::start), but starts nothing yet.
    pub fn provision() -> Self {
        Self::provision_on("embedded")
    }

    fn provision_on(store: &str) -> Self {
        let folder = TempDir::with_prefix("krypton-system-").unwrap();
        let system = Self { folder, core: None, gateway: None };
        let ports = free_ports(5);
        let names =
            ["--gateway-port", "--core-port", "--https-port", "--gateway-admin-port", "--core-admin-port"];
        let mut command = Command::new(program("krypton"));
        command.args(["dev", "--store", store, "--dir"]).arg(system.run());
        for (name, port) in names.iter().zip(ports) {
            command.args([(*name).to_owned(), port.to_string()]);
        }
        let mut dev =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(dev.stdout.take().unwrap()).lines();
        let ready = lines.any(|line| line.unwrap().starts_with("ready"));
        assert!(ready, "krypton dev does not become ready");
        end(&mut dev, Signal::TERM);
        system
    }

    /// The folder of `krypton dev`.
    pub fn run(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// Sets a key (`table.key = value`) in the configuration of the Core or the Gateway.
    pub fn set(&self, name: &str, setting: &str) {
        let path = self.run().join(format!("{name}.toml"));
        let mut configuration: toml::Table = std::fs::read_to_string(&path).unwrap().parse().unwrap();
        merge(&mut configuration, setting.parse().unwrap());
        std::fs::write(&path, configuration.to_string()).unwrap();
    }

    /// Starts the Core or the Gateway and waits until it serves.
    pub fn start_server(&self, name: &str) -> Server {
        self.start_with(name, &self.run().join(format!("{name}.toml")))
    }

    /// Starts one more Gateway on ports and in a store of its own.
    pub fn start_another_gateway(&self, number: usize) -> Server {
        self.start_gateway_on(number, "memory")
    }

    /// Starts one more Gateway on ports of its own and in this store.
    pub fn start_gateway_on(&self, number: usize, store: &str) -> Server {
        let text = std::fs::read_to_string(self.run().join("gateway.toml")).unwrap();
        let mut configuration: toml::Table = text.parse().unwrap();
        for listener in ["listen", "https_listen", "admin_listen"] {
            configuration.insert(listener.to_owned(), "127.0.0.1:0".into());
        }
        configuration.insert("store".to_owned(), store.into());
        let state = self.run().join(format!("gateway-{number}"));
        configuration.insert("state_directory".to_owned(), state.to_string_lossy().into_owned().into());
        let path = self.run().join(format!("gateway-{number}.toml"));
        std::fs::write(&path, configuration.to_string()).unwrap();
        self.start_with("gateway", &path)
    }

    /// Starts a server with a configuration of its own.
    pub fn start_with(&self, name: &str, configuration: &Path) -> Server {
        let log = self.folder.path().join(format!("{name}.log"));
        let mut child = Command::new(program(&format!("krypton-{name}")))
            .arg("--config")
            .arg(configuration)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::options().create(true).append(true).open(&log).unwrap())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.find_map(|line| line.unwrap().strip_prefix("ready listen=").map(str::to_owned));
        let Some(ready) = ready else {
            end(&mut child, Signal::KILL);
            panic!("{name} does not start: {}", std::fs::read_to_string(log).unwrap());
        };
        let address = ready.split(' ').next().unwrap().parse().unwrap();
        Server { child, address }
    }

    /// What a server has logged so far.
    pub fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(format!("{name}.log"))).unwrap()
    }

    /// A metric of the Gateway; `name` ends with a space.
    pub async fn metric(&self, name: &str) -> Option<u64> {
        let page = self.page("/metrics").await;
        page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }

    /// Whether the Gateway is ready; if not, why.
    pub async fn readiness(&self) -> Result<(), String> {
        let page = self.page("/readyz").await;
        if page.starts_with("HTTP/1.1 200 ") { Ok(()) } else { Err(page) }
    }

    /// A page of the Gateway for operators, with its head.
    async fn page(&self, path: &str) -> String {
        let text = std::fs::read_to_string(self.run().join("gateway.toml")).unwrap();
        let configuration: toml::Table = text.parse().unwrap();
        let address = configuration["admin_listen"].as_str().unwrap().to_owned();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).await.unwrap();
        page
    }

    /// An application that talks to the Gateway.
    pub fn application(&self, client: &str) -> Application {
        let address = self.gateway.as_ref().expect("the Gateway runs").address;
        Application::new(address, &self.run().join("pki"), client)
    }
}

impl Server {
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Stops the process from running, as if it were cut off from everything.
    pub fn pause(&self) {
        kill_process(Pid::from_child(&self.child), Signal::STOP).unwrap();
    }

    /// Lets it run again.
    pub fn resume(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).unwrap();
    }

    /// Ends the server as an operator would.
    pub fn stop(mut self) {
        end(&mut self.child, Signal::TERM);
    }

    /// Ends the server as a crash of its own would.
    pub fn abort(mut self) -> ExitStatus {
        end(&mut self.child, Signal::ABORT);
        self.child.wait().unwrap()
    }

    /// Ends the server as a power cut would.
    pub fn kill(mut self) {
        end(&mut self.child, Signal::KILL);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.child, Signal::KILL);
    }
}

fn merge(into: &mut toml::Table, from: toml::Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(table)), toml::Value::Table(more)) => merge(table, more),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

fn end(child: &mut Child, signal: Signal) {
    if let Ok(None) = child.try_wait() {
        let _ = kill_process(Pid::from_child(child), signal);
    }
    let _ = child.wait();
}

/// A program of the workspace: Cargo builds them all beside the tests.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let program = profile.join(name);
    assert!(
        program.is_file(),
        "{} is not there: build the workspace first (make test does)",
        program.display()
    );
    program
}

fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

/// How often a test that repeats something does so: `short` of `make test`, `long` of `make soak`, or `KRYPTON_ROUNDS`.
pub fn rounds(short: usize, long: usize) -> usize {
    let usual = if std::env::var_os("KRYPTON_SOAK").is_some() { long } else { short };
    std::env::var("KRYPTON_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(usual)
}

/// Tries until it works, for a while.
pub async fn eventually<T, E: std::fmt::Debug>(mut attempt: impl AsyncFnMut() -> Result<T, E>) -> T {
    let mut failure = None;
    for _ in 0..200 {
        match attempt().await {
            Ok(value) => return value,
            Err(error) => failure = Some(error),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never worked: {failure:?}");
}
