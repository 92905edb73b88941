//! Processes: whose they are, which descend from one, how they are paused and ended; free ports, and folders.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long a server may take to become ready, or to end when asked to.
const PATIENCE: Duration = Duration::from_secs(30);

/// Ports below those that the kernel gives to outgoing connections: nobody takes one while a server restarts.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A port that is free now, and is not given twice by this process.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = (std::process::id() as u16).wrapping_mul(37);
    loop {
        let offset = own.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS.len() as u16;
        let port = PORTS.start + offset;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A folder of a server's own in `parent`, or among temporary files.
pub(crate) fn new_folder(prefix: &str, parent: Option<&Path>) -> TempDir {
    let mut folder = tempfile::Builder::new();
    folder.prefix(prefix);
    match parent {
        Some(parent) => folder.tempdir_in(parent).unwrap(),
        None => folder.tempdir().unwrap(),
    }
}

/// A user without privileges, for servers that refuse to run as root; `None` if we are none ourselves.
pub(crate) fn unprivileged(preferred: &str) -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let find = |name: &str| {
        let mut fields = users.lines().find(|line| line.split(':').next() == Some(name))?.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    Some(find(preferred).or_else(|| find("nobody")).expect("there is a user without privileges"))
}

/// A command that runs as another user, if one is given.
pub(crate) fn command(program: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    if let Some((user, group)) = user {
        command.uid(user).gid(group);
    }
    command
}

/// Waits until `is_ready`; fails if the process ends before.
pub(crate) fn await_readiness(child: &mut Child, mut is_ready: impl FnMut() -> bool) -> Result<(), String> {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().unwrap() {
            return Err(format!("it ended: {status}"));
        }
        if is_ready() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err("it is not ready in time".to_owned())
}

/// Sends a signal to a process and its children.
pub(crate) fn signal_all(child: &Child, signal: Signal) {
    // The parent first: stopped or gone, it starts no further children.
    let parent = Pid::from_child(child);
    let _ = kill_process(parent, signal);
    for process in children(parent) {
        // It may have ended this very moment.
        let _ = kill_process(process, signal);
    }
}

fn children(parent: Pid) -> Vec<Pid> {
    let pid = parent.as_raw_nonzero();
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}

/// Kills a process and its children, and waits until none of them is left.
pub(crate) fn kill_all(child: &mut Child) {
    let parent = Pid::from_child(child);
    // Stopped first, so that the list of children is complete and they cannot finish anything in between.
    let _ = kill_process(parent, Signal::STOP);
    let children = children(parent);
    for process in children.iter().chain([&parent]) {
        let _ = kill_process(*process, Signal::KILL);
    }
    let _ = child.wait();
    let started = Instant::now();
    let runs =
        |process: &Pid| Path::new(&format!("/proc/{}/exe", process.as_raw_nonzero())).read_link().is_ok();
    while started.elapsed() < PATIENCE && children.iter().any(runs) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Ends a process with a signal that it understands, or kills it.
pub(crate) fn end(child: &mut Child, signal: Signal) {
    if child.try_wait().is_ok_and(|status| status.is_some()) {
        return;
    }
    let _ = kill_process(Pid::from_child(child), signal);
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if child.try_wait().is_ok_and(|status| status.is_some()) {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    kill_all(child);
}
