//! Encrypt (6.1.18): encrypts data with a stored key.

use bytes::Bytes;
use kmip_protocol::attribute::{Attribute, AttributeType, CryptographicParameters};
use kmip_protocol::codec::Secret;
use kmip_protocol::lifecycle::Purpose;
use kmip_protocol::mask::CryptographicUsageMask;
use kmip_protocol::operation::{EncryptRequest, EncryptResponse};

use super::create::raw_material;
use crate::context::Context;
use crate::crypto::{self, CipherInput, CipherParameters};
use crate::fault::Fault;
use crate::record::Record;
use crate::usage;

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: EncryptRequest,
) -> Result<EncryptResponse, Fault> {
    let record = context.live_object(request.unique_identifier.as_ref()).await?;
    refuse_parts(request.correlation_value.is_some(), request.init_indicator, request.final_indicator)?;
    usage::judge(context, &record, CryptographicUsageMask::ENCRYPT, Purpose::Protect)?;
    let data = request.data.ok_or_else(|| Fault::missing("Data is needed"))?;
    usage::count(context, &record, data.len())?;
    let parameters = parameters(&record, request.cryptographic_parameters.as_ref());
    let key = raw_material(&context.service.unseal(&record).await?)?;
    let input = CipherInput {
        initialization_vector: request.iv_counter_nonce.as_deref(),
        associated_data: request.authenticated_encryption_additional_data.as_deref().unwrap_or_default(),
        data: data.expose(),
    };
    let encrypted = crypto::encrypt(key.expose(), &parameters, input, &*context.service.entropy)?;
    Ok(EncryptResponse {
        unique_identifier: record.unique_identifier.clone(),
        data: Some(Secret::from(encrypted.data)),
        iv_counter_nonce: encrypted.initialization_vector.map(Bytes::from),
        correlation_value: None,
        authenticated_encryption_tag: encrypted.tag.map(Bytes::from),
    })
}

/// Multi-part operations are not there yet.
pub(super) fn refuse_parts(correlated: bool, init: Option<bool>, last: Option<bool>) -> Result<(), Fault> {
    if correlated || init == Some(true) && last != Some(true) {
        return Err(Fault::feature_not_supported("operations in several parts are not supported"));
    }
    Ok(())
}

/// The parameters of the request, or those of the key where the request has none (4.16).
pub(super) fn parameters(record: &Record, requested: Option<&CryptographicParameters>) -> CipherParameters {
    let stored = match record.attribute(AttributeType::CryptographicParameters) {
        Some(Attribute::CryptographicParameters(stored)) => Some(stored),
        _ => None,
    };
    let chosen = requested.or(stored).cloned().unwrap_or_default();
    let algorithm = match record.attribute(AttributeType::CryptographicAlgorithm) {
        Some(Attribute::CryptographicAlgorithm(algorithm)) => Some(*algorithm),
        _ => None,
    };
    CipherParameters {
        cryptographic_algorithm: chosen.cryptographic_algorithm.or(algorithm),
        block_cipher_mode: chosen.block_cipher_mode,
        padding_method: chosen.padding_method,
        hashing_algorithm: chosen.hashing_algorithm,
        digital_signature_algorithm: chosen.digital_signature_algorithm,
        random_iv: chosen.random_iv,
        iv_length: chosen.iv_length,
        tag_length: chosen.tag_length,
        counter_length: chosen.counter_length,
        initial_counter_value: chosen.initial_counter_value,
        salt_length: chosen.salt_length,
        mask_generator: chosen.mask_generator,
        mask_generator_hashing_algorithm: chosen.mask_generator_hashing_algorithm,
        p_source: chosen.p_source,
        trailer_field: chosen.trailer_field,
    }
}
