//! Operations that change what is known of an object: archive, allocations, adjustments, import and export.

use bytestring::ByteString;
use kmip_protocol::attribute::{
    Attribute, AttributeReference, AttributeType, Attributes, CustomValue, UsageLimits,
};
use kmip_protocol::codec::DateTime;
use kmip_protocol::enumeration::{
    AdjustmentType, CryptographicAlgorithm, ResultReason, State, UsageLimitsUnit,
};
use kmip_protocol::mask::CryptographicUsageMask as Mask;
use kmip_protocol::operation::{
    AdjustAttributeRequest, AdjustAttributeResponse, ArchiveRequest, ArchiveResponse, DestroyRequest,
    DestroyResponse, ExportRequest, ExportResponse, GetUsageAllocationRequest, GetUsageAllocationResponse,
    ImportRequest, ImportResponse, ModifyAttributeRequest, RecoverRequest, RecoverResponse,
};

use crate::testing::{BEGINNING, Server, active, get_request, id, material, name, symmetric_key};

async fn key(server: &Server, attributes: Vec<Attribute>) -> ByteString {
    let attributes = [active(Mask::ENCRYPT), attributes].concat();
    server.register(symmetric_key(CryptographicAlgorithm::Aes, &[9; 16]), attributes).await
}

#[tokio::test]
async fn an_archived_object_has_to_be_recovered() {
    let server = Server::new();
    let key = key(&server, Vec::new()).await;
    let archive = || ArchiveRequest { unique_identifier: id(&key) };
    server.done::<ArchiveResponse>(archive()).await;
    assert_eq!(server.refused(get_request(&key)).await, ResultReason::ObjectArchived);
    assert_eq!(server.refused(archive()).await, ResultReason::ObjectArchived);
    let archived = server.attribute(&key, AttributeType::ArchiveDate).await;
    assert_eq!(archived, Some(Attribute::ArchiveDate(DateTime(BEGINNING))));
    server.done::<RecoverResponse>(RecoverRequest { unique_identifier: id(&key) }).await;
    assert!(server.get(&key).await.is_ok());
}

#[tokio::test]
async fn allocations_use_up_the_limits() {
    let server = Server::new();
    // What the client says about the uses left is not believed.
    let limits = |total| {
        Attribute::UsageLimits(UsageLimits { total, count: Some(9_999), unit: UsageLimitsUnit::Byte })
    };
    let key = key(&server, vec![limits(100)]).await;
    let modify = |total| ModifyAttributeRequest {
        unique_identifier: id(&key),
        new_attribute: Attributes::new([limits(total)]),
        current_attribute: Attributes::default(),
    };
    assert!(server.ask(modify(50)).await.is_ok());
    let allocate =
        |count| GetUsageAllocationRequest { unique_identifier: id(&key), usage_limits_count: count };
    server.done::<GetUsageAllocationResponse>(allocate(30)).await;
    assert_eq!(server.refused(allocate(21)).await, ResultReason::UsageLimitExceeded);
    assert_eq!(server.refused(allocate(0)).await, ResultReason::InvalidField);
    assert_eq!(server.refused(modify(1_000)).await, ResultReason::PermissionDenied);
    server.done::<GetUsageAllocationResponse>(allocate(20)).await;
    let unlimited = self::key(&server, Vec::new()).await;
    let request = GetUsageAllocationRequest { unique_identifier: id(&unlimited), usage_limits_count: 1 };
    assert_eq!(server.refused(request).await, ResultReason::AttributeNotFound);
}

fn custom(value: CustomValue) -> Attribute {
    Attribute::custom("x", "count", value)
}

#[tokio::test]
async fn attributes_are_adjusted() {
    let server = Server::new();
    let key = key(&server, vec![custom(CustomValue::Integer(i32::MAX - 1))]).await;
    let adjust = |reference: &AttributeReference, adjustment_type, by| AdjustAttributeRequest {
        unique_identifier: id(&key),
        attribute_reference: reference.clone(),
        adjustment_type,
        adjustment_value: by,
    };
    let count = custom(CustomValue::Integer(0)).reference();
    let done = server.done::<AdjustAttributeResponse>(adjust(&count, AdjustmentType::Increment, None));
    assert_eq!(done.await.unique_identifier, key);
    assert!(server.attributes(&key).await.contains(&custom(CustomValue::Integer(i32::MAX))));
    let over = server.refused(adjust(&count, AdjustmentType::Increment, None)).await;
    assert_eq!(over, ResultReason::NumericRange);
    let by_text = Some(CustomValue::Text(ByteString::from_static("1")));
    let wrong = server.refused(adjust(&count, AdjustmentType::Decrement, by_text)).await;
    assert_eq!(wrong, ResultReason::InvalidDataType);

    let sensitive = AttributeReference::Known(AttributeType::Sensitive);
    server.done::<AdjustAttributeResponse>(adjust(&sensitive, AdjustmentType::Negate, None)).await;
    assert_eq!(server.refused(get_request(&key)).await, ResultReason::Sensitive);
    let back = server.refused(adjust(&sensitive, AdjustmentType::Negate, None)).await;
    assert_eq!(back, ResultReason::PermissionDenied);
    let state = AttributeReference::Known(AttributeType::State);
    let read_only = server.refused(adjust(&state, AdjustmentType::Increment, None)).await;
    assert_eq!(read_only, ResultReason::AttributeReadOnly);
}

fn export(key: &ByteString) -> ExportRequest {
    ExportRequest {
        unique_identifier: id(key),
        key_format_type: None,
        key_wrap_type: None,
        key_compression_type: None,
        key_wrapping_specification: None,
    }
}

#[tokio::test]
async fn what_is_exported_is_imported_as_it_was() {
    let (here, there) = (Server::new(), Server::new());
    let key = key(&here, vec![name("moving")]).await;
    let exported: ExportResponse = here.done(export(&key)).await;
    there.pass(1_000);
    let import = |exported: ExportResponse, replace_existing| ImportRequest {
        unique_identifier: key.clone(),
        object_type: Some(exported.object_type),
        replace_existing,
        key_wrap_type: None,
        attributes: exported.attributes,
        object: exported.object,
    };
    let imported: ImportResponse = there.done(import(exported, None)).await;
    assert_eq!(imported.unique_identifier, key);
    let before = here.attributes(&key).await.into_iter();
    // Serving it made the original stale; the copy is as it was told.
    let before: Vec<_> = before.filter(|attribute| !matches!(attribute, Attribute::Fresh(_))).collect();
    let after = there.attributes(&key).await;
    assert_eq!(before.iter().find(|attribute| !after.contains(attribute)), None);
    assert_eq!(material(&there.get(&key).await.unwrap()), [9; 16]);

    let again: ExportResponse = here.done(export(&key)).await;
    assert_eq!(there.refused(import(again, None)).await, ResultReason::ObjectAlreadyExists);
    let again: ExportResponse = here.done(export(&key)).await;
    there.done::<ImportResponse>(import(again, Some(true))).await;
}

#[tokio::test]
async fn the_destroyed_is_exported_without_its_value_and_not_imported_again() {
    let server = Server::new();
    let key = server.register(symmetric_key(CryptographicAlgorithm::Aes, &[9; 16]), Vec::new()).await;
    let before: ExportResponse = server.done(export(&key)).await;
    server.done::<DestroyResponse>(DestroyRequest { unique_identifier: id(&key) }).await;
    let after: ExportResponse = server.done(export(&key)).await;
    assert!(after.object.key_block().unwrap().key_value.is_none());
    assert!(after.attributes.iter().any(|attribute| *attribute == Attribute::State(State::Destroyed)));
    let import = ImportRequest {
        unique_identifier: key,
        object_type: None,
        replace_existing: Some(true),
        key_wrap_type: None,
        attributes: before.attributes,
        object: before.object,
    };
    assert_eq!(server.refused(import).await, ResultReason::ObjectAlreadyExists);
}
