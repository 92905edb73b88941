//! Sign (6.1.55): signs data with a stored private key.

use bytes::Bytes;
use kmip_protocol::lifecycle::Purpose;
use kmip_protocol::mask::CryptographicUsageMask;
use kmip_protocol::operation::{Operation, SignRequest, SignResponse};

use super::parts::{self, Key, Part, Use};
use super::signature::{self, Input, Scheme, Step};
use crate::context::Context;
use crate::crypto::CipherParameters;
use crate::fault::Fault;
use crate::key_material::with_private_key;
use crate::parameters;

const USE: Use =
    Use { operation: Operation::Sign, mask: CryptographicUsageMask::SIGN, purpose: Purpose::Protect };

pub(super) async fn handle(context: &mut Context<'_>, request: SignRequest) -> Result<SignResponse, Fault> {
    let part = Part::of(request.correlation_value, request.init_indicator, request.final_indicator)?;
    let input = Input::of(&part, request.data, request.digested_data)?;
    let key = parts::admit(context, &part, request.unique_identifier.as_ref(), USE, input.len()).await?;
    let unique_identifier = key.record.unique_identifier.clone();
    let parameters = parameters::chosen(&key.record, request.cryptographic_parameters.as_ref());
    let scheme = if part.begins() { Some(scheme(context, &key, parameters).await?) } else { None };
    let step = signature::digest(context, part, (USE.operation, &key), scheme, input, None)?;
    let (signature_data, correlation_value) = match step {
        Step::Waiting(correlation) => (None, Some(correlation)),
        Step::Done(digestion) => {
            let entropy = context.service.entropy.clone();
            let sign = with_private_key(context, &key.record, key.object, move |key| {
                Ok(key.sign(&digestion.parameters, digestion.digested.input(), &*entropy)?)
            });
            (Some(Bytes::from(sign.await?)), None)
        }
    };
    Ok(SignResponse { unique_identifier, signature_data, correlation_value })
}

async fn scheme(context: &Context<'_>, key: &Key, parameters: CipherParameters) -> Result<Scheme, Fault> {
    let object = context.unseal(&key.record).await?;
    let chosen = parameters.clone();
    let hash = with_private_key(context, &key.record, object, move |key| Ok(key.signature_hash(&chosen)?));
    Ok(Scheme { hash: hash.await?, parameters })
}
