//! Decrypt (6.1.11): decrypts data with a stored key.

use kmip_protocol::codec::Secret;
use kmip_protocol::lifecycle::Purpose;
use kmip_protocol::mask::CryptographicUsageMask;
use kmip_protocol::operation::{DecryptRequest, DecryptResponse};

use super::create::raw_material;
use super::encrypt::{parameters, refuse_parts};
use crate::context::Context;
use crate::crypto::{self, CipherInput};
use crate::fault::Fault;
use crate::usage;

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: DecryptRequest,
) -> Result<DecryptResponse, Fault> {
    let record = context.live_object(request.unique_identifier.as_ref()).await?;
    refuse_parts(request.correlation_value.is_some(), request.init_indicator, request.final_indicator)?;
    usage::judge(context, &record, CryptographicUsageMask::DECRYPT, Purpose::Process)?;
    let data = request.data.ok_or_else(|| Fault::missing("Data is needed"))?;
    let parameters = parameters(&record, request.cryptographic_parameters.as_ref());
    let key = raw_material(&context.service.unseal(&record).await?)?;
    let input = CipherInput {
        initialization_vector: request.iv_counter_nonce.as_deref(),
        associated_data: request.authenticated_encryption_additional_data.as_deref().unwrap_or_default(),
        data: data.expose(),
    };
    let tag = request.authenticated_encryption_tag.as_deref();
    let decrypted = crypto::decrypt(key.expose(), &parameters, input, tag)?;
    Ok(DecryptResponse {
        unique_identifier: record.unique_identifier.clone(),
        data: Some(Secret::from(decrypted)),
        correlation_value: None,
    })
}
