//! What can be typed: the commands and their options.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Operate Krypton.
#[derive(Debug, Parser)]
#[command(name = "krypton", version, about)]
pub struct Arguments {
    /// Which Krypton is meant.
    #[command(flatten)]
    pub target: Target,
    /// Print JSON for programs instead of text for people.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Which Krypton is meant: that of a development folder, or the Core at an address.
#[derive(Debug, Args)]
pub struct Target {
    /// Folder of a development stack.
    #[arg(long, global = true, default_value = "run")]
    pub dir: PathBuf,
    /// KMIP address of a Core, instead of that of the development stack.
    #[arg(long, global = true, value_name = "HOST:PORT", requires_all = ["ca", "cert", "key"], conflicts_with = "dir")]
    pub core: Option<String>,
    /// The authority of the Core's certificate (PEM).
    #[arg(long, global = true, value_name = "FILE", requires = "core")]
    pub ca: Option<PathBuf>,
    /// The operator's certificate (PEM).
    #[arg(long, global = true, value_name = "FILE", requires = "core")]
    pub cert: Option<PathBuf>,
    /// The operator's key (PEM). For `audit`: the verifier key of the log, as text or in a file.
    #[arg(long, global = true, value_name = "FILE")]
    pub key: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run Core and Gateway on this machine, with certificates and two tenants made for development.
    Dev(DevSettings),
    /// Show how Core and Gateway are, and the tenants' chains of keys.
    Status,
    /// Add, list and show tenants, change and drill their anchors.
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Show which tenants are open, which L1 opened each, and how its L1s answered last.
    #[command(subcommand)]
    Unseal(UnsealCommand),
    /// Make a signing key for the governance policy; test, sign, apply and show policies.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Close a tenant, a service of it, a Gateway, or the whole region, for good. Returns when no Gateway can use the keys any more.
    Revoke(RevokeSettings),
    /// Make a new version of services' keys: the new one seals from now on, the old one opens what it sealed.
    Rotate(RotateSettings),
    /// Verify audit logs and receipts, make receipts, export entries. Needs files and public keys only: no server has to run.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Destroy a tenant's L2 and L3s, or the L3s of one service: everything sealed under them is lost for good.
    Shred(ShredSettings),
    /// Become a server that ends with its parent (for `dev`).
    #[command(hide = true)]
    RunWithParent {
        /// Process identifier of the parent.
        parent: i32,
        /// The server and its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<OsString>,
    },
}

/// What `krypton dev` may be told. Port 0 takes a free one.
#[derive(Debug, Clone, Args)]
pub struct DevSettings {
    /// Port of KMIP at the Gateway.
    #[arg(long, default_value_t = 5696)]
    pub gateway_port: u16,
    /// Port of KMIP at the Core.
    #[arg(long, default_value_t = 5697)]
    pub core_port: u16,
    /// Port of KMIP over HTTPS at the Gateway.
    #[arg(long, default_value_t = 5698)]
    pub https_port: u16,
    /// Port of the Gateway's health and metrics.
    #[arg(long, default_value_t = 9696)]
    pub gateway_admin_port: u16,
    /// Port of the Core's health and metrics.
    #[arg(long, default_value_t = 9697)]
    pub core_admin_port: u16,
    /// Where the Gateway keeps wrapped keys: memory, embedded, redis://… or postgres://….
    #[arg(long, default_value = "embedded")]
    pub store: String,
    /// What holds the tenants' L1 root keys: software (for development only), or the URI of an AES key in a PKCS#11 token with
    /// the token's library: `pkcs11:token=T;object=K?pin-source=file:/PATH&module-path=/PATH`. `{tenant}` in it stands for
    /// the tenant's name.
    #[arg(long, default_value = "software", value_name = "software|pkcs11:…")]
    pub l1: String,
    /// How often the Core proves the roots of open tenants: how long a root that was switched off goes unnoticed.
    #[arg(long, default_value_t = 30.0, value_name = "SECONDS")]
    pub probe_interval_seconds: f64,
    /// Let applications make and use 3DES keys, as old tapes and the conformance cases do.
    #[arg(long)]
    pub insecure_allow_triple_des: bool,
    /// A principal (* for all) whose clients cannot decode every attribute, as PyKMIP: where they ask for all they get those
    /// that PyKMIP decodes. May be repeated.
    #[arg(long, value_name = "PRINCIPAL")]
    pub legacy_attribute_clients: Vec<String>,
}

/// What can be done with tenants.
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Register a tenant's L1 and make an L2 and an L3 under it.
    Add {
        /// The tenant.
        tenant: String,
        /// Where the tenant's L1 root key is: a URI such as `software:NAME` (development only) or `pkcs11:…`. May be
        /// repeated: any one of several L1s opens the tenant.
        #[arg(long, value_name = "URI", required = true)]
        l1: Vec<String>,
        /// The service of the first L3; `default` where absent.
        #[arg(long)]
        service: Option<String>,
    },
    /// List the tenants.
    List,
    /// Draw a tenant's chain of keys.
    Show {
        /// The tenant.
        tenant: String,
    },
    /// Add an L1 to a tenant, or take one away.
    #[command(subcommand)]
    Anchor(AnchorCommand),
    /// Seal the tenant's L2 under another L1 instead of those it has; the tenant stays open.
    Rewrap {
        /// The tenant.
        tenant: String,
        /// Where the new L1 is, as for `tenant add`.
        #[arg(long, value_name = "URI")]
        to: String,
        /// The L1 that it replaces, by URI or identifier; all of them where absent.
        #[arg(long, value_name = "L1")]
        from: Option<String>,
    },
    /// Let each L1 open the tenant's L2, and tell how long it took. Fails if one does not.
    Drill {
        /// The tenant; all of them where absent.
        tenant: Option<String>,
    },
}

/// What can be done with anchors.
#[derive(Debug, Subcommand)]
pub enum AnchorCommand {
    /// Seal the tenant's L2 under one L1 more.
    Add {
        /// The tenant.
        tenant: String,
        /// Where the L1 is, as for `tenant add`.
        #[arg(value_name = "URI")]
        l1: String,
    },
    /// Drop the seal under an L1. The Core refuses unless another one opens the L2 at that moment.
    Remove {
        /// The tenant.
        tenant: String,
        /// The L1, by URI or identifier.
        l1: String,
    },
}

/// What can be asked about unsealing.
#[derive(Debug, Subcommand)]
pub enum UnsealCommand {
    /// Each tenant: whether it is open, which L1 opened it, when one was proved last.
    Status,
}

/// What can be done with the governance policy.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Bring a signed bundle to the Core. It is refused unless it is newer than the one in force.
    Apply {
        /// The bundle.
        file: PathBuf,
    },
    /// Put questions to policies, offline. Fails if an answer is not as expected.
    Test(TestSettings),
    /// Sign policies, as headquarters does.
    Sign(SignSettings),
    /// Make a key of headquarters; prints what Cores are to trust.
    Keygen {
        /// The name of the key.
        name: String,
        /// Where the secret half goes.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Show the bundle in force at the Core, or what is shipped.
    Show {
        /// The policies that are in force until a bundle is applied.
        #[arg(long)]
        default: bool,
        /// The schema of Cedar: what policies may speak of.
        #[arg(long, conflicts_with = "default")]
        schema: bool,
    },
}

/// What is tried.
#[derive(Debug, Args)]
pub struct TestSettings {
    /// A bundle, or a text of Cedar policies.
    pub file: PathBuf,
    /// A question, and what its answer should be: `gateway:g1 unwrap acme/billing time=2026-11-25T03:00:00Z => deny`. May be
    /// repeated.
    #[arg(long, value_name = "QUESTION")]
    pub request: Vec<String>,
    /// A file with a question on each line. May be repeated.
    #[arg(long, value_name = "FILE")]
    pub requests: Vec<PathBuf>,
    /// The region of the Core that is asked.
    #[arg(long, default_value = "default")]
    pub region: String,
    /// A key that a bundle has to be signed by, as text or in a file. May be repeated.
    #[arg(long, value_name = "KEY")]
    pub trusted_key: Vec<PathBuf>,
}

/// What is signed, and how.
#[derive(Debug, Args)]
pub struct SignSettings {
    /// The policies, in Cedar.
    pub file: PathBuf,
    /// The secret key, as `keygen` wrote it; that of the development stack where absent.
    #[arg(long, value_name = "FILE")]
    pub signing_key: Option<PathBuf>,
    /// The number of the bundle: higher than that of any before.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub policy_version: u64,
    /// A region that it is for; `*` for all. May be repeated.
    #[arg(long, required = true)]
    pub region: Vec<String>,
    /// Not taken before this point in time, such as 2026-12-01T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub not_before: Option<String>,
    /// Permits nothing from this point in time on. Revoking and applying a newer bundle are still possible.
    #[arg(long, value_name = "TIME")]
    pub not_after: Option<String>,
    /// Where the bundle goes; the standard output where absent.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// What is revoked.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("scope").required(true).args(["tenant", "gateway", "region"])))]
pub struct RevokeSettings {
    /// The tenant.
    #[arg(long)]
    pub tenant: Option<String>,
    /// This service of the tenant only.
    #[arg(long, requires = "tenant")]
    pub service: Option<String>,
    /// This Gateway, by the name in its certificate: it is let in no more.
    #[arg(long)]
    pub gateway: Option<String>,
    /// All tenants of the region.
    #[arg(long)]
    pub region: bool,
    /// Why, in words: kept with each key.
    #[arg(long)]
    pub reason: Option<String>,
    /// Where to keep the signed certificate of the revocation: the receipts of the Core's audit log, one for each key.
    #[arg(long, value_name = "FILE")]
    pub receipt: Option<PathBuf>,
}

/// Which audit log is meant; without either, those of the development stack.
#[derive(Debug, Args)]
pub struct LogChoice {
    /// Folder of a log. Its verifier key is given by --key, or lies beside it.
    #[arg(long, value_name = "FOLDER")]
    pub log: Option<PathBuf>,
    /// The log of this server of the development stack: core or gateway.
    #[arg(long, value_parser = ["core", "gateway"], conflicts_with = "log")]
    pub server: Option<String>,
}

/// What can be done with audit logs.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check every entry, hash and signature of a log, or a receipt with nothing but the public key.
    Verify {
        /// The log.
        #[command(flatten)]
        log: LogChoice,
        /// A checkpoint of the log that was kept elsewhere: the log has to go on from it.
        #[arg(long, value_name = "FILE")]
        earlier: Option<PathBuf>,
        /// Verify this receipt instead, by --key alone. A file may hold several.
        #[arg(long, value_name = "RECEIPT", requires = "key", conflicts_with_all = ["log", "server", "earlier"])]
        offline: Option<PathBuf>,
    },
    /// Make the receipt of an entry: one line of JSON, the proof that it is in the log, and the log's signature.
    #[command(group(clap::ArgGroup::new("entry").required(true).args(["index", "object"])))]
    Prove {
        /// The log.
        #[command(flatten)]
        log: LogChoice,
        /// The entry with this number; the first one has 0.
        #[arg(long)]
        index: Option<u64>,
        /// The newest Destroy or Revoke of this object.
        #[arg(long, value_name = "UNIQUE IDENTIFIER")]
        object: Option<String>,
        /// With --object: only its newest Destroy, or only its newest Revoke.
        #[arg(long, value_parser = ["Destroy", "Revoke"], requires = "object")]
        operation: Option<String>,
        /// Where to write the receipt, instead of the standard output.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Write entries as they are, one line of JSON each.
    Export {
        /// The log.
        #[command(flatten)]
        log: LogChoice,
        /// The number of the first entry that is written.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// The number of the entry after the last one that is written; all where absent.
        #[arg(long)]
        to: Option<u64>,
        /// Where to write them, instead of the standard output.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// What is rotated.
#[derive(Debug, Args)]
pub struct RotateSettings {
    /// The tenant.
    #[arg(long)]
    pub tenant: String,
    /// This service only; all services of the tenant where absent.
    #[arg(long)]
    pub service: Option<String>,
    /// Let the Gateways seal anew what the old versions sealed, wait for that, and destroy the old versions: no backup from
    /// before opens any more.
    #[arg(long)]
    pub shred: bool,
    /// With --shred: destroy the old versions at once. What a Gateway has not sealed anew is lost.
    #[arg(long, requires = "shred")]
    pub force: bool,
    /// With --shred: give up waiting after so many seconds. The Gateways go on; the same command waits again.
    #[arg(long, requires = "shred", value_name = "SECONDS")]
    pub wait_seconds: Option<u64>,
}

/// What is shredded.
#[derive(Debug, Args)]
pub struct ShredSettings {
    /// The tenant.
    #[arg(long)]
    pub tenant: String,
    /// This service only; where absent the tenant itself, with all its services.
    #[arg(long)]
    pub service: Option<String>,
    /// Confirms it; nothing is done without. Everything sealed under the keys is lost for good, backups included.
    #[arg(long)]
    pub yes: bool,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn options_stand_before_or_after_the_command() {
        for line in ["krypton --dir d status --json", "krypton status --dir d --json"] {
            let arguments = Arguments::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(arguments.target.dir, PathBuf::from("d"));
            assert!(arguments.json);
        }
    }

    #[test]
    fn a_core_needs_its_certificates() {
        assert!(Arguments::try_parse_from("krypton --core h:1 status".split(' ')).is_err());
        let whole = "krypton --core h:1 --ca a --cert c --key k status";
        assert_eq!(Arguments::try_parse_from(whole.split(' ')).unwrap().target.core.as_deref(), Some("h:1"));
    }
}
