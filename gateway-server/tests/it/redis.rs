//! Gateways on a Redis: they share it, survive its outages and its kills, and lose nothing that they have acknowledged.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kmip_protocol::attribute::Attribute;
use kmip_protocol::enumeration::{ResultReason, State};
use kmip_protocol::operation::Response;
use test_servers::Redis;
use tokio::task::JoinSet;

use crate::application::{Application, Failure};
use crate::system::{System, eventually, rounds};

/// How long a client may wait to be told that the store is away.
const PATIENCE: Duration = Duration::from_secs(4);

async fn state(application: &Application, key: &str) -> Result<State, Failure> {
    let Response::GetAttributes(got) = application.state(key).await? else { panic!("another operation") };
    let state = got.attributes.iter().find_map(|attribute| match attribute {
        Attribute::State(state) => Some(*state),
        _ => None,
    });
    Ok(state.expect("a key has a state"))
}

fn rank(state: State) -> u8 {
    match state {
        State::PreActive => 0,
        State::Active => 1,
        State::Deactivated => 2,
        State::Compromised => 3,
        State::Destroyed => 4,
        State::DestroyedCompromised => 5,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_that_share_a_redis_never_move_a_state_backwards() {
    const KEYS: usize = 12;
    let redis = Redis::start();
    let url = redis.url_of_user();
    let system = System::start_on(&url);
    let other = system.start_gateway_on(2, &url);
    let one = Arc::new(system.application("acme"));
    let two = Arc::new(Application::new(other.address, &system.run().join("pki"), "acme"));

    let mut watchers = JoinSet::new();
    let mut keys = Vec::new();
    for number in 0..KEYS {
        let key = one.create(&format!("shared-{number}")).await.unwrap();
        assert_eq!(two.get(&key).await.unwrap().expose(), one.get(&key).await.unwrap().expose());
        let gateways = [one.clone(), two.clone()];
        let watched = key.clone();
        // Reads by turns: what the other Gateway has shown may not be undone here.
        watchers.spawn(async move {
            let mut highest = 0;
            for turn in 0.. {
                let now = rank(state(&gateways[turn % 2], &watched).await.unwrap());
                assert!(now >= highest, "{watched} moved from {highest} back to {now}");
                highest = now;
                if highest >= 4 {
                    return;
                }
            }
        });
        keys.push(key);
    }
    let mut changes = JoinSet::new();
    for (number, key) in keys.iter().enumerate() {
        for (gateway, first) in [(one.clone(), number % 2 == 0), (two.clone(), number % 2 == 1)] {
            let key = key.clone();
            changes.spawn(async move {
                // Both try everything at once; what has become impossible is refused.
                let _ = gateway.activate(&key).await;
                if first {
                    let _ = gateway.revoke(&key).await;
                }
                let _ = gateway.activate(&key).await;
                let _ = gateway.revoke(&key).await;
                let _ = gateway.destroy(&key).await;
            });
        }
    }
    changes.join_all().await;
    watchers.join_all().await;
    // A name is one key's, whichever Gateway is asked, at the same time too.
    let (first, second) = tokio::join!(one.create("unique"), two.create("unique"));
    let refused = [&first, &second].into_iter().filter_map(|made| made.as_ref().err()).collect::<Vec<_>>();
    assert!(
        matches!(refused[..], [Failure::Refused(ResultReason::NonUniqueNameAttribute, _)]),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_goes_away_and_comes_back() {
    let mut redis = Redis::start();
    let system = System::start_on(&redis.url());
    let acme = system.application("acme");
    let kept = acme.create("kept").await.unwrap();

    redis.stop();
    for attempt in 0..3 {
        let name = format!("never-{attempt}");
        let failures = [
            quickly(acme.create(&name)).await.unwrap_err(),
            quickly(acme.get(&kept)).await.unwrap_err(),
            quickly(acme.destroy(&kept)).await.unwrap_err(),
            quickly(acme.locate("kept")).await.unwrap_err(),
        ];
        for failure in failures {
            assert!(
                matches!(&failure, Failure::Refused(ResultReason::GeneralFailure, why) if why.contains("store is unavailable")),
                "{failure:?}"
            );
        }
    }
    redis.restart();
    let bytes = eventually(async || acme.get(&kept).await).await;
    assert_eq!(bytes.expose().len(), 32);
    let made = eventually(async || acme.create("again").await).await;
    assert_eq!(acme.locate("again").await.unwrap(), [made]);
    for attempt in 0..3 {
        assert!(acme.locate(&format!("never-{attempt}")).await.unwrap().is_empty());
    }
}

async fn quickly<T>(future: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let answer = future.await;
    assert!(started.elapsed() < PATIENCE, "it took {:?}", started.elapsed());
    answer
}

const WRITERS: usize = 8;

/// What is known of each key: its bytes, and how far it has come.
type Known = HashMap<String, (Vec<u8>, Life)>;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Life {
    Live,
    /// Its destruction was asked for, and not answered.
    Doomed,
    Destroyed,
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_of_redis_lose_no_acknowledged_key() {
    let mut redis = Redis::start();
    let system = System::start_on(&redis.url());
    let acme = Arc::new(system.application("acme"));
    let mut known = Known::new();
    for round in 0..rounds(3, 100) {
        let (new, names) = load_until_killed(&acme, &mut redis, round).await;
        redis.restart();
        eventually(async || acme.create(&format!("{round}-back")).await).await;
        // The latest ones are at risk; all are looked at in the end.
        assert_known(&acme, &new).await;
        for name in names {
            // Acknowledged or not: a key is there with its name and its value, or not at all.
            for key in eventually(async || acme.locate(&name).await).await {
                let bytes = eventually(async || acme.get(&key).await).await;
                assert_eq!(bytes.expose().len(), 32, "{name} is half there");
            }
        }
        known.extend(new);
    }
    assert!(
        known.values().any(|(_, life)| *life == Life::Destroyed),
        "nothing was destroyed: the test proves half"
    );
    assert_known(&acme, &known).await;
}

/// Creates and destroys keys until Redis is killed in the middle of it; returns what was acknowledged, and all names.
async fn load_until_killed(acme: &Arc<Application>, redis: &mut Redis, round: usize) -> (Known, Vec<String>) {
    let (progress, mut made) = tokio::sync::mpsc::unbounded_channel();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (acme, progress) = (acme.clone(), progress.clone());
        writers.spawn(async move {
            for number in 0.. {
                let name = format!("{round}-{writer}-{number}");
                let created = acme.create(&name).await;
                let Ok(key) = created else { return progress.send((name, None)).unwrap() };
                let bytes = acme.get(&key).await.map(|bytes| bytes.expose().to_vec()).unwrap_or_default();
                let tell = |life| {
                    progress.send((name.clone(), Some((key.to_string(), bytes.clone(), life)))).unwrap()
                };
                tell(Life::Live);
                if number % 3 == 0 {
                    tell(Life::Doomed);
                    if acme.destroy(&key).await.is_ok() {
                        tell(Life::Destroyed);
                    }
                }
            }
        });
    }
    drop(progress);
    let (mut known, mut names) = (Known::new(), Vec::new());
    let mut note = |(name, made): (String, Option<(String, Vec<u8>, Life)>)| {
        names.push(name);
        if let Some((key, bytes, life)) = made {
            known.insert(key, (bytes, life));
        }
        known.len()
    };
    while note(made.recv().await.expect("the Gateway answers")) < 20 + round % 17 {}
    redis.kill9();
    while let Some(one) = made.recv().await {
        note(one);
    }
    (known, names)
}

async fn assert_known(acme: &Application, known: &Known) {
    for (key, (bytes, life)) in known {
        // A connection may still have to be made anew.
        let got = eventually(async || match acme.get(key).await {
            Err(away @ Failure::Refused(ResultReason::GeneralFailure, _)) => Err(away),
            answer => Ok(answer),
        });
        match (got.await, life) {
            (Ok(served), Life::Live | Life::Doomed) => {
                assert!(bytes.is_empty() || served.expose() == bytes, "{key} changed");
            }
            (Err(Failure::Refused(ResultReason::ObjectDestroyed, _)), Life::Doomed | Life::Destroyed) => (),
            (other, life) => panic!("{key}, {life:?}: {other:?}"),
        }
    }
}
