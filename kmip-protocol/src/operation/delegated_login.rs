//! Delegated Login (6.1.12 of KMIP 2.1): asks for a ticket for somebody else.

use crate::attribute::UsageLimits;
use crate::codec::{Interval, structure};
use crate::structures::{Rights, Ticket};

structure! {
    /// Asks for a ticket for somebody else.
    pub struct DelegatedLoginRequest {
        /// For how long, in seconds.
        optional lease_time: Interval = LEASE_TIME;
        /// For how many requests.
        optional request_count: i32 = REQUEST_COUNT;
        /// For how many uses.
        optional usage_limits: UsageLimits = USAGE_LIMITS;
        /// What the ticket allows.
        required rights: Rights = RIGHTS;
    }

    /// The answer to [`DelegatedLoginRequest`].
    pub struct DelegatedLoginResponse {
        /// The ticket.
        required ticket: Ticket = TICKET;
    }
}
