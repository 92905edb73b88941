//! The folder of a development stack: what is where in it.
//!
//! ```text
//! pki/ca.pem, pki/clients/*.{pem,key}, pki/servers/*.{pem,key}
//! pki/policy/headquarters.{key,pub}
//! core.toml, gateway.toml       configuration, written anew at each start
//! core/, gateway/               state
//! endpoints.json                where the servers listen, while they run
//! ```

use std::fs::{self, File, TryLockError};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::pki::Pki;
use crate::error::Error;

/// The folder of a development stack.
#[derive(Debug, Clone)]
pub struct Layout {
    folder: PathBuf,
}

/// Where the servers of a running stack listen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// KMIP at the Gateway.
    pub gateway: SocketAddr,
    /// KMIP over HTTPS at the Gateway.
    pub https: SocketAddr,
    /// The Gateway's health and metrics.
    pub gateway_admin: SocketAddr,
    /// KMIP at the Core.
    pub core: SocketAddr,
    /// The Core's health and metrics.
    pub core_admin: SocketAddr,
}

impl Layout {
    /// The stack in `folder`, which need not exist yet.
    ///
    /// # Errors
    /// If the current folder, against which a relative path stands, is gone.
    pub fn new(folder: &Path) -> Result<Self, Error> {
        let folder = std::path::absolute(folder).map_err(Error::file("find", folder))?;
        Ok(Self { folder })
    }

    /// Makes the folders.
    ///
    /// # Errors
    /// If they cannot be made.
    pub fn create(&self) -> Result<(), Error> {
        for path in [self.state("core"), self.state("gateway")] {
            fs::create_dir_all(&path).map_err(Error::file("make", path))?;
        }
        Ok(())
    }

    /// Keeps other stacks out of this folder as long as the result lives.
    ///
    /// # Errors
    /// If there is one already.
    pub fn lock(&self) -> Result<File, Error> {
        let path = self.folder.join("lock");
        let file = File::create(&path).map_err(Error::file("write", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(Error::Running(self.folder.clone())),
            Err(TryLockError::Error(source)) => Err(Error::File { action: "lock", path, source }),
        }
    }

    /// The certificates.
    pub fn pki(&self) -> Pki {
        Pki::new(self.folder.join("pki"))
    }

    /// Where a server keeps its state.
    pub fn state(&self, server: &str) -> PathBuf {
        self.folder.join(server)
    }

    /// A server's configuration.
    pub fn configuration(&self, server: &str) -> PathBuf {
        self.folder.join(format!("{server}.toml"))
    }

    /// Where the servers listen; `None` if the stack does not run.
    ///
    /// # Errors
    /// If the file is there and cannot be read.
    pub fn endpoints(&self) -> Result<Option<Endpoints>, Error> {
        let path = self.endpoints_file();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::File { action: "read", path, source }),
        };
        let unfit =
            |error: serde_json::Error| Error::Unfit { path, problem: format!("is not readable: {error}") };
        serde_json::from_str(&text).map(Some).map_err(unfit)
    }

    /// Tells `krypton status` and others where the servers listen.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn announce(&self, endpoints: &Endpoints) -> Result<(), Error> {
        let path = self.endpoints_file();
        let text = serde_json::to_string_pretty(endpoints).expect("addresses have a JSON form") + "\n";
        fs::write(&path, text).map_err(Error::file("write", path))
    }

    /// Takes back what [`Layout::announce`] told.
    pub fn withdraw(&self) {
        // Whether it was there or not, it is not afterwards; if it cannot be removed, readers find nobody at the addresses.
        let _ = fs::remove_file(self.endpoints_file());
    }

    fn endpoints_file(&self) -> PathBuf {
        self.folder.join("endpoints.json")
    }
}
