//! KMIP transport: TLS, framing, identity, limits; the server shell and the client.
//!
//! This crate knows frames and peers, not operations. A server hands it a [`FrameHandler`] and gets verified peers and whole
//! requests; a client gets whole responses. What the bytes of a frame mean beyond their declared length is somebody else's affair.
#![forbid(unsafe_code)]

mod admin;
mod client;
mod connection;
mod frame;
mod http;
mod https;
mod identity;
mod limits;
mod metrics;
mod peer;
mod server;
mod session;
mod shares;
mod tls;
mod wiping;

pub use admin::{AdminServer, Readiness};
pub use client::{Client, ClientConnection, ClientError, ClientSettings};
pub use connection::{Connection, PushError, Pusher};
pub use frame::FrameError;
pub use identity::{Identity, IdentityError, IdentityRule, IdentitySource};
pub use limits::ServerLimits;
pub use metrics::TransportMetrics;
pub use peer::{Peer, PeerError};
pub use server::{Encoding, FrameHandler, Server, ServerError, ServerSettings};
pub use tls::{ClientTls, ReloadableTls, ServerTls, TlsError, TlsSettings};
pub use tokio_util::sync::CancellationToken;
