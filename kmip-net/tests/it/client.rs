//! The pooled client against servers that serve, go, return and disappoint.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kmip_net::{Client, ClientError, ClientSettings, ReloadableTls, ServerLimits};
use kmip_ttlv::SecretBuffer;
use tokio::net::TcpListener;

use crate::pki::Pki;
use crate::rig::{Options, Rig, WAIT, message};

fn body(response: &Bytes) -> &[u8] {
    &response[8..]
}

fn request() -> SecretBuffer {
    message(b"12345678")
}

#[tokio::test]
async fn connections_are_reused_and_bounded() {
    let rig = Rig::start(Options::default());
    let settings = ClientSettings { max_connections: 3, ..ClientSettings::new(rig.address.to_string()) };
    let tls = ReloadableTls::client(rig.pki.client("app", 2)).unwrap();
    let client = Arc::new(Client::new(settings, tls).unwrap());
    for _ in 0..10 {
        assert_eq!(body(&client.exchange(request()).await.unwrap()), b"12345678");
    }
    assert_eq!(rig.metric("connections_accepted_total"), 1);

    let exchange = |number: u64| {
        let client = Arc::clone(&client);
        async move { (number, client.exchange(message(&number.to_be_bytes())).await.unwrap()) }
    };
    let mut all: tokio::task::JoinSet<_> = (0..100).map(exchange).collect();
    while let Some(done) = all.join_next().await {
        let (number, response) = done.unwrap();
        assert_eq!(body(&response), number.to_be_bytes());
    }
    assert!(rig.metric("connections_accepted_total") <= 3);
    rig.stop().await;
}

#[tokio::test]
async fn a_restarted_server_is_found_again() {
    let rig = Rig::start(Options::default());
    let (pki, address) = (Arc::clone(&rig.pki), rig.address);
    let client = rig.pooled(pki.client("app", 2));
    client.exchange(request()).await.unwrap();
    rig.stop().await;
    for _ in 0..2 {
        let error = client.exchange(request()).await.unwrap_err();
        assert!(matches!(error, ClientError::Unreachable(_)), "{error}");
    }
    let rig = Rig::start_with(pki, Options { address, ..Options::default() });
    while let Err(error) = client.exchange_once(request()).await {
        assert!(matches!(error, ClientError::Unreachable(_)), "{error}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    rig.stop().await;
}

#[tokio::test]
async fn a_connection_closed_while_idle_is_replaced_unseen() {
    let limits = ServerLimits { idle_timeout: Duration::from_millis(30), ..ServerLimits::default() };
    let rig = Rig::start(limits);
    let client = rig.pooled(rig.pki.client("app", 2));
    for round in 1..=3 {
        client.exchange(request()).await.unwrap();
        while rig.metric("connections_refused_total{reason=\"idle_timeout\"}") < round {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    assert_eq!(rig.metric("connections_accepted_total"), 3);
    rig.stop().await;
}

#[tokio::test]
async fn a_late_answer_is_never_taken_for_another() {
    let rig = Rig::start(Options::default());
    let settings = ClientSettings {
        request_timeout: Duration::from_millis(200),
        ..ClientSettings::new(rig.address.to_string())
    };
    let tls = ReloadableTls::client(rig.pki.client("app", 2)).unwrap();
    let client = Client::new(settings, tls).unwrap();
    let error = client.exchange(message(WAIT)).await.unwrap_err();
    assert!(matches!(error, ClientError::TimedOut(_)), "{error}");
    rig.handler.released.add_permits(1);
    assert_eq!(body(&client.exchange(request()).await.unwrap()), b"12345678");
    rig.stop().await;
}

#[tokio::test]
async fn a_server_of_another_name_or_authority_is_refused() {
    let rig = Rig::start(Options::default());
    let own = rig.pki.client("app", 2);
    let settings = ClientSettings {
        server_name: Some("core.example.org".into()),
        ..ClientSettings::new(rig.address.to_string())
    };
    let client = Client::new(settings, ReloadableTls::client(own).unwrap()).unwrap();
    let error = client.exchange(request()).await.unwrap_err();
    assert!(matches!(error, ClientError::Tls(_)), "{error}");

    let stranger = Pki::new();
    let client = rig.pooled(stranger.client("app", 2));
    let error = client.exchange(request()).await.unwrap_err();
    assert!(matches!(error, ClientError::Tls(_)), "{error}");
    rig.stop().await;
}

#[tokio::test]
async fn a_refused_certificate_is_a_tls_error() {
    let rig = Rig::start(Options::default());
    let settings = rig.pki.client("revoked", 7);
    rig.pki.revoke(&[7]);
    rig.tls.reload().unwrap();
    let error = rig.pooled(settings).exchange(request()).await.unwrap_err();
    assert!(matches!(error, ClientError::Tls(rustls::Error::AlertReceived(_))), "{error}");
    rig.stop().await;
}

#[tokio::test]
async fn a_server_that_accepts_and_is_silent_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = ClientSettings {
        connect_timeout: Duration::from_millis(50),
        ..ClientSettings::new(listener.local_addr().unwrap().to_string())
    };
    let pki = Pki::new();
    let client = Client::new(settings, ReloadableTls::client(pki.client("app", 2)).unwrap()).unwrap();
    let error = client.exchange(request()).await.unwrap_err();
    assert!(matches!(error, ClientError::TimedOut(_)), "{error}");
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_a_protocol_error() {
    let rig = Rig::start(Options::default());
    let settings = ClientSettings { max_message_bytes: 64, ..ClientSettings::new(rig.address.to_string()) };
    let tls = ReloadableTls::client(rig.pki.client("app", 2)).unwrap();
    let client = Client::new(settings, tls).unwrap();
    let error = client.exchange(message(&[0; 64])).await.unwrap_err();
    assert!(matches!(error, ClientError::Protocol(_)), "{error}");
    client.exchange(request()).await.unwrap();
    rig.stop().await;
}

#[tokio::test]
async fn settings_that_name_no_server_are_refused() {
    let pki = Pki::new();
    let tls = ReloadableTls::client(pki.client("app", 2)).unwrap();
    for address in ["", "localhost", "localhost:", "localhost:port", "a b:1"] {
        let refused = Client::new(ClientSettings::new(address), Arc::clone(&tls)).err();
        assert!(matches!(refused, Some(ClientError::Address(_))), "{address}");
    }
    for address in ["localhost:1", "127.0.0.1:1", "[::1]:1"] {
        assert!(Client::new(ClientSettings::new(address), Arc::clone(&tls)).is_ok(), "{address}");
    }
}

#[test]
fn settings_are_read_with_defaults() {
    let settings: ClientSettings = toml::from_str("address = \"core:5697\"").unwrap();
    assert_eq!(settings, ClientSettings::new("core:5697"));
    let settings: ClientSettings = toml::from_str(
        "address = \"core:5697\"\nserver_name = \"core.example.org\"\nrequest_timeout_seconds = 0.5",
    )
    .unwrap();
    assert_eq!(settings.request_timeout, Duration::from_millis(500));
    assert!(toml::from_str::<ClientSettings>("address = \"core:5697\"\npool = 1").is_err());
}
