//! Messages (KMIP 2.1 section 9, 1.4 section 7): headers and batch items. The payloads of a request stay undecoded
//! until their turn comes, so that a bad one fails its own batch item and not the batch.

use bytes::Bytes;
use bytestring::ByteString;
use kmip_ttlv::{Error, ErrorKind, ItemType, Limits, RawItem, Reader, SecretBuffer, Tag, Writer};

use crate::codec::{DateTime, Item, Secret, missing, once, skip_extension, structure};
use crate::enumeration::{
    AsynchronousIndicator, AttestationType, BatchErrorContinuationOption, CredentialType, HashingAlgorithm,
    Operation, ResultReason, ResultStatus,
};
use crate::operation::{Request, Response};
use crate::structures::Ticket;
use crate::tag;
use crate::version::{V2_1, Version};

structure! {
    /// The header of a request (9.8).
    pub struct RequestHeader {
        /// The version that the message is written in.
        required protocol_version: Version = PROTOCOL_VERSION;
        /// Bytes that the response may have at most, in TTLV.
        optional maximum_response_size: i32 = MAXIMUM_RESPONSE_SIZE;
        /// For the logs of both sides.
        optional client_correlation_value: ByteString = CLIENT_CORRELATION_VALUE [V1_4];
        /// For the logs of both sides.
        optional server_correlation_value: ByteString = SERVER_CORRELATION_VALUE [V1_4];
        /// Whether the server may answer later.
        optional asynchronous_indicator: Asynchronous = ASYNCHRONOUS_INDICATOR;
        /// Whether the client could attest itself.
        optional attestation_capable_indicator: bool = ATTESTATION_CAPABLE_INDICATOR [V1_2];
        /// The attestations that it could give.
        repeated attestation_types: AttestationType = ATTESTATION_TYPE [V1_2];
        /// Credentials, besides the client certificate.
        repeated authentication: Authentication = AUTHENTICATION;
        /// What to do with the rest of the batch when an item fails; Stop where absent.
        optional batch_error_continuation_option: BatchErrorContinuationOption = BATCH_ERROR_CONTINUATION_OPTION;
        /// Whether the order of the batch matters.
        optional batch_order_option: bool = BATCH_ORDER_OPTION;
        /// The client's time.
        optional time_stamp: DateTime = TIME_STAMP;
        /// Number of batch items.
        required batch_count: i32 = BATCH_COUNT;
    }

    /// Credentials (9.1).
    pub struct Authentication {
        /// The credentials.
        repeated credentials: Credential = CREDENTIAL;
    }

    /// A credential (9.4).
    pub struct Credential {
        /// What kind of credential.
        required credential_type: CredentialType = CREDENTIAL_TYPE;
        /// The credential.
        required credential_value: CredentialValue = CREDENTIAL_VALUE;
    }

    /// The fields of all kinds of credentials (9.4); the Credential Type says which of them count.
    pub struct CredentialValue {
        /// User name.
        optional username: ByteString = USERNAME;
        /// Password.
        optional password: SecretText = PASSWORD;
        /// Serial number of a device.
        optional device_serial_number: ByteString = DEVICE_SERIAL_NUMBER [V1_1];
        /// Identifier of a device.
        optional device_identifier: ByteString = DEVICE_IDENTIFIER [V1_1];
        /// Identifier of a network.
        optional network_identifier: ByteString = NETWORK_IDENTIFIER [V1_1];
        /// Identifier of a machine.
        optional machine_identifier: ByteString = MACHINE_IDENTIFIER [V1_1];
        /// Identifier of a medium.
        optional media_identifier: ByteString = MEDIA_IDENTIFIER [V1_1];
        /// Nonce of an attestation.
        optional nonce: Nonce = NONCE [V1_2];
        /// Kind of an attestation.
        optional attestation_type: AttestationType = ATTESTATION_TYPE [V1_2];
        /// An attestation.
        optional attestation_measurement: Bytes = ATTESTATION_MEASUREMENT [V1_2];
        /// An attestation by a third party.
        optional attestation_assertion: Bytes = ATTESTATION_ASSERTION [V1_2];
        /// A password for one use.
        optional one_time_password: SecretText = ONE_TIME_PASSWORD [V2_0];
        /// Time of a hashed password.
        optional timestamp: DateTime = TIME_STAMP [V2_0];
        /// Hash of a hashed password.
        optional hashing_algorithm: HashingAlgorithm = HASHING_ALGORITHM [V2_0];
        /// A hashed password.
        optional hashed_password: Secret = HASHED_PASSWORD [V2_0];
        /// A ticket.
        optional ticket: Ticket = TICKET [V2_0];
    }

    /// A number that is used once (9.10).
    #[derive(Clone)]
    pub struct Nonce {
        /// Names the nonce.
        required nonce_id: Bytes = NONCE_ID;
        /// The nonce.
        required nonce_value: Bytes = NONCE_VALUE;
    }

    /// The header of a response (9.8).
    pub struct ResponseHeader {
        /// The version that the message is written in: the request's.
        required protocol_version: Version = PROTOCOL_VERSION;
        /// The server's time. Clients cannot decode a response without it.
        required time_stamp: DateTime = TIME_STAMP;
        /// For an attestation.
        optional nonce: Nonce = NONCE [V1_2];
        /// For Hashed Password credentials.
        optional server_hashed_password: Bytes = SERVER_HASHED_PASSWORD [V2_0];
        /// Attestations that the server asks for.
        repeated attestation_types: AttestationType = ATTESTATION_TYPE [V1_2];
        /// The request's.
        optional client_correlation_value: ByteString = CLIENT_CORRELATION_VALUE [V1_4];
        /// For the logs of both sides.
        optional server_correlation_value: ByteString = SERVER_CORRELATION_VALUE [V1_4];
        /// Number of batch items.
        required batch_count: i32 = BATCH_COUNT;
    }

    /// An extension of a message (9.9).
    pub struct MessageExtension {
        /// Whose extension it is.
        required vendor_identification: ByteString = VENDOR_IDENTIFICATION;
        /// Whether a receiver that does not know it must refuse the item.
        required criticality_indicator: bool = CRITICALITY_INDICATOR;
        /// The extension.
        required vendor_extension: VendorExtension = VENDOR_EXTENSION;
    }
}

/// The content of a message extension: undecoded.
#[derive(Debug)]
pub struct VendorExtension(pub Secret);

impl Item for VendorExtension {
    fn read(reader: &mut Reader<'_>, _tag: Tag, _version: Version) -> Result<Self, Error> {
        reader.raw().map(|item| Self(Secret::from_zeroizing(item.value_bytes())))
    }

    fn write(&self, writer: &mut Writer, tag: Tag, _version: Version) {
        writer.structure(tag, |writer| writer.raw(self.0.expose()));
    }
}

/// A Text String that is a secret.
#[derive(Debug)]
pub struct SecretText(pub Secret);

impl Item for SecretText {
    fn read(reader: &mut Reader<'_>, tag: Tag, _version: Version) -> Result<Self, Error> {
        reader.text(tag).map(|text| Self(Secret::from_zeroizing(text.into_bytes())))
    }

    fn write(&self, writer: &mut Writer, tag: Tag, _version: Version) {
        writer.text_string(tag, &String::from_utf8_lossy(self.0.expose()));
    }
}

/// Asynchronous Indicator: a Boolean in 1.x, an enumeration in 2.x (11.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asynchronous(pub AsynchronousIndicator);

impl Item for Asynchronous {
    fn read(reader: &mut Reader<'_>, tag: Tag, version: Version) -> Result<Self, Error> {
        if reader.peek()?.is_some_and(|header| header.item_type == ItemType::Boolean) {
            let optional = reader.boolean(tag)?;
            let indicator =
                if optional { AsynchronousIndicator::Optional } else { AsynchronousIndicator::Prohibited };
            return Ok(Self(indicator));
        }
        AsynchronousIndicator::read(reader, tag, version).map(Self)
    }

    fn write(&self, writer: &mut Writer, tag: Tag, version: Version) {
        if version.tags_attributes() {
            self.0.write(writer, tag, version);
        } else {
            writer.boolean(tag, self.0 != AsynchronousIndicator::Prohibited);
        }
    }
}

impl Item for Version {
    fn read(reader: &mut Reader<'_>, tag: Tag, _version: Version) -> Result<Self, Error> {
        reader.structure(tag, |reader| {
            let major = reader.integer(tag::PROTOCOL_VERSION_MAJOR)?;
            let minor = reader.integer(tag::PROTOCOL_VERSION_MINOR)?;
            Ok(Self { major, minor })
        })
    }

    fn write(&self, writer: &mut Writer, tag: Tag, _version: Version) {
        writer.structure(tag, |writer| {
            writer.integer(tag::PROTOCOL_VERSION_MAJOR, self.major);
            writer.integer(tag::PROTOCOL_VERSION_MINOR, self.minor);
        });
    }
}

/// An empty Request Payload, for requests that left it out.
const EMPTY_PAYLOAD: &[u8] = &[0x42, 0x00, 0x79, 0x01, 0, 0, 0, 0];

/// A request whose payloads are still encoded.
#[derive(Debug)]
pub struct RequestMessage {
    /// The header.
    pub header: RequestHeader,
    /// The batch.
    pub items: Vec<RequestBatchItem>,
}

/// One operation of a request (9.3).
#[derive(Debug)]
pub struct RequestBatchItem {
    /// The code of the operation, known or not.
    pub operation: u32,
    /// Whether the payload may be left out of logs (2.0 on).
    pub ephemeral: bool,
    /// To be echoed.
    pub unique_batch_item_id: Option<Bytes>,
    /// The payload; an empty one where the client left it out.
    pub payload: Option<RawItem>,
    /// Extensions.
    pub message_extensions: Vec<MessageExtension>,
}

/// Why a request message as a whole cannot be read, with the version to answer in where it got that far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageError {
    /// What is wrong with it.
    pub error: Error,
    /// The version of the message.
    pub version: Option<Version>,
}

impl RequestMessage {
    /// Reads a message up to, but not into, its payloads.
    ///
    /// # Errors
    /// If the message is malformed outside its payloads, or its Batch Count does not hold.
    pub fn read(message: &Bytes, limits: Limits) -> Result<Self, MessageError> {
        let mut version = None;
        Self::read_tracking(message, limits, &mut version).map_err(|error| MessageError { error, version })
    }

    fn read_tracking(message: &Bytes, limits: Limits, version: &mut Option<Version>) -> Result<Self, Error> {
        let mut reader = Reader::new(message, limits)?;
        let request = reader.structure(tag::REQUEST_MESSAGE, |reader| {
            let before = reader.clone();
            let header = RequestHeader::read(reader, tag::REQUEST_HEADER, V2_1)
                .inspect_err(|_| *version = version_of_unreadable(before, limits))?;
            *version = Some(header.protocol_version);
            let mut items = Vec::new();
            while let Some(next) = reader.peek_tag()? {
                match next {
                    tag::BATCH_ITEM => items.push(RequestBatchItem::read(reader)?),
                    _ => skip_extension(reader, next)?,
                }
            }
            if usize::try_from(header.batch_count) != Ok(items.len()) {
                return Err(reader.error(ErrorKind::InvalidValue));
            }
            Ok(Self { header, items })
        })?;
        reader.finish()?;
        Ok(request)
    }

    /// Writes a request of `payloads`, as a client does. Items of a batch are numbered.
    pub fn write(header: &RequestHeader, payloads: &[Request]) -> SecretBuffer {
        let version = header.protocol_version;
        let mut writer = Writer::new();
        writer.structure(tag::REQUEST_MESSAGE, |writer| {
            header.write(writer, tag::REQUEST_HEADER, version);
            for (index, payload) in payloads.iter().enumerate() {
                writer.structure(tag::BATCH_ITEM, |writer| {
                    writer.enumeration(tag::OPERATION, payload.operation().value());
                    if payloads.len() > 1 {
                        writer.byte_string(tag::UNIQUE_BATCH_ITEM_ID, &(index as u32).to_be_bytes());
                    }
                    payload.write(writer, version);
                });
            }
        });
        writer.finish()
    }
}

impl RequestHeader {
    /// The header of a batch of `batch_count` items in `version`, with nothing optional in it.
    pub fn new(version: Version, batch_count: usize) -> Self {
        Self {
            protocol_version: version,
            maximum_response_size: None,
            client_correlation_value: None,
            server_correlation_value: None,
            asynchronous_indicator: None,
            attestation_capable_indicator: None,
            attestation_types: Vec::new(),
            authentication: Vec::new(),
            batch_error_continuation_option: None,
            batch_order_option: None,
            time_stamp: None,
            batch_count: i32::try_from(batch_count).unwrap_or(i32::MAX),
        }
    }
}

/// The version of a header that cannot be read further on. `before` stands before the header.
fn version_of_unreadable(mut before: Reader<'_>, limits: Limits) -> Option<Version> {
    let header = before.raw().ok()?;
    let mut version = None;
    // What follows the version is the reason why we are here.
    let _: Result<(), Error> = header.reader(limits).structure(header.tag, |inside| {
        version = Some(Version::read(inside, tag::PROTOCOL_VERSION, V2_1)?);
        Ok(())
    });
    version
}

impl RequestBatchItem {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        reader.structure(tag::BATCH_ITEM, |reader| {
            let mut operation = None;
            let mut ephemeral = None;
            let mut unique_batch_item_id = None;
            let mut payload = None;
            let mut message_extensions = Vec::new();
            while let Some(next) = reader.peek_tag()? {
                match next {
                    tag::OPERATION => once(&mut operation, reader, |reader| reader.enumeration(next))?,
                    tag::EPHEMERAL => once(&mut ephemeral, reader, |reader| reader.boolean(next))?,
                    tag::UNIQUE_BATCH_ITEM_ID => {
                        once(&mut unique_batch_item_id, reader, |reader| reader.bytes(next))?;
                    }
                    tag::REQUEST_PAYLOAD => once(&mut payload, reader, |reader| reader.raw())?,
                    tag::MESSAGE_EXTENSION => {
                        message_extensions.push(MessageExtension::read(reader, next, V2_1)?);
                    }
                    _ => skip_extension(reader, next)?,
                }
            }
            let operation = operation.ok_or_else(|| missing(reader, tag::OPERATION))?;
            let ephemeral = ephemeral.unwrap_or(false);
            Ok(Self { operation, ephemeral, unique_batch_item_id, payload, message_extensions })
        })
    }

    /// Decodes the payload of `operation`; `None` if there is no such operation in the table.
    pub fn decode(
        &self,
        operation: Operation,
        limits: Limits,
        version: Version,
    ) -> Option<Result<Request, Error>> {
        let Some(payload) = &self.payload else {
            let empty = Bytes::from_static(EMPTY_PAYLOAD);
            return Reader::new(&empty, limits).map_or_else(
                |error| Some(Err(error)),
                |mut reader| Request::read(operation, &mut reader, version),
            );
        };
        // An extension among the criteria of Locate cannot be evaluated; passing over it would widen the answer.
        if operation == Operation::Locate
            && let Err(error) = refuse_extensions(&mut payload.reader(limits))
        {
            return Some(Err(error));
        }
        Request::read(operation, &mut payload.reader(limits), version)
    }
}

/// Refuses items of the extension range, at any depth but inside values, which are compared as they are.
fn refuse_extensions(reader: &mut Reader<'_>) -> Result<(), Error> {
    while let Some(header) = reader.peek()? {
        if tag::is_extension(header.tag) {
            return Err(reader.error(ErrorKind::UnexpectedItem));
        }
        match header.item_type {
            ItemType::Structure if header.tag != tag::ATTRIBUTE_VALUE => {
                reader.structure(header.tag, refuse_extensions)?;
            }
            _ => reader.skip()?,
        }
    }
    Ok(())
}

/// A response.
#[derive(Debug)]
pub struct ResponseMessage {
    /// The header.
    pub header: ResponseHeader,
    /// One item for each of the request, as far as the batch got.
    pub items: Vec<ResponseBatchItem>,
}

/// The answer to one operation (9.3).
#[derive(Debug)]
pub struct ResponseBatchItem {
    /// The code of the operation; absent where the request could not be read.
    pub operation: Option<u32>,
    /// The request's.
    pub unique_batch_item_id: Option<Bytes>,
    /// How it went.
    pub result_status: ResultStatus,
    /// Why it failed.
    pub result_reason: Option<ResultReason>,
    /// Why it failed, in words.
    pub result_message: Option<ByteString>,
    /// Names the operation for Poll.
    pub asynchronous_correlation_value: Option<Bytes>,
    /// What it returns.
    pub payload: Option<Response>,
}

impl ResponseMessage {
    /// Writes the whole message.
    pub fn write(&self, writer: &mut Writer) {
        let version = self.header.protocol_version;
        writer.structure(tag::RESPONSE_MESSAGE, |writer| {
            self.header.write(writer, tag::RESPONSE_HEADER, version);
            for item in &self.items {
                item.write(writer, version);
            }
        });
    }

    /// Reads a message, as a client does.
    ///
    /// # Errors
    /// If the message is malformed or answers an operation that is not in the table.
    pub fn read(message: &Bytes, limits: Limits) -> Result<Self, Error> {
        let mut reader = Reader::new(message, limits)?;
        let response = reader.structure(tag::RESPONSE_MESSAGE, |reader| {
            let header = ResponseHeader::read(reader, tag::RESPONSE_HEADER, V2_1)?;
            let mut items = Vec::new();
            while let Some(next) = reader.peek_tag()? {
                match next {
                    tag::BATCH_ITEM => items.push(ResponseBatchItem::read(reader, header.protocol_version)?),
                    _ => skip_extension(reader, next)?,
                }
            }
            Ok::<_, Error>(Self { header, items })
        })?;
        reader.finish()?;
        Ok(response)
    }
}

/// Bytes of a payload in a response of `version`.
pub fn payload_length(payload: &Response, version: Version) -> usize {
    let mut writer = Writer::new();
    payload.write(&mut writer, version);
    writer.len()
}

impl ResponseBatchItem {
    /// A success that returns `payload`.
    pub fn success(payload: Response) -> Self {
        Self {
            operation: Some(payload.operation().value()),
            unique_batch_item_id: None,
            result_status: ResultStatus::Success,
            result_reason: None,
            result_message: None,
            asynchronous_correlation_value: None,
            payload: Some(payload),
        }
    }

    /// A failure for `reason`, explained by `message`. Clients rely on there being a message.
    pub fn failure(operation: Option<u32>, reason: ResultReason, message: ByteString) -> Self {
        Self {
            operation,
            unique_batch_item_id: None,
            result_status: ResultStatus::OperationFailed,
            result_reason: Some(reason),
            result_message: Some(message),
            asynchronous_correlation_value: None,
            payload: None,
        }
    }

    fn write(&self, writer: &mut Writer, version: Version) {
        writer.structure(tag::BATCH_ITEM, |writer| {
            if let Some(operation) = self.operation {
                writer.enumeration(tag::OPERATION, operation);
            }
            if let Some(id) = &self.unique_batch_item_id {
                writer.byte_string(tag::UNIQUE_BATCH_ITEM_ID, id);
            }
            self.result_status.write(writer, tag::RESULT_STATUS, version);
            if let Some(reason) = self.result_reason {
                reason.for_version(version).write(writer, tag::RESULT_REASON, version);
            }
            if let Some(message) = &self.result_message {
                writer.text_string(tag::RESULT_MESSAGE, message);
            }
            if let Some(value) = &self.asynchronous_correlation_value {
                writer.byte_string(tag::ASYNCHRONOUS_CORRELATION_VALUE, value);
            }
            if let Some(payload) = &self.payload {
                payload.write(writer, version);
            }
        });
    }

    fn read(reader: &mut Reader<'_>, version: Version) -> Result<Self, Error> {
        reader.structure(tag::BATCH_ITEM, |reader| {
            let mut operation = None;
            let mut unique_batch_item_id = None;
            let mut result_status = None;
            let mut result_reason = None;
            let mut result_message = None;
            let mut asynchronous_correlation_value = None;
            let mut payload = None;
            while let Some(next) = reader.peek_tag()? {
                match next {
                    tag::OPERATION => once(&mut operation, reader, |reader| reader.enumeration(next))?,
                    tag::UNIQUE_BATCH_ITEM_ID => {
                        once(&mut unique_batch_item_id, reader, |reader| reader.bytes(next))?;
                    }
                    tag::RESULT_STATUS => {
                        once(&mut result_status, reader, |reader| ResultStatus::read(reader, next, version))?;
                    }
                    tag::RESULT_REASON => once(&mut result_reason, reader, read_reason)?,
                    tag::RESULT_MESSAGE => once(&mut result_message, reader, |reader| reader.text(next))?,
                    tag::ASYNCHRONOUS_CORRELATION_VALUE => {
                        once(&mut asynchronous_correlation_value, reader, |reader| reader.bytes(next))?;
                    }
                    tag::RESPONSE_PAYLOAD => {
                        once(&mut payload, reader, |reader| read_payload(operation, reader, version))?;
                    }
                    tag::MESSAGE_EXTENSION => reader.skip()?,
                    _ => skip_extension(reader, next)?,
                }
            }
            let result_status = result_status.ok_or_else(|| missing(reader, tag::RESULT_STATUS))?;
            Ok(Self {
                operation,
                unique_batch_item_id,
                result_status,
                result_reason,
                result_message,
                asynchronous_correlation_value,
                payload,
            })
        })
    }
}

/// A reason that is not known here is still a failure.
fn read_reason(reader: &mut Reader<'_>) -> Result<ResultReason, Error> {
    let reason = reader.enumeration(tag::RESULT_REASON)?;
    Ok(ResultReason::from_value(reason).unwrap_or(ResultReason::GeneralFailure))
}

fn read_payload(
    operation: Option<u32>,
    reader: &mut Reader<'_>,
    version: Version,
) -> Result<Response, Error> {
    let unknown = reader.error(ErrorKind::InvalidValue);
    let operation = operation.and_then(Operation::from_value).ok_or(unknown)?;
    Response::read(operation, reader, version).unwrap_or(Err(unknown))
}
