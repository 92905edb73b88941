//! Gateways on a Redis that they share.

use std::path::PathBuf;

use test_servers::{Redis, Server};

use crate::backup::{Backups, what_was_destroyed_stays_destroyed};
use crate::edited_store::{Bits, edited_records_are_refused, flipped_bits_are_refused};
use crate::shared_store::{Database, kills_lose_nothing, outages_are_survived, states_never_move_backwards};
use crate::shredding::{Index, what_the_index_lacks_is_buried, what_the_index_lacks_is_not_lost};
use crate::system::System;

impl Database for Redis {
    fn url(&self) -> String {
        Redis::url(self)
    }

    fn server(&mut self) -> &mut Server {
        self
    }
}

/// Copies of its append-only files.
impl Backups for Redis {
    type Backup = PathBuf;

    fn back_up(&mut self, system: &mut System, name: &str) -> PathBuf {
        let backup = system.run().join(name);
        self.stop();
        Redis::back_up(self, &backup);
        self.restart();
        backup
    }

    fn restore(&mut self, _: &mut System, backup: &PathBuf) {
        self.stop();
        Redis::restore(self, backup);
        self.restart();
    }
}

/// A Redis that is backed up by snapshots, while it goes on serving, and begins anew with one of them.
struct Snapshots(Redis);

impl Backups for Snapshots {
    type Backup = PathBuf;

    fn back_up(&mut self, system: &mut System, name: &str) -> PathBuf {
        let backup = system.run().join(name);
        self.0.snapshot(&backup);
        backup
    }

    fn restore(&mut self, _: &mut System, backup: &PathBuf) {
        self.0.restart_from_snapshot(backup);
    }
}

impl Bits for Redis {
    fn record_bytes(&self, tenant: &str, key: &str) -> Vec<usize> {
        let place = place(tenant, key);
        (0..self.ask(&format!("STRLEN {place}")).parse().unwrap()).collect()
    }

    fn flip(&self, tenant: &str, key: &str, bit: usize) {
        let place = place(tenant, key);
        let set = |value: u8| self.ask(&format!("SETBIT {place} {bit} {value}"));
        if set(1) == "1" {
            set(0);
        }
    }
}

impl Index for Redis {
    fn lose(&mut self, _: &mut System) {
        assert_eq!(self.ask("DEL krypton:1:{t.acme}:index"), "1");
    }
}

fn place(tenant: &str, key: &str) -> String {
    format!("krypton:1:{{t.{tenant}}}:r:{key}")
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_that_share_a_redis_never_move_a_state_backwards() {
    let redis = Redis::start();
    states_never_move_backwards(&redis.url_of_user()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_goes_away_and_comes_back() {
    outages_are_survived(&mut Redis::start()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_of_redis_lose_no_acknowledged_key() {
    kills_lose_nothing(&mut Redis::start()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_redis_does_not_bring_back_what_was_destroyed() {
    let mut redis = Redis::start();
    let system = System::start_on(&redis.url());
    what_was_destroyed_stays_destroyed(system, &mut redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_made_of_a_snapshot_does_not_bring_back_what_was_destroyed() {
    let redis = Redis::start();
    let system = System::start_on(&redis.url());
    what_was_destroyed_stays_destroyed(system, &mut Snapshots(redis)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_edited_in_redis_are_refused_and_no_others() {
    let redis = Redis::start();
    edited_records_are_refused(System::start_on(&redis.url())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_index_in_redis_lacks_outlives_shredding() {
    let mut redis = Redis::start();
    let system = System::start_on(&redis.url());
    what_the_index_lacks_is_not_lost(system, &mut redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_index_in_redis_lacks_is_buried() {
    let mut redis = Redis::start();
    let system = System::start_on(&redis.url());
    what_the_index_lacks_is_buried(system, &mut redis).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bit_flipped_in_redis_is_refused() {
    flipped_bits_are_refused(&Redis::start()).await;
}
