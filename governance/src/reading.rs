//! What a policy looks at, read off its text: which actions it is about, whose, where, and whether its answer may change from
//! one moment to the next. It decides which policies are asked, and which answers are remembered.

use cedar_policy::{
    ActionConstraint, Entities, EntityTypeName, EntityUid, Policy, PrincipalConstraint, ResourceConstraint,
};

use crate::moments::Look;
use crate::question::{Action, Role};

/// A policy, and what it looks at.
pub(crate) struct ReadPolicy {
    pub(crate) policy: Policy,
    actions: Vec<Action>,
    principal: Concern,
    pub(crate) place: Place,
    /// How it looks at the time and at counts.
    pub(crate) look: Look,
    /// Whether it names a single key.
    pub(crate) names_keys: bool,
}

/// Whom a policy is about.
enum Concern {
    All,
    Role(Role),
    One(Role, String),
    Nobody,
}

/// Where a policy applies.
pub(crate) enum Place {
    /// In all tenants, as far as its scope tells.
    Everywhere,
    /// In this tenant, or in a service of it.
    Tenant(String),
}

impl ReadPolicy {
    /// Reads a policy that has been validated. `hierarchy` are the schema's actions.
    pub(crate) fn new(policy: Policy, hierarchy: &Entities) -> Self {
        let actions =
            Action::ALL.into_iter().filter(|action| is_about(&policy, *action, hierarchy)).collect();
        let principal = match policy.principal_constraint() {
            PrincipalConstraint::Any => Concern::All,
            PrincipalConstraint::Is(kind) => role(&kind).map_or(Concern::Nobody, Concern::Role),
            PrincipalConstraint::In(uid)
            | PrincipalConstraint::Eq(uid)
            | PrincipalConstraint::IsIn(_, uid) => match role(uid.type_name()) {
                Some(role) => Concern::One(role, uid.id().unescaped().to_owned()),
                None => Concern::Nobody,
            },
        };
        let (place, mut names_keys) = match policy.resource_constraint() {
            ResourceConstraint::Any | ResourceConstraint::Is(_) => (Place::Everywhere, false),
            ResourceConstraint::In(uid) | ResourceConstraint::Eq(uid) | ResourceConstraint::IsIn(_, uid) => {
                place(&uid)
            }
        };
        // Without its text, anything may stand in it.
        let look = policy.to_json().map_or(Look::Close, |text| Look::of(&text));
        let literals = policy.entity_literals();
        names_keys |= literals.iter().any(|uid| basename(uid.type_name()) == "Key");
        Self { policy, actions, principal, place, look, names_keys }
    }

    /// Whether it is about this action, and may be about this principal.
    pub(crate) fn concerns(&self, action: Action, role: Role, name: &str) -> bool {
        let is_about_principal = match &self.principal {
            Concern::All => true,
            Concern::Role(only) => *only == role,
            Concern::One(only, its_name) => *only == role && its_name == name,
            Concern::Nobody => false,
        };
        is_about_principal && self.actions.contains(&action)
    }

    /// The one principal that it is about.
    pub(crate) fn named_principal(&self) -> Option<(Role, &str)> {
        match &self.principal {
            Concern::One(role, name) => Some((*role, name)),
            _ => None,
        }
    }
}

fn is_about(policy: &Policy, action: Action, hierarchy: &Entities) -> bool {
    let within = |group: &EntityUid| {
        let Some(entity) = hierarchy.iter().find(|entity| is_action(&entity.uid(), action.name())) else {
            return false;
        };
        entity.uid() == *group || hierarchy.is_ancestor_of(group, &entity.uid())
    };
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => is_action(&uid, action.name()),
        ActionConstraint::In(uids) => uids.iter().any(within),
    }
}

fn is_action(uid: &EntityUid, name: &str) -> bool {
    uid.id().unescaped() == name
}

fn role(kind: &EntityTypeName) -> Option<Role> {
    match basename(kind) {
        "Gateway" => Some(Role::Gateway),
        "Operator" => Some(Role::Operator),
        _ => None,
    }
}

/// Where a policy with this resource in its scope applies, and whether that is a single key.
fn place(uid: &EntityUid) -> (Place, bool) {
    let id = uid.id().unescaped();
    match basename(uid.type_name()) {
        "Tenant" => (Place::Tenant(id.to_owned()), false),
        "Service" => (Place::Tenant(id.split('/').next().unwrap_or_default().to_owned()), false),
        // Whose a key is, its name does not tell.
        "Key" => (Place::Everywhere, true),
        _ => (Place::Everywhere, false),
    }
}

fn basename(name: &EntityTypeName) -> &str {
    name.basename()
}
