//! As much of HTTP/1.0 and 1.1 as a key server needs: a bounded request head, a body of declared length, one write per response.
//!
//! Written out rather than taken from a framework so that bodies, which hold keys, pass through zeroized memory only.

use std::fmt::Write as _;
use std::io;

use bytes::Bytes;
use kmip_ttlv::SecretBuffer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::FrameError;
use crate::frame::{is_departure, read_to};

/// Bytes of a request line and its header fields.
const MAX_HEAD_BYTES: usize = 8 * 1024;
/// Header fields of a request.
const MAX_FIELDS: usize = 64;
/// What is read at a time while the head is incomplete.
const READ_BYTES: usize = 1024;

/// The response codes in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    BadRequest,
    NotFound,
    MethodNotAllowed,
    LengthRequired,
    ContentTooLarge,
    UnsupportedMediaType,
    HeadTooLarge,
    ServiceUnavailable,
}

/// What of a request's head matters here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) method: String,
    /// Without the query.
    pub(crate) path: String,
    pub(crate) content_type: Option<String>,
    pub(crate) content_length: Option<usize>,
    /// The body comes in chunks, of a length known only at its end.
    pub(crate) is_chunked: bool,
    pub(crate) keeps_alive: bool,
    pub(crate) expects_continue: bool,
}

/// Why a request could not be read.
#[derive(Debug)]
pub(crate) enum HttpError {
    /// The peer is to be told so.
    Refused(Status),
    Frame(FrameError),
}

impl From<Status> for HttpError {
    fn from(status: Status) -> Self {
        Self::Refused(status)
    }
}

impl From<FrameError> for HttpError {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

/// A response, apart from its body.
pub(crate) struct Response<'a> {
    pub(crate) status: Status,
    pub(crate) content_type: &'a str,
    pub(crate) keeps_alive: bool,
}

/// A stream of HTTP requests. Between them it holds no memory.
pub(crate) struct HttpStream<S> {
    stream: S,
    /// Read, not yet used.
    ahead: SecretBuffer,
}

impl<S: AsyncRead + AsyncWrite + Unpin> HttpStream<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, ahead: SecretBuffer::new() }
    }

    pub(crate) fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Waits until a request begins; false if the peer closed instead. May be cancelled and called again.
    pub(crate) async fn begins(&mut self) -> io::Result<bool> {
        if self.ahead.is_empty() {
            let mut first = [0];
            match self.stream.read(&mut first).await {
                Ok(count) => self.ahead.extend_from_slice(&first[..count]),
                Err(error) if is_departure(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(!self.ahead.is_empty())
    }

    /// Reads the head of the request that begins.
    pub(crate) async fn head(&mut self) -> Result<Head, HttpError> {
        loop {
            if let Some((head, length)) = parse(&self.ahead)? {
                self.take(length);
                return Ok(head);
            }
            if self.ahead.len() >= MAX_HEAD_BYTES {
                return Err(Status::HeadTooLarge.into());
            }
            self.read_ahead().await?;
        }
    }

    /// Reads a body of `length` bytes.
    pub(crate) async fn body(&mut self, length: usize) -> Result<Bytes, FrameError> {
        let mut body = self.take(length.min(self.ahead.len()));
        read_to(&mut self.stream, &mut body, length).await?;
        Ok(body.into_bytes())
    }

    /// Tells a peer that waits for it to send its body.
    pub(crate) async fn send_continue(&mut self) -> io::Result<()> {
        self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        self.stream.flush().await
    }

    /// Writes a response: one write to the system where it fits one TLS record.
    pub(crate) async fn respond(&mut self, response: &Response<'_>, body: &[u8]) -> io::Result<()> {
        let head = response.head(body.len());
        let mut message = SecretBuffer::with_capacity(head.len() + body.len());
        message.extend_from_slice(head.as_bytes());
        message.extend_from_slice(body);
        self.stream.write_all(&message).await?;
        self.stream.flush().await
    }

    async fn read_ahead(&mut self) -> Result<(), FrameError> {
        let filled = self.ahead.len();
        self.ahead.resize(filled + READ_BYTES);
        let count = self.stream.read(&mut self.ahead[filled..]).await;
        self.ahead.truncate(filled + *count.as_ref().unwrap_or(&0));
        if count? == 0 { Err(FrameError::Truncated) } else { Ok(()) }
    }

    /// The first `length` bytes of what was read ahead; the rest stays.
    fn take(&mut self, length: usize) -> SecretBuffer {
        let mut rest = SecretBuffer::new();
        if length < self.ahead.len() {
            rest.extend_from_slice(&self.ahead[length..]);
        }
        let mut taken = std::mem::replace(&mut self.ahead, rest);
        taken.truncate(length);
        taken
    }
}

impl Response<'_> {
    fn head(&self, content_length: usize) -> String {
        let Self { status, content_type, keeps_alive } = self;
        let connection = if *keeps_alive { "keep-alive" } else { "close" };
        let mut head = format!(
            "HTTP/1.1 {}\r\nContent-Type: {content_type}\r\nContent-Length: {content_length}\r\n\
             Cache-Control: no-cache\r\nConnection: {connection}\r\n",
            status.line()
        );
        if let Status::MethodNotAllowed = status {
            head.write_str("Allow: GET, POST\r\n").expect("writing to a string does not fail");
        }
        head.push_str("\r\n");
        head
    }
}

impl Status {
    /// The code and its name.
    pub(crate) fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::LengthRequired => "411 Length Required",
            Self::ContentTooLarge => "413 Content Too Large",
            Self::UnsupportedMediaType => "415 Unsupported Media Type",
            Self::HeadTooLarge => "431 Request Header Fields Too Large",
            Self::ServiceUnavailable => "503 Service Unavailable",
        }
    }
}

/// A head and its length, once `bytes` hold all of it.
fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, Status> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => Ok(Some((Head::of(&request)?, length))),
        Ok(httparse::Status::Partial) => Ok(None),
        Err(httparse::Error::TooManyHeaders) => Err(Status::HeadTooLarge),
        Err(_) => Err(Status::BadRequest),
    }
}

impl Head {
    pub(crate) fn has_body(&self) -> bool {
        self.is_chunked || self.content_length.is_some_and(|length| length > 0)
    }

    fn of(request: &httparse::Request<'_, '_>) -> Result<Self, Status> {
        let target = request.path.unwrap_or_default();
        let mut head = Self {
            method: request.method.unwrap_or_default().to_owned(),
            path: target.split('?').next().unwrap_or_default().to_owned(),
            content_type: None,
            content_length: None,
            is_chunked: false,
            keeps_alive: request.version == Some(1),
            expects_continue: false,
        };
        for field in request.headers.iter() {
            let value = std::str::from_utf8(field.value).map_err(|_| Status::BadRequest)?.trim();
            head.note(&field.name.to_ascii_lowercase(), value)?;
        }
        Ok(head)
    }

    fn note(&mut self, name: &str, value: &str) -> Result<(), Status> {
        match name {
            "content-type" => self.content_type = Some(value.to_owned()),
            "content-length" => {
                let length = decimal(value).ok_or(Status::BadRequest)?;
                // Two lengths that disagree are how requests are smuggled.
                if self.content_length.replace(length).is_some_and(|earlier| earlier != length) {
                    return Err(Status::BadRequest);
                }
            }
            "transfer-encoding" => self.is_chunked = true,
            "connection" if has_token(value, "close") => self.keeps_alive = false,
            "connection" if has_token(value, "keep-alive") => self.keeps_alive = true,
            "expect" => self.expects_continue = value.eq_ignore_ascii_case("100-continue"),
            _ => {}
        }
        Ok(())
    }
}

fn has_token(list: &str, token: &str) -> bool {
    list.split(',').any(|item| item.trim().eq_ignore_ascii_case(token))
}

fn decimal(text: &str) -> Option<usize> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn head(text: &str) -> Result<Option<(Head, usize)>, Status> {
        parse(text.as_bytes())
    }

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let text = "POST /kmip?x=1 HTTP/1.1\r\nContent-type: text/xml\r\nCONTENT-LENGTH: 12\r\nExpect: 100-Continue\r\n\r\n";
        for cut in 0..text.len() {
            assert_eq!(head(&text[..cut]), Ok(None), "cut at {cut}");
        }
        let expected = Head {
            method: "POST".into(),
            path: "/kmip".into(),
            content_type: Some("text/xml".into()),
            content_length: Some(12),
            is_chunked: false,
            keeps_alive: true,
            expects_continue: true,
        };
        assert_eq!(head(text), Ok(Some((expected, text.len()))));
    }

    #[test]
    fn connections_persist_by_version_and_wish() {
        let keeps_alive = |text: &str| head(text).unwrap().unwrap().0.keeps_alive;
        assert!(keeps_alive("GET / HTTP/1.1\r\n\r\n"));
        assert!(!keeps_alive("GET / HTTP/1.0\r\n\r\n"));
        assert!(!keeps_alive("GET / HTTP/1.1\r\nConnection: upgrade, Close\r\n\r\n"));
        assert!(keeps_alive("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    }

    #[test]
    fn doubtful_lengths_and_other_protocols_are_refused() {
        for text in [
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
            "POST / HTTP/2.0\r\n\r\n",
            "\x16\x03\x01\x02\x00",
        ] {
            assert_eq!(head(text), Err(Status::BadRequest), "{text:?}");
        }
    }
}
