//! This Core as a member of its region: where several Cores share a store, it uses keys and grants leases only while its
//! membership lives, follows the changes that the others make, and waits for the others after its own. The rules are
//! `key_service::region`; here are the clock, the database and the waiting. A Core with a store of its own is always live.

mod looks;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytestring::ByteString;
use key_service::fault::Fault;
use key_service::lease::Drift;
use key_service::port::{Changed, Clock, Entropy, Region, Standing, StoreError};
use key_service::region::{Member, Settlement, Watch};
use kmip_net::CancellationToken;
use tokio::sync::{Notify, mpsc};
use tokio::time::{MissedTickBehavior, timeout};

use crate::following::Following;
use crate::leases::Leases;
use crate::region_metrics::RegionMetrics;
use crate::vault::Vault;
use looks::Looks;

/// How often a membership is renewed within its time.
const RENEWALS: u32 = 4;

/// How long to wait for news of the other Cores before looking all the same.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// How often changes that bind all Cores are forgotten: kept for ever, they would fill the database.
const FORGET_CHANGES_EVERY: Duration = Duration::from_secs(60);

/// A membership, or the lack of a need for one.
pub struct Membership {
    clock: Arc<dyn Clock>,
    shared: Option<Shared>,
    /// On the monotonic clock, in nanoseconds.
    live_until: AtomicU64,
}

/// What there is where several Cores share a store.
struct Shared {
    region: Arc<dyn Region>,
    entropy: Arc<dyn Entropy>,
    membership: Duration,
    longest_lease: Duration,
    state: Mutex<State>,
    looks: Looks,
    /// Somebody has made a change, or followed one.
    news: Notify,
    metrics: RegionMetrics,
}

struct State {
    instance: ByteString,
    member: Member,
}

impl Membership {
    /// Of a Core that shares its store with nobody.
    pub fn alone(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { clock, shared: None, live_until: AtomicU64::new(u64::MAX) })
    }

    /// Joins the Cores that share a store.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn join(
        region: Arc<dyn Region>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        membership: Duration,
        longest_lease: Duration,
        metrics: RegionMetrics,
    ) -> Result<Arc<Self>, StoreError> {
        let (instance, sent) = (new_instance(&*entropy)?, clock.monotonic());
        let last = region.join(&instance, membership, longest_lease).await?;
        let state = State { instance, member: Member::joined(sent, membership, last) };
        let live_until = nanoseconds(state.member.live_until());
        let (looks, news, state) = (Looks::default(), Notify::new(), Mutex::new(state));
        let shared = Shared { region, entropy, membership, longest_lease, state, looks, news, metrics };
        Ok(Arc::new(Self { clock, shared: Some(shared), live_until: AtomicU64::new(live_until) }))
    }

    /// Whether keys may be used and leases be granted at this moment.
    pub fn is_live(&self) -> bool {
        match self.live_until.load(Ordering::Acquire) {
            // Alone: not even the clock is asked.
            u64::MAX => true,
            live_until => nanoseconds(self.clock.monotonic()) < live_until,
        }
    }

    /// Refuses what uses keys unless the membership is live.
    ///
    /// # Errors
    /// If it is not.
    pub fn require(&self) -> Result<(), Fault> {
        if self.is_live() {
            return Ok(());
        }
        Err(Fault::general_failure("this Core is cut off from the others of its region; try again later"))
    }

    /// Waits until a change that has been committed binds all Cores and their Gateways.
    ///
    /// # Errors
    /// If that cannot be found out. The change stands, and binds everybody a membership and a lease later at the latest.
    pub async fn settle(&self) -> Result<(), StoreError> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let started = self.clock.monotonic();
        let standing = shared.first_standing(started, &*self.clock).await?;
        let own = shared.state().instance.clone();
        let mut settlement = Settlement::new(&standing, &own, Drift::default(), self.clock.monotonic());
        loop {
            let news = shared.news.notified();
            let now = self.clock.monotonic();
            let Some(done_at) = settlement.done_at().filter(|done_at| *done_at > now) else { break };
            // Whether there was news or not: it is looked for.
            let _ = timeout((done_at - now).min(LOOK_AGAIN_AFTER), news).await;
            if let Ok(Ok(standing)) = timeout(done_at - now, shared.look(&*self.clock)).await {
                settlement.look(&standing);
            }
        }
        for silent in settlement.waiting() {
            tracing::warn!(instance = %silent, "a Core has not followed: its membership and its leases have ended instead");
        }
        shared.metrics.settled(self.clock.monotonic().saturating_sub(started));
        Ok(())
    }

    /// Tells the other Cores of a change that no record shows. They have followed when it is [settled](Self::settle).
    ///
    /// # Errors
    /// If the database does not take it.
    pub(crate) async fn tell(&self, changed: &[Changed]) -> Result<(), StoreError> {
        match &self.shared {
            None => Ok(()),
            Some(shared) => shared.region.tell(changed).await,
        }
    }

    /// Renews the membership and follows the others, until this Core is `idle`: it answers nobody any more. Then it leaves.
    pub(crate) async fn run(
        self: Arc<Self>,
        following: Following,
        vault: Arc<Vault>,
        leases: Arc<Leases>,
        idle: CancellationToken,
    ) {
        let Some(shared) = &self.shared else { return };
        let guard = tokio::spawn(Arc::clone(&self).wipe_when_ended(Arc::clone(&vault)));
        let (settled, mut settlements) = mpsc::unbounded_channel();
        let follower = Follower { membership: &self, shared, following, vault: Arc::clone(&vault), settled };
        let mut watch = Watch::default();
        let mut ticks = tokio::time::interval(shared.membership / RENEWALS);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut forgetting = tokio::time::interval(FORGET_CHANGES_EVERY);
        forgetting.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = idle.cancelled() => break,
                Some(up_to) = settlements.recv() => {
                    shared.state().member.settled(up_to);
                    follower.renew().await;
                }
                () = shared.region.news() => {
                    shared.news.notify_waiters();
                    follower.look(&mut watch).await;
                }
                _ = ticks.tick() => {
                    follower.renew().await;
                    follower.look(&mut watch).await;
                }
                _ = forgetting.tick() => {
                    // Whatever keeps us from it: there is another time.
                    let _ = timeout(shared.membership / 2, shared.region.forget_changes()).await;
                }
            }
        }
        guard.abort();
        self.live_until.store(0, Ordering::Release);
        vault.forget_all();
        self.leave(shared, leases.remaining()).await;
    }

    /// Leaves the region, so that the others wait for nothing but the leases of this Core, until those have ended.
    async fn leave(&self, shared: &Shared, lease: Duration) {
        let instance = shared.state().instance.clone();
        match timeout(shared.membership / 2, shared.region.leave(&instance, lease)).await {
            Ok(Ok(())) => tracing::info!("left the other Cores of the region"),
            Ok(Err(error)) => tracing::warn!(%error, "the other Cores wait until the membership has ended"),
            Err(_) => tracing::warn!("the other Cores wait until the membership has ended"),
        }
    }

    /// A Core that is no member keeps no keys in memory either.
    async fn wipe_when_ended(self: Arc<Self>, vault: Arc<Vault>) {
        let mut was_live = true;
        loop {
            let now = nanoseconds(self.clock.monotonic());
            let left = self.live_until.load(Ordering::Acquire).saturating_sub(now);
            if left == 0 && was_live {
                vault.forget_all();
                tracing::error!(
                    "the membership has ended, since the database does not answer: no key is used until it does"
                );
            }
            was_live = left > 0;
            if let Some(shared) = &self.shared {
                shared.metrics.live(was_live);
            }
            tokio::time::sleep(Duration::from_nanos(left).clamp(LOOK_AGAIN_AFTER, Duration::from_secs(1)))
                .await;
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the region stands. Asked together with all others that wait for it.
    async fn look(&self, clock: &dyn Clock) -> Result<Arc<Standing>, StoreError> {
        self.looks.look(&*self.region, clock, self.membership / 2).await
    }

    /// Asks where the region stands until there is an answer, but no longer than a change can take to bind everybody.
    async fn first_standing(
        &self,
        started: Duration,
        clock: &dyn Clock,
    ) -> Result<Arc<Standing>, StoreError> {
        loop {
            let answer = self.look(clock).await;
            let is_over = clock.monotonic().saturating_sub(started) > self.membership + self.longest_lease;
            match answer {
                Err(error) if is_over => return Err(error),
                Err(_) => tokio::time::sleep(LOOK_AGAIN_AFTER).await,
                answer => return answer,
            }
        }
    }
}

/// What follows the others.
struct Follower<'a> {
    membership: &'a Membership,
    shared: &'a Shared,
    following: Following,
    vault: Arc<Vault>,
    settled: mpsc::UnboundedSender<u64>,
}

impl Follower<'_> {
    /// Renews the membership. A renewal that takes too long is given up, so that the next one has its chance.
    async fn renew(&self) {
        let (instance, applied, renewing) = {
            let state = self.shared.state();
            let renewing = state.member.renewing(self.membership.clock.monotonic());
            (state.instance.clone(), state.member.applied(), renewing)
        };
        let renewal = self.shared.region.renew(&instance, applied);
        match timeout(self.shared.membership / 2, renewal).await {
            Ok(Ok(Some(last))) => {
                let renewed = self.shared.state().member.renewed(renewing, last);
                match renewed {
                    Ok(true) => self.follow().await,
                    Ok(false) => self.publish(),
                    Err(_) => {
                        tracing::error!(
                            "the database has lost changes of the region: it was restored, or is another one"
                        );
                        self.join_again().await;
                    }
                }
            }
            Ok(Ok(None)) => self.join_again().await,
            Ok(Err(error)) => tracing::warn!(%error, "the membership was not renewed"),
            Err(_) => tracing::warn!("the membership was not renewed in time"),
        }
    }

    /// Looks whether others have changed something, and whether others have gone.
    async fn look(&self, watch: &mut Watch) {
        // Its turn included: nothing keeps the next renewal waiting for longer.
        let looking = self.shared.look(&*self.membership.clock);
        let Ok(Ok(standing)) = timeout(self.shared.membership / 2, looking).await else { return };
        self.shared.metrics.members(standing.members.len());
        if standing.last > self.shared.state().member.bound() {
            self.follow().await;
        }
        for (instance, beat) in watch.look(&standing, Drift::default(), self.membership.clock.monotonic()) {
            tracing::info!(%instance, "a Core that has ended is forgotten");
            // Whatever keeps us from it: there is another time.
            let _ = self.shared.region.forget(&instance, beat).await;
        }
    }

    /// Follows the changes of others (and of our own: that costs little) until all of them bind this Core; the Gateways
    /// have the time of their leases.
    async fn follow(&self) {
        let bound = self.shared.state().member.bound();
        let changes = match timeout(self.shared.membership / 2, self.shared.region.changes(bound)).await {
            Ok(Ok(changes)) => changes,
            Ok(Err(error)) => return tracing::warn!(%error, "changes of other Cores cannot be followed"),
            Err(_) => return tracing::warn!("changes of other Cores cannot be followed in time"),
        };
        // Numbers have no gaps. One that is missing was forgotten, since we are no member any more: the next renewal says so.
        let is_next = |(index, change): &(usize, &key_service::port::RegionChange)| {
            change.sequence == bound + 1 + *index as u64
        };
        let followed = changes.iter().enumerate().take_while(is_next).map(|(_, change)| change);
        let followed: Vec<_> = followed.collect();
        let Some(up_to) = followed.last().map(|change| change.sequence) else { return };
        let changed: Vec<Changed> =
            followed.iter().flat_map(|change| change.changed.iter().cloned()).collect();
        match self.following.follow(&changed).await {
            Ok(given_up) => {
                self.shared.state().member.bind(up_to);
                self.publish();
                self.shared.metrics.followed(followed.len());
                let settled = self.settled.clone();
                tokio::spawn(async move {
                    given_up.await;
                    // Nobody is told any more when the Core stops.
                    let _ = settled.send(up_to);
                });
            }
            Err(error) => tracing::warn!(%error, "changes of other Cores cannot be followed"),
        }
    }

    /// The others have forgotten this Core: it begins anew, with nothing in memory.
    async fn join_again(&self) {
        self.membership.live_until.store(0, Ordering::Release);
        self.vault.forget_all();
        let Ok(instance) = new_instance(&*self.shared.entropy) else { return };
        let sent = self.membership.clock.monotonic();
        let (membership, lease) = (self.shared.membership, self.shared.longest_lease);
        match timeout(membership / 2, self.shared.region.join(&instance, membership, lease)).await {
            Ok(Ok(last)) => {
                // What was being opened before the number was read does not count either.
                self.vault.forget_all();
                *self.shared.state() = State { instance, member: Member::joined(sent, membership, last) };
                self.publish();
                tracing::info!("joined the other Cores of the region again");
            }
            Ok(Err(error)) => tracing::warn!(%error, "the other Cores of the region cannot be joined"),
            Err(_) => tracing::warn!("the other Cores of the region cannot be joined in time"),
        }
    }

    fn publish(&self) {
        let live_until = nanoseconds(self.shared.state().member.live_until());
        self.membership.live_until.store(live_until, Ordering::Release);
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX - 1)
}

/// A name for this life of this Core.
fn new_instance(entropy: &dyn Entropy) -> Result<ByteString, StoreError> {
    let mut random = [0; 16];
    let filled = entropy.fill(&mut random);
    filled.map_err(|error| StoreError::Unavailable(format!("no randomness: {error}")))?;
    Ok(ByteString::from(format!("{:032x}", u128::from_be_bytes(random))))
}
