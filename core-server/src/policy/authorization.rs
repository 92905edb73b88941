//! What is asked of the policy about a request, and where: before the operation where the request names an object, and where
//! the operation has found its object otherwise. One table says which class an operation is of.

use bytestring::ByteString;
use governance::{Action, Circumstances, Principal, Question, Resource, Role as PolicyRole};
use key_service::chain::POLICY_OBJECT;
use key_service::context::Context;
use key_service::fault::Fault;
use key_service::record::Record;
use kmip_protocol::enumeration::State;
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::lifecycle::{self, Event};
use kmip_protocol::operation::{Operation, Request};

use super::Authorized;
use crate::chain::{self, Level};
use crate::operations::check::is_drill;
use crate::profile::Role;
use crate::seat::Seat;
use crate::vault::UnsealedKey;

/// When and about what the policy is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Never: nothing is used or changed, or something is closed for good.
    Unasked,
    /// Before the operation, about the object that the request names.
    Object(Action),
    /// By the operation itself, about what it is about to use, make or show.
    Within(Action),
}

/// The class of an operation, for each role that the profile has it for. A pair that has no row is not done.
pub fn scope(role: Role, operation: Operation) -> Option<Scope> {
    use Operation as O;
    Some(match (role, operation) {
        (Role::Operator | Role::Gateway, O::DiscoverVersions | O::Query | O::Ping) => Scope::Unasked,
        (Role::Operator | Role::Gateway, O::Locate) => Scope::Within(Action::Read),
        (Role::Operator | Role::Gateway, O::GetAttributes | O::GetAttributeList | O::Check) => {
            Scope::Object(Action::Read)
        }
        (Role::Gateway, O::Encrypt) => Scope::Within(Action::Wrap),
        (Role::Gateway, O::Decrypt) => Scope::Within(Action::Unwrap),
        (Role::Gateway, O::ObtainLease) => Scope::Within(Action::Lease),
        (Role::Gateway, O::Mac) => Scope::Within(Action::Derive),
        (Role::Gateway, O::Destroy) => Scope::Within(Action::Bury),
        // A report on shredding, and nothing else: it says what the Gateway has done, and opens nothing.
        (Role::Gateway, O::AddAttribute | O::ModifyAttribute) => Scope::Unasked,
        // It makes a Revoke faster; who could forbid that could keep keys in use.
        (Role::Gateway, O::SetEndpointRole) => Scope::Unasked,
        (Role::Operator, O::Register | O::Create) => Scope::Within(Action::Manage),
        (
            Role::Operator,
            O::Activate | O::AddAttribute | O::ModifyAttribute | O::SetAttribute | O::DeleteAttribute,
        ) => Scope::Object(Action::Manage),
        (Role::Operator, O::ReKey) => Scope::Object(Action::Rotate),
        (Role::Operator, O::Destroy) => Scope::Object(Action::Destroy),
        // The kill switch is not asked about; see `is_kill_switch`.
        (Role::Operator, O::Revoke) => Scope::Object(Action::Revoke),
        _ => return None,
    })
}

/// Asks about a request before its operation is done, as far as its class is asked about here.
pub(crate) async fn before(seat: &Seat, context: &Context<'_>, request: &Request) -> Result<(), Fault> {
    let unclassified = || Fault::permission_denied("the operation has no class that a policy could permit");
    match scope(seat.role, request.operation()).ok_or_else(unclassified)? {
        Scope::Unasked | Scope::Within(_) => Ok(()),
        // The policy is there to be read as long as one is in force, whatever the store has.
        Scope::Object(Action::Read) if seat.role == Role::Operator && is_of_policy(context, request) => {
            authorize(seat, context, Action::Read, Resource::Region).map(drop)
        }
        Scope::Object(action) => {
            let record = context.object(object(request)).await?;
            // It reads nothing: it has a root work, and closes the tenant that the root denies.
            let action = if is_drill(request, &record) { Action::Manage } else { action };
            if &*record.unique_identifier == POLICY_OBJECT && action != Action::Read {
                return Err(Fault::permission_denied(
                    "the policy is replaced by a newer bundle, and changed by nothing else",
                ));
            }
            if action == Action::Revoke && is_kill_switch(request, &record) {
                return Ok(());
            }
            authorize(seat, context, action, resource_of(&record)).map(drop)
        }
    }
}

/// Asks the policy in force.
///
/// # Errors
/// Permission Denied.
pub(crate) fn authorize(
    seat: &Seat,
    context: &Context<'_>,
    action: Action,
    resource: Resource<'_>,
) -> Result<Authorized, Fault> {
    let question = question(seat, context, action, resource)?;
    seat.governance.decide(&question, || circumstances(seat, context, resource)).map_err(|denied| {
        context.note("policy_decision", ByteString::from_static(denied.why));
        if !denied.policies.is_empty() {
            let named = denied.policies.chars().take(MAXIMUM_NOTED_CHARACTERS).collect::<String>();
            context.note("policies", ByteString::from(named));
        }
        denied.into()
    })
}

/// As [`authorize`], for what is left out rather than refused.
pub(crate) fn may(seat: &Seat, context: &Context<'_>, action: Action, resource: Resource<'_>) -> bool {
    question(seat, context, action, resource)
        .is_ok_and(|question| seat.governance.permits(&question, || circumstances(seat, context, resource)))
}

fn question<'a>(
    seat: &Seat,
    context: &'a Context<'_>,
    action: Action,
    resource: Resource<'a>,
) -> Result<Question<'a>, Fault> {
    let role = match seat.role {
        Role::Gateway => PolicyRole::Gateway,
        Role::Operator => PolicyRole::Operator,
        Role::Stranger => return Err(Fault::permission_denied("nobody speaks for this certificate")),
    };
    let principal = Principal { role, name: &context.principal.name };
    Ok(Question { principal, action, resource })
}

fn circumstances(seat: &Seat, context: &Context<'_>, resource: Resource<'_>) -> Circumstances {
    let (unwraps_last_minute, wraps_last_minute) =
        resource.tenant().map_or((0, 0), |tenant| seat.meter.last_minute(tenant));
    Circumstances { epoch: context.service.clock.now().0, unwraps_last_minute, wraps_last_minute }
}

/// Asks whether an open L3 may be used, in the state that it is in now.
///
/// # Errors
/// Permission Denied.
pub(crate) fn authorize_use(
    seat: &Seat,
    context: &Context<'_>,
    action: Action,
    key: &UnsealedKey,
    state: Option<State>,
) -> Result<Authorized, Fault> {
    let record = key.record();
    let resource = Resource::Key {
        unique_identifier: &record.unique_identifier,
        tenant: key.tenant(),
        service: &record.service,
        level: key.level().name(),
        state: state.map_or("", state_name),
    };
    authorize(seat, context, action, resource)
}

/// Of the ids of policies, in the audit log. The log has them all.
const MAXIMUM_NOTED_CHARACTERS: usize = 256;

fn is_of_policy(context: &Context<'_>, request: &Request) -> bool {
    context.resolve(object(request)).is_ok_and(|identifier| identifier == POLICY_OBJECT)
}

/// Closing a tenant, a Gateway or a key for good.
fn is_kill_switch(request: &Request, record: &Record) -> bool {
    match request {
        Request::Revoke(request) => {
            let is_compromise = lifecycle::revocation(request.revocation_reason.code) == Event::Compromise;
            is_compromise || chain::tenant(record).is_none() || Level::of(record) != Level::L3
        }
        _ => false,
    }
}

/// An object as a policy sees it. What is of no tenant belongs to the region.
pub(crate) fn resource_of(record: &Record) -> Resource<'_> {
    match chain::tenant(record) {
        Some(tenant) => Resource::Key {
            unique_identifier: &record.unique_identifier,
            tenant,
            service: &record.service,
            level: Level::of(record).name(),
            state: record.state().map_or("", state_name),
        },
        None => Resource::Region,
    }
}

fn state_name(state: State) -> &'static str {
    match state {
        State::PreActive => "PreActive",
        State::Active => "Active",
        State::Deactivated => "Deactivated",
        State::Compromised => "Compromised",
        State::Destroyed => "Destroyed",
        State::DestroyedCompromised => "DestroyedCompromised",
        _ => "",
    }
}

/// The object that a request names; an absent identifier is the ID Placeholder.
fn object(request: &Request) -> Option<&UniqueIdentifier> {
    match request {
        Request::Activate(request) => request.unique_identifier.as_ref(),
        Request::AddAttribute(request) => request.unique_identifier.as_ref(),
        Request::Check(request) => request.unique_identifier.as_ref(),
        Request::DeleteAttribute(request) => request.unique_identifier.as_ref(),
        Request::Destroy(request) => request.unique_identifier.as_ref(),
        Request::GetAttributeList(request) => request.unique_identifier.as_ref(),
        Request::GetAttributes(request) => request.unique_identifier.as_ref(),
        Request::ModifyAttribute(request) => request.unique_identifier.as_ref(),
        Request::ReKey(request) => request.unique_identifier.as_ref(),
        Request::Revoke(request) => request.unique_identifier.as_ref(),
        Request::SetAttribute(request) => request.unique_identifier.as_ref(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::PROFILE;

    #[test]
    fn every_row_of_the_profile_has_a_class_and_nothing_else_has() {
        for row in PROFILE {
            for role in [Role::Operator, Role::Gateway, Role::Stranger] {
                let has_class = scope(role, row.operation).is_some();
                if row.roles.contains(&role) {
                    assert!(has_class, "{:?} {}: add its class to scope()", role, row.operation);
                }
                assert!(role != Role::Stranger || !has_class);
            }
        }
    }
}
