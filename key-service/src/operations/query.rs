//! Query (6.1.38): what the server can do.

use bytestring::ByteString;
use kmip_protocol::enumeration::{DestroyAction, ObjectType, QueryFunction, ShreddingAlgorithm, UnwrapMode};
use kmip_protocol::mask::ProtectionStorageMask;
use kmip_protocol::operation::{CapabilityInformation, QueryRequest, QueryResponse, ServerInformation};
use kmip_protocol::structures::ProtectionStorageMasks;

use crate::context::Context;
use crate::fault::Fault;

/// The types of objects that are kept.
const OBJECT_TYPES: &[ObjectType] = &[
    ObjectType::Certificate,
    ObjectType::CertificateRequest,
    ObjectType::SymmetricKey,
    ObjectType::PublicKey,
    ObjectType::PrivateKey,
    ObjectType::SplitKey,
    ObjectType::Template,
    ObjectType::SecretData,
    ObjectType::OpaqueObject,
    ObjectType::PgpKey,
];

pub(super) fn handle(context: &Context<'_>, request: &QueryRequest) -> Result<QueryResponse, Fault> {
    let mut response = QueryResponse::default();
    for function in &request.query_functions {
        answer(context, *function, &mut response);
    }
    Ok(response)
}

fn answer(context: &Context<'_>, function: QueryFunction, response: &mut QueryResponse) {
    let settings = &context.service.settings;
    match function {
        QueryFunction::QueryOperations => {
            let offered = context.service.offered.iter();
            // Clients choke on operations that their version does not know.
            response.operations =
                offered.filter(|operation| operation.since().knows(context.version)).copied().collect();
        }
        QueryFunction::QueryObjects => response.object_types = OBJECT_TYPES.to_vec(),
        QueryFunction::QueryServerInformation => {
            response.vendor_identification = Some(ByteString::from(settings.vendor_identification.as_str()));
            response.server_information = Some(Box::new(ServerInformation {
                server_name: Some(ByteString::from(settings.server_name.as_str())),
                server_version: Some(ByteString::from_static(env!("CARGO_PKG_VERSION"))),
                product_name: Some(ByteString::from_static("Krypton")),
                ..ServerInformation::default()
            }));
        }
        QueryFunction::QueryCapabilities => response.capability_information = vec![capabilities()],
        QueryFunction::QueryStorageProtectionMasks => {
            response.protection_storage_masks =
                Some(ProtectionStorageMasks { masks: vec![ProtectionStorageMask::SOFTWARE] });
        }
        // Nothing to tell about the rest; what was not asked for is not answered either.
        _ => (),
    }
}

fn capabilities() -> CapabilityInformation {
    CapabilityInformation {
        streaming_capability: Some(true),
        asynchronous_capability: Some(false),
        attestation_capability: Some(false),
        batch_undo_capability: Some(true),
        batch_continue_capability: Some(true),
        unwrap_mode: Some(UnwrapMode::NotProcessed),
        destroy_action: Some(DestroyAction::KeyMaterialDeleted),
        shredding_algorithm: Some(ShreddingAlgorithm::Cryptographic),
        rng_mode: None,
        quantum_safe_capability: Some(false),
    }
}
