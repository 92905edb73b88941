//! Answers that are remembered: by principal, action and class of key (tenant, service, level, state), or by single keys where
//! a policy names some; and by the span of the moment, where policies look at it. A set of policies has its own, so a new set begins with none.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, PoisonError, RwLock};

use hashbrown::HashTable;

use crate::moments::Span;
use crate::policies::{Slice, Verdict};
use crate::question::{Action, Principal, Question, Resource, Role};

/// Parts with a lock each.
const SHARDS: usize = 16;

/// Answers of one part; when it is full, it begins anew.
const SHARD_DECISIONS: usize = 8 * 1024;

/// What is remembered of an answer.
#[derive(Clone)]
pub(crate) struct Remembered {
    /// What the policies say that do not look at the moment; or, of a span, those that cannot tell moments of it apart.
    pub(crate) verdict: Arc<Verdict>,
    /// The slice, if others of it have to be asked, too.
    pub(crate) more: Option<Arc<Slice>>,
}

pub(crate) struct Decisions {
    hasher: RandomState,
    shards: [RwLock<HashTable<Entry>>; SHARDS],
}

struct Entry {
    hash: u64,
    role: Role,
    name: String,
    action: Action,
    class: Class,
    span: Option<Span>,
    remembered: Remembered,
}

/// A resource that is kept.
#[derive(PartialEq, Eq)]
struct Class {
    /// Empty unless a policy names single keys.
    unique_identifier: String,
    tenant: Option<String>,
    service: String,
    level: &'static str,
    state: &'static str,
}

impl Default for Decisions {
    fn default() -> Self {
        Self { hasher: RandomState::new(), shards: std::array::from_fn(|_| RwLock::default()) }
    }
}

impl Decisions {
    /// `span`: of the moment, or `None` for what holds at any.
    pub(crate) fn find(&self, question: &Question<'_>, span: Option<Span>) -> Option<Remembered> {
        // A question is remembered by its class, or by its key: which one, its slice decides, and it is one of the two.
        let found = self.find_at(question, false, span);
        if found.is_some() || !matches!(question.resource, Resource::Key { .. }) {
            return found;
        }
        self.find_at(question, true, span)
    }

    fn find_at(&self, question: &Question<'_>, single: bool, span: Option<Span>) -> Option<Remembered> {
        let hash = self.hash(question, single, span);
        let shard = self.shard(hash).read().unwrap_or_else(PoisonError::into_inner);
        shard.find(hash, |entry| entry.is_of(question, single, span)).map(|entry| entry.remembered.clone())
    }

    pub(crate) fn remember(
        &self,
        question: &Question<'_>,
        single: bool,
        span: Option<Span>,
        remembered: Remembered,
    ) {
        let hash = self.hash(question, single, span);
        let entry = Entry {
            hash,
            role: question.principal.role,
            name: question.principal.name.to_owned(),
            action: question.action,
            class: Class::of(&question.resource, single),
            span,
            remembered,
        };
        let mut shard = self.shard(hash).write().unwrap_or_else(PoisonError::into_inner);
        if shard.len() >= SHARD_DECISIONS {
            shard.clear();
        }
        if shard.find(hash, |known| known.is_of(question, single, span)).is_none() {
            shard.insert_unique(hash, entry, |entry| entry.hash);
        }
    }

    fn hash(&self, question: &Question<'_>, single: bool, span: Option<Span>) -> u64 {
        let Question { principal: Principal { role, name }, action, resource } = question;
        let (tenant, service, level, state) = parts(resource);
        let key = if single { identifier(resource) } else { "" };
        self.hasher.hash_one((role, name, action, tenant, service, level, state, key, span))
    }

    fn shard(&self, hash: u64) -> &RwLock<HashTable<Entry>> {
        // The table itself goes by the other end.
        &self.shards[(hash >> 32) as usize % SHARDS]
    }
}

impl Entry {
    fn is_of(&self, question: &Question<'_>, single: bool, span: Option<Span>) -> bool {
        let Question { principal: Principal { role, name }, action, resource } = question;
        let (tenant, service, level, state) = parts(resource);
        let key = if single { identifier(resource) } else { "" };
        self.role == *role
            && self.name == *name
            && self.action == *action
            && self.class.tenant.as_deref() == tenant
            && self.class.service == service
            && self.class.level == level
            && self.class.state == state
            && self.class.unique_identifier == key
            && self.span == span
    }
}

impl Class {
    fn of(resource: &Resource<'_>, single: bool) -> Self {
        let (tenant, service, level, state) = parts(resource);
        let key = if single { identifier(resource) } else { "" };
        Self {
            unique_identifier: key.to_owned(),
            tenant: tenant.map(str::to_owned),
            service: service.to_owned(),
            level,
            state,
        }
    }
}

/// What makes the class of a resource. A tenant or service has no level, so it is never taken for a key of it.
fn parts<'a>(resource: &Resource<'a>) -> (Option<&'a str>, &'a str, &'static str, &'static str) {
    match *resource {
        Resource::Region => (None, "", "", ""),
        Resource::Tenant(tenant) => (Some(tenant), "", "", ""),
        Resource::Service { tenant, service } => (Some(tenant), service, "", ""),
        Resource::Key { tenant, service, level, state, .. } => (Some(tenant), service, level, state),
    }
}

fn identifier<'a>(resource: &Resource<'a>) -> &'a str {
    match *resource {
        Resource::Key { unique_identifier, .. } => unique_identifier,
        _ => "",
    }
}
