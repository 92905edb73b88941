//! The facts of a verified peer: what its certificate says and where it connects from.

use std::fmt::Write as _;
use std::net::SocketAddr;

use ring::digest::{SHA256, digest};
use thiserror::Error;
use x509_parser::der_parser::asn1_rs::Oid;
use x509_parser::oid_registry::{OID_X509_COMMON_NAME, OID_X509_ORGANIZATIONAL_UNIT};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Who is on the other side of a connection, as its verified end-entity certificate says. No decision is made here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The subject's common names, in the certificate's order; one as a rule.
    pub common_names: Vec<String>,
    /// The subject's organizational units, in the certificate's order.
    pub organizational_units: Vec<String>,
    /// The URIs among the subject's alternative names (SPIFFE identities are such).
    pub uris: Vec<String>,
    /// The DNS names among the subject's alternative names.
    pub dns_names: Vec<String>,
    /// The SHA-256 of the certificate, in lower-case hexadecimal.
    pub fingerprint: String,
    /// Where the connection comes from.
    pub remote_address: SocketAddr,
}

/// A certificate that TLS accepted but that does not say who it is for in a way we read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PeerError {
    /// The peer showed no certificate.
    #[error("the peer showed no certificate")]
    NoCertificate,
    /// The certificate is not X.509 as we read it.
    #[error("the peer's certificate cannot be parsed")]
    Unparsable,
    /// A name in the certificate is in an encoding that we do not read, or has control characters.
    #[error("the {0} in the peer's certificate is not plain text")]
    NotText(&'static str),
}

impl Peer {
    /// Reads an end-entity certificate that has been verified.
    ///
    /// # Errors
    /// A certificate without names that can be read safely.
    pub fn read(certificate: &[u8], remote_address: SocketAddr) -> Result<Self, PeerError> {
        let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| PeerError::Unparsable)?;
        let (uris, dns_names) = alternative_names(&parsed)?;
        Ok(Self {
            common_names: subject_texts(&parsed, &OID_X509_COMMON_NAME, "common name")?,
            organizational_units: subject_texts(
                &parsed,
                &OID_X509_ORGANIZATIONAL_UNIT,
                "organizational unit",
            )?,
            uris,
            dns_names,
            fingerprint: hexadecimal(digest(&SHA256, certificate).as_ref()),
            remote_address,
        })
    }
}

fn subject_texts(
    certificate: &X509Certificate<'_>,
    attribute: &Oid<'_>,
    name: &'static str,
) -> Result<Vec<String>, PeerError> {
    certificate
        .subject()
        .iter_by_oid(attribute)
        .map(|value| plain(value.as_str().map_err(|_| PeerError::NotText(name))?, name))
        .collect()
}

fn alternative_names(certificate: &X509Certificate<'_>) -> Result<(Vec<String>, Vec<String>), PeerError> {
    let (mut uris, mut dns_names) = (Vec::new(), Vec::new());
    let extension = certificate.subject_alternative_name().map_err(|_| PeerError::Unparsable)?;
    for name in extension.iter().flat_map(|extension| &extension.value.general_names) {
        match name {
            GeneralName::URI(uri) => uris.push(plain(uri, "URI")?),
            GeneralName::DNSName(dns_name) => dns_names.push(plain(dns_name, "DNS name")?),
            _ => {}
        }
    }
    Ok((uris, dns_names))
}

/// Names go into logs and decisions: a NUL or a line break in one has no honest use.
fn plain(text: &str, name: &'static str) -> Result<String, PeerError> {
    if text.chars().any(char::is_control) { Err(PeerError::NotText(name)) } else { Ok(text.to_owned()) }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
        text
    })
}
