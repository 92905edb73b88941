//! The binary: its ready line, its admin pages, its signals.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;

use crate::client::*;
use crate::rig::Rig;

pub fn krypton_core() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_krypton-core"));
    command.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[tokio::test]
async fn it_serves_until_it_is_told_to_stop() {
    let rig = Rig::stopped();
    let config = rig.write_config("log = { format = \"json\", filter = \"debug\" }");
    let mut child = krypton_core().arg("--config").arg(&config).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let ready = lines.next_line().await.unwrap().unwrap();
    let mut words = ready.strip_prefix("ready listen=").unwrap().split(" admin=");
    let (listen, admin) = (words.next().unwrap().parse().unwrap(), words.next().unwrap());

    let operator = Party::new(listen, rig.pki.client("krypton-operator", "olga"));
    let chain = operator.provision("acme").await;
    let gateway = Party::new(listen, rig.pki.client("krypton-gateway", "acme-gateway"));
    let secret = b"a secret that no log may hold";
    gateway.wrap(&chain.l3, &object(), secret).await.unwrap();
    for page in ["/healthz", "/readyz"] {
        assert!(page_of(admin, page).await.starts_with("HTTP/1.1 200"), "{page}");
    }
    assert!(page_of(admin, "/metrics").await.contains("krypton_core_unseals_total"));

    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().await.unwrap().success());
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    assert!(child.wait().await.unwrap().success());
    let mut log = Vec::new();
    child.stderr.take().unwrap().read_to_end(&mut log).await.unwrap();
    let text = String::from_utf8(log).unwrap();
    assert!(text.contains("INSECURE: software roots") && text.contains("\"audit\""), "{text}");
    assert!(!text.contains("a secret that no log may hold"));
}

async fn page_of(admin: &str, path: &str) -> String {
    use tokio::io::AsyncWriteExt;
    let mut stream = tokio::net::TcpStream::connect(admin).await.unwrap();
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn it_checks_a_configuration_without_starting() {
    let rig = Rig::stopped();
    let sound = rig.write_config("");
    let output = krypton_core().arg("--check").arg("--config").arg(&sound).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(!rig.folder.path().join("state").exists());
    let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap();
    let modules = |path: &str| {
        let modules = format!("pkcs11_modules = {{ token = \"{path}\" }}\ninsecure_allow_software = true");
        read(&rig.write_config("")).replace("insecure_allow_software = true", &modules)
    };
    for (unsound, problem) in [
        (read(&rig.write_config("unheard_of = 1")), "unheard_of"),
        (read(&rig.write_config("")).replace("pki/core.pem", "pki/none.pem"), "none.pem"),
        (modules("/nowhere/libtoken.so"), "/nowhere/libtoken.so"),
        (modules("core.toml"), "core.toml"),
    ] {
        std::fs::write(&sound, unsound).unwrap();
        let output = krypton_core().arg("--check").arg("--config").arg(&sound).output().await.unwrap();
        assert!(!output.status.success(), "{problem}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(problem), "{error}");
    }
}

#[tokio::test]
async fn it_does_not_start_with_memory_that_cannot_be_locked() {
    let rig = Rig::stopped();
    let path = rig.write_config("");
    let text = std::fs::read_to_string(&path).unwrap();
    // No machine locks this much.
    std::fs::write(&path, text.replace("capacity_bytes = 262144", "capacity_bytes = 1152921504606846976"))
        .unwrap();
    let output = krypton_core().arg("--config").arg(&path).output().await.unwrap();
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("insecure_allow_unlocked"), "{error}");
}
