//! A KMIP session on an established connection: one frame in, one frame out, in order, each step within its time.
//!
//! The next request is read when the previous one is answered; until then it waits in the socket, so a peer that pipelines costs no
//! memory here and flow control reaches it by itself.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::connection::Push;
use crate::frame::{Frames, is_departure};
use crate::metrics::Refusal;
use crate::server::{Secured, Shared, close, linger};
use crate::wiping::Wire;
use crate::{Connection, FrameError, FrameHandler, PushError, ServerTls};

/// Why a session ended.
pub(crate) enum End {
    /// The peer closed, or the server shuts down.
    Done,
    /// We end it; the peer is not told why.
    Cut(Refusal),
    /// We end it; the peer was told why and may still be sending.
    Refused(Refusal),
    /// The connection failed.
    Broken(io::Error),
}

/// One way to carry requests over a connection.
pub(crate) trait Exchange {
    /// Waits until a request begins; false if the peer closed instead. May be cancelled and called again.
    async fn begins(&mut self) -> io::Result<bool>;

    /// Receives the request that begins, answers it, or ends the session.
    async fn serve_one(&mut self) -> Result<(), End>;
}

struct Session<'a, H> {
    shared: &'a Shared<H>,
    connection: &'a Connection,
    frames: Frames<TlsStream<Wire>>,
    judged_under: Arc<ServerTls>,
    shutdown: CancellationToken,
}

/// Serves a connection to its end.
pub(crate) async fn run<H: FrameHandler>(
    shared: &Shared<H>,
    connection: &Connection,
    secured: Secured,
    shutdown: CancellationToken,
) {
    let Secured { stream, judged_under } = secured;
    let frames = Frames::new(stream, shared.limits.frame());
    let mut session = Session { shared, connection, frames, judged_under, shutdown: shutdown.clone() };
    let end = serve_requests(&mut session, shared.limits.idle_timeout, &shutdown).await;
    finish(shared, connection, session.frames.stream(), end).await;
}

/// Closes a connection as its end asks for.
pub(crate) async fn finish<H>(
    shared: &Shared<H>,
    connection: &Connection,
    stream: &mut TlsStream<Wire>,
    end: End,
) {
    match end {
        End::Done => close(stream).await,
        End::Cut(reason) => {
            debug!(?connection, ?reason, "the connection is cut");
            shared.metrics.refused(reason);
            close(stream).await;
        }
        End::Refused(reason) => {
            debug!(?connection, ?reason, "the request is refused and the connection closed");
            shared.metrics.refused(reason);
            linger(stream).await;
        }
        End::Broken(error) => debug!(?connection, %error, "the connection failed"),
    }
}

/// Answers requests until something ends the session. The timer and the shutdown watch are made once, not once a request.
pub(crate) async fn serve_requests(
    exchange: &mut impl Exchange,
    idle_timeout: Duration,
    shutdown: &CancellationToken,
) -> End {
    let mut idle = pin!(sleep(idle_timeout));
    let mut stopping = pin!(shutdown.cancelled());
    loop {
        let begins = tokio::select! {
            biased;
            // First, so that a request which has arrived is answered even when the server stops.
            begins = exchange.begins() => begins,
            () = &mut stopping => return End::Done,
            () = &mut idle => return End::Cut(Refusal::IdleTimeout),
        };
        match begins {
            Ok(true) => {}
            Ok(false) => return End::Done,
            Err(error) => return End::Broken(error),
        }
        if let Err(end) = exchange.serve_one().await {
            return end;
        }
        if shutdown.is_cancelled() {
            return End::Done;
        }
        idle.as_mut().reset(Instant::now() + idle_timeout);
    }
}

impl End {
    /// What the outcome of a write, within its time or not, means for the session.
    pub(crate) fn of_write(written: Result<io::Result<()>, Elapsed>) -> Result<(), Self> {
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if is_departure(&error) => Err(Self::Done),
            Ok(Err(error)) => Err(Self::Broken(error)),
            Err(_) => Err(Self::Cut(Refusal::WriteTimeout)),
        }
    }
}

impl<H: FrameHandler> Shared<H> {
    /// A connection outlives the judgement it began with: after a reload, its peer is judged again.
    pub(crate) fn judge(
        &self,
        connection: &Connection,
        judged_under: &mut Arc<ServerTls>,
        stream: &TlsStream<Wire>,
    ) -> Result<(), End> {
        self.tls.judge_again(judged_under, stream).map_err(|error| {
            warn!(?connection, %error, "the peer's certificate is no longer accepted");
            End::Refused(Refusal::Certificate)
        })
    }
}

impl<H: FrameHandler> Exchange for Session<'_, H> {
    async fn begins(&mut self) -> io::Result<bool> {
        self.frames.begins().await
    }

    async fn serve_one(&mut self) -> Result<(), End> {
        let request = self.receive(self.shared.limits.request_timeout).await?;
        self.judge()?;
        let (request_bytes, started) = (request.len(), Instant::now());
        let response = self.shared.handler.handle(self.connection, request).await;
        self.shared.metrics.answered(request_bytes, response.len(), started.elapsed());
        self.send(&response).await?;
        if self.connection.is_ended() {
            return Err(End::Done);
        }
        if self.connection.is_reversed() { Err(self.serve_pushes().await) } else { Ok(()) }
    }
}

impl<H: FrameHandler> Session<'_, H> {
    /// The rest of the frame that has begun.
    async fn receive(&mut self, limit: Duration) -> Result<Bytes, End> {
        match timeout(limit, self.frames.finish()).await {
            Ok(Ok(request)) => Ok(request),
            Ok(Err(FrameError::Unreadable(error))) => {
                self.send(&self.shared.handler.refuse(error)).await?;
                Err(End::Refused(Refusal::Unreadable))
            }
            Ok(Err(FrameError::Truncated)) => Err(End::Cut(Refusal::Truncated)),
            Ok(Err(FrameError::Broken(error))) => Err(End::Broken(error)),
            Err(_) => Err(End::Cut(Refusal::RequestTimeout)),
        }
    }

    async fn send(&mut self, message: &[u8]) -> Result<(), End> {
        End::of_write(timeout(self.shared.limits.write_timeout, self.frames.send(message)).await)
    }

    fn judge(&mut self) -> Result<(), End> {
        self.shared.judge(self.connection, &mut self.judged_under, self.frames.stream())
    }

    /// Roles are reversed: requests go out as they are asked for, one at a time, and the peer answers them.
    async fn serve_pushes(&mut self) -> End {
        let Some(mut pushes) = self.connection.take_pushes() else { return End::Done };
        loop {
            let push = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return End::Done,
                begins = self.frames.begins() => return match begins {
                    Ok(true) => End::Refused(Refusal::Unreadable),
                    Ok(false) => End::Done,
                    Err(error) => End::Broken(error),
                },
                push = pushes.recv() => push,
            };
            let Some(Push { message, answer }) = push else { return End::Done };
            match self.push(&message).await {
                // Whoever asked may have stopped waiting.
                Ok(response) => drop(answer.send(Ok(response))),
                Err(end) => {
                    let timed_out = matches!(end, End::Cut(Refusal::RequestTimeout | Refusal::WriteTimeout));
                    let error = if timed_out { PushError::TimedOut } else { PushError::Closed };
                    drop(answer.send(Err(error)));
                    return end;
                }
            }
        }
    }

    async fn push(&mut self, message: &[u8]) -> Result<Bytes, End> {
        self.judge()?;
        self.send(message).await?;
        let limit = self.shared.limits.push_timeout;
        match timeout(limit, self.frames.begins()).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => return Err(End::Done),
            Ok(Err(error)) => return Err(End::Broken(error)),
            Err(_) => return Err(End::Cut(Refusal::RequestTimeout)),
        }
        let response = self.receive(limit).await?;
        self.shared.metrics.pushed(message.len(), response.len());
        Ok(response)
    }
}
