//! Join Split Key (6.1.27): makes a key or secret data from the parts it was split into.

use kmip_protocol::attribute::{Attribute, AttributeType};
use kmip_protocol::codec::Secret;
use kmip_protocol::enumeration::{KeyFormatType, ObjectType, ResultReason, SecretDataType};
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::key_block::{KeyBlock, KeyValue};
use kmip_protocol::object::{self, ManagedObject, SplitKey};
use kmip_protocol::operation::{JoinSplitKeyRequest, JoinSplitKeyResponse};

use super::create_split_key::override_with;
use crate::context::Context;
use crate::creation::{self, Origin};
use crate::crypto::{self, SPLIT_PARTS_LIMIT};
use crate::fault::Fault;
use crate::key_material;

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: JoinSplitKeyRequest,
) -> Result<JoinSplitKeyResponse, Fault> {
    let mut attributes = creation::with_templates(context, request.attributes).await?;
    let parts = parts(context, &request.unique_identifiers).await?;
    // What was guarded in parts is guarded as a whole.
    if parts.are_sensitive {
        override_with(&mut attributes, Attribute::Sensitive(true));
    }
    if !parts.are_extractable {
        override_with(&mut attributes, Attribute::Extractable(false));
    }
    let object = join(&parts.parts, request.object_type, request.secret_data_type)?;
    let unique_identifier = creation::create(context, Origin::Derived, attributes, &object).await?;
    Ok(JoinSplitKeyResponse { unique_identifier })
}

struct Parts {
    parts: Vec<SplitKey>,
    are_sensitive: bool,
    are_extractable: bool,
}

async fn parts(context: &Context<'_>, identifiers: &[UniqueIdentifier]) -> Result<Parts, Fault> {
    if identifiers.len() > SPLIT_PARTS_LIMIT {
        return Err(Fault::invalid_field("a key has fewer parts"));
    }
    let mut parts = Parts { parts: Vec::new(), are_sensitive: false, are_extractable: true };
    for identifier in identifiers {
        let record = context.live_object(Some(identifier)).await?;
        let ManagedObject::SplitKey(part) = context.unseal(&record).await? else {
            return Err(Fault::new(ResultReason::InvalidObjectType, "only parts of a split key are joined"));
        };
        parts.are_sensitive |= record.flag(AttributeType::Sensitive);
        parts.are_extractable &= record.flag(AttributeType::Extractable);
        parts.parts.push(part);
    }
    judge(&parts.parts)?;
    Ok(parts)
}

/// Parts of one key agree about how it was split, and there have to be enough of them.
fn judge(parts: &[SplitKey]) -> Result<(), Fault> {
    let bad = |message: &'static str| Fault::new(ResultReason::BadCryptographicParameters, message);
    let first = parts.first().ok_or_else(|| Fault::missing("the parts are needed"))?;
    let agrees = |part: &SplitKey| {
        part.split_key_method == first.split_key_method
            && part.split_key_parts == first.split_key_parts
            && part.split_key_threshold == first.split_key_threshold
            && part.key_block.cryptographic_algorithm == first.key_block.cryptographic_algorithm
            && part.key_block.cryptographic_length == first.key_block.cryptographic_length
    };
    if !parts.iter().all(agrees) {
        return Err(bad("these are parts of different keys"));
    }
    if usize::try_from(first.split_key_threshold).is_ok_and(|threshold| parts.len() < threshold) {
        return Err(bad("more parts are needed"));
    }
    Ok(())
}

fn join(
    parts: &[SplitKey],
    object_type: ObjectType,
    secret_data_type: Option<SecretDataType>,
) -> Result<ManagedObject, Fault> {
    let first = parts.first().ok_or_else(|| Fault::missing("the parts are needed"))?;
    let shares = parts.iter().map(|part| {
        let identifier = usize::try_from(part.key_part_identifier).unwrap_or(0);
        Ok((identifier, key_material::bytes(&part.key_block)?))
    });
    let shares = shares.collect::<Result<Vec<_>, Fault>>()?;
    let shares: Vec<_> = shares.iter().map(|(identifier, share)| (*identifier, share.expose())).collect();
    let material = Secret::from(crypto::join_secret(first.split_key_method, &shares)?);
    let key_block = KeyBlock {
        key_format_type: KeyFormatType::Raw,
        key_compression_type: None,
        key_value: Some(KeyValue::plain(material)),
        cryptographic_algorithm: first.key_block.cryptographic_algorithm,
        cryptographic_length: first.key_block.cryptographic_length,
        key_wrapping_data: None,
    };
    match object_type {
        ObjectType::SymmetricKey => Ok(ManagedObject::SymmetricKey(object::SymmetricKey { key_block })),
        ObjectType::SecretData => Ok(ManagedObject::SecretData(object::SecretData {
            secret_data_type: secret_data_type.unwrap_or(SecretDataType::Seed),
            key_block,
        })),
        _ => {
            let message = "parts are joined to symmetric keys and secret data only";
            Err(Fault::new(ResultReason::InvalidObjectType, message))
        }
    }
}
