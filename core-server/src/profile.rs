//! The restricted profile: who may ask the Core for what. One table decides routing and Query; docs/PROTOCOL.md
//! prints it. What is not in it is done for nobody, Get of key material above all.

use std::sync::LazyLock;

use kmip_protocol::operation::Operation;

/// What a client certificate makes its bearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Steers the chains of all tenants; uses no key.
    Operator,
    /// Wraps and unwraps under the L3s of the tenants that it serves; changes nothing of the chain.
    Gateway,
    /// Anybody else with a certificate of a known authority: nothing at all.
    Stranger,
}

/// One row of the profile.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The operation.
    pub operation: Operation,
    /// Who may ask for it.
    pub roles: &'static [Role],
    /// What it does here.
    pub meaning: &'static str,
}

const BOTH: &[Role] = &[Role::Operator, Role::Gateway];
const OPERATORS: &[Role] = &[Role::Operator];
const GATEWAYS: &[Role] = &[Role::Gateway];

const fn row(operation: Operation, roles: &'static [Role], meaning: &'static str) -> Row {
    Row { operation, roles, meaning }
}

/// The profile.
#[rustfmt::skip]
pub static PROFILE: &[Row] = &[
    row(Operation::DiscoverVersions, BOTH, "the versions of KMIP that are spoken"),
    row(Operation::Query, BOTH, "what the asking role may ask for"),
    row(Operation::Ping, BOTH, "whether the Core answers"),
    row(Operation::Encrypt, GATEWAYS, "wraps data under an Active L3"),
    row(Operation::Decrypt, GATEWAYS, "unwraps data under an Active or Deactivated L3"),
    row(Operation::Mac, GATEWAYS, "the key that authenticates records, derived from an Active or Deactivated L3; the data is a fixed label"),
    row(Operation::ObtainLease, GATEWAYS, "for how long an L3 may be used before asking again"),
    row(Operation::SetEndpointRole, GATEWAYS, "turns the connection round, so that the Core can recall leases by Notify"),
    row(Operation::Locate, BOTH, "operators: any object; Gateways: L3s of their tenants"),
    row(Operation::GetAttributes, BOTH, "as Locate"),
    row(Operation::GetAttributeList, BOTH, "as Locate"),
    row(Operation::Register, OPERATORS, "an L1: a key whose value is elsewhere; or a policy bundle, an Opaque Object of a type of its own"),
    row(Operation::Create, OPERATORS, "an L2 under an L1, or an L3 under an L2"),
    row(Operation::Activate, OPERATORS, "lets a key be used"),
    row(Operation::ReKey, OPERATORS, "rotates an L3: the new version is Active, the old one unwraps only"),
    row(Operation::Revoke, OPERATORS, "an L3 unwraps only, or nothing; an L2 closes the tenant; an L1 as well, unless another anchor of the L2 is Active; a Gateway is let in no more"),
    row(Operation::Destroy, BOTH, "operators: removes a wrapped key for good; Gateways: buries an object of theirs, named L3/OBJECT, so that it is never unwrapped again"),
    row(Operation::Check, OPERATORS, "whether an object may be used in a given way; of an L1 and Unwrap Key: whether it opens the L2 at this moment"),
    row(Operation::AddAttribute, BOTH, "operators: not those that make the chain, but for a Wrapping Key Link of an L2 to one L1 more: an anchor; Gateways: their report on an L3 that is marked for shredding"),
    row(Operation::ModifyAttribute, BOTH, "as Add Attribute"),
    row(Operation::SetAttribute, OPERATORS, "as Add Attribute"),
    row(Operation::DeleteAttribute, OPERATORS, "as Add Attribute; not the last anchor that opens the L2"),
];

/// Whether `role` may ask for `operation`.
pub fn allows(role: Role, operation: Operation) -> bool {
    PROFILE.iter().any(|row| row.operation == operation && row.roles.contains(&role))
}

/// Whether anybody may ask for `operation`.
pub fn knows(operation: Operation) -> bool {
    PROFILE.iter().any(|row| row.operation == operation)
}

/// The operations that `role` may ask for, as Query tells them.
pub fn offered(role: Role) -> &'static [Operation] {
    static OPERATOR: LazyLock<Vec<Operation>> = LazyLock::new(|| list(Role::Operator));
    static GATEWAY: LazyLock<Vec<Operation>> = LazyLock::new(|| list(Role::Gateway));
    match role {
        Role::Operator => &OPERATOR,
        Role::Gateway => &GATEWAY,
        Role::Stranger => &[],
    }
}

fn list(role: Role) -> Vec<Operation> {
    PROFILE.iter().filter(|row| row.roles.contains(&role)).map(|row| row.operation).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_operation_stands_twice() {
        for (index, row) in PROFILE.iter().enumerate() {
            assert!(
                !PROFILE[..index].iter().any(|other| other.operation == row.operation),
                "{}",
                row.operation
            );
        }
    }

    #[test]
    fn nobody_gets_keys_and_strangers_get_nothing() {
        for operation in [Operation::Get, Operation::Export] {
            assert!(!knows(operation));
        }
        assert!(PROFILE.iter().all(|row| !row.roles.contains(&Role::Stranger)));
        assert!(!allows(Role::Operator, Operation::Decrypt) && !allows(Role::Gateway, Operation::Create));
    }
}
