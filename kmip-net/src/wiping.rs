//! The wire below TLS, which keeps the buffer that TLS reads into clean.
//!
//! rustls decrypts where it has read, and keeps that buffer for the next record: what passed last would stay in the memory of an
//! idle connection. It asks for more with the whole unused part of the buffer in hand, so this is where it can be wiped, by
//! whoever waits for the next message.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What TLS runs over.
pub(crate) type Wire = Wiping<TcpStream>;

/// A stream that zeroes the space it is given before it reads into it.
pub(crate) struct Wiping<S>(pub(crate) S);

impl<S: AsyncRead + Unpin> AsyncRead for Wiping<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        buffer.initialize_unfilled().fill(0);
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wiping<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn who_waits_for_more_leaves_nothing_of_what_passed_before() {
        let (mut near, _far) = tokio::io::duplex(64);
        let mut memory = *b"a key that was decrypted here";
        let mut buffer = ReadBuf::new(&mut memory);
        buffer.advance(2);
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut Wiping(&mut near)).poll_read(&mut context, &mut buffer).is_pending());
        assert_eq!(buffer.filled(), b"a ");
        assert!(memory[2..].iter().all(|byte| *byte == 0));
    }
}
