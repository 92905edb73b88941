//! Who asks.

use bytestring::ByteString;

/// Who a request comes from, decided from the client certificate alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Principal {
    /// The tenant whose objects it may see.
    pub tenant: ByteString,
    /// Its name within the tenant.
    pub name: ByteString,
}
