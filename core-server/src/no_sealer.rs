//! The port Sealer where nothing may be sealed by the general rules: the Core seals keys of its chain itself, each under
//! the key that it links to, and takes no other object.

use async_trait::async_trait;
use bytestring::ByteString;
use key_service::creation::DEFAULT_SERVICE;
use key_service::port::{Binding, Sealed, Sealer, SealerError};
use kmip_protocol::codec::Secret;

/// Names services and refuses the rest.
pub(crate) struct NoSealer;

#[async_trait]
impl Sealer for NoSealer {
    async fn service_of(&self, _tenant: &str, groups: &[ByteString]) -> Result<ByteString, SealerError> {
        Ok(groups.first().cloned().unwrap_or_else(|| ByteString::from_static(DEFAULT_SERVICE)))
    }

    async fn seal(&self, _binding: &Binding, _plaintext: Secret) -> Result<Sealed, SealerError> {
        Err(SealerError::Refused("the Core keeps no objects but its chain".to_owned()))
    }

    async fn unseal(&self, _binding: &Binding, _sealed: &Sealed) -> Result<Secret, SealerError> {
        Err(SealerError::Refused("the Core shows no key".to_owned()))
    }
}
