//! Re-key Key Pair (6.1.47): replaces a key pair by a new one, which takes over its names.

use std::sync::Arc;

use kmip_protocol::attribute::{Attribute, Attributes, Instance};
use kmip_protocol::enumeration::{KeyFormatType, LinkType, ObjectType, ResultReason};
use kmip_protocol::operation::{CreateKeyPairResponse, ReKeyKeyPairRequest, ReKeyKeyPairResponse};

use super::create_key_pair::{generate, keep, merged};
use super::re_key::take_over_kind;
use crate::context::Context;
use crate::fault::Fault;
use crate::record::Record;
use crate::{creation, replacement};

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: ReKeyKeyPairRequest,
) -> Result<ReKeyKeyPairResponse, Fault> {
    let private = context.live_object(request.private_key_unique_identifier.as_ref()).await?;
    let public = public_half(context, &private).await?;
    let common = creation::with_templates(context, request.common_attributes).await?;
    let for_private = creation::with_templates(context, request.private_key_attributes).await?;
    let for_public = creation::with_templates(context, request.public_key_attributes).await?;
    let taken_over = |existing: &Record, own: Attributes| {
        let requested = merged(own, &common);
        let mut attributes = replacement::attributes(context, existing, requested, request.offset);
        take_over_kind(existing, &mut attributes);
        take_over_format(existing, &mut attributes);
        attributes
    };
    let for_private = taken_over(&private, for_private);
    let for_public = taken_over(&public, for_public);
    let pair = generate(context, &for_private, &for_public).await?;
    let mut new_private = replacement::draft(context, &private, for_private, &pair.private.default).await?;
    let mut new_public = replacement::draft(context, &public, for_public, &pair.public.default).await?;
    pair.describe(&mut new_private, &mut new_public);
    replacement::retire(context, &private, &new_private)?;
    replacement::retire(context, &public, &new_public)?;
    let CreateKeyPairResponse { private_key_unique_identifier, public_key_unique_identifier } =
        keep(context, pair, new_private, new_public).await?;
    Ok(ReKeyKeyPairResponse { private_key_unique_identifier, public_key_unique_identifier })
}

async fn public_half(context: &Context<'_>, private: &Record) -> Result<Arc<Record>, Fault> {
    if private.object_type != ObjectType::PrivateKey {
        return Err(Fault::new(
            ResultReason::InvalidObjectType,
            "Re-key Key Pair begins with the private key",
        ));
    }
    let public = private.linked(LinkType::PublicKeyLink);
    let public =
        public.ok_or_else(|| Fault::invalid_field("the private key has no link to its public key"))?;
    context.live_object(Some(public)).await
}

/// A new key has the format of the existing one, unless that is a container.
fn take_over_format(existing: &Record, attributes: &mut Attributes) {
    let is_key = |format: &KeyFormatType| !matches!(format, KeyFormatType::Pkcs12 | KeyFormatType::Opaque);
    let format = creation::wanted_format(&existing.attributes).filter(is_key);
    if let (Some(format), None) = (format, creation::wanted_format(attributes)) {
        attributes.instances.push(Instance { index: None, attribute: Attribute::KeyFormatType(format) });
    }
}
