//! `krypton rotate --shred`: what lives outlives the old version of an L3, and no backup from before does.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytestring::ByteString;
use core_server::{chain, offline};
use key_service::chain::ObjectBinding;
use key_service::crypto;
use key_service::port::{Change, Store};
use key_service::record::Record;
use key_service::store::{EmbeddedLimits, EmbeddedStore};
use kmip_protocol::enumeration::ResultReason;

use crate::application::{Application, Failure};
use crate::backup::copy;
use crate::operator::Operator;
use crate::system::{System, eventually, program};

impl System {
    /// The `krypton` program, as the operator of this system.
    fn krypton(&self, arguments: &[&str]) -> Child {
        let (pki, core) = (self.run().join("pki"), self.core.as_ref().unwrap().address);
        Command::new(program("krypton"))
            .args(["--json", "--core", &core.to_string(), "--ca"])
            .arg(pki.join("ca.pem"))
            .arg("--cert")
            .arg(pki.join("clients/operator.pem"))
            .arg("--key")
            .arg(pki.join("clients/operator.key"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    pub fn rotate_and_shred(&self) -> Child {
        self.krypton(&["rotate", "--tenant", "acme", "--shred", "--wait-seconds", "60"])
    }

    /// Sets the rate at which the Gateway seals anew.
    fn renew_per_second(&self, records: u32) {
        let path = self.run().join("gateway.toml");
        let text = fs::read_to_string(&path).unwrap();
        let section = format!("\n[shredding]\nmaximum_records_per_second = {records}\n");
        fs::write(&path, text + &section).unwrap();
    }
}

async fn ended(program: Child) -> Output {
    tokio::task::spawn_blocking(|| program.wait_with_output().unwrap()).await.unwrap()
}

pub async fn succeeded(program: Child) -> String {
    let output = ended(program).await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

async fn create_some(application: &Application, count: usize) -> Vec<(ByteString, Vec<u8>)> {
    let mut keys = Vec::new();
    for number in 0..count {
        let key = application.create(&format!("some-{number}")).await.unwrap();
        let bytes = application.get(&key).await.unwrap().expose().to_vec();
        keys.push((key, bytes));
    }
    keys
}

async fn assert_served(application: &Application, keys: &[(ByteString, Vec<u8>)]) {
    for (key, bytes) in keys {
        assert_eq!(application.get(key).await.unwrap().expose(), bytes);
    }
}

/// Whether any key in a copy of the Core's state opens the sealed object of a record.
async fn opens(system: &System, state: &Path, record: &Record) -> bool {
    let mut config = core_server::Config::read(&system.run().join("core.toml")).unwrap();
    config.state_directory = state.to_owned();
    let sealed = record.sealed.as_ref().unwrap();
    let object = ObjectBinding::from(&record.binding()).encode();
    let bound = chain::associated_data(chain::Level::L4, &record.tenant, &record.service, &sealed.key);
    let bound = [bound, object.to_vec()].concat();
    let keys = offline::keys(&config).await.unwrap();
    assert!(!keys.is_empty(), "no key of the Core opens: the test proves nothing");
    keys.iter().any(|key| crypto::unseal(&key.bytes, &bound, &sealed.envelope).is_ok())
}

/// A copy of the Core's state, which is stopped for it.
fn copy_core(system: &mut System, name: &str) -> std::path::PathBuf {
    system.core.take().unwrap().stop();
    let state = system.run().join(name);
    copy(&system.run().join("core"), &state);
    system.core = Some(system.start_server("core"));
    state
}

#[tokio::test(flavor = "multi_thread")]
async fn survivors_outlive_the_old_version_and_backups_do_not() {
    let mut system = System::start();
    let acme = system.application("acme");
    let keys = create_some(&acme, 30).await;
    let (destroyed, revoked) =
        (acme.create("destroyed").await.unwrap(), acme.create("revoked").await.unwrap());
    acme.destroy(&destroyed).await.unwrap();
    acme.revoke(&revoked).await.unwrap();
    let before = copy_core(&mut system, "core-before");
    // Starts the Gateway anew, too: none of its connections leads to the Core that was stopped.
    let backup = system.back_up("backup");
    let old = EmbeddedStore::open(&backup, EmbeddedLimits::default()).unwrap();
    let record = old.fetch("acme", &keys[0].0).await.unwrap().unwrap();
    old.close().await;
    drop(old);
    assert!(opens(&system, &before, &record).await, "the search does not find a key that is there");

    // Work goes on meanwhile, and no request fails.
    let acme = Arc::new(system.application("acme"));
    eventually(async || acme.get(&keys[0].0).await).await;
    let ended = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn({
        let (acme, ended, some) = (acme.clone(), ended.clone(), keys.clone());
        async move {
            let mut made = Vec::new();
            for number in 0.. {
                if ended.load(Ordering::Acquire) {
                    break;
                }
                let key = acme.create(&format!("meanwhile-{number}")).await.unwrap();
                let bytes = acme.get(&key).await.unwrap().expose().to_vec();
                acme.get(&some[number % some.len()].0).await.unwrap();
                made.push((key, bytes));
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            made
        }
    });
    let told = succeeded(system.rotate_and_shred()).await;
    assert!(told.contains("destroyed"), "{told}");
    ended.store(true, Ordering::Release);
    let made = load.await;
    let made = made.unwrap_or_else(|_| panic!("a request failed: {}", system.log("gateway")));
    assert!(made.len() > 30, "hardly anything was made meanwhile: the test proves little");
    assert_served(&acme, &keys).await;
    assert_served(&acme, &made).await;
    assert!(acme.get(&revoked).await.is_ok());
    assert!(acme.state(&destroyed).await.is_ok(), "what is left of a destroyed object can still be verified");

    let after = copy_core(&mut system, "core-after");
    assert!(!opens(&system, &after, &record).await, "a key of the Core still opens an old blob");
    system.restore(&backup);
    let acme = system.application("acme");
    for (key, _) in &keys {
        let refused = eventually(async || match acme.get(key).await {
            Err(Failure::Refused(ResultReason::GeneralFailure, why)) => Err(why),
            outcome => Ok(outcome),
        });
        let refused = refused.await.unwrap_err();
        assert!(matches!(refused, Failure::Refused(ResultReason::ObjectDestroyed, _)), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_record_holds_up_shredding_until_it_is_repaired() {
    let mut system = System::start();
    let keys = create_some(&system.application("acme"), 3).await;
    let sound = system.back_up("sound");
    system.gateway.take().unwrap().stop();
    let store = EmbeddedStore::open(&system.run().join("gateway/store"), EmbeddedLimits::default()).unwrap();
    let mut edited = Record::clone(&*store.fetch("acme", &keys[1].0).await.unwrap().unwrap());
    edited.version += 1;
    // The index does not say any more what it hangs on, and its authenticator does not fit.
    edited.guard.authenticator.as_mut().unwrap().key = "nowhere".into();
    store.commit(vec![Change::Replace(Arc::new(edited))]).await.unwrap();
    store.close().await;
    drop(store);
    system.gateway = Some(system.start_server("gateway"));
    let told =
        ended(system.krypton(&["rotate", "--tenant", "acme", "--shred", "--wait-seconds", "12"])).await;
    let text = [told.stdout, told.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(!told.status.success() && text.contains("1 damaged"), "{text}");
    system.restore(&sound);
    succeeded(system.rotate_and_shred()).await;
    assert_served(&system.application("acme"), &keys).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_killed_in_the_middle_goes_on() {
    let mut system = System::provision();
    system.renew_per_second(15);
    system.core = Some(system.start_server("core"));
    system.gateway = Some(system.start_server("gateway"));
    let keys = create_some(&system.application("acme"), 45).await;
    let shredding = system.rotate_and_shred();
    eventually(async || match system.metric("krypton_gateway_shredding_moved_total ").await {
        Some(moved) if moved >= 10 => Ok(()),
        moved => Err(moved),
    })
    .await;
    system.gateway.take().unwrap().kill();
    system.gateway = Some(system.start_server("gateway"));
    succeeded(shredding).await;
    assert_served(&system.application("acme"), &keys).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_and_a_tenant_are_shredded() {
    let system = System::start();
    Operator::new(&system).add_service("acme", "tapes").await;
    let (acme, globex) = (system.application("acme"), system.application("globex"));
    let of_service = acme.create_in("of service", Some("tapes")).await.unwrap();
    let other = acme.create("other").await.unwrap();
    let foreign = globex.create("foreign").await.unwrap();
    let unconfirmed = ["shred", "--tenant", "acme", "--service", "tapes"];
    assert!(!ended(system.krypton(&unconfirmed)).await.status.success());
    assert!(acme.get(&of_service).await.is_ok());
    succeeded(system.krypton(&[&unconfirmed[..], &["--yes"]].concat())).await;
    acme.get(&of_service).await.unwrap_err();
    assert!(acme.get(&other).await.is_ok());
    succeeded(system.krypton(&["shred", "--tenant", "acme", "--yes"])).await;
    acme.get(&other).await.unwrap_err();
    assert!(globex.get(&foreign).await.is_ok());
}
