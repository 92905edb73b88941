//! The gate that closes behind an L3: once it is retired, no commit brings a new seal under it, so that a look through the store
//! which finds nothing has found everything.
//!
//! Requests may be under way that sealed under the L3 before. They are not waited for: their commit comes after the gate has
//! closed, is refused as a conflict, and the request is done again, under the new L3. What is waited for are commits that had
//! passed the gate before. A commit goes on when whoever asked for it is gone, so it is not a part of the request here either.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use bytestring::ByteString;
use tokio::sync::{OwnedRwLockReadGuard, RwLock as AsyncRwLock};

/// Which L3s are retired, and the commits under way.
#[derive(Default)]
pub(crate) struct SealGate {
    retired: RwLock<HashSet<ByteString>>,
    commits: Arc<AsyncRwLock<()>>,
}

/// A commit under way.
pub(crate) struct Passage {
    _guard: OwnedRwLockReadGuard<()>,
}

impl SealGate {
    /// Begins a commit. Ask [`is_retired`](Self::is_retired) after that.
    pub(crate) async fn enter(&self) -> Passage {
        Passage { _guard: self.commits.clone().read_owned().await }
    }

    /// Whether nothing new may hang on the L3.
    pub(crate) fn is_retired(&self, key: &str) -> bool {
        self.retired.read().unwrap_or_else(PoisonError::into_inner).contains(key)
    }

    /// Whether any L3 is retired.
    pub(crate) fn is_any_retired(&self) -> bool {
        !self.retired.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Retires an L3. When this returns, all commits have ended that may have brought something under it.
    pub(crate) async fn retire(&self, key: &ByteString) {
        self.retired.write().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        drop(self.commits.write().await);
    }

    /// Forgets those that no longer are.
    pub(crate) fn retain(&self, still: impl Fn(&ByteString) -> bool) {
        self.retired.write().unwrap_or_else(PoisonError::into_inner).retain(still);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn who_retires_a_key_waits_for_the_commits_before() {
        let gate = Arc::new(SealGate::default());
        let before = gate.enter().await;
        assert!(!gate.is_retired("l3"));
        let retiring = tokio::spawn({
            let gate = gate.clone();
            async move { gate.retire(&"l3".into()).await }
        });
        while !gate.is_retired("l3") {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(!retiring.is_finished());
        drop(before);
        assert!(retiring.await.is_ok());
        let _after = gate.enter().await;
        assert!(gate.is_any_retired());
        gate.retain(|key| key != "l3");
        assert!(!gate.is_any_retired());
    }
}
