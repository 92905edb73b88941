//! The operator's KMIP client: typed requests to the Core, their answers or why there is none.

use std::fmt::Display;
use std::time::Duration;

use kmip_net::{Client, ClientSettings, ReloadableTls, TlsSettings};
use kmip_protocol::enumeration::{BatchErrorContinuationOption, ResultReason, ResultStatus};
use kmip_protocol::message::{RequestHeader, RequestMessage, ResponseBatchItem, ResponseMessage};
use kmip_protocol::operation::{Operation, Request, Response};
use kmip_protocol::version::V2_1;
use kmip_ttlv::Limits;

use crate::arguments::Target;
use crate::dev::layout::Layout;
use crate::error::Error;

/// A Revoke is answered when the leases of Gateways that cannot be reached have ended; long leases are minutes.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(600);

/// A client of one Core, with an operator's certificate.
pub struct Operator {
    client: Client,
    address: String,
}

impl Operator {
    /// A client of a development stack's server that listens at `address`: the Core, or the Gateway as far as it answers
    /// operators.
    ///
    /// # Errors
    /// If the operator's certificate cannot be used.
    pub fn of_stack(layout: &Layout, address: impl Display) -> Result<Self, Error> {
        let pki = layout.pki();
        let credential = pki.client("operator");
        Self::new(
            address.to_string(),
            TlsSettings {
                certificate: credential.certificate,
                key: credential.key,
                authority: pki.authority(),
                revocation_lists: Vec::new(),
            },
        )
    }

    /// A client of the Core that the command line names.
    ///
    /// # Errors
    /// If the certificate cannot be used, or the development stack that is meant does not run.
    pub fn of_target(target: &Target) -> Result<Self, Error> {
        let (Some(address), Some(certificate), Some(key), Some(authority)) =
            (&target.core, &target.cert, &target.key, &target.ca)
        else {
            let layout = Layout::new(&target.dir)?;
            let endpoints = layout.endpoints()?;
            let core = endpoints.ok_or_else(|| not_running(target))?.core;
            return Self::of_stack(&layout, core);
        };
        let (certificate, key, authority) = (certificate.clone(), key.clone(), authority.clone());
        Self::new(address.clone(), TlsSettings { certificate, key, authority, revocation_lists: Vec::new() })
    }

    fn new(address: String, tls: TlsSettings) -> Result<Self, Error> {
        let tls = ReloadableTls::client(tls)?;
        let settings = ClientSettings { request_timeout: REQUEST_TIMEOUT, ..ClientSettings::new(&address) };
        let client = Client::new(settings, tls);
        let client = client.map_err(|source| Error::Core { address: address.clone(), source })?;
        Ok(Self { client, address })
    }

    /// Where the Core is.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Does one operation, at most once.
    ///
    /// # Errors
    /// If there is no answer, or the answer is a refusal.
    pub async fn call<R: TryFrom<Response>>(&self, request: impl Into<Request>) -> Result<R, Error> {
        let mut answers = self.call_each([request.into()]).await?;
        answers.pop().unwrap_or(Err(Error::Answer("a request")))
    }

    /// Does several operations in one message. Each succeeds or fails by itself.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn call_each<R: TryFrom<Response>>(
        &self,
        requests: impl IntoIterator<Item = Request>,
    ) -> Result<Vec<Result<R, Error>>, Error> {
        self.call_batch(requests.into_iter().collect(), BatchErrorContinuationOption::Continue).await
    }

    /// Does several operations in one message: all of them, or none.
    ///
    /// # Errors
    /// If there is no answer, or one of them is refused.
    pub async fn call_together<R: TryFrom<Response>>(
        &self,
        requests: impl IntoIterator<Item = Request>,
    ) -> Result<Vec<R>, Error> {
        let answers =
            self.call_batch(requests.into_iter().collect(), BatchErrorContinuationOption::Undo).await?;
        answers.into_iter().collect()
    }

    async fn call_batch<R: TryFrom<Response>>(
        &self,
        requests: Vec<Request>,
        on_error: BatchErrorContinuationOption,
    ) -> Result<Vec<Result<R, Error>>, Error> {
        let mut header = RequestHeader::new(V2_1, requests.len());
        if requests.len() > 1 {
            header.batch_error_continuation_option = Some(on_error);
        }
        let sent = self.client.exchange_once(RequestMessage::write(&header, &requests)).await;
        let response = sent.map_err(|source| Error::Core { address: self.address.clone(), source })?;
        let message = ResponseMessage::read(&response, Limits::default());
        let items = message.map_err(|_| Error::Answer("a batch"))?.items;
        match items.len() == requests.len() {
            true => Ok(items.into_iter().map(outcome).collect()),
            // One answer to the whole batch: it was refused as a message.
            false => Err(items
                .into_iter()
                .find_map(|item| outcome::<R>(item).err())
                .unwrap_or(Error::Answer("a batch"))),
        }
    }
}

fn outcome<R: TryFrom<Response>>(item: ResponseBatchItem) -> Result<R, Error> {
    let operation = item.operation.and_then(Operation::from_value);
    if item.result_status != ResultStatus::Success {
        return Err(Error::Refused {
            operation: operation.unwrap_or(Operation::Query),
            reason: item.result_reason.unwrap_or(ResultReason::GeneralFailure),
            message: item.result_message.as_deref().unwrap_or("without a word").to_owned(),
        });
    }
    let payload = item.payload.and_then(|payload| R::try_from(payload).ok());
    payload.ok_or(Error::Answer("an operation"))
}

fn not_running(target: &Target) -> Error {
    let dir = target.dir.display();
    Error::Option(format!(
        "no stack runs in {dir}: start one with `krypton dev --dir {dir}`, or name a Core with --core"
    ))
}
