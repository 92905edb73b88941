//! Create Split Key (6.1.10): splits a new or stored key into parts.

use bytestring::ByteString;
use kmip_protocol::attribute::{Attribute, AttributeType, Attributes, Instance};
use kmip_protocol::codec::Secret;
use kmip_protocol::enumeration::{
    CryptographicAlgorithm, KeyFormatType, ObjectType, ResultReason, SplitKeyMethod,
};
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::key_block::{KeyBlock, KeyValue};
use kmip_protocol::object::{ManagedObject, SplitKey};
use kmip_protocol::operation::{CreateSplitKeyRequest, CreateSplitKeyResponse};

use super::create::generate;
use crate::context::Context;
use crate::creation::{self, Origin};
use crate::crypto;
use crate::fault::Fault;
use crate::{key_material, parameters};

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: CreateSplitKeyRequest,
) -> Result<CreateSplitKeyResponse, Fault> {
    if request.object_type != ObjectType::SplitKey {
        return Err(Fault::new(ResultReason::InvalidObjectType, "Create Split Key makes split keys only"));
    }
    let attributes = creation::with_templates(context, request.attributes).await?;
    let whole = match &request.unique_identifier {
        Some(identifier) => Whole::stored(context, identifier, attributes).await?,
        None => Whole::generated(context, attributes)?,
    };
    let method = Method::of(request.split_key_parts, request.split_key_threshold, request.split_key_method)?;
    let entropy = &*context.service.entropy;
    let shares = crypto::split_secret(
        method.method,
        whole.material.expose(),
        method.parts,
        method.threshold,
        entropy,
    )?;
    let mut unique_identifiers: Vec<ByteString> = Vec::with_capacity(shares.len());
    for (index, share) in shares.into_iter().enumerate() {
        let object = method.part(index, &whole, Secret::from(share));
        let attributes = whole.attributes.clone();
        unique_identifiers.push(creation::create(context, whole.origin, attributes, &object).await?);
    }
    Ok(CreateSplitKeyResponse { unique_identifiers })
}

/// What is split.
struct Whole {
    material: Secret,
    algorithm: Option<CryptographicAlgorithm>,
    length: Option<i32>,
    attributes: Attributes,
    origin: Origin,
}

impl Whole {
    fn generated(context: &Context<'_>, attributes: Attributes) -> Result<Self, Fault> {
        let key = generate(context, &attributes)?;
        let block = key.key_block();
        Ok(Self {
            material: key_material::symmetric(&key)?,
            algorithm: block.and_then(|block| block.cryptographic_algorithm),
            length: block.and_then(|block| block.cryptographic_length),
            attributes,
            origin: Origin::Generated,
        })
    }

    /// The attributes of a stored key go before those of the request. Parts are guarded as the whole is: they would
    /// give it away otherwise.
    async fn stored(
        context: &Context<'_>,
        identifier: &UniqueIdentifier,
        mut attributes: Attributes,
    ) -> Result<Self, Fault> {
        let record = context.live_object(Some(identifier)).await?;
        let object = context.unseal(&record).await?;
        for guard in [
            Attribute::Sensitive(record.flag(AttributeType::Sensitive)),
            Attribute::Extractable(record.flag(AttributeType::Extractable)),
        ] {
            override_with(&mut attributes, guard);
        }
        let (algorithm, length) = (parameters::algorithm(&record), parameters::length(&record));
        algorithm.map(Attribute::CryptographicAlgorithm).into_iter().for_each(|algorithm| {
            override_with(&mut attributes, algorithm);
        });
        length.map(Attribute::CryptographicLength).into_iter().for_each(|length| {
            override_with(&mut attributes, length);
        });
        let material = key_material::symmetric(&object)?;
        Ok(Self { material, algorithm, length, attributes, origin: Origin::Derived })
    }
}

/// Sets an attribute, whatever there was.
pub(super) fn override_with(attributes: &mut Attributes, attribute: Attribute) {
    attributes.instances.retain(|instance| instance.attribute.reference() != attribute.reference());
    attributes.instances.push(Instance { index: None, attribute });
}

struct Method {
    method: SplitKeyMethod,
    parts: usize,
    threshold: usize,
}

impl Method {
    fn of(parts: i32, threshold: i32, method: SplitKeyMethod) -> Result<Self, Fault> {
        let count = |number| {
            usize::try_from(number).map_err(|_| Fault::invalid_field("a number of parts is negative"))
        };
        Ok(Self { method, parts: count(parts)?, threshold: count(threshold)? })
    }

    fn part(&self, index: usize, whole: &Whole, share: Secret) -> ManagedObject {
        // The limit of parts is far below what these numbers hold.
        let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        ManagedObject::SplitKey(SplitKey {
            split_key_parts: number(self.parts),
            key_part_identifier: number(index + 1),
            split_key_threshold: number(self.threshold),
            split_key_method: self.method,
            prime_field_size: None,
            key_block: KeyBlock {
                key_format_type: KeyFormatType::Raw,
                key_compression_type: None,
                key_value: Some(KeyValue::plain(share)),
                cryptographic_algorithm: whole.algorithm,
                cryptographic_length: whole.length,
                key_wrapping_data: None,
            },
        })
    }
}
