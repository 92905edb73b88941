//! A server that ends with its parent.
//!
//! `krypton dev` starts each server as `krypton run-with-parent PID SERVER …`: the new process asks the kernel for a signal at its
//! parent's death and then becomes the server, which keeps that wish. Whichever way `krypton dev` ends, no server is left behind.
//! The signal is SIGKILL: whoever could have asked politely is gone, and the log pipes with it.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use crate::error::Error;

/// Replaces this process by `command`, which is killed when the process `parent` ends. Returns only to say why not.
pub fn become_server(parent: i32, command: &[OsString]) -> Error {
    let failed = |action| move |source| Error::System { action, source };
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return failed("follow the parent process")(error.into());
    }
    // The parent may have gone before the kernel knew of our wish.
    if getppid().map(|pid| pid.as_raw_nonzero().get()) != Some(parent) {
        return failed("follow the parent process")(io::Error::other("it is gone"));
    }
    let Some((program, arguments)) = command.split_first() else {
        return Error::Option("no command".into());
    };
    let source = Command::new(program).args(arguments).exec();
    Error::File { action: "run", path: PathBuf::from(program), source }
}
