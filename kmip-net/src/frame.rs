//! KMIP frames on a byte stream: the declared length is judged first, memory follows what has really arrived.

use std::io::{self, ErrorKind};

use bytes::Bytes;
use kmip_ttlv::{Limits, SecretBuffer, message_length};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const HEADER_BYTES: usize = 8;

/// What is allocated for a frame before more of it than this has arrived; then twice what has arrived.
const FIRST_ALLOCATION_BYTES: usize = 16 * 1024;

/// Why no frame could be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The first eight bytes are not the start of a KMIP message, or declare too long a one.
    #[error("no readable message: {0}")]
    Unreadable(#[from] kmip_ttlv::Error),
    /// The peer closed in the middle of a message.
    #[error("the connection was closed in the middle of a message")]
    Truncated,
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Broken(#[from] io::Error),
}

/// A stream of frames. Between frames it holds eight bytes of its own.
pub(crate) struct Frames<S> {
    stream: S,
    limits: Limits,
    header: [u8; HEADER_BYTES],
    header_filled: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    pub(crate) fn new(stream: S, limits: Limits) -> Self {
        Self { stream, limits, header: [0; HEADER_BYTES], header_filled: 0 }
    }

    pub(crate) fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Waits until a frame begins; false if the peer closed instead. May be cancelled and called again.
    pub(crate) async fn begins(&mut self) -> io::Result<bool> {
        if self.header_filled == 0 {
            match self.stream.read(&mut self.header).await {
                Ok(count) => self.header_filled = count,
                // A peer that just goes, without a close_notify, between messages has lost nothing.
                Err(error) if is_departure(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.header_filled > 0)
    }

    /// Reads the rest of the frame that begins. If this is cancelled, the stream is of no more use.
    pub(crate) async fn finish(&mut self) -> Result<Bytes, FrameError> {
        self.stream.read_exact(&mut self.header[self.header_filled..]).await.map_err(cut_off)?;
        self.header_filled = 0;
        let length = message_length(&self.header, &self.limits)?;
        let mut frame = SecretBuffer::with_capacity(length.min(FIRST_ALLOCATION_BYTES));
        frame.extend_from_slice(&self.header);
        read_to(&mut self.stream, &mut frame, length).await?;
        Ok(frame.into_bytes())
    }

    /// Writes one message: one write to the system where it fits one TLS record.
    pub(crate) async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.stream.write_all(message).await?;
        self.stream.flush().await
    }
}

/// Fills `buffer` up to `length` bytes from the stream, allocating no more than twice of what has arrived.
pub(crate) async fn read_to<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut SecretBuffer,
    length: usize,
) -> Result<(), FrameError> {
    while buffer.len() < length {
        let filled = buffer.len();
        buffer.resize(length.min(FIRST_ALLOCATION_BYTES.max(2 * filled)));
        stream.read_exact(&mut buffer[filled..]).await.map_err(cut_off)?;
    }
    Ok(())
}

/// Whether an error only says that the peer is gone.
pub(crate) fn is_departure(error: &io::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe)
}

fn cut_off(error: io::Error) -> FrameError {
    if error.kind() == ErrorKind::UnexpectedEof { FrameError::Truncated } else { FrameError::Broken(error) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use kmip_ttlv::ErrorKind as TtlvErrorKind;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tokio::io::{ReadBuf, duplex};

    use super::*;

    const MIB: usize = 1024 * 1024;

    fn message(body_bytes: usize) -> Vec<u8> {
        let mut message = vec![0x42, 0x00, 0x78, 0x01];
        message.extend_from_slice(&u32::try_from(body_bytes).unwrap().to_be_bytes());
        message.resize(HEADER_BYTES + body_bytes, 0xA5);
        message
    }

    async fn read_all(bytes: Vec<u8>, piece: usize) -> Vec<Result<Bytes, FrameError>> {
        let (mut writer, reader) = duplex(piece);
        let feed = tokio::spawn(async move { writer.write_all(&bytes).await });
        let mut frames = Frames::new(reader, Limits::default());
        let mut read = Vec::new();
        while frames.begins().await.unwrap() {
            read.push(frames.finish().await);
            if read.last().unwrap().is_err() {
                break;
            }
        }
        drop(frames);
        let _ = feed.await.unwrap();
        read
    }

    #[tokio::test]
    async fn frames_survive_any_fragmentation() {
        let (small, large) = (message(16), message(100_000));
        for piece in [1, 7, 8, 9, 4096, MIB] {
            let read = read_all([small.clone(), large.clone(), small.clone()].concat(), piece).await;
            let read: Vec<Bytes> = read.into_iter().map(Result::unwrap).collect();
            assert_eq!(read, [&small[..], &large[..], &small[..]]);
        }
    }

    #[tokio::test]
    async fn a_frame_cut_anywhere_is_truncated() {
        let whole = message(40);
        for cut in 1..whole.len() {
            let read = read_all(whole[..cut].to_vec(), MIB).await;
            assert!(matches!(read[..], [Err(FrameError::Truncated)]), "cut at {cut}");
        }
    }

    #[tokio::test]
    async fn a_declared_length_beyond_the_limit_is_refused_before_its_body() {
        let mut header = message(0);
        header[4..8].copy_from_slice(&u32::try_from(MIB).unwrap().to_be_bytes());
        let read = read_all(header, MIB).await;
        let Some(Err(FrameError::Unreadable(error))) = read.first() else { panic!("{read:?}") };
        assert_eq!(error.kind, TtlvErrorKind::MessageTooLarge);
    }

    /// Gives what it has, then ends; notes the most that it was asked for.
    struct Asked<'a> {
        bytes: &'a [u8],
        most: usize,
    }

    impl AsyncRead for Asked<'_> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.most = self.most.max(buffer.remaining());
            Pin::new(&mut self.bytes).poll_read(context, buffer)
        }
    }

    #[tokio::test]
    async fn memory_follows_what_has_arrived() {
        for (arrived, most) in [(0, FIRST_ALLOCATION_BYTES), (100_000, 2 * 100_000)] {
            let mut stream = Asked { bytes: &vec![0; arrived], most: 0 };
            let mut frame = SecretBuffer::new();
            let read = read_to(&mut stream, &mut frame, 64 * MIB).await;
            assert!(matches!(read, Err(FrameError::Truncated)));
            assert!(
                stream.most <= most && frame.capacity() <= 2 * most,
                "{} {}",
                stream.most,
                frame.capacity()
            );
        }
    }
}
