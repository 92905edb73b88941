//! The development PKI: one authority, and certificates of ECDSA P-256 for both servers, the applications and the operator.
//!
//! What is there and good for a while is kept, so that clients need not be told anew. The authority's key stays in the folder too:
//! this is for development, and says so in its name.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use key_service::durable_files::{self, Readers};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber,
};
use x509_parser::pem::parse_x509_pem;

use super::headquarters::Headquarters;
use crate::error::Error;

/// Tenants whose applications get a certificate.
pub const TENANTS: [&str; 2] = ["acme", "globex"];

/// Organizational Unit by which the Core knows operators.
pub const OPERATORS: &str = "krypton-operator";

/// Organizational Unit by which the Core knows Gateways.
pub const GATEWAYS: &str = "krypton-gateway";

/// Common Name of the one Gateway of the stack.
pub const GATEWAY: &str = "gateway-1";

const AUTHORITY_NAME: &str = "Krypton development CA";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the authority is good for.
const AUTHORITY_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// How long the other certificates are good for.
const LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// What is good for less than this is replaced.
const RENEWAL: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A certificate and its key, in PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key, readable by the owner only.
    pub key: PathBuf,
}

/// The files of a development PKI.
#[derive(Debug, Clone)]
pub struct Pki {
    folder: PathBuf,
}

/// What a certificate is for.
struct Subject {
    path: String,
    unit: Option<String>,
    name: String,
    usages: Vec<ExtendedKeyUsagePurpose>,
}

impl Pki {
    /// The PKI in `folder`, whether it is there yet or not.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The authority's certificate.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// A client's credential: that of a tenant's application or of the operator.
    pub fn client(&self, name: &str) -> Credential {
        self.credential(&format!("clients/{name}"))
    }

    /// A server's credential.
    pub fn server(&self, name: &str) -> Credential {
        self.credential(&format!("servers/{name}"))
    }

    /// The headquarters, whose policies the Core takes.
    pub fn headquarters(&self) -> Headquarters {
        Headquarters::new(self.folder.join("policy"))
    }

    /// Makes what is missing or about to expire.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn ensure(&self) -> Result<(), Error> {
        for folder in ["clients", "servers"] {
            let path = self.folder.join(folder);
            fs::create_dir_all(&path).map_err(Error::file("make", path))?;
        }
        let authority = self.credential("ca");
        let kept = is_good(&authority);
        let issuer = if kept { load_authority(&authority)? } else { make_authority(&authority)? };
        for subject in subjects() {
            let credential = self.credential(&subject.path);
            if !kept || !is_good(&credential) {
                issue(&issuer, &subject, &credential)?;
            }
        }
        Ok(())
    }

    fn credential(&self, path: &str) -> Credential {
        let file = |extension: &str| self.folder.join(format!("{path}.{extension}"));
        Credential { certificate: file("pem"), key: file("key") }
    }
}

fn subjects() -> Vec<Subject> {
    use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
    let subject = |path: String, unit: Option<&str>, name: &str, usages: &[ExtendedKeyUsagePurpose]| {
        Subject { path, unit: unit.map(str::to_owned), name: name.to_owned(), usages: usages.to_vec() }
    };
    let mut subjects = vec![
        subject("servers/core".into(), None, "core", &[ServerAuth]),
        subject("servers/gateway".into(), Some(GATEWAYS), GATEWAY, &[ServerAuth, ClientAuth]),
        subject("clients/operator".into(), Some(OPERATORS), "operator", &[ClientAuth]),
    ];
    subjects.extend(
        TENANTS.map(|tenant| subject(format!("clients/{tenant}"), Some(tenant), "app", &[ClientAuth])),
    );
    subjects
}

fn authority_params() -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, AUTHORITY_NAME);
    set_lifetime(&mut params, AUTHORITY_LIFETIME);
    Ok(params)
}

fn make_authority(files: &Credential) -> Result<Issuer<'static, KeyPair>, Error> {
    let params = authority_params()?;
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    write(files, &certificate.pem(), &key)?;
    Ok(Issuer::new(params, key))
}

/// An issuer signs with a name and a key: the dates of its certificate do not matter.
fn load_authority(files: &Credential) -> Result<Issuer<'static, KeyPair>, Error> {
    let pem = fs::read_to_string(&files.key).map_err(Error::file("read", &files.key))?;
    Ok(Issuer::new(authority_params()?, KeyPair::from_pem(&pem)?))
}

fn issue(issuer: &Issuer<'_, KeyPair>, subject: &Subject, files: &Credential) -> Result<(), Error> {
    let names = if subject.usages.contains(&ExtendedKeyUsagePurpose::ServerAuth) {
        vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()]
    } else {
        Vec::new()
    };
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, &subject.name);
    if let Some(unit) = &subject.unit {
        params.distinguished_name.push(DnType::OrganizationalUnitName, unit);
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = subject.usages.clone();
    params.use_authority_key_identifier_extension = true;
    set_lifetime(&mut params, LIFETIME);
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer)?;
    write(files, &certificate.pem(), &key)
}

fn set_lifetime(params: &mut CertificateParams, lifetime: Duration) {
    let now = SystemTime::now();
    params.not_before = (now - DAY).into();
    params.not_after = (now + lifetime).into();
    // Nanoseconds since 1970 do not repeat within one run, and hardly between two.
    let unique = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
    params.serial_number = Some(SerialNumber::from(unique));
}

/// Whether both files are there and the certificate is good for a while yet.
fn is_good(files: &Credential) -> bool {
    let Ok(pem) = fs::read(&files.certificate) else { return false };
    let Ok((_, pem)) = parse_x509_pem(&pem) else { return false };
    let Ok(certificate) = pem.parse_x509() else { return false };
    let remaining = certificate.validity().time_to_expiration();
    files.key.exists() && remaining.is_some_and(|remaining| remaining.unsigned_abs() > RENEWAL)
}

fn write(files: &Credential, certificate: &str, key: &KeyPair) -> Result<(), Error> {
    // The key first: a certificate without its key would pass for complete at the next start.
    replace(&files.key, Readers::Owner, key.serialize_pem().as_bytes())?;
    replace(&files.certificate, Readers::Everybody, certificate.as_bytes())
}

/// Replaces the file as a whole: a key is never readable by others, not even for a moment.
pub(super) fn replace(path: &Path, readers: Readers, content: &[u8]) -> Result<(), Error> {
    durable_files::replace(path, readers, content).map(drop).map_err(Error::file("write", path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt;

    use kmip_net::{ClientTls, ServerTls, TlsSettings};

    use super::*;

    fn settings(pki: &Pki, credential: Credential) -> TlsSettings {
        TlsSettings {
            certificate: credential.certificate,
            key: credential.key,
            authority: pki.authority(),
            revocation_lists: Vec::new(),
        }
    }

    #[test]
    fn everything_is_there_and_usable() {
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::new(folder.path());
        pki.ensure().unwrap();
        for server in ["core", "gateway"] {
            ServerTls::load(&settings(&pki, pki.server(server))).unwrap();
        }
        for client in ["acme", "globex", "operator"] {
            ClientTls::load(&settings(&pki, pki.client(client))).unwrap();
            let mode = fs::metadata(pki.client(client).key).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn what_is_good_is_kept_and_what_is_lost_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::new(folder.path());
        pki.ensure().unwrap();
        let read = |path: PathBuf| fs::read(path).unwrap();
        let (authority, acme) = (read(pki.authority()), read(pki.client("acme").certificate));
        fs::remove_file(pki.client("globex").key).unwrap();
        pki.ensure().unwrap();
        assert_eq!(read(pki.authority()), authority);
        assert_eq!(read(pki.client("acme").certificate), acme);
        assert!(pki.client("globex").key.exists());
    }

    #[test]
    fn a_new_authority_makes_everything_new() {
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::new(folder.path());
        pki.ensure().unwrap();
        let acme = fs::read(pki.client("acme").certificate).unwrap();
        fs::remove_file(pki.authority()).unwrap();
        pki.ensure().unwrap();
        assert_ne!(fs::read(pki.client("acme").certificate).unwrap(), acme);
    }
}
