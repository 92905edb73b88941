//! One look at the region for all that wait: a hundred Destroys ask the database no more often than one.

use std::sync::Arc;
use std::time::Duration;

use key_service::port::{Clock, Region, Standing, StoreError};
use tokio::sync::Mutex;
use tokio::time::timeout;

/// Where the region stands, asked by one and told to all.
#[derive(Default)]
pub(super) struct Looks {
    latest: Mutex<Option<Look>>,
}

/// An answer, or that there was none.
struct Look {
    /// When it was asked for, on the monotonic clock.
    asked: Duration,
    answer: Result<Arc<Standing>, StoreError>,
}

impl Looks {
    /// Where the region stands: the answer to a question that was asked at or after this call, by whomever. An earlier one does not
    /// count, since it knows nothing of a change that the caller has made meanwhile.
    ///
    /// # Errors
    /// If the database does not answer `within` a time. All that had to wait for the same question share the failure.
    pub(super) async fn look(
        &self,
        region: &dyn Region,
        clock: &dyn Clock,
        within: Duration,
    ) -> Result<Arc<Standing>, StoreError> {
        let called = clock.monotonic();
        let mut latest = self.latest.lock().await;
        if let Some(look) = latest.as_ref().filter(|look| look.asked >= called) {
            return look.answer.clone();
        }
        let asked = clock.monotonic();
        let silent =
            |_| Err(StoreError::Unavailable("it does not tell in time where the region stands".to_owned()));
        let answer = timeout(within, region.standing()).await.unwrap_or_else(silent).map(Arc::new);
        *latest = Some(Look { asked, answer: answer.clone() });
        answer
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::atomic::{AtomicU64, Ordering};

    use async_trait::async_trait;
    use key_service::port::{Changed, RegionChange, SystemClock};
    use tokio::sync::Semaphore;
    use tokio::task::JoinSet;

    use super::*;

    const WITHIN: Duration = Duration::from_secs(60);

    /// A database that answers when it is let: with how often it was asked.
    struct Slow {
        asked: AtomicU64,
        answers: Semaphore,
        fails: bool,
    }

    #[async_trait]
    impl Region for Slow {
        async fn standing(&self) -> Result<Standing, StoreError> {
            let last = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
            self.answers.acquire().await.unwrap().forget();
            match self.fails {
                true => Err(StoreError::Unavailable(last.to_string())),
                false => Ok(Standing { last, members: Vec::new() }),
            }
        }

        async fn join(&self, _: &str, _: Duration, _: Duration) -> Result<u64, StoreError> {
            Ok(0)
        }

        async fn renew(&self, _: &str, _: u64) -> Result<Option<u64>, StoreError> {
            Ok(None)
        }

        async fn leave(&self, _: &str, _: Duration) -> Result<(), StoreError> {
            Ok(())
        }

        async fn tell(&self, _: &[Changed]) -> Result<(), StoreError> {
            Ok(())
        }

        async fn changes(&self, _: u64) -> Result<Vec<RegionChange>, StoreError> {
            Ok(Vec::new())
        }

        async fn forget(&self, _: &str, _: u64) -> Result<(), StoreError> {
            Ok(())
        }

        async fn forget_changes(&self) -> Result<(), StoreError> {
            Ok(())
        }

        async fn news(&self) {}
    }

    struct Rig {
        looks: Looks,
        region: Slow,
        clock: SystemClock,
    }

    impl Rig {
        fn new(fails: bool) -> Arc<Self> {
            let region = Slow { asked: AtomicU64::new(0), answers: Semaphore::new(0), fails };
            Arc::new(Self { looks: Looks::default(), region, clock: SystemClock::default() })
        }

        async fn look(self: Arc<Self>, within: Duration) -> Result<u64, StoreError> {
            Ok(self.looks.look(&self.region, &self.clock, within).await?.last)
        }

        /// Looks begun now, by as many.
        async fn looking(self: &Arc<Self>, count: usize) -> JoinSet<Result<u64, StoreError>> {
            let mut looking = JoinSet::new();
            (0..count).for_each(|_| _ = looking.spawn(Arc::clone(self).look(WITHIN)));
            // They run on this one thread: each is where it waits by then.
            tokio::task::yield_now().await;
            looking
        }
    }

    #[tokio::test]
    async fn whoever_waits_for_a_question_that_is_yet_to_be_asked_shares_its_answer() {
        for fails in [false, true] {
            let rig = Rig::new(fails);
            let mut first = rig.looking(1).await;
            let mut others = rig.looking(100).await;
            // The one that is under way was asked before the others came: they may know of more.
            rig.region.answers.add_permits(100);
            assert_eq!(first.join_next().await.unwrap().unwrap().ok(), (!fails).then_some(1));
            while let Some(answer) = others.join_next().await {
                let expected = if fails { Err(StoreError::Unavailable("2".to_owned())) } else { Ok(2) };
                assert_eq!(answer.unwrap(), expected);
            }
            assert_eq!(rig.region.asked.load(Ordering::SeqCst), 2, "asked once for all that waited");
            drop(Arc::clone(&rig).look(WITHIN).await);
            assert_eq!(
                rig.region.asked.load(Ordering::SeqCst),
                3,
                "an answer to an earlier question was taken"
            );
        }
    }

    #[tokio::test]
    async fn whoever_gives_up_or_gets_no_answer_keeps_nobody_from_asking() {
        let rig = Rig::new(false);
        let mut gives_up = rig.looking(1).await;
        let mut waiting = rig.looking(1).await;
        gives_up.abort_all();
        assert!(gives_up.join_next().await.unwrap().unwrap_err().is_cancelled());
        tokio::task::yield_now().await;
        rig.region.answers.add_permits(1);
        assert_eq!(waiting.join_next().await.unwrap().unwrap(), Ok(2));
        assert!(Arc::clone(&rig).look(Duration::from_millis(10)).await.is_err());
        rig.region.answers.add_permits(1);
        assert_eq!(rig.look(WITHIN).await, Ok(4));
    }
}
