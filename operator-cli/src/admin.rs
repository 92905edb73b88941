//! The health pages of the servers, asked over plain HTTP.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a page may take.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Bytes of a page that are read at most.
const MAX_PAGE_BYTES: u64 = 1024 * 1024;

/// How a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It serves.
    Ready,
    /// It runs, but something that it needs is missing: what, in its own words.
    NotReady(String),
    /// It does not answer: why.
    Down(String),
}

impl Health {
    /// One word for a table.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::NotReady(_) => "not ready",
            Self::Down(_) => "down",
        }
    }

    /// What is wrong, if anything.
    pub fn problem(&self) -> Option<&str> {
        match self {
            Self::Ready => None,
            Self::NotReady(problem) | Self::Down(problem) => Some(problem),
        }
    }
}

/// Asks the admin address of a server how it is.
pub async fn health(address: SocketAddr) -> Health {
    match timeout(TIMEOUT, page(address, "/readyz")).await {
        Ok(Ok((200, _))) => Health::Ready,
        Ok(Ok((503, body))) => Health::NotReady(body.trim().replace('\n', "; ")),
        Ok(Ok((status, _))) => Health::Down(format!("{address} answers HTTP {status}")),
        Ok(Err(error)) => Health::Down(format!("{address}: {error}")),
        Err(_) => Health::Down(format!("{address} does not answer")),
    }
}

/// The status and body of a page.
async fn page(address: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX_PAGE_BYTES).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.ok_or_else(|| std::io::Error::other("no HTTP"))?, body.to_owned()))
}
