//! Load of the kind that finds what a kill loses: keys are created and destroyed until a server dies in the middle of it, and
//! what was acknowledged is remembered.

use std::collections::HashMap;
use std::sync::Arc;

use kmip_protocol::enumeration::ResultReason;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::application::{Application, Failure};
use crate::system::eventually;

const WRITERS: usize = 8;

/// What is known of the keys that were made, and all names that were asked for.
#[derive(Default)]
pub struct Known {
    keys: HashMap<String, (Vec<u8>, Life)>,
    names: Vec<String>,
}

/// How far a key has come.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Life {
    Live,
    /// Its destruction was asked for, and not answered.
    Doomed,
    Destroyed,
}

/// What a writer saw: a name, and the key that was made of it.
type Seen = (String, Option<(String, Vec<u8>, Life)>);

/// Creates and destroys keys until `kill` has ended a server in the middle of it.
pub async fn load_until_killed(acme: &Arc<Application>, round: usize, kill: impl FnOnce()) -> Known {
    let (progress, mut made) = unbounded_channel();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(write(acme.clone(), format!("{round}-{writer}"), progress.clone()));
    }
    drop(progress);
    let mut known = Known::default();
    while known.keys.len() < 20 + round % 17 {
        known.note(made.recv().await.expect("the Gateway answers"));
    }
    kill();
    while let Some(one) = made.recv().await {
        known.note(one);
    }
    known
}

async fn write(acme: Arc<Application>, prefix: String, progress: UnboundedSender<Seen>) {
    for number in 0.. {
        let name = format!("{prefix}-{number}");
        let Ok(key) = acme.create(&name).await else { return progress.send((name, None)).unwrap() };
        let bytes = acme.get(&key).await.map(|bytes| bytes.expose().to_vec()).unwrap_or_default();
        let tell =
            |life| progress.send((name.clone(), Some((key.to_string(), bytes.clone(), life)))).unwrap();
        tell(Life::Live);
        if number % 3 == 0 {
            tell(Life::Doomed);
            if acme.destroy(&key).await.is_ok() {
                tell(Life::Destroyed);
            }
        }
    }
}

impl Known {
    fn note(&mut self, (name, made): Seen) {
        self.names.push(name);
        if let Some((key, bytes, life)) = made {
            self.keys.insert(key, (bytes, life));
        }
    }

    pub fn extend(&mut self, other: Self) {
        self.keys.extend(other.keys);
        self.names.extend(other.names);
    }

    /// No key that was acknowledged is lost, none that was destroyed is served, and none is half there.
    pub async fn assert_whole(&self, acme: &Application) {
        for (key, (bytes, life)) in &self.keys {
            match (settled(acme, key).await, life) {
                (Ok(served), Life::Live | Life::Doomed) => {
                    assert!(bytes.is_empty() || served == *bytes, "{key} changed");
                }
                (Err(Failure::Refused(ResultReason::ObjectDestroyed, _)), Life::Doomed | Life::Destroyed) => {
                }
                (other, life) => panic!("{key}, {life:?}: {other:?}"),
            }
        }
        for name in &self.names {
            // Acknowledged or not: a key is there with its name and its value, or not at all.
            for key in eventually(async || acme.locate(name).await).await {
                assert_eq!(settled(acme, &key).await.unwrap().len(), 32, "{name} is half there");
            }
        }
    }

    /// A test in which nothing was made or nothing was destroyed proves half.
    pub fn assert_covers_all(&self) {
        for wanted in [Life::Live, Life::Destroyed] {
            assert!(self.keys.values().any(|(_, life)| *life == wanted), "none is {wanted:?}");
        }
    }
}

/// What Get says when all servers can be reached: a connection may still have to be made anew.
async fn settled(acme: &Application, key: &str) -> Result<Vec<u8>, Failure> {
    let got = eventually(async || match acme.get(key).await {
        Err(away @ Failure::Refused(ResultReason::GeneralFailure, _)) => Err(away),
        answer => Ok(answer),
    });
    got.await.map(|bytes| bytes.expose().to_vec())
}
