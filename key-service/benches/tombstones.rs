//! What it costs a Core to look for the tombstones of a batch: one by one, and all at once.
//!
//! Prints the median time of each in microseconds for batches of 1, 16 and 256, and the ratio, on `embedded` and on a
//! PostgreSQL of its own if one is installed. None of the objects is buried, as nearly always.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytestring::ByteString;
use key_service::port::Store;
use key_service::store::{self, Purpose, StoreSettings};

const ROUNDS: usize = 200;
const PLOT: &str = "tombstones/acme/default";

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(measure("embedded", "embedded"));
    if Path::new("/usr/lib/postgresql").exists() {
        let postgres = test_servers::Postgres::start();
        runtime.block_on(measure("postgres", &postgres.database()));
    }
}

async fn measure(kind: &str, url: &str) {
    let folder = tempfile::tempdir().unwrap();
    let settings = StoreSettings::new(folder.path().to_owned(), Purpose::Core);
    let store: Arc<dyn Store> = store::open(&url.parse().unwrap(), &settings).await.unwrap();
    println!("{kind:<12} {:>6} {:>14} {:>14} {:>8}", "batch", "one by one", "all at once", "ratio");
    for size in [1, 16, 256] {
        let (mut singly, mut together) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let objects: Vec<ByteString> =
                (0..size).map(|number| ByteString::from(format!("{round}-{number}"))).collect();
            let started = Instant::now();
            for object in &objects {
                assert!(store.fetch(PLOT, object).await.unwrap().is_none());
            }
            singly.push(started.elapsed());
            let started = Instant::now();
            assert!(!store.present(PLOT, &objects).await.unwrap().contains(&true));
            together.push(started.elapsed());
        }
        let (singly, together) = (median(singly), median(together));
        println!("{:<12} {size:>6} {singly:>11.1} us {together:>11.1} us {:>8.1}", "", singly / together);
    }
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}
