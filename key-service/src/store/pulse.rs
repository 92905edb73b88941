//! Whether a store answers, for whoever asks whether the server is ready: looked at once a second, whoever asks how often.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, timeout};

use crate::port::{Store, StoreError};
use crate::store::IDENTITY_TENANT;

/// How often the store is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// After how long a look counts as unanswered.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// What is looked for. It is not there, so that no cache knows it.
const ABSENT: &str = "pulse";

/// What the last look at a store has found.
#[derive(Debug, Default)]
pub struct Pulse {
    problem: Mutex<Option<String>>,
}

impl Pulse {
    /// Looks at the store again and again.
    pub async fn watch(&self, store: &dyn Store) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let found = look(store, ANSWERS_WITHIN).await;
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

    use std::sync::Arc;
    use std::sync::atomic::{AtomicU8, Ordering};

    use async_trait::async_trait;

    use super::*;
    use crate::record::Record;

    /// A store that answers, fails or hangs.
    #[derive(Default)]
    struct Moody(AtomicU8);

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
