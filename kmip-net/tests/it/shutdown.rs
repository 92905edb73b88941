//! A server that stops: answers in flight arrive, idle connections are told, nothing is left behind.

use std::time::Duration;

use kmip_net::ServerLimits;
use tokio::net::TcpStream;

use crate::rig::{Options, Rig, WAIT, message};

#[tokio::test]
async fn requests_in_flight_are_answered_and_idle_connections_closed() {
    let rig = Rig::start(Options::default());
    let (mut busy, mut idle) = (rig.peer("busy").await, rig.peer("idle").await);
    idle.exchange(b"12345678").await.unwrap();
    busy.send(&message(WAIT)).await;
    rig.handler.waiting.acquire().await.unwrap().forget();

    rig.shutdown.cancel();
    idle.expect_close().await;
    assert!(!rig.running.is_finished());
    rig.handler.released.add_permits(1);
    assert_eq!(busy.receive().await.unwrap(), WAIT);
    busy.expect_close().await;
    rig.running.await.unwrap();
    assert!(TcpStream::connect(rig.address).await.is_err());
}

#[tokio::test]
async fn a_request_that_takes_too_long_does_not_hold_the_server() {
    let limits = ServerLimits { drain_timeout: Duration::from_millis(50), ..ServerLimits::default() };
    let rig = Rig::start(limits);
    let mut busy = rig.peer("busy").await;
    busy.send(&message(WAIT)).await;
    rig.handler.waiting.acquire().await.unwrap().forget();
    rig.shutdown.cancel();
    rig.running.await.unwrap();
    busy.receive().await.unwrap_err();
    let mut metrics = String::new();
    prometheus_client::encoding::text::encode(&mut metrics, &rig.registry).unwrap();
    assert!(metrics.contains("connections_open 0\n"), "{metrics}");
}

#[tokio::test]
async fn a_handshake_under_way_does_not_hold_the_server() {
    let rig = Rig::start(Options::default());
    let _silent = TcpStream::connect(rig.address).await.unwrap();
    rig.peer("other").await.exchange(b"12345678").await.unwrap();
    rig.stop().await;
}
