//! From frames to the rules of KMIP: who asks, and in which encoding.

use bytes::Bytes;
use key_service::auditing::record_stranger;
use key_service::batch;
use key_service::memory::wipe_stack_if_due;
use key_service::principal::Principal;
use key_service::service::Service;
use kmip_net::{Connection, Encoding, FrameHandler};
use kmip_protocol::dictionary::Names;
use kmip_protocol::message::MessageError;
use kmip_ttlv::{Limits, SecretBuffer, TextError, json, xml};

/// Answers requests of applications.
pub(crate) struct Handler {
    service: Service,
    limits: Limits,
}

impl Handler {
    pub(crate) fn new(service: Service, limits: Limits) -> Self {
        Self { service, limits }
    }

    async fn answer(&self, connection: &Connection, request: &Bytes) -> SecretBuffer {
        let identity = connection.identity();
        let Some(tenant) = &identity.tenant else {
            record_stranger(&self.service, &identity.principal).await;
            return batch::deny(request, self.limits, self.service.clock.now());
        };
        let principal = Principal { tenant: tenant.clone(), name: identity.principal.clone() };
        let answer = batch::answer(&self.service, &self.service, &principal, request, self.limits).await;
        wipe_stack_if_due();
        answer
    }

    fn refuse_text(&self, error: TextError) -> SecretBuffer {
        tracing::debug!(%error, "unreadable text message");
        let kind = kmip_ttlv::ErrorKind::InvalidValue;
        self.refuse(kmip_ttlv::Error { kind, offset: error.offset, tag: error.tag })
    }

    fn read_text(&self, encoding: Encoding, body: &Bytes) -> Result<SecretBuffer, TextError> {
        match encoding {
            Encoding::Json => json::to_ttlv(body, &Names, self.limits),
            _ => xml::to_ttlv(body, &Names, self.limits),
        }
    }

    fn write_text(&self, encoding: Encoding, message: &Bytes) -> Result<SecretBuffer, TextError> {
        // The answer may be longer as text than any request may be.
        let limits = Limits { message_bytes: usize::MAX, ..self.limits };
        match encoding {
            Encoding::Json => json::from_ttlv(message, &Names, limits),
            _ => xml::from_ttlv(message, &Names, limits),
        }
    }
}

impl FrameHandler for Handler {
    async fn handle(&self, connection: &Connection, request: Bytes) -> SecretBuffer {
        self.answer(connection, &request).await
    }

    fn refuse(&self, error: kmip_ttlv::Error) -> SecretBuffer {
        batch::refuse(MessageError { error, version: None }, self.service.clock.now())
    }

    fn encodings(&self) -> &[Encoding] {
        &[Encoding::Ttlv, Encoding::Xml, Encoding::Json]
    }

    async fn handle_encoded(&self, connection: &Connection, encoding: Encoding, body: Bytes) -> SecretBuffer {
        if encoding == Encoding::Ttlv {
            return self.answer(connection, &body).await;
        }
        let answer = match self.read_text(encoding, &body) {
            Ok(request) => self.answer(connection, &request.into_bytes()).await,
            Err(error) => self.refuse_text(error),
        };
        match self.write_text(encoding, &answer.into_bytes()) {
            Ok(text) => text,
            // Our own messages have names for everything in them.
            Err(error) => self.refuse_text(error),
        }
    }
}
