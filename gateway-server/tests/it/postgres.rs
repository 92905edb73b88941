//! Gateways on a PostgreSQL that they share.

use test_servers::Postgres;

use crate::shared_store::{Database, kills_lose_nothing, outages_are_survived, states_never_move_backwards};

impl Database for Postgres {
    fn stop(&mut self) {
        Postgres::stop(self);
    }

    fn kill9(&mut self) {
        Postgres::kill9(self);
    }

    fn restart(&mut self) {
        Postgres::restart(self);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_that_share_a_postgres_never_move_a_state_backwards() {
    let postgres = Postgres::start();
    states_never_move_backwards(&postgres.database()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_goes_away_and_comes_back() {
    let mut postgres = Postgres::start();
    let url = postgres.database();
    outages_are_survived(&mut postgres, &url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_of_postgres_lose_no_acknowledged_key() {
    let mut postgres = Postgres::start();
    let url = postgres.database();
    kills_lose_nothing(&mut postgres, &url).await;
}
