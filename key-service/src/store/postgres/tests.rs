//! The store `postgres` against real servers: the suite, who is kept apart from whom, what is refused, and failures.

#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kmip_protocol::attribute::Attribute;
use test_servers::{Postgres, PostgresOptions};

use super::*;
use crate::port::{Changed, MemberRow, RegionChange};
use crate::record::index_key;
use crate::store::StoreMetrics;
use crate::store::archive::{self, ArchiveError};
use crate::store::suite::{Subject, group, insert, name, record, replace, store_tests, walked, with};

const CORE: Purpose = Purpose::Core;

async fn open(url: &str) -> Result<PostgresStore, String> {
    open_for(url, Purpose::Gateway).await
}

async fn open_for(url: &str, purpose: Purpose) -> Result<PostgresStore, String> {
    PostgresStore::open(url, &purpose, StoreMetrics::default()).await.map_err(|error| error.to_string())
}

async fn subject() -> Subject {
    let postgres = Postgres::start();
    let store = Arc::new(open(&postgres.database()).await.unwrap());
    Subject { store, _keep: Some(Box::new(postgres)) }
}

store_tests!(all_stores, subject().await);

#[tokio::test(flavor = "multi_thread")]
async fn two_stores_share_what_they_keep() {
    let postgres = Postgres::start();
    let url = postgres.database();
    let stores = [Arc::new(open(&url).await.unwrap()), Arc::new(open(&url).await.unwrap())];
    let mut current = with(record("t", "a", 1), [name("n")]);
    stores[0].commit(vec![insert(&current)]).await.unwrap();
    assert_eq!(stores[1].fetch("t", "a").await.unwrap().as_deref(), Some(&current));
    for round in 0..20 {
        // Both try to be the next version, and to make a record of the same name.
        let next = Record { version: current.version + 1, ..current.clone() };
        let claim = name(&format!("claimed{round}"));
        let rival =
            |number: usize| with(record("t", &format!("r{round}.{number}"), round + 2), [claim.clone()]);
        let tasks = [0, 1].map(|number| {
            let (store, rival) = (Arc::clone(&stores[number]), rival(number));
            let next = next.clone();
            tokio::spawn(async move {
                let replaced = store.commit(vec![replace(&next)]).await;
                (replaced, store.commit(vec![insert(&rival)]).await)
            })
        });
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(task.await.unwrap());
        }
        let replaced: Vec<_> = outcomes.iter().map(|outcome| outcome.0.clone()).collect();
        let claimed: Vec<_> = outcomes.iter().map(|outcome| outcome.1.clone()).collect();
        assert!(replaced.contains(&Ok(())) && replaced.contains(&Err(StoreError::Conflict)), "{replaced:?}");
        assert!(claimed.contains(&Ok(())) && claimed.contains(&Err(StoreError::NameTaken)), "{claimed:?}");
        current = next;
    }
}

/// Whatever order commits of two servers touch records and names in, none fails but for a reason.
#[tokio::test(flavor = "multi_thread")]
async fn entangled_commits_are_done_again() {
    let postgres = Postgres::start();
    let url = postgres.database();
    let stores = [Arc::new(open(&url).await.unwrap()), Arc::new(open(&url).await.unwrap())];
    let pair = ["a", "b"].map(|identifier| with(record("t", identifier, 1), [name(identifier)]));
    stores[0].commit(pair.iter().map(insert).collect()).await.unwrap();
    let tasks: Vec<_> = (0..2)
        .map(|number| {
            let store = Arc::clone(&stores[number]);
            tokio::spawn(async move {
                let mut swapped = 0;
                while swapped < 25 {
                    let [mut a, mut b] = [0, 1].map(|_| None);
                    a.replace(store.fetch("t", "a").await.unwrap().unwrap());
                    b.replace(store.fetch("t", "b").await.unwrap().unwrap());
                    let (a, b) = (a.unwrap(), b.unwrap());
                    let named = |record: &Record, of: &Record| Record {
                        version: record.version + 1,
                        attributes: of.attributes.clone(),
                        ..record.clone()
                    };
                    let mut changes = vec![replace(&named(&a, &b)), replace(&named(&b, &a))];
                    if number == 1 {
                        changes.reverse();
                    }
                    match store.commit(changes).await {
                        Ok(()) => swapped += 1,
                        // The two were read at different times.
                        Err(error) => assert!(matches!(error, StoreError::Conflict | StoreError::NameTaken)),
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let a = stores[0].fetch("t", "a").await.unwrap().unwrap();
    assert_eq!(a.version, 51);
    assert!(
        a.attributes.iter().any(|attribute| matches!(attribute, Attribute::Name(name) if name.value == "a"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_another_tenant_are_not_there_for_wrong_sql() {
    let postgres = Postgres::start();
    let database = postgres.create_database();
    let store = open(&postgres.url(&database)).await.unwrap();
    for tenant in ["acme", "globex"] {
        store.commit(vec![insert(&with(record(tenant, "a", 1), [name("n")]))]).await.unwrap();
    }
    let sql = |sql: &str| postgres.sql_as_owner(&database, sql);
    let as_acme =
        |sql_text: &str| sql(&format!("BEGIN; SET LOCAL krypton.tenants = '{{acme}}'; {sql_text}; COMMIT"));
    for table in ["krypton_records", "krypton_index"] {
        // A statement that forgot its WHERE sees nothing without a tenant, and one tenant with one.
        assert_eq!(sql(&format!("SELECT count(*) FROM {table}")).unwrap(), "0");
        assert_eq!(as_acme(&format!("SELECT DISTINCT tenant FROM {table}")).unwrap(), "acme");
        assert_eq!(as_acme(&format!("SELECT count(*) FROM {table} WHERE tenant = 'globex'")).unwrap(), "0");
        as_acme(&format!("DELETE FROM {table} WHERE tenant = 'globex'")).unwrap();
        as_acme(&format!("UPDATE {table} SET unique_identifier = 'b' WHERE tenant = 'globex'")).unwrap();
        let refused = as_acme(&format!("UPDATE {table} SET tenant = 'globex'")).unwrap_err();
        assert!(refused.contains("row-level security"), "{refused}");
    }
    // The setting ends with its transaction.
    assert_eq!(
        sql("BEGIN; SET LOCAL krypton.tenants = '{acme}'; COMMIT; SELECT count(*) FROM krypton_records")
            .unwrap(),
        "0"
    );
    assert!(store.fetch("globex", "a").await.unwrap().is_some());
    // A tenant whose name is an array is a tenant.
    store
        .commit(vec![insert(&record("{acme,globex}", "a", 1)), insert(&record("x\"y", "a", 1))])
        .await
        .unwrap();
    assert_eq!(store.select("{acme,globex}", None, None, 10).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_do_not_do_are_refused() {
    let configuration = vec!["fsync=off".to_owned()];
    let postgres = Postgres::start_with(PostgresOptions { configuration, ..PostgresOptions::default() });
    let database = postgres.create_database();
    let url = postgres.url(&database);
    assert!(open(&url).await.err().unwrap().contains("fsync is off"));
    let tolerated = format!("{url}?insecure_allow_lost_commits=true");
    open(&tolerated).await.unwrap();
    postgres.sql("postgres", "ALTER ROLE krypton SET synchronous_commit = off");
    assert!(open(&tolerated.replace("lost_commits=true", "lost_commits=false")).await.is_err());

    let admin = format!("{}?insecure_allow_lost_commits=true", postgres.admin_url(&database));
    assert!(open(&admin).await.err().unwrap().contains("superuser"));
    open(&format!("{admin}&insecure_allow_superuser=true")).await.unwrap();

    // The store of Gateways is no store of a Core, and a later version's tables are left alone.
    let refused = open_for(&tolerated, CORE).await.err().unwrap();
    assert!(refused.contains("the store of a gateway"), "{refused}");
    postgres.sql(&database, "INSERT INTO krypton_migrations (number) VALUES (1000)");
    assert!(open(&tolerated).await.err().unwrap().contains("version 1000"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_used_and_verified() {
    let postgres = Postgres::start_with(PostgresOptions { tls: true, ..PostgresOptions::default() });
    let database = postgres.create_database();
    let url = postgres.url(&database);
    // The server takes no unencrypted connections.
    open(&url).await.err().unwrap();
    let encrypted = format!("{url}?sslmode=verify-full&sslrootcert={}", postgres.authority().display());
    let store = open(&encrypted).await.unwrap();
    store.commit(vec![insert(&record("t", "a", 1))]).await.unwrap();
    let used = "SELECT count(*) > 0 AND bool_and(s.ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) \
                WHERE a.application_name = 'krypton'";
    assert_eq!(postgres.sql(&database, used), "t");
    // A name that is not in the certificate, and an authority that did not sign it.
    open(&encrypted.replace("127.0.0.1", "localhost")).await.err().unwrap();
    let other = Postgres::start_with(PostgresOptions { tls: true, ..PostgresOptions::default() });
    let strange = format!("{url}?sslrootcert={}", other.authority().display());
    open(&strange).await.err().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_do_not_show_the_password() {
    let mut postgres = Postgres::start();
    let url = postgres.database();
    let wrong = url.replace(postgres.password(), "wrong-password");
    let refused = open(&wrong).await.err().unwrap();
    assert!(refused.contains("authentication") && !refused.contains("wrong-password"), "{refused}");
    let refused = open(&format!("{url}?nonsense={}", postgres.password())).await.err().unwrap();
    assert!(!refused.contains(postgres.password()), "{refused}");
    let store = open(&url).await.unwrap();
    postgres.stop();
    let StoreError::Unavailable(failed) = store.fetch("t", "a").await.unwrap_err() else { panic!() };
    assert!(!failed.contains(postgres.password()), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_fails_fast_and_comes_back() {
    let mut postgres = Postgres::start();
    let url = format!("{}?statement_timeout_seconds=1&connect_timeout=1&pool_size=3", postgres.database());
    let store = Arc::new(open(&url).await.unwrap());
    let kept = record("t", "a", 1);
    store.commit(vec![insert(&kept)]).await.unwrap();
    let fails_fast = async || {
        let started = Instant::now();
        let tasks: Vec<_> = (0..8)
            .map(|number| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let fetched = store.fetch("t", "a").await.map(drop);
                    (fetched, store.commit(vec![insert(&record("t", &format!("lost{number}"), 2))]).await)
                })
            })
            .collect();
        for task in tasks {
            let (fetched, committed) = task.await.unwrap();
            assert!(matches!(fetched, Err(StoreError::Unavailable(_))), "{fetched:?}");
            assert!(matches!(committed, Err(StoreError::Unavailable(_))), "{committed:?}");
        }
        assert!(
            started.elapsed() < 2 * connections::longest(store.connections.limits()),
            "{:?}",
            started.elapsed()
        );
    };
    let works = async |identifier: &str| {
        let started = Instant::now();
        while store.commit(vec![insert(&record("t", identifier, 3))]).await.is_err() {
            assert!(started.elapsed() < Duration::from_secs(10), "it does not recover");
        }
        assert_eq!(store.fetch("t", "a").await.unwrap().as_deref(), Some(&kept));
    };
    postgres.stop();
    fails_fast().await;
    postgres.restart();
    works("after stop").await;
    postgres.kill9();
    fails_fast().await;
    postgres.restart();
    works("after kill").await;
    // As if the network were cut: nothing is refused, nothing is answered.
    postgres.pause();
    fails_fast().await;
    postgres.resume();
    works("after pause").await;
    // Open connections that broke unnoticed cost nobody a request.
    postgres.stop();
    postgres.restart();
    store.fetch("t", "a").await.unwrap();
    store.commit(vec![insert(&record("t", "after restart", 4))]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_row_is_refused_and_no_other() {
    let postgres = Postgres::start();
    let database = postgres.create_database();
    let store = open(&postgres.url(&database)).await.unwrap();
    for identifier in ["a", "b"] {
        store.commit(vec![insert(&record("t", identifier, 1))]).await.unwrap();
    }
    postgres.sql(&database, "UPDATE krypton_records SET record = set_byte(record, 40, get_byte(record, 40) # 1) WHERE unique_identifier = 'a'");
    assert!(matches!(store.fetch("t", "a").await, Err(StoreError::Damaged(_))));
    let changed = Record { version: 2, ..record("t", "a", 1) };
    let (refused, taken) = tokio::join!(
        store.commit(vec![replace(&changed)]),
        store.commit(vec![replace(&Record { version: 2, ..record("t", "b", 1) })])
    );
    assert!(matches!(refused, Err(StoreError::Damaged(_))));
    taken.unwrap();
    assert_eq!(store.select("t", None, None, 10).await.unwrap().len(), 1);
    let mut file = Vec::new();
    let missing = archive::export(&store, &mut file, |_| ()).await;
    assert!(matches!(missing, Err(ArchiveError::Incomplete(1))), "{missing:?}");
    assert_eq!(archive::verify(&mut &file[..]).unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_needs_no_index() {
    let postgres = Postgres::start();
    let database = postgres.create_database();
    let store = open(&postgres.url(&database)).await.unwrap();
    for (identifier, sequence) in [("a", 1), ("b", 2), ("c", 3)] {
        store.commit(vec![insert(&with(record("t", identifier, sequence), [group("g")]))]).await.unwrap();
    }
    postgres.sql(&database, "DELETE FROM krypton_index");
    let found = store.select("t", index_key(&group("g")).as_ref(), None, 9).await.unwrap();
    assert_eq!(found.len(), 0, "the test proves nothing");
    assert_eq!(walked(&store, "t", 2).await.into_iter().filter(Result::is_ok).count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_with_an_edited_column_is_damaged_and_no_other() {
    let postgres = Postgres::start();
    let database = postgres.create_database();
    let store = open(&postgres.url(&database)).await.unwrap();
    let key = index_key(&group("g"));
    for column in ["sequence", "version"] {
        for identifier in ["edited", "other"] {
            store.commit(vec![insert(&with(record(column, identifier, 9), [group("g")]))]).await.unwrap();
        }
        let edited = format!("tenant = '{column}' AND unique_identifier = 'edited'");
        postgres
            .sql(&database, &format!("UPDATE krypton_records SET {column} = {column} + 1 WHERE {edited}"));
        let is_told = |found: &Result<_, StoreError>| match found {
            Err(StoreError::Damaged(why)) => assert!(why.contains(&format!("column {column}")), "{why}"),
            other => panic!("{other:?}"),
        };
        is_told(&store.fetch(column, "edited").await.map(drop));
        let next = Record { version: 2, ..record(column, "edited", 9) };
        is_told(&store.commit(vec![replace(&next)]).await);
        let unread: Vec<_> = walked(&store, column, 9).await.into_iter().filter(Result::is_err).collect();
        assert_eq!(unread.len(), 1);
        is_told(&unread[0].clone().map(drop));
        for key in [None, key.as_ref()] {
            let found = store.select(column, key, None, 9).await.unwrap();
            assert_eq!(found.iter().map(|record| &*record.unique_identifier).collect::<Vec<_>>(), ["other"]);
        }
    }
}

/// No list of tenants is needed, and none is there that could lack one.
#[tokio::test(flavor = "multi_thread")]
async fn tenants_are_found_by_their_records() {
    let postgres = Postgres::start();
    let database = postgres.create_database();
    let store = open(&postgres.url(&database)).await.unwrap();
    for tenant in ["acme", "globex", "\u{1F511}", "zeta"] {
        for identifier in ["a", "b"] {
            store.commit(vec![insert(&record(tenant, identifier, 1))]).await.unwrap();
        }
    }
    postgres.sql(&database, "DELETE FROM krypton_index");
    postgres.sql(&database, "DELETE FROM krypton_records WHERE tenant = 'globex'");
    assert_eq!(store.tenants().await.unwrap(), ["acme", "zeta", "\u{1F511}"]);
    let mut file = Vec::new();
    archive::export(&store, &mut file, |_| ()).await.unwrap();
    assert_eq!(archive::verify(&mut &file[..]).unwrap(), 6);
    // To be read only: what such a transaction would change, it does not see.
    let every = "BEGIN; SET LOCAL krypton.every_tenant = 'on'; DELETE FROM krypton_records; COMMIT";
    postgres.sql_as_owner(&database, every).unwrap();
    assert_eq!(store.tenants().await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_without_a_sound_record_do_not_shorten_a_page() {
    let postgres = Postgres::start();
    let database = postgres.create_database();
    let store = open(&postgres.url(&database)).await.unwrap();
    for sequence in 1..=5 {
        let member = with(record("t", &format!("k{sequence}"), sequence), [group("g")]);
        store.commit(vec![insert(&member)]).await.unwrap();
    }
    let key = index_key(&group("g")).unwrap();
    let hexadecimal: String = key.0.iter().map(|byte| format!("{byte:02x}")).collect();
    let index = |places: &str, identifier: &str| {
        postgres.sql(
            &database,
            &format!(
                "INSERT INTO krypton_index SELECT 't', '\\x{hexadecimal}', place + {}, {identifier}, false \
                 FROM generate_series({places}) AS place",
                ordered(0)
            ),
        );
    };
    // Without a record: the newest, in between, many of one moment, and the oldest.
    index("1000, 1200", "'gone' || place");
    index("3, 3", "'gone'");
    index("0, 0", "'gone'");
    postgres.sql(
        &database,
        "INSERT INTO krypton_index SELECT tenant, key, sequence, 'tie' || number, false FROM krypton_index, \
         generate_series(1, 90) AS number WHERE unique_identifier = 'k2'",
    );
    // One that is at the wrong place, from where a caller would go on with the oldest; and one that is damaged.
    index("500, 500", "'k1'");
    postgres.sql(&database, "UPDATE krypton_records SET record = set_byte(record, 40, get_byte(record, 40) # 1) WHERE unique_identifier = 'k4'");
    for key in [Some(&key), None] {
        for limit in [1, 2, 3, 64] {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = store.select("t", key, after, limit).await.unwrap();
                found.extend(page.iter().map(|record| record.sequence));
                if page.len() < limit {
                    break;
                }
                after = found.last().copied();
            }
            assert_eq!(found, [5, 3, 2, 1], "pages of {limit}, by a key: {}", key.is_some());
        }
    }
}

/// One task at a time, so that the commits wait before the writer begins.
#[tokio::test]
async fn a_commit_that_the_server_refuses_does_not_fail_those_beside_it() {
    let postgres = Postgres::start();
    let database = postgres.create_database();
    let store = open(&postgres.url(&database)).await.unwrap();
    postgres.sql(&database, "ALTER TABLE krypton_records ADD CHECK (unique_identifier <> 'refused')");
    let commit = |identifier: &str| store.commit(vec![insert(&record("t", identifier, 1))]);
    let (first, refused, last) = tokio::join!(commit("a"), commit("refused"), commit("b"));
    assert!(matches!(&refused, Err(StoreError::Unavailable(what)) if what.contains("23514")), "{refused:?}");
    assert_eq!((first, last), (Ok(()), Ok(())));

    // A row that nothing belongs to is in the way of one, whenever it is tried.
    let torn = with(record("t", "torn", 2), [group("g")]);
    store.commit(vec![insert(&torn)]).await.unwrap();
    postgres.sql(&database, "DELETE FROM krypton_records WHERE unique_identifier = 'torn'");
    let (first, refused, last) = tokio::join!(commit("c"), store.commit(vec![insert(&torn)]), commit("d"));
    assert_eq!((first, refused, last), (Ok(()), Err(StoreError::Conflict), Ok(())));
    assert_eq!(store.select("t", None, None, 10).await.unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_the_server_cannot_hold_are_nobodys() {
    let postgres = Postgres::start();
    let store = open(&postgres.database()).await.unwrap();
    assert_eq!(store.fetch("t", "a\0b").await.unwrap(), None);
    assert!(store.select("t\0", None, None, 1).await.unwrap().is_empty());
    assert!(matches!(store.commit(vec![insert(&record("t\0", "a", 1))]).await, Err(StoreError::Damaged(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_numbers_changes_and_knows_its_members() {
    let postgres = Postgres::start();
    let url = postgres.database();
    let stores = [open_for(&url, CORE).await.unwrap(), open_for(&url, CORE).await.unwrap()];
    assert!(open_for(&url, Purpose::Gateway).await.is_err());
    let region = stores[0].region().unwrap();
    let (membership, lease) = (Duration::from_secs(2), Duration::from_secs(5));
    let joined = region.join("one", membership, lease).await.unwrap();
    region.join("one", membership, lease).await.unwrap_err();
    while tokio::time::timeout(Duration::from_millis(300), region.news()).await.is_ok() {}

    stores[1]
        .commit(vec![insert(&record("region", "l3", 1)), insert(&record("other", "x", 1))])
        .await
        .unwrap();
    tokio::time::timeout(Duration::from_secs(5), region.news()).await.unwrap();
    let changes = region.changes(joined).await.unwrap();
    let changed = [("region", "l3"), ("other", "x")]
        .map(|(tenant, name)| Changed { tenant: tenant.into(), unique_identifier: name.into() });
    let [RegionChange { sequence, changed: told }] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!(*sequence, joined + 1);
    assert_eq!(HashSet::<&Changed>::from_iter(told), HashSet::from_iter(&changed));
    // What is refused is no change.
    stores[1].commit(vec![insert(&record("region", "l3", 1))]).await.unwrap_err();
    assert_eq!(region.renew("one", joined).await.unwrap(), Some(joined + 1));
    assert_eq!(region.renew("two", 0).await.unwrap(), None);

    // A change is kept for those whom it does not bind yet.
    region.forget_changes().await.unwrap();
    assert_eq!(region.changes(joined).await.unwrap(), changes);
    region.renew("one", joined + 1).await.unwrap();
    region.forget_changes().await.unwrap();
    assert!(region.changes(joined).await.unwrap().is_empty());
    let standing = stores[1].region().unwrap().standing().await.unwrap();
    assert_eq!((standing.last, standing.members.len()), (joined + 1, 1));
    let member = &standing.members[0];
    assert_eq!(
        (member.applied, member.beat, member.membership, member.lease),
        (joined + 1, 2, membership, lease)
    );
    region.forget("one", 1).await.unwrap();
    assert!(region.renew("one", 0).await.unwrap().is_some());
    region.forget("one", 3).await.unwrap();
    assert_eq!(region.renew("one", 0).await.unwrap(), None);
    assert!(region.standing().await.unwrap().members.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_leaves_at_once_or_with_the_leases_that_it_granted() {
    let postgres = Postgres::start();
    let store = open_for(&postgres.database(), CORE).await.unwrap();
    let region = store.region().unwrap();
    let (membership, lease) = (Duration::from_secs(2), Duration::from_secs(5));
    let last = region.join("with leases", membership, lease).await.unwrap();
    region.join("without", membership, lease).await.unwrap();
    region.leave("without", Duration::ZERO).await.unwrap();
    region.leave("with leases", Duration::from_micros(1_500)).await.unwrap();
    let left = MemberRow {
        instance: "with leases".into(),
        // As if renewed: whoever watches begins to count anew.
        beat: 1,
        applied: last,
        membership: Duration::ZERO,
        lease: Duration::from_millis(2),
    };
    assert_eq!(region.standing().await.unwrap().members, [left]);
    // Something is told that is in no record.
    let closing = Changed { tenant: "closings".into(), unique_identifier: "acme".into() };
    region.tell(std::slice::from_ref(&closing)).await.unwrap();
    let told = RegionChange { sequence: last + 1, changed: vec![closing] };
    assert_eq!(region.changes(last).await.unwrap(), [told]);
}
