//! Seals and unseals through the Core: a KMIP client of the Core's restricted profile.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use bytestring::ByteString;
use key_service::auditing::Correlations;
use key_service::chain::ObjectBinding;
use key_service::creation::DEFAULT_SERVICE;
use key_service::memory::LockedSecret;
use key_service::port::{Binding, Sealed, Sealer, SealerError};
use kmip_net::{Client, ClientConnection};
use kmip_protocol::codec::Secret;
use kmip_protocol::enumeration::{BatchErrorContinuationOption, ResultReason, ResultStatus};
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::message::{RequestHeader, RequestMessage, ResponseBatchItem, ResponseMessage};
use kmip_protocol::operation::{DecryptRequest, EncryptRequest, Request, Response};
use kmip_protocol::version::V2_1;
use kmip_ttlv::Limits;

use crate::authenticated_store::RecordVault;
use crate::errands::Errands;
use crate::leases::Leases;
use crate::root_keys::{RootKeys, ServiceKey};

/// Why a message has no answers.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// There is no answer.
    #[error(transparent)]
    Unanswered(SealerError),
    /// The Core refuses the message as a whole: it may be too large.
    #[error(transparent)]
    Refused(SealerError),
}

impl From<SendError> for SealerError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Unanswered(error) | SendError::Refused(error) => error,
        }
    }
}

/// What the Core answers.
pub(crate) struct Answers {
    /// Which life of which Core, if its Server Correlation Value tells.
    pub(crate) by: Option<u64>,
    /// An answer for each request.
    pub(crate) items: Vec<ResponseBatchItem>,
}

/// A connection to the Core that speaks whole messages.
pub(crate) struct CoreLink {
    client: Client,
    limits: Limits,
    /// Tells this life of this Gateway from others, also of the same certificate: leases are granted to it.
    instance: ByteString,
}

impl CoreLink {
    /// Speaks through `client`, whose messages have up to `maximum_message_bytes`, as `instance`.
    pub(crate) fn new(client: Client, maximum_message_bytes: usize, instance: ByteString) -> Self {
        let limits = Limits {
            message_bytes: maximum_message_bytes,
            value_bytes: maximum_message_bytes,
            ..Limits::default()
        };
        Self { client, limits, instance }
    }

    /// The header of a message: the Client Correlation Value names the instance.
    pub(crate) fn header(&self, batch_count: usize) -> RequestHeader {
        let mut header = RequestHeader::new(V2_1, batch_count);
        header.client_correlation_value = Some(self.instance.clone());
        header
    }

    /// Opens a connection of its own.
    pub(crate) async fn open(&self) -> Result<ClientConnection, SealerError> {
        self.client.open().await.map_err(|error| SealerError::Unavailable(error.to_string()))
    }

    /// Sends requests that may be sent twice as one batch; returns as many answers.
    pub(crate) async fn send(&self, requests: &[Request]) -> Result<Answers, SendError> {
        let mut header = self.header(requests.len());
        // What we could not read is to fail by itself, not with the whole message.
        header.maximum_response_size = i32::try_from(self.limits.message_bytes).ok();
        header.batch_error_continuation_option = Some(BatchErrorContinuationOption::Continue);
        let answered = self.client.exchange(RequestMessage::write(&header, requests)).await;
        let response = answered.map_err(|error| unanswered(error.to_string()))?;
        let message = ResponseMessage::read(&response, self.limits)
            .map_err(|error| unanswered(format!("the Core's answer is malformed: {error}")))?;
        if message.items.len() != requests.len() {
            return Err(match message.items.into_iter().next() {
                Some(item) if item.result_status != ResultStatus::Success => {
                    SendError::Refused(refusal(&item))
                }
                _ => unanswered("the Core answered another number of items".to_owned()),
            });
        }
        let named = message.header.server_correlation_value.as_deref();
        Ok(Answers { by: named.and_then(Correlations::life_of), items: message.items })
    }
}

fn unanswered(why: String) -> SendError {
    SendError::Unanswered(SealerError::Unavailable(why))
}

/// What a failed item means for the object that it was about.
pub(crate) fn refusal(item: &ResponseBatchItem) -> SealerError {
    let message = item.result_message.as_deref().unwrap_or_default().to_owned();
    match item.result_reason {
        Some(ResultReason::ObjectNotFound | ResultReason::ItemNotFound) => SealerError::NoKey,
        Some(ResultReason::ObjectDestroyed) => SealerError::Buried,
        Some(ResultReason::CryptographicFailure) => SealerError::Damaged,
        Some(ResultReason::PermissionDenied | ResultReason::WrongKeyLifecycleState) => {
            SealerError::Refused(message)
        }
        Some(ResultReason::ServerLimitExceeded) => SealerError::Exhausted(message),
        _ => SealerError::Unavailable(message),
    }
}

/// The Core, as a [`Sealer`]. Nothing is sealed or opened without a live lease on the L3, and what was opened is remembered
/// under it.
pub(crate) struct CoreSealer {
    errands: Arc<Errands>,
    root_keys: RootKeys,
    leases: Arc<Leases>,
}

impl CoreSealer {
    /// Asks by way of `errands`.
    pub(crate) fn new(errands: Arc<Errands>, root_keys: RootKeys, leases: Arc<Leases>) -> Self {
        Self { errands, root_keys, leases }
    }

    /// Asks anew which L3 seals for a service.
    pub(crate) fn forget_service(&self, tenant: &str, service: &str) {
        self.root_keys.forget(tenant, service);
    }

    async fn seal_under(
        &self,
        key: &ByteString,
        binding: &Binding,
        plaintext: Secret,
    ) -> Result<Sealed, SealerError> {
        self.leases.ensure(&binding.tenant, key).await?;
        let asked = self.leases.asking();
        let (opened, bytes) = (plaintext.share(), plaintext.len());
        let request = EncryptRequest {
            unique_identifier: Some(UniqueIdentifier::Text(key.clone())),
            cryptographic_parameters: None,
            data: Some(plaintext),
            iv_counter_nonce: None,
            correlation_value: None,
            init_indicator: None,
            final_indicator: None,
            authenticated_encryption_additional_data: Some(ObjectBinding::from(binding).encode()),
        };
        match self.errands.ask(&binding.tenant, bytes, request).await? {
            Response::Encrypt(encrypted) => {
                let envelope = Bytes::copy_from_slice(encrypted.data.ok_or_else(malformed)?.expose());
                let sealed = Sealed { key: key.clone(), envelope };
                self.leases.remember(asked, binding, &sealed, &opened);
                Ok(sealed)
            }
            _ => Err(malformed()),
        }
    }

    /// Has the Core open an object under a live lease.
    async fn open(&self, binding: &Binding, sealed: &Sealed) -> Result<Secret, SealerError> {
        let asked = self.leases.asking();
        let request = DecryptRequest {
            unique_identifier: Some(UniqueIdentifier::Text(sealed.key.clone())),
            cryptographic_parameters: None,
            data: Some(Secret::from_zeroizing(sealed.envelope.clone())),
            iv_counter_nonce: None,
            correlation_value: None,
            init_indicator: None,
            final_indicator: None,
            authenticated_encryption_additional_data: Some(ObjectBinding::from(binding).encode()),
            authenticated_encryption_tag: None,
        };
        match self.errands.ask(&binding.tenant, sealed.envelope.len(), request).await? {
            Response::Decrypt(decrypted) => {
                let opened = decrypted.data.ok_or_else(malformed)?;
                self.leases.remember(asked, binding, sealed, &opened);
                Ok(opened)
            }
            _ => Err(malformed()),
        }
    }
}

fn malformed() -> SealerError {
    SealerError::Unavailable("the Core's answer lacks what was asked for".to_owned())
}

#[async_trait]
impl Sealer for CoreSealer {
    async fn service_of(&self, tenant: &str, groups: &[ByteString]) -> Result<ByteString, SealerError> {
        for group in groups {
            if self.root_keys.find(tenant, group).await? != ServiceKey::Unknown {
                return Ok(ByteString::from(&**group));
            }
        }
        Ok(ByteString::from_static(DEFAULT_SERVICE))
    }

    async fn seal(&self, binding: &Binding, plaintext: Secret) -> Result<Sealed, SealerError> {
        let key = self.root_keys.sealing_key(&binding.tenant, &binding.service).await?;
        match self.seal_under(&key, binding, plaintext.share()).await {
            // The key was rotated, revoked or destroyed since we last asked: ask again, once.
            Err(SealerError::Refused(_) | SealerError::NoKey | SealerError::Buried) => {
                self.root_keys.forget(&binding.tenant, &binding.service);
                let key = self.root_keys.sealing_key(&binding.tenant, &binding.service).await?;
                self.seal_under(&key, binding, plaintext).await
            }
            outcome => outcome,
        }
    }

    async fn unseal(&self, binding: &Binding, sealed: &Sealed) -> Result<Secret, SealerError> {
        if !self.root_keys.is_of_tenant(&sealed.key, &binding.tenant).await? {
            return Err(SealerError::Damaged);
        }
        self.leases.ensure(&binding.tenant, &sealed.key).await?;
        match self.leases.cache().find(binding, sealed) {
            Some(opened) => Ok(opened),
            // On the heap: those that find it open do not carry room for this.
            None => Box::pin(self.open(binding, sealed)).await,
        }
    }

    async fn admit(&self, binding: &Binding, sealed: &Sealed) -> Result<(), SealerError> {
        if !self.root_keys.is_of_tenant(&sealed.key, &binding.tenant).await? {
            return Err(SealerError::Damaged);
        }
        self.leases.ensure(&binding.tenant, &sealed.key).await
    }

    fn may_use(&self, key: &str) -> bool {
        self.lease(key).is_some()
    }

    fn lease(&self, key: &str) -> Option<u64> {
        self.leases.lease(key)
    }
}

#[async_trait]
impl RecordVault for CoreSealer {
    async fn record_key(&self, tenant: &str, key: &ByteString) -> Result<Arc<LockedSecret>, SealerError> {
        self.leases.record_key(tenant, key).await
    }

    async fn sealing_key(&self, tenant: &str, service: &str) -> Result<ByteString, SealerError> {
        self.root_keys.sealing_key(tenant, service).await
    }
}
