//! Decrypt: unwraps an envelope of [`encrypt`](super::encrypt) under the L3 that wrapped it, Active or Deactivated.

use std::time::Instant;

use governance::Action;
use key_service::context::{Absence, Context};
use key_service::crypto;
use key_service::fault::Fault;
use kmip_protocol::codec::Secret;
use kmip_protocol::enumeration::ResultReason;
use kmip_protocol::operation::{DecryptRequest, DecryptResponse};

use super::encrypt::{object_binding, refuse_choices, refuse_if_buried, use_key};
use crate::metrics::Use;
use crate::seat::Seat;
use crate::tombstones::Plot;

pub(super) async fn handle(
    seat: &Seat,
    context: &Context<'_>,
    request: DecryptRequest,
) -> Result<DecryptResponse, Fault> {
    let started = Instant::now();
    let unwrapped = unwrap(seat, context, request).await;
    seat.metrics.used(Use::Unwrap, unwrapped.is_ok(), started);
    let (grave, response) = unwrapped?;
    refuse_if_buried(seat, context, grave).await?;
    Ok(response)
}

async fn unwrap(
    seat: &Seat,
    context: &Context<'_>,
    request: DecryptRequest,
) -> Result<(Absence, DecryptResponse), Fault> {
    let in_parts = request.init_indicator.is_some() || request.final_indicator.is_some();
    let chosen = request.iv_counter_nonce.is_some()
        || request.authenticated_encryption_tag.is_some()
        || request.cryptographic_parameters.is_some();
    refuse_choices(in_parts || request.correlation_value.is_some(), chosen)?;
    let data = request.data.ok_or_else(|| Fault::missing("Data is needed"))?;
    if data.len() > seat.maximum_plaintext_bytes + crypto::ENVELOPE_OVERHEAD_BYTES {
        return Err(Fault::new(ResultReason::ServerLimitExceeded, "the data is too long to be unwrapped"));
    }
    let (object, bound) = object_binding(request.authenticated_encryption_additional_data)?;
    let identifier = request.unique_identifier.as_ref();
    let (unique_identifier, (plot, plaintext)) =
        use_key(seat, context, identifier, Action::Unwrap, |key, bytes| {
            let plaintext = crypto::unseal(bytes, &key.binding(&bound), data.expose())?;
            key.uses().unwrapped();
            Ok((Plot::of(key.tenant(), key.record()), plaintext))
        })
        .await?;
    let data = Some(Secret::from(plaintext));
    let response = DecryptResponse { unique_identifier, data, correlation_value: None };
    Ok((plot.grave(&object.unique_identifier), response))
}
