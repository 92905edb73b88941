//! What a server grants its peers: every bound has a name, a unit and a default.

use std::time::Duration;

use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer};

/// The bounds of one listening server. In configuration, durations are seconds, whole or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerLimits {
    /// Connections at once. Further ones wait in the system's backlog, unaccepted.
    #[serde(deserialize_with = "count")]
    pub max_connections: usize,
    /// Connections at once from one source address (IPv6: from one /64). Further ones are closed.
    #[serde(deserialize_with = "count")]
    pub max_connections_per_source: usize,
    /// Handshakes at once whose client hello has arrived: what bounds the cost of public-key cryptography.
    #[serde(deserialize_with = "count")]
    pub max_handshakes: usize,
    /// Of these, those of one source address. Further ones wait.
    #[serde(deserialize_with = "count")]
    pub max_handshakes_per_source: usize,
    /// Time for the client hello to arrive, and again for the rest of the handshake.
    #[serde(rename = "handshake_timeout_seconds", deserialize_with = "seconds")]
    pub handshake_timeout: Duration,
    /// Time without a request after which a connection is closed.
    #[serde(rename = "idle_timeout_seconds", deserialize_with = "seconds")]
    pub idle_timeout: Duration,
    /// Time from the first byte of a request to its last.
    #[serde(rename = "request_timeout_seconds", deserialize_with = "seconds")]
    pub request_timeout: Duration,
    /// Time for the peer to take a response.
    #[serde(rename = "write_timeout_seconds", deserialize_with = "seconds")]
    pub write_timeout: Duration,
    /// Time for a peer to answer what the server asks of it once roles are reversed.
    #[serde(rename = "push_timeout_seconds", deserialize_with = "seconds")]
    pub push_timeout: Duration,
    /// Time for requests in flight to end when the server shuts down.
    #[serde(rename = "drain_timeout_seconds", deserialize_with = "seconds")]
    pub drain_timeout: Duration,
    /// Bytes of one message, its header included.
    #[serde(deserialize_with = "count")]
    pub max_message_bytes: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            max_connections: 20_000,
            max_connections_per_source: 15_000,
            max_handshakes: 256,
            max_handshakes_per_source: 128,
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(300),
            request_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            push_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(10),
            max_message_bytes: kmip_ttlv::Limits::DEFAULT_MESSAGE_BYTES,
        }
    }
}

impl ServerLimits {
    pub(crate) fn frame(&self) -> kmip_ttlv::Limits {
        frame_limits(self.max_message_bytes)
    }
}

/// Only the length of a message is judged here; what is in it is for whoever decodes it.
pub(crate) fn frame_limits(max_message_bytes: usize) -> kmip_ttlv::Limits {
    kmip_ttlv::Limits { message_bytes: max_message_bytes, ..kmip_ttlv::Limits::default() }
}

/// Reads a positive number of seconds.
pub(crate) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(D::Error::invalid_value(Unexpected::Float(seconds), &"a positive number of seconds")),
    }
}

/// Reads a number that is at least one, and no more than 32 bits hold.
pub(crate) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let count = std::num::NonZeroU32::deserialize(deserializer)?;
    usize::try_from(count.get()).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn seconds_may_be_whole_or_not_but_must_be_positive() {
        let limits: ServerLimits =
            toml::from_str("idle_timeout_seconds = 60\nrequest_timeout_seconds = 0.25").unwrap();
        assert_eq!(limits.idle_timeout, Duration::from_secs(60));
        assert_eq!(limits.request_timeout, Duration::from_millis(250));
        assert_eq!(limits.max_connections, ServerLimits::default().max_connections);
        for wrong in ["idle_timeout_seconds = 0", "idle_timeout_seconds = -1", "idle_timeout_seconds = inf"] {
            assert!(toml::from_str::<ServerLimits>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn counts_must_be_positive() {
        assert_eq!(toml::from_str::<ServerLimits>("max_handshakes = 7").unwrap().max_handshakes, 7);
        for wrong in ["max_connections = 0", "max_message_bytes = -1", "max_handshakes = 5000000000"] {
            assert!(toml::from_str::<ServerLimits>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn unknown_limits_are_refused() {
        assert!(toml::from_str::<ServerLimits>("idle_timeout = 60").is_err());
    }
}
