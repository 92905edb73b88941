//! `krypton rotate --shred`: what lives outlives the old version of an L3, and no backup from before does.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

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
    let bound =
        chain::associated_data(chain::Level::L4, &record.tenant, &record.service, &sealed.key).unwrap();
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

/// The index of a store of some kind, which is damaged.
pub trait Index {
    /// Deletes all its rows of the tenant `acme`, and leaves the records.
    fn lose(&mut self, system: &mut System);
}

/// The file of the Gateway's own store.
struct Embedded;

impl Index for Embedded {
    fn lose(&mut self, system: &mut System) {
        system.with_gateway_stopped(|store| {
            let database = redb::Database::open(store.join("records.redb")).unwrap();
            let transaction = database.begin_write().unwrap();
            let index = redb::TableDefinition::<&[u8], ()>::new("index");
            assert!(transaction.delete_table(index).unwrap());
            transaction.open_table(index).unwrap();
            transaction.commit().unwrap();
        });
    }
}

/// Nothing is found by the index any more; all of it outlives its L3 all the same.
pub async fn what_the_index_lacks_is_not_lost(mut system: System, index: &mut impl Index) {
    let acme = system.application("acme");
    let keys = create_some(&acme, 5).await;
    index.lose(&mut system);
    let acme = system.application("acme");
    let found = eventually(async || acme.locate("some-1").await).await;
    assert!(found.is_empty(), "the index is not lost: the test proves nothing");
    succeeded(system.rotate_and_shred()).await;
    assert_served(&acme, &keys).await;
    assert!(system.metric("krypton_gateway_shredding_moved_total ").await >= Some(5));
}

/// What was destroyed while the Core was away is buried, though the index does not say so any more.
pub async fn what_the_index_lacks_is_buried(mut system: System, index: &mut impl Index) {
    let key = create_some(&system.application("acme"), 1).await.remove(0).0;
    system.core.take().unwrap().stop();
    system.application("acme").destroy(&key).await.unwrap();
    // Properly: the journal of a store that was killed would bring the rows back.
    system.gateway.take().unwrap().stop();
    index.lose(&mut system);
    if let Some(gateway) = system.gateway.take() {
        gateway.kill();
    }
    system.start_both();
    eventually(async || match system.metric("krypton_gateway_tombstones_confirmed_total ").await {
        Some(1) => Ok(()),
        confirmed => Err(confirmed),
    })
    .await;
    assert!(
        system.log("gateway").contains("the index lacks pending tombstones"),
        "{}",
        system.log("gateway")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_index_lacks_is_buried_all_the_same() {
    what_the_index_lacks_is_buried(System::start(), &mut Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_index_lacks_outlives_shredding() {
    what_the_index_lacks_is_not_lost(System::start(), &mut Embedded).await;
}

/// The look goes on at its own rate, and says how far it is.
#[tokio::test(flavor = "multi_thread")]
async fn the_look_before_a_shredding_is_paced() {
    let mut system = System::provision();
    // Pages of 64: two of them take four seconds, whatever the machine does.
    system.set(
        "gateway",
        "shredding.maximum_looks_per_second = 16\nshredding.maximum_records_per_second = 1000",
    );
    system.start_both();
    let keys = create_some(&system.application("acme"), 70).await;
    let begun = Instant::now();
    let told = succeeded(system.rotate_and_shred()).await;
    assert!(begun.elapsed() >= Duration::from_secs(4), "{told}");
    assert!(told.contains("of all looked at"), "{told}");
    assert!(system.metric("krypton_gateway_shredding_looked_at_total ").await >= Some(70));
    assert_served(&system.application("acme"), &keys).await;
}

/// The L3 is destroyed by force while it is emptied: nothing opens what is left, but that is not what says that an object was
/// destroyed. A backup of the Core may still bring the L3 back.
#[tokio::test(flavor = "multi_thread")]
async fn an_l3_destroyed_by_force_does_not_close_its_objects() {
    let mut system = System::provision();
    system.renew_per_second(5);
    system.start_both();
    let keys = create_some(&system.application("acme"), 40).await;
    // Nobody waits any more when it is destroyed by force.
    drop(ended(system.krypton(&["rotate", "--tenant", "acme", "--shred", "--wait-seconds", "0"])).await);
    eventually(async || match system.metric("krypton_gateway_shredding_moved_total ").await {
        Some(moved) if moved >= 3 => Ok(()),
        moved => Err(moved),
    })
    .await;
    succeeded(system.krypton(&["rotate", "--tenant", "acme", "--shred", "--force"])).await;
    // The pass goes on through what it had found before.
    let why = "a record cannot be sealed anew";
    eventually(async || system.log("gateway").contains(why).then_some(()).ok_or("nothing is stuck")).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    system.gateway.take().unwrap().stop();
    let store = EmbeddedStore::open(&system.run().join("gateway/store"), EmbeddedLimits::default()).unwrap();
    for (key, _) in &keys {
        let record = store.fetch("acme", key).await.unwrap().unwrap();
        assert!(!record.is_destroyed() && record.sealed.is_some(), "{key} was closed");
    }
}

/// What is left of a destroyed object hangs on an L3, too. Where its service has no other one, it is stuck, and is not sealed
/// anew under the same one again and again.
#[tokio::test(flavor = "multi_thread")]
async fn without_an_active_l3_shredding_is_stuck_and_does_not_spin() {
    let mut system = System::start();
    let operator = Operator::new(&system);
    operator.add_service("acme", "tapes").await;
    let acme = system.application("acme");
    let key = acme.create_in("of tapes", Some("tapes")).await.unwrap();
    acme.destroy(&key).await.unwrap();
    system.none_pending().await;
    system.gateway.take().unwrap().stop();
    let shred = ["rotate", "--tenant", "acme", "--service", "tapes", "--shred", "--wait-seconds"];
    let told = ended(system.krypton(&[&shred[..], &["1"]].concat())).await;
    assert!(!told.status.success(), "nobody has sealed anything anew");
    let (_, active) = operator.rotate("acme", "tapes").await;
    operator.revoke(&active).await.unwrap();
    system.gateway = Some(system.start_server("gateway"));
    let metric = async |name: &str| system.metric(&format!("krypton_gateway_shredding_{name} ")).await;
    eventually(async || match metric("stuck").await {
        Some(stuck) if stuck > 0 => Ok(()),
        stuck => Err(stuck),
    })
    .await;
    assert_eq!(metric("moved_total").await, Some(0));
    // It says how many transactions there were.
    let anchor = || fs::read(system.run().join("gateway/store/anchor")).unwrap();
    let before = anchor();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(anchor(), before, "something is written again and again");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_gateway_reports_says_nothing_of_another_store_of_the_same_certificate() {
    let system = System::start();
    let keys = create_some(&system.application("acme"), 3).await;
    let other = system.start_gateway_on(2, "embedded");
    let pki = system.run().join("pki");
    let kept = create_some(&Application::new(other.address, &pki, "acme"), 3).await;
    // Its leases and its connection end; its store stays.
    other.stop();
    let told =
        ended(system.krypton(&["rotate", "--tenant", "acme", "--shred", "--wait-seconds", "15"])).await;
    let text = [told.stdout, told.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(!told.status.success() && text.contains("done: 3 sealed anew"), "{text}");
    let other = system.start_gateway_on(2, "embedded");
    succeeded(system.rotate_and_shred()).await;
    assert_served(&system.application("acme"), &keys).await;
    assert_served(&Application::new(other.address, &pki, "acme"), &kept).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_killed_in_the_middle_goes_on() {
    let mut system = System::provision();
    system.renew_per_second(15);
    system.start_both();
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
