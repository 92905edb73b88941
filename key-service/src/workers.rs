//! Long computations: off the asynchronous threads, never more at a time than the operator allows, and shared: what one
//! principal asks for does not keep others waiting for longer than their turn.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use bytestring::ByteString;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::fault::Fault;
use crate::memory::wipe_stack;
use crate::principal::Principal;
use crate::service::ServiceSettings;

/// Where computations go that take a millisecond or more.
#[derive(Debug)]
pub struct Workers {
    private_key_operations: Places,
    key_pair_generations: Places,
}

impl Workers {
    /// As many at a time as `settings` allow.
    pub fn new(settings: &ServiceSettings) -> Self {
        Self {
            private_key_operations: Places::new(settings.maximum_private_key_operations),
            key_pair_generations: Places::new(settings.maximum_key_pair_generations),
        }
    }

    /// Runs an operation with a private key.
    ///
    /// # Errors
    /// If the computation was broken off.
    pub async fn use_private_key<T: Send + 'static>(
        &self,
        principal: &Principal,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        self.private_key_operations.run(principal, work).await
    }

    /// Stretches a password. Takes the place of a key pair: it takes as long.
    ///
    /// # Errors
    /// If the computation was broken off.
    pub async fn stretch_password<T: Send + 'static>(
        &self,
        principal: &Principal,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        self.key_pair_generations.run(principal, work).await
    }

    /// Generates a key pair.
    ///
    /// # Errors
    /// If the computation was broken off.
    pub async fn generate_key_pair<T: Send + 'static>(
        &self,
        principal: &Principal,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        self.key_pair_generations.run(principal, work).await
    }
}

/// Places for computations, taken in three steps: a principal's, its tenant's, one of all. Whoever has more to do than its share
/// waits at its own step, so that the queue for the last one holds no more than a round of each tenant.
#[derive(Debug)]
struct Places {
    of_principals: Shares<(ByteString, ByteString)>,
    of_tenants: Shares<ByteString>,
    all: Arc<Semaphore>,
}

/// What a computation holds; given back when dropped.
type Held = [OwnedSemaphorePermit; 3];

impl Places {
    fn new(maximum: usize) -> Self {
        let maximum = maximum.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            of_principals: Shares::new(maximum.div_ceil(2)),
            of_tenants: Shares::new(maximum),
            all: Arc::new(Semaphore::new(maximum)),
        }
    }

    async fn take(&self, principal: &Principal) -> Result<Held, Fault> {
        let tenant = ByteString::from(&*principal.tenant);
        let name = ByteString::from(&*principal.name);
        // In this order: what waits holds nothing that another needs.
        let own = take(self.of_principals.of((tenant.clone(), name))).await?;
        let tenants = take(self.of_tenants.of(tenant)).await?;
        Ok([own, tenants, take(Arc::clone(&self.all)).await?])
    }

    /// The place goes with the work: a client that hangs up does not make room before its computation has ended.
    async fn run<T: Send + 'static>(
        &self,
        principal: &Principal,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        let held = self.take(principal).await?;
        let work = tokio::task::spawn_blocking(move || {
            let _held = held;
            let done = work();
            wipe_stack();
            done
        });
        work.await.map_err(|_| broken_off())
    }
}

async fn take(places: Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Fault> {
    places.acquire_owned().await.map_err(|_| broken_off())
}

fn broken_off() -> Fault {
    Fault::general_failure("the computation was broken off")
}

/// Those without work that are remembered at most.
const MAXIMUM_REMEMBERED: usize = 1_024;

/// The places of each of those who have work now.
#[derive(Debug)]
struct Shares<K> {
    maximum: usize,
    places: Mutex<HashMap<K, Arc<Semaphore>>>,
}

impl<K: Eq + Hash> Shares<K> {
    fn new(maximum: usize) -> Self {
        Self { maximum, places: Mutex::default() }
    }

    fn of(&self, whose: K) -> Arc<Semaphore> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= MAXIMUM_REMEMBERED {
            // Nobody waits at what nobody else holds.
            places.retain(|_, places| Arc::strong_count(places) > 1);
        }
        let own = places.entry(whose).or_insert_with(|| Arc::new(Semaphore::new(self.maximum)));
        Arc::clone(own)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn principal(tenant: &'static str, name: &'static str) -> Principal {
        Principal { tenant: ByteString::from_static(tenant), name: ByteString::from_static(name) }
    }

    #[tokio::test]
    async fn one_principal_gets_half_and_one_tenant_leaves_the_next_turn_to_others() {
        let places = Places::new(4);
        let (greedy, second, other) =
            (principal("acme", "greedy"), principal("acme", "second"), principal("globex", "other"));
        let mut held = vec![places.take(&greedy).await.unwrap(), places.take(&greedy).await.unwrap()];
        // All further ones of the greedy principal wait at its own step ...
        let mut waiting: Vec<_> = (0..100).map(|_| Box::pin(places.take(&greedy))).collect();
        assert!(waiting.iter_mut().all(|waiting| poll(waiting.as_mut()).is_pending()));
        // ... and take nothing from its own tenant, ...
        for _ in 0..2 {
            let Poll::Ready(taken) = poll(pin!(places.take(&second))) else { panic!("no place is left") };
            held.push(taken.unwrap());
        }
        // ... while another tenant, where all places are taken, is next.
        let mut next = pin!(places.take(&other));
        assert!(poll(next.as_mut()).is_pending());
        drop(held.remove(0));
        assert!(poll(next.as_mut()).is_ready());
    }

    #[tokio::test]
    async fn shares_without_work_are_forgotten() {
        let places = Places::new(1);
        for number in 0..3 * MAXIMUM_REMEMBERED {
            let principal = Principal { tenant: format!("{number}").into(), name: "one".into() };
            drop(places.take(&principal).await.unwrap());
        }
        assert!(places.of_tenants.places.lock().unwrap().len() <= MAXIMUM_REMEMBERED);
    }
}
