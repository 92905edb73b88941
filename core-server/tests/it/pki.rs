//! Certificates for one test, in a folder of its own.

use std::path::{Path, PathBuf};

use kmip_net::TlsSettings;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

pub struct Pki {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Pki {
    /// An authority and the Core's certificate for 127.0.0.1, in `folder`.
    pub fn new(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, "Test CA");
        std::fs::write(folder.join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        let pki = Self { folder: folder.to_owned(), issuer: Issuer::new(params, key) };
        pki.issue("core", CertificateParams::new(vec!["127.0.0.1".into()]).unwrap());
        pki
    }

    /// A client of a unit.
    pub fn client(&self, unit: &str, name: &str) -> TlsSettings {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.distinguished_name.push(DnType::OrganizationalUnitName, unit);
        self.issue(&format!("{unit}-{name}"), params);
        self.settings(&format!("{unit}-{name}"))
    }

    pub fn settings(&self, name: &str) -> TlsSettings {
        TlsSettings {
            certificate: self.folder.join(format!("{name}.pem")),
            key: self.folder.join(format!("{name}.key")),
            authority: self.folder.join("ca.pem"),
            revocation_lists: Vec::new(),
        }
    }

    fn issue(&self, name: &str, params: CertificateParams) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(self.folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}
