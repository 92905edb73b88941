//! Certificates: what the server reads off them, and their keys.

use bytes::Bytes;
use bytestring::ByteString;
use kmip_protocol::attribute::{Attribute, AttributeType};
use kmip_protocol::enumeration::{
    CertificateType, CryptographicAlgorithm, KeyFormatType, ResultReason, ValidityIndicator,
};
use kmip_protocol::mask::CryptographicUsageMask as Mask;
use kmip_protocol::object::{self, ManagedObject};
use kmip_protocol::operation::{
    GetRequest, GetResponse, SignResponse, SignatureVerifyRequest, SignatureVerifyResponse,
};

use super::cryptography::sign_request;
use crate::testing::{Server, active, block, get_request, id, secret, unhex};

/// Self-signed, Ed25519: C=AU, O=Krypton, OU=Tests, CN=signer.example; made with OpenSSL for this test.
const CERTIFICATE: &str = concat!(
    "308201a730820159a0030201020214554f1c02729a25208929e4a9378c1a1fca922281300506032b6570304831",
    "0b30090603550406130241553110300e060355040a0c074b727970746f6e310e300c060355040b0c0554657374",
    "733117301506035504030c0e7369676e65722e6578616d706c653020170d3236313132343031313230325a180f",
    "32313236313033313031313230325a3048310b30090603550406130241553110300e060355040a0c074b727970",
    "746f6e310e300c060355040b0c0554657374733117301506035504030c0e7369676e65722e6578616d706c6530",
    "2a300506032b6570032100d3a0a13bd2dd3558ab3d436dfada0c47e171be77d3408d496d21676bed894104a353",
    "3051301d0603551d0e04160414077c37a2d8e92734ff9f145e08a527754c32bca5301f0603551d230418301680",
    "14077c37a2d8e92734ff9f145e08a527754c32bca5300f0603551d130101ff040530030101ff300506032b6570",
    "034100cb60aab0cf02531f4676c636e912edc4f12c908a7c5b989c3d7716889ea70f5535e39dba9e5366cb973e",
    "32b5524285fcec077d370794167190e6cfe19c698609",
);

/// The other half of the key in the certificate.
const PRIVATE_KEY: &str =
    "302e020100300506032b65700422042024e7cf59134bf45a40b8811f0d939520b66b992ad2096505c61d242683f589be";

fn certificate(value: Vec<u8>) -> ManagedObject {
    ManagedObject::Certificate(object::Certificate {
        certificate_type: CertificateType::X509,
        certificate_value: Bytes::from(value),
    })
}

#[tokio::test]
async fn a_certificate_tells_about_itself() {
    let server = Server::new();
    let key = server.register(certificate(unhex(CERTIFICATE)), active(Mask::VERIFY)).await;
    let attributes = server.attributes(&key).await;
    let text = ByteString::from_static;
    for expected in [
        Attribute::CertificateLength(427),
        Attribute::CertificateSubjectCn(text("signer.example")),
        Attribute::CertificateSubjectOu(text("Tests")),
        Attribute::CertificateIssuerO(text("Krypton")),
        Attribute::CertificateIssuerC(text("AU")),
        Attribute::CryptographicAlgorithm(CryptographicAlgorithm::Ed25519),
        Attribute::CryptographicLength(256),
    ] {
        assert!(attributes.contains(&expected), "{expected:?}");
    }
    let identifier = server.attribute(&key, AttributeType::X509CertificateIdentifier).await;
    let Some(Attribute::X509CertificateIdentifier(identifier)) = identifier else { panic!("{identifier:?}") };
    let serial = unhex("0214554f1c02729a25208929e4a9378c1a1fca922281");
    assert_eq!(*identifier.certificate_serial_number, *serial);
}

#[tokio::test]
async fn the_key_of_a_certificate_verifies() {
    let server = Server::new();
    let public = server.register(certificate(unhex(CERTIFICATE)), active(Mask::VERIFY)).await;
    let mut key_block =
        block(KeyFormatType::Pkcs8, Some(CryptographicAlgorithm::Ed25519), &unhex(PRIVATE_KEY));
    key_block.cryptographic_length = Some(256);
    let private = ManagedObject::PrivateKey(object::PrivateKey { key_block });
    let private = server.register(private, active(Mask::SIGN)).await;
    let signed: SignResponse = server.done(sign_request(&private, None, Some(b"data"))).await;
    let verified: SignatureVerifyResponse = server
        .done(SignatureVerifyRequest {
            unique_identifier: id(&public),
            cryptographic_parameters: None,
            data: secret(b"data"),
            digested_data: None,
            signature_data: signed.signature_data,
            correlation_value: None,
            init_indicator: None,
            final_indicator: None,
        })
        .await;
    assert_eq!(verified.validity_indicator, Some(ValidityIndicator::Valid));
}

#[tokio::test]
async fn what_is_no_certificate_is_kept_but_not_used() {
    let server = Server::new();
    let key = server.register(certificate(b"garbage".to_vec()), active(Mask::ENCRYPT)).await;
    let length = server.attribute(&key, AttributeType::CertificateLength).await;
    assert_eq!(length, Some(Attribute::CertificateLength(7)));
    let request = kmip_protocol::operation::EncryptRequest {
        unique_identifier: id(&key),
        cryptographic_parameters: None,
        data: secret(b"data"),
        iv_counter_nonce: None,
        correlation_value: None,
        init_indicator: None,
        final_indicator: None,
        authenticated_encryption_additional_data: None,
    };
    assert_eq!(server.refused(request).await, ResultReason::CryptographicFailure);
    let as_x509 = GetRequest { key_format_type: Some(KeyFormatType::X509), ..get_request(&key) };
    server.done::<GetResponse>(as_x509).await;
}
