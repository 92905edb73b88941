//! A set of policies that answers questions. Default deny; a forbid overrides every permit; a policy whose evaluation fails
//! counts as a forbid.
//!
//! Cedar looks at every policy that it is given, one after another. So a question is put to a *slice*: the policies whose scope
//! fits its action, principal and tenant. Within a slice, what does not look at the time or at counts is asked once and
//! remembered; what does is asked once for each span of moments that it cannot tell apart, and each time where there are none.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid,
    Policy, PolicyId, PolicySet, Request, RestrictedExpression, Schema, ValidationMode, Validator,
};
use thiserror::Error;

use crate::decisions::{Decisions, Remembered};
use crate::moments::{Look, Moments};
use crate::question::{Action, Circumstances, Principal, Question, Resource, Role};
use crate::reading::{Place, ReadPolicy};
use crate::{DEFAULT_POLICIES, SCHEMA};

/// Slices that are kept: made anew when they are needed again.
const MAXIMUM_SLICES: usize = 16 * 1024;

/// Why a text is no set of policies. Its words are for whoever wrote the text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// It is not Cedar.
    #[error("the policies cannot be read: {0}")]
    Unparsable(String),
    /// It has templates, which nobody could link here.
    #[error("policy {0} is a template; policies have no slots here")]
    Template(String),
    /// Two policies of one name.
    #[error("two policies have the id {0:?}")]
    Duplicate(String),
    /// It does not fit the schema.
    #[error("the policies do not fit the schema: {0}")]
    Invalid(String),
    /// Our own schema cannot be used.
    #[error("the schema cannot be read: {0}")]
    Schema(String),
}

/// How a question was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// A policy permits it, and none forbids it.
    Permitted,
    /// A policy forbids it.
    Forbidden,
    /// A policy failed: nobody knows what it would have said.
    Failed,
    /// No policy permits it.
    NotPermitted,
}

impl Why {
    /// The words for it, in logs and answers to operators.
    pub fn words(self) -> &'static str {
        match self {
            Self::Permitted => "permitted",
            Self::Forbidden => "forbidden",
            Self::Failed => "the policy fails",
            Self::NotPermitted => "no policy permits it",
        }
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How it was decided.
    pub why: Why,
    /// The ids of the policies that decided it.
    pub policies: Vec<String>,
}

impl Verdict {
    /// Whether it may be done.
    pub fn is_permitted(&self) -> bool {
        self.why == Why::Permitted
    }

    /// Whether no other policy can change it.
    fn is_final(&self) -> bool {
        matches!(self.why, Why::Forbidden | Why::Failed)
    }

    /// This one, where these policies have anything to say; else what others have said, which was not final.
    fn or(self: Arc<Self>, others: Arc<Self>) -> Arc<Self> {
        if self.why == Why::NotPermitted { others } else { self }
    }
}

/// A set of policies.
pub struct Policies {
    region: String,
    policies: Vec<ReadPolicy>,
    everywhere: Vec<usize>,
    by_tenant: HashMap<String, Vec<usize>>,
    named_principals: HashSet<(Role, String)>,
    warnings: Vec<String>,
    slices: RwLock<HashMap<SliceKey, Arc<Slice>>>,
    decisions: Decisions,
}

type SliceKey = (Role, Option<String>, Action, Option<String>);

/// The policies that are asked about an action of a principal in a tenant.
pub(crate) struct Slice {
    /// They do not look at the moment.
    steady: PolicySet,
    /// They look at it in these spans.
    in_spans: PolicySet,
    moments: Moments,
    /// They look at it in some other way.
    each_time: PolicySet,
    names_keys: bool,
}

impl Policies {
    /// Reads and validates policies for a region.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn new(text: &str, region: &str) -> Result<Self, PolicyError> {
        let schema = (*SCHEMA_OF_CEDAR).as_ref().map_err(|error| PolicyError::Schema(error.clone()))?;
        let set =
            PolicySet::from_str(text).map_err(|errors| PolicyError::Unparsable(described(errors.iter())))?;
        if let Some(template) = set.templates().next() {
            return Err(PolicyError::Template(template.id().to_string()));
        }
        let set = with_ids(&set)?;
        let validation = Validator::new(schema.schema.clone()).validate(&set, ValidationMode::default());
        if !validation.validation_passed() {
            return Err(PolicyError::Invalid(described(validation.validation_errors())));
        }
        let warnings = validation.validation_warnings().map(ToString::to_string).collect();
        let policies: Vec<ReadPolicy> =
            set.policies().map(|policy| ReadPolicy::new(policy.clone(), &schema.actions)).collect();
        Ok(Self::sorted(policies, region, warnings))
    }

    /// The policies in force where no bundle is.
    ///
    /// # Errors
    /// Never: a test holds them to it.
    pub fn built_in(region: &str) -> Result<Self, PolicyError> {
        Self::new(DEFAULT_POLICIES, region)
    }

    fn sorted(policies: Vec<ReadPolicy>, region: &str, warnings: Vec<String>) -> Self {
        let mut everywhere = Vec::new();
        let mut by_tenant: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, policy) in policies.iter().enumerate() {
            match &policy.place {
                Place::Everywhere => everywhere.push(index),
                Place::Tenant(tenant) => by_tenant.entry(tenant.clone()).or_default().push(index),
            }
        }
        let named_principals = policies
            .iter()
            .filter_map(ReadPolicy::named_principal)
            .map(|(role, name)| (role, name.to_owned()))
            .collect();
        Self {
            region: region.to_owned(),
            policies,
            everywhere,
            by_tenant,
            named_principals,
            warnings,
            slices: RwLock::default(),
            decisions: Decisions::default(),
        }
    }

    /// How many policies there are.
    pub fn len(&self) -> usize {
        self.policies.len()
    }

    /// Whether there is none: then nothing is permitted.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// What the validation found odd, such as policies that never apply.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Answers a question. `circumstances` is called only where a policy looks at them.
    pub fn decide(
        &self,
        question: &Question<'_>,
        circumstances: impl FnOnce() -> Circumstances,
    ) -> Arc<Verdict> {
        let remembered = self.decisions.find(question, None).unwrap_or_else(|| {
            let slice = self.slice(&question.principal, question.action, question.resource.tenant());
            let verdict = Arc::new(self.evaluate(&slice.steady, question, &Circumstances::default()));
            let looks = !slice.in_spans.is_empty() || !slice.each_time.is_empty();
            let remembered = Remembered { verdict, more: looks.then(|| Arc::clone(&slice)) };
            self.decisions.remember(question, slice.names_keys, None, remembered.clone());
            remembered
        });
        let mut verdict = remembered.verdict;
        let Some(slice) = remembered.more else { return verdict };
        if verdict.is_final() {
            return verdict;
        }
        let now = circumstances();
        if !slice.in_spans.is_empty() {
            verdict = self.in_span(&slice, question, &now).or(verdict);
        }
        if slice.each_time.is_empty() || verdict.is_final() {
            return verdict;
        }
        Arc::new(self.evaluate(&slice.each_time, question, &now)).or(verdict)
    }

    /// What the policies say that cannot tell now from other moments of its span.
    fn in_span(&self, slice: &Slice, question: &Question<'_>, now: &Circumstances) -> Arc<Verdict> {
        let span = Some(slice.moments.span(now));
        if let Some(remembered) = self.decisions.find(question, span) {
            return remembered.verdict;
        }
        let verdict = Arc::new(self.evaluate(&slice.in_spans, question, now));
        let remembered = Remembered { verdict: Arc::clone(&verdict), more: None };
        self.decisions.remember(question, slice.names_keys, span, remembered);
        verdict
    }

    /// The policies that a question of this kind is put to.
    fn slice(&self, principal: &Principal<'_>, action: Action, tenant: Option<&str>) -> Arc<Slice> {
        // Principals that no policy names, and tenants likewise, are all alike.
        let is_named = self.named_principals.contains(&(principal.role, principal.name.to_owned()));
        let name = is_named.then(|| principal.name.to_owned());
        let own = tenant.and_then(|tenant| self.by_tenant.get_key_value(tenant));
        let key = (principal.role, name, action, own.map(|(tenant, _)| tenant.clone()));
        if let Some(slice) = self.slices.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Arc::clone(slice);
        }
        let of_tenant = own.map(|(_, policies)| policies.as_slice()).unwrap_or_default();
        let asked = self.everywhere.iter().chain(of_tenant).map(|index| &self.policies[*index]);
        let asked: Vec<&ReadPolicy> =
            asked.filter(|policy| policy.concerns(action, principal.role, principal.name)).collect();
        let set = |is_in: fn(&Look) -> bool| {
            let policies = asked.iter().filter(|policy| is_in(&policy.look));
            // Ids are unique, and there are no templates: nothing can go wrong.
            PolicySet::from_policies(policies.map(|policy| policy.policy.clone())).unwrap_or_default()
        };
        let slice = Arc::new(Slice {
            steady: set(|look| *look == Look::Away),
            in_spans: set(|look| matches!(look, Look::Spans(_))),
            moments: Moments::of_all(asked.iter().filter_map(|policy| match &policy.look {
                Look::Spans(moments) => Some(moments),
                Look::Away | Look::Close => None,
            })),
            each_time: set(|look| *look == Look::Close),
            names_keys: asked.iter().any(|policy| policy.names_keys),
        });
        let mut slices = self.slices.write().unwrap_or_else(PoisonError::into_inner);
        if slices.len() >= MAXIMUM_SLICES {
            slices.clear();
        }
        slices.insert(key, Arc::clone(&slice));
        slice
    }

    fn evaluate(&self, set: &PolicySet, question: &Question<'_>, circumstances: &Circumstances) -> Verdict {
        if set.is_empty() {
            return Verdict { why: Why::NotPermitted, policies: Vec::new() };
        }
        let Some((request, entities)) = self.in_cedar(question, circumstances) else {
            return Verdict { why: Why::Failed, policies: Vec::new() };
        };
        let response = Authorizer::new().is_authorized(&request, set, &entities);
        let failed: Vec<String> = response
            .diagnostics()
            .errors()
            .map(|AuthorizationError::PolicyEvaluationError(error)| error.policy_id().to_string())
            .collect();
        if !failed.is_empty() {
            return Verdict { why: Why::Failed, policies: failed };
        }
        let mut policies: Vec<String> = response.diagnostics().reason().map(ToString::to_string).collect();
        policies.sort();
        let why = match response.decision() {
            Decision::Allow => Why::Permitted,
            Decision::Deny if policies.is_empty() => Why::NotPermitted,
            Decision::Deny => Why::Forbidden,
        };
        Verdict { why, policies }
    }

    /// The question as Cedar takes it: a request, and what it has to know of the hierarchy.
    fn in_cedar(
        &self,
        question: &Question<'_>,
        circumstances: &Circumstances,
    ) -> Option<(Request, Entities)> {
        let schema = (*SCHEMA_OF_CEDAR).as_ref().ok()?;
        let action = schema.action(question.action)?;
        let kind = match question.principal.role {
            Role::Gateway => &schema.gateway,
            Role::Operator => &schema.operator,
        };
        let principal = uid(kind, question.principal.name);
        let mut entities = vec![Entity::with_uid(principal.clone()), action.clone()];
        let resource = schema.place(&self.region, &question.resource, &mut entities);
        let (level, state) = match question.resource {
            Resource::Key { level, state, .. } => (level, state),
            _ => ("", ""),
        };
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let number = RestrictedExpression::new_long;
        let context = [
            ("region", text(&self.region)),
            ("level", text(level)),
            ("state", text(state)),
            ("hour", number(circumstances.hour())),
            ("weekday", number(circumstances.weekday())),
            ("epoch", number(circumstances.epoch)),
            ("unwraps_last_minute", number(circumstances.unwraps_last_minute.into())),
            ("wraps_last_minute", number(circumstances.wraps_last_minute.into())),
        ];
        let context = Context::from_pairs(context.map(|(name, value)| (name.to_owned(), value))).ok()?;
        // What we put together fits the schema by construction; a test asks with the schema.
        let request = Request::new(principal, action.uid(), resource, context, None).ok()?;
        Some((request, Entities::from_entities(entities, None).ok()?))
    }
}

/// The policies under the ids that their `@id` annotations give; without one, by their place in the text.
fn with_ids(set: &PolicySet) -> Result<PolicySet, PolicyError> {
    let mut named = PolicySet::new();
    for policy in set.policies() {
        let id = policy.annotation("id").filter(|id| !id.is_empty());
        let policy: Policy = match id {
            Some(id) => policy.new_id(PolicyId::new(id)),
            None => policy.clone(),
        };
        let id = policy.id().to_string();
        named.add(policy).map_err(|_| PolicyError::Duplicate(id))?;
    }
    Ok(named)
}

fn described(errors: impl Iterator<Item = impl ToString>) -> String {
    errors.map(|error| error.to_string()).collect::<Vec<_>>().join("; ")
}

/// The schema as Cedar reads it, and the names in it.
struct SchemaOfCedar {
    schema: Schema,
    actions: Entities,
    by_action: HashMap<Action, Entity>,
    region: EntityTypeName,
    tenant: EntityTypeName,
    service: EntityTypeName,
    key: EntityTypeName,
    gateway: EntityTypeName,
    operator: EntityTypeName,
}

static SCHEMA_OF_CEDAR: LazyLock<Result<SchemaOfCedar, String>> = LazyLock::new(SchemaOfCedar::read);

impl SchemaOfCedar {
    fn read() -> Result<Self, String> {
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA).map_err(|error| error.to_string())?;
        let actions = schema.action_entities().map_err(|error| error.to_string())?;
        let kind = |name: &str| {
            EntityTypeName::from_str(&format!("Krypton::{name}")).map_err(|error| error.to_string())
        };
        let by_action = Action::ALL
            .into_iter()
            .filter_map(|action| {
                let is_it = |entity: &&Entity| entity.uid().id().unescaped() == action.name();
                Some((action, actions.iter().find(is_it)?.clone()))
            })
            .collect();
        Ok(Self {
            by_action,
            region: kind("Region")?,
            tenant: kind("Tenant")?,
            service: kind("Service")?,
            key: kind("Key")?,
            gateway: kind("Gateway")?,
            operator: kind("Operator")?,
            schema,
            actions,
        })
    }

    fn action(&self, action: Action) -> Option<&Entity> {
        self.by_action.get(&action)
    }

    /// Adds a resource and what it lies in to `entities`.
    fn place(&self, region: &str, resource: &Resource<'_>, entities: &mut Vec<Entity>) -> EntityUid {
        let mut add = |uid: EntityUid, parent: Option<&EntityUid>| {
            entities.push(Entity::new_no_attrs(uid.clone(), parent.cloned().into_iter().collect()));
            uid
        };
        let region = add(uid(&self.region, region), None);
        let Some(tenant_name) = resource.tenant() else { return region };
        let tenant = add(uid(&self.tenant, tenant_name), Some(&region));
        let service = match *resource {
            Resource::Service { service, .. } | Resource::Key { service, .. } if !service.is_empty() => {
                Some(add(uid(&self.service, &format!("{tenant_name}/{service}")), Some(&tenant)))
            }
            _ => None,
        };
        match *resource {
            Resource::Key { unique_identifier, .. } => {
                add(uid(&self.key, unique_identifier), Some(service.as_ref().unwrap_or(&tenant)))
            }
            _ => service.unwrap_or(tenant),
        }
    }
}

fn uid(kind: &EntityTypeName, name: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(name))
}

#[cfg(test)]
mod tests;
