//! Requests and answers, and who may ask.

use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, Error, ProtocolVersion};
use tokio::io::AsyncWriteExt;

use crate::pki::{Pki, raw_client};
use crate::rig::{Options, Peer, Rig, WHO, message};

/// The TLS error of a connection attempt, whichever step shows it: with TLS 1.3 a client knows only when it reads.
async fn tls_error(rig: &Rig, config: &std::sync::Arc<rustls::ClientConfig>) -> Error {
    let error = match Peer::connect(rig.address, config).await {
        Ok(mut peer) => peer.receive().await.unwrap_err(),
        Err(error) => error,
    };
    error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>())
        .cloned()
        .unwrap_or_else(|| panic!("{error}"))
}

#[tokio::test]
async fn requests_are_answered_over_both_tls_versions() {
    let rig = Rig::start(Options::default());
    let settings = rig.pki.client("app", 2);
    for (version, expected) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        let mut peer = Peer::connect(rig.address, &raw_client(&settings, version, true)).await.unwrap();
        assert_eq!(peer.stream.get_ref().1.protocol_version(), Some(expected));
        assert_eq!(peer.exchange(b"12345678").await.unwrap(), b"12345678");
        assert_eq!(peer.exchange(&[7; 80_000]).await.unwrap(), vec![7; 80_000]);
        peer.stream.shutdown().await.unwrap();
        peer.expect_close().await;
    }
    assert_eq!(rig.metric("request_duration_seconds_count"), 4);
    rig.stop().await;
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let rig = Rig::start(Options::default());
    let settings = rig.pki.client("app", 2);
    let error = tls_error(&rig, &raw_client(&settings, &TLS13, false)).await;
    assert_eq!(error, Error::AlertReceived(AlertDescription::CertificateRequired));
    let error = tls_error(&rig, &raw_client(&settings, &TLS12, false)).await;
    assert!(matches!(error, Error::AlertReceived(_)), "{error}");
    rig.stop().await;
}

#[tokio::test]
async fn a_client_of_an_unknown_authority_is_refused() {
    let rig = Rig::start(Options::default());
    let mut settings = Pki::new().client("app", 2);
    // It trusts the server, but the server does not trust it.
    let stranger = Pki::new();
    let own = stranger.client("app", 2);
    (settings.certificate, settings.key, settings.authority) =
        (own.certificate, own.key, rig.pki.path("ca.pem"));
    for version in [&TLS12, &TLS13] {
        let error = tls_error(&rig, &raw_client(&settings, version, true)).await;
        assert!(matches!(error, Error::AlertReceived(_)), "{error}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn identity_comes_from_the_certificate() {
    let rig = Rig::start(Options::default());
    let config = raw_client(&rig.pki.client("app", 2), &TLS13, true);
    let answer = Peer::connect(rig.address, &config).await.unwrap().exchange(WHO).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (identity, fingerprint) = answer.trim_end().split_once(' ').unwrap();
    assert_eq!((identity, fingerprint.len()), ("acme/app", 64));
    rig.stop().await;
}

#[tokio::test]
async fn identity_may_come_from_a_spiffe_uri() {
    let identity = toml::from_str(
        "tenant = \"uri:spiffe://example.org/{}/*\"\nprincipal = \"uri:spiffe://example.org/*/{}\"",
    )
    .unwrap();
    let rig = Rig::start(Options { identity, ..Options::default() });
    let settings = rig.pki.client_of("ignored", 2, &["ignored"], &["spiffe://example.org/globex/billing"]);
    let config = raw_client(&settings, &TLS13, true);
    let answer = Peer::connect(rig.address, &config).await.unwrap().exchange(WHO).await.unwrap();
    assert!(answer.starts_with(b"globex/billing "), "{answer:?}");
    rig.stop().await;
}

#[tokio::test]
async fn an_ambiguous_identity_is_not_served() {
    let rig = Rig::start(Options::default());
    let settings = rig.pki.client_of("both", 2, &["acme", "globex"], &[]);
    let mut peer = Peer::connect(rig.address, &raw_client(&settings, &TLS13, true)).await.unwrap();
    peer.expect_close().await;
    assert_eq!(rig.metric("connections_refused_total{reason=\"identity\"}"), 1);
    rig.stop().await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let rig = Rig::start(Options::default());
    let mut peer = rig.peer("app").await;
    let numbers = || (0..200_u64).map(u64::to_be_bytes);
    let requests: Vec<u8> = numbers().flat_map(|number| message(&number).to_vec()).collect();
    peer.send(&requests).await;
    for number in numbers() {
        assert_eq!(peer.receive().await.unwrap(), number);
    }
    rig.stop().await;
}
