//! Long computations: off the asynchronous threads, and never more at a time than the operator allows.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::fault::Fault;
use crate::memory::wipe_stack;
use crate::service::ServiceSettings;

/// Where computations go that take a millisecond or more.
#[derive(Debug)]
pub struct Workers {
    private_key_operations: Arc<Semaphore>,
    key_pair_generations: Arc<Semaphore>,
}

impl Workers {
    /// As many at a time as `settings` allow.
    pub fn new(settings: &ServiceSettings) -> Self {
        let slots = |maximum: usize| Arc::new(Semaphore::new(maximum.clamp(1, Semaphore::MAX_PERMITS)));
        Self {
            private_key_operations: slots(settings.maximum_private_key_operations),
            key_pair_generations: slots(settings.maximum_key_pair_generations),
        }
    }

    /// Runs an operation with a private key.
    ///
    /// # Errors
    /// If the computation was broken off.
    pub async fn use_private_key<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        run(&self.private_key_operations, work).await
    }

    /// Stretches a password. Takes the place of a key pair: it takes as long.
    ///
    /// # Errors
    /// If the computation was broken off.
    pub async fn stretch_password<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        run(&self.key_pair_generations, work).await
    }

    /// Generates a key pair.
    ///
    /// # Errors
    /// If the computation was broken off.
    pub async fn generate_key_pair<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        run(&self.key_pair_generations, work).await
    }
}

/// The slot goes with the work: a client that hangs up does not make room before its computation has ended.
async fn run<T: Send + 'static>(
    slots: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    let broken_off = || Fault::general_failure("the computation was broken off");
    let slot = Arc::clone(slots).acquire_owned().await.map_err(|_| broken_off())?;
    let work = tokio::task::spawn_blocking(move || {
        let _slot = slot;
        let done = work();
        wipe_stack();
        done
    });
    work.await.map_err(|_| broken_off())
}
