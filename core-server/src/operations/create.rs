//! Create: an L2 under an L1, or an L3 under an L2. The key is made here, sealed under the key that the Wrapping Key
//! Link names, and shown to nobody.

use std::sync::Arc;

use bytestring::ByteString;
use governance::{Action, Resource};
use key_service::chain as agreed;
use key_service::context::Context;
use key_service::creation::{self, DEFAULT_SERVICE, Origin};
use key_service::fault::Fault;
use key_service::port::Sealed;
use key_service::record::Record;
use kmip_protocol::attribute::{Attribute, AttributeType, Attributes};
use kmip_protocol::enumeration::{
    CryptographicAlgorithm, KeyFormatType, LinkType, ObjectType, ResultReason, State,
};
use kmip_protocol::key_block::KeyBlock;
use kmip_protocol::mask::CryptographicUsageMask;
use kmip_protocol::object::{ManagedObject, SymmetricKey};
use kmip_protocol::operation::{CreateRequest, CreateResponse};

use super::activate::take_active_name;
use crate::chain::{self, Level, is_reserved_name, judge_name};
use crate::policy::authorization::authorize;
use crate::seat::Seat;

/// The keys of the chain are AES-256.
const KEY_BITS: i32 = 256;

pub(super) async fn handle(
    seat: &Seat,
    context: &mut Context<'_>,
    request: CreateRequest,
) -> Result<CreateResponse, Fault> {
    let CreateRequest { object_type, mut attributes, .. } = request;
    if object_type != ObjectType::SymmetricKey {
        return Err(Fault::new(ResultReason::InvalidObjectType, "keys of the chain are Symmetric Keys"));
    }
    refuse_templates(&attributes)?;
    let parent = take_parent(context, &mut attributes).await?;
    let level = match Level::of(&parent) {
        Level::L1 => Level::L2,
        Level::L2 => Level::L3,
        _ => return Err(Fault::invalid_field("an L3 wraps no key of the chain")),
    };
    inherit_tenant(&mut attributes, &parent)?;
    attributes
        .instances
        .extend(Attributes::new([chain::wrapping_key_link(parent.unique_identifier.clone())]).instances);
    let service = settle_service(&mut attributes, level)?;
    let tenant = chain::tenant(&parent).ok_or_else(tenantless)?;
    let made_in = match level {
        Level::L3 => Resource::Service { tenant, service: &service },
        _ => Resource::Tenant(tenant),
    };
    authorize(seat, context, Action::Manage, made_in)?;
    decide(&mut attributes, &of_level(level))?;
    let mut record = creation::draft(context, Origin::Generated, attributes, &outline()).await?;
    // The value is present; it is only never shown.
    record.remove(AttributeType::KeyValuePresent);
    record.service = service;
    let envelope = seat.vault.generate(&record, &parent).await?;
    record.sealed = Some(Sealed { key: parent.unique_identifier.clone(), envelope });
    if level == Level::L3 {
        judge_activation(&record)?;
        take_active_name(context, &mut record).await?;
    }
    let unique_identifier = record.unique_identifier.clone();
    context.insert(record);
    Ok(CreateResponse { object_type, unique_identifier })
}

/// What the Core itself decides about every object of the chain, whatever the request says about it: nobody may take the key out.
///
/// # Errors
/// If the request asks for what cannot be: another algorithm, or a name of the Core's own.
pub(super) fn decide(attributes: &mut Attributes, decided: &[Attribute]) -> Result<(), Fault> {
    for attribute in attributes.iter() {
        let fits = match attribute {
            Attribute::CryptographicAlgorithm(algorithm) => *algorithm == CryptographicAlgorithm::Aes,
            Attribute::CryptographicLength(length) => *length == KEY_BITS,
            name if is_reserved_name(name) => false,
            _ => true,
        };
        if !fits {
            return Err(Fault::invalid_field(
                "keys of the chain are AES-256, and names of the Core's own are not given",
            ));
        }
    }
    let always = [Attribute::Sensitive(true), Attribute::Extractable(false)];
    for attribute in always.iter().chain(decided) {
        let same = attribute.attribute_type();
        attributes.instances.retain(|instance| instance.attribute.attribute_type() != same);
        attributes.instances.extend(Attributes::new([attribute.clone()]).instances);
    }
    Ok(())
}

/// Templates belong to applications.
pub(super) fn refuse_templates(attributes: &Attributes) -> Result<(), Fault> {
    if attributes.templates.is_empty() {
        return Ok(());
    }
    Err(Fault::feature_not_supported("the Core has no templates"))
}

pub(super) fn of_level(level: Level) -> [Attribute; 1] {
    // An L2 wraps keys of the chain; what an L3 does is KMIP's Encrypt and Decrypt.
    [Attribute::CryptographicUsageMask(match level {
        Level::L2 => CryptographicUsageMask::WRAP_KEY | CryptographicUsageMask::UNWRAP_KEY,
        _ => CryptographicUsageMask::ENCRYPT | CryptographicUsageMask::DECRYPT,
    })]
}

/// The object that the one link of the request names. The link is taken out of the request.
async fn take_parent(context: &Context<'_>, attributes: &mut Attributes) -> Result<Arc<Record>, Fault> {
    let is_link = |attribute: &Attribute| matches!(attribute, Attribute::Link(_));
    let links: Vec<_> =
        attributes.instances.extract_if(.., |instance| is_link(&instance.attribute)).collect();
    match links.as_slice() {
        [instance] => match &instance.attribute {
            Attribute::Link(link) if link.link_type == LinkType::WrappingKeyLink => {
                context.live_object(Some(&link.linked_object_identifier)).await
            }
            _ => Err(Fault::invalid_field("the link of a new key is its Wrapping Key Link")),
        },
        [] => Err(Fault::missing("a Wrapping Key Link is needed: to an L1 for an L2, to an L2 for an L3")),
        _ => Err(Fault::invalid_field("a new key has one link, its Wrapping Key Link")),
    }
}

fn inherit_tenant(attributes: &mut Attributes, parent: &Record) -> Result<(), Fault> {
    let tenant = chain::tenant(parent).ok_or_else(tenantless)?;
    match agreed::tenant_of(attributes.iter()) {
        Some(told) if told != tenant => {
            return Err(Fault::invalid_field("a key belongs to the tenant of the key that wraps it"));
        }
        Some(_) => (),
        None => attributes.instances.extend(Attributes::new([agreed::tenant_attribute(tenant)]).instances),
    }
    Ok(())
}

fn tenantless() -> Fault {
    Fault::general_failure("the key above has no tenant")
}

/// The service of an L3, its Object Group; an L2 has none.
fn settle_service(attributes: &mut Attributes, level: Level) -> Result<ByteString, Fault> {
    let groups = attributes.iter().filter_map(|attribute| match attribute {
        Attribute::ObjectGroup(group) => Some(group.clone()),
        _ => None,
    });
    match (level, groups.collect::<Vec<_>>().as_slice()) {
        (Level::L2, []) => Ok(ByteString::new()),
        (Level::L2, _) => Err(Fault::invalid_field("an L2 has no Object Group: it serves all services")),
        (_, []) => {
            let service = ByteString::from_static(DEFAULT_SERVICE);
            attributes.instances.extend(Attributes::new([Attribute::ObjectGroup(service.clone())]).instances);
            Ok(service)
        }
        (_, [service]) => {
            judge_name(service)?;
            // Copied, so that the record does not keep the message alive.
            Ok(ByteString::from(&**service))
        }
        _ => Err(Fault::invalid_field("an L3 has one Object Group, the name of its service")),
    }
}

/// An L3 becomes Active when it is made or by Activate: not by a date, when nobody looks whether another one is Active.
fn judge_activation(record: &Record) -> Result<(), Fault> {
    match (record.state(), record.date(AttributeType::ActivationDate)) {
        (Some(State::PreActive), Some(_)) => {
            Err(Fault::invalid_field("the Activation Date of an L3 cannot lie in the future"))
        }
        _ => Ok(()),
    }
}

/// What a key of the chain is, without its value.
pub(super) fn outline() -> ManagedObject {
    let key_block = KeyBlock {
        key_format_type: KeyFormatType::Raw,
        key_compression_type: None,
        key_value: None,
        cryptographic_algorithm: Some(CryptographicAlgorithm::Aes),
        cryptographic_length: Some(KEY_BITS),
        key_wrapping_data: None,
    };
    ManagedObject::SymmetricKey(SymmetricKey { key_block })
}
