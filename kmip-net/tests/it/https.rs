//! KMIP over HTTPS (KMIP Profiles 2.1, 5.3).

use std::time::Duration;

use kmip_net::ServerLimits;
use rustls::version::TLS13;
use tokio::io::AsyncReadExt;

use crate::pki::raw_client;
use crate::rig::{Options, Peer, Rig, message};

const TTLV: &str = "Content-Type: application/octet-stream\r\n";

async fn rig_and_peer(limits: ServerLimits) -> (Rig, Peer) {
    let rig = Rig::start(Options { limits, https: true, ..Options::default() });
    let peer = rig.peer("app").await;
    (rig, peer)
}

fn post(fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST /kmip HTTP/1.1\r\n{fields}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Status line and fields, and the body.
async fn response(peer: &mut Peer) -> (String, Vec<u8>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(peer.stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap_or("0");
    let mut body = vec![0; length.parse().unwrap()];
    peer.stream.read_exact(&mut body).await.unwrap();
    (head, body)
}

#[tokio::test]
async fn messages_are_exchanged_over_one_connection() {
    let (rig, mut peer) = rig_and_peer(ServerLimits::default()).await;
    let large = message(&[7; 100_000]);
    // Both requests at once: the second waits for the first.
    peer.send(&[post(TTLV, &message(b"12345678")), post(TTLV, &large)].concat()).await;
    let (head, body) = response(&mut peer).await;
    assert_eq!(
        head,
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 16\r\n\
         Cache-Control: no-cache\r\nConnection: keep-alive\r\n\r\n"
    );
    assert_eq!(body, &message(b"12345678")[..]);
    assert_eq!(response(&mut peer).await.1, &large[..]);
    rig.stop().await;
}

#[tokio::test]
async fn encodings_are_told_apart_by_content_type() {
    let (rig, mut peer) = rig_and_peer(ServerLimits::default()).await;
    for content_type in ["application/json", "Application/JSON; charset=utf-8"] {
        peer.send(&post(&format!("content-type: {content_type}\r\n"), b"{}")).await;
        let (head, body) = response(&mut peer).await;
        assert!(head.contains("Content-Type: application/json\r\n"), "{head}");
        assert_eq!(body, b"{}/json");
    }
    rig.stop().await;
}

#[tokio::test]
async fn http_1_0_and_patient_clients_are_served() {
    let (rig, mut peer) = rig_and_peer(ServerLimits::default()).await;
    let body = message(b"12345678");
    let waiting = post(&format!("{TTLV}Expect: 100-continue\r\n"), &body);
    let (head, rest) = waiting.split_at(waiting.len() - body.len());
    peer.send(head).await;
    assert_eq!(response(&mut peer).await.0, "HTTP/1.1 100 Continue\r\n\r\n");
    peer.send(rest).await;
    assert!(response(&mut peer).await.0.starts_with("HTTP/1.1 200 OK\r\n"));

    let head = format!("POST /kmip HTTP/1.0\r\n{TTLV}Content-Length: 16\r\n\r\n");
    peer.send(&[head.as_bytes(), &body].concat()).await;
    assert!(response(&mut peer).await.0.contains("Connection: close\r\n"));
    peer.expect_close().await;
    rig.stop().await;
}

#[tokio::test]
async fn other_requests_are_refused_by_their_head() {
    let limits = ServerLimits { max_message_bytes: 1024, ..ServerLimits::default() };
    let rig = Rig::start(Options { limits, https: true, ..Options::default() });
    for (request, status) in [
        ("POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n".to_owned(), "404"),
        ("GET /kmip HTTP/1.1\r\n\r\n".to_owned(), "405"),
        ("POST /kmip HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 8\r\n\r\n".to_owned(), "415"),
        ("POST /kmip HTTP/1.1\r\nContent-Type: text/xml\r\nContent-Length: 8\r\n\r\n".to_owned(), "415"),
        (format!("POST /kmip HTTP/1.1\r\n{TTLV}\r\n"), "411"),
        (format!("POST /kmip HTTP/1.1\r\n{TTLV}Transfer-Encoding: chunked\r\n\r\n"), "411"),
        (format!("POST /kmip HTTP/1.1\r\n{TTLV}Content-Length: 1025\r\n\r\n"), "413"),
        (format!("POST /kmip HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(10_000)), "431"),
        ("hello\r\n\r\n".to_owned(), "400"),
    ] {
        let mut peer = rig.peer("app").await;
        peer.send(request.as_bytes()).await;
        let (head, _) = response(&mut peer).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {head}");
        peer.expect_close().await;
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_body_that_is_no_message_gets_a_kmip_answer() {
    let (rig, mut peer) = rig_and_peer(ServerLimits::default()).await;
    let good = message(b"12345678");
    let long = [&good[..], &[0; 8]].concat();
    for (body, kind) in [
        (&good[..7], "Truncated"),
        (&good[..15], "Truncated"),
        (&long, "TrailingBytes"),
        (b"<xml></xml>", "InvalidTag"),
    ] {
        peer.send(&post(TTLV, body)).await;
        let (head, answer) = response(&mut peer).await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(String::from_utf8_lossy(&answer).contains(&format!("refused: {kind}")), "{answer:?}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_slow_or_anonymous_client_is_not_served() {
    let limits = ServerLimits { request_timeout: Duration::from_millis(100), ..ServerLimits::default() };
    let (rig, mut peer) = rig_and_peer(limits).await;
    peer.send(&post(TTLV, &message(b"12345678"))[..40]).await;
    peer.expect_close().await;
    let anonymous = raw_client(&rig.pki.client("app", 2), &TLS13, false);
    let mut peer = Peer::connect(rig.address, &anonymous).await.unwrap();
    assert!(peer.stream.read_u8().await.is_err());
    rig.stop().await;
}
