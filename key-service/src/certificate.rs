//! What an X.509 certificate says about itself (KMIP 2.1 sections 4.6 to 4.8, 4.61 to 4.63).

use bytes::Bytes;
use kmip_protocol::attribute::Attribute;

use crate::fault::Fault;
use crate::record::Record;

/// Sets the attributes of a certificate from its value.
///
/// # Errors
/// None yet: a value that is no X.509 certificate is kept as it is.
pub fn describe(record: &mut Record, value: &Bytes) -> Result<(), Fault> {
    record.set(Attribute::CertificateLength(i32::try_from(value.len()).unwrap_or(i32::MAX)));
    Ok(())
}
