//! Gateways on a Redis that they share.

use std::path::PathBuf;

use test_servers::Redis;

use crate::backup::{Backups, what_was_destroyed_stays_destroyed};
use crate::edited_store::{Bits, edited_records_are_refused, flipped_bits_are_refused};
use crate::shared_store::{Database, kills_lose_nothing, outages_are_survived, states_never_move_backwards};
use crate::system::System;

impl Database for Redis {
    fn url(&self) -> String {
        Redis::url(self)
    }

    fn stop(&mut self) {
        Redis::stop(self);
    }

    fn kill9(&mut self) {
        Redis::kill9(self);
    }

    fn restart(&mut self) {
        Redis::restart(self);
    }
}

/// Copies of its append-only files.
impl Backups for Redis {
    type Backup = PathBuf;

    fn back_up(&mut self, system: &mut System, name: &str) -> PathBuf {
        let backup = system.run().join(name);
        Redis::stop(self);
        Redis::back_up(self, &backup);
        Redis::restart(self);
        backup
    }

    fn restore(&mut self, _: &mut System, backup: &PathBuf) {
        Redis::stop(self);
        Redis::restore(self, backup);
        Redis::restart(self);
    }
}

impl Bits for Redis {
    fn record_bytes(&self, tenant: &str, key: &str) -> Vec<usize> {
        let place = place(tenant, key);
        let bytes = self.ask(&format!("STRLEN {place}")).parse().unwrap();
        // The index keys come after the fixed part of the head, which ends with their length.
        let index: usize = self.ask(&format!("BITFIELD {place} GET u32 136")).parse().unwrap();
        (0..21).chain(21 + index..bytes).collect()
    }

    fn flip(&self, tenant: &str, key: &str, bit: usize) {
        let place = place(tenant, key);
        let set = |value: u8| self.ask(&format!("SETBIT {place} {bit} {value}"));
        if set(1) == "1" {
            set(0);
        }
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
async fn records_edited_in_redis_are_refused_and_no_others() {
    let redis = Redis::start();
    edited_records_are_refused(System::start_on(&redis.url())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bit_flipped_in_redis_is_refused() {
    flipped_bits_are_refused(&Redis::start()).await;
}
