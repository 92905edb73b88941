//! The pages for operators and their machines: `/healthz`, `/readyz`, `/metrics`, over plain HTTP on an address of their own.
//!
//! They tell nothing about tenants or keys, but they are meant for a private network all the same.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::ServerError;
use crate::http::{Head, HttpError, HttpStream, Response, Status};
use crate::server::{ACCEPT_REST, linger, listen};

/// Connections at once; further ones wait.
const MAX_CONNECTIONS: usize = 64;
/// Time for one request, the wait for it included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether a server can serve; if not, the reasons, each a line for an operator.
pub type Readiness = Arc<dyn Fn() -> Result<(), Vec<String>> + Send + Sync>;

/// An admin server that listens but does not run yet.
pub struct AdminServer {
    listener: TcpListener,
    local_address: SocketAddr,
    pages: Arc<Pages>,
}

struct Pages {
    readiness: Readiness,
    registry: Arc<Registry>,
}

struct Page {
    status: Status,
    content_type: &'static str,
    body: String,
}

impl AdminServer {
    /// Listens on `address`; port 0 takes a free one. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn bind(
        address: SocketAddr,
        readiness: Readiness,
        registry: Arc<Registry>,
    ) -> Result<Self, ServerError> {
        let fail = |source| ServerError { address, source };
        let listener = listen(address).map_err(fail)?;
        let local_address = listener.local_addr().map_err(fail)?;
        Ok(Self { listener, local_address, pages: Arc::new(Pages { readiness, registry }) })
    }

    /// The address that the server listens on.
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// Serves until `shutdown` is cancelled.
    pub async fn run(self, shutdown: CancellationToken) {
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        let serve = async {
            loop {
                let permit =
                    Arc::clone(&permits).acquire_owned().await.expect("the semaphore is never closed");
                let stream = accept(&self.listener).await;
                let pages = Arc::clone(&self.pages);
                connections.spawn(async move {
                    pages.serve(stream).await;
                    drop(permit);
                });
                while connections.try_join_next().is_some() {}
            }
        };
        tokio::select! {
            () = serve => {}
            () = shutdown.cancelled() => {}
        }
    }
}

impl Pages {
    /// Answers requests until one ends the connection.
    async fn serve(&self, stream: TcpStream) {
        let mut http = HttpStream::new(stream);
        while let Ok(true) = timeout(REQUEST_TIMEOUT, self.serve_one(&mut http)).await {}
        linger(http.stream()).await;
    }

    /// Whether the connection goes on.
    async fn serve_one(&self, http: &mut HttpStream<TcpStream>) -> bool {
        if !matches!(http.begins().await, Ok(true)) {
            return false;
        }
        let (page, keeps_alive) = match http.head().await {
            Ok(head) => (self.page(&head), head.keeps_alive && !head.has_body()),
            Err(HttpError::Refused(status)) => (Page::of(status), false),
            Err(HttpError::Frame(_)) => return false,
        };
        let response = Response { status: page.status, content_type: page.content_type, keeps_alive };
        http.respond(&response, page.body.as_bytes()).await.is_ok() && keeps_alive
    }

    fn page(&self, head: &Head) -> Page {
        match (head.path.as_str(), head.method.as_str()) {
            ("/healthz" | "/readyz" | "/metrics", method) if method != "GET" => {
                Page::of(Status::MethodNotAllowed)
            }
            ("/healthz", _) => Page::of(Status::Ok),
            ("/readyz", _) => self.readiness(),
            ("/metrics", _) => self.metrics(),
            _ => Page::of(Status::NotFound),
        }
    }

    fn readiness(&self) -> Page {
        match (self.readiness)() {
            Ok(()) => Page::of(Status::Ok),
            Err(reasons) => Page {
                status: Status::ServiceUnavailable,
                content_type: TEXT,
                body: reasons.join("\n") + "\n",
            },
        }
    }

    fn metrics(&self) -> Page {
        let mut body = String::new();
        prometheus_client::encoding::text::encode(&mut body, &self.registry)
            .expect("writing to a string does not fail");
        Page { status: Status::Ok, content_type: OPEN_METRICS, body }
    }
}

impl Page {
    fn of(status: Status) -> Self {
        Self { status, content_type: TEXT, body: format!("{}\n", status.line()) }
    }
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                warn!(%error, "cannot accept an admin connection");
                sleep(ACCEPT_REST).await;
            }
        }
    }
}
