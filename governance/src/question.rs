//! A question to the policy: may this principal do this to that, now?

use std::fmt;
use std::str::FromStr;

/// The kind of a principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// A Gateway.
    Gateway,
    /// An operator.
    Operator,
}

/// Who asks: a role, and the name in the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Principal<'a> {
    /// The role.
    pub role: Role,
    /// The name.
    pub name: &'a str,
}

/// What is asked for: a class of KMIP operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Encrypt.
    Wrap,
    /// Decrypt.
    Unwrap,
    /// Obtain Lease.
    Lease,
    /// MAC: keys derived from an L3.
    Derive,
    /// Destroy by a Gateway: a tombstone.
    Bury,
    /// Get Attributes, Get Attribute List, Check (but for the drill); Locate shows what may be read.
    Read,
    /// Register, Create, Activate, attributes, the drill.
    Manage,
    /// Re-key.
    Rotate,
    /// Destroy by an operator.
    Destroy,
    /// Revoke of an L3 for another reason than its compromise; dates that end the use of a key.
    Revoke,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Wrap,
        Self::Unwrap,
        Self::Lease,
        Self::Derive,
        Self::Bury,
        Self::Read,
        Self::Manage,
        Self::Rotate,
        Self::Destroy,
        Self::Revoke,
    ];

    /// The name in policies.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wrap => "wrap",
            Self::Unwrap => "unwrap",
            Self::Lease => "lease",
            Self::Derive => "derive",
            Self::Bury => "bury",
            Self::Read => "read",
            Self::Manage => "manage",
            Self::Rotate => "rotate",
            Self::Destroy => "destroy",
            Self::Revoke => "revoke",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Action {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|action| action.name() == name).ok_or(())
    }
}

/// What it is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resource<'a> {
    /// Nothing in particular.
    Region,
    /// A tenant as a whole: its L1 is about to be registered.
    Tenant(&'a str),
    /// A service of a tenant: its L3 is about to be made.
    Service {
        /// The tenant.
        tenant: &'a str,
        /// The service.
        service: &'a str,
    },
    /// A key of the chain.
    Key {
        /// Its Unique Identifier.
        unique_identifier: &'a str,
        /// Its tenant.
        tenant: &'a str,
        /// Its service; empty for an L1 or L2.
        service: &'a str,
        /// "L1", "L2" or "L3".
        level: &'static str,
        /// The KMIP State.
        state: &'static str,
    },
}

impl<'a> Resource<'a> {
    /// The tenant, if it is about one.
    pub fn tenant(&self) -> Option<&'a str> {
        match *self {
            Self::Region => None,
            Self::Tenant(tenant) | Self::Service { tenant, .. } | Self::Key { tenant, .. } => Some(tenant),
        }
    }
}

/// A question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Question<'a> {
    /// Who asks.
    pub principal: Principal<'a>,
    /// What for.
    pub action: Action,
    /// About what.
    pub resource: Resource<'a>,
}

/// What may change from one moment to the next. Asked for only where a policy looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Circumstances {
    /// Seconds since 1970.
    pub epoch: i64,
    /// Unwraps of this Gateway for this tenant in the last minute.
    pub unwraps_last_minute: u32,
    /// Wraps of this Gateway for this tenant in the last minute.
    pub wraps_last_minute: u32,
}

impl Circumstances {
    /// The hour of the day in UTC.
    pub fn hour(&self) -> i64 {
        self.epoch.rem_euclid(86_400) / 3_600
    }

    /// The day of the week in UTC: 1 is Monday, 7 Sunday. 1 January 1970 was a Thursday.
    pub fn weekday(&self) -> i64 {
        (self.epoch.div_euclid(86_400) + 3).rem_euclid(7) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_hours_are_those_of_the_calendar() {
        // 2026-11-25 (a Wednesday) 23:52:26 UTC.
        let now = Circumstances { epoch: 1_795_650_746, ..Circumstances::default() };
        assert_eq!((now.weekday(), now.hour()), (3, 23));
        assert_eq!(Circumstances::default().weekday(), 4);
    }

    #[test]
    fn actions_are_known_by_their_names() {
        for action in Action::ALL {
            assert_eq!(action.name().parse(), Ok(action));
        }
        assert!("policy".parse::<Action>().is_err());
    }
}
