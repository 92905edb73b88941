//! Load: what the Gateway answers, and how fast, beside an echo server on the same TLS stack, in one run; look at the ratios.
//!
//! The Gateway is that of `krypton dev` with the store `memory`: metrics and audit on, applications of a tenant, warm keys. Build the
//! release first (`make bench` does). Both servers are processes of their own; load and servers share the processors.
//! `KRYPTON_BENCH_SECONDS` says how long each figure is measured in each of three rounds (default 2), `KRYPTON_BENCH_CONNECTIONS` with
//! how many connections (default: 1, then 64, then 64 at half the load). Arguments pick cases: `cargo bench … --bench load -- Get`
//! measures Get and the echo server. With `KRYPTON_BENCH_KEYS` it measures [many keys](keys) instead: so many.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod echo;
mod keys;
mod load;
mod subject;

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use conformance::stack::Stack;
use tokio::runtime::Runtime;

use crate::echo::Echo;
use crate::load::{Measured, Pace, measure};
use crate::subject::{Subject, create, encrypt, get, prepare};

/// As in the servers.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

const ROUNDS: usize = 3;
const MANY: usize = 64;

fn main() {
    if echo::serve_if_asked() {
        return;
    }
    let krypton = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("krypton");
    if !krypton.is_file() {
        println!("load: skipped, {} is not built (make bench does it)", krypton.display());
        return;
    }
    let runtime = Runtime::new().unwrap();
    if let Some(many) = setting("KRYPTON_BENCH_KEYS") {
        return runtime.block_on(keys::run(&krypton, many));
    }
    let stack = Stack::start(&krypton).unwrap();
    let gateway = stack.gateway(Duration::from_secs(5));
    let pki = gateway.credentials.ca.parent().unwrap().to_owned();
    run(&runtime, Subject::gateway(&gateway.address, &pki), &pki);
}

fn run(runtime: &Runtime, gateway: Subject, pki: &Path) {
    let key = runtime.block_on(prepare(&gateway));
    let (get, encrypt) = (get(&key), encrypt(&key));
    let (echo, resting_echo) = (Echo::start(pki, false), Echo::start(pki, true));
    let bare = Subject::echo(&echo, pki);
    let wiping = Subject::echo(&resting_echo, pki);
    let picked: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let create = create();
    let mut cases = vec![
        ("echo", &bare, &get),
        ("echo, wiping stacks", &wiping, &get),
        ("Get", &gateway, &get),
        ("Encrypt 64 B", &gateway, &encrypt),
        ("Create", &gateway, &create),
    ];
    cases.retain(|(name, ..)| {
        picked.is_empty() || *name == "echo" || picked.iter().any(|picked| picked == name)
    });
    if let Some(connections) = setting("KRYPTON_BENCH_CONNECTIONS") {
        let measured = rounds(runtime, &cases, |_| Pace::closed(connections));
        print_table(&format!("as fast as {connections} connections go"), &measured);
        return;
    }
    for connections in [1, MANY] {
        let measured = rounds(runtime, &cases, |_| Pace::closed(connections));
        print_table(&format!("as fast as {connections} connections go"), &measured);
        if connections == MANY {
            let half = measured[0].1.rate() / 2.0;
            let measured = rounds(runtime, &cases, |_| Pace::open(connections, half));
            print_table(
                &format!("half of that load of the echo server, {connections} connections"),
                &measured,
            );
        }
    }
}

fn setting<T: FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

/// Measures the cases in turn, several times: what disturbs, disturbs all.
fn rounds<'c>(
    runtime: &Runtime,
    cases: &[(&'c str, &Subject, &Vec<u8>)],
    pace: impl Fn(&Subject) -> Pace,
) -> Vec<(&'c str, Measured)> {
    let seconds = setting("KRYPTON_BENCH_SECONDS").unwrap_or(2.0);
    let mut all: Vec<_> = cases.iter().map(|(name, ..)| (*name, Measured::default())).collect();
    for _ in 0..ROUNDS {
        for ((_, subject, message), (_, measured)) in cases.iter().zip(&mut all) {
            let duration = Duration::from_secs_f64(seconds);
            measured.add(runtime.block_on(measure(subject, message, pace(subject), duration)));
        }
    }
    all
}

fn print_table(title: &str, measured: &[(&str, Measured)]) {
    println!("\n{title}");
    println!(
        "{:22} {:>10} {:>8} {:>9} {:>9} {:>9} {:>8} {:>8} {:>12}",
        "", "answers/s", "of echo", "p50 us", "p99 us", "p99.9 us", "p50 x", "p99 x", "CPU us each"
    );
    let echo = &measured[0].1;
    for (name, of) in measured {
        println!(
            "{name:22} {:>10.0} {:>7.0}% {:>9.1} {:>9.1} {:>9.1} {:>8.2} {:>8.2} {:>12.2}",
            of.rate(),
            100.0 * of.rate() / echo.rate(),
            of.microseconds(0.5),
            of.microseconds(0.99),
            of.microseconds(0.999),
            of.microseconds(0.5) / echo.microseconds(0.5),
            of.microseconds(0.99) / echo.microseconds(0.99),
            of.processor_microseconds(),
        );
    }
}
