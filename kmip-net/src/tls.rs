//! Certificates, keys and revocation lists on disk become rustls configurations, and are replaced while running.
//!
//! Both directions authenticate both sides. The cryptography is ring's, named explicitly: the process-wide default provider is
//! never asked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use kmip_ttlv::SecretBuffer;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ServerSessionMemoryCache, VerifierBuilderError, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use serde::Deserialize;
use thiserror::Error;
use tokio_rustls::server::TlsStream;

const PROTOCOL_VERSIONS: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

/// TLS 1.2 sessions and TLS 1.3 tickets that cannot be sealed statelessly are kept for this many clients.
const STORED_SESSIONS: usize = 1024;

/// Where one side's certificate and key are, and whom it trusts. All files are PEM.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// Our certificate, followed by its intermediates. ECDSA P-256 serves the most clients.
    pub certificate: PathBuf,
    /// The private key of `certificate`: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
    /// The certificate authorities that the other side's certificate must descend from.
    pub authority: PathBuf,
    /// Certificate revocation lists. With at least one, every certificate must be covered by a list that has not expired;
    /// without any, revocation is not checked.
    #[serde(default)]
    pub revocation_lists: Vec<PathBuf>,
}

/// Why a TLS configuration could not be built. Names the file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file could not be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file holds no PEM, or not the PEM that is needed.
    #[error("{path} holds no usable {expected}: {problem}", path = path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        expected: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The certificate and the key do not fit, or one of them is of an unsupported kind.
    #[error("{certificate} and {key} cannot be used together: {source}", certificate = certificate.display(), key = key.display())]
    Mismatch {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
        /// What rustls said.
        source: rustls::Error,
    },
    /// A certificate authority cannot be used.
    #[error("{path} holds a certificate authority that cannot be used: {source}", path = path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// What rustls said.
        source: rustls::Error,
    },
    /// The revocation lists, or their combination with the authorities, cannot be used.
    #[error("cannot verify peers by {authority} and its revocation lists: {source}", authority = authority.display())]
    Verifier {
        /// The authorities' file.
        authority: PathBuf,
        /// What rustls said.
        source: VerifierBuilderError,
    },
    /// The provider cannot do what is asked of it.
    #[error("the TLS provider refuses: {0}")]
    Provider(#[from] rustls::Error),
}

/// A server's TLS as loaded at one moment.
pub struct ServerTls {
    config: Arc<ServerConfig>,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl ServerTls {
    /// Reads the files and builds a configuration with its own session storage and ticket keys: no session begun under another
    /// one resumes here.
    ///
    /// # Errors
    /// A file that is missing, unfit or does not match the others.
    pub fn load(settings: &TlsSettings) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let verifier = client_verifier(settings, &provider)?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(PROTOCOL_VERSIONS)?
            .with_client_cert_verifier(Arc::clone(&verifier))
            .with_single_cert(certificates(&settings.certificate)?, private_key(&settings.key)?)
            .map_err(|source| mismatch(settings, source))?;
        config.session_storage = ServerSessionMemoryCache::new(STORED_SESSIONS);
        config.ticketer = ring::Ticketer::new()?;
        // One ticket serves a client that returns; each holds its whole certificate chain.
        config.send_tls13_tickets = 1;
        Ok(Self { config: Arc::new(config), verifier })
    }

    /// The configuration for rustls.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Judges a client's chain, end-entity certificate first, by these authorities and lists as of now.
    ///
    /// # Errors
    /// What is wrong with the chain: expired, revoked, unknown authority, ...
    pub(crate) fn judge(&self, chain: &[CertificateDer<'_>]) -> Result<(), rustls::Error> {
        let (end_entity, intermediates) =
            chain.split_first().ok_or(rustls::Error::NoCertificatesPresented)?;
        self.verifier.verify_client_cert(end_entity, intermediates, UnixTime::now()).map(|_| ())
    }
}

/// A client's TLS as loaded at one moment.
pub struct ClientTls {
    config: Arc<ClientConfig>,
}

impl ClientTls {
    /// Reads the files and builds a configuration with its own session storage.
    ///
    /// # Errors
    /// A file that is missing, unfit or does not match the others.
    pub fn load(settings: &TlsSettings) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let verifier = server_verifier(settings, &provider)?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(PROTOCOL_VERSIONS)?
            .with_webpki_verifier(verifier)
            .with_client_auth_cert(certificates(&settings.certificate)?, private_key(&settings.key)?)
            .map_err(|source| mismatch(settings, source))?;
        Ok(Self { config: Arc::new(config) })
    }

    /// The configuration for rustls.
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }
}

/// TLS that can be loaded again from the same files while connections use it.
///
/// A reload replaces the configuration as a whole. New connections use the new one; a server judges its established peers again,
/// by the new authorities and lists, before their next request; a client lets its pooled connections go.
pub struct ReloadableTls<T> {
    settings: TlsSettings,
    load: fn(&TlsSettings) -> Result<T, TlsError>,
    current: ArcSwap<T>,
}

impl ReloadableTls<ServerTls> {
    /// Loads a server's side.
    ///
    /// # Errors
    /// As [`ServerTls::load`].
    pub fn server(settings: TlsSettings) -> Result<Arc<Self>, TlsError> {
        Self::new(settings, ServerTls::load)
    }
}

impl ReloadableTls<ServerTls> {
    /// Judges the peer of `stream` by what is in force now, if it was last judged under something else.
    pub(crate) fn judge_again<S>(
        &self,
        judged_under: &mut Arc<ServerTls>,
        stream: &TlsStream<S>,
    ) -> Result<(), rustls::Error> {
        if !self.is_current(judged_under) {
            let current = self.current();
            current.judge(stream.get_ref().1.peer_certificates().unwrap_or_default())?;
            *judged_under = current;
        }
        Ok(())
    }
}

impl ReloadableTls<ClientTls> {
    /// Loads a client's side.
    ///
    /// # Errors
    /// As [`ClientTls::load`].
    pub fn client(settings: TlsSettings) -> Result<Arc<Self>, TlsError> {
        Self::new(settings, ClientTls::load)
    }
}

impl<T> ReloadableTls<T> {
    fn new(
        settings: TlsSettings,
        load: fn(&TlsSettings) -> Result<T, TlsError>,
    ) -> Result<Arc<Self>, TlsError> {
        let current = ArcSwap::from_pointee(load(&settings)?);
        Ok(Arc::new(Self { settings, load, current }))
    }

    /// Reads the files again. Where they do not load, what was in force stays in force.
    ///
    /// # Errors
    /// Why the files did not load.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.current.store(Arc::new((self.load)(&self.settings)?));
        Ok(())
    }

    /// What is in force now.
    pub fn current(&self) -> Arc<T> {
        self.current.load_full()
    }

    /// Whether `loaded` is what is in force now.
    pub(crate) fn is_current(&self, loaded: &Arc<T>) -> bool {
        Arc::ptr_eq(&self.current.load(), loaded)
    }
}

fn client_verifier(
    settings: &TlsSettings,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let roots = Arc::new(authorities(&settings.authority)?);
    WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider))
        .with_crls(revocation_lists(settings)?)
        .enforce_revocation_expiration()
        .build()
        .map_err(|source| TlsError::Verifier { authority: settings.authority.clone(), source })
}

fn server_verifier(
    settings: &TlsSettings,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
    let roots = Arc::new(authorities(&settings.authority)?);
    WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider))
        .with_crls(revocation_lists(settings)?)
        .enforce_revocation_expiration()
        .build()
        .map_err(|source| TlsError::Verifier { authority: settings.authority.clone(), source })
}

fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|source| TlsError::Authority { path: path.to_owned(), source })?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    all_of(path, "certificate", CertificateDer::pem_slice_iter(&read(path)?).collect())
}

fn revocation_lists(settings: &TlsSettings) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let mut lists = Vec::new();
    for path in &settings.revocation_lists {
        let found = CertificateRevocationListDer::pem_slice_iter(&read(path)?).collect();
        lists.extend(all_of(path, "certificate revocation list", found)?);
    }
    Ok(lists)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&read(path)?)
        .map_err(|error| not_pem(path, "private key", error.to_string()))
}

fn all_of<T>(
    path: &Path,
    expected: &'static str,
    found: Result<Vec<T>, PemError>,
) -> Result<Vec<T>, TlsError> {
    match found {
        Err(error) => Err(not_pem(path, expected, error.to_string())),
        Ok(found) if found.is_empty() => Err(not_pem(path, expected, "there is none in it".into())),
        Ok(found) => Ok(found),
    }
}

/// Key files pass through here too, so what is read does not outlive its use.
fn read(path: &Path) -> Result<SecretBuffer, TlsError> {
    let bytes =
        std::fs::read(path).map_err(|source| TlsError::Unreadable { path: path.to_owned(), source })?;
    Ok(SecretBuffer::from(bytes))
}

fn not_pem(path: &Path, expected: &'static str, problem: String) -> TlsError {
    TlsError::NotPem { path: path.to_owned(), expected, problem }
}

fn mismatch(settings: &TlsSettings, source: rustls::Error) -> TlsError {
    TlsError::Mismatch { certificate: settings.certificate.clone(), key: settings.key.clone(), source }
}
