//! Decrypt (6.1.11): decrypts data with a stored key, symmetric or private.

use bytes::Bytes;
use kmip_protocol::codec::Secret;
use kmip_protocol::enumeration::ObjectType;
use kmip_protocol::lifecycle::Purpose;
use kmip_protocol::mask::CryptographicUsageMask;
use kmip_protocol::operation::{DecryptRequest, DecryptResponse, Operation};

use super::parts::{self, Key, Part, Progress, Use};
use crate::context::Context;
use crate::crypto::{self, CipherInput, Decryptor};
use crate::fault::Fault;
use crate::streams::{State, no_stream};
use crate::{key_material, parameters};

const USE: Use =
    Use { operation: Operation::Decrypt, mask: CryptographicUsageMask::DECRYPT, purpose: Purpose::Process };

pub(super) async fn handle(
    context: &mut Context<'_>,
    mut request: DecryptRequest,
) -> Result<DecryptResponse, Fault> {
    let correlation = request.correlation_value.take();
    let part = Part::of(correlation, request.init_indicator, request.final_indicator)?;
    let data = part.data(request.data.take())?;
    let key = parts::admit(context, &part, request.unique_identifier.as_ref(), USE, data.len()).await?;
    match (part, key.object.object_type()) {
        (Part::Only, ObjectType::PrivateKey) => decrypt_with_private_key(context, key, &request, data).await,
        (Part::Only, _) => decrypt(&key, &request, &data),
        (part, _) => decrypt_part(context, part, &key, &request, &data),
    }
}

fn decrypt(key: &Key, request: &DecryptRequest, data: &Secret) -> Result<DecryptResponse, Fault> {
    let parameters = parameters::chosen(&key.record, request.cryptographic_parameters.as_ref());
    let material = key_material::symmetric(&key.object)?;
    let tag = request.authenticated_encryption_tag.as_deref();
    let decrypted = crypto::decrypt(material.expose(), &parameters, input(request, data), tag)?;
    Ok(answer(key.record.unique_identifier.clone(), Some(Secret::from(decrypted)), None))
}

async fn decrypt_with_private_key(
    context: &Context<'_>,
    key: Key,
    request: &DecryptRequest,
    data: Secret,
) -> Result<DecryptResponse, Fault> {
    let parameters = parameters::chosen(&key.record, request.cryptographic_parameters.as_ref());
    let decrypted = key_material::with_private_key(context, &key.record, key.object, move |private| {
        Ok(private.decrypt(&parameters, data.expose())?)
    });
    let decrypted = Secret::from(decrypted.await?);
    Ok(answer(key.record.unique_identifier.clone(), Some(decrypted), None))
}

fn decrypt_part(
    context: &Context<'_>,
    part: Part,
    key: &Key,
    request: &DecryptRequest,
    data: &Secret,
) -> Result<DecryptResponse, Fault> {
    let fresh = part.begins().then(|| begin(key, request)).transpose()?;
    let ends = part.ends();
    let unique_identifier = key.record.unique_identifier.clone();
    let told = request.authenticated_encryption_tag.as_deref();
    let mut output = None;
    let progress = parts::advance(context, part, key.subject(USE.operation), fresh, |state| {
        let State::Decrypt { decryptor, tag } = state else { return Err(no_stream()) };
        // The specification wants the tag with the first part; clients know it with the last.
        *tag = told.map(Bytes::copy_from_slice).or_else(|| tag.take());
        if ends {
            return Ok(0);
        }
        let ready = decryptor.update(data.expose())?;
        let held_bytes = data.len().saturating_sub(ready.len());
        output = Some(ready).filter(|ready| !ready.is_empty());
        Ok(held_bytes)
    })?;
    match progress {
        Progress::Waiting(correlation) => {
            Ok(answer(unique_identifier, output.map(Secret::from), Some(correlation)))
        }
        Progress::Done(State::Decrypt { decryptor, tag }) => {
            let rest = decryptor.finish(data.expose(), tag.as_deref())?;
            Ok(answer(unique_identifier, Some(Secret::from(rest)), None))
        }
        Progress::Done(_) => Err(no_stream()),
    }
}

fn begin(key: &Key, request: &DecryptRequest) -> Result<State, Fault> {
    let parameters = parameters::chosen(&key.record, request.cryptographic_parameters.as_ref());
    let material = key_material::symmetric(&key.object)?;
    let nothing = Secret::copy_from_slice(&[]);
    let decryptor = Decryptor::new(material.expose(), &parameters, input(request, &nothing))?;
    Ok(State::Decrypt { decryptor, tag: None })
}

fn input<'a>(request: &'a DecryptRequest, data: &'a Secret) -> CipherInput<'a> {
    CipherInput {
        initialization_vector: request.iv_counter_nonce.as_deref(),
        associated_data: request.authenticated_encryption_additional_data.as_deref().unwrap_or_default(),
        data: data.expose(),
    }
}

fn answer(
    unique_identifier: bytestring::ByteString,
    data: Option<Secret>,
    correlation_value: Option<Bytes>,
) -> DecryptResponse {
    DecryptResponse { unique_identifier, data, correlation_value }
}
