//! A PostgreSQL of one's own.

use std::fs;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::{command, free_port, new_folder, unprivileged};
use crate::server::Server;

/// The superuser.
const ADMIN: &str = "admin";

/// The role that owns the databases of tests: neither superuser nor exempt from row-level security.
const ROLE: &str = "krypton";

/// Its password, and the superuser's. Tests look that it shows up nowhere.
const PASSWORD: &str = "pass-of-postgres";

/// How a [`Postgres`] is set up.
#[derive(Debug, Clone, Default)]
pub struct PostgresOptions {
    /// Whether connections by TCP have to use TLS.
    pub tls: bool,
    /// Lines of `postgresql.conf`.
    pub configuration: Vec<String>,
    /// The folder in which it makes its own; that for temporary files if there is none.
    pub parent: Option<PathBuf>,
}

/// A running PostgreSQL: a [`Server`]. Its databases are gone when it is dropped.
pub struct Postgres {
    server: Server,
    folder: TempDir,
    port: u16,
    databases: AtomicU32,
}

impl Postgres {
    /// Starts one, with durable commits and without TLS.
    pub fn start() -> Self {
        Self::start_with(PostgresOptions::default())
    }

    /// Starts one.
    pub fn start_with(options: PostgresOptions) -> Self {
        let folder = new_folder("krypton-postgres-", options.parent.as_deref());
        let user = unprivileged("postgres");
        own(folder.path(), user);
        initialize(folder.path(), user);
        if options.tls {
            write_certificates(folder.path(), user);
        }
        let port = free_port();
        let server = Server::start(start_command(folder.path(), user, port, &options), Signal::INT, is_ready);
        let postgres = Self { server, folder, port, databases: AtomicU32::new(0) };
        postgres.sql("postgres", &format!("CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'"));
        postgres
    }

    /// A new, empty database; returns its name.
    pub fn create_database(&self) -> String {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name} OWNER {ROLE}"));
        name
    }

    /// A new, empty database; returns its URL, for a role without special rights.
    pub fn database(&self) -> String {
        self.url(&self.create_database())
    }

    /// The URL of a database, for a role without special rights.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{ROLE}:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    /// The URL of a database, for the superuser.
    pub fn admin_url(&self, database: &str) -> String {
        format!("postgres://{ADMIN}:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    /// The password in the URLs.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The authority of the server's certificate (PEM), with [`PostgresOptions::tls`].
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Runs SQL as the superuser; returns what it prints: a line a row, `|` between columns.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        self.try_sql(ADMIN, database, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Runs SQL as the role that owns the databases.
    ///
    /// # Errors
    /// What the server says.
    pub fn sql_as_owner(&self, database: &str, sql: &str) -> Result<String, String> {
        self.try_sql(ROLE, database, sql)
    }

    fn try_sql(&self, role: &str, database: &str, sql: &str) -> Result<String, String> {
        let output = Command::new(program("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", role, "-d", database, "-c", sql])
            .arg("-h")
            .arg(self.folder.path())
            .args(["-p", &self.port.to_string()])
            .env("PGPASSWORD", PASSWORD)
            .output()
            .unwrap();
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// Writes a database out as SQL (`pg_dump`).
    pub fn dump(&self, database: &str) -> Vec<u8> {
        let output = Command::new(program("pg_dump"))
            .args(["-U", ADMIN, "-p", &self.port.to_string(), "-h"])
            .arg(self.folder.path())
            .arg(database)
            .env("PGPASSWORD", PASSWORD)
            .output()
            .unwrap();
        assert!(output.status.success(), "pg_dump: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Makes a database anew from what [`dump`](Self::dump) wrote. Nobody may be connected to it.
    pub fn restore(&self, database: &str, dump: &[u8]) {
        self.sql("postgres", &format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"));
        self.sql("postgres", &format!("CREATE DATABASE {database} OWNER {ROLE}"));
        let file = self.folder.path().join("restored.sql");
        fs::write(&file, dump).unwrap();
        let output = Command::new(program("psql"))
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", ADMIN, "-d", database, "-f"])
            .arg(&file)
            .arg("-h")
            .arg(self.folder.path())
            .args(["-p", &self.port.to_string()])
            .env("PGPASSWORD", PASSWORD)
            .output()
            .unwrap();
        assert!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Deref for Postgres {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for Postgres {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}

fn own(path: &Path, user: Option<(u32, u32)>) {
    if let Some((user, group)) = user {
        chown(path, Some(user), Some(group)).unwrap();
    }
}

/// Puts a new data folder into `folder`: a copy of one that is made once for all tests, beside their programs.
fn initialize(folder: &Path, user: Option<(u32, u32)>) {
    let bin = program("postgres");
    let version = bin.ancestors().nth(2).and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let tests = std::env::current_exe().unwrap();
    let template = tests.ancestors().nth(2).unwrap().join(format!("postgres-{version}-template"));
    if !template.exists() {
        make_template(&template, folder, user);
    }
    copy(&template, &folder.join("data"));
}

fn make_template(template: &Path, folder: &Path, user: Option<(u32, u32)>) {
    let password = folder.join("password");
    fs::write(&password, PASSWORD).unwrap();
    own(&password, user);
    let made = folder.join("made");
    let output = command(&program("initdb"), user)
        .args([
            "-A",
            "scram-sha-256",
            "-U",
            ADMIN,
            "-E",
            "UTF8",
            "--no-locale",
            "--no-sync",
            "--wal-segsize=1",
        ])
        .arg("-D")
        .arg(&made)
        .arg(format!("--pwfile={}", password.display()))
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
    // Tests that run at the same time may each make one: whichever comes first is taken.
    let draft = template.with_extension(std::process::id().to_string());
    copy(&made, &draft);
    if fs::rename(&draft, template).is_err() {
        fs::remove_dir_all(&draft).unwrap();
    }
    fs::remove_dir_all(&made).unwrap();
}

/// Copies a folder, with owners and modes.
fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success(), "cp -a {} {}", from.display(), to.display());
}

fn start_command(folder: &Path, user: Option<(u32, u32)>, port: u16, options: &PostgresOptions) -> Command {
    let mut server = command(&program("postgres"), user);
    server.arg("-D").arg(folder.join("data")).arg("-k").arg(folder).args(["-p", &port.to_string()]);
    let usual = ["listen_addresses=127.0.0.1", "shared_buffers=32MB", "max_connections=200"];
    for line in usual.into_iter().chain(options.configuration.iter().map(String::as_str)) {
        server.args(["-c", line]);
    }
    if options.tls {
        for line in ["ssl=on", "ssl_cert_file=../server.pem", "ssl_key_file=../server.key"] {
            server.args(["-c", line]);
        }
    }
    server.current_dir(folder);
    server
}

fn is_ready(folder: &Path, process: u32) -> bool {
    let status = fs::read_to_string(folder.join("data/postmaster.pid")).unwrap_or_default();
    let lines: Vec<_> = status.lines().map(str::trim).collect();
    // The file of a server that was killed is still there: it counts if it is of this process.
    lines.first() == Some(&process.to_string().as_str()) && lines.get(7) == Some(&"ready")
}

/// An authority and a certificate for 127.0.0.1; who connects by TCP has to use them.
fn write_certificates(folder: &Path, user: Option<(u32, u32)>) {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    fs::write(folder.join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = rcgen::Issuer::new(params, key);
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned()];
    let certificate = rcgen::CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    fs::write(folder.join("server.pem"), certificate.pem()).unwrap();
    let path = folder.join("server.key");
    fs::write(&path, key.serialize_pem()).unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    own(&path, user);
    let hosts = folder.join("data/pg_hba.conf");
    fs::write(&hosts, "local all all scram-sha-256\nhostssl all all 127.0.0.1/32 scram-sha-256\n").unwrap();
}

/// A program of PostgreSQL, of the newest version that is installed.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.max_by_key(|entry| entry.file_name().to_string_lossy().parse::<u32>().unwrap_or(0));
    match newest {
        Some(version) => version.path().join("bin").join(name),
        None => PathBuf::from(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_committed_survives_a_kill() {
        let mut postgres = Postgres::start();
        let database = postgres.create_database();
        postgres
            .sql_as_owner(&database, "CREATE TABLE kept (number int); INSERT INTO kept VALUES (7)")
            .unwrap();
        postgres.kill9();
        postgres.restart();
        assert_eq!(postgres.sql(&database, "SELECT number FROM kept"), "7");
        let dump = postgres.dump(&database);
        postgres.sql(&database, "UPDATE kept SET number = 8");
        postgres.restore(&database, &dump);
        assert_eq!(postgres.sql(&database, "SELECT number FROM kept"), "7");
        postgres.stop();
        postgres.restart();
        postgres.sql_as_owner(&database, "SELECT pg_read_file('postgresql.conf')").unwrap_err();
    }
}
