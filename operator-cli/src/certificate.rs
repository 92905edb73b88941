//! The signed certificate of a revocation: the receipts that the Core's audit log has of it, fetched in plain KMIP.

use std::fs;
use std::path::Path;

use bytestring::ByteString;
use key_service::chain::{RECEIPT, VENDOR};
use kmip_protocol::attribute::{Attribute, AttributeReference, CustomValue};
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::operation::{GetAttributesRequest, GetAttributesResponse, Request};

use crate::error::Error;
use crate::operator::Operator;
use crate::output;

/// Objects asked about in one message: receipts are long.
const PAGE: usize = 50;

/// The receipts of the revocation of keys.
///
/// # Errors
/// If the Core does not answer, or keeps no audit log.
pub async fn fetch(operator: &Operator, keys: &[ByteString]) -> Result<Vec<String>, Error> {
    let mut receipts = Vec::new();
    for page in keys.chunks(PAGE) {
        let requests = page.iter().map(|key| Request::from(request(key)));
        for answer in operator.call_each::<GetAttributesResponse>(requests).await? {
            let GetAttributesResponse { attributes, .. } = answer?;
            receipts.push(attributes.iter().find_map(text).ok_or(Error::Answer("Get Attributes: Receipt"))?);
        }
    }
    Ok(receipts)
}

fn request(key: &ByteString) -> GetAttributesRequest {
    let (vendor, name) = (ByteString::from_static(VENDOR), ByteString::from_static(RECEIPT));
    GetAttributesRequest {
        unique_identifier: Some(UniqueIdentifier::Text(key.clone())),
        attribute_references: vec![AttributeReference::Custom { vendor, name }],
    }
}

fn text(attribute: &Attribute) -> Option<String> {
    match attribute {
        Attribute::Custom(custom) if custom.name == RECEIPT => match &custom.value {
            CustomValue::Text(text) => Some(text.to_string()),
            _ => None,
        },
        _ => None,
    }
}

/// Writes the receipts to a file, or prints them. Without a file to write, a revocation without receipts is one all the same.
///
/// # Errors
/// If a file is wanted and cannot be had. The revocation is in force.
pub fn keep(certificates: Result<Vec<String>, Error>, file: Option<&Path>, json: bool) -> Result<(), Error> {
    match (certificates, file) {
        (Ok(certificates), Some(path)) => {
            fs::write(path, certificates.concat()).map_err(Error::file("write", path))?;
            if !json {
                output::line(&format!("the signed certificate is in {}", path.display()));
            }
        }
        (Ok(certificates), None) if !json => {
            output::line(
                "\nThe signed certificate (`krypton audit verify --offline FILE --key VERIFIER` verifies it):\n",
            );
            certificates.iter().for_each(|receipt| output::text(receipt));
        }
        (Ok(_), None) => (),
        (Err(error), Some(_)) => {
            eprintln!("krypton: the revocation is in force, but there is no certificate of it");
            return Err(error);
        }
        (Err(error), None) => eprintln!("krypton: there is no certificate of the revocation: {error}"),
    }
    Ok(())
}
