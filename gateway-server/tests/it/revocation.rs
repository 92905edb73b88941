//! Revoke means revoked: three Gateways under load, and not one use of a key after its Revoke was answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytestring::ByteString;
use tokio::task::JoinSet;

use crate::application::{Application, Failure};
use crate::operator::Operator;
use crate::system::{Server, System, rounds};

const GATEWAYS: usize = 3;

/// What a worker does in turn.
const OPERATIONS: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_used_after_its_revoke_was_answered() {
    let (system, gateways) = three_gateways();
    let operator = Operator::new(&system);
    let others = Bystanders::start(&system, &gateways).await;
    let mut delays = Vec::new();
    for round in 0..rounds(10, 200) {
        let service = format!("round-{round}");
        let key = operator.add_service("acme", &service).await;
        delays.push(revoke_under_load(&system, &gateways, &operator, &service, &key).await);
    }
    assert!(others.stop().await > 0, "the bystanders did nothing: the test proves nothing");
    delays.sort();
    let at = |part: usize| delays[(delays.len() - 1) * part / 100];
    println!(
        "Revoke to last success over {} rounds: p50 {:?}, p99 {:?}, max {:?}",
        delays.len(),
        at(50),
        at(99),
        at(100)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_root_closes_the_tenant_and_no_other() {
    let (system, gateways) = three_gateways();
    let operator = Operator::new(&system);
    let acme = application(&system, &gateways[0], "acme");
    let globex = application(&system, &gateways[0], "globex");
    let closed = acme.create("closed").await.unwrap();
    let open = globex.create("open").await.unwrap();
    operator.revoke(&operator.root("acme").await).await.unwrap();
    acme.get(&closed).await.unwrap_err();
    acme.create("late").await.unwrap_err();
    assert!(globex.get(&open).await.is_ok());
    // What needs no key still goes.
    acme.destroy(&closed).await.unwrap();
}

/// A Gateway that is cut off cannot be told. It stops by itself, and the Revoke waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_cut_off_delays_the_answer_by_its_lease() {
    let (system, gateways) = three_gateways();
    let operator = Operator::new(&system);
    let key = operator.add_service("acme", "cut-off").await;
    let application = application(&system, &gateways[0], "acme");
    let data_key = application.create_in("cut-off", Some("cut-off")).await.unwrap();
    assert!(application.get(&data_key).await.is_ok());
    gateways[0].pause();
    let revoked = Instant::now();
    operator.revoke(&key).await.unwrap();
    let waited = revoked.elapsed();
    gateways[0].resume();
    let late = application.get(&data_key).await;
    assert!(late.is_err(), "served after the Revoke was answered (after {waited:?})");
}

/// Loads all Gateways with work under one L3, revokes it in the middle, and judges. Returns how long after the Revoke was sent
/// the last use succeeded.
async fn revoke_under_load(
    system: &System,
    gateways: &[Server],
    operator: &Operator,
    service: &str,
    key: &ByteString,
) -> Duration {
    let started = Instant::now();
    let answered = Arc::new(AtomicU64::new(u64::MAX));
    let ended = Arc::new(AtomicBool::new(false));
    let mut workers = JoinSet::new();
    let busy = Arc::new(AtomicU64::new(0));
    for (number, gateway) in gateways.iter().enumerate() {
        let application = application(system, gateway, "acme");
        let data_key = application.create_in(&format!("{service}-{number}"), Some(service)).await.unwrap();
        application.activate(&data_key).await.unwrap();
        let (answered, ended, busy) = (answered.clone(), ended.clone(), busy.clone());
        let service = service.to_owned();
        workers.spawn(async move {
            let mut last_success = Duration::ZERO;
            for turn in 0.. {
                if ended.load(Ordering::Acquire) {
                    break;
                }
                let sent = started.elapsed();
                if use_key(&application, &data_key, &service, number, turn).await.is_ok() {
                    busy.fetch_add(1, Ordering::Relaxed);
                    last_success = started.elapsed();
                    let answered = Duration::from_nanos(answered.load(Ordering::Acquire));
                    assert!(sent <= answered, "used {:?} after the Revoke was answered", sent - answered);
                }
            }
            last_success
        });
    }
    while busy.load(Ordering::Relaxed) < 60 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let sent = started.elapsed();
    operator.revoke(key).await.unwrap();
    answered.store(u64::try_from(started.elapsed().as_nanos()).unwrap(), Ordering::Release);
    // Long enough for every worker to try everything again.
    tokio::time::sleep(Duration::from_millis(30)).await;
    ended.store(true, Ordering::Release);
    let mut last = Duration::ZERO;
    while let Some(success) = workers.join_next().await {
        last = last.max(success.unwrap());
    }
    last.saturating_sub(sent)
}

async fn use_key(
    application: &Application,
    key: &str,
    service: &str,
    number: usize,
    turn: usize,
) -> Result<(), Failure> {
    match turn % OPERATIONS {
        0 => application.get(key).await.map(drop),
        1 => application.encrypt(key, &[7; 64]).await.map(drop),
        2 => application.decrypt(key, &[7; 64]).await.map(drop),
        _ => application.create_in(&format!("{service}-{number}-{turn}"), Some(service)).await.map(drop),
    }
}

/// Another tenant that works all the time and must not lose a request.
struct Bystanders {
    ended: Arc<AtomicBool>,
    workers: JoinSet<u64>,
}

impl Bystanders {
    async fn start(system: &System, gateways: &[Server]) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let mut workers = JoinSet::new();
        for (number, gateway) in gateways.iter().enumerate() {
            let application = application(system, gateway, "globex");
            let key = application.create(&format!("bystander-{number}")).await.unwrap();
            let ended = ended.clone();
            workers.spawn(async move {
                let mut served = 0;
                while !ended.load(Ordering::Acquire) {
                    application.get(&key).await.expect("a bystander lost a request");
                    served += 1;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                served
            });
        }
        Self { ended, workers }
    }

    async fn stop(mut self) -> u64 {
        self.ended.store(true, Ordering::Release);
        let mut served = 0;
        while let Some(more) = self.workers.join_next().await {
            served += more.unwrap();
        }
        served
    }
}

fn application(system: &System, gateway: &Server, client: &str) -> Application {
    Application::new(gateway.address, &system.run().join("pki"), client)
}

fn three_gateways() -> (System, Vec<Server>) {
    let mut system = System::provision();
    system.core = Some(system.start_server("core"));
    let gateways = (0..GATEWAYS).map(|number| system.start_another_gateway(number)).collect();
    (system, gateways)
}
