//! Whether a store answers and takes commits, for whoever asks whether the server is ready.
//!
//! It is read once a second, whoever asks how often. Nothing is written for that: commits are seen as they come, and only when one
//! has failed, or was given up, a commit of our own is tried now and then, until one succeeds. It writes a record anew that has
//! been there since the first start, which needs no more room than a Destroy: a store that has no room for new
//! records is not one that takes no commits. Nobody makes a server unready with a request that no store would take, either.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytestring::ByteString;
use kmip_protocol::attribute::Attributes;
use kmip_protocol::enumeration::ObjectType;
use tokio::time::{Instant, MissedTickBehavior, timeout};

use crate::guard::Guard;
use crate::port::{Change, Store, StoreError};
use crate::record::Record;
use crate::store::IDENTITY_TENANT;

/// How often the store is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// How often a commit is tried while the last one has failed.
const TRY_EVERY: Duration = Duration::from_secs(3);

/// After how long a look, or a commit that is tried, counts as unanswered.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// What is looked for. It is not there, so that no cache knows it.
const ABSENT: &str = "pulse";

/// What is written anew when a commit is tried.
const TRIAL: &str = "trial";

/// What the last look at a store has found.
#[derive(Debug, Default)]
pub struct Pulse {
    problem: Mutex<Option<String>>,
    /// The last commit has failed, or was given up.
    is_doubted: AtomicBool,
}

/// A store whose commits are seen.
struct Felt {
    store: Arc<dyn Store>,
    pulse: Arc<Pulse>,
}

/// A commit under way: one that is given up has failed, for all that is known.
struct Beat<'a> {
    pulse: &'a Pulse,
    has_failed: bool,
}

impl Drop for Beat<'_> {
    fn drop(&mut self) {
        // Written only where it changes: commits are many.
        if self.pulse.is_doubted.load(Ordering::Relaxed) != self.has_failed {
            self.pulse.is_doubted.store(self.has_failed, Ordering::Relaxed);
        }
    }
}

#[async_trait]
impl Store for Felt {
    fn below(&self) -> Option<&dyn Store> {
        Some(&*self.store)
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let mut beat = Beat { pulse: &self.pulse, has_failed: true };
        let committed = self.store.commit(changes).await;
        // Whoever is refused for what others did has learned that from a store that works.
        beat.has_failed = matches!(committed, Err(StoreError::Unavailable(_) | StoreError::Full));
        committed
    }

    async fn present(&self, tenant: &str, objects: &[ByteString]) -> Result<Vec<bool>, StoreError> {
        self.store.present(tenant, objects).await
    }
}

impl Pulse {
    /// The store, its commits seen from now on.
    pub fn over(self: &Arc<Self>, store: Arc<dyn Store>) -> Arc<dyn Store> {
        Arc::new(Felt { store, pulse: Arc::clone(self) })
    }

    /// Looks again and again at the store that this is [`over`](Self::over).
    pub async fn watch(&self, store: &dyn Store) {
        self.watch_every(INTERVAL, TRY_EVERY, store).await;
    }

    async fn watch_every(&self, interval: Duration, try_every: Duration, store: &dyn Store) {
        // Whatever comes of it: it is tried again where it is needed.
        if let Ok(Ok(None)) = timeout(ANSWERS_WITHIN, store.fetch(IDENTITY_TENANT, TRIAL)).await {
            let _ = commit(store, ANSWERS_WITHIN).await;
        }
        let (mut tried, mut refusal): (Option<Instant>, _) = (None, None);
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if !self.is_doubted.load(Ordering::Relaxed) {
                refusal = None;
            } else if tried.is_none_or(|tried| tried.elapsed() >= try_every) {
                refusal = commit(store, ANSWERS_WITHIN).await;
                tried = Some(Instant::now());
            }
            let found = look(store, ANSWERS_WITHIN).await.or_else(|| refusal.clone());
            let mut problem = self.lock();
            match (&*problem, &found) {
                (None, Some(why)) => tracing::error!(why, "the server is not ready"),
                (Some(_), None) => tracing::info!("the store answers again"),
                _ => (),
            }
            *problem = found;
        }
    }

    /// Why the store cannot be used, as of the last look.
    pub fn problem(&self) -> Option<String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tries a commit. Returns why the store does not take it.
async fn commit(store: &dyn Store, within: Duration) -> Option<String> {
    let trying = async {
        let trial = match store.fetch(IDENTITY_TENANT, TRIAL).await? {
            Some(former) => {
                let mut next = Record::clone(&former);
                next.version += 1;
                Change::Replace(Arc::new(next))
            }
            None => Change::Insert(Arc::new(trial())),
        };
        store.commit(vec![trial]).await
    };
    match timeout(within, trying).await {
        // Another server on this store was first.
        Ok(Ok(()) | Err(StoreError::Conflict | StoreError::IdentifierTaken)) => None,
        Ok(Err(error)) => Some(format!("no commit is taken: {error}")),
        Err(_) => Some(format!("no commit is taken: no answer within {within:?}")),
    }
}

fn trial() -> Record {
    Record {
        tenant: ByteString::from_static(IDENTITY_TENANT),
        service: ByteString::new(),
        unique_identifier: ByteString::from_static(TRIAL),
        sequence: 0,
        version: 1,
        object_type: ObjectType::OpaqueObject,
        attributes: Attributes::default(),
        sealed: None,
        further_seals: Vec::new(),
        guard: Guard::default(),
    }
}

async fn look(store: &dyn Store, within: Duration) -> Option<String> {
    match timeout(within, store.fetch(IDENTITY_TENANT, ABSENT)).await {
        Ok(Err(error @ (StoreError::Unavailable(_) | StoreError::Full))) => Some(error.to_string()),
        Ok(_) => None,
        Err(_) => Some(StoreError::Unavailable(format!("no answer within {within:?}")).to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::atomic::{AtomicU8, AtomicU32};

    use super::*;
    use crate::store::{MemoryLimits, MemoryStore};

    /// A store that answers, fails or hangs.
    #[derive(Default)]
    struct Moody(AtomicU8);

    /// A store that counts commits, and takes them or not.
    struct Sealed {
        store: MemoryStore,
        refuses: AtomicBool,
        commits: AtomicU32,
    }

    #[async_trait]
    impl Store for Sealed {
        fn below(&self) -> Option<&dyn Store> {
            Some(&self.store)
        }

        async fn commit(&self, changes: Vec<Change>) -> Result<(), StoreError> {
            self.commits.fetch_add(1, Ordering::Relaxed);
            match self.refuses.load(Ordering::Relaxed) {
                true => Err(StoreError::Unavailable("it is read-only".to_owned())),
                false => self.store.commit(changes).await,
            }
        }
    }

    #[tokio::test]
    async fn a_store_that_takes_no_commits_is_told_until_it_does_and_is_not_written_to_else() {
        let sealed = Arc::new(Sealed {
            store: MemoryStore::new(MemoryLimits::default()),
            refuses: AtomicBool::new(false),
            commits: AtomicU32::new(0),
        });
        let pulse = Arc::new(Pulse::default());
        let felt = pulse.over(sealed.clone());
        let (watched, watching) = (Arc::clone(&felt), Arc::clone(&pulse));
        let moment = Duration::from_millis(10);
        let watcher = tokio::spawn(async move { watching.watch_every(moment, moment, &*watched).await });
        let pass = async || tokio::time::sleep(10 * moment).await;
        let until = async |is_well: bool| {
            while pulse.problem().is_none() != is_well {
                tokio::time::sleep(moment).await;
            }
        };
        let name = |name: &'static str| Record { unique_identifier: name.into(), ..trial() };
        let make = async |made| felt.commit(vec![Change::Insert(Arc::new(name(made)))]).await;
        let commits = || sealed.commits.load(Ordering::Relaxed);
        pass().await;
        assert_eq!((pulse.problem(), commits()), (None, 1), "what is written anew is there from the start");
        make("a").await.unwrap();
        make("a").await.unwrap_err();
        pass().await;
        assert_eq!((pulse.problem(), commits()), (None, 3), "a refusal of one is none of all");
        sealed.refuses.store(true, Ordering::Relaxed);
        pass().await;
        assert_eq!(pulse.problem(), None, "nobody has noticed");
        make("b").await.unwrap_err();
        until(false).await;
        assert!(pulse.problem().unwrap().contains("no commit is taken"));
        sealed.refuses.store(false, Ordering::Relaxed);
        // It is found out without anybody's commit.
        until(true).await;
        let before = commits();
        pass().await;
        assert_eq!(commits(), before);
        watcher.abort();
    }

    #[async_trait]
    impl Store for Moody {
        async fn fetch(&self, _tenant: &str, _identifier: &str) -> Result<Option<Arc<Record>>, StoreError> {
            match self.0.load(Ordering::Relaxed) {
                0 => Ok(None),
                1 => Err(StoreError::Unavailable("it is cut off".to_owned())),
                _ => std::future::pending().await,
            }
        }
    }

    #[tokio::test]
    async fn a_store_that_fails_or_hangs_is_told_until_it_answers() {
        let store = Moody::default();
        for (mood, told) in [(0, None), (1, Some("cut off")), (2, Some("no answer")), (0, None)] {
            store.0.store(mood, Ordering::Relaxed);
            let problem = look(&store, Duration::from_millis(20)).await;
            match told {
                None => assert_eq!(problem, None),
                Some(told) => assert!(problem.unwrap().contains(told)),
            }
        }
    }
}
