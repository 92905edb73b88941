//! Signature Verify (6.1.56): tells whether data was signed with the other half of a stored public key.

use kmip_protocol::lifecycle::Purpose;
use kmip_protocol::mask::CryptographicUsageMask;
use kmip_protocol::operation::{Operation, SignatureVerifyRequest, SignatureVerifyResponse};

use super::mac_verify::validity;
use super::parts::{self, Part, Use};
use super::signature::{self, Input, Scheme, Step};
use crate::context::Context;
use crate::fault::Fault;
use crate::{key_material, parameters};

const USE: Use = Use {
    operation: Operation::SignatureVerify,
    mask: CryptographicUsageMask::VERIFY,
    purpose: Purpose::Process,
};

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: SignatureVerifyRequest,
) -> Result<SignatureVerifyResponse, Fault> {
    let part = Part::of(request.correlation_value, request.init_indicator, request.final_indicator)?;
    let input = Input::of(&part, request.data, request.digested_data)?;
    let key = parts::admit(context, &part, request.unique_identifier.as_ref(), USE, input.len()).await?;
    let unique_identifier = key.record.unique_identifier.clone();
    let public = key_material::public_key(&key.object, parameters::curve(&key.record))?;
    let parameters = parameters::chosen(&key.record, request.cryptographic_parameters.as_ref());
    let scheme = || {
        let hash = public.signature_hash(&parameters)?;
        Ok::<_, Fault>(Scheme { hash, parameters: parameters.clone() })
    };
    let scheme = part.begins().then(scheme).transpose()?;
    let told = request.signature_data;
    let (validity_indicator, correlation_value) =
        match signature::digest(context, part, (USE.operation, &key), scheme, input, told)? {
            Step::Waiting(correlation) => (None, Some(correlation)),
            Step::Done(digestion) => {
                let signature =
                    digestion.signature.ok_or_else(|| Fault::missing("Signature Data is needed"))?;
                let input = digestion.digested.input();
                (Some(validity(public.verify(&digestion.parameters, input, &signature)?)), None)
            }
        };
    Ok(SignatureVerifyResponse { unique_identifier, validity_indicator, data: None, correlation_value })
}
