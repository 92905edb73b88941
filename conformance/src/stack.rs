//! Starts Krypton's own servers to run against: `krypton dev` on free ports with a folder of its own, which it leaves with the
//! folder when it is dropped.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use thiserror::Error;

use crate::wire::{Credentials, Subject};

/// How long the servers may take until they answer.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the servers may take to end before they are killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// How often to look whether they have ended.
const STOP_POLL: Duration = Duration::from_millis(20);
/// What the line begins with that says that both servers answer.
const READY: &str = "ready";
/// Lines of the servers' log that an error shows.
const SHOWN_LOG_LINES: usize = 20;

/// A development stack: a Core and a Gateway with empty stores.
pub struct Stack {
    child: Child,
    folder: TempDir,
    ports: Ports,
}

/// Why the servers did not start.
#[derive(Debug, Error)]
pub enum StackError {
    /// There is no such program.
    #[error("{0} is not there: build the workspace first, or say where it is with --krypton")]
    NoProgram(PathBuf),
    /// No folder, no port, or no process.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The servers ended, or took too long.
    #[error("the servers {what}; the end of their log:\n{log}")]
    NotReady {
        /// What they did.
        what: &'static str,
        /// The last lines that they wrote.
        log: String,
    },
}

struct Ports {
    gateway: u16,
    core: u16,
    https: u16,
    gateway_admin: u16,
    core_admin: u16,
}

impl Stack {
    /// Starts Core and Gateway and waits until both answer. The Gateway forgets its keys at the end.
    ///
    /// # Errors
    /// Why they do not.
    pub fn start(krypton: &Path) -> Result<Self, StackError> {
        Self::start_with_store(krypton, "memory")
    }

    /// As [`start`](Self::start), with the store of a URL.
    ///
    /// # Errors
    /// Why they do not.
    pub fn start_with_store(krypton: &Path, store: &str) -> Result<Self, StackError> {
        if !krypton.is_file() {
            return Err(StackError::NoProgram(krypton.to_owned()));
        }
        let folder = TempDir::with_prefix("krypton-conformance-")?;
        let ports = Ports::free()?;
        let log = File::create(folder.path().join("conformance.log"))?;
        let child = Command::new(krypton)
            .args(["dev", "--insecure-allow-triple-des", "--store", store, "--dir"])
            .arg(folder.path().join("run"))
            .args(ports.arguments())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        let mut stack = Self { child, folder, ports };
        stack.wait_until_ready()?;
        Ok(stack)
    }

    /// The Gateway, asked by an application of the tenant `acme`.
    pub fn gateway(&self, timeout: Duration) -> Subject {
        Subject {
            name: "gateway".to_owned(),
            address: format!("127.0.0.1:{}", self.ports.gateway),
            https: Some(format!("127.0.0.1:{}", self.ports.https)),
            credentials: self.credentials("acme"),
            timeout,
        }
    }

    /// The Core, asked by an operator.
    pub fn core(&self, timeout: Duration) -> Subject {
        Subject {
            name: "core".to_owned(),
            address: format!("127.0.0.1:{}", self.ports.core),
            https: None,
            credentials: self.credentials("operator"),
            timeout,
        }
    }

    fn credentials(&self, client: &str) -> Credentials {
        let pki = self.folder.path().join("run").join("pki");
        Credentials {
            ca: pki.join("ca.pem"),
            cert: pki.join("clients").join(format!("{client}.pem")),
            key: pki.join("clients").join(format!("{client}.key")),
        }
    }

    fn wait_until_ready(&mut self) -> Result<(), StackError> {
        let output = self.child.stdout.take();
        let (sender, lines) = channel();
        // Reads on after the ready line, so that the servers never wait for a full pipe.
        std::thread::spawn(move || {
            for line in
                output.into_iter().flat_map(|output| BufReader::new(output).lines()).map_while(Result::ok)
            {
                let _ = sender.send(line);
            }
        });
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line.starts_with(READY) => return Ok(()),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return Err(self.not_ready("do not become ready")),
                Err(RecvTimeoutError::Disconnected) => return Err(self.not_ready("ended")),
            }
        }
    }

    fn not_ready(&self, what: &'static str) -> StackError {
        let log = std::fs::read_to_string(self.folder.path().join("conformance.log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let log = lines[lines.len().saturating_sub(SHOWN_LOG_LINES)..].join("\n");
        StackError::NotReady { what, log }
    }

    fn ask_to_end(&self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.ask_to_end();
        let deadline = Instant::now() + STOP_TIMEOUT;
        while Instant::now() < deadline {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(STOP_POLL),
                _ => return,
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ports {
    /// Ports that nobody listens on at the moment.
    fn free() -> io::Result<Self> {
        let listeners: Vec<_> =
            (0..5).map(|_| TcpListener::bind(("127.0.0.1", 0))).collect::<io::Result<_>>()?;
        let port = |index: usize| listeners[index].local_addr().map(|address| address.port());
        Ok(Self {
            gateway: port(0)?,
            core: port(1)?,
            https: port(2)?,
            gateway_admin: port(3)?,
            core_admin: port(4)?,
        })
    }

    fn arguments(&self) -> Vec<String> {
        let ports = [
            ("--gateway-port", self.gateway),
            ("--core-port", self.core),
            ("--https-port", self.https),
            ("--gateway-admin-port", self.gateway_admin),
            ("--core-admin-port", self.core_admin),
        ];
        ports.into_iter().flat_map(|(option, port)| [option.to_owned(), port.to_string()]).collect()
    }
}
