//! Many keys: what Get and Locate cost at the client where a tenant has so many, beside a few, over TLS and with everything on.
//!
//! The Gateway is that of `krypton dev` with the store `embedded`. It keeps 10,000 opened keys (`maximum_keys`) and asks the Core for
//! one that it has not, whatever the number of keys: cold ones are compared with cold ones.

use std::path::Path;
use std::time::{Duration, Instant};

use bytestring::ByteString;
use conformance::stack::Stack;
use kmip_net::ClientConnection;

use crate::subject::{Subject, create_named, get, identifiers, locate, secret};

/// All of them stay open.
const FEW: usize = 1_000;
/// Twice as many as stay open: whatever is in the first half is cold when the second has been made.
const SOME: usize = 20_000;
/// Measured one after the other, on one connection.
const CALLS: usize = 2_000;
/// Creates in one message, and connections that send them, while the store is filled.
const BATCH: usize = 50;
const WRITERS: usize = 16;
/// Spreads calls over all keys; a prime, so that each is asked for once.
const STRIDE: usize = 7_919_317;

pub(crate) async fn run(krypton: &Path, many: usize) {
    let many = many.max(2 * SOME);
    let stack = Stack::start_with_store(krypton, "embedded").unwrap();
    let gateway = stack.gateway(Duration::from_secs(5));
    let pki = gateway.credentials.ca.parent().unwrap().to_owned();
    let gateway = Subject::gateway(&gateway.address, &pki);
    let mut connection = gateway.client.open().await.unwrap();
    let mut keys = Vec::new();

    fill(&gateway, &mut keys, FEW).await;
    // The first Get of a key is a commit: it is not Fresh any more.
    Times::of(&gateway, &mut connection, |call| get(&keys[call % FEW])).await;
    let warm = Times::of(&gateway, &mut connection, |call| get(&keys[call % FEW])).await;
    let named = Times::of(&gateway, &mut connection, |call| locate(spread(call, FEW))).await;
    fill(&gateway, &mut keys, SOME).await;
    let cold = Times::of(&gateway, &mut connection, |call| get(&keys[spread(call, SOME / 2)])).await;

    let began = Instant::now();
    fill(&gateway, &mut keys, many).await;
    let rate = (many - SOME) as f64 / began.elapsed().as_secs_f64();
    println!("\n{many} keys of one tenant, made at {rate:.0} a second by {WRITERS} connections");
    println!("{:44} {:>9} {:>9} {:>9} {:>9} {:>6}", "", "p50 us", "p99 us", "p50 us", "p99 us", "p50 x");
    let cold_of_many =
        Times::of(&gateway, &mut connection, |call| get(&keys[spread(call, many - SOME)])).await;
    cold.print("Get, the first of each key", &cold_of_many);
    // The same thousand, until they are open again.
    Times::of(&gateway, &mut connection, |call| get(&keys[call % FEW])).await;
    let warm_of_many = Times::of(&gateway, &mut connection, |call| get(&keys[call % FEW])).await;
    warm.print("Get, a thousand keys again and again", &warm_of_many);
    let named_of_many = Times::of(&gateway, &mut connection, |call| locate(spread(call, many))).await;
    named.print("Locate by name", &named_of_many);
}

fn spread(call: usize, keys: usize) -> usize {
    call * STRIDE % keys
}

/// What calls took, from send to answer.
struct Times(Vec<Duration>);

impl Times {
    async fn of(
        gateway: &Subject,
        connection: &mut ClientConnection,
        message: impl Fn(usize) -> Vec<u8>,
    ) -> Self {
        let mut times = Vec::with_capacity(CALLS);
        for call in 0..CALLS {
            let message = secret(&message(call));
            let sent = Instant::now();
            let answer = connection.exchange(message).await.unwrap();
            times.push(sent.elapsed());
            gateway.check(&answer);
        }
        times.sort_unstable();
        Self(times)
    }

    fn microseconds(&self, share: f64) -> f64 {
        self.0[(CALLS as f64 * share) as usize].as_secs_f64() * 1e6
    }

    /// Beside those of many keys.
    fn print(&self, what: &str, many: &Self) {
        let [few_median, few_slow, median, slow] = [(self, 0.5), (self, 0.99), (many, 0.5), (many, 0.99)]
            .map(|(times, share)| times.microseconds(share));
        println!(
            "{what:44} {few_median:>9.1} {few_slow:>9.1} {median:>9.1} {slow:>9.1} {:>6.2}",
            median / few_median
        );
    }
}

/// Makes keys until there are so many; each is named after its place.
async fn fill(gateway: &Subject, keys: &mut Vec<ByteString>, until: usize) {
    let places: Vec<_> = (keys.len()..until).collect();
    let mut writers = Vec::new();
    for part in places.chunks(places.len().div_ceil(WRITERS)) {
        let (mut connection, part) = (gateway.client.open().await.unwrap(), part.to_vec());
        writers.push(tokio::spawn(async move {
            let mut made = Vec::with_capacity(part.len());
            for places in part.chunks(BATCH) {
                let answer = connection.exchange(secret(&create_named(places))).await.unwrap();
                made.extend(identifiers(&answer));
            }
            connection.close().await;
            made
        }));
    }
    for writer in writers {
        keys.extend(writer.await.unwrap());
    }
}
