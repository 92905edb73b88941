//! Batches whose answers are large: what does not fit fails by itself, and has done nothing.

use bytestring::ByteString;
use kmip_protocol::attribute::{Attribute, Attributes};
use kmip_protocol::enumeration::{
    BatchErrorContinuationOption, KeyFormatType, ObjectType, ResultReason, ResultStatus, SecretDataType,
};
use kmip_protocol::message::{RequestHeader, RequestMessage, ResponseBatchItem, ResponseMessage};
use kmip_protocol::object::{ManagedObject, SecretData};
use kmip_protocol::operation::{LocateRequest, LocateResponse, Request};
use kmip_protocol::version::V2_1;
use kmip_ttlv::Limits;

use crate::batch;
use crate::service::ServiceSettings;
use crate::testing::{Server, block, create_request, get_request};

const LARGE_BYTES: usize = 10_000;

fn server(maximum_response_bytes: usize) -> Server {
    Server::with(ServiceSettings { maximum_response_bytes, ..ServiceSettings::default() })
}

async fn large_object(server: &Server) -> ByteString {
    let key_block = block(KeyFormatType::Raw, None, &[7; LARGE_BYTES]);
    let secret = SecretData { secret_data_type: SecretDataType::Seed, key_block };
    server.register(ManagedObject::SecretData(secret), []).await
}

/// The answers to a batch that goes on after failures, and the bytes of the response.
async fn send(
    server: &Server,
    maximum_response_size: Option<i32>,
    option: BatchErrorContinuationOption,
    requests: &[Request],
) -> (Vec<ResponseBatchItem>, usize) {
    let mut header = RequestHeader::new(V2_1, requests.len());
    header.maximum_response_size = maximum_response_size;
    header.batch_error_continuation_option = Some(option);
    let message = RequestMessage::write(&header, requests).into_bytes();
    let answer =
        batch::answer(&server.service, &server.service, &server.principal, &message, Limits::default()).await;
    let length = answer.len();
    (ResponseMessage::read(&answer.into_bytes(), Limits::default()).unwrap().items, length)
}

fn outcomes(items: &[ResponseBatchItem]) -> Vec<Option<ResultReason>> {
    items.iter().map(|item| item.result_reason).collect()
}

async fn keys(server: &Server) -> usize {
    let request = LocateRequest {
        maximum_items: None,
        offset_items: None,
        storage_status_mask: None,
        object_group_member: None,
        attributes: Attributes::new([Attribute::ObjectType(ObjectType::SymmetricKey)]),
    };
    server.done::<LocateResponse>(request).await.unique_identifiers.len()
}

const CONTINUE: BatchErrorContinuationOption = BatchErrorContinuationOption::Continue;
const TOO_LARGE: Option<ResultReason> = Some(ResultReason::ResponseTooLarge);

#[tokio::test]
async fn a_response_is_bounded_and_small_answers_survive() {
    let server = server(32 * 1024);
    let large = large_object(&server).await;
    let get = || Request::from(get_request(&large));
    let requests: Vec<Request> = (0..64).map(|_| get()).chain([create_request()]).collect();
    let (items, length) = send(&server, None, CONTINUE, &requests).await;
    let served = items.iter().filter(|item| item.result_status == ResultStatus::Success).count();
    assert!(length <= 32 * 1024, "{length} bytes");
    assert!(outcomes(&items)[..64].contains(&TOO_LARGE));
    assert_eq!(outcomes(&items)[64], None, "the answer to Create is small");
    assert!(served >= 2 && keys(&server).await == 1);
}

#[tokio::test]
async fn the_client_s_bound_fails_what_does_not_fit_before_it_is_done() {
    let server = server(1 << 20);
    let large = large_object(&server).await;
    let requests = [create_request(), get_request(&large).into(), create_request()];
    let (items, length) = send(&server, Some(2_000), CONTINUE, &requests).await;
    assert!(length <= 2_000, "{length} bytes");
    assert_eq!(outcomes(&items), [None, TOO_LARGE, None]);
    assert_eq!(keys(&server).await, 2);

    let (items, _) = send(&server, Some(64), CONTINUE, &[create_request()]).await;
    assert_eq!(outcomes(&items), [TOO_LARGE]);
    assert_eq!(keys(&server).await, 2, "what was not answered was done");

    let undo = BatchErrorContinuationOption::Undo;
    let (items, _) = send(&server, Some(2_000), undo, &[create_request(), get_request(&large).into()]).await;
    assert_eq!(items[0].result_status, ResultStatus::OperationUndone);
    assert_eq!(keys(&server).await, 2);
}

#[tokio::test]
async fn a_single_answer_is_bounded_too() {
    let server = server(4_096);
    let large = large_object(&server).await;
    let (items, _) = send(&server, None, CONTINUE, &[get_request(&large).into()]).await;
    assert_eq!(outcomes(&items), [TOO_LARGE]);
    let (items, length) = send(&server, Some(1 << 20), CONTINUE, &[create_request()]).await;
    assert_eq!(outcomes(&items), [None]);
    // The room for a failure is no part of what a success may take.
    let exact = i32::try_from(length).unwrap() + 512;
    let (items, _) = send(&server, Some(exact), CONTINUE, &[create_request()]).await;
    assert_eq!(outcomes(&items), [None]);
}
