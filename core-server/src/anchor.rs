//! Anchors: the L1s that an L2 is sealed under. Any of them opens it, so that losing one root is no loss of the tenant.
//!
//! The anchor that did its work last is asked first. One that takes its time does not hold up the others: after a head
//! start the next one is asked as well, and the first answer counts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use kmip_protocol::codec::DateTime;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::metrics::Metrics;
use crate::openings::{Closed, Opened, Opening};
use crate::root::{RootError, RootOfTrust};

/// How long one anchor is waited for before the next one is asked as well.
const HEAD_START: Duration = Duration::from_millis(250);

/// One way to open an L2: an Active L1, and what it sealed.
#[derive(Debug, Clone)]
pub struct Anchor {
    /// Unique Identifier of the L1.
    pub unique_identifier: ByteString,
    /// Where the value of the L1 is.
    pub location: ByteString,
    /// When the L1 is deactivated by its date.
    pub(crate) closes: Option<DateTime>,
    /// What the L2 is bound to under this L1.
    pub(crate) binding: Arc<[u8]>,
    /// The L2, sealed by this L1.
    pub(crate) envelope: Bytes,
}

impl Anchor {
    async fn unseal(&self, root: &dyn RootOfTrust, opening: &Arc<Opening>) -> Result<Opened, RootError> {
        root.unseal(&self.binding, &self.envelope, opening).await
    }

    /// Proves that the root still opens what it sealed. What it opens is wiped at once.
    ///
    /// # Errors
    /// If it does not.
    pub(crate) async fn prove(
        &self,
        root: &dyn RootOfTrust,
        opening: &Arc<Opening>,
    ) -> Result<(), RootError> {
        match self.unseal(root, opening).await.map(drop) {
            // Either the root fails, or another key stands in its place: then it does for itself what it does not for us.
            Err(RootError::Damaged) => {
                root.probe().await?;
                Err(RootError::Denied("it does not open any more what it has sealed".to_owned()))
            }
            proved => proved,
        }
    }
}

/// Opens an L2 by the first of its anchors that does it. `root_at` gives the root at a location; `refused` is told at once which anchor
/// did not, and why. It may close the opening: then no further anchor is asked.
pub(crate) async fn open_by_any(
    root_at: impl Fn(&str) -> Result<Box<dyn RootOfTrust>, RootError>,
    anchors: Vec<Anchor>,
    opening: &Arc<Opening>,
    mut refused: impl FnMut(&Anchor, &RootError),
) -> Result<(Anchor, Opened), RootError> {
    let mut refusals = Vec::new();
    let mut refuse = |anchor: &Anchor, error: RootError| {
        refused(anchor, &error);
        refusals.push(error);
        worst(&refusals)
    };
    let mut answer = RootError::UnknownLocation;
    let mut waiting = anchors.into_iter();
    let mut asked: JoinSet<(Anchor, Result<Opened, RootError>)> = JoinSet::new();
    loop {
        if opening.is_closed() {
            return Err(Closed.into());
        }
        let next = waiting.next();
        let is_last = next.is_none();
        if let Some(anchor) = next {
            match root_at(&anchor.location) {
                Ok(root) => {
                    let opening = Arc::clone(opening);
                    asked.spawn(async move {
                        let opened = anchor.unseal(&*root, &opening).await;
                        (anchor, opened)
                    });
                }
                Err(error) => {
                    answer = refuse(&anchor, error);
                    continue;
                }
            }
        }
        let patience = if is_last { Duration::MAX } else { HEAD_START };
        match timeout(patience, asked.join_next()).await {
            Ok(Some(Ok((anchor, Ok(opened))))) => return Ok((anchor, opened)),
            Ok(Some(Ok((anchor, Err(error))))) => answer = refuse(&anchor, error),
            Ok(Some(Err(_))) => tracing::error!("an anchor was asked in vain: the task has panicked"),
            Ok(None) if is_last => return Err(answer),
            Ok(None) | Err(_) => (),
        }
    }
}

/// What to say where no anchor opens: rather that it may be tried again than that it is refused.
fn worst(refusals: &[RootError]) -> RootError {
    let rank = |error: &RootError| match error {
        RootError::Closed(_) => 4,
        RootError::Memory(_) => 3,
        RootError::Unreachable(_) => 2,
        RootError::Denied(_) => 1,
        _ => 0,
    };
    refusals.iter().max_by_key(|error| rank(error)).cloned().unwrap_or(RootError::UnknownLocation)
}

/// How an anchor answered last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It opened the L2.
    Proved,
    /// It refused.
    Denied,
    /// It did not answer.
    Unreachable,
}

impl Standing {
    /// The name in metrics and attributes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Proved => "proved",
            Self::Denied => "denied",
            Self::Unreachable => "unreachable",
        }
    }
}

/// What is known of an anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// How it answered last.
    pub standing: Standing,
    /// When it was asked the last time that it opened the L2: on the monotonic clock, and on the wall clock.
    pub proved: Option<(Duration, DateTime)>,
}

/// What is known of the anchors, by L2 and L1.
pub(crate) struct AnchorBook {
    metrics: Metrics,
    reports: Mutex<HashMap<ByteString, HashMap<ByteString, Report>>>,
}

impl AnchorBook {
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self { metrics, reports: Mutex::default() }
    }

    /// What is known of an anchor.
    pub(crate) fn report(&self, l2: &str, l1: &str) -> Option<Report> {
        self.reports().get(l2)?.get(l1).copied()
    }

    /// Notes that an anchor opened its L2. It was asked at `asked`.
    pub(crate) fn proved(&self, l2: &ByteString, l1: &ByteString, asked: (Duration, DateTime)) {
        self.note(l2, l1, Standing::Proved, Some(asked));
    }

    /// Notes that an anchor did not open its L2. Returns whether that is news.
    pub(crate) fn failed(&self, l2: &ByteString, l1: &ByteString, standing: Standing) -> bool {
        self.note(l2, l1, standing, None) != Some(standing)
    }

    fn note(
        &self,
        l2: &ByteString,
        l1: &ByteString,
        standing: Standing,
        proved: Option<(Duration, DateTime)>,
    ) -> Option<Standing> {
        let mut reports = self.reports();
        let anchors = reports.entry(l2.clone()).or_default();
        let before = anchors.get(l1).copied();
        let proved = proved.or(before.and_then(|before| before.proved));
        anchors.insert(l1.clone(), Report { standing, proved });
        let before = before.map(|before| before.standing);
        self.metrics.anchor_stands(before, Some(standing));
        before
    }

    /// Forgets all anchors of an L2 but these.
    pub(crate) fn retain(&self, l2: &str, fits: impl Fn(&str) -> bool) {
        let mut reports = self.reports();
        let Some(anchors) = reports.get_mut(l2) else { return };
        for (_, gone) in anchors.extract_if(|l1, _| !fits(l1)) {
            self.metrics.anchor_stands(Some(gone.standing), None);
        }
        if anchors.is_empty() {
            reports.remove(l2);
        }
    }

    /// Sorts anchors: first those that answered last time, the latest of them first; last those that did not.
    pub(crate) fn rank(&self, l2: &str, anchors: &mut [Anchor]) {
        anchors.sort_by_key(|anchor| match self.report(l2, &anchor.unique_identifier) {
            Some(Report { standing: Standing::Proved, proved }) => {
                (0, std::cmp::Reverse(proved.map(|(asked, _)| asked)))
            }
            None => (1, std::cmp::Reverse(None)),
            Some(_) => (2, std::cmp::Reverse(None)),
        });
    }

    fn reports(&self) -> MutexGuard<'_, HashMap<ByteString, HashMap<ByteString, Report>>> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an error says about the anchor; `None` if it says nothing about it.
pub(crate) fn standing_of(error: &RootError) -> Option<Standing> {
    match error {
        RootError::Memory(_) | RootError::Closed(_) => None,
        RootError::Unreachable(_) => Some(Standing::Unreachable),
        _ => Some(Standing::Denied),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use async_trait::async_trait;
    use key_service::memory::{LockedMemory, MemoryKind};

    use super::*;
    use crate::openings::Openings;
    use crate::root::Plaintext;

    /// A root that does what its location says.
    struct Acting {
        act: String,
        memory: LockedMemory,
    }

    #[async_trait]
    impl RootOfTrust for Acting {
        async fn seal(&self, _: &[u8], _: &Arc<Plaintext>) -> Result<Bytes, RootError> {
            Err(RootError::Damaged)
        }

        async fn unseal(&self, _: &[u8], _: &[u8], opening: &Arc<Opening>) -> Result<Opened, RootError> {
            match &*self.act {
                "hangs" => std::future::pending().await,
                "lost" => Err(RootError::Unreachable(String::new())),
                "denied" => Err(RootError::Denied(String::new())),
                "damaged" => Err(RootError::Damaged),
                _ => opening.make(|| Ok(self.memory.store(&[7; 32])?)),
            }
        }

        async fn probe(&self) -> Result<(), RootError> {
            Ok(())
        }

        fn home(&self) -> String {
            self.act.clone()
        }
    }

    async fn open(acts: &[&'static str]) -> (Result<String, RootError>, usize) {
        let memory = LockedMemory::new(MemoryKind::Locked, 4096).unwrap();
        let anchors = acts.iter().map(|act| Anchor {
            unique_identifier: (*act).into(),
            location: (*act).into(),
            closes: None,
            binding: Arc::default(),
            envelope: Bytes::new(),
        });
        let root_at = |act: &str| match act {
            "unknown" => Err(RootError::UnknownLocation),
            act => {
                Ok(Box::new(Acting { act: act.to_owned(), memory: memory.clone() }) as Box<dyn RootOfTrust>)
            }
        };
        let opening = Arc::new(Openings::default()).begin(&"acme".into());
        let mut refusals = 0;
        let opened = open_by_any(root_at, anchors.collect(), &opening, |_, _| refusals += 1).await;
        (opened.map(|(anchor, _)| anchor.unique_identifier.to_string()), refusals)
    }

    #[tokio::test]
    async fn whatever_the_others_do_one_anchor_is_enough() {
        for others in
            [&["hangs"][..], &["lost"], &["denied"], &["damaged"], &["unknown"], &["hangs", "denied"]]
        {
            for position in 0..=others.len() {
                let mut acts = others.to_vec();
                acts.insert(position, "opens");
                assert_eq!(open(&acts).await.0.unwrap(), "opens", "{acts:?}");
            }
        }
        assert_eq!(open(&["opens", "denied"]).await.1, 0, "nobody is asked in vain");
    }

    #[tokio::test]
    async fn where_none_opens_the_answer_is_the_one_that_leaves_the_most_hope() {
        let lost = RootError::Unreachable(String::new());
        for (acts, error) in [
            (&["denied", "lost", "damaged"][..], lost),
            (&["damaged", "denied"], RootError::Denied(String::new())),
            (&["unknown"], RootError::UnknownLocation),
        ] {
            assert_eq!(open(acts).await, (Err(error), acts.len()));
        }
    }

    #[test]
    fn the_anchor_that_answered_last_is_asked_first() {
        let book = AnchorBook::new(Metrics::unregistered());
        let at = |seconds| (Duration::from_secs(seconds), DateTime(0));
        let l2 = ByteString::from_static("l2");
        book.proved(&l2, &"early".into(), at(1));
        book.proved(&l2, &"late".into(), at(2));
        book.proved(&l2, &"out".into(), at(3));
        assert!(book.failed(&l2, &"out".into(), Standing::Denied));
        assert!(!book.failed(&l2, &"out".into(), Standing::Denied), "it is news once");
        let anchor = |name: &'static str| Anchor {
            unique_identifier: name.into(),
            location: name.into(),
            closes: None,
            binding: Arc::default(),
            envelope: Bytes::new(),
        };
        let mut anchors = ["out", "unasked", "early", "late"].map(anchor);
        book.rank("l2", &mut anchors);
        assert_eq!(anchors.map(|anchor| anchor.location.to_string()), ["late", "early", "unasked", "out"]);
        book.retain("l2", |l1| l1 == "early");
        assert!(book.report("l2", "early").is_some() && book.report("l2", "out").is_none());
    }
}
