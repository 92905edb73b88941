//! An audit log in memory, for tests.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::port::{Audit, AuditError, Event};

/// Collects events, or refuses them.
#[derive(Debug, Default)]
pub struct MemoryAudit {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    events: Vec<Event>,
    refusing: bool,
}

impl MemoryAudit {
    /// The events so far.
    pub fn events(&self) -> Vec<Event> {
        self.state().events.clone()
    }

    /// Refuses events from now on, or takes them again.
    pub fn refuse(&self, refusing: bool) {
        self.state().refusing = refusing;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Audit for MemoryAudit {
    async fn record(&self, event: Event) -> Result<(), AuditError> {
        let mut state = self.state();
        if state.refusing {
            return Err(AuditError("it was told to refuse".to_owned()));
        }
        state.events.push(event);
        Ok(())
    }
}
