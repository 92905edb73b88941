//! A whole Krypton for one test: `krypton dev` on free ports in a temporary folder.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::tidy::workspace;

/// A running stack; it ends with the test.
pub(crate) struct Stack {
    process: Child,
    endpoints: Value,
    /// The folder in which `run/` is.
    pub(crate) folder: TempDir,
}

impl Stack {
    /// Starts a stack that keeps its keys in memory.
    pub(crate) fn start() -> Self {
        Self::start_in(TempDir::new().unwrap(), &["--store", "memory"])
    }

    /// Starts a stack in `folder`, which may have had one before.
    pub(crate) fn start_in(folder: TempDir, options: &[&str]) -> Self {
        Self::start_with(folder, options, &[])
    }

    /// As [`start_in`](Self::start_in), in an environment with some variables more.
    pub(crate) fn start_with(folder: TempDir, options: &[&str], environment: &[(&str, &OsStr)]) -> Self {
        let mut command = dev(folder.path(), options);
        command.envs(environment.iter().copied());
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the stack did not start: {}", process.wait().unwrap());
        let ready: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(ready["ready"], Value::Bool(true));
        Self { process, endpoints: ready["endpoints"].clone(), folder }
    }

    /// The address of a server, as host:port.
    pub(crate) fn address(&self, of: &str) -> &str {
        self.endpoints[of].as_str().unwrap()
    }

    /// The port of a server.
    pub(crate) fn port(&self, of: &str) -> u16 {
        self.address(of).rsplit_once(':').unwrap().1.parse().unwrap()
    }

    /// A file of the development PKI.
    pub(crate) fn pki(&self, file: &str) -> PathBuf {
        self.folder.path().join("run/pki").join(file)
    }

    /// The process of `krypton dev`.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.process.id() as i32).unwrap()
    }

    /// The processes of the servers.
    pub(crate) fn children(&self) -> Vec<Pid> {
        let id = self.process.id();
        let listed = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        listed.split_whitespace().map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap()).collect()
    }

    /// Waits for the end of `krypton dev`.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.process.wait().unwrap()
    }

    /// Stops the stack as SIGTERM does and returns the folder for another start.
    pub(crate) fn stop(mut self) -> TempDir {
        kill_process(self.pid(), Signal::TERM).unwrap();
        assert!(self.wait().success());
        std::mem::replace(&mut self.folder, TempDir::new().unwrap())
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if let Ok(None) = self.process.try_wait() {
            let _ = kill_process(self.pid(), Signal::TERM);
            let _ = self.process.wait();
        }
    }
}

/// `krypton dev --dir run` in `folder`, on free ports.
pub(crate) fn dev(folder: &Path, options: &[&str]) -> Command {
    let mut command = krypton(folder);
    command.arg("--json").arg("dev");
    for port in ["gateway", "core", "https", "gateway-admin", "core-admin"] {
        command.arg(format!("--{port}-port")).arg("0");
    }
    command.args(options);
    command
}

/// `krypton --dir run` in `folder`.
pub(crate) fn krypton(folder: &Path) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_krypton"));
    for server in ["krypton-core", "krypton-gateway"] {
        let built = program.with_file_name(server).exists();
        assert!(built, "{server} is not built: `make test` builds it, as does `cargo build --workspace`");
    }
    let mut command = Command::new(program);
    command.current_dir(folder).args(["--dir", "run"]);
    command
}

/// The Python of the virtual environment with PyKMIP.
pub(crate) fn python() -> Command {
    let python = workspace().join(".venv/bin/python");
    assert!(python.exists(), "there is no .venv: `make test` makes it, as does `tools/setup.sh test`");
    Command::new(python)
}
