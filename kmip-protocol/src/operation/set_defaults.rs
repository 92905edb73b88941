//! Set Defaults (6.1.53 of KMIP 2.1): sets the defaults of attributes.

use crate::codec::structure;
use crate::structures::DefaultsInformation;

structure! {
    /// Sets the defaults of attributes.
    pub struct SetDefaultsRequest {
        /// The defaults; none where absent.
        optional defaults_information: DefaultsInformation = DEFAULTS_INFORMATION;
    }

    /// The answer to [`SetDefaultsRequest`].
    pub struct SetDefaultsResponse {}
}
