//! The pages for operators.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kmip_net::{AdminServer, CancellationToken, TransportMetrics};
use prometheus_client::registry::Registry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn fetch(address: SocketAddr, request_line: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{request_line} HTTP/1.1\r\nHost: krypton\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}

#[tokio::test]
async fn health_readiness_and_metrics_are_told() {
    let ready = Arc::new(AtomicBool::new(false));
    let mut registry = Registry::with_prefix("krypton");
    let _metrics = TransportMetrics::register(&mut registry);
    let is_ready = Arc::clone(&ready);
    let readiness = Arc::new(move || match is_ready.load(Ordering::Relaxed) {
        true => Ok(()),
        false => Err(vec!["the core is away".to_owned(), "the store is read-only".to_owned()]),
    });
    let server = AdminServer::bind(([127, 0, 0, 1], 0).into(), readiness, Arc::new(registry)).unwrap();
    let (address, shutdown) = (server.local_address(), CancellationToken::new());
    let running = tokio::spawn(server.run(shutdown.clone()));

    assert!(fetch(address, "GET /healthz").await.starts_with("HTTP/1.1 200 OK\r\n"));
    let response = fetch(address, "GET /readyz").await;
    assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
    assert!(response.ends_with("\r\n\r\nthe core is away\nthe store is read-only\n"), "{response}");
    ready.store(true, Ordering::Relaxed);
    assert!(fetch(address, "GET /readyz?verbose").await.starts_with("HTTP/1.1 200 OK\r\n"));
    let response = fetch(address, "GET /metrics").await;
    assert!(response.contains("krypton_connections_open 0\n"), "{response}");
    assert!(response.ends_with("# EOF\n"), "{response}");
    assert!(fetch(address, "GET /other").await.starts_with("HTTP/1.1 404 "));
    assert!(fetch(address, "POST /metrics").await.starts_with("HTTP/1.1 405 "));

    shutdown.cancel();
    running.await.unwrap();
}
