//! MAC (6.1.32): authenticates data with a stored key.

use bytes::Bytes;
use kmip_protocol::attribute::CryptographicParameters;
use kmip_protocol::lifecycle::Purpose;
use kmip_protocol::mask::CryptographicUsageMask;
use kmip_protocol::operation::{MacRequest, MacResponse, Operation};

use super::parts::{self, Key, Part, Progress, Use};
use crate::context::Context;
use crate::crypto::Mac;
use crate::fault::Fault;
use crate::streams::{State, no_stream};
use crate::{key_material, parameters};

const USE: Use =
    Use { operation: Operation::Mac, mask: CryptographicUsageMask::MAC_GENERATE, purpose: Purpose::Protect };

pub(super) async fn handle(context: &mut Context<'_>, request: MacRequest) -> Result<MacResponse, Fault> {
    let part = Part::of(request.correlation_value, request.init_indicator, request.final_indicator)?;
    let data = part.data(request.data)?;
    let key = parts::admit(context, &part, request.unique_identifier.as_ref(), USE, data.len()).await?;
    let unique_identifier = key.record.unique_identifier.clone();
    let requested = request.cryptographic_parameters.as_ref();
    let fresh = part.begins().then(|| begin(&key, requested)).transpose()?;
    let progress = parts::advance(context, part, key.subject(USE.operation), fresh, |state| {
        let State::Mac { mac, .. } = state else { return Err(no_stream()) };
        mac.update(data.expose());
        Ok(0)
    })?;
    let (mac_data, correlation_value) = match progress {
        Progress::Waiting(correlation) => (None, Some(correlation)),
        Progress::Done(State::Mac { mac, .. }) => (Some(Bytes::from(mac.finish())), None),
        Progress::Done(_) => return Err(no_stream()),
    };
    Ok(MacResponse { unique_identifier, mac_data, correlation_value })
}

/// A code with the parameters of the request, or of the key.
pub(super) fn begin(key: &Key, requested: Option<&CryptographicParameters>) -> Result<State, Fault> {
    let parameters = parameters::chosen(&key.record, requested);
    let mac = Mac::new(key_material::symmetric(&key.object)?.expose(), &parameters)?;
    Ok(State::Mac { mac, code: None })
}
