//! The suite against real servers, and what it cannot try: other configurations, outages, kills.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use test_servers::{Redis, RedisCluster, RedisOptions};

use super::*;
use crate::record::index_key;
use crate::store::suite::{Subject, insert, name, record, replace, store_tests, walked, with};
use crate::store::{StoreUrl, archive};

async fn open(url: &str) -> RedisStore {
    RedisStore::open(url, StoreMetrics::default()).await.unwrap()
}

async fn refusal(url: &str) -> String {
    RedisStore::open(url, StoreMetrics::default()).await.err().unwrap().to_string()
}

async fn subject<S: Send + 'static>(server: S, url: String) -> Subject {
    Subject { store: Arc::new(open(&url).await), _keep: Some(Box::new(server)) }
}

async fn alone() -> Subject {
    let redis = Redis::start();
    let url = redis.url();
    subject(redis, url).await
}

async fn by_tls() -> Subject {
    let redis = Redis::start_with(RedisOptions { tls: true, ..RedisOptions::default() });
    let url = redis.url();
    subject(redis, url).await
}

async fn as_user() -> Subject {
    let redis = Redis::start();
    let url = redis.url_of_user();
    // Nobody gets in without a password.
    redis.ask("ACL SETUSER default resetpass -@all");
    subject(redis, url).await
}

async fn in_a_cluster() -> Subject {
    let cluster = RedisCluster::start();
    let url = cluster.url();
    subject(cluster, url).await
}

store_tests!(alone, alone().await);
store_tests!(by_tls, by_tls().await);
store_tests!(as_user, as_user().await);
store_tests!(in_a_cluster, in_a_cluster().await);

#[tokio::test]
async fn a_server_that_may_lose_records_is_refused() {
    for (setting, value) in
        [("appendfsync", "everysec"), ("appendonly", "no"), ("maxmemory-policy", "allkeys-lru")]
    {
        let redis = Redis::start();
        redis.ask(&format!("CONFIG SET {setting} {value}"));
        let url = redis.url();
        let refusal = refusal(&url).await;
        assert!(refusal.contains(&format!("{setting} = {value}")), "{refusal}");
        let vouched = RedisStore::open(&format!("{url}?durability=vouched"), StoreMetrics::default()).await;
        assert_eq!(vouched.is_ok(), setting != "maxmemory-policy");
        open(&format!("{url}?durability=insecure-unchecked")).await;
    }
}

#[tokio::test]
async fn a_server_that_becomes_careless_takes_no_more_commits() {
    let mut redis = Redis::start();
    let store = open(&redis.url()).await;
    store.commit(vec![insert(&record("t", "a", 1))]).await.unwrap();
    redis.stop();
    let configuration = std::fs::read_to_string(redis.folder().join("redis.conf")).unwrap();
    std::fs::write(redis.folder().join("redis.conf"), configuration.replace("always", "everysec")).unwrap();
    redis.restart();
    eventually(async || store.fetch("t", "a").await.ok().flatten()).await;
    // A few commits may pass until the reconnection is noticed.
    let refused = eventually(async || {
        let number = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
        store.commit(vec![insert(&record("t", &number.to_string(), 2))]).await.err()
    });
    let StoreError::Unavailable(reason) = refused.await else { panic!("another error") };
    assert!(reason.contains("appendfsync = everysec"), "{reason}");
    assert!(store.fetch("t", "a").await.unwrap().is_some());
}

#[tokio::test]
async fn a_server_that_hides_its_configuration_has_to_be_vouched_for() {
    let redis = Redis::start_with(RedisOptions {
        configuration: vec!["rename-command CONFIG \"\"".to_owned()],
        ..RedisOptions::default()
    });
    let refusal = refusal(&redis.url()).await;
    assert!(refusal.contains("durability=vouched"), "{refusal}");
    let store = open(&format!("{}?durability=vouched", redis.url())).await;
    store.commit(vec![insert(&record("t", "a", 1))]).await.unwrap();
}

#[tokio::test]
async fn passwords_are_needed_and_told_to_nobody() {
    let redis = Redis::start();
    let url = redis.url_of_user();
    let wrong = url.replace(redis.password(), "wrong-password");
    let said = refusal(&wrong).await;
    assert!(said.contains("WRONGPASS") && !said.contains("wrong-password"), "{said}");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{}\n", redis.password())).unwrap();
    let from_file = format!("{}&password_file={}", redis.url() + "?user=gateway", file.path().display());
    open(&from_file).await.commit(vec![insert(&record("t", "a", 1))]).await.unwrap();
    let shown: StoreUrl = url.parse().unwrap();
    assert!(!format!("{shown} {shown:?}").contains(redis.password()));
}

#[tokio::test]
async fn a_server_of_another_authority_is_refused() {
    let options = RedisOptions { tls: true, ..RedisOptions::default() };
    let (redis, other) = (Redis::start_with(options.clone()), Redis::start_with(options));
    let authority = |redis: &Redis| redis.folder().join("ca.pem").display().to_string();
    let url = redis.url().replace(&authority(&redis), &authority(&other));
    let refusal = refusal(&url).await;
    assert!(refusal.contains("InvalidCertificate"), "{refusal}");
}

#[tokio::test]
async fn another_way_of_indexing_is_refused() {
    let redis = Redis::start();
    drop(open(&redis.url()).await);
    redis.ask("SET krypton:1:format 99");
    let refusal = refusal(&redis.url()).await;
    assert!(refusal.contains("99") && refusal.contains("export"), "{refusal}");
}

#[tokio::test]
async fn nothing_answers_for_long_while_the_server_is_away() {
    let mut redis = Redis::start();
    let store = open(&format!("{}?request_timeout_milliseconds=300", redis.url())).await;
    store.commit(vec![insert(&record("t", "a", 1))]).await.unwrap();
    redis.stop();
    let failure = quickly(store.fetch("t", "a")).await.unwrap_err();
    assert!(matches!(failure, StoreError::Unavailable(_)), "{failure}");
    let failure = quickly(store.commit(vec![insert(&record("t", "b", 2))])).await.unwrap_err();
    assert!(matches!(failure, StoreError::Unavailable(_)), "{failure}");
    redis.restart();
    eventually(async || store.fetch("t", "a").await.ok().flatten()).await;
    assert!(store.fetch("t", "b").await.unwrap().is_none(), "a commit that failed was made later");
    eventually(async || store.commit(vec![insert(&record("t", "c", 3))]).await.ok()).await;

    // Frozen, as behind a cut network: connections stay, and nothing comes.
    redis.pause();
    for number in 0..8 {
        let failure = quickly(store.fetch("t", "a")).await.unwrap_err();
        assert!(matches!(failure, StoreError::Unavailable(_)), "{number}: {failure}");
    }
    redis.resume();
    eventually(async || store.fetch("t", "a").await.ok().flatten()).await;
    eventually(async || store.commit(vec![insert(&record("t", "d", 4))]).await.ok()).await;
}

/// Late answers must not be taken for those of other requests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_is_that_of_another_request() {
    const KEYS: u64 = 64;
    let redis = Redis::start();
    let store =
        Arc::new(open(&format!("{}?connections=1&request_timeout_milliseconds=40", redis.url())).await);
    let patient = open(&redis.url()).await;
    for number in 0..KEYS {
        let record = with(record("t", &format!("k{number}"), number), [name(&format!("n{number}"))]);
        patient.commit(vec![insert(&record)]).await.unwrap();
    }
    let reader = |number: u64| {
        let store = Arc::clone(&store);
        async move {
            let (mut right, mut failed) = (0, 0);
            let until = Instant::now() + Duration::from_secs(2);
            while Instant::now() < until {
                let identifier = format!("k{}", (number + right) % KEYS);
                let key = index_key(&name(&identifier.replace('k', "n")));
                match store.fetch("t", &identifier).await {
                    Ok(found) => assert_eq!(*found.unwrap().unique_identifier, *identifier),
                    Err(StoreError::Unavailable(_)) => failed += 1,
                    Err(other) => panic!("{other}"),
                }
                match store.select("t", key.as_ref(), None, 2).await {
                    Ok(found) => assert_eq!(*found[0].unique_identifier, *identifier),
                    Err(StoreError::Unavailable(_)) => failed += 1,
                    Err(other) => panic!("{other}"),
                }
                right += 1;
                tokio::task::yield_now().await;
            }
            (right, failed)
        }
    };
    let readers: Vec<_> = (0..16).map(|number| tokio::spawn(reader(number))).collect();
    for _ in 0..8 {
        redis.pause();
        tokio::time::sleep(Duration::from_millis(100)).await;
        redis.resume();
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
    let (mut all, mut failures) = (0, 0);
    for reader in readers {
        let (right, failed) = reader.await.unwrap();
        (all, failures) = (all + right, failures + failed);
    }
    assert!(all > KEYS && failures > 0, "{all} answers, {failures} failures: the test proves nothing");
}

#[tokio::test]
async fn a_commit_waits_for_replicas() {
    let redis = Redis::start();
    let url = format!("{}?wait_replicas=1&request_timeout_milliseconds=400", redis.url());
    let store = open(&url).await;
    let alone = store.commit(vec![insert(&record("t", "a", 1))]).await.unwrap_err();
    assert_eq!(alone, StoreError::Unavailable("0 of 1 replicas have confirmed a commit in time".to_owned()));
    let _replica = Redis::start_with(RedisOptions {
        configuration: vec![
            format!("replicaof 127.0.0.1 {}", redis.port()),
            "repl-diskless-sync-delay 0".to_owned(),
        ],
        ..RedisOptions::default()
    });
    let mut number = 0;
    eventually(async || {
        number += 1;
        store.commit(vec![insert(&record("t", &format!("b{number}"), 2))]).await.ok()
    })
    .await;
}

#[tokio::test]
async fn two_stores_on_one_server_see_each_others_changes() {
    let redis = Redis::start();
    let (one, other) = (open(&redis.url()).await, open(&redis.url()).await);
    let first = with(record("t", "a", 1), [name("n")]);
    one.commit(vec![insert(&first)]).await.unwrap();
    assert_eq!(other.fetch("t", "a").await.unwrap().unwrap().version, 1);
    other.commit(vec![replace(&Record { version: 2, ..first.clone() })]).await.unwrap();
    assert_eq!(one.fetch("t", "a").await.unwrap().unwrap().version, 2);
    let late = one.commit(vec![replace(&Record { version: 2, ..first.clone() })]).await;
    assert_eq!(late, Err(StoreError::Conflict));
    let taken = other.commit(vec![insert(&with(record("t", "b", 2), [name("n")]))]).await;
    assert_eq!(taken, Err(StoreError::NameTaken));
}

#[tokio::test]
async fn pages_of_large_records_and_many_of_one_moment_are_whole() {
    let redis = Redis::start();
    let store = open(&redis.url()).await;
    let large = |number: u64| {
        let mut record = record("t", &format!("k{number}"), number);
        record.sealed.as_mut().unwrap().envelope = vec![7; 1 << 20].into();
        record
    };
    for number in 0..12 {
        store.commit(vec![insert(&large(number))]).await.unwrap();
    }
    let page = store.select("t", None, None, 11).await.unwrap();
    assert_eq!(
        page.iter().map(|record| record.sequence).collect::<Vec<_>>(),
        (1..12).rev().collect::<Vec<_>>()
    );
    let ties = (0..2500).map(|number| insert(&record("u", &format!("k{number}"), 7)));
    store.commit(ties.collect()).await.unwrap();
    assert_eq!(store.select("u", None, None, 3).await.unwrap().len(), 2500);
    assert_eq!(store.select("u", None, Some(7), 3).await.unwrap().len(), 0);
}

const INDEX: &str = "krypton:1:{t.t}:index";

#[tokio::test]
async fn a_walk_needs_no_index() {
    let redis = Redis::start();
    let store = open(&redis.url()).await;
    for number in 0..100 {
        store.commit(vec![insert(&record("t", &format!("k{number}"), number))]).await.unwrap();
        store.commit(vec![insert(&record("other", &format!("k{number}"), number))]).await.unwrap();
    }
    redis.ask(&format!("DEL {INDEX}"));
    assert_eq!(store.select("t", None, None, 9).await.unwrap().len(), 0, "the test proves nothing");
    let met = walked(&store, "t", 10).await.into_iter().map(|record| record.unwrap().unique_identifier);
    assert_eq!(met.collect::<HashSet<_>>().len(), 100);
}

#[tokio::test]
async fn an_export_needs_neither_index_nor_list_of_tenants() {
    let redis = Redis::start();
    let store = open(&redis.url()).await;
    for tenant in ["t", "u", "a b}"] {
        for number in 0..700 {
            store.commit(vec![insert(&record(tenant, &format!("k{number}"), number))]).await.unwrap();
        }
    }
    redis.ask(&format!("DEL {INDEX}"));
    assert_eq!(store.tenants().await.unwrap().len(), 2, "the test proves nothing");
    redis.ask("DEL krypton:1:tenants");
    assert_eq!(store.tenants().await.unwrap().len(), 0, "the test proves nothing");
    let mut file = Vec::new();
    archive::export(&store, &mut file, |_| ()).await.unwrap();
    assert_eq!(archive::verify(&mut &file[..]).unwrap(), 2_100);
}

#[tokio::test]
async fn a_walk_begins_again_at_another_server() {
    let mut redis = Redis::start();
    let store = open(&redis.url()).await;
    let records = (0..500).map(|number| insert(&record("t", &format!("k{number}"), number)));
    store.commit(records.collect()).await.unwrap();
    let begun = store.walk("t", None, 10).await.unwrap();
    redis.stop();
    redis.restart();
    eventually(async || store.fetch("t", "k0").await.ok().flatten()).await;
    let refused = eventually(async || match store.walk("t", begun.next.as_ref(), 10).await {
        Err(StoreError::Unavailable(why)) if why.contains("begin again") => Some(()),
        _ => None,
    });
    refused.await;
    // When the last of its connections is back.
    let whole = eventually(async || {
        let (mut next, mut met) = (None, HashSet::new());
        loop {
            let stretch = store.walk("t", next.as_ref(), 100).await.ok()?;
            met.extend(stretch.records.into_iter().map(|record| record.unwrap().unique_identifier.clone()));
            next = stretch.next;
            if next.is_none() {
                return Some(met.len());
            }
        }
    });
    assert_eq!(whole.await, 500);
}

#[tokio::test]
async fn a_record_is_found_at_its_own_place_only() {
    let redis = Redis::start();
    let store = open(&redis.url()).await;
    for (identifier, sequence) in [("a", 1), ("b", 2), ("c", 3)] {
        store.commit(vec![insert(&record("t", identifier, sequence))]).await.unwrap();
    }
    // Its place in the list of all records: length of the key (0), inverted sequence, identifier.
    let entry = |last: u8| format!("'\\0{}\\{last}b'", "\\255".repeat(7));
    let ask = |call: &str| redis.ask(&format!("EVAL return(redis.call({call})) 1 {INDEX}"));
    assert_eq!(ask(&format!("'ZREM',KEYS[1],{}", entry(253))), "1");
    assert_eq!(ask(&format!("'ZADD',KEYS[1],0,{}", entry(240))), "1");
    let page = store.select("t", None, None, 9).await.unwrap();
    assert_eq!(page.iter().map(|record| &*record.unique_identifier).collect::<Vec<_>>(), ["c", "a"]);
    assert!(store.fetch("t", "b").await.unwrap().is_some());
}

#[tokio::test]
async fn a_full_server_says_so_and_keeps_what_it_has() {
    let redis = Redis::start();
    let store = open(&redis.url()).await;
    store.commit(vec![insert(&record("t", "a", 1))]).await.unwrap();
    redis.ask("CONFIG SET maxmemory 1");
    assert_eq!(store.commit(vec![insert(&record("t", "b", 2))]).await, Err(StoreError::Full));
    assert!(store.fetch("t", "a").await.unwrap().is_some());
    redis.ask("CONFIG SET maxmemory 0");
    store.commit(vec![insert(&record("t", "b", 2))]).await.unwrap();
}

/// Back up, change, restore: what is there is what was backed up.
#[tokio::test]
async fn a_backup_brings_back_what_it_holds() {
    let mut redis = Redis::start();
    let store = open(&redis.url()).await;
    let kept = with(record("t", "a", 1), [name("n")]);
    store.commit(vec![insert(&kept)]).await.unwrap();
    let backup = tempfile::tempdir().unwrap();
    redis.stop();
    redis.back_up(backup.path());
    redis.restart();
    let changed = Record { version: 2, sealed: None, ..record("t", "a", 1) };
    eventually(async || store.commit(vec![replace(&changed)]).await.ok()).await;
    store.commit(vec![insert(&record("t", "b", 2))]).await.unwrap();
    redis.stop();
    redis.restore(backup.path());
    redis.restart();
    let found = eventually(async || store.fetch("t", "a").await.ok().flatten()).await;
    assert_eq!(*found, kept);
    assert!(store.fetch("t", "b").await.unwrap().is_none());
    assert_eq!(store.select("t", index_key(&name("n")).as_ref(), None, 9).await.unwrap().len(), 1);
    assert_eq!(store.tenants().await.unwrap(), ["t"]);
}

/// Well below the time that somebody would wait, well above the time-out.
async fn quickly<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(2), future).await.expect("it answers in time")
}

async fn eventually<T>(mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..400 {
        if let Some(value) = attempt().await {
            return value;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("never worked");
}
