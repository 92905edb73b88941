//! Peers that misbehave: each loses its own connection, and nobody else notices.

use std::time::Duration;

use kmip_net::ServerLimits;
use rustls::version::TLS13;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::pki::raw_client;
use crate::rig::{LARGE, Options, PANIC, Peer, Rig, message};

const SHORT: Duration = Duration::from_millis(100);

/// Runs an attack while a well-behaved peer is connected, and checks that this one and a new one are served.
async fn unnoticed(limits: ServerLimits, attack: impl AsyncFnOnce(&Rig)) -> Rig {
    let rig = Rig::start(limits);
    let mut neighbour = rig.peer("neighbour").await;
    neighbour.exchange(b"before..").await.unwrap();
    attack(&rig).await;
    // Where the attack outlasts the idle time-out, the neighbour was closed for that alone.
    if limits.idle_timeout > Duration::from_secs(1) {
        assert_eq!(neighbour.exchange(b"after...").await.unwrap(), b"after...");
    }
    assert_eq!(rig.peer("newcomer").await.exchange(b"new.....").await.unwrap(), b"new.....");
    rig
}

/// Waits until the server ends a connection that has no TLS.
async fn expect_end(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
}

fn refused(reason: &str) -> String {
    format!("connections_refused_total{{reason=\"{reason}\"}}")
}

#[tokio::test]
async fn garbage_before_tls() {
    let rig = unnoticed(ServerLimits::default(), async |rig| {
        for garbage in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            &[0; 4096],
            &[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0],
            &message(b"bare...."),
        ] {
            let mut stream = TcpStream::connect(rig.address).await.unwrap();
            stream.write_all(garbage).await.unwrap();
            expect_end(&mut stream).await;
        }
    })
    .await;
    assert_eq!(rig.metric("handshake_failures_total"), 4);
    rig.stop().await;
}

#[tokio::test]
async fn a_probe_that_sends_nothing_is_no_failure() {
    let rig = unnoticed(ServerLimits::default(), async |rig| {
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        stream.shutdown().await.unwrap();
        expect_end(&mut stream).await;
    })
    .await;
    assert_eq!(rig.metric("handshake_failures_total"), 0);
    rig.stop().await;
}

#[tokio::test]
async fn a_handshake_that_never_begins_or_never_ends() {
    let limits = ServerLimits { handshake_timeout: SHORT, ..ServerLimits::default() };
    let rig = unnoticed(limits, async |rig| {
        for start in [&b""[..], &[0x16], &[0x16, 3, 1, 2, 0, 1, 0]] {
            let mut stream = TcpStream::connect(rig.address).await.unwrap();
            stream.write_all(start).await.unwrap();
            expect_end(&mut stream).await;
        }
    })
    .await;
    assert_eq!(rig.metric("handshake_failures_total"), 3);
    rig.stop().await;
}

#[tokio::test]
async fn a_handshake_that_stops_half_way_takes_no_place_from_others() {
    let limits = ServerLimits {
        max_handshakes: 1,
        max_handshakes_per_source: 1,
        handshake_timeout: SHORT,
        ..ServerLimits::default()
    };
    let rig = unnoticed(limits, async |rig| {
        let config = raw_client(&rig.pki.client("stalled", 9), &TLS13, true);
        let name = rustls::pki_types::ServerName::try_from("127.0.0.1").unwrap();
        let mut hello = Vec::new();
        rustls::ClientConnection::new(config, name).unwrap().write_tls(&mut hello).unwrap();
        let mut stream = TcpStream::connect(rig.address).await.unwrap();
        stream.write_all(&hello).await.unwrap();
        expect_end(&mut stream).await;
    })
    .await;
    rig.stop().await;
}

#[tokio::test]
async fn a_frame_cut_short() {
    let rig = unnoticed(ServerLimits::default(), async |rig| {
        for length in [3, 8, 12] {
            let mut peer = rig.peer("rude").await;
            peer.send(&message(b"12345678")[..length]).await;
            peer.stream.shutdown().await.unwrap();
            peer.expect_close().await;
        }
    })
    .await;
    assert_eq!(rig.metric(&refused("truncated")), 3);
    rig.stop().await;
}

#[tokio::test]
async fn an_oversized_or_senseless_header_is_answered_and_ends_the_connection() {
    let rig = unnoticed(ServerLimits::default(), async |rig| {
        let oversized = [0x42, 0, 0x78, 1, 0x7F, 0xFF, 0xFF, 0xF8];
        for (header, kind) in [(&oversized[..], "MessageTooLarge"), (b"GET /kmip HTTP/1.1\r\n", "InvalidTag")]
        {
            let mut peer = rig.peer("rude").await;
            // What follows is never read as a request, and does not keep the answer from arriving.
            peer.send(&[header, &[0; 100_000]].concat()).await;
            let answer = String::from_utf8(peer.receive().await.unwrap()).unwrap();
            assert_eq!(answer.trim_end(), format!("refused: {kind}"));
            peer.expect_close().await;
        }
    })
    .await;
    assert_eq!(rig.metric(&refused("unreadable")), 2);
    rig.stop().await;
}

#[tokio::test]
async fn a_request_that_never_ends() {
    let limits = ServerLimits { request_timeout: SHORT, ..ServerLimits::default() };
    let rig = unnoticed(limits, async |rig| {
        let declared_only = [0x42, 0, 0x78, 1, 0, 0x0F, 0xFF, 0xF0];
        for start in [&b"\x42"[..], &declared_only, &message(b"12345678")[..15]] {
            let mut peer = rig.peer("slow").await;
            peer.send(start).await;
            peer.expect_close().await;
        }
    })
    .await;
    assert_eq!(rig.metric(&refused("request_timeout")), 3);
    rig.stop().await;
}

#[tokio::test]
async fn a_trickle_does_not_extend_the_time_of_a_request() {
    let limits = ServerLimits { request_timeout: SHORT, ..ServerLimits::default() };
    let rig = unnoticed(limits, async |rig| {
        let (mut reader, mut writer) = tokio::io::split(rig.peer("slow").await.stream);
        let trickle = async {
            for byte in message(&[0; 100_000]).iter() {
                if writer.write_all(&[*byte]).await.is_err() || writer.flush().await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            panic!("the whole request was taken");
        };
        tokio::select! {
            () = trickle => {}
            end = reader.read_u8() => drop(end.unwrap_err()),
        }
    })
    .await;
    assert_eq!(rig.metric(&refused("request_timeout")), 1);
    rig.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_never_read() {
    let limits = ServerLimits { write_timeout: SHORT, ..ServerLimits::default() };
    let rig = unnoticed(limits, async |rig| {
        let mut peer = rig.peer("deaf").await;
        peer.send(&message(LARGE)).await;
        while rig.metric(&refused("write_timeout")) == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    rig.stop().await;
}

#[tokio::test]
async fn a_connection_without_requests_is_closed() {
    let limits = ServerLimits { idle_timeout: SHORT, ..ServerLimits::default() };
    let rig = unnoticed(limits, async |rig| {
        let mut silent = rig.peer("silent").await;
        silent.expect_close().await;
        let mut served = rig.peer("served").await;
        served.exchange(b"12345678").await.unwrap();
        served.expect_close().await;
    })
    .await;
    assert!(rig.metric(&refused("idle_timeout")) >= 2);
    rig.stop().await;
}

#[tokio::test]
async fn a_panic_in_the_handler_costs_one_connection() {
    let rig = unnoticed(ServerLimits::default(), async |rig| {
        let mut peer = rig.peer("fatal").await;
        peer.exchange(PANIC).await.unwrap_err();
    })
    .await;
    while rig.metric("handler_panics_total") == 0 {
        tokio::task::yield_now().await;
    }
    rig.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_until_one_is_free() {
    let limits = ServerLimits { max_connections: 2, ..ServerLimits::default() };
    let rig = Rig::start(limits);
    let (mut first, second) = (rig.peer("first").await, rig.peer("second").await);
    let third = async { rig.peer("third").await.exchange(b"third...").await.unwrap() };
    let mut third = Box::pin(third);
    for _ in 0..50 {
        tokio::select! {
            biased;
            _ = &mut third => panic!("served beyond the limit"),
            answer = first.exchange(b"first...") => assert_eq!(answer.unwrap(), b"first..."),
        }
    }
    drop(second);
    assert_eq!(third.as_mut().await, b"third...");
    drop(third);
    rig.stop().await;
}

#[tokio::test]
async fn one_source_address_cannot_take_all_connections() {
    let limits = ServerLimits { max_connections_per_source: 2, ..ServerLimits::default() };
    let rig = Rig::start(Options::from(limits));
    let (mut first, _second) = (rig.peer("first").await, rig.peer("second").await);
    let mut third = TcpStream::connect(rig.address).await.unwrap();
    expect_end(&mut third).await;
    assert_eq!(rig.metric(&refused("source_share")), 1);

    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 2], 0).into()).unwrap();
    let elsewhere = socket.connect(rig.address).await.unwrap();
    let config = raw_client(&rig.pki.client("elsewhere", 3), &TLS13, true);
    let mut elsewhere = Peer::over(elsewhere, &config).await.unwrap();
    assert_eq!(elsewhere.exchange(b"12345678").await.unwrap(), b"12345678");
    assert_eq!(first.exchange(b"12345678").await.unwrap(), b"12345678");
    rig.stop().await;
}
