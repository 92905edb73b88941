//! Revoke means revoked: three Gateways under load, and not one use of a key after its Revoke was answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytestring::ByteString;
use tokio::task::JoinSet;

use crate::application::{Application, Failure};
use crate::delays::Delays;
use crate::operator::Operator;
use crate::partition::Wire;
use crate::system::{Server, System, eventually, rounds};

const GATEWAYS: usize = 3;

/// What a worker does in turn: what needs no more than an opened key first, then what needs the Core.
const WARM_OPERATIONS: usize = 3;
const OPERATIONS: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_used_after_its_revoke_was_answered() {
    let (system, gateways) = three_gateways();
    let operator = Operator::new(&system);
    let others = Bystanders::start(&system, &gateways).await;
    // A Core that has just started waits for leases from before: that is measured elsewhere.
    operator.revoke(&operator.add_service("acme", "first").await).await.unwrap();
    let mut delays = Delays::default();
    for round in 0..rounds(10, 200) {
        let service = format!("round-{round}");
        let key = operator.add_service("acme", &service).await;
        let load = Load::start(&system, &gateways, &service).await;
        load.wait(40 * GATEWAYS).await;
        let (last_success, answer) = load.revoke(&operator, &key).await;
        delays.note(last_success, answer);
    }
    assert!(others.stop().await > 0, "the bystanders did nothing: the test proves nothing");
    delays.print("connected");
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

/// A Gateway that is cut off cannot be told. It stops by itself, and the Revoke waits for it, no longer than the lease.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_stopped_delays_the_answer_by_its_lease() {
    let mut system = System::provision();
    short_leases(&mut system);
    let gateways = [system.start_another_gateway(0), system.start_another_gateway(1)];
    let operator = Operator::new(&system);
    let mut delays = Delays::default();
    for round in 0..rounds(2, 100) {
        let service = format!("stopped-{round}");
        let key = operator.add_service("acme", &service).await;
        let load = Load::start(&system, &gateways, &service).await;
        load.wait(40).await;
        gateways[0].pause();
        let ((last_success, answer), ()) = tokio::join!(load.revoke(&operator, &key), async {
            // It goes on long after its lease has ended.
            tokio::time::sleep(2 * LEASE).await;
            gateways[0].resume();
        });
        assert!(answer <= LEASE + ALLOWANCE, "the answer took {answer:?}");
        delays.note(last_success, answer);
    }
    delays.print("one Gateway stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_behind_a_cut_wire_serves_no_longer_than_its_lease() {
    let mut system = System::provision();
    short_leases(&mut system);
    let wire = Wire::to(system.core.as_ref().unwrap().address).await;
    let connected = system.start_another_gateway(0);
    system.set("gateway", &format!("core.client.address = \"{}\"", wire.address));
    let gateways = [connected, system.start_another_gateway(1)];
    let operator = Operator::new(&system);
    let mut delays = Delays::default();
    for round in 0..rounds(2, 100) {
        let service = format!("cut-{round}");
        let key = operator.add_service("acme", &service).await;
        let load = Load::start(&system, &gateways, &service).await;
        load.wait(40).await;
        wire.cut();
        let (last_success, answer) = load.revoke(&operator, &key).await;
        wire.mend();
        assert!(answer <= LEASE + ALLOWANCE, "the answer took {answer:?}");
        delays.note(last_success, answer);
    }
    assert!(delays.longest_success() <= LEASE, "served for longer than its lease");
    assert!(
        delays.longest_success() > LEASE / 10,
        "the Gateway behind the wire served nothing: it proves nothing"
    );
    delays.print("one Gateway behind a cut wire");
}

/// The lease in the tests that wait for it.
const LEASE: Duration = Duration::from_secs(1);

/// What the Core allows for slow clocks, and a test for a busy machine.
const ALLOWANCE: Duration = Duration::from_secs(2);

fn short_leases(system: &mut System) {
    system.set("core", "requests.lease_time_seconds = 1\nrequests.longest_lease_seconds = 1");
    system.set("gateway", "core.client.request_timeout_seconds = 1");
    system.core = Some(system.start_server("core"));
}

/// All Gateways at work under one L3, each with an application of its own.
pub struct Load {
    started: Instant,
    answered: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    uses: Vec<Arc<AtomicU64>>,
    workers: JoinSet<Duration>,
}

impl Load {
    pub async fn start(system: &System, gateways: &[Server], service: &str) -> Self {
        let mut load = Self {
            started: Instant::now(),
            answered: Arc::new(AtomicU64::new(u64::MAX)),
            ended: Arc::default(),
            uses: Vec::new(),
            workers: JoinSet::new(),
        };
        for (number, gateway) in gateways.iter().enumerate() {
            let application = application(system, gateway, "acme");
            // A Gateway that was cut off a moment ago may have to find its way back first.
            let name = format!("{service}-{number}");
            let key = eventually(async || application.create_in(&name, Some(service)).await).await;
            application.activate(&key).await.unwrap();
            // Two, since one that waits for the Core would hide what is served without it.
            let warm = self::application(system, gateway, "acme");
            load.employ(warm, key.clone(), name.clone(), service.to_owned(), WARM_OPERATIONS);
            load.employ(application, key, name, service.to_owned(), OPERATIONS);
        }
        load
    }

    fn employ(
        &mut self,
        application: Application,
        key: ByteString,
        name: String,
        service: String,
        operations: usize,
    ) {
        let uses = Arc::new(AtomicU64::new(0));
        self.uses.push(uses.clone());
        let (started, answered, ended) = (self.started, self.answered.clone(), self.ended.clone());
        self.workers.spawn(async move {
            let mut last_success = Duration::ZERO;
            for turn in 0.. {
                if ended.load(Ordering::Acquire) {
                    break;
                }
                let sent = started.elapsed();
                let operation = turn % operations;
                if use_key(&application, &key, &service, &format!("{name}-{turn}"), operation).await.is_ok() {
                    uses.fetch_add(1, Ordering::Relaxed);
                    last_success = sent;
                    let answered = Duration::from_nanos(answered.load(Ordering::Acquire));
                    assert!(sent <= answered, "used {:?} after the Revoke was answered", sent - answered);
                }
            }
            last_success
        });
    }

    /// Waits until as many uses have succeeded, on each Gateway its part.
    pub async fn wait(&self, uses: usize) {
        let part = u64::try_from(uses / self.uses.len()).unwrap();
        while self.uses.iter().any(|uses| uses.load(Ordering::Relaxed) < part) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Revokes the L3 in the middle of it, and judges. Returns how long after the Revoke was sent the last request was sent that
    /// succeeded, and how long the answer took.
    pub async fn revoke(mut self, operator: &Operator, key: &ByteString) -> (Duration, Duration) {
        let sent = self.started.elapsed();
        operator.revoke(key).await.unwrap();
        let answered = self.started.elapsed();
        self.answered.store(u64::try_from(answered.as_nanos()).unwrap(), Ordering::Release);
        // Long enough for every worker to try everything again.
        tokio::time::sleep(Duration::from_millis(30)).await;
        self.ended.store(true, Ordering::Release);
        let mut last = Duration::ZERO;
        while let Some(success) = self.workers.join_next().await {
            last = last.max(success.unwrap());
        }
        (last.saturating_sub(sent), answered - sent)
    }
}

async fn use_key(
    application: &Application,
    key: &str,
    service: &str,
    name: &str,
    operation: usize,
) -> Result<(), Failure> {
    match operation {
        0 => application.get(key).await.map(drop),
        1 => application.encrypt(key, &[7; 64]).await.map(drop),
        2 => application.decrypt(key, &[7; 64]).await.map(drop),
        _ => application.create_in(name, Some(service)).await.map(drop),
    }
}

/// Bystanders use what is open, mostly; now and then they need the Core.
const GETS_PER_CREATE: u64 = 16;

/// Another tenant that works all the time and must not lose a request.
pub struct Bystanders {
    ended: Arc<AtomicBool>,
    workers: JoinSet<u64>,
}

impl Bystanders {
    pub async fn start(system: &System, gateways: &[Server]) -> Self {
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
                    if served % GETS_PER_CREATE == 0 {
                        let made = application.create(&format!("bystander-{number}-{served}")).await;
                        made.expect("a bystander lost a Create");
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                served
            });
        }
        Self { ended, workers }
    }

    pub async fn stop(mut self) -> u64 {
        self.ended.store(true, Ordering::Release);
        let mut served = 0;
        while let Some(more) = self.workers.join_next().await {
            served += more.unwrap();
        }
        served
    }
}

pub fn application(system: &System, gateway: &Server, client: &str) -> Application {
    Application::new(gateway.address, &system.run().join("pki"), client)
}

fn three_gateways() -> (System, Vec<Server>) {
    let mut system = System::provision();
    system.core = Some(system.start_server("core"));
    let gateways = (0..GATEWAYS).map(|number| system.start_another_gateway(number)).collect();
    (system, gateways)
}
