//! How much of a server each source address holds, so that none can take all of it.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Semaphore;

/// The source addresses that hold connections now.
pub(crate) struct Shares {
    max_connections: usize,
    max_handshakes: usize,
    sources: Mutex<HashMap<IpAddr, Source>>,
}

struct Source {
    connections: usize,
    handshakes: Arc<Semaphore>,
}

/// One connection's part of its source's share; given back when dropped.
pub(crate) struct Share {
    shares: Arc<Shares>,
    source: IpAddr,
    /// Bounds the handshakes of this source.
    pub(crate) handshakes: Arc<Semaphore>,
}

impl Shares {
    pub(crate) fn new(max_connections: usize, max_handshakes: usize) -> Arc<Self> {
        Arc::new(Self { max_connections, max_handshakes, sources: Mutex::default() })
    }

    /// Takes a share for a connection from `address`, if its source has one left.
    pub(crate) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Share> {
        let source = source_of(address);
        let mut sources = self.sources();
        let held = sources.entry(source).or_insert_with(|| Source {
            connections: 0,
            handshakes: Arc::new(Semaphore::new(self.max_handshakes)),
        });
        if held.connections >= self.max_connections {
            return None;
        }
        held.connections += 1;
        Some(Share { shares: Arc::clone(self), source, handshakes: Arc::clone(&held.handshakes) })
    }

    /// The lock is never held across anything that panics, and a count is right even if it were.
    fn sources(&self) -> MutexGuard<'_, HashMap<IpAddr, Source>> {
        self.sources.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut sources = self.shares.sources();
        if let Some(held) = sources.get_mut(&self.source) {
            held.connections -= 1;
            if held.connections == 0 {
                sources.remove(&self.source);
            }
        }
    }
}

/// A host has as many IPv6 addresses as it likes, but one /64 network.
fn source_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_source_takes_its_share_and_no_more() {
        let shares = Shares::new(2, 1);
        let first = shares.take(address("192.0.2.1")).unwrap();
        let _second = shares.take(address("::ffff:192.0.2.1")).unwrap();
        assert!(shares.take(address("192.0.2.1")).is_none());
        assert!(shares.take(address("192.0.2.2")).is_some());
        drop(first);
        assert!(shares.take(address("192.0.2.1")).is_some());
    }

    #[test]
    fn an_ipv6_network_is_one_source_and_nothing_is_left_behind() {
        let shares = Shares::new(1, 1);
        let held = shares.take(address("2001:db8::1")).unwrap();
        assert!(shares.take(address("2001:db8::2:1")).is_none());
        assert!(shares.take(address("2001:db8:0:1::1")).is_some());
        drop(held);
        assert!(shares.sources().is_empty());
    }
}
