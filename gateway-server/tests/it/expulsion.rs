//! Revoke of a Gateway among live ones: it serves nothing once that is answered, and the others lose no request.

use std::path::PathBuf;

use bytestring::ByteString;
use key_service::chain::gateway_object;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair};

use crate::operator::Operator;
use crate::revocation::{Bystanders, Load};
use crate::system::{Server, System, rounds};

const TENANTS: [&str; 2] = ["acme", "globex"];

impl System {
    /// Lets Gateways of these names in at the Cores that are started from now on, each with a certificate of its own.
    pub fn name_gateways(&self, names: &[String]) {
        let key = std::fs::read_to_string(self.run().join("pki/ca.key")).unwrap();
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, "Krypton development CA");
        let issuer = Issuer::new(authority, KeyPair::from_pem(&key).unwrap());
        for name in names {
            let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            params.distinguished_name.push(DnType::OrganizationalUnitName, "krypton-gateway");
            params.extended_key_usages =
                vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
            let key = KeyPair::generate().unwrap();
            let certificate = params.signed_by(&key, &issuer).unwrap();
            std::fs::write(self.gateway_file(name, "pem"), certificate.pem()).unwrap();
            std::fs::write(self.gateway_file(name, "key"), key.serialize_pem()).unwrap();
        }
        let entry = |name: &String| format!("{{ name = {name:?}, tenants = {TENANTS:?} }}");
        let entries = names.iter().map(entry).collect::<Vec<_>>().join(", ");
        self.set("core", &format!("gateway = [{entries}]"));
    }

    /// Starts one more Gateway, of this name, on a store.
    pub fn start_named_gateway_on(&self, name: &str, number: usize, store: &str) -> Server {
        let file = |extension| self.gateway_file(name, extension).display().to_string();
        let (certificate, key) = (file("pem"), file("key"));
        for table in ["tls", "core.tls"] {
            self.set("gateway", &format!("{table}.certificate = {certificate:?}\n{table}.key = {key:?}"));
        }
        self.start_gateway_on(number, store)
    }

    fn gateway_file(&self, name: &str, extension: &str) -> PathBuf {
        self.run().join(format!("pki/servers/{name}.{extension}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_gateway_serves_nothing_and_the_others_lose_no_request() {
    let rounds = rounds(2, 20);
    let mut system = System::provision();
    let names: Vec<String> = (0..2 + rounds).map(|number| format!("gateway-of-{number}")).collect();
    system.name_gateways(&names);
    system.core = Some(system.start_server("core"));
    let start = |number: usize| system.start_named_gateway_on(&names[number], number, "memory");
    let others = [start(0), start(1)];
    let operator = Operator::new(&system);
    let bystanders = Bystanders::start(&system, &others).await;
    // A Core that has just started waits for leases from before: that is measured elsewhere.
    operator.revoke(&operator.add_service("acme", "first").await).await.unwrap();
    for (number, name) in names.iter().enumerate().skip(2) {
        let revoked = [start(number)];
        let service = format!("of-{number}");
        operator.add_service("acme", &service).await;
        let load = Load::start(&system, &revoked, &service).await;
        load.wait(40).await;
        let (last_success, answer) = load.revoke(&operator, &gateway_object(name)).await;
        println!("{name}: last use {last_success:?} after its Revoke, which was answered after {answer:?}");
        // It is the Gateway that is closed, not the service.
        let acme = crate::revocation::application(&system, &others[0], "acme");
        let key: ByteString = acme.create_in(&format!("open-{number}"), Some(&service)).await.unwrap();
        assert!(acme.get(&key).await.is_ok());
    }
    assert!(bystanders.stop().await > 0, "the bystanders did nothing: the test proves nothing");
}
