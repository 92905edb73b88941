//! KMIP over HTTPS (KMIP Profiles 2.1, 5.3): `POST /kmip` with one message as the body, in TTLV, XML or JSON.

use std::sync::Arc;

use bytes::Bytes;
use kmip_ttlv::message_length;
use tokio::time::{Instant, timeout};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::http::{Head, HttpError, HttpStream, Response, Status};
use crate::metrics::Refusal;
use crate::server::{Secured, Shared};
use crate::session::{End, Exchange, finish, serve_requests};
use crate::wiping::Wire;
use crate::{Connection, Encoding, FrameError, FrameHandler, ServerTls};

const PATH: &str = "/kmip";

struct HttpsSession<'a, H> {
    shared: &'a Shared<H>,
    connection: &'a Connection,
    http: HttpStream<TlsStream<Wire>>,
    judged_under: Arc<ServerTls>,
}

struct Request {
    encoding: Encoding,
    body: Bytes,
    keeps_alive: bool,
}

/// Serves a connection to its end.
pub(crate) async fn run<H: FrameHandler>(
    shared: &Shared<H>,
    connection: &Connection,
    secured: Secured,
    shutdown: CancellationToken,
) {
    let Secured { stream, judged_under } = secured;
    let mut session = HttpsSession { shared, connection, http: HttpStream::new(stream), judged_under };
    let end = serve_requests(&mut session, shared.limits.idle_timeout, &shutdown).await;
    finish(shared, connection, session.http.stream(), end).await;
}

impl<H: FrameHandler> Exchange for HttpsSession<'_, H> {
    async fn begins(&mut self) -> std::io::Result<bool> {
        self.http.begins().await
    }

    async fn serve_one(&mut self) -> Result<(), End> {
        let Request { encoding, body, keeps_alive } = self.receive().await?;
        self.shared.judge(self.connection, &mut self.judged_under, self.http.stream())?;
        if let Some(error) = unreadable(encoding, &body, &self.shared.limits.frame()) {
            return self.send(encoding, &self.shared.handler.refuse(error), keeps_alive).await;
        }
        let (request_bytes, started) = (body.len(), Instant::now());
        let response = self.shared.handler.handle_encoded(self.connection, encoding, body).await;
        self.shared.metrics.answered(request_bytes, response.len(), started.elapsed());
        // Over HTTP the roles cannot be reversed; a connection on which they should be is of no more use.
        self.send(
            encoding,
            &response,
            keeps_alive && !self.connection.is_reversed() && !self.connection.is_ended(),
        )
        .await
    }
}

impl<H: FrameHandler> HttpsSession<'_, H> {
    async fn receive(&mut self) -> Result<Request, End> {
        match timeout(self.shared.limits.request_timeout, self.request()).await {
            Ok(Ok(request)) => Ok(request),
            Ok(Err(HttpError::Refused(status))) => {
                let response = Response { status, content_type: "text/plain", keeps_alive: false };
                let line = status.line();
                self.write(&response, line.as_bytes()).await?;
                Err(End::Refused(Refusal::Unreadable))
            }
            Ok(Err(HttpError::Frame(FrameError::Broken(error)))) => Err(End::Broken(error)),
            Ok(Err(HttpError::Frame(_))) => Err(End::Cut(Refusal::Truncated)),
            Err(_) => Err(End::Cut(Refusal::RequestTimeout)),
        }
    }

    async fn request(&mut self) -> Result<Request, HttpError> {
        let head = self.http.head().await?;
        let encoding = encoding_of(&head)?;
        if !self.shared.handler.encodings().contains(&encoding) {
            return Err(Status::UnsupportedMediaType.into());
        }
        let length = content_length(&head, self.shared.limits.max_message_bytes)?;
        if head.expects_continue {
            self.http.send_continue().await.map_err(FrameError::Broken)?;
        }
        let body = self.http.body(length).await?;
        Ok(Request { encoding, body, keeps_alive: head.keeps_alive })
    }

    async fn send(&mut self, encoding: Encoding, message: &[u8], keeps_alive: bool) -> Result<(), End> {
        let content_type = content_type(encoding);
        self.write(&Response { status: Status::Ok, content_type, keeps_alive }, message).await?;
        if keeps_alive { Ok(()) } else { Err(End::Done) }
    }

    async fn write(&mut self, response: &Response<'_>, body: &[u8]) -> Result<(), End> {
        let written = timeout(self.shared.limits.write_timeout, self.http.respond(response, body)).await;
        End::of_write(written)
    }
}

/// Judges what the head alone tells.
fn encoding_of(head: &Head) -> Result<Encoding, Status> {
    if head.path != PATH {
        return Err(Status::NotFound);
    }
    if head.method != "POST" {
        return Err(Status::MethodNotAllowed);
    }
    let full = head.content_type.as_deref().unwrap_or_default();
    let media_type = full.split(';').next().unwrap_or_default().trim();
    let known = [Encoding::Ttlv, Encoding::Xml, Encoding::Json];
    known
        .into_iter()
        .find(|encoding| media_type.eq_ignore_ascii_case(content_type(*encoding)))
        .ok_or(Status::UnsupportedMediaType)
}

fn content_length(head: &Head, limit: usize) -> Result<usize, Status> {
    match head.content_length {
        _ if head.is_chunked => Err(Status::LengthRequired),
        None => Err(Status::LengthRequired),
        Some(length) if length > limit => Err(Status::ContentTooLarge),
        Some(length) => Ok(length),
    }
}

fn content_type(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Ttlv => "application/octet-stream",
        Encoding::Xml => "text/xml",
        Encoding::Json => "application/json",
    }
}

/// What is wrong with a TTLV body as a frame. HTTP has said where it ends, so the connection survives.
fn unreadable(encoding: Encoding, body: &[u8], limits: &kmip_ttlv::Limits) -> Option<kmip_ttlv::Error> {
    use kmip_ttlv::ErrorKind::{TrailingBytes, Truncated};
    if encoding != Encoding::Ttlv {
        return None;
    }
    let fault = |kind, offset| Some(kmip_ttlv::Error { kind, offset, tag: None });
    let Some(first_bytes) = body.first_chunk() else { return fault(Truncated, body.len()) };
    match message_length(first_bytes, limits) {
        Err(error) => Some(error),
        Ok(length) if length > body.len() => fault(Truncated, body.len()),
        Ok(length) if length < body.len() => fault(TrailingBytes, length),
        Ok(_) => None,
    }
}
