//! What an X.509 certificate says about itself (KMIP 2.1 sections 4.6 to 4.8, 4.22, 4.61 to 4.63).

use bytes::Bytes;
use bytestring::ByteString;
use kmip_protocol::attribute::{
    Attribute, CertificateIdentifier, CertificateIssuer, CertificateSubject, X509CertificateIdentifier,
    X509CertificateIssuer, X509CertificateSubject,
};
use kmip_protocol::enumeration::{DigitalSignatureAlgorithm, KeyFormatType, ResultReason};
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

use crate::crypto::PublicKey;
use crate::fault::Fault;
use crate::record::Record;

/// Sets the attributes of a certificate from its value. Of one that is no X.509 certificate only the length is known.
pub(crate) fn describe(record: &mut Record, value: &Bytes) {
    record.set(Attribute::CertificateLength(i32::try_from(value.len()).unwrap_or(i32::MAX)));
    let Ok((_, certificate)) = X509Certificate::from_der(value) else {
        return;
    };
    describe_names(record, &certificate);
    if let Some(algorithm) = signature_algorithm(&certificate.signature_algorithm.algorithm.to_id_string()) {
        record.set(Attribute::DigitalSignatureAlgorithm(algorithm));
    }
    let info = certificate.public_key().raw;
    if let Ok(key) = PublicKey::decode(KeyFormatType::X509, info, None, None) {
        record.set(Attribute::CryptographicAlgorithm(key.algorithm()));
        record.set(Attribute::CryptographicLength(key.length_bits()));
    }
}

/// The SubjectPublicKeyInfo of an X.509 certificate.
///
/// # Errors
/// If it is none.
pub(crate) fn public_key_info(value: &Bytes) -> Result<Bytes, Fault> {
    let (_, certificate) = X509Certificate::from_der(value).map_err(|_| {
        Fault::new(ResultReason::CryptographicFailure, "the object is not an X.509 certificate")
    })?;
    Ok(Bytes::copy_from_slice(certificate.public_key().raw))
}

fn describe_names(record: &mut Record, certificate: &X509Certificate<'_>) {
    let (subject, issuer) = (certificate.subject(), certificate.issuer());
    for attribute in parts(subject, SUBJECT_PARTS).chain(parts(issuer, ISSUER_PARTS)) {
        record.add(attribute);
    }
    let serial = certificate.raw_serial();
    record.set(Attribute::X509CertificateIdentifier(Box::new(X509CertificateIdentifier {
        issuer_distinguished_name: Bytes::copy_from_slice(issuer.as_raw()),
        certificate_serial_number: der_integer(serial),
    })));
    record.set(Attribute::X509CertificateSubject(Box::new(X509CertificateSubject {
        subject_distinguished_name: Bytes::copy_from_slice(subject.as_raw()),
        subject_alternative_names: Vec::new(),
    })));
    record.set(Attribute::X509CertificateIssuer(Box::new(X509CertificateIssuer {
        issuer_distinguished_name: Bytes::copy_from_slice(issuer.as_raw()),
        issuer_alternative_names: Vec::new(),
    })));
    // The forms of 1.0, in text.
    let (subject, issuer) = (ByteString::from(subject.to_string()), ByteString::from(issuer.to_string()));
    let serial_number: String = serial.iter().map(|byte| format!("{byte:02x}")).collect();
    record.set(Attribute::CertificateIdentifier(Box::new(CertificateIdentifier {
        issuer: issuer.clone(),
        serial_number: Some(ByteString::from(serial_number)),
    })));
    record.set(Attribute::CertificateSubject(Box::new(CertificateSubject {
        distinguished_name: subject,
        alternative_names: Vec::new(),
    })));
    record.set(Attribute::CertificateIssuer(Box::new(CertificateIssuer {
        distinguished_name: issuer,
        alternative_names: Vec::new(),
    })));
}

/// DER of an integer whose contents are given; real serial numbers have 20 bytes at most.
fn der_integer(contents: &[u8]) -> Bytes {
    const TAG: u8 = 2;
    match u8::try_from(contents.len()) {
        Ok(length @ ..0x80) => Bytes::from([&[TAG, length], contents].concat()),
        _ => Bytes::copy_from_slice(contents),
    }
}

type Part = (&'static str, fn(ByteString) -> Attribute);

/// The parts of a subject's name by object identifier (table 39).
const SUBJECT_PARTS: &[Part] = &[
    ("2.5.4.3", Attribute::CertificateSubjectCn),
    ("2.5.4.10", Attribute::CertificateSubjectO),
    ("2.5.4.11", Attribute::CertificateSubjectOu),
    ("1.2.840.113549.1.9.1", Attribute::CertificateSubjectEmail),
    ("2.5.4.6", Attribute::CertificateSubjectC),
    ("2.5.4.8", Attribute::CertificateSubjectSt),
    ("2.5.4.7", Attribute::CertificateSubjectL),
    ("0.9.2342.19200300.100.1.1", Attribute::CertificateSubjectUid),
    ("2.5.4.5", Attribute::CertificateSubjectSerialNumber),
    ("2.5.4.12", Attribute::CertificateSubjectTitle),
    ("0.9.2342.19200300.100.1.25", Attribute::CertificateSubjectDc),
    ("2.5.4.46", Attribute::CertificateSubjectDnQualifier),
];

const ISSUER_PARTS: &[Part] = &[
    ("2.5.4.3", Attribute::CertificateIssuerCn),
    ("2.5.4.10", Attribute::CertificateIssuerO),
    ("2.5.4.11", Attribute::CertificateIssuerOu),
    ("1.2.840.113549.1.9.1", Attribute::CertificateIssuerEmail),
    ("2.5.4.6", Attribute::CertificateIssuerC),
    ("2.5.4.8", Attribute::CertificateIssuerSt),
    ("2.5.4.7", Attribute::CertificateIssuerL),
    ("0.9.2342.19200300.100.1.1", Attribute::CertificateIssuerUid),
    ("2.5.4.5", Attribute::CertificateIssuerSerialNumber),
    ("2.5.4.12", Attribute::CertificateIssuerTitle),
    ("0.9.2342.19200300.100.1.25", Attribute::CertificateIssuerDc),
    ("2.5.4.46", Attribute::CertificateIssuerDnQualifier),
];

fn parts(name: &X509Name<'_>, table: &'static [Part]) -> impl Iterator<Item = Attribute> {
    let parts = name.iter_attributes().filter_map(|part| {
        let identifier = part.attr_type().to_id_string();
        let (_, attribute) = table.iter().find(|(known, _)| *known == identifier)?;
        Some(attribute(ByteString::from(part.as_str().ok()?)))
    });
    parts.collect::<Vec<_>>().into_iter()
}

fn signature_algorithm(identifier: &str) -> Option<DigitalSignatureAlgorithm> {
    use DigitalSignatureAlgorithm as A;
    Some(match identifier {
        "1.2.840.113549.1.1.4" => A::Md5WithRsaEncryption,
        "1.2.840.113549.1.1.5" => A::Sha1WithRsaEncryption,
        "1.2.840.113549.1.1.14" => A::Sha224WithRsaEncryption,
        "1.2.840.113549.1.1.11" => A::Sha256WithRsaEncryption,
        "1.2.840.113549.1.1.12" => A::Sha384WithRsaEncryption,
        "1.2.840.113549.1.1.13" => A::Sha512WithRsaEncryption,
        "1.2.840.113549.1.1.10" => A::RsassaPss,
        "1.2.840.10045.4.1" => A::EcdsaWithSha1,
        "1.2.840.10045.4.3.1" => A::EcdsaWithSha224,
        "1.2.840.10045.4.3.2" => A::EcdsaWithSha256,
        "1.2.840.10045.4.3.3" => A::EcdsaWithSha384,
        "1.2.840.10045.4.3.4" => A::EcdsaWithSha512,
        _ => return None,
    })
}
