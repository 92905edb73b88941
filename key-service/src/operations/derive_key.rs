//! Derive Key (6.1.14): makes a key or secret data from keys or secret data that are stored.

use std::sync::Arc;

use kmip_protocol::attribute::{Attribute, AttributeType, Attributes};
use kmip_protocol::codec::Secret;
use kmip_protocol::enumeration::{
    CryptographicAlgorithm, DerivationMethod, KeyFormatType, LinkType, ObjectType, ResultReason,
    SecretDataType,
};
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::key_block::{KeyBlock, KeyValue};
use kmip_protocol::lifecycle::Purpose;
use kmip_protocol::mask::CryptographicUsageMask;
use kmip_protocol::object::{self, ManagedObject};
use kmip_protocol::operation::{DeriveKeyRequest, DeriveKeyResponse};
use kmip_protocol::structures::DerivationParameters;

use super::create::{judge_algorithm, key_bytes, symmetric_key};
use super::create_split_key::override_with;
use crate::attribute_rules::link_newest;
use crate::context::Context;
use crate::creation::{self, Origin};
use crate::crypto::{self, CipherParameters, DerivationInput};
use crate::fault::Fault;
use crate::record::Record;
use crate::{key_material, parameters, usage};

/// Objects that one key is derived from at most: a key and the data for it.
const MAXIMUM_BASES: usize = 2;

/// Bytes that are derived at least from an object that does not leave in the clear.
const MINIMUM_GUARDED_BYTES: usize = 16;

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: DeriveKeyRequest,
) -> Result<DeriveKeyResponse, Fault> {
    let mut attributes = creation::with_templates(context, request.attributes).await?;
    let wanted = Wanted::of(context, request.object_type, &attributes)?;
    let bases = bases(context, &request.unique_identifiers, wanted.bytes).await?;
    guard(&bases, &mut attributes, wanted.bytes)?;
    let (method, given) = (request.derivation_method, request.derivation_parameters);
    let material = match method {
        DerivationMethod::AsymmetricKey => agree(context, &bases, wanted.bytes).await?,
        _ => derive(context, &bases, method, given, wanted.bytes).await?,
    };
    let object = wanted.object(material);
    let mut record = creation::draft(context, Origin::Derived, attributes, &object).await?;
    for base in &bases {
        record.link(LinkType::DerivationBaseObjectLink, &base.unique_identifier);
        let counted = context.fetch(&base.unique_identifier).await?.ok_or_else(Fault::object_not_found)?;
        let mut linked = Record::clone(&counted);
        let maximum = context.service.settings.maximum_attributes;
        link_newest(&mut linked, LinkType::DerivedKeyLink, &record.unique_identifier, maximum)?;
        context.replace(linked);
    }
    Ok(DeriveKeyResponse { unique_identifier: creation::finish(context, record, &object).await? })
}

/// What is to be made.
struct Wanted {
    object_type: ObjectType,
    algorithm: Option<CryptographicAlgorithm>,
    length: i32,
    bytes: usize,
}

impl Wanted {
    fn of(context: &Context<'_>, object_type: ObjectType, attributes: &Attributes) -> Result<Self, Fault> {
        let algorithm = attributes.iter().find_map(|attribute| match attribute {
            Attribute::CryptographicAlgorithm(algorithm) => Some(*algorithm),
            _ => None,
        });
        let length = attributes.iter().find_map(|attribute| match attribute {
            Attribute::CryptographicLength(length) => Some(*length),
            _ => None,
        });
        let length = length.ok_or_else(|| Fault::missing("Cryptographic Length is needed"))?;
        let bytes = match object_type {
            ObjectType::SymmetricKey => {
                let algorithm =
                    algorithm.ok_or_else(|| Fault::missing("Cryptographic Algorithm is needed"))?;
                judge_algorithm(context, algorithm)?;
                key_bytes(algorithm, length)?
            }
            ObjectType::SecretData => usize::try_from(length)
                .ok()
                .filter(|bits| bits % 8 == 0 && *bits > 0)
                .map(|bits| bits / 8)
                .ok_or_else(|| Fault::invalid_field("Cryptographic Length is not a number of whole bytes"))?,
            _ => {
                let message = "Derive Key makes symmetric keys and secret data only";
                return Err(Fault::new(ResultReason::InvalidObjectType, message));
            }
        };
        Ok(Self { object_type, algorithm, length, bytes })
    }

    fn object(&self, material: Secret) -> ManagedObject {
        match (self.object_type, self.algorithm) {
            (ObjectType::SymmetricKey, Some(algorithm)) => symmetric_key(algorithm, self.length, material),
            _ => ManagedObject::SecretData(object::SecretData {
                secret_data_type: SecretDataType::Seed,
                key_block: KeyBlock {
                    key_format_type: KeyFormatType::Raw,
                    key_compression_type: None,
                    key_value: Some(KeyValue::plain(material)),
                    cryptographic_algorithm: self.algorithm,
                    cryptographic_length: Some(self.length),
                    key_wrapping_data: None,
                },
            }),
        }
    }
}

/// The objects to derive from, each judged and counted.
async fn bases(
    context: &mut Context<'_>,
    identifiers: &[UniqueIdentifier],
    bytes: usize,
) -> Result<Vec<Arc<Record>>, Fault> {
    if identifiers.is_empty() {
        return Err(Fault::missing("a Unique Identifier to derive from is needed"));
    }
    if identifiers.len() > MAXIMUM_BASES {
        return Err(Fault::invalid_field("a key is derived from two objects at most"));
    }
    let mut bases = Vec::with_capacity(identifiers.len());
    for identifier in identifiers {
        let base = context.live_object(Some(identifier)).await?;
        usage::judge(context, &base, CryptographicUsageMask::DERIVE_KEY, Purpose::Protect)?;
        usage::count(context, &base, bytes, true)?;
        bases.push(base);
    }
    Ok(bases)
}

/// What is derived is guarded as what it is derived from: by a cipher with a known key, say, the whole base could be had from it.
/// Nor may it be so short that its value can be found by trying it.
fn guard(bases: &[Arc<Record>], attributes: &mut Attributes, bytes: usize) -> Result<(), Fault> {
    let is_sensitive = bases.iter().any(|base| base.flag(AttributeType::Sensitive));
    let is_extractable = bases.iter().all(|base| base.flag(AttributeType::Extractable));
    if is_sensitive {
        override_with(attributes, Attribute::Sensitive(true));
    }
    if !is_extractable {
        override_with(attributes, Attribute::Extractable(false));
    }
    if (is_sensitive || !is_extractable) && bytes < MINIMUM_GUARDED_BYTES {
        let message =
            "so short a value would give away the sensitive or non-extractable object it is derived from";
        return Err(Fault::invalid_field(message));
    }
    Ok(())
}

/// From a key, and Derivation Data that the request gives or a second object of the type Secret Data holds (7.12).
async fn derive(
    context: &Context<'_>,
    bases: &[Arc<Record>],
    method: DerivationMethod,
    given: DerivationParameters,
    bytes: usize,
) -> Result<Secret, Fault> {
    let (base, data_base) = match bases {
        [base] => (base, None),
        [base, data] if data.object_type == ObjectType::SecretData => (base, Some(data)),
        _ => return Err(Fault::invalid_field("the second object has to be the Secret Data to derive from")),
    };
    let chosen = parameters::chosen(base, given.cryptographic_parameters.as_ref());
    let key = key_material::symmetric(&context.unseal(base).await?)?;
    let data = match (data_base, given.derivation_data) {
        (None, mut data) if data.len() <= 1 => data.pop(),
        (Some(base), data) if data.is_empty() => Some(key_material::symmetric(&context.unseal(base).await?)?),
        _ => return Err(Fault::invalid_field("Derivation Data comes once, from the request or an object")),
    };
    let (salt, vector, iterations) = (given.salt, given.initialization_vector, given.iteration_count);
    let compute = move || {
        let input = DerivationInput {
            key: Some(key.expose()),
            derivation_data: data.as_ref().map(Secret::expose),
            salt: salt.as_deref(),
            iteration_count: iterations,
            initialization_vector: vector.as_deref(),
        };
        let parameters: &CipherParameters = &chosen;
        Ok(Secret::from(crypto::derive_key(method, parameters, input, bytes)?))
    };
    // Only a password takes long to stretch.
    match method {
        DerivationMethod::Pbkdf2 => {
            context.service.workers.stretch_password(context.principal, compute).await?
        }
        _ => compute(),
    }
}

/// From a private key and another's public key.
async fn agree(context: &Context<'_>, bases: &[Arc<Record>], bytes: usize) -> Result<Secret, Fault> {
    let of_type = |object_type| bases.iter().find(|base| base.object_type == object_type);
    let (Some(private), Some(public)) = (of_type(ObjectType::PrivateKey), of_type(ObjectType::PublicKey))
    else {
        return Err(Fault::new(ResultReason::InvalidObjectType, "a private and a public key are needed"));
    };
    let peer = context.unseal(public).await?;
    let peer = key_material::public_key(&peer, parameters::curve(public))?;
    let own = context.unseal(private).await?;
    let agreed = key_material::with_private_key(context, private, own, move |own| Ok(own.agree(&peer)?));
    let mut agreed = agreed.await?;
    if agreed.len() < bytes {
        return Err(Fault::new(
            ResultReason::CryptographicFailure,
            "the agreed secret is shorter than asked",
        ));
    }
    agreed.truncate(bytes);
    Ok(Secret::from(agreed))
}
