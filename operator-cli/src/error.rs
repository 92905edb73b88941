//! Why a command fails, in words for whoever typed it.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use kmip_net::{ClientError, TlsError};
use kmip_protocol::enumeration::{Operation, ResultReason};
use thiserror::Error;

/// Why a command fails.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refuses something.
    #[error("cannot {action}: {source}")]
    System {
        /// What was to be done.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A file or folder cannot be read, written or made.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    File {
        /// What was to be done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is there but is not what it should be.
    #[error("{path} {problem}", path = path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// An option asks for something that cannot be done.
    #[error("{0}")]
    Option(String),
    /// Two development stacks in one folder.
    #[error("another `krypton dev` is running in {}", .0.display())]
    Running(PathBuf),
    /// Somebody else listens on a port.
    #[error("port {port} is taken: choose another one with {option}, or stop what listens there ({source})")]
    PortTaken {
        /// The port.
        port: u16,
        /// The option that chooses it.
        option: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A certificate cannot be made.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A server does not become ready, or ends.
    #[error("{server} ended {when} ({status}); its last lines are above")]
    Ended {
        /// Which server.
        server: &'static str,
        /// Before it was ready, or while it served.
        when: &'static str,
        /// How it ended.
        status: ExitStatus,
    },
    /// A server takes too long to start.
    #[error("{server} is not ready after {seconds} s; its last lines are above")]
    NotReady {
        /// Which server.
        server: &'static str,
        /// How long it had.
        seconds: u64,
    },
    /// A certificate or key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An audit log cannot be read.
    #[error("the audit log: {0}")]
    Log(key_service::audit_log::LogError),
    /// The Core does not answer.
    #[error("the Core at {address}: {source}")]
    Core {
        /// Where it should be.
        address: String,
        /// Why there is no answer.
        source: ClientError,
    },
    /// The Core answers something that is no answer.
    #[error("the Core's answer to {0} cannot be used")]
    Answer(&'static str),
    /// The Core refuses an operation.
    #[error("the Core refuses {operation:?}: {message} ({reason:?})")]
    Refused {
        /// The operation.
        operation: Operation,
        /// The reason.
        reason: ResultReason,
        /// The reason in words.
        message: String,
    },
}

impl Error {
    /// Wraps what the system says about a file.
    pub fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}
