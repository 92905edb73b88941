//! What a server of either kind can be made to do: stop, die, start again, and stand still.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;

use crate::process::{await_readiness, end, kill_all, signal_all};

/// Tells by the folder of a server and the number of its process whether it is ready.
type Readiness = dyn Fn(&Path, u32) -> bool + Send + Sync;

/// The process of a server, in a folder of its own, and how it is started again.
pub struct Server {
    command: Command,
    folder: PathBuf,
    stop_signal: Signal,
    is_ready: Box<Readiness>,
    process: Child,
}

impl Server {
    /// Starts one and waits until it is ready: `is_ready` is asked with the folder that it runs in and the number of its process.
    pub(crate) fn start(
        mut command: Command,
        stop_signal: Signal,
        is_ready: impl Fn(&Path, u32) -> bool + Send + Sync + 'static,
    ) -> Self {
        let folder = command.get_current_dir().expect("a server has a folder").to_owned();
        let process = launch(&mut command, &folder, &is_ready);
        Self { command, folder, stop_signal, is_ready: Box::new(is_ready), process }
    }

    /// Ends the server in order.
    pub fn stop(&mut self) {
        end(&mut self.process, self.stop_signal);
    }

    /// Kills all its processes in the middle of whatever they do.
    pub fn kill9(&mut self) {
        kill_all(&mut self.process);
    }

    /// Starts it again on the same port with the same data, after [`stop`](Self::stop) or [`kill9`](Self::kill9).
    pub fn restart(&mut self) {
        self.process = launch(&mut self.command, &self.folder, &self.is_ready);
    }

    /// Stops all its processes from running, as if the network were cut: connections stay open, and nothing answers.
    pub fn pause(&self) {
        signal_all(&self.process, Signal::STOP);
    }

    /// Lets them run again.
    pub fn resume(&self) {
        signal_all(&self.process, Signal::CONT);
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The folder goes with it: nothing has to be written any more.
        kill_all(&mut self.process);
    }
}

fn launch(command: &mut Command, folder: &Path, is_ready: &dyn Fn(&Path, u32) -> bool) -> Child {
    let log = fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    let mut process = command.spawn().unwrap();
    let number = process.id();
    if let Err(error) = await_readiness(&mut process, || is_ready(folder, number)) {
        kill_all(&mut process);
        let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
        panic!("{}: {error}\n{log}", command.get_program().display());
    }
    process
}
