//! Roles reversed: the server asks, the client answers, on the connection that the client opened.

use std::time::Duration;

use kmip_net::{ClientError, PushError, ServerLimits};

use crate::rig::{Options, REVERSE, Rig, message};

#[tokio::test]
async fn the_server_asks_over_a_reversed_connection() {
    // Shorter than the test takes: it does not apply once roles are reversed.
    let limits = ServerLimits { idle_timeout: Duration::from_millis(50), ..ServerLimits::default() };
    let rig = Rig::start(limits);
    let mut connection = rig.pooled(rig.pki.client("gateway", 2)).open().await.unwrap();
    assert_eq!(connection.exchange(message(REVERSE)).await.unwrap()[8..], REVERSE[..]);
    let pusher = rig.next_pusher().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    for number in 0..10_u64 {
        let notice = number.to_be_bytes();
        let answer = async {
            let received = connection.receive().await.unwrap();
            assert_eq!(received[8..], notice);
            connection.send(message(&[&received[8..], b"taken..."].concat())).await.unwrap();
        };
        let (answered, ()) = tokio::join!(pusher.request(message(&notice)), answer);
        assert_eq!(answered.unwrap()[8..], [&notice[..], b"taken..."].concat());
    }
    assert_eq!(rig.metric("pushes_total"), 10);
    connection.close().await;
    pusher.closed().await;
    assert_eq!(pusher.request(message(b"nobody..")).await, Err(PushError::Closed));
    rig.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_answer_is_cut_off() {
    let limits = ServerLimits { push_timeout: Duration::from_millis(50), ..ServerLimits::default() };
    let rig = Rig::start(limits);
    let mut connection = rig.pooled(rig.pki.client("gateway", 2)).open().await.unwrap();
    connection.exchange(message(REVERSE)).await.unwrap();
    let pusher = rig.next_pusher().await;
    assert_eq!(pusher.request(message(b"notice..")).await, Err(PushError::TimedOut));
    connection.receive().await.unwrap();
    assert!(matches!(connection.receive().await, Err(ClientError::Interrupted)));
    assert_eq!(pusher.request(message(b"notice..")).await, Err(PushError::Closed));
    rig.stop().await;
}

#[tokio::test]
async fn a_client_that_goes_on_asking_is_cut_off() {
    let rig = Rig::start(Options::default());
    let mut connection = rig.pooled(rig.pki.client("gateway", 2)).open().await.unwrap();
    connection.exchange(message(REVERSE)).await.unwrap();
    let pusher = rig.next_pusher().await;
    connection.send(message(b"request.")).await.unwrap();
    assert!(matches!(connection.receive().await, Err(ClientError::Interrupted)));
    pusher.closed().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_reversed_connection_ends_with_the_server() {
    let rig = Rig::start(Options::default());
    let mut connection = rig.pooled(rig.pki.client("gateway", 2)).open().await.unwrap();
    connection.exchange(message(REVERSE)).await.unwrap();
    let pusher = rig.next_pusher().await;
    rig.shutdown.cancel();
    assert!(matches!(connection.receive().await, Err(ClientError::Interrupted)));
    pusher.closed().await;
    rig.running.await.unwrap();
}
