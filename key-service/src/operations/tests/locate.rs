//! Locate never answers more than was asked for: what cannot be compared is refused.

use kmip_protocol::attribute::{Attribute, Attributes, Instance};
use kmip_protocol::codec::DateTime;
use kmip_protocol::codec::Item;
use kmip_protocol::enumeration::{CryptographicAlgorithm, ResultReason, ResultStatus};
use kmip_protocol::mask::CryptographicUsageMask;
use kmip_protocol::message::{RequestHeader, ResponseMessage};
use kmip_protocol::operation::{LocateRequest, LocateResponse, Operation};
use kmip_protocol::tag;
use kmip_protocol::version::{V1_4, V2_1};
use kmip_ttlv::{Limits, Tag, Writer};

use crate::batch;
use crate::testing::Server;

fn locate(attributes: Attributes) -> LocateRequest {
    LocateRequest {
        maximum_items: None,
        offset_items: None,
        storage_status_mask: None,
        object_group_member: None,
        attributes,
    }
}

async fn with_a_key() -> Server {
    let server = Server::new();
    server.active_key(CryptographicAlgorithm::Aes, &[1; 16], CryptographicUsageMask::ENCRYPT).await;
    server
}

#[tokio::test]
async fn an_empty_mask_matches_only_empty_masks() {
    let server = with_a_key().await;
    let mask = |mask| locate(Attributes::new([Attribute::CryptographicUsageMask(mask)]));
    let none: LocateResponse = server.done(mask(CryptographicUsageMask::default())).await;
    assert!(none.unique_identifiers.is_empty());
    let one: LocateResponse = server.done(mask(CryptographicUsageMask::ENCRYPT)).await;
    assert_eq!(one.unique_identifiers.len(), 1);
}

#[tokio::test]
async fn three_dates_are_no_range() {
    let server = with_a_key().await;
    let dates = [0, 1, i64::MAX].map(|date| Attribute::InitialDate(DateTime(date)));
    let range: LocateResponse =
        server.done(locate(Attributes::new([dates[0].clone(), dates[2].clone()]))).await;
    assert_eq!(range.unique_identifiers.len(), 1);
    assert_eq!(server.refused(locate(Attributes::new(dates))).await, ResultReason::InvalidField);
}

#[tokio::test]
async fn an_index_is_refused() {
    let server = with_a_key().await;
    let instance = Instance {
        index: Some(1),
        attribute: Attribute::CryptographicAlgorithm(CryptographicAlgorithm::Aes),
    };
    let request = locate(Attributes { instances: vec![instance], templates: Vec::new() });
    let refused = server.ask_as(&server.principal, V1_4, request).await.unwrap_err();
    assert_eq!(refused, ResultReason::FeatureNotSupported);
}

/// Wherever it stands: beside the criteria or among them.
#[tokio::test]
async fn an_extension_is_refused() {
    let server = with_a_key().await;
    for inside in [false, true] {
        let message = with_extension(inside);
        let limits = Limits::default();
        let answer =
            batch::answer(&server.service, &server.service, &server.principal, &message, limits).await;
        let answer = ResponseMessage::read(&answer.into_bytes(), limits).unwrap();
        assert_eq!(answer.items[0].result_status, ResultStatus::OperationFailed, "inside: {inside}");
    }
}

fn with_extension(inside: bool) -> bytes::Bytes {
    const EXTENSION: Tag = Tag::new(0x54_0001);
    let mut writer = Writer::new();
    writer.structure(tag::REQUEST_MESSAGE, |writer| {
        RequestHeader::new(V2_1, 1).write(writer, tag::REQUEST_HEADER, V2_1);
        writer.structure(tag::BATCH_ITEM, |writer| {
            writer.enumeration(tag::OPERATION, Operation::Locate.value());
            writer.structure(tag::REQUEST_PAYLOAD, |writer| {
                writer.structure(tag::ATTRIBUTES, |writer| {
                    if inside {
                        writer.integer(EXTENSION, 1);
                    }
                });
                if !inside {
                    writer.integer(EXTENSION, 1);
                }
            });
        });
    });
    writer.finish().into_bytes()
}
