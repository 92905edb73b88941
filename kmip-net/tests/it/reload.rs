//! Certificates and revocation lists that change while the server runs.

use std::sync::Arc;

use kmip_net::{ReloadableTls, TlsError};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind};

use crate::pki::raw_client;
use crate::rig::{Options, Peer, Rig};

/// One exchange on a connection of its own, and how its handshake went.
async fn visit(rig: &Rig, config: &Arc<ClientConfig>) -> std::io::Result<HandshakeKind> {
    let mut peer = Peer::connect(rig.address, config).await?;
    peer.exchange(b"12345678").await?;
    Ok(peer.stream.get_ref().1.handshake_kind().unwrap())
}

#[tokio::test]
async fn a_revoked_client_neither_resumes_nor_stays() {
    for version in [&TLS12, &TLS13] {
        let rig = Rig::start(Options::default());
        let revoked = raw_client(&rig.pki.client("revoked", 7), version, true);
        let spared = raw_client(&rig.pki.client("spared", 8), version, true);
        assert_eq!(visit(&rig, &revoked).await.unwrap(), HandshakeKind::Full);
        assert_eq!(visit(&rig, &revoked).await.unwrap(), HandshakeKind::Resumed);
        let mut staying = Peer::connect(rig.address, &revoked).await.unwrap();
        staying.exchange(b"12345678").await.unwrap();
        let mut neighbour = Peer::connect(rig.address, &spared).await.unwrap();
        neighbour.exchange(b"12345678").await.unwrap();

        rig.pki.revoke(&[7]);
        rig.tls.reload().unwrap();
        visit(&rig, &revoked).await.unwrap_err();
        visit(&rig, &revoked).await.unwrap_err();
        staying.exchange(b"12345678").await.unwrap_err();
        assert_eq!(rig.metric("connections_refused_total{reason=\"certificate\"}"), 1);
        neighbour.exchange(b"12345678").await.unwrap();
        assert_eq!(visit(&rig, &spared).await.unwrap(), HandshakeKind::Full);
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_reload_that_fails_changes_nothing() {
    let rig = Rig::start(Options::default());
    let config = raw_client(&rig.pki.client("app", 7), &TLS13, true);
    visit(&rig, &config).await.unwrap();
    rig.pki.write("crl.pem", "nonsense");
    let error = rig.tls.reload().unwrap_err();
    assert!(error.to_string().contains("crl.pem"), "{error}");
    assert_eq!(visit(&rig, &config).await.unwrap(), HandshakeKind::Resumed);
    rig.stop().await;
}

#[tokio::test]
async fn an_expired_list_lets_nobody_in() {
    let rig = Rig::start(Options::default());
    rig.pki.write_list(&[], 2025);
    rig.tls.reload().unwrap();
    visit(&rig, &raw_client(&rig.pki.client("app", 7), &TLS13, true)).await.unwrap_err();
    rig.stop().await;
}

#[tokio::test]
async fn what_does_not_load_is_named() {
    let pki = crate::pki::Pki::new();
    let (good, other) = (pki.server(), pki.client("other", 2));

    let missing = kmip_net::TlsSettings { key: pki.path("missing.key"), ..good.clone() };
    let error = ReloadableTls::server(missing).err().unwrap();
    assert!(matches!(&error, TlsError::Unreadable { path, .. } if path.ends_with("missing.key")), "{error}");

    let swapped = kmip_net::TlsSettings { key: good.certificate.clone(), ..good.clone() };
    let error = ReloadableTls::server(swapped).err().unwrap();
    assert!(matches!(&error, TlsError::NotPem { path, .. } if path.ends_with("server.pem")), "{error}");

    let mismatched = kmip_net::TlsSettings { key: other.key.clone(), ..good.clone() };
    let error = ReloadableTls::client(mismatched).err().unwrap();
    assert!(matches!(&error, TlsError::Mismatch { .. }), "{error}");

    pki.write("empty.pem", "");
    let empty = kmip_net::TlsSettings { authority: pki.path("empty.pem"), ..good };
    let error = ReloadableTls::client(empty).err().unwrap();
    assert!(matches!(&error, TlsError::NotPem { path, .. } if path.ends_with("empty.pem")), "{error}");
}
