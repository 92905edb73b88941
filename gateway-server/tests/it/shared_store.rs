//! Gateways on a database that they share, of whichever kind: they survive its outages and its kills, lose nothing that they
//! have acknowledged, and never move a state backwards.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kmip_protocol::attribute::Attribute;
use kmip_protocol::enumeration::{ResultReason, State};
use kmip_protocol::operation::Response;
use test_servers::Server;
use tokio::task::JoinSet;

use crate::application::{Application, Failure};
use crate::load::{Known, load_until_killed};
use crate::system::{System, eventually, rounds};

/// A database that can be taken away.
pub trait Database {
    /// Where Gateways find it.
    fn url(&self) -> String;
    /// Its server, to be stopped, killed and started again.
    fn server(&mut self) -> &mut Server;
}

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

/// Two Gateways on one database: what one makes the other serves, and neither undoes what the other has done.
pub async fn states_never_move_backwards(url: &str) {
    const KEYS: usize = 12;
    let system = System::start_on(url);
    let other = system.start_gateway_on(2, url);
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

/// The database goes away and comes back: requests fail fast meanwhile, and what was not answered is not there.
pub async fn outages_are_survived(database: &mut impl Database) {
    let system = System::start_on(&database.url());
    let acme = system.application("acme");
    let kept = acme.create("kept").await.unwrap();

    system.readiness().await.unwrap();

    database.server().stop();
    let why = eventually(async || system.readiness().await.err().ok_or("still ready")).await;
    assert!(why.starts_with("HTTP/1.1 503 ") && why.contains("store is unavailable"), "{why}");
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
    database.server().restart();
    eventually(async || system.readiness().await).await;
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

/// The database is killed under load, again and again: no key that was acknowledged is lost, and none comes back that was
/// destroyed.
pub async fn kills_lose_nothing(database: &mut impl Database) {
    let system = System::start_on(&database.url());
    let acme = Arc::new(system.application("acme"));
    let mut known = Known::default();
    for round in 0..rounds(3, 100) {
        let new = load_until_killed(&acme, round, || database.server().kill9()).await;
        database.server().restart();
        eventually(async || acme.create(&format!("{round}-back")).await).await;
        new.assert_whole(&acme).await;
        known.extend(new);
    }
    known.assert_whole(&acme).await;
    known.assert_covers_all();
}
