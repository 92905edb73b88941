//! MAC: the key that authenticates the records of a Gateway, derived from an Active or Deactivated L3. The data is a fixed
//! label, so that nobody gets anything else computed with an L3.

use bytes::Bytes;
use governance::Action;
use key_service::chain::RECORD_KEY_LABEL;
use key_service::context::Context;
use key_service::crypto;
use key_service::fault::Fault;
use kmip_protocol::operation::{MacRequest, MacResponse};

use super::encrypt::{refuse_choices, use_key};
use crate::seat::Seat;

pub(super) async fn handle(
    seat: &Seat,
    context: &Context<'_>,
    request: MacRequest,
) -> Result<MacResponse, Fault> {
    let in_parts = request.init_indicator.is_some() || request.final_indicator.is_some();
    refuse_choices(
        in_parts || request.correlation_value.is_some(),
        request.cryptographic_parameters.is_some(),
    )?;
    if request.data.is_none_or(|data| data.expose() != RECORD_KEY_LABEL) {
        return Err(Fault::invalid_field("MAC gives the key of records and nothing else: Data is its label"));
    }
    let identifier = request.unique_identifier.as_ref();
    let (unique_identifier, record_key) = use_key(seat, context, identifier, Action::Derive, |key, bytes| {
        Ok(crypto::derive_record_key(bytes, &key.binding(&[])))
    })
    .await?;
    Ok(MacResponse {
        unique_identifier,
        mac_data: Some(Bytes::copy_from_slice(&record_key)),
        correlation_value: None,
    })
}
