//! How large a response may become: what the client can take, and what the operator allows.
//!
//! An item whose answer does not fit fails by itself, before anything that it did is committed. Room for the failure of each
//! item that is still to come is kept, so that a large answer costs nobody else's.

use kmip_protocol::Version;
use kmip_protocol::enumeration::ResultReason;
use kmip_protocol::message::{RequestBatchItem, RequestHeader, payload_length};
use kmip_protocol::operation::Response;

use crate::auditing::MAXIMUM_CORRELATION_VALUE_BYTES;
use crate::fault::Fault;

/// What the failure of an item takes at most, apart from what the client chose: the texts of failures are ours.
const FAILURE_BYTES: usize = 320;

/// What a success takes besides its payload: tags, lengths, operation and status.
const SUCCESS_BYTES: usize = 48;

/// The header of the response, with a Client Correlation Value that is the client's own.
const HEADER_BYTES: usize = 128;

/// The room that is left in the response to a message.
pub(crate) struct Room {
    version: Version,
    /// `None` where nothing is measured: a single item that the client does not bound is written at once, and judged then.
    /// Negative while not even the failures of all items would fit.
    left: Option<i64>,
}

/// What an answer takes of a [`Room`].
#[derive(Clone, Copy)]
pub(crate) struct Taken(i64);

impl Room {
    /// The room for the response to a message of these items.
    pub(crate) fn new(header: &RequestHeader, items: &[RequestBatchItem], maximum_bytes: usize) -> Self {
        let by_client = header.maximum_response_size.and_then(|size| usize::try_from(size).ok());
        let is_measured = by_client.is_some() || items.len() > 1;
        // Who names the request is told our name for it too.
        let correlation = header
            .client_correlation_value
            .as_ref()
            .map_or(0, |value| padded(value.len()) + padded(MAXIMUM_CORRELATION_VALUE_BYTES));
        let reserved = HEADER_BYTES + correlation + items.iter().map(failure_bytes).sum::<usize>();
        let maximum = by_client.unwrap_or(usize::MAX).min(maximum_bytes);
        let left = is_measured.then(|| signed(maximum).saturating_sub(signed(reserved)));
        Self { version: header.protocol_version, left }
    }

    /// How much room the answer to `item` takes.
    ///
    /// # Errors
    /// If it does not fit.
    pub(crate) fn measure(&self, item: &RequestBatchItem, response: &Response) -> Result<Taken, Fault> {
        let Some(left) = self.left else { return Ok(Taken(0)) };
        let id = item.unique_batch_item_id.as_ref().map_or(0, |id| padded(id.len()));
        let length = SUCCESS_BYTES + id + payload_length(response, self.version);
        // The room for the item's own failure is free now.
        let taken = signed(length) - signed(failure_bytes(item));
        if taken <= left { Ok(Taken(taken)) } else { Err(too_large()) }
    }

    /// Takes it.
    pub(crate) fn take(&mut self, taken: Taken) {
        self.left = self.left.map(|left| left.saturating_sub(taken.0));
    }
}

/// What a client is told about an answer that does not fit.
pub(crate) fn too_large() -> Fault {
    Fault::new(ResultReason::ResponseTooLarge, "the answer does not fit into the response")
}

fn failure_bytes(item: &RequestBatchItem) -> usize {
    FAILURE_BYTES + item.unique_batch_item_id.as_ref().map_or(0, |id| padded(id.len()))
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Bytes of a text or byte string with its tag and length.
fn padded(length: usize) -> usize {
    8 + length.next_multiple_of(8)
}
