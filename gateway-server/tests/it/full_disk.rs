//! A Gateway whose disk fills up, or that of its database: it says so, loses nothing, and goes on when there is room.

use std::path::Path;
use std::process::Command;

use bytestring::ByteString;
use kmip_protocol::enumeration::ResultReason;

use test_servers::{Postgres, PostgresOptions, Redis, RedisOptions};

use crate::application::{Application, Failure};
use crate::system::{System, eventually};

/// A small disk in memory; gone when dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    /// `None` where this may not be done: it takes root.
    fn mount(mebibytes: u64) -> Option<Self> {
        let folder = tempfile::TempDir::with_prefix("krypton-disk-").unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"]).arg(folder.path());
        mount.output().is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }

    fn free_bytes(&self) -> usize {
        let output = Command::new("stat").args(["-f", "-c", "%a %S"]).arg(self.path()).output().unwrap();
        let numbers = String::from_utf8(output.stdout).unwrap();
        numbers.split_whitespace().map(|number| number.parse::<usize>().unwrap()).product()
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a server that was killed may still be going.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// What an embedded store leaves free, for Destroy and Revoke.
const RESERVE_BYTES: usize = 64 << 20;

/// What is left for new keys of a store or a database.
const ROOM_BYTES: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_said_and_loses_nothing() {
    let Some(disk) = Disk::mount(96) else {
        println!("skipped: only root may mount a small disk");
        return;
    };
    let mut system = System::provision();
    system.core = Some(system.start_server("core"));
    let ballast = disk.path().join("ballast");
    let store = format!("embedded:{}", disk.path().join("store").display());
    system.gateway = Some(system.start_gateway_on(1, &store));
    let acme = system.application("acme");
    let first = acme.create("first").await.unwrap();
    std::fs::write(&ballast, vec![1; disk.free_bytes() - RESERVE_BYTES - ROOM_BYTES]).unwrap();

    let mut made = vec![first];
    let refused = create_until_refused(&acme, &mut made).await;
    assert!(
        matches!(&refused, Failure::Refused(ResultReason::ServerLimitExceeded, why) if why.contains("full")),
        "{refused:?}"
    );
    // What is there is served, and may go.
    for key in &made {
        acme.get(key).await.unwrap();
    }
    acme.destroy(&made.remove(0)).await.unwrap();
    acme.create("still-none").await.unwrap_err();

    std::fs::remove_file(&ballast).unwrap();
    made.push(eventually(async || acme.create("room").await).await);
    system.gateway.take().unwrap().kill();
    system.gateway = Some(system.start_gateway_on(1, &store));
    let acme = system.application("acme");
    for key in &made {
        eventually(async || acme.get(key).await).await;
    }
}

/// The disk of the audit log is full: what would have to be recorded is refused, and the Gateway says that it is not ready.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_whose_audit_log_is_full_is_not_ready() {
    let Some(disk) = Disk::mount(16) else {
        println!("skipped: only root may mount a small disk");
        return;
    };
    let mut system = System::provision();
    system.set("gateway", &format!("audit.directory = {:?}", disk.path().join("audit")));
    system.start_both();
    let acme = system.application("acme");
    let kept = acme.create("kept").await.unwrap();
    system.readiness().await.unwrap();

    let ballast = disk.path().join("ballast");
    // The log may take a part of it meanwhile: then not all of this fits, and the disk is full all the same.
    let _ = std::fs::write(&ballast, vec![1; disk.free_bytes()]);
    create_until_refused(&acme, &mut vec![kept]).await;
    let why = eventually(async || system.readiness().await.err().ok_or("still ready")).await;
    assert!(why.starts_with("HTTP/1.1 503 ") && why.contains("audit log"), "{why}");

    std::fs::remove_file(&ballast).unwrap();
    eventually(async || system.readiness().await).await;
    eventually(async || acme.create("room").await).await;
}

async fn create_until_refused(application: &Application, made: &mut Vec<ByteString>) -> Failure {
    loop {
        match application.create(&format!("key-{}", made.len())).await {
            Ok(key) => made.push(key),
            Err(refused) => return refused,
        }
        assert!(made.len() < 20_000, "the disk does not fill up");
    }
}

/// The disk of the database is full: what cannot be stored is refused. When there is room, and the database is started anew if it
/// has ended itself, all that was acknowledged is there.
async fn a_database_without_room_loses_nothing(disk: &Disk, url: &str, start_anew: impl FnOnce()) {
    let system = System::start_on(url);
    let acme = system.application("acme");
    let mut made = vec![acme.create("first").await.unwrap()];
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![1; disk.free_bytes() - ROOM_BYTES]).unwrap();
    let refused = create_until_refused(&acme, &mut made).await;
    let Failure::Refused(reason, why) = &refused else { panic!("{refused:?}") };
    let is_clear = match reason {
        ResultReason::ServerLimitExceeded => why.contains("full"),
        ResultReason::GeneralFailure => why.contains("the store is unavailable"),
        _ => false,
    };
    assert!(is_clear, "{refused:?}");
    acme.create("still none").await.unwrap_err();
    eventually(async || system.readiness().await.err().ok_or("still ready")).await;
    std::fs::remove_file(&ballast).unwrap();
    start_anew();
    for key in &made {
        eventually(async || acme.get(key).await).await;
    }
    acme.create("room").await.unwrap();
    eventually(async || system.readiness().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_without_room_loses_nothing() {
    let Some(disk) = Disk::mount(128) else {
        println!("skipped: only root may mount a small disk");
        return;
    };
    let parent = Some(disk.path().to_owned());
    let mut postgres = Postgres::start_with(PostgresOptions { parent, ..PostgresOptions::default() });
    let url = postgres.database();
    a_database_without_room_loses_nothing(&disk, &url, || {
        // Where its log does not fit, it ends itself.
        assert!(postgres.log().contains("No space left on device"), "{}", postgres.log());
        postgres.stop();
        postgres.restart();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_without_room_loses_nothing() {
    let Some(disk) = Disk::mount(16) else {
        println!("skipped: only root may mount a small disk");
        return;
    };
    let parent = Some(disk.path().to_owned());
    let mut redis = Redis::start_with(RedisOptions { parent, ..RedisOptions::default() });
    let url = redis.url();
    a_database_without_room_loses_nothing(&disk, &url, || {
        assert!(redis.log().contains("Exiting"), "it has not ended itself: {}", redis.log());
        redis.stop();
        redis.restart();
    })
    .await;
}
