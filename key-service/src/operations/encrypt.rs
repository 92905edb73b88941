//! Encrypt (6.1.17): encrypts data with a stored key, symmetric or public.

use bytes::Bytes;
use kmip_protocol::codec::Secret;
use kmip_protocol::enumeration::ObjectType;
use kmip_protocol::lifecycle::Purpose;
use kmip_protocol::mask::CryptographicUsageMask;
use kmip_protocol::operation::{EncryptRequest, EncryptResponse, Operation};

use super::parts::{self, Key, Part, Progress, Use};
use crate::context::Context;
use crate::crypto::{self, CipherInput, Encrypted, Encryptor};
use crate::fault::Fault;
use crate::streams::{State, no_stream};
use crate::{key_material, parameters};

const USE: Use =
    Use { operation: Operation::Encrypt, mask: CryptographicUsageMask::ENCRYPT, purpose: Purpose::Protect };

pub(super) async fn handle(
    context: &mut Context<'_>,
    mut request: EncryptRequest,
) -> Result<EncryptResponse, Fault> {
    let correlation = request.correlation_value.take();
    let part = Part::of(correlation, request.init_indicator, request.final_indicator)?;
    let data = part.data(request.data.take())?;
    let key = parts::admit(context, &part, request.unique_identifier.as_ref(), USE, data.len()).await?;
    match (part, key.object.object_type()) {
        (Part::Only, ObjectType::PublicKey | ObjectType::Certificate) => {
            encrypt_with_public_key(context, &key, &request, &data)
        }
        (Part::Only, _) => encrypt(context, &key, &request, &data),
        (part, _) => encrypt_part(context, part, &key, &request, &data),
    }
}

fn encrypt(
    context: &Context<'_>,
    key: &Key,
    request: &EncryptRequest,
    data: &Secret,
) -> Result<EncryptResponse, Fault> {
    let parameters = parameters::chosen(&key.record, request.cryptographic_parameters.as_ref());
    let material = key_material::symmetric(&key.object)?;
    let input = input(request, data);
    let encrypted = crypto::encrypt(material.expose(), &parameters, input, &*context.service.entropy)?;
    Ok(answer(key, encrypted))
}

/// RSA takes what fits into the modulus, in one part.
fn encrypt_with_public_key(
    context: &Context<'_>,
    key: &Key,
    request: &EncryptRequest,
    data: &Secret,
) -> Result<EncryptResponse, Fault> {
    let parameters = parameters::chosen(&key.record, request.cryptographic_parameters.as_ref());
    let public = key_material::public_key(&key.object, parameters::curve(&key.record))?;
    let encrypted = public.encrypt(&parameters, data.expose(), &*context.service.entropy)?;
    Ok(answer(key, Encrypted { data: encrypted.into(), initialization_vector: None, tag: None }))
}

fn encrypt_part(
    context: &Context<'_>,
    part: Part,
    key: &Key,
    request: &EncryptRequest,
    data: &Secret,
) -> Result<EncryptResponse, Fault> {
    let fresh = part.begins().then(|| begin(context, key, request)).transpose()?;
    let (ends, begins) = (part.ends(), part.begins());
    let stream = key.subject(USE.operation);
    let mut output = None;
    let mut vector = None;
    let progress = parts::advance(context, part, stream, fresh, |state| {
        let State::Encrypt(encryptor) = state else { return Err(no_stream()) };
        if ends {
            return Ok(0);
        }
        if begins {
            vector = encryptor.generated_initialization_vector().map(Bytes::copy_from_slice);
        }
        let ready = encryptor.update(data.expose())?;
        let held_bytes = data.len().saturating_sub(ready.len());
        output = Some(ready).filter(|ready| !ready.is_empty());
        Ok(held_bytes)
    })?;
    match progress {
        Progress::Waiting(correlation) => Ok(EncryptResponse {
            unique_identifier: key.record.unique_identifier.clone(),
            data: output.map(Secret::from),
            iv_counter_nonce: vector,
            correlation_value: Some(correlation),
            authenticated_encryption_tag: None,
        }),
        Progress::Done(State::Encrypt(encryptor)) => {
            let encrypted = encryptor.finish(data.expose(), &*context.service.entropy)?;
            // The first part has answered it.
            Ok(answer(key, Encrypted { initialization_vector: None, ..encrypted }))
        }
        Progress::Done(_) => Err(no_stream()),
    }
}

fn begin(context: &Context<'_>, key: &Key, request: &EncryptRequest) -> Result<State, Fault> {
    let parameters = parameters::chosen(&key.record, request.cryptographic_parameters.as_ref());
    let material = key_material::symmetric(&key.object)?;
    let nothing = Secret::copy_from_slice(&[]);
    let input = input(request, &nothing);
    Ok(State::Encrypt(Encryptor::new(material.expose(), &parameters, input, &*context.service.entropy)?))
}

fn input<'a>(request: &'a EncryptRequest, data: &'a Secret) -> CipherInput<'a> {
    CipherInput {
        initialization_vector: request.iv_counter_nonce.as_deref(),
        associated_data: request.authenticated_encryption_additional_data.as_deref().unwrap_or_default(),
        data: data.expose(),
    }
}

fn answer(key: &Key, encrypted: Encrypted) -> EncryptResponse {
    EncryptResponse {
        unique_identifier: key.record.unique_identifier.clone(),
        data: Some(Secret::from(encrypted.data)),
        iv_counter_nonce: encrypted.initialization_vector.map(Bytes::from),
        correlation_value: None,
        authenticated_encryption_tag: encrypted.tag.map(Bytes::from),
    }
}
