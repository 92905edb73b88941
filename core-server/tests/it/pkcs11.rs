//! Roots of trust in a token: SoftHSM 2, set up by its own tools, used by a Core in a process of its own (the
//! library finds its tokens through the environment).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use bytestring::ByteString;
use key_service::chain::tenant_attribute;
use kmip_net::TlsSettings;
use kmip_protocol::enumeration::*;
use kmip_protocol::operation::*;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::Child;

use crate::binary::krypton_core;
use crate::client::*;
use crate::rig::Rig;

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const PIN: &str = "1234";

/// A folder of tokens.
struct SoftHsm {
    folder: PathBuf,
}

impl SoftHsm {
    fn new(folder: &Path) -> Self {
        let folder = folder.join("softhsm");
        std::fs::create_dir_all(folder.join("tokens")).unwrap();
        let tokens = folder.join("tokens");
        let config = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            tokens.display()
        );
        std::fs::write(folder.join("softhsm2.conf"), config).unwrap();
        std::fs::write(folder.join("pin"), format!("{PIN}\n")).unwrap();
        Self { folder }
    }

    fn config(&self) -> PathBuf {
        self.folder.join("softhsm2.conf")
    }

    fn pin_file(&self) -> PathBuf {
        self.folder.join("pin")
    }

    fn tool(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program).env("SOFTHSM2_CONF", self.config()).args(arguments).output();
        let output =
            output.expect("SoftHSM's tools are missing: apt-get install softhsm2 opensc (`make test` does)");
        assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn add_token(&self, label: &str) {
        let arguments = ["--init-token", "--free", "--label", label, "--so-pin", "87654321", "--pin", PIN];
        self.tool("softhsm2-util", &arguments);
    }

    fn pkcs11_tool(&self, token: &str, arguments: &[&str]) -> String {
        let common = ["--module", MODULE, "--token-label", token, "--login", "--pin", PIN];
        self.tool("pkcs11-tool", &[&common, arguments].concat())
    }

    /// An AES key that stays in the token.
    fn add_key(&self, token: &str, key: &str) {
        self.pkcs11_tool(token, &["--keygen", "--key-type", "aes:32", "--sensitive", "--label", key]);
    }

    fn delete_key(&self, token: &str, key: &str) {
        self.pkcs11_tool(token, &["--delete-object", "--type", "secrkey", "--label", key]);
    }

    fn uri(&self, token: &str, key: &str) -> String {
        let pin = self.pin_file();
        format!("pkcs11:token={token};object={key};type=secret-key?pin-source=file:{}", pin.display())
    }
}

/// A Core as a process.
struct Core {
    child: Child,
    listen: std::net::SocketAddr,
    admin: String,
}

impl Core {
    async fn start(rig: &Rig, hsm: &SoftHsm) -> Self {
        let path = rig.write_config("");
        let roots = format!(
            "insecure_allow_software = true\npkcs11_modules = {{ softhsm = \"{MODULE}\" }}\n\
             probe_interval_seconds = 0.1\nsovereignty_timeout_seconds = 1"
        );
        let text = std::fs::read_to_string(&path).unwrap().replace("insecure_allow_software = true", &roots);
        std::fs::write(&path, text).unwrap();
        let mut command = krypton_core();
        command
            .arg("--config")
            .arg(path)
            .env("SOFTHSM2_CONF", hsm.config())
            .stderr(std::process::Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let ready = BufReader::new(child.stdout.take().unwrap()).lines().next_line().await.unwrap().unwrap();
        let mut words = ready.strip_prefix("ready listen=").unwrap().split(" admin=");
        let listen = words.next().unwrap().parse().unwrap();
        Self { child, listen, admin: words.next().unwrap().to_owned() }
    }

    fn party(&self, tls: TlsSettings) -> Party {
        Party::new(self.listen, tls)
    }

    fn operator(&self, rig: &Rig) -> Party {
        self.party(rig.pki.client("krypton-operator", "olga"))
    }

    fn gateway(&self, rig: &Rig) -> Party {
        self.party(rig.pki.client("krypton-gateway", "both-gateway"))
    }

    async fn stop(mut self) {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.child.wait().await.unwrap().success());
    }

    async fn metric(&self, name: &str) -> u64 {
        let mut stream = tokio::net::TcpStream::connect(&self.admin).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).await.unwrap();
        page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0)
    }

    /// Waits until a metric has reached a value; fails after a time that only a defect needs.
    async fn await_metric(&self, name: &str, least: u64) {
        let started = Instant::now();
        while self.metric(name).await < least {
            assert!(started.elapsed() < Duration::from_secs(30), "{name} did not reach {least}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn register(operator: &Party, tenant: &str, uri: &str) -> Result<ByteString, Failed> {
    let request = crate::client::register(l1_attributes(tenant, uri), None);
    Ok(operator.ask::<RegisterResponse>(request).await?.unique_identifier)
}

async fn provision(operator: &Party, tenant: &str, uri: &str) -> Chain {
    let l1 = register(operator, tenant, uri).await.unwrap();
    operator.activate(&l1).await.unwrap();
    let l2 = operator.create_l2(&l1).await.unwrap();
    operator.activate(&l2).await.unwrap();
    let l3 = operator.create_l3(&l2, "default").await.unwrap();
    operator.activate(&l3).await.unwrap();
    Chain { l1, l2, l3 }
}

const PROVED: &str = r#"krypton_core_root_probes_total{outcome="proved"}"#;
const DENIED: &str = r#"krypton_core_closed_tenants_total{reason="denied"}"#;
const OVERDUE: &str = r#"krypton_core_closed_tenants_total{reason="unreachable"}"#;

#[tokio::test]
async fn a_token_seals_and_opens_a_tenant_across_restarts() {
    let rig = Rig::stopped();
    let hsm = SoftHsm::new(rig.folder.path());
    hsm.add_token("acme");
    hsm.add_key("acme", "l1");
    let core = Core::start(&rig, &hsm).await;
    let chain = provision(&core.operator(&rig), "acme", &hsm.uri("acme", "l1")).await;
    let blob = core.gateway(&rig).wrap(&chain.l3, &object(), b"the key").await.unwrap();
    core.await_metric(PROVED, 2).await;
    core.stop().await;

    let core = Core::start(&rig, &hsm).await;
    assert_eq!(core.gateway(&rig).unwrap(&chain.l3, &object(), &blob).await.unwrap(), b"the key");
    core.stop().await;

    // With a wrong PIN the tenant stays closed, and the token is not asked so often that it locks itself.
    std::fs::write(hsm.pin_file(), "99999").unwrap();
    let core = Core::start(&rig, &hsm).await;
    for _ in 0..20 {
        let refused = core.gateway(&rig).unwrap(&chain.l3, &object(), &blob).await.unwrap_err();
        assert_eq!(refused.reason, ResultReason::PermissionDenied, "{}", refused.message);
    }
    std::fs::write(hsm.pin_file(), PIN).unwrap();
    assert_eq!(core.gateway(&rig).unwrap(&chain.l3, &object(), &blob).await.unwrap(), b"the key");
    core.stop().await;
}

#[tokio::test]
async fn what_is_no_root_of_trust_is_not_registered() {
    let rig = Rig::stopped();
    let hsm = SoftHsm::new(rig.folder.path());
    hsm.add_token("acme");
    hsm.add_key("acme", "l1");
    hsm.pkcs11_tool("acme", &["--keygen", "--key-type", "aes:32", "--extractable", "--label", "loose"]);
    let core = Core::start(&rig, &hsm).await;
    let operator = core.operator(&rig);
    let good = hsm.uri("acme", "l1");
    for (uri, reason) in [
        (hsm.uri("acme", "missing"), ResultReason::PermissionDenied),
        (hsm.uri("acme", "loose"), ResultReason::PermissionDenied),
        (hsm.uri("globex", "l1"), ResultReason::GeneralFailure),
        (format!("{good}&module-path=/usr/lib/x86_64-linux-gnu/libm.so.6"), ResultReason::PermissionDenied),
        (format!("{good}&module-name=other"), ResultReason::PermissionDenied),
        (good.replace("/pin", "/no-pin"), ResultReason::GeneralFailure),
        ("pkcs11:token=acme;object=l1?pin-value=1234".to_owned(), ResultReason::PermissionDenied),
        ("pkcs11:".to_owned(), ResultReason::PermissionDenied),
    ] {
        let refused = register(&operator, "acme", &uri).await.unwrap_err();
        assert_eq!(refused.reason, reason, "{uri}: {}", refused.message);
    }
    assert!(operator.locate([tenant_attribute("acme")]).await.unwrap().is_empty());
    for uri in [&good, &format!("{good}&module-name=softhsm"), &format!("{good}&module-path={MODULE}")] {
        register(&operator, "acme", uri).await.unwrap();
    }
    core.stop().await;
}

#[tokio::test]
async fn a_deleted_key_closes_its_tenant_and_no_other() {
    let rig = Rig::stopped();
    let hsm = SoftHsm::new(rig.folder.path());
    for tenant in ["acme", "globex"] {
        hsm.add_token(tenant);
        hsm.add_key(tenant, "l1");
    }
    hsm.add_key("globex", "l1-of-initech");
    let core = Core::start(&rig, &hsm).await;
    let (operator, gateway) = (core.operator(&rig), core.gateway(&rig));
    let acme = provision(&operator, "acme", &hsm.uri("acme", "l1")).await;
    let globex = provision(&operator, "globex", &hsm.uri("globex", "l1")).await;
    let blob = gateway.wrap(&acme.l3, &object(), b"the key").await.unwrap();
    gateway.wrap(&globex.l3, &object(), b"other").await.unwrap();
    let lease = || ObtainLeaseRequest { unique_identifier: named(&acme.l3) };
    gateway.call(lease()).await.unwrap();
    core.await_metric(PROVED, 2).await;

    hsm.delete_key("acme", "l1");
    core.await_metric(DENIED, 1).await;
    for refused in [
        gateway.unwrap(&acme.l3, &object(), &blob).await.map(drop),
        gateway.wrap(&acme.l3, &object(), b"more").await.map(drop),
        gateway.call(lease()).await.map(drop),
    ] {
        assert_eq!(refused.unwrap_err().reason, ResultReason::PermissionDenied);
    }
    let unsealed = core.metric(r#"krypton_core_unseals_total{level="L2"}"#).await;
    let proved = core.metric(PROVED).await;
    gateway.wrap(&globex.l3, &object(), b"other").await.unwrap();
    core.await_metric(PROVED, proved + 3).await;
    gateway.wrap(&globex.l3, &object(), b"other").await.unwrap();
    assert_eq!(
        core.metric(r#"krypton_core_unseals_total{level="L2"}"#).await,
        unsealed,
        "globex stayed open"
    );
    assert_eq!(core.metric(DENIED).await, 1);

    // Another key of the same name is not the same root.
    hsm.add_key("acme", "l1");
    let refused = gateway.unwrap(&acme.l3, &object(), &blob).await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::GeneralFailure, "{}", refused.message);
    core.stop().await;
}

#[tokio::test]
async fn a_key_that_became_ambiguous_closes_its_tenant() {
    let rig = Rig::stopped();
    let hsm = SoftHsm::new(rig.folder.path());
    hsm.add_token("acme");
    hsm.add_key("acme", "l1");
    let core = Core::start(&rig, &hsm).await;
    let acme = provision(&core.operator(&rig), "acme", &hsm.uri("acme", "l1")).await;
    core.gateway(&rig).wrap(&acme.l3, &object(), b"x").await.unwrap();
    core.await_metric(PROVED, 1).await;
    // A second key of the same name: nobody can tell which is meant.
    hsm.add_key("acme", "l1");
    core.await_metric(DENIED, 1).await;
    let refused = core.gateway(&rig).wrap(&acme.l3, &object(), b"x").await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::PermissionDenied);
    core.stop().await;
}

#[tokio::test]
async fn a_lost_token_closes_its_tenant_after_the_sovereignty_timeout() {
    let rig = Rig::stopped();
    let hsm = SoftHsm::new(rig.folder.path());
    // A software root is lost in the same way as a token: there is a file, and it cannot be read.
    let core = Core::start(&rig, &hsm).await;
    let (operator, gateway) = (core.operator(&rig), core.gateway(&rig));
    let acme = operator.provision("acme").await;
    gateway.wrap(&acme.l3, &object(), b"x").await.unwrap();
    core.await_metric(PROVED, 1).await;
    let root = rig.config().software_directory().join("acme.l1");
    let away = root.with_extension("away");
    let lost = |from: &Path, to: &Path| std::fs::rename(from, to).unwrap();
    lost(&root, &away);
    std::fs::create_dir(&root).unwrap();
    core.await_metric(OVERDUE, 1).await;
    let refused = gateway.wrap(&acme.l3, &object(), b"x").await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::GeneralFailure, "{}", refused.message);

    std::fs::remove_dir(&root).unwrap();
    lost(&away, &root);
    gateway.wrap(&acme.l3, &object(), b"x").await.unwrap();
    assert_eq!(operator.state(&acme.l1).await, State::Active);
    core.stop().await;
}

#[tokio::test]
async fn a_sealed_l2_that_was_moved_does_not_open() {
    let rig = Rig::stopped();
    let hsm = SoftHsm::new(rig.folder.path());
    hsm.add_token("shared");
    hsm.add_key("shared", "l1");
    let core = Core::start(&rig, &hsm).await;
    let acme = provision(&core.operator(&rig), "acme", &hsm.uri("shared", "l1")).await;
    let globex = provision(&core.operator(&rig), "globex", &hsm.uri("shared", "l1")).await;
    core.stop().await;
    let envelope = rig.edit(&acme.l2, |_| ()).await.sealed.unwrap().envelope;
    rig.edit(&globex.l2, |record| record.sealed.as_mut().unwrap().envelope = envelope).await;
    let core = Core::start(&rig, &hsm).await;
    let gateway = core.gateway(&rig);
    gateway.wrap(&acme.l3, &object(), b"x").await.unwrap();
    let refused = gateway.wrap(&globex.l3, &object(), b"x").await.unwrap_err();
    assert_eq!(refused.reason, ResultReason::GeneralFailure, "{}", refused.message);
    core.stop().await;
}
