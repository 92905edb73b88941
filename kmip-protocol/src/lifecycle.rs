//! The lifecycle of an object (KMIP 2.1 section 4.57): its states, the transitions between them, and what each state
//! allows.

use crate::enumeration::{RevocationReasonCode, State};

/// What moves an object from one state to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Activate, or the Activation Date has come.
    Activate,
    /// Revoke for another reason than a compromise, or the Deactivation Date has come.
    Deactivate,
    /// Revoke because of a compromise.
    Compromise,
    /// Destroy.
    Destroy,
}

/// How a key is to be used, as far as the state decides about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To protect: encrypt, sign, wrap, make a MAC, derive.
    Protect,
    /// To process what is protected: decrypt, verify, unwrap, verify a MAC.
    Process,
}

/// The table of transitions (figure 1 of section 4.57): from, event, to.
const TRANSITIONS: &[(State, Event, State)] = &[
    (State::PreActive, Event::Destroy, State::Destroyed),
    (State::PreActive, Event::Compromise, State::Compromised),
    (State::PreActive, Event::Activate, State::Active),
    (State::Active, Event::Compromise, State::Compromised),
    (State::Active, Event::Deactivate, State::Deactivated),
    (State::Deactivated, Event::Destroy, State::Destroyed),
    (State::Deactivated, Event::Compromise, State::Compromised),
    (State::Compromised, Event::Destroy, State::DestroyedCompromised),
    (State::Destroyed, Event::Compromise, State::DestroyedCompromised),
];

/// The state that `event` leads to, or `None` where it must be refused.
pub fn next(state: State, event: Event) -> Option<State> {
    TRANSITIONS.iter().find(|(from, on, _)| *from == state && *on == event).map(|(_, _, to)| *to)
}

/// The event that a Revoke of this reason is.
pub fn revocation(reason: RevocationReasonCode) -> Event {
    match reason {
        RevocationReasonCode::KeyCompromise | RevocationReasonCode::CaCompromise => Event::Compromise,
        _ => Event::Deactivate,
    }
}

/// Whether a key in `state` may be used. Processing with a deactivated or compromised key needs the permission of
/// the policy; the state itself does not stand against it.
pub fn allows(state: State, purpose: Purpose) -> bool {
    match state {
        State::Active => true,
        State::Deactivated | State::Compromised => purpose == Purpose::Process,
        _ => false,
    }
}

/// Whether the material is gone.
pub fn is_destroyed(state: State) -> bool {
    matches!(state, State::Destroyed | State::DestroyedCompromised)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_back() {
        let rank = |state| match state {
            State::PreActive => 0,
            State::Active => 1,
            State::Deactivated => 2,
            State::Compromised => 3,
            State::Destroyed => 4,
            _ => 5,
        };
        for (from, _, to) in TRANSITIONS {
            assert!(rank(*to) > rank(*from), "{from} -> {to}");
        }
    }

    #[test]
    fn an_active_key_is_not_destroyed_at_once() {
        assert_eq!(next(State::Active, Event::Destroy), None);
        assert_eq!(next(State::Compromised, Event::Destroy), Some(State::DestroyedCompromised));
    }
}
