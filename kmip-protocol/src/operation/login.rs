//! Login (6.1.30 of KMIP 2.1): asks for a ticket.

use crate::attribute::UsageLimits;
use crate::codec::{Interval, structure};
use crate::structures::Ticket;

structure! {
    /// Asks for a ticket.
    pub struct LoginRequest {
        /// For how long, in seconds.
        optional lease_time: Interval = LEASE_TIME;
        /// For how many requests.
        optional request_count: i32 = REQUEST_COUNT;
        /// For how many uses.
        optional usage_limits: UsageLimits = USAGE_LIMITS;
    }

    /// The answer to [`LoginRequest`].
    pub struct LoginResponse {
        /// The ticket.
        required ticket: Ticket = TICKET;
    }
}
