//! Certificates and revocation lists for one test, in a folder of its own.

use std::path::PathBuf;
use std::sync::Arc;

use kmip_net::TlsSettings;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;

pub struct Pki {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
    authority: Certificate,
}

impl Pki {
    /// An authority, a server's certificate for 127.0.0.1 and a revocation list that revokes nothing.
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "Test CA");
        let authority = params.self_signed(&key).unwrap();
        let pki = Self { folder: TempDir::new().unwrap(), issuer: Issuer::new(params, key), authority };
        pki.write("ca.pem", &pki.authority.pem());
        pki.issue("server", 1, CertificateParams::new(vec!["127.0.0.1".into()]).unwrap());
        pki.revoke(&[]);
        pki
    }

    /// A client of tenant `acme`.
    pub fn client(&self, name: &str, serial: u64) -> TlsSettings {
        self.client_of(name, serial, &["acme"], &[])
    }

    pub fn client_of(&self, name: &str, serial: u64, units: &[&str], uris: &[&str]) -> TlsSettings {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        // A second value of the same type would replace the first; by number it is another type to rcgen.
        let types = [DnType::OrganizationalUnitName, DnType::CustomDnType(vec![2, 5, 4, 11])];
        for (unit, unit_type) in units.iter().zip(types) {
            params.distinguished_name.push(unit_type, *unit);
        }
        for uri in uris {
            params.subject_alt_names.push(SanType::URI((*uri).try_into().unwrap()));
        }
        self.issue(name, serial, params)
    }

    pub fn server(&self) -> TlsSettings {
        TlsSettings { revocation_lists: vec![self.path("crl.pem")], ..self.settings("server") }
    }

    pub fn revoke(&self, serials: &[u64]) {
        self.write_list(serials, 2090);
    }

    pub fn write_list(&self, serials: &[u64], next_update_year: i32) {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(next_update_year, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        self.write("crl.pem", &list.signed_by(&self.issuer).unwrap().pem().unwrap());
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub fn write(&self, file: &str, text: &str) {
        std::fs::write(self.path(file), text).unwrap();
    }

    fn issue(&self, name: &str, serial: u64, mut params: CertificateParams) -> TlsSettings {
        let key = KeyPair::generate().unwrap();
        params.serial_number = Some(SerialNumber::from(serial));
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        self.write(&format!("{name}.pem"), &certificate.pem());
        self.write(&format!("{name}.key"), &key.serialize_pem());
        self.settings(name)
    }

    fn settings(&self, name: &str) -> TlsSettings {
        TlsSettings {
            certificate: self.path(&format!("{name}.pem")),
            key: self.path(&format!("{name}.key")),
            authority: self.path("ca.pem"),
            revocation_lists: Vec::new(),
        }
    }
}

/// A rustls client that trusts the authority of `settings` and shows its certificate if `shows_certificate`.
pub fn raw_client(
    settings: &TlsSettings,
    version: &'static SupportedProtocolVersion,
    shows_certificate: bool,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&settings.authority).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(if shows_certificate {
        let chain = vec![CertificateDer::from_pem_file(&settings.certificate).unwrap()];
        builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(&settings.key).unwrap()).unwrap()
    } else {
        builder.with_no_client_auth()
    })
}
