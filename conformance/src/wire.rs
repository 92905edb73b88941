//! Sends a message to a server and receives the answer, in any of KMIP's encodings, over mutually authenticated TLS.
//!
//! Blocking and without the project's own transport, so that the two do not share mistakes.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kmip_protocol::dictionary::Names;
use kmip_ttlv::{json, xml};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{CipherSuite, ClientConfig, ClientConnection, RootCertStore, StreamOwned, version};
use thiserror::Error;

use crate::item::{Item, LIMITS};

/// Bytes in front of a TTLV message that tell its length.
const TTLV_HEAD_BYTES: usize = 8;
/// The longest head of an HTTP response.
const MAX_HTTP_HEAD_BYTES: usize = 16 * 1024;
/// Header fields of an HTTP response.
const MAX_HTTP_FIELDS: usize = 64;
/// Where KMIP is asked over HTTPS (Profiles 2.1, section 5.3.2).
const HTTP_TARGET: &str = "/kmip";

/// How messages travel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Encoding {
    /// TTLV over TLS.
    Ttlv,
    /// TTLV over HTTPS.
    Https,
    /// XML over HTTPS.
    Xml,
    /// JSON over HTTPS.
    Json,
}

/// What TLS must agree on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Suite {
    /// Whatever both sides like best.
    Any,
    /// TLS 1.3.
    Tls13,
    /// Suite B with a minimum of 128 bits: TLS 1.2, ECDHE-ECDSA-AES128-GCM-SHA256.
    SuiteB128,
    /// Suite B with a minimum of 192 bits: TLS 1.2, ECDHE-ECDSA-AES256-GCM-SHA384.
    SuiteB192,
}

/// A server to be judged.
#[derive(Clone, Debug)]
pub struct Subject {
    /// What reports call it.
    pub name: String,
    /// `host:port` of KMIP over TLS.
    pub address: String,
    /// `host:port` of KMIP over HTTPS.
    pub https: Option<String>,
    /// Who the runner is.
    pub credentials: Credentials,
    /// The longest wait for a connection, and for each part of an answer.
    pub timeout: Duration,
}

/// PEM files of a TLS client.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The authority that the server's certificate is from.
    pub ca: PathBuf,
    /// The client's certificate chain.
    pub cert: PathBuf,
    /// The client's private key.
    pub key: PathBuf,
}

/// Why there is no answer to compare.
#[derive(Debug, Error)]
pub enum WireError {
    /// The subject has no HTTPS address.
    #[error("the subject has no HTTPS address")]
    NoHttps,
    /// A PEM file cannot be used.
    #[error("{path}: {what}")]
    Credentials {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The address names no server.
    #[error("{0} names no server")]
    Address(String),
    /// No connection, or not the expected peer.
    #[error("connect: {0}")]
    Connect(String),
    /// The connection broke, or was too slow.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The answer is not KMIP, or not HTTP as KMIP uses it.
    #[error("the answer is unusable: {0}")]
    Unusable(String),
}

/// A way to a server.
pub struct Wire {
    address: String,
    encoding: Encoding,
    config: Arc<ClientConfig>,
    timeout: Duration,
    /// Kept over messages for TTLV; HTTPS opens one for each.
    connection: Option<Connection>,
}

type Connection = StreamOwned<ClientConnection, TcpStream>;

impl Wire {
    /// Prepares a way to the subject. Nothing is sent yet.
    ///
    /// # Errors
    /// [`WireError::NoHttps`], [`WireError::Credentials`].
    pub fn new(subject: &Subject, encoding: Encoding, suite: Suite) -> Result<Self, WireError> {
        let address = match encoding {
            Encoding::Ttlv => subject.address.clone(),
            Encoding::Https | Encoding::Xml | Encoding::Json => {
                subject.https.clone().ok_or(WireError::NoHttps)?
            }
        };
        let config = Arc::new(configuration(&subject.credentials, suite)?);
        Ok(Self { address, encoding, config, timeout: subject.timeout, connection: None })
    }

    /// Connects and shakes hands, to see whether anybody is there.
    ///
    /// # Errors
    /// Why nobody is.
    pub fn reach(&self) -> Result<(), WireError> {
        self.connect().map(drop)
    }

    /// Sends a message in TTLV, transcoded where the encoding is another one, and decodes the answer.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn exchange(&mut self, message: &[u8]) -> Result<Item, WireError> {
        let answer = match self.encoding {
            Encoding::Ttlv => self.exchange_ttlv(message)?,
            Encoding::Https | Encoding::Xml | Encoding::Json => self.exchange_http(message)?,
        };
        Item::decode(&Bytes::from(answer)).map_err(|error| WireError::Unusable(error.to_string()))
    }

    fn exchange_ttlv(&mut self, message: &[u8]) -> Result<Vec<u8>, WireError> {
        if self.connection.is_none() {
            self.connection = Some(self.connect()?);
        }
        let Some(connection) = &mut self.connection else {
            return Err(WireError::Connect("none".to_owned()));
        };
        let answer = send_ttlv(connection, message);
        if answer.is_err() {
            self.connection = None;
        }
        answer
    }

    fn exchange_http(&mut self, message: &[u8]) -> Result<Vec<u8>, WireError> {
        let unusable = |error: &dyn std::fmt::Display| WireError::Unusable(error.to_string());
        let shared = Bytes::copy_from_slice(message);
        let (content_type, body) = match self.encoding {
            Encoding::Ttlv | Encoding::Https => ("application/octet-stream", message.to_vec()),
            Encoding::Xml => {
                let text = xml::from_ttlv(&shared, &Names, LIMITS).map_err(|error| unusable(&error))?;
                ("text/xml", text.into_bytes().to_vec())
            }
            Encoding::Json => {
                let text = json::from_ttlv(&shared, &Names, LIMITS).map_err(|error| unusable(&error))?;
                ("application/json", text.into_bytes().to_vec())
            }
        };
        let mut connection = self.connect()?;
        write!(
            connection,
            "POST {HTTP_TARGET} HTTP/1.1\r\nHost: {}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\
             Cache-Control: no-cache\r\nConnection: close\r\n\r\n",
            self.address,
            body.len()
        )?;
        connection.write_all(&body)?;
        connection.flush()?;
        let answer = receive_http(&mut connection, content_type)?;
        match self.encoding {
            Encoding::Ttlv | Encoding::Https => Ok(answer),
            Encoding::Xml => xml::to_ttlv(&answer, &Names, LIMITS)
                .map(|message| message.into_bytes().to_vec())
                .map_err(|error| unusable(&error)),
            Encoding::Json => json::to_ttlv(&answer, &Names, LIMITS)
                .map(|message| message.into_bytes().to_vec())
                .map_err(|error| unusable(&error)),
        }
    }

    fn connect(&self) -> Result<Connection, WireError> {
        let refused = |error: &dyn std::fmt::Display| WireError::Connect(error.to_string());
        let mut addresses = self.address.to_socket_addrs().map_err(|error| refused(&error))?;
        let address = addresses.next().ok_or_else(|| WireError::Address(self.address.clone()))?;
        let host = self.address.rsplit_once(':').map_or(self.address.as_str(), |(host, _)| host);
        let name =
            ServerName::try_from(host.to_owned()).map_err(|_| WireError::Address(self.address.clone()))?;
        let stream = TcpStream::connect_timeout(&address, self.timeout).map_err(|error| refused(&error))?;
        stream.set_read_timeout(Some(self.timeout))?;
        stream.set_write_timeout(Some(self.timeout))?;
        stream.set_nodelay(true)?;
        let session = ClientConnection::new(self.config.clone(), name).map_err(|error| refused(&error))?;
        let mut connection = StreamOwned::new(session, stream);
        while connection.conn.is_handshaking() {
            connection.conn.complete_io(&mut connection.sock).map_err(|error| refused(&error))?;
        }
        Ok(connection)
    }
}

fn send_ttlv(connection: &mut Connection, message: &[u8]) -> Result<Vec<u8>, WireError> {
    connection.write_all(message)?;
    connection.flush()?;
    let mut answer = vec![0; TTLV_HEAD_BYTES];
    connection.read_exact(&mut answer)?;
    let length = u32::from_be_bytes([answer[4], answer[5], answer[6], answer[7]]);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > LIMITS.message_bytes {
        return Err(WireError::Unusable(format!("a message of {length} bytes")));
    }
    answer.resize(TTLV_HEAD_BYTES + length, 0);
    connection.read_exact(&mut answer[TTLV_HEAD_BYTES..])?;
    Ok(answer)
}

/// Receives the body of a response that is as Profiles 2.1, section 5.3.2, wants it.
fn receive_http(connection: &mut Connection, content_type: &str) -> Result<Vec<u8>, WireError> {
    let mut received = Vec::new();
    let (head_bytes, body_bytes) = loop {
        let mut piece = [0; 4096];
        let count = connection.read(&mut piece)?;
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        received.extend_from_slice(&piece[..count]);
        if let Some(lengths) = read_head(&received, content_type).map_err(WireError::Unusable)? {
            break lengths;
        }
        if received.len() > MAX_HTTP_HEAD_BYTES {
            return Err(WireError::Unusable("the head of the HTTP response is too long".to_owned()));
        }
    };
    let mut body = received.split_off(head_bytes);
    let missing = body_bytes.checked_sub(body.len());
    let missing = missing.ok_or_else(|| WireError::Unusable("more than Content-Length".to_owned()))?;
    body.resize(body_bytes, 0);
    connection.read_exact(&mut body[body_bytes - missing..])?;
    Ok(body)
}

/// The lengths of head and body, once the head is whole.
fn read_head(received: &[u8], content_type: &str) -> Result<Option<(usize, usize)>, String> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_HTTP_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let head_bytes = match response.parse(received).map_err(|error| format!("no HTTP: {error}"))? {
        httparse::Status::Complete(bytes) => bytes,
        httparse::Status::Partial => return Ok(None),
    };
    let field = |name: &str| {
        let found = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        found.and_then(|field| std::str::from_utf8(field.value).ok()).unwrap_or_default()
    };
    if response.code != Some(200) {
        return Err(format!("HTTP {}", response.code.unwrap_or_default()));
    }
    if field("Content-Type").split(';').next().map(str::trim) != Some(content_type) {
        return Err(format!("Content-Type \"{}\", not {content_type}", field("Content-Type")));
    }
    if !field("Cache-Control").contains("no-cache") {
        return Err("no Cache-Control: no-cache".to_owned());
    }
    let body_bytes: usize =
        field("Content-Length").trim().parse().map_err(|_| "no Content-Length".to_owned())?;
    if body_bytes > LIMITS.message_bytes {
        return Err(format!("a body of {body_bytes} bytes"));
    }
    Ok(Some((head_bytes, body_bytes)))
}

fn configuration(credentials: &Credentials, suite: Suite) -> Result<ClientConfig, WireError> {
    let unusable = |path: &Path, what: String| WireError::Credentials { path: path.to_owned(), what };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&credentials.ca)? {
        roots.add(certificate).map_err(|error| unusable(&credentials.ca, error.to_string()))?;
    }
    let pem = fs::read(&credentials.key).map_err(|error| unusable(&credentials.key, error.to_string()))?;
    let key =
        PrivateKeyDer::from_pem_slice(&pem).map_err(|error| unusable(&credentials.key, error.to_string()))?;
    let versions: &[_] = match suite {
        Suite::Any => &[&version::TLS13, &version::TLS12],
        Suite::Tls13 => &[&version::TLS13],
        Suite::SuiteB128 | Suite::SuiteB192 => &[&version::TLS12],
    };
    ClientConfig::builder_with_provider(Arc::new(provider(suite)))
        .with_protocol_versions(versions)
        .map_err(|error| WireError::Connect(error.to_string()))?
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates(&credentials.cert)?, key)
        .map_err(|error| unusable(&credentials.cert, error.to_string()))
}

fn provider(suite: Suite) -> CryptoProvider {
    let mut provider = ring::default_provider();
    let only = match suite {
        Suite::Any | Suite::Tls13 => return provider,
        Suite::SuiteB128 => CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        Suite::SuiteB192 => CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    };
    provider.cipher_suites.retain(|offered| offered.suite() == only);
    provider
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, WireError> {
    let unusable = |what: String| WireError::Credentials { path: path.to_owned(), what };
    let pem = fs::read(path).map_err(|error| unusable(error.to_string()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(unusable("no certificate in it".to_owned())),
        Err(error) => Err(unusable(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn head(fields: &str) -> Result<Option<(usize, usize)>, String> {
        read_head(format!("HTTP/1.1 200 OK\r\n{fields}\r\n").as_bytes(), "text/xml")
    }

    const GOOD: &str =
        "Content-Type: text/xml; charset=utf-8\r\nContent-Length: 5\r\nCache-Control: no-cache\r\n";

    #[test]
    fn the_head_of_a_response_has_what_the_profile_demands() {
        assert_eq!(head(GOOD).unwrap().unwrap().1, 5);
        assert!(head(&GOOD.replace("text/xml", "text/plain")).is_err());
        assert!(head(&GOOD.replace("no-cache", "private")).is_err());
        assert!(head(&GOOD.replace("Content-Length: 5\r\n", "")).is_err());
        assert!(read_head(b"HTTP/1.1 404 Not Found\r\n\r\n", "text/xml").is_err());
        assert_eq!(read_head(b"HTTP/1.1 200 OK\r\nContent-", "text/xml"), Ok(None));
    }

    #[test]
    fn suite_b_leaves_one_cipher_suite() {
        for suite in [Suite::SuiteB128, Suite::SuiteB192] {
            assert_eq!(provider(suite).cipher_suites.len(), 1);
        }
    }
}
