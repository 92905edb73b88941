//! Shredding: `krypton rotate --shred` destroys the old versions of services' keys when the Gateways have sealed anew what is to
//! outlive them; `krypton shred` destroys a service or a tenant with all that is sealed under it.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytestring::ByteString;
use key_service::chain::{SHRED, SHRED_REPORT, VENDOR, is_to_be_shredded, shred_mark};
use kmip_protocol::attribute::{Attribute, AttributeReference, Attributes, RevocationReason};
use kmip_protocol::enumeration::{ResultReason, RevocationReasonCode, State};
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::operation::{
    AddAttributeRequest, AddAttributeResponse, DeleteAttributeRequest, DeleteAttributeResponse,
    DestroyRequest, DestroyResponse, GetAttributesRequest, GetAttributesResponse, RevokeRequest,
    RevokeResponse,
};
use serde_json::json;

use crate::arguments::{RotateSettings, ShredSettings, Target};
use crate::error::Error;
use crate::operator::Operator;
use crate::output;
use crate::tenant::{Key, chains};

/// How often the Core is asked whether the Gateways are done.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// Marks the old versions of services for shredding, waits for the Gateways, and destroys the versions.
///
/// # Errors
/// If the Core does not answer, or refuses for another reason than that Gateways are not done.
pub async fn old_versions(
    operator: &Operator,
    settings: &RotateSettings,
    services: &[&str],
    json: bool,
) -> Result<ExitCode, Error> {
    let chain = chains(operator, Some(&settings.tenant)).await?.remove(&settings.tenant).unwrap_or_default();
    let is_old = |key: &&Key| {
        key.state == State::Deactivated
            && key.service.as_deref().is_some_and(|service| services.contains(&service))
    };
    let old: Vec<&Key> = chain.service_keys.iter().filter(is_old).collect();
    for key in &old {
        match (settings.force, is_to_be_shredded(attributes(operator, key).await?.iter())) {
            (false, false) => mark(operator, key).await?,
            (true, true) => unmark(operator, key).await?,
            _ => (),
        }
    }
    let started = Instant::now();
    for key in old {
        if !wait_and_destroy(operator, key, settings, started, json).await? {
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns whether the version is destroyed.
async fn wait_and_destroy(
    operator: &Operator,
    key: &Key,
    settings: &RotateSettings,
    started: Instant,
    json: bool,
) -> Result<bool, Error> {
    let service = key.service.as_deref().unwrap_or_default();
    let mut told = String::new();
    loop {
        let message = match destroy(operator, key).await {
            Ok(()) => {
                tell(
                    key,
                    service,
                    "destroyed: what it sealed opens no more, in no backup",
                    "destroyed",
                    json,
                );
                return Ok(true);
            }
            Err(Error::Refused { reason: ResultReason::WrongKeyLifecycleState, message, .. }) => message,
            Err(error) => return Err(error),
        };
        let reports = reports(&attributes(operator, key).await?);
        let progress = if reports.is_empty() { message } else { format!("{message} ({reports})") };
        if progress != told {
            tell(key, service, &progress, "waiting", json);
            told = progress;
        }
        if settings.wait_seconds.is_some_and(|seconds| started.elapsed() >= Duration::from_secs(seconds)) {
            tell(key, service, "not destroyed yet: the same command waits again", "given-up", json);
            return Ok(false);
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

fn tell(key: &Key, service: &str, text: &str, outcome: &str, json: bool) {
    if json {
        let line = json!({
            "service": service, "version": &*key.unique_identifier, "shredding": outcome, "progress": text,
        });
        output::line(&line.to_string());
    } else {
        output::line(&format!("{service}: {}: {text}", key.unique_identifier));
    }
}

/// `krypton shred`: destroys what seals a service, or a tenant.
///
/// # Errors
/// If it is not confirmed, there is nothing to destroy, the Core does not answer, or it refuses.
pub async fn run(target: &Target, settings: &ShredSettings, json: bool) -> Result<ExitCode, Error> {
    let operator = Operator::of_target(target)?;
    let chain = chains(&operator, Some(&settings.tenant)).await?.remove(&settings.tenant).unwrap_or_default();
    let is_left = |key: &&Key| !matches!(key.state, State::Destroyed | State::DestroyedCompromised);
    let is_meant =
        |key: &&Key| settings.service.is_none() || key.service.as_deref() == settings.service.as_deref();
    let mut keys: Vec<&Key> = chain.service_keys.iter().filter(is_left).filter(is_meant).collect();
    if settings.service.is_none() {
        keys.extend(chain.tenant_keys.iter().filter(is_left));
    }
    if keys.is_empty() {
        return Err(Error::Option("there is nothing left to destroy".to_owned()));
    }
    if !settings.yes {
        let what =
            settings.service.as_ref().map_or("tenant".to_owned(), |service| format!("service \"{service}\""));
        return Err(Error::Option(format!(
            "this destroys the {what} of \"{}\", {} keys, and all that is sealed under them, for good: say --yes",
            settings.tenant,
            keys.len()
        )));
    }
    for key in &keys {
        close(&operator, key).await?;
    }
    for key in keys {
        destroy(&operator, key).await?;
        if json {
            output::line(&json!({ "destroyed": &*key.unique_identifier }).to_string());
        } else {
            output::line(&format!("destroyed {}", key.unique_identifier));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes a key ready to be destroyed: nobody uses it any more, and nobody is waited for.
async fn close(operator: &Operator, key: &Key) -> Result<(), Error> {
    if is_to_be_shredded(attributes(operator, key).await?.iter()) {
        unmark(operator, key).await?;
    }
    if key.state != State::Active {
        return Ok(());
    }
    let request = RevokeRequest {
        unique_identifier: identifier(key),
        revocation_reason: RevocationReason {
            code: RevocationReasonCode::CessationOfOperation,
            message: Some(ByteString::from_static("shredded")),
        },
        compromise_occurrence_date: None,
    };
    operator.call::<RevokeResponse>(request).await.map(drop)
}

async fn destroy(operator: &Operator, key: &Key) -> Result<(), Error> {
    let request = DestroyRequest { unique_identifier: identifier(key) };
    operator.call::<DestroyResponse>(request).await.map(drop)
}

async fn mark(operator: &Operator, key: &Key) -> Result<(), Error> {
    let new_attribute = Attributes::new([shred_mark()]);
    let request = AddAttributeRequest { unique_identifier: identifier(key), new_attribute };
    operator.call::<AddAttributeResponse>(request).await.map(drop)
}

async fn unmark(operator: &Operator, key: &Key) -> Result<(), Error> {
    let (vendor, name) = (ByteString::from_static(VENDOR), ByteString::from_static(SHRED));
    let request = DeleteAttributeRequest {
        unique_identifier: identifier(key),
        current_attribute: Attributes::default(),
        attribute_references: vec![AttributeReference::Custom { vendor, name }],
        attribute_index: None,
    };
    operator.call::<DeleteAttributeResponse>(request).await.map(drop)
}

async fn attributes(operator: &Operator, key: &Key) -> Result<Attributes, Error> {
    let request =
        GetAttributesRequest { unique_identifier: identifier(key), attribute_references: Vec::new() };
    Ok(operator.call::<GetAttributesResponse>(request).await?.attributes)
}

/// What the Gateways report: one after the other.
fn reports(attributes: &Attributes) -> String {
    let reports = attributes.iter().filter_map(|attribute| match attribute {
        Attribute::Custom(custom) if custom.vendor == VENDOR => {
            let gateway = custom.name.strip_prefix(SHRED_REPORT)?.trim_start();
            Some(format!("{gateway}: {}", custom.value.as_text()?))
        }
        _ => None,
    });
    reports.collect::<Vec<_>>().join(", ")
}

fn identifier(key: &Key) -> Option<UniqueIdentifier> {
    Some(UniqueIdentifier::Text(key.unique_identifier.clone()))
}
