//! Destroyed means destroyed in every backup: a restored store is refused what the Core has buried, for ever.

use std::fs;
use std::path::{Path, PathBuf};

use kmip_protocol::enumeration::ResultReason;

use crate::application::{Application, Failure};
use crate::operator::Operator;
use crate::system::{System, eventually};

impl System {
    /// Copies the store of the Gateway, which is stopped for it.
    pub fn back_up(&mut self, name: &str) -> PathBuf {
        let backup = self.run().join(name);
        self.with_gateway_stopped(|store| copy(store, &backup));
        backup
    }

    /// Puts a backup in the place of the store.
    pub fn restore(&mut self, backup: &Path) {
        self.with_gateway_stopped(|store| {
            fs::remove_dir_all(store).unwrap();
            copy(backup, store);
        });
    }

    fn with_gateway_stopped(&mut self, work: impl FnOnce(&Path)) {
        if let Some(gateway) = self.gateway.take() {
            gateway.stop();
        }
        work(&self.run().join("gateway/store"));
        self.gateway = Some(self.start_server("gateway"));
    }

    /// Waits until the Core has confirmed all tombstones.
    async fn all_buried(&self, confirmed: u64) {
        eventually(async || {
            let pending = self.metric("krypton_gateway_tombstones_pending ").await;
            let done = self.metric("krypton_gateway_tombstones_confirmed_total ").await;
            if (pending, done) == (Some(0), Some(confirmed)) { Ok(()) } else { Err((pending, done)) }
        })
        .await;
    }
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => _ = fs::copy(entry.path(), target).unwrap(),
        }
    }
}

async fn assert_destroyed(application: &Application, key: &str) {
    let refused = application.get(key).await.unwrap_err();
    assert!(matches!(refused, Failure::Refused(ResultReason::ObjectDestroyed, _)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_backup_does_not_bring_back_what_was_destroyed() {
    let mut system = System::start();
    let acme = system.application("acme");
    let kept = acme.create("kept").await.unwrap();
    let destroyed = acme.create("destroyed").await.unwrap();
    let backup = system.back_up("backup");
    let acme = system.application("acme");
    assert!(acme.get(&destroyed).await.is_ok());
    acme.destroy(&destroyed).await.unwrap();
    system.all_buried(1).await;
    system.restore(&backup);
    for _ in 0..2 {
        let acme = system.application("acme");
        assert_destroyed(&acme, &destroyed).await;
        assert!(acme.get(&kept).await.is_ok());
        // Nor after everything has been started again.
        system.gateway.take().unwrap().stop();
        system.core.take().unwrap().stop();
        system.core = Some(system.start_server("core"));
        system.gateway = Some(system.start_server("gateway"));
    }
    // Nor under another version of its L3.
    let operator = Operator::new(&system);
    operator.rotate("acme", "default").await;
    let acme = system.application("acme");
    assert_destroyed(&acme, &destroyed).await;
    assert!(acme.get(&kept).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destroy_while_the_core_is_away_is_confirmed_later() {
    let mut system = System::start();
    let acme = system.application("acme");
    let mut keys = Vec::new();
    for name in ["a", "b", "c"] {
        keys.push(acme.create(name).await.unwrap());
    }
    let backup = system.back_up("backup");
    system.core.take().unwrap().stop();
    let acme = system.application("acme");
    for key in &keys[..2] {
        acme.destroy(key).await.unwrap();
    }
    // The marks outlive the Gateway.
    system.gateway.take().unwrap().kill();
    system.gateway = Some(system.start_server("gateway"));
    system.core = Some(system.start_server("core"));
    system.all_buried(2).await;
    let acme = system.application("acme");
    for key in &keys[..2] {
        assert_destroyed(&acme, key).await;
        assert!(acme.state(key).await.is_ok(), "what is left of it is told");
    }
    system.restore(&backup);
    let acme = system.application("acme");
    for key in &keys[..2] {
        assert_destroyed(&acme, key).await;
    }
    assert!(acme.get(&keys[2]).await.is_ok());
}

/// Another Gateway works on a restored backup, and has the key open, when it is destroyed here.
#[tokio::test(flavor = "multi_thread")]
async fn other_gateways_forget_what_was_destroyed() {
    let mut system = System::start();
    let acme = system.application("acme");
    let key = acme.create("open elsewhere").await.unwrap();
    let other_key = acme.create("stays open").await.unwrap();
    let backup = system.back_up("backup");
    let other = system.start_gateway_on(1, &format!("embedded:{}", backup.display()));
    let elsewhere = Application::new(other.address, &system.run().join("pki"), "acme");
    assert!(elsewhere.get(&key).await.is_ok());
    system.application("acme").destroy(&key).await.unwrap();
    assert_destroyed(&elsewhere, &key).await;
    assert!(elsewhere.get(&other_key).await.is_ok());
}
