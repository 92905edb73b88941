//! MAC Verify (6.1.33): tells whether data was authenticated with a stored key.

use bytes::Bytes;
use kmip_protocol::enumeration::ValidityIndicator;
use kmip_protocol::lifecycle::Purpose;
use kmip_protocol::mask::CryptographicUsageMask;
use kmip_protocol::operation::{MacVerifyRequest, MacVerifyResponse, Operation};

use super::mac::begin;
use super::parts::{self, Part, Progress, Use};
use crate::context::Context;
use crate::fault::Fault;
use crate::streams::{State, no_stream};

const USE: Use = Use {
    operation: Operation::MacVerify,
    mask: CryptographicUsageMask::MAC_VERIFY,
    purpose: Purpose::Process,
};

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: MacVerifyRequest,
) -> Result<MacVerifyResponse, Fault> {
    let part = Part::of(request.correlation_value, request.init_indicator, request.final_indicator)?;
    let data = part.data(request.data)?;
    let key = parts::admit(context, &part, request.unique_identifier.as_ref(), USE, data.len()).await?;
    let unique_identifier = key.record.unique_identifier.clone();
    let requested = request.cryptographic_parameters.as_ref();
    let fresh = part.begins().then(|| begin(&key, requested)).transpose()?;
    let told = request.mac_data;
    let progress = parts::advance(context, part, key.subject(USE.operation), fresh, |state| {
        let State::Mac { mac, code } = state else { return Err(no_stream()) };
        mac.update(data.expose());
        // Any part may bring the code; the last one counts.
        *code = told.map(|told| Bytes::copy_from_slice(&told)).or_else(|| code.take());
        Ok(0)
    })?;
    let (validity_indicator, correlation_value) = match progress {
        Progress::Waiting(correlation) => (None, Some(correlation)),
        Progress::Done(State::Mac { mac, code }) => {
            let code = code.ok_or_else(|| Fault::missing("MAC Data is needed"))?;
            (Some(validity(mac.verify(&code))), None)
        }
        Progress::Done(_) => return Err(no_stream()),
    };
    Ok(MacVerifyResponse { unique_identifier, validity_indicator, correlation_value })
}

/// The verdict in KMIP's words.
pub(super) fn validity(valid: bool) -> ValidityIndicator {
    if valid { ValidityIndicator::Valid } else { ValidityIndicator::Invalid }
}
