//! Two Cores on one PostgreSQL, each with a Gateway: what is revoked, destroyed or closed at one binds both before it is answered,
//! whatever has become of the other; and without the database neither of them uses a key.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use bytestring::ByteString;
use key_service::chain::gateway_object;
use kmip_protocol::enumeration::ResultReason;
use test_servers::Postgres;

use crate::application::{Application, Failure};
use crate::backup::copy;
use crate::delays::Delays;
use crate::operator::Operator;
use crate::revocation::{Bystanders, Load, application};
use crate::system::{Server, System, eventually, program, rounds};

const MEMBERSHIP: Duration = Duration::from_secs(2);
const LEASE: Duration = Duration::from_secs(1);

/// What clocks and messages may add to the times above.
const SLACK: Duration = Duration::from_secs(2);

struct Region {
    postgres: Postgres,
    database: String,
    system: System,
    cores: Vec<Server>,
    gateways: Vec<Server>,
}

/// The Gateways at the two Cores.
const GATEWAYS: [&str; 2] = ["gateway-a", "gateway-b"];

impl Region {
    fn start() -> Self {
        let postgres = Postgres::start();
        let system = System::provision();
        system.name_gateways(&GATEWAYS.map(str::to_owned));
        // Short: a root that refuses is found by the Core that is asked, or by a probe of its own after a while.
        system.set("core", "policy.poll_interval_seconds = 3600\nroots.probe_interval_seconds = 3600");
        let database = postgres.create_database();
        let url = format!("{}?statement_timeout_seconds=1&connect_timeout=1", postgres.url(&database));
        let configurations = [0, 1].map(|number| core_configuration(&system, &url, number));
        let cores = configurations.map(|configuration| system.start_with("core", &configuration)).into();
        let mut region = Self { postgres, database, system, cores, gateways: Vec::new() };
        for tenant in ["acme", "globex"] {
            add_tenant(&region.system, &region.cores[0], tenant);
        }
        region.gateways = [0, 1].map(|number| region.start_gateway(number, "memory")).into();
        region
    }

    /// Starts the Gateway of a Core on a store.
    fn start_gateway(&self, number: usize, store: &str) -> Server {
        self.system.set("gateway", &format!("core.client.address = \"{}\"", self.cores[number].address));
        self.system.start_named_gateway_on(GATEWAYS[number], number, store)
    }

    /// The number of members with a condition.
    fn members(&self, condition: &str) -> u64 {
        let sql = format!("SELECT count(*) FROM krypton_members WHERE {condition}");
        self.postgres.sql(&self.database, &sql).parse().unwrap()
    }

    /// Waits until a Core has written down that something is closed: an older database is noticed there, too.
    async fn await_ledger(&self, core: usize, namespace: &str, object: &str) {
        let path = self.system.run().join(format!("core-{core}/ledger"));
        eventually(async || {
            let ledger = std::fs::read_to_string(&path).unwrap();
            let mut lines = ledger.lines().map(|line| line.split(' ').collect::<Vec<_>>());
            match lines.any(
                |line| matches!(line[..], ["closed", of, _, closed] if of == namespace && closed == object),
            ) {
                true => Ok(()),
                false => Err("it is not in the ledger"),
            }
        })
        .await;
    }

    fn operator(&self, core: usize) -> Operator {
        Operator::at(&self.system, self.cores[core].address)
    }

    fn acme(&self, gateway: usize) -> Application {
        application(&self.system, &self.gateways[gateway], "acme")
    }

    /// A service, and a data key of it at each Gateway that has been used there.
    async fn service(&self, name: &str) -> (ByteString, [ByteString; 2]) {
        let key = self.operator(0).add_service("acme", name).await;
        let mut data_keys = [0, 1].map(|_| ByteString::new());
        for (gateway, data_key) in data_keys.iter_mut().enumerate() {
            let acme = self.acme(gateway);
            *data_key = eventually(async || acme.create_in(name, Some(name)).await).await;
            assert!(acme.get(data_key).await.is_ok());
        }
        (key, data_keys)
    }
}

/// The configuration of a Core: alike but for its ports and its own folder; the development roots are the same files.
fn core_configuration(system: &System, store: &str, number: usize) -> PathBuf {
    let text = std::fs::read_to_string(system.run().join("core.toml")).unwrap();
    let mut configuration: toml::Table = text.parse().unwrap();
    for listener in ["listen", "admin_listen"] {
        configuration.insert(listener.to_owned(), "127.0.0.1:0".into());
    }
    configuration.insert("store".to_owned(), store.into());
    let folder = system.run().join(format!("core-{number}"));
    configuration.insert("state_directory".to_owned(), folder.to_str().unwrap().into());
    let section = |text: String| toml::Value::Table(text.parse().unwrap());
    configuration
        .insert("cores".to_owned(), section(format!("membership_seconds = {}", MEMBERSHIP.as_secs())));
    let lease = LEASE.as_secs();
    let requests = section(format!("lease_time_seconds = {lease}\nlongest_lease_seconds = {lease}"));
    configuration.insert("requests".to_owned(), requests);
    let roots = configuration["roots"].as_table_mut().unwrap();
    let software = system.run().join("core/l1");
    roots.insert("software_directory".to_owned(), software.to_str().unwrap().into());
    let path = system.run().join(format!("core-{number}.toml"));
    std::fs::write(&path, configuration.to_string()).unwrap();
    path
}

/// The operator's command line at a Core: what it prints, and what it says besides.
fn krypton(system: &System, core: &Server, arguments: &[&str]) -> (String, String) {
    let pki = system.run().join("pki");
    let output = Command::new(program("krypton"))
        .current_dir(system.run())
        .args(["--core", &core.address.to_string(), "--ca"])
        .arg(pki.join("ca.pem"))
        .arg("--cert")
        .arg(pki.join("clients/operator.pem"))
        .arg("--key")
        .arg(pki.join("clients/operator.key"))
        .args(arguments)
        .output()
        .unwrap();
    let [printed, said] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{arguments:?}: {said}");
    (printed, said)
}

fn add_tenant(system: &System, core: &Server, tenant: &str) {
    krypton(system, core, &["tenant", "add", tenant, "--l1", &format!("software:{tenant}")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_at_one_core_binds_the_other_before_it_is_answered() {
    let region = Region::start();
    let mut delays = Delays::default();
    for round in 0..rounds(6, 100) {
        let (service, core) = (format!("round-{round}"), round % 2);
        let operator = region.operator(core);
        let key = operator.add_service("acme", &service).await;
        let load = Load::start(&region.system, &region.gateways, &service).await;
        load.wait(60).await;
        let (last_success, answer) = load.revoke(&operator, &key).await;
        delays.note(last_success, answer);
    }
    delays.print("two Cores");
    // A whole tenant, too.
    let (acme, globex) = (region.acme(1), application(&region.system, &region.gateways[1], "globex"));
    let (closed, open) = (acme.create("closed").await.unwrap(), globex.create("open").await.unwrap());
    let root = region.operator(1).root("acme").await;
    region.operator(0).revoke(&root).await.unwrap();
    region.await_ledger(1, "region", &root).await;
    acme.get(&closed).await.unwrap_err();
    acme.create("late").await.unwrap_err();
    assert!(globex.get(&open).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_core_that_is_stopped_delays_the_answer_by_its_membership_and_lease() {
    let region = Region::start();
    let (key, data_keys) = region.service("stopped").await;
    let others = region.service("others").await;
    region.cores[1].pause();
    let asked = Instant::now();
    region.operator(0).revoke(&key).await.unwrap();
    let waited = asked.elapsed();
    assert!(waited <= MEMBERSHIP + LEASE + SLACK, "answered after {waited:?}");
    // Its Gateway had a lease when it was stopped: that has ended by now.
    region.acme(1).get(&data_keys[1]).await.unwrap_err();
    region.cores[1].resume();
    for _ in 0..20 {
        region.acme(1).get(&data_keys[1]).await.unwrap_err();
        region.acme(1).create_in("late", Some("stopped")).await.unwrap_err();
    }
    // It is a member again, and serves what was not revoked.
    eventually(async || region.acme(1).get(&others.1[1]).await).await;
    region.acme(1).get(&data_keys[1]).await.unwrap_err();
    println!("Revoke with a Core that is stopped: answered after {waited:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_database_the_cores_use_no_key() {
    let mut region = Region::start();
    let (key, data_keys) = region.service("cut-off").await;
    for is_paused in [true, false] {
        if is_paused {
            region.postgres.pause();
        } else {
            region.postgres.kill9();
        }
        let cut = Instant::now();
        // A Revoke is not answered as done where nobody can know.
        region.operator(0).revoke(&key).await.unwrap_err();
        let closed = MEMBERSHIP + LEASE + SLACK;
        tokio::time::sleep(closed.saturating_sub(cut.elapsed())).await;
        for (gateway, data_key) in data_keys.iter().enumerate() {
            region.acme(gateway).get(data_key).await.unwrap_err();
            region.acme(gateway).create("never").await.unwrap_err();
        }
        if is_paused {
            region.postgres.resume();
        } else {
            region.postgres.restart();
        }
        for gateway in [0, 1] {
            eventually(async || region.acme(gateway).create_in(&format!("{is_paused}"), None).await).await;
        }
    }
    // Whether the Revokes that failed have happened or not, one that is answered binds both.
    eventually(async || region.operator(1).revoke(&key).await).await;
    for (gateway, data_key) in data_keys.iter().enumerate() {
        region.acme(gateway).get(data_key).await.unwrap_err();
    }
}

/// The Gateway at the other Core works on a copy of the store, and has the key open, when it is destroyed at this one.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_destroyed_at_one_core_is_forgotten_by_the_gateways_of_the_other() {
    let mut region = Region::start();
    region.gateways.clear();
    let stores = [0, 1].map(|number| region.system.run().join(format!("copied-store-{number}")));
    let on = |number: usize| format!("embedded:{}", stores[number].display());
    region.gateways.push(region.start_gateway(0, &on(0)));
    let mut keys = Vec::new();
    for number in 0..rounds(5, 100) {
        keys.push(region.acme(0).create(&format!("destroyed-{number}")).await.unwrap());
    }
    let kept = region.acme(0).create("kept").await.unwrap();
    region.gateways.remove(0).stop();
    copy(&stores[0], &stores[1]);
    region.gateways = [0, 1].map(|number| region.start_gateway(number, &on(number))).into();
    let (here, elsewhere) = (region.acme(0), region.acme(1));
    for key in &keys {
        eventually(async || elsewhere.get(key).await).await;
        here.destroy(key).await.unwrap();
        // It had the key open a moment ago.
        let refused = elsewhere.get(key).await.unwrap_err();
        assert!(matches!(refused, Failure::Refused(ResultReason::ObjectDestroyed, _)), "{refused:?}");
    }
    assert!(elsewhere.get(&kept).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_revoked_at_one_core_is_closed_at_the_other_before_it_is_answered() {
    let region = Region::start();
    let operator = region.operator(0);
    operator.add_service("acme", "expelled").await;
    let others = Bystanders::start(&region.system, &region.gateways[..1]).await;
    let load = Load::start(&region.system, &region.gateways[1..], "expelled").await;
    load.wait(40).await;
    // The other Core looks at the store once an hour: it has to be told.
    let (last_success, answer) = load.revoke(&operator, &gateway_object(GATEWAYS[1])).await;
    assert!(others.stop().await > 0, "the bystanders did nothing: the test proves nothing");
    println!("revoked at the other Core: last use {last_success:?}, answered after {answer:?}");
    region.await_ledger(1, "governance", &gateway_object(GATEWAYS[1])).await;
    // Once more is as good.
    operator.revoke(&gateway_object(GATEWAYS[1])).await.unwrap();
}

/// A root that refuses at one Core closes the tenant at the other, which would look again in an hour.
#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_refuses_at_one_core_closes_the_tenant_at_the_other() {
    let region = Region::start();
    let keys = region.service("closed").await.1;
    let open = application(&region.system, &region.gateways[1], "globex").create("open").await.unwrap();
    std::fs::remove_file(region.system.run().join("core/l1/acme.l1")).unwrap();
    region.operator(0).drill(&region.operator(0).root("acme").await).await.unwrap_err();
    eventually(async || match region.acme(1).get(&keys[1]).await {
        Ok(_) => Err("it is still open"),
        Err(_) => Ok(()),
    })
    .await;
    assert!(application(&region.system, &region.gateways[1], "globex").get(&open).await.is_ok());
}

/// The same where the Core that meets the refusal has nothing of the tenant open, and was asked for something else.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_met_by_a_core_that_opens_the_tenant_closes_it_at_the_other() {
    let mut region = Region::start();
    let keys = region.service("closed").await.1;
    region.gateways.remove(0).stop();
    region.cores.remove(0).stop();
    let core = region.system.start_with("core", &region.system.run().join("core-0.toml"));
    region.cores.insert(0, core);
    assert!(region.acme(0).get(&keys[1]).await.is_ok());
    std::fs::remove_file(region.system.run().join("core/l1/acme.l1")).unwrap();
    region.operator(0).create_service("acme", "late").await.unwrap_err();
    eventually(async || match region.acme(0).get(&keys[1]).await {
        Ok(_) => Err("it is still open"),
        Err(_) => Ok(()),
    })
    .await;
}

/// Somebody deletes the policy in the database that the Cores share.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_whose_record_is_gone_is_shown_as_what_it_is() {
    let region = Region::start();
    let at = |core: usize, arguments: &[&str]| krypton(&region.system, &region.cores[core], arguments);
    std::fs::write(region.system.run().join("all.cedar"), "permit (principal, action, resource);").unwrap();
    let sign = ["policy", "sign", "all.cedar", "--policy-version", "3", "--out", "bundle"];
    let key = ["--signing-key", "pki/policy/headquarters.key", "--region", "*"];
    at(0, &[&sign[..], &key].concat());
    at(0, &["policy", "apply", "bundle"]);
    let shown = |core| {
        let (printed, said) = at(core, &["--json", "policy", "show"]);
        let told: serde_json::Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(told["version"], "3");
        (told["stored"].as_str().unwrap().to_owned(), said)
    };
    assert_eq!([0, 1].map(shown), [0, 1].map(|_| ("in force".to_owned(), String::new())));
    let delete = "DELETE FROM krypton_records WHERE unique_identifier = 'policy:bundle'";
    region.postgres.sql(&region.database, delete);
    for (stored, said) in [0, 1].map(shown) {
        assert_eq!(stored, "missing");
        assert!(said.contains("missing in the Core's store"), "{said}");
    }
    assert!(at(1, &["policy", "show"]).0.contains("permit (principal, action, resource);"));
    // Applied again, the store is right again.
    at(1, &["policy", "apply", "bundle"]);
    assert_eq!(shown(0).0, "in force");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_core_that_is_stopped_properly_leaves_the_region() {
    let mut region = Region::start();
    let (key, data_keys) = region.service("left").await;
    assert_eq!(region.members("membership_milliseconds > 0"), 2);
    region.cores.remove(1).stop();
    // Its Gateway may hold a lease yet: that is all that anybody waits for.
    assert_eq!(region.members("membership_milliseconds > 0"), 1);
    region.operator(0).revoke(&key).await.unwrap();
    region.acme(1).get(&data_keys[1]).await.unwrap_err();
    eventually(async || match region.members("true") {
        1 => Ok(()),
        members => Err(members),
    })
    .await;
}
