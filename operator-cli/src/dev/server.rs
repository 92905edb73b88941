//! One server as a child process: started, awaited, listened to, stopped.

use std::collections::HashMap;
use std::env;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::error::Error;

/// How long a server has to become ready.
const START_TIMEOUT_SECONDS: u64 = 30;

/// How long a server has to end when asked to; longer than the servers' own drain time-out.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// A running server.
pub struct ServerProcess {
    name: &'static str,
    child: Child,
    ready: HashMap<String, SocketAddr>,
    logs: Vec<JoinHandle<()>>,
}

impl ServerProcess {
    /// Starts `krypton-{name}`, which lies beside this program, and waits until it is ready.
    ///
    /// # Errors
    /// If it cannot be started, ends, or is not ready in time.
    pub async fn start(name: &'static str, configuration: &Path) -> Result<Self, Error> {
        let mut child = spawn(name, configuration)?;
        let (output, errors) = (child.stdout.take(), child.stderr.take());
        let logs = errors.map(|errors| tokio::spawn(forward(name, errors))).into_iter().collect();
        let mut server = Self { name, child, ready: HashMap::new(), logs };
        if let Some(output) = output {
            server.await_readiness(output).await?;
        }
        Ok(server)
    }

    /// An address that the server has told in its ready line.
    ///
    /// # Errors
    /// If it has not.
    pub fn address(&self, of: &str) -> Result<SocketAddr, Error> {
        let untold = || Error::Option(format!("{} did not tell its address \"{of}\"", self.name));
        self.ready.get(of).copied().ok_or_else(untold)
    }

    /// Waits until the server ends by itself, and says so.
    pub async fn ended(&mut self) -> Error {
        match self.child.wait().await {
            Ok(status) => self.end("while it served", status).await,
            Err(source) => Error::System { action: "wait for a server", source },
        }
    }

    /// Asks the server to end, and ends it if it does not.
    pub async fn stop(mut self) {
        if let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id as i32)) {
            // It may have ended this very moment.
            let _ = kill_process(pid, Signal::TERM);
        }
        if timeout(STOP_TIMEOUT, self.child.wait()).await.is_err() {
            eprintln!("krypton: {} does not end, so it is killed", self.name);
            let _ = self.child.kill().await;
        }
        self.finish_logs().await;
    }

    async fn await_readiness(&mut self, output: ChildStdout) -> Result<(), Error> {
        let mut lines = BufReader::new(output).lines();
        let ready = async {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(told) = line.strip_prefix("ready ") {
                    return Some(addresses(told));
                }
                eprintln!("{:>7} | {line}", self.name);
            }
            None
        };
        match timeout(Duration::from_secs(START_TIMEOUT_SECONDS), ready).await {
            Ok(Some(addresses)) => {
                self.ready = addresses;
                self.logs.push(tokio::spawn(forward(self.name, lines.into_inner())));
                Ok(())
            }
            // Standard output has ended, so the process does too.
            Ok(None) => match self.child.wait().await {
                Ok(status) => Err(self.end("before it was ready", status).await),
                Err(source) => Err(Error::System { action: "wait for a server", source }),
            },
            Err(_) => Err(Error::NotReady { server: self.name, seconds: START_TIMEOUT_SECONDS }),
        }
    }

    async fn end(&mut self, when: &'static str, status: ExitStatus) -> Error {
        self.finish_logs().await;
        Error::Ended { server: self.name, when, status }
    }

    /// Lets the last lines come out.
    async fn finish_logs(&mut self) {
        for log in self.logs.drain(..) {
            let _ = log.await;
        }
    }
}

/// In a process group of its own: Ctrl-C reaches this program alone, which then stops the servers in order.
fn spawn(name: &str, configuration: &Path) -> Result<Child, Error> {
    let own = env::current_exe().map_err(|source| Error::System { action: "find this program", source })?;
    let program = own.with_file_name(format!("krypton-{name}"));
    if !program.exists() {
        let problem = "is missing: build the whole workspace (`make run` does)".into();
        return Err(Error::Unfit { path: program, problem });
    }
    let mut command = Command::new(own);
    command.arg("run-with-parent").arg(std::process::id().to_string()).arg(&program);
    command.arg("--config").arg(configuration);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    command.spawn().map_err(Error::file("run", program))
}

/// `listen=127.0.0.1:5697 admin=127.0.0.1:9697`; what is no address is not for us.
fn addresses(told: &str) -> HashMap<String, SocketAddr> {
    let pairs = told.split_whitespace().filter_map(|pair| pair.split_once('='));
    pairs.filter_map(|(name, address)| Some((name.to_owned(), address.parse().ok()?))).collect()
}

/// Passes a server's lines on, each with the server's name.
async fn forward(name: &'static str, stream: impl AsyncRead + Unpin) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while matches!(reader.read_until(b'\n', &mut line).await, Ok(1..)) {
        eprintln!("{name:>7} | {}", String::from_utf8_lossy(line.trim_ascii_end()));
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ready_line_tells_addresses() {
        let told = addresses("listen=127.0.0.1:5697 admin=127.0.0.1:9697 version=0.1.0");
        assert_eq!(told.get("listen"), Some(&SocketAddr::from(([127, 0, 0, 1], 5697))));
        assert_eq!(told.len(), 2);
    }
}
