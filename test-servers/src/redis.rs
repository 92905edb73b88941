//! A Redis of one's own, and a cluster of three.

use std::fs;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::{command, free_port, new_folder, unprivileged};
use crate::server::Server;

/// The ACL user that may use the keys of a store and nothing else, and its password. Tests look that it shows up
/// nowhere.
const USER: &str = "gateway";
const PASSWORD: &str = "pass-of-redis";

/// The file that a snapshot is written to.
const SNAPSHOT: &str = "dump.rdb";

/// How a [`Redis`] is set up.
#[derive(Debug, Clone, Default)]
pub struct RedisOptions {
    /// Whether connections have to use TLS, with a client certificate.
    pub tls: bool,
    /// Whether it is to be a node of a cluster.
    pub cluster: bool,
    /// Lines of `redis.conf`, after our own: `appendonly yes`, `appendfsync always`.
    pub configuration: Vec<String>,
    /// The folder in which it makes its own; that for temporary files if there is none.
    pub parent: Option<PathBuf>,
}

/// A running Redis: a [`Server`]. Its data is gone when it is dropped.
pub struct Redis {
    server: Server,
    folder: TempDir,
    port: u16,
    options: RedisOptions,
    user: Option<(u32, u32)>,
}

impl Redis {
    /// Starts one that is durable, without TLS, open to everybody.
    pub fn start() -> Self {
        Self::start_with(RedisOptions::default())
    }

    /// Starts one.
    pub fn start_with(options: RedisOptions) -> Self {
        let folder = new_folder("krypton-redis-", options.parent.as_deref());
        let user = unprivileged("redis");
        own(folder.path(), user);
        if options.tls {
            write_certificates(folder.path(), user);
        }
        let port = free_port();
        write_configuration(folder.path(), port, &options);
        let mut start = command(Path::new("redis-server"), user);
        start.arg(folder.path().join("redis.conf")).current_dir(folder.path());
        // It answers otherwise while it loads its data.
        let asked = options.clone();
        let is_ready = move |folder: &Path, _| client(folder, port, &asked, "PING") == "PONG";
        let server = Server::start(start, Signal::TERM, is_ready);
        Self { server, folder, port, options, user }
    }

    /// Its URL, for everybody.
    pub fn url(&self) -> String {
        let folder = self.folder.path().display();
        match self.options.tls {
            false => format!("redis://127.0.0.1:{}", self.port),
            true => format!(
                "rediss://127.0.0.1:{}?ca_file={folder}/ca.pem&client_certificate_file={folder}/client.pem\
                 &client_key_file={folder}/client.key",
                self.port
            ),
        }
    }

    /// Makes the ACL user of a store, as the documentation says; returns the URL for it.
    pub fn url_of_user(&self) -> String {
        self.ask(&format!(
            "ACL SETUSER {USER} on >{PASSWORD} ~krypton:* -@all +@read +@write +@scripting +@connection +config|get +info +wait \
             +cluster|slots +cluster|info"
        ));
        format!("redis://{USER}:{PASSWORD}@127.0.0.1:{}", self.port)
    }

    /// The password of the ACL user.
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it keeps its files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a command; returns what it prints.
    pub fn ask(&self, command: &str) -> String {
        client(self.folder.path(), self.port, &self.options, command)
    }

    /// Copies the files of a stopped server into a folder: a backup.
    pub fn back_up(&self, target: &Path) {
        copy(&self.folder.path().join("appendonlydir"), target, None);
    }

    /// Puts a backup in the place of the files of a stopped server.
    pub fn restore(&self, source: &Path) {
        let data = self.folder.path().join("appendonlydir");
        fs::remove_dir_all(&data).unwrap();
        copy(source, &data, self.user);
    }

    /// Has it write a snapshot while it runs (BGSAVE), and copies that to `target`: a backup of one moment.
    pub fn snapshot(&self, target: &Path) {
        assert!(self.ask("BGSAVE").starts_with("Background saving"));
        self.await_persistence(&["rdb_bgsave_in_progress:0", "rdb_last_bgsave_status:ok"]);
        fs::copy(self.folder.path().join(SNAPSHOT), target).unwrap();
    }

    /// Begins anew with nothing but a snapshot: started without an append-only file, it makes one of what it has read.
    pub fn restart_from_snapshot(&mut self, snapshot: &Path) {
        self.stop();
        let (data, file) = (self.folder.path().join("appendonlydir"), self.folder.path().join(SNAPSHOT));
        fs::remove_dir_all(data).unwrap();
        fs::copy(snapshot, &file).unwrap();
        own(&file, self.user);
        let path = self.folder.path().join("redis.conf");
        let configuration = fs::read_to_string(&path).unwrap();
        fs::write(&path, configuration.replace("appendonly yes", "appendonly no")).unwrap();
        self.restart();
        assert_eq!(self.ask("CONFIG SET appendonly yes"), "OK");
        let whole = [
            "aof_enabled:1",
            "aof_rewrite_in_progress:0",
            "aof_rewrite_scheduled:0",
            "aof_last_bgrewrite_status:ok",
        ];
        self.await_persistence(&whole);
        self.stop();
        fs::write(&path, configuration).unwrap();
        self.restart();
    }

    /// Waits until the section `persistence` of INFO has these lines.
    fn await_persistence(&self, lines: &[&str]) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let told = self.ask("INFO persistence");
            if lines.iter().all(|line| told.lines().any(|told| told.trim_end() == *line)) {
                return;
            }
            assert!(Instant::now() < deadline, "{told}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Deref for Redis {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for Redis {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}

/// A cluster of three primaries.
pub struct RedisCluster {
    /// Its nodes.
    pub nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts one.
    pub fn start() -> Self {
        let options = RedisOptions { cluster: true, ..RedisOptions::default() };
        let nodes: Vec<_> = (0..3).map(|_| Redis::start_with(options.clone())).collect();
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]);
        create.args(nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)));
        let output = create.args(["--cluster-replicas", "0", "--cluster-yes"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let cluster = Self { nodes };
        cluster.await_health();
        cluster
    }

    /// Waits until every node knows that all slots are served.
    pub fn await_health(&self) {
        let started = Instant::now();
        let is_well = |node: &Redis| node.ask("CLUSTER INFO").contains("cluster_state:ok");
        while !self.nodes.iter().all(is_well) {
            assert!(started.elapsed() < Duration::from_secs(30), "the cluster does not become well");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        format!("redis://{}?cluster=true", hosts.join(","))
    }
}

fn own(path: &Path, user: Option<(u32, u32)>) {
    if let Some((user, group)) = user {
        chown(path, Some(user), Some(group)).unwrap();
    }
}

fn copy(source: &Path, target: &Path, user: Option<(u32, u32)>) {
    fs::create_dir_all(target).unwrap();
    own(target, user);
    for file in fs::read_dir(source).unwrap() {
        let file = file.unwrap();
        let target = target.join(file.file_name());
        fs::copy(file.path(), &target).unwrap();
        own(&target, user);
    }
}

fn write_configuration(folder: &Path, port: u16, options: &RedisOptions) {
    let mut lines = vec![
        "bind 127.0.0.1".to_owned(),
        "save \"\"".to_owned(),
        "appendonly yes".to_owned(),
        "appendfsync always".to_owned(),
        format!("dir {}", folder.display()),
    ];
    match options.tls {
        false => lines.push(format!("port {port}")),
        true => lines.extend([
            "port 0".to_owned(),
            format!("tls-port {port}"),
            format!("tls-cert-file {}", folder.join("server.pem").display()),
            format!("tls-key-file {}", folder.join("server.key").display()),
            format!("tls-ca-cert-file {}", folder.join("ca.pem").display()),
        ]),
    }
    if options.cluster {
        // The bus takes a port of its own; by default one that may be too high.
        lines.extend(["cluster-enabled yes".to_owned(), format!("cluster-port {}", free_port())]);
        lines.push("cluster-node-timeout 3000".to_owned());
    }
    lines.extend(options.configuration.iter().cloned());
    fs::write(folder.join("redis.conf"), lines.join("\n")).unwrap();
}

fn client(folder: &Path, port: u16, options: &RedisOptions, command: &str) -> String {
    let mut client = Command::new("redis-cli");
    client.args(["-h", "127.0.0.1", "-p", &port.to_string()]);
    if options.tls {
        client.args(["--tls", "--cacert", "ca.pem", "--cert", "client.pem", "--key", "client.key"]);
    }
    let output = client.args(command.split(' ')).current_dir(folder).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// An authority, a certificate for 127.0.0.1, and one for clients.
fn write_certificates(folder: &Path, user: Option<(u32, u32)>) {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    // OpenSSL takes a certificate of its issuer's name for one that is self-signed.
    params.distinguished_name.push(rcgen::DnType::CommonName, "authority of a test");
    let key = rcgen::KeyPair::generate().unwrap();
    fs::write(folder.join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = rcgen::Issuer::new(params, key);
    for (name, host) in [("server", "127.0.0.1"), ("client", "gateway")] {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        let path = folder.join(format!("{name}.key"));
        fs::write(&path, key.serialize_pem()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        if name == "server" {
            own(&path, user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_survives_a_kill_and_a_restored_backup_replaces_it() {
        let mut redis = Redis::start();
        redis.ask("SET kept 7");
        redis.kill9();
        let backup = TempDir::new().unwrap();
        redis.back_up(backup.path());
        redis.restart();
        assert_eq!(redis.ask("GET kept"), "7");
        redis.ask("SET kept 8");
        redis.stop();
        redis.restore(backup.path());
        redis.restart();
        assert_eq!(redis.ask("GET kept"), "7");
    }
}
