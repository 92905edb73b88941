//! Logout (6.1.31 of KMIP 2.1): gives a ticket back.

use crate::codec::structure;
use crate::structures::Ticket;

structure! {
    /// Gives a ticket back.
    pub struct LogoutRequest {
        /// The ticket.
        required ticket: Ticket = TICKET;
    }

    /// The answer to [`LogoutRequest`].
    pub struct LogoutResponse {}
}
