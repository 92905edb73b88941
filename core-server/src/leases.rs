//! The leases of Gateways on L3s, and how they are recalled: the promise that a Revoke is answered only when nobody can use
//! the key any more. The rules are `key_service::lease`; here are the clock, the connections and the waiting.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytestring::ByteString;
use key_service::lease::{Drift, Grant, Grantor, Revocation};
use key_service::port::Clock;
use kmip_net::Pusher;
use kmip_protocol::attribute::{Attribute, Attributes};
use kmip_protocol::enumeration::{ResultStatus, State};
use kmip_protocol::message::{RequestHeader, RequestMessage, ResponseMessage};
use kmip_protocol::operation::{NotifyRequest, Request};
use kmip_protocol::version::V2_1;
use kmip_ttlv::Limits;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;

use crate::audit::Settlement;
use crate::tombstones::Plot;

/// How long to wait before a Gateway that has not confirmed is asked again, if it has a connection.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// How long a Gateway's Destroy waits for the other Gateways to forget the object, ...
pub(crate) const FORGET_WITHIN: Duration = Duration::from_secs(1);

/// ... and how often each is told before its leases are recalled.
const FORGET_ATTEMPTS: usize = 3;

/// How long a Gateway that asks for a lease waits until it has given up one that is being recalled for what it was to forget: it may be
/// told at this moment.
const GIVE_UP_WITHIN: Duration = Duration::from_millis(200);

/// After so many grants, leases that have ended are forgotten.
const GRANTS_PER_CLEANING: u64 = 256;

/// Keys recalled in one message at most.
const KEYS_PER_MESSAGE: usize = 200;

/// One life of a Gateway: its name, and the Client Correlation Value by which this life of it goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Life {
    /// The name in its certificate.
    pub gateway: ByteString,
    /// The life.
    pub instance: ByteString,
}

/// The leases of a Core.
pub struct Leases {
    clock: Arc<dyn Clock>,
    lease_time: Duration,
    maximum_lives: usize,
    grantor: Mutex<Grantor<ByteString, Life>>,
    lives: Mutex<Lives>,
    leased: Mutex<Leased>,
    pushers: Mutex<HashMap<Life, Subscription>>,
    confirmed: Notify,
    grants: AtomicU64,
}

/// Lives of each Gateway, and until when the leases of each may live.
#[derive(Default)]
struct Lives(HashMap<ByteString, HashMap<ByteString, Duration>>);

/// Whose the L3s are on which there are leases, and until when. So a closing finds every lease on a tenant, whatever has become of
/// the records of its L3s: damaged, lost from an index, made a moment ago.
#[derive(Default)]
struct Leased(HashMap<ByteString, (Plot, Duration)>);

/// The way to tell a life of a Gateway. When it is dropped, its connection is closed.
struct Subscription {
    pusher: Pusher,
    _held: oneshot::Sender<()>,
}

/// Why there is no lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoLease {
    /// The L3 was revoked.
    Revoked,
    /// This life could not be told what to forget, and has not given up an earlier lease yet.
    Owed,
    /// So many lives of this Gateway hold leases that there can be no further one.
    TooManyLives,
}

impl Leases {
    /// Leases of `lease_time` from now on. Longer ones may be out from before a restart, up to `longest_lease`.
    pub fn new(
        clock: Arc<dyn Clock>,
        lease_time: Duration,
        longest_lease: Duration,
        maximum_lives: usize,
    ) -> Self {
        let grantor = Grantor::new(clock.monotonic(), longest_lease, Drift::default());
        Self {
            clock,
            lease_time,
            grantor: Mutex::new(grantor),
            maximum_lives,
            lives: Mutex::default(),
            leased: Mutex::default(),
            pushers: Mutex::default(),
            confirmed: Notify::new(),
            grants: AtomicU64::new(0),
        }
    }

    /// Grants a lease on an L3 of a service; returns how long it is.
    ///
    /// # Errors
    /// If the L3 was revoked, an earlier lease on it is yet to be given up, or too many lives of the Gateway hold leases: each of
    /// them delays every revocation.
    pub fn grant(&self, key: &ByteString, of: &Plot, life: &Life) -> Result<Duration, NoLease> {
        let now = self.clock.monotonic();
        let ends = now + Drift::default().stretch(self.lease_time);
        if !lock(&self.lives).begin(life, ends, now, self.maximum_lives) {
            return Err(NoLease::TooManyLives);
        }
        let is_cleaned = self.grants.fetch_add(1, Ordering::Relaxed).is_multiple_of(GRANTS_PER_CLEANING);
        // Before the lease is there: whoever looks for it later finds it.
        lock(&self.leased).begin(key, of, ends, is_cleaned.then_some(now));
        let mut grantor = self.grantor();
        if is_cleaned {
            grantor.expire(now);
        }
        match grantor.grant(key, life, self.lease_time, now) {
            Grant::Granted => Ok(self.lease_time),
            Grant::Revoked => Err(NoLease::Revoked),
            Grant::Owed => Err(NoLease::Owed),
        }
    }

    /// Waits until a life that was to forget something has given up an L3, or for a moment.
    pub async fn given_up(&self, key: &ByteString, life: &Life) {
        let all = async {
            loop {
                let confirmed = self.confirmed.notified();
                if !self.grantor().owes(key, life, self.clock.monotonic()) {
                    return;
                }
                confirmed.await;
            }
        };
        let _ = tokio::time::timeout(GIVE_UP_WITHIN, all).await;
    }

    /// A Gateway can be told over this connection from now on. Returns whether it can: there may be too many lives of it.
    pub fn subscribe(self: &Arc<Self>, life: Life, pusher: Pusher) -> bool {
        let (held, dropped) = oneshot::channel();
        let mut pushers = self.pushers();
        let others = pushers.keys().filter(|other| other.gateway == life.gateway && **other != life).count();
        if others >= self.maximum_lives {
            return false;
        }
        tracing::info!(gateway = %life.gateway, "leases can be recalled");
        pushers.insert(life.clone(), Subscription { pusher: pusher.clone(), _held: held });
        let leases = Arc::clone(self);
        tokio::spawn(async move {
            tokio::select! {
                () = pusher.closed() => leases.unsubscribe(&life, pusher.connection_id()),
                // Another connection has taken the place, or the Gateway was expelled.
                _ = dropped => (),
            }
        });
        true
    }

    /// Expels a Gateway, to which no lease is granted any more: returns when each life of it has given up its keys, or its
    /// leases have ended. The connections over which they were told are closed.
    pub async fn expel(self: &Arc<Self>, gateway: &str) -> Settlement {
        let is_expelled = |life: &Life| life.gateway == gateway;
        let (revocation, keys) = self.grantor().expel(is_expelled, self.clock.monotonic());
        let settlement = Arc::clone(self).settle(Some(revocation), keys).await;
        self.pushers().retain(|life, _| !is_expelled(life));
        settlement
    }

    /// The lives of a Gateway that are there now: they hold leases, or can be told something.
    pub fn lives_of(&self, gateway: &str) -> HashSet<ByteString> {
        let now = self.clock.monotonic();
        let mut lives = lock(&self.lives).living(gateway, now);
        let pushers = self.pushers();
        lives.extend(pushers.keys().filter(|life| life.gateway == gateway).map(|life| life.instance.clone()));
        lives
    }

    /// The live leases on an L3: who holds them, and for how long yet.
    pub fn holders(&self, key: &ByteString) -> Vec<(Life, Duration)> {
        let now = self.clock.monotonic();
        self.grantor().leases(key, now).map(|(life, ends)| (life.clone(), ends.saturating_sub(now))).collect()
    }

    /// The L3s on which there may be leases and that fit.
    pub fn leased(&self, fits: impl Fn(&Plot) -> bool) -> Vec<ByteString> {
        let now = self.clock.monotonic();
        lock(&self.leased).select(now, fits)
    }

    /// The L3s of a tenant on which there may be leases.
    pub fn leased_of(&self, tenant: &str) -> Vec<ByteString> {
        self.leased(|of| of.tenant() == tenant)
    }

    /// For how long yet there may be leases, if no more are granted.
    pub fn remaining(&self) -> Duration {
        self.grantor().all_end_at().saturating_sub(self.clock.monotonic())
    }

    /// Revokes L3s: returns when no Gateway can use them any more, because it said so or because its lease has ended.
    /// From the call on no lease is granted on them, whether the result is waited for or not.
    pub fn revoke(self: &Arc<Self>, keys: &[ByteString]) -> impl Future<Output = Settlement> + Send + use<> {
        let revocation = (!keys.is_empty()).then(|| self.grantor().revoke(keys, self.clock.monotonic()));
        Arc::clone(self).settle(revocation, keys.to_vec())
    }

    /// A revocation was not recorded: leases are granted again.
    pub fn readmit(&self, keys: &[ByteString]) {
        self.grantor().readmit(keys);
    }

    /// Recalls the leases on L3s: returns when every lease granted before has been given up or has ended. The L3s are not
    /// revoked: whoever may use them takes leases again.
    pub fn recall(self: &Arc<Self>, keys: &[ByteString]) -> impl Future<Output = Settlement> + Send + use<> {
        let revocation = (!keys.is_empty()).then(|| self.grantor().recall(keys, self.clock.monotonic()));
        Arc::clone(self).settle(revocation, keys.to_vec())
    }

    /// Tells all Gateways, but the one that asks, to forget objects (L4s) of a service. Returns when they have, or after a
    /// while: what is left is told in the background, and a Gateway that cannot be told loses its leases.
    ///
    /// Should this Core end before, or have been restarted a moment ago, there may be Gateways that nobody tells. Their leases are of
    /// an earlier life: no lease of this one, or of another Core, continues them.
    pub async fn forget(self: &Arc<Self>, of: &Plot, objects: &[ByteString], asking: Option<&Life>) {
        let objects: Arc<[ByteString]> = objects.iter().map(|object| ByteString::from(&**object)).collect();
        let mut telling = self.tell_users(of, &objects, asking);
        let all = async { while telling.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(FORGET_WITHIN, all).await;
        telling.detach_all();
    }

    /// Has all that may use L3s of a service now, but for one, told to forget objects.
    fn tell_users(
        self: &Arc<Self>,
        of: &Plot,
        objects: &Arc<[ByteString]>,
        asking: Option<&Life>,
    ) -> JoinSet<()> {
        let now = self.clock.monotonic();
        let mut told: HashMap<Life, Vec<ByteString>> = HashMap::new();
        for key in self.leased(|other| other == of) {
            for life in self.grantor().users(&key, now).into_iter().filter(|life| Some(life) != asking) {
                told.entry(life).or_default().push(key.clone());
            }
        }
        let mut telling = JoinSet::new();
        for (life, keys) in told {
            let (leases, objects) = (Arc::clone(self), Arc::clone(objects));
            telling.spawn(async move { leases.forget_at(&life, &keys, &objects).await });
        }
        telling
    }

    async fn forget_at(self: Arc<Self>, life: &Life, keys: &[ByteString], objects: &[ByteString]) {
        let names = |key| objects.iter().map(move |object| ByteString::from(format!("{key}/{object}")));
        let names: Vec<ByteString> = keys.iter().flat_map(names).collect();
        for _ in 0..FORGET_ATTEMPTS {
            if self.tell(life, &names, |name| notification(name, State::Destroyed)).await {
                return;
            }
            tokio::time::sleep(ASK_AGAIN_AFTER).await;
        }
        let call = self.grantor().call_to_forget(keys, life, self.clock.monotonic());
        let _ = Arc::clone(&self).settle(Some(call), keys.to_vec()).await;
    }

    async fn settle(self: Arc<Self>, revocation: Option<Revocation>, keys: Vec<ByteString>) -> Settlement {
        let Some(revocation) = revocation else { return Settlement::default() };
        let started = self.clock.monotonic();
        let (concerned, waited_for_unknown) = {
            let grantor = self.grantor();
            let concerned: Vec<Life> = grantor.holders(revocation).cloned().collect();
            (concerned, grantor.waits_for_unknown(revocation, started))
        };
        let keys: Arc<[ByteString]> = keys.iter().map(|key| ByteString::from(&**key)).collect();
        let asked = Arc::new(Mutex::new(HashSet::new()));
        loop {
            let confirmed = self.confirmed.notified();
            self.ask(revocation, &keys, &asked);
            let now = self.clock.monotonic();
            let done_at = self.grantor().done_at(revocation);
            if done_at <= now {
                break;
            }
            let _ = tokio::time::timeout((done_at - now).min(ASK_AGAIN_AFTER), confirmed).await;
        }
        let mut grantor = self.grantor();
        // Whoever has not confirmed by now had its lease end.
        let silent: HashSet<Life> = grantor.holders(revocation).cloned().collect();
        grantor.close(revocation);
        drop(grantor);
        let lives = concerned.into_iter().map(|life| (!silent.contains(&life), life));
        Settlement {
            keys: keys.to_vec(),
            recalled: Vec::new(),
            lives: lives.map(|(confirmed, life)| (life, confirmed)).collect(),
            waited_for_unknown,
            took: self.clock.monotonic().saturating_sub(started),
        }
    }

    /// Tells each Gateway that has not confirmed yet, unless it is being told already.
    fn ask(
        self: &Arc<Self>,
        revocation: Revocation,
        keys: &Arc<[ByteString]>,
        asked: &Arc<Mutex<HashSet<Life>>>,
    ) {
        let holders: Vec<Life> = self.grantor().holders(revocation).cloned().collect();
        for life in holders {
            if !lock(asked).insert(life.clone()) {
                continue;
            }
            let (leases, keys, asked) = (Arc::clone(self), Arc::clone(keys), Arc::clone(asked));
            tokio::spawn(async move {
                let deactivated = |key: &ByteString| notification(key, State::Deactivated);
                if leases.tell(&life, &keys, deactivated).await {
                    leases.grantor().confirm(revocation, &life);
                    leases.confirmed.notify_waiters();
                } else {
                    tokio::time::sleep(ASK_AGAIN_AFTER).await;
                }
                lock(&asked).remove(&life);
            });
        }
    }

    /// Tells a Gateway something about keys; returns whether it has done what that asks of it.
    async fn tell(&self, life: &Life, keys: &[ByteString], word: impl Fn(&ByteString) -> Request) -> bool {
        for keys in keys.chunks(KEYS_PER_MESSAGE) {
            let Some(pusher) = self.pusher(life) else { return false };
            let requests: Vec<Request> = keys.iter().map(&word).collect();
            let message = RequestMessage::write(&RequestHeader::new(V2_1, requests.len()), &requests);
            let Ok(answer) = pusher.request(message).await else { return false };
            let Ok(answer) = ResponseMessage::read(&answer, Limits::default()) else { return false };
            let succeeded = answer.items.iter().filter(|item| item.result_status == ResultStatus::Success);
            if succeeded.count() != keys.len() {
                return false;
            }
        }
        true
    }

    fn unsubscribe(&self, life: &Life, connection_id: u64) {
        let mut pushers = self.pushers();
        // A later connection of the same life may have taken the place.
        if pushers.get(life).is_some_and(|current| current.pusher.connection_id() == connection_id) {
            pushers.remove(life);
            tracing::info!(gateway = %life.gateway, "the recall connection has closed");
        }
    }

    fn pusher(&self, life: &Life) -> Option<Pusher> {
        self.pushers().get(life).map(|subscription| subscription.pusher.clone())
    }

    fn grantor(&self) -> MutexGuard<'_, Grantor<ByteString, Life>> {
        lock(&self.grantor)
    }

    fn pushers(&self) -> MutexGuard<'_, HashMap<Life, Subscription>> {
        lock(&self.pushers)
    }
}

impl Leased {
    /// A lease on an L3 lives until `ends`. Those that have ended are forgotten if it is `now`.
    fn begin(&mut self, key: &ByteString, of: &Plot, ends: Duration, now: Option<Duration>) {
        if let Some(now) = now {
            self.0.retain(|_, (_, ends)| *ends > now);
        }
        match self.0.get_mut(key) {
            Some((_, latest)) => *latest = ends.max(*latest),
            None => _ = self.0.insert(key.clone(), (of.clone(), ends)),
        }
    }

    fn select(&self, now: Duration, fits: impl Fn(&Plot) -> bool) -> Vec<ByteString> {
        let live = self.0.iter().filter(|(_, (of, ends))| *ends > now && fits(of));
        live.map(|(key, _)| key.clone()).collect()
    }
}

impl Lives {
    fn living(&self, gateway: &str, now: Duration) -> HashSet<ByteString> {
        let lives = self.0.get(gateway).into_iter().flatten();
        lives.filter(|(_, ends)| **ends > now).map(|(life, _)| life.clone()).collect()
    }

    /// A life takes a lease until `ends`. Returns whether there is room for it.
    fn begin(&mut self, life: &Life, ends: Duration, now: Duration, maximum: usize) -> bool {
        let of_gateway = match self.0.get_mut(&life.gateway) {
            Some(lives) => lives,
            None => self.0.entry(life.gateway.clone()).or_default(),
        };
        if let Some(known) = of_gateway.get_mut(&life.instance) {
            *known = ends.max(*known);
            return true;
        }
        if of_gateway.len() >= maximum {
            of_gateway.retain(|_, ends| *ends > now);
        }
        let has_room = of_gateway.len() < maximum;
        if has_room {
            of_gateway.insert(life.instance.clone(), ends);
        }
        has_room
    }
}

/// Notify. An L3 that is Deactivated for the Gateway is given up, whatever the reason; an object of an L3 (named L3/OBJECT) that is
/// Destroyed is forgotten.
fn notification(name: &ByteString, state: State) -> Request {
    Request::from(NotifyRequest {
        unique_identifier: name.clone(),
        attributes: Attributes::new([Attribute::State(state)]),
        attribute_references: Vec::new(),
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(instance: &'static str) -> Life {
        Life { gateway: "g".into(), instance: instance.into() }
    }

    #[test]
    fn a_gateway_has_so_many_lives_at_a_time() {
        let second = Duration::from_secs(1);
        let mut lives = Lives::default();
        let mut begin =
            |instance, ends: u32, now: u32| lives.begin(&life(instance), second * ends, second * now, 2);
        assert!(begin("a", 5, 0) && begin("b", 7, 2));
        assert!(!begin("c", 7, 2) && begin("a", 8, 3));
        // The leases of b have ended.
        assert!(begin("c", 12, 7) && !begin("b", 12, 7));
        let other = Life { gateway: "h".into(), instance: "b".into() };
        assert!(lives.begin(&other, second * 12, second * 7, 2));
    }
}
