//! Copies, exports and imports of a Gateway's store: back up, change, restore, and what is there is what was backed up.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kmip_protocol::enumeration::ResultReason;
use rustix::process::{Pid, Signal, kill_process};
use test_servers::{Postgres, Redis};

use crate::application::Failure;
use crate::system::{System, eventually, program};

/// Writes a configuration that differs from the Gateway's in some keys.
fn configure(system: &System, name: &str, changes: &[(&str, &str)]) -> PathBuf {
    let text = std::fs::read_to_string(system.run().join("gateway.toml")).unwrap();
    let mut configuration: toml::Table = text.parse().unwrap();
    for (key, value) in changes {
        configuration.insert((*key).to_owned(), (*value).into());
    }
    let path = system.run().join(format!("{name}.toml"));
    std::fs::write(&path, configuration.to_string()).unwrap();
    path
}

fn gateway(configuration: &Path, arguments: &[&str], file: &Path) -> Output {
    let mut command = Command::new(program("krypton-gateway"));
    command.arg("--config").arg(configuration).args(arguments).arg(file).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_made_while_keys_are_made_is_a_store_of_one_moment() {
    let mut system = System::start();
    let backups = system.run().join("backups");
    std::fs::create_dir(&backups).unwrap();
    system.gateway.take().unwrap().stop();
    let configuration = configure(&system, "copied", &[("backup_directory", backups.to_str().unwrap())]);
    system.gateway = Some(system.start_with("gateway", &configuration));
    let acme = system.application("acme");
    let kept = acme.create("kept").await.unwrap();
    let process = system.gateway.as_ref().unwrap().process();
    kill_process(Pid::from_raw(process as i32).unwrap(), Signal::USR1).unwrap();
    let copy = eventually(async || {
        // Keys are made all the while.
        let _ =
            acme.create(&format!("meanwhile-{}", std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos())).await;
        let copies = std::fs::read_dir(&backups).unwrap().map(|entry| entry.unwrap().path());
        copies.into_iter().find(|path| path.extension().is_none()).ok_or("no copy yet")
    })
    .await;
    let later = acme.create("later").await.unwrap();
    acme.revoke(&kept).await.unwrap();

    system.gateway.take().unwrap().stop();
    let store = format!("embedded:{}", copy.display());
    system.gateway =
        Some(system.start_with("gateway", &configure(&system, "restored", &[("store", &store)])));
    let acme = system.application("acme");
    assert_eq!(eventually(async || acme.get(&kept).await).await.expose().len(), 32);
    assert_eq!(acme.locate("kept").await.unwrap(), [kept]);
    let gone = acme.get(&later).await.unwrap_err();
    assert!(
        matches!(gone, Failure::Refused(ResultReason::ItemNotFound | ResultReason::ObjectNotFound, _)),
        "{gone:?}"
    );
}

/// From an embedded store to Redis, from there to PostgreSQL, and back into an embedded one.
#[tokio::test(flavor = "multi_thread")]
async fn an_export_moves_a_gateway_from_one_kind_of_store_to_another() {
    let (redis, postgres) = (Redis::start(), Postgres::start());
    let mut system = System::start();
    let acme = system.application("acme");
    let mut keys = Vec::new();
    for number in 0..20 {
        let key = acme.create(&format!("key-{number}")).await.unwrap();
        let bytes = acme.get(&key).await.unwrap().expose().to_vec();
        keys.push((key, bytes));
    }
    let destroyed = acme.create("destroyed").await.unwrap();
    acme.destroy(&destroyed).await.unwrap();

    let back = format!("embedded:{}", system.run().join("back").display());
    let mut configuration = system.run().join("gateway.toml");
    for (step, store) in [redis.url(), postgres.database(), back].into_iter().enumerate() {
        system.gateway.take().unwrap().stop();
        let file = system.run().join(format!("export-{step}"));
        let exported = gateway(&configuration, &["--export"], &file);
        assert!(
            exported.status.success() && said(&exported).contains("21 records exported"),
            "{}",
            said(&exported)
        );
        assert!(!gateway(&configuration, &["--export"], &file).status.success(), "it wrote over an export");
        configuration = configure(&system, &format!("moved-{step}"), &[("store", &store)]);
        let imported = gateway(&configuration, &["--import"], &file);
        assert!(
            imported.status.success() && said(&imported).contains("21 records imported"),
            "{}",
            said(&imported)
        );
        let again = gateway(&configuration, &["--import"], &file);
        assert!(said(&again).contains("21 were there already"), "{}", said(&again));

        system.gateway = Some(system.start_with("gateway", &configuration));
        let acme = system.application("acme");
        for (number, (key, bytes)) in keys.iter().enumerate() {
            assert_eq!(eventually(async || acme.get(key).await).await.expose(), bytes);
            assert_eq!(acme.locate(&format!("key-{number}")).await.unwrap(), std::slice::from_ref(key));
        }
        let gone = acme.get(&destroyed).await.unwrap_err();
        assert!(matches!(gone, Failure::Refused(ResultReason::ObjectDestroyed, _)), "{gone:?}");
    }
}

#[test]
fn a_damaged_export_is_not_imported_and_a_store_in_use_is_not_exported() {
    let system = System::start();
    let file = system.run().join("export");
    let configuration = system.run().join("gateway.toml");
    let refused = gateway(&configuration, &["--export"], &file);
    assert!(said(&refused).contains("another process works with the store"), "{}", said(&refused));
    std::fs::write(&file, "KRYPTEX1 and more").unwrap();
    let refused = gateway(&configuration, &["--import"], &file);
    assert!(
        !refused.status.success() && said(&refused).contains("the file is damaged"),
        "{}",
        said(&refused)
    );
}
