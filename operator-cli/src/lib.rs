//! krypton: the operator's command line.
//!
//! * [`arguments`]: what can be typed.
//! * [`dev`]: a development stack on this machine.
//! * [`status`]: how Core and Gateway are, and which tenants there are.
//! * [`steer`]: adds tenants, rotates; [`revoke`]: closes what is to be closed; [`anchor`]: a tenant's L1s, changed and drilled.
//! * [`draw`]: a tenant's chain for people and programs; [`unseal`]: which tenants are open.
//! * [`policy`]: the governance policy.
//! * [`tenant`]: a tenant's chain of keys, read and made through KMIP; [`operator`]: the KMIP client for it.
//! * [`audit`]: verifies, proves and exports audit logs; [`certificate`]: fetches those of revocations.
//! * [`admin`]: the health pages of the servers; [`child`]: what keeps a server from outliving us.

#![forbid(unsafe_code)]

pub mod admin;
pub mod anchor;
pub mod arguments;
pub mod audit;
pub mod certificate;
pub mod child;
pub mod dev;
pub mod draw;
pub mod error;
pub mod operator;
pub mod output;
pub mod policy;
pub mod revoke;
pub mod shred;
pub mod status;
pub mod steer;
pub mod tenant;
pub mod unseal;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Command, UnsealCommand};
use crate::error::Error;

/// Does what the command line says.
pub fn run() -> ExitCode {
    let arguments = Arguments::parse();
    match dispatch(arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("krypton: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The runtime has one thread, the one that the process lives with: the servers' parent-death signal follows the thread.
fn dispatch(arguments: Arguments) -> Result<ExitCode, Error> {
    if let Command::RunWithParent { parent, command } = &arguments.command {
        return Err(child::become_server(*parent, command));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| Error::System { action: "start the runtime", source })?;
    runtime.block_on(async {
        match &arguments.command {
            Command::Dev(settings) => dev::run(&arguments.target.dir, settings, arguments.json).await,
            Command::Status => status::run(&arguments.target, arguments.json).await,
            Command::Tenant(command) => steer::tenant(&arguments.target, command, arguments.json).await,
            Command::Unseal(UnsealCommand::Status) => unseal::run(&arguments.target, arguments.json).await,
            Command::Revoke(settings) => revoke::run(&arguments.target, settings, arguments.json).await,
            Command::Policy(command) => policy::run(&arguments.target, command, arguments.json).await,
            Command::Rotate(settings) => steer::rotate(&arguments.target, settings, arguments.json).await,
            Command::Audit(command) => audit::run(&arguments.target, command, arguments.json),
            Command::Shred(settings) => shred::run(&arguments.target, settings, arguments.json).await,
            Command::RunWithParent { .. } => Ok(ExitCode::SUCCESS),
        }
    })
}
