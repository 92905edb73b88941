//! The judge: knows what nobody may use any more, and sees every use.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::ops::AddAssign;
use std::time::Duration;

use super::{KEYS, Key, Life, Object, TENANTS, Target, tenant_of};

#[derive(Default)]
pub(super) struct Judge {
    /// Keys whose Revoke was answered, and when.
    revoked: BTreeMap<Key, Duration>,
    /// Tenants whose leases have been recalled and whose roots have refused ever since.
    closed: [Option<Duration>; TENANTS as usize],
    expelled: BTreeMap<usize, Duration>,
    /// Objects that everybody has been told to forget, but for whoever destroyed them and does not know that it is done.
    destroyed: BTreeMap<Object, Duration>,
    unaware: BTreeSet<(Object, Life)>,
    tally: Tally,
    violation: Option<String>,
}

/// What schedules add up to: a simulation in which nothing happens proves nothing.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Tally {
    pub(super) uses: u64,
    pub(super) uses_of_objects: u64,
    pub(super) revokes_answered: u64,
    pub(super) revokes_taken_back: u64,
    pub(super) tenants_closed: u64,
    pub(super) tenants_reopened: u64,
    pub(super) gateways_expelled: u64,
    pub(super) objects_forgotten: u64,
    pub(super) objects_untold: u64,
    pub(super) leases_owed: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.uses += other.uses;
        self.uses_of_objects += other.uses_of_objects;
        self.revokes_answered += other.revokes_answered;
        self.revokes_taken_back += other.revokes_taken_back;
        self.tenants_closed += other.tenants_closed;
        self.tenants_reopened += other.tenants_reopened;
        self.gateways_expelled += other.gateways_expelled;
        self.objects_forgotten += other.objects_forgotten;
        self.objects_untold += other.objects_untold;
        self.leases_owed += other.leases_owed;
    }
}

impl Tally {
    pub(super) fn proves_something(&self) {
        let counts = [
            self.uses,
            self.uses_of_objects,
            self.revokes_answered,
            self.revokes_taken_back,
            self.tenants_closed,
            self.tenants_reopened,
            self.gateways_expelled,
            self.objects_forgotten,
            self.objects_untold,
            self.leases_owed,
        ];
        assert!(counts.iter().all(|count| *count > 0), "something never happened: {self:?}");
    }
}

impl Judge {
    pub(super) fn answer(&mut self, target: Target, now: Duration) {
        self.tally.revokes_answered += 1;
        for key in (0..KEYS).filter(|key| target.includes(*key)) {
            self.revoked.entry(key).or_insert(now);
        }
    }

    pub(super) fn take_back(&mut self) {
        self.tally.revokes_taken_back += 1;
    }

    pub(super) fn close(&mut self, tenant: u32, now: Duration) {
        self.tally.tenants_closed += 1;
        self.closed[tenant as usize] = Some(now);
    }

    pub(super) fn reopen(&mut self, tenant: u32) {
        self.tally.tenants_reopened += u64::from(self.closed[tenant as usize].take().is_some());
    }

    pub(super) fn expel(&mut self, gateway: usize, now: Duration) {
        self.tally.gateways_expelled += 1;
        self.expelled.entry(gateway).or_insert(now);
    }

    /// All have forgotten an object. Whoever destroyed it does so once more when it is told.
    pub(super) fn destroy(&mut self, object: Object, by: Life, now: Duration) {
        self.tally.objects_forgotten += 1;
        if let Entry::Vacant(first) = self.destroyed.entry(object) {
            first.insert(now);
            self.unaware.insert((object, by));
        }
    }

    /// Nobody is left to tell who has to forget an object: by now all have, all the same.
    pub(super) fn destroy_untold(&mut self, object: Object, by: Life, now: Duration) {
        self.tally.objects_untold += 1;
        self.destroy(object, by, now);
    }

    /// Somebody asks for a lease who has one to give up.
    pub(super) fn sees_debt(&mut self) {
        self.tally.leases_owed += 1;
    }

    pub(super) fn knows(&mut self, object: Object, life: Life) {
        self.unaware.remove(&(object, life));
    }

    pub(super) fn sees_use(&mut self, (gateway, life): Life, key: Key, now: Duration) {
        self.tally.uses += 1;
        let forbidden = [
            ("its Revoke was answered", self.revoked.get(&key).copied()),
            ("the recall from its tenant had ended", self.closed[tenant_of(key) as usize]),
            ("the Gateway had been expelled", self.expelled.get(&gateway).copied()),
        ];
        for (why, since) in forbidden {
            if let Some(since) = since {
                self.violation = Some(format!(
                    "life {life} of gateway {gateway} used key {key} at {now:?}, {why} at {since:?}"
                ));
            }
        }
    }

    pub(super) fn sees_use_of(&mut self, object: Object, life: Life, now: Duration) {
        self.tally.uses_of_objects += 1;
        if let Some(since) = self.destroyed.get(&object)
            && !self.unaware.contains(&(object, life))
        {
            let (gateway, life) = life;
            self.violation = Some(format!(
                "life {life} of gateway {gateway} used object {object:?} at {now:?}, all had forgotten it at {since:?}"
            ));
        }
    }

    pub(super) fn has_found(&self) -> bool {
        self.violation.is_some()
    }

    pub(super) fn sentence(self) -> Result<Tally, String> {
        self.violation.map_or(Ok(self.tally), Err)
    }
}
