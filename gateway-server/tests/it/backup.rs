//! Destroyed means destroyed in every backup: a restored store is refused what the Core has buried, for ever.

use std::fs;
use std::path::{Path, PathBuf};

use kmip_protocol::enumeration::ResultReason;

use crate::application::{Application, Failure};
use crate::operator::Operator;
use crate::partition::Wire;
use crate::shredding::succeeded;
use crate::system::{System, eventually};

/// A store of some kind that is backed up and restored as its operators do it.
pub trait Backups {
    type Backup;
    fn back_up(&mut self, system: &mut System, name: &str) -> Self::Backup;
    fn restore(&mut self, system: &mut System, backup: &Self::Backup);
}

/// The Gateway's own store, which is copied while the Gateway is stopped.
struct Embedded;

impl Backups for Embedded {
    type Backup = PathBuf;

    fn back_up(&mut self, system: &mut System, name: &str) -> PathBuf {
        system.back_up(name)
    }

    fn restore(&mut self, system: &mut System, backup: &PathBuf) {
        system.restore(backup);
    }
}

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

    /// Works on the files of the store, while the Gateway does not.
    pub fn with_gateway_stopped(&mut self, work: impl FnOnce(&Path)) {
        if let Some(gateway) = self.gateway.take() {
            gateway.stop();
        }
        work(&self.run().join("gateway/store"));
        self.gateway = Some(self.start_server("gateway"));
    }

    fn restart_all(&mut self) {
        self.gateway.take().unwrap().stop();
        self.core.take().unwrap().stop();
        self.core = Some(self.start_server("core"));
        self.gateway = Some(self.start_server("gateway"));
    }

    /// Waits until the Core has confirmed so many tombstones, and none is pending.
    async fn all_buried(&self, confirmed: u64) {
        eventually(async || match self.metric("krypton_gateway_tombstones_confirmed_total ").await {
            Some(done) if done == confirmed => Ok(()),
            done => Err(done),
        })
        .await;
        self.none_pending().await;
    }

    /// Waits until no tombstone is pending.
    pub async fn none_pending(&self) {
        eventually(async || match self.metric("krypton_gateway_tombstones_pending ").await {
            Some(0) => Ok(()),
            pending => Err(pending),
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

pub async fn assert_destroyed(application: &Application, key: &str) {
    // A connection to a store that was taken away may still have to be made anew.
    let refused = eventually(async || match application.get(key).await {
        Err(Failure::Refused(ResultReason::GeneralFailure, why)) => Err(why),
        answer => Ok(answer),
    });
    let refused = refused.await.unwrap_err();
    assert!(matches!(refused, Failure::Refused(ResultReason::ObjectDestroyed, _)), "{refused:?}");
}

/// Back up, Destroy, restore: what was destroyed is not served, whatever is started anew, rotated or shredded after that; what
/// was kept is. After shredding, the backup opens nothing at all.
pub async fn what_was_destroyed_stays_destroyed<B: Backups>(mut system: System, store: &mut B) {
    let acme = system.application("acme");
    let kept = acme.create("kept").await.unwrap();
    let destroyed = acme.create("destroyed").await.unwrap();
    let backup = store.back_up(&mut system, "backup");
    let acme = system.application("acme");
    let bytes = eventually(async || acme.get(&kept).await).await;
    assert!(acme.get(&destroyed).await.is_ok());
    acme.destroy(&destroyed).await.unwrap();
    system.all_buried(1).await;
    store.restore(&mut system, &backup);
    let assert_only_kept = async |system: &System| {
        let acme = system.application("acme");
        assert_destroyed(&acme, &destroyed).await;
        assert_eq!(eventually(async || acme.get(&kept).await).await.expose(), bytes.expose());
        acme
    };
    for _ in 0..2 {
        let acme = assert_only_kept(&system).await;
        assert_eq!(acme.locate("destroyed").await.unwrap().len(), 1, "the backup was not restored");
        system.restart_all();
    }
    // Nor under another version of its L3.
    Operator::new(&system).rotate("acme", "default").await;
    assert_only_kept(&system).await;
    // Nor when what lives was sealed anew.
    succeeded(system.rotate_and_shred()).await;
    for _ in 0..2 {
        assert_only_kept(&system).await;
        system.restart_all();
    }
    store.restore(&mut system, &backup);
    let acme = system.application("acme");
    assert_destroyed(&acme, &destroyed).await;
    assert_destroyed(&acme, &kept).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_backup_does_not_bring_back_what_was_destroyed() {
    what_was_destroyed_stays_destroyed(System::start(), &mut Embedded).await;
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

/// The Core has answered the Destroy, and has ended before it could tell a Gateway that is cut off. The next one knows nothing of
/// that; the Gateway, whose lease it renews in time, wipes what it has open all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_was_not_told_forgets_with_the_next_core() {
    let mut system = System::provision();
    system.set("core", "requests.lease_time_seconds = 4\nrequests.longest_lease_seconds = 4");
    system.start_both();
    let key = system.application("acme").create("open elsewhere").await.unwrap();
    let backup = system.back_up("backup");
    let wire = Wire::to(system.core.as_ref().unwrap().address).await;
    system.set("gateway", &format!("core.client.address = \"{}\"", wire.address));
    let other = system.start_gateway_on(1, &format!("embedded:{}", backup.display()));
    let elsewhere = Application::new(other.address, &system.run().join("pki"), "acme");
    elsewhere.get(&key).await.unwrap();
    wire.cut();
    system.application("acme").destroy(&key).await.unwrap();
    system.core.take().unwrap().kill();
    system.core = Some(system.start_server("core"));
    wire.lose();
    wire.mend();
    let told = eventually(async || match elsewhere.get(&key).await {
        Err(Failure::Refused(ResultReason::ObjectDestroyed, _)) => Ok(()),
        answer => Err(answer.map(|_| "still open")),
    });
    told.await;
}
