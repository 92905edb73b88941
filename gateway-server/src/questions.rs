//! Questions to the Core that many ask at once: one is sent, and all share the answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytestring::ByteString;
use key_service::port::SealerError;
use tokio::sync::OnceCell;

type Question = OnceCell<Result<(), SealerError>>;

/// The questions that are being asked, each about one key.
#[derive(Default)]
pub(crate) struct Questions {
    open: Mutex<HashMap<ByteString, Arc<Question>>>,
}

impl Questions {
    /// Asks, or waits with those who are asking already; they share a failure, too. Who comes later asks anew.
    pub(crate) async fn ask<A: Future<Output = Result<(), SealerError>>>(
        &self,
        key: &ByteString,
        ask: impl FnOnce() -> A,
    ) -> Result<(), SealerError> {
        let question = self.open().entry(key.clone()).or_default().clone();
        let answer = question.get_or_init(ask).await.clone();
        let mut open = self.open();
        if open.get(key).is_some_and(|current| Arc::ptr_eq(current, &question)) {
            open.remove(key);
        }
        answer
    }

    fn open(&self) -> MutexGuard<'_, HashMap<ByteString, Arc<Question>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
