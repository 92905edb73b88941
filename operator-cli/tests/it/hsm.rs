//! The main job with L1s in a token, from `krypton dev` to an application; and the owner's own switch: without the key in
//! the token the tenant is dead everywhere, cached or not.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::application::Application;
use crate::stack::{Stack, krypton};

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const PIN: &str = "1234";

/// How often the stack proves its roots.
const PERIOD: Duration = Duration::from_millis(500);

/// SoftHSM in the folder of a stack, with a token for each tenant.
struct Tokens {
    config: PathBuf,
    pin: PathBuf,
}

impl Tokens {
    fn new(folder: &TempDir) -> Self {
        let tokens = folder.path().join("tokens");
        std::fs::create_dir(&tokens).unwrap();
        let (config, pin) = (folder.path().join("softhsm2.conf"), folder.path().join("pin"));
        let text = format!("directories.tokendir = {}\nobjectstore.backend = file\n", tokens.display());
        std::fs::write(&config, text).unwrap();
        std::fs::write(&pin, PIN).unwrap();
        let tokens = Self { config, pin };
        for tenant in ["acme", "globex"] {
            let token = ["--init-token", "--free", "--label", tenant, "--so-pin", "87654321", "--pin", PIN];
            tokens.tool("softhsm2-util", &token);
            tokens.pkcs11_tool(tenant, &["--keygen", "--key-type", "aes:32", "--sensitive", "--label", "l1"]);
        }
        tokens
    }

    fn tool(&self, program: &str, arguments: &[&str]) {
        let output = Command::new(program).env("SOFTHSM2_CONF", &self.config).args(arguments).output();
        let output = output.expect("SoftHSM's tools are missing: `make test` installs them");
        assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    }

    fn pkcs11_tool(&self, token: &str, arguments: &[&str]) {
        let common = ["--module", MODULE, "--token-label", token, "--login", "--pin", PIN];
        self.tool("pkcs11-tool", &[&common, arguments].concat());
    }

    fn uri(&self) -> String {
        let pin = self.pin.display();
        format!("pkcs11:token={{tenant}};object=l1?pin-source=file:{pin}&module-path={MODULE}")
    }
}

#[tokio::test]
async fn without_the_key_in_the_token_the_tenant_is_dead_and_no_other() {
    let folder = TempDir::new().unwrap();
    let tokens = Tokens::new(&folder);
    let (uri, period) = (tokens.uri(), PERIOD.as_secs_f64().to_string());
    let options = ["--store", "memory", "--l1", &uri, "--probe-interval-seconds", &period];
    let stack = Stack::start_with(folder, &options, &[("SOFTHSM2_CONF", tokens.config.as_os_str())]);
    let (acme, globex) = (Application::new(&stack, "acme"), Application::new(&stack, "globex"));

    let key = acme.create().await.unwrap();
    acme.get(&key).await.unwrap();
    let encrypted = acme.encrypt(&key).await.unwrap();
    acme.decrypt(&key, &encrypted).await.unwrap();
    let other = globex.create().await.unwrap();

    tokens.pkcs11_tool("acme", &["--delete-object", "--type", "secrkey", "--label", "l1"]);
    let deleted = Instant::now();
    while acme.get(&key).await.is_ok() {
        // A period, and what proofs and recalls take on a machine that is busy.
        assert!(deleted.elapsed() < 10 * PERIOD, "the tenant outlives its root");
        globex.get(&other).await.unwrap();
    }
    eprintln!(
        "dead {} ms after its key, proofs every {} ms",
        deleted.elapsed().as_millis(),
        PERIOD.as_millis()
    );
    for _ in 0..3 {
        for (operation, refused) in [
            ("Get", acme.get(&key).await.err()),
            ("Create", acme.create().await.err()),
            ("Encrypt", acme.encrypt(&key).await.err()),
            ("Decrypt", acme.decrypt(&key, &encrypted).await.err()),
        ] {
            assert!(refused.is_some(), "{operation} after the key is gone");
        }
        globex.get(&other).await.unwrap();
        let encrypted = globex.encrypt(&other).await.unwrap();
        globex.decrypt(&other, &encrypted).await.unwrap();
        globex.create().await.unwrap();
    }
    let drill = krypton(stack.folder.path()).args(["tenant", "drill"]).output().unwrap();
    let text = String::from_utf8_lossy(&drill.stdout).into_owned();
    assert!(!drill.status.success() && text.contains("NO: "), "{text}");
}
