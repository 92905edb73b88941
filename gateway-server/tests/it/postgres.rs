//! Gateways on a PostgreSQL that they share.

use test_servers::{Postgres, Server};

use crate::backup::{Backups, what_was_destroyed_stays_destroyed};
use crate::edited_store::{Bits, edited_records_are_refused, flipped_bits_are_refused};
use crate::shared_store::{Database, kills_lose_nothing, outages_are_survived, states_never_move_backwards};
use crate::shredding::{Index, what_the_index_lacks_is_buried, what_the_index_lacks_is_not_lost};
use crate::system::{System, eventually};

/// A database of a server of its own.
struct OnPostgres {
    server: Postgres,
    name: String,
}

impl OnPostgres {
    fn start() -> Self {
        let server = Postgres::start();
        let name = server.create_database();
        Self { server, name }
    }
}

impl Database for OnPostgres {
    fn url(&self) -> String {
        self.server.url(&self.name)
    }

    fn server(&mut self) -> &mut Server {
        &mut self.server
    }
}

/// What `pg_dump` writes.
impl Backups for OnPostgres {
    type Backup = Vec<u8>;

    fn back_up(&mut self, _: &mut System, _: &str) -> Vec<u8> {
        self.server.dump(&self.name)
    }

    fn restore(&mut self, _: &mut System, backup: &Vec<u8>) {
        self.server.restore(&self.name, backup);
    }
}

impl Bits for OnPostgres {
    fn record_bytes(&self, tenant: &str, key: &str) -> Vec<usize> {
        let record = format!("tenant = '{tenant}' AND unique_identifier = '{key}'");
        let length = format!("SELECT length(record) FROM krypton_records WHERE {record}");
        (0..self.server.sql(&self.name, &length).parse().unwrap()).collect()
    }

    fn flip(&self, tenant: &str, key: &str, bit: usize) {
        let record = format!("tenant = '{tenant}' AND unique_identifier = '{key}'");
        let flipped = format!("set_bit(record, {bit}, 1 - get_bit(record, {bit}))");
        self.server.sql(&self.name, &format!("UPDATE krypton_records SET record = {flipped} WHERE {record}"));
    }
}

impl Index for OnPostgres {
    fn lose(&mut self, _: &mut System) {
        self.server.sql(&self.name, "DELETE FROM krypton_index");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_that_share_a_postgres_never_move_a_state_backwards() {
    states_never_move_backwards(&OnPostgres::start().url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_goes_away_and_comes_back() {
    outages_are_survived(&mut OnPostgres::start()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_of_postgres_lose_no_acknowledged_key() {
    kills_lose_nothing(&mut OnPostgres::start()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_postgres_does_not_bring_back_what_was_destroyed() {
    let mut postgres = OnPostgres::start();
    let system = System::start_on(&postgres.url());
    what_was_destroyed_stays_destroyed(system, &mut postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_edited_in_postgres_are_refused_and_no_others() {
    let postgres = OnPostgres::start();
    edited_records_are_refused(System::start_on(&postgres.url())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_index_in_postgres_lacks_outlives_shredding() {
    let mut postgres = OnPostgres::start();
    let system = System::start_on(&postgres.url());
    what_the_index_lacks_is_not_lost(system, &mut postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_index_in_postgres_lacks_is_buried() {
    let mut postgres = OnPostgres::start();
    let system = System::start_on(&postgres.url());
    what_the_index_lacks_is_buried(system, &mut postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bit_flipped_in_postgres_is_refused() {
    flipped_bits_are_refused(&OnPostgres::start()).await;
}

/// It is read, and so looks well: a Create finds out, and the Gateway says so until it has found out that all is well again.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_whose_postgres_is_read_only_is_not_ready() {
    let postgres = OnPostgres::start();
    let system = System::start_on(&postgres.url());
    let acme = system.application("acme");
    let kept = acme.create("kept").await.unwrap();
    // The first Get of a key is a change of it: it is not Fresh any more.
    acme.get(&kept).await.unwrap();
    system.readiness().await.unwrap();

    postgres.server.sql("postgres", "ALTER SYSTEM SET default_transaction_read_only = on");
    postgres.server.sql("postgres", "SELECT pg_reload_conf()");
    eventually(async || acme.create("refused").await.err().ok_or("still made")).await;
    eventually(async || match system.readiness().await {
        Err(why) if why.contains("no commit is taken") => Ok(()),
        otherwise => Err(otherwise),
    })
    .await;
    eventually(async || acme.get(&kept).await).await;

    postgres.server.sql("postgres", "ALTER SYSTEM RESET default_transaction_read_only");
    postgres.server.sql("postgres", "SELECT pg_reload_conf()");
    eventually(async || system.readiness().await).await;
    acme.create("made again").await.unwrap();
}
