//! `krypton policy`: written, tried and signed by headquarters, applied and shown by operators. What goes to the Core is plain
//! KMIP; the rest needs no Core.

pub mod trial;

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;

use bytestring::ByteString;
use governance::{Bundle, DEFAULT_POLICIES, Header, SCHEMA, parse_instant};
use key_service::audit_log::SigningKey;
use key_service::chain::{
    POLICY_BUNDLE, POLICY_DATA_TYPE, POLICY_DIGEST, POLICY_OBJECT, POLICY_SIGNER, POLICY_STORED,
    POLICY_VERSION, own_value,
};
use key_service::durable_files::{self, Readers};
use key_service::port::SystemEntropy;
use kmip_protocol::attribute::Attributes;
use kmip_protocol::codec::Secret;
use kmip_protocol::enumeration::{ObjectType, ResultReason};
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::object::{ManagedObject, OpaqueObject};
use kmip_protocol::operation::{
    GetAttributesRequest, GetAttributesResponse, RegisterRequest, RegisterResponse,
};
use serde_json::json;
use zeroize::Zeroizing;

use crate::arguments::{PolicyCommand, SignSettings, Target};
use crate::dev::layout::Layout;
use crate::error::Error;
use crate::operator::Operator;
use crate::output;

/// `krypton policy`.
///
/// # Errors
/// If a file cannot be used, the Core does not answer, or it refuses.
pub async fn run(target: &Target, command: &PolicyCommand, json: bool) -> Result<ExitCode, Error> {
    match command {
        PolicyCommand::Apply { file } => apply(target, file, json).await,
        PolicyCommand::Show { default: true, .. } => shipped(DEFAULT_POLICIES, json),
        PolicyCommand::Show { schema: true, .. } => shipped(SCHEMA, json),
        PolicyCommand::Show { .. } => show(target, json).await,
        PolicyCommand::Test(settings) => trial::run(settings, json),
        PolicyCommand::Sign(settings) => sign(target, settings, json),
        PolicyCommand::Keygen { name, out } => keygen(name, out, json),
    }
}

async fn apply(target: &Target, file: &Path, json: bool) -> Result<ExitCode, Error> {
    let bundle = fs::read(file).map_err(Error::file("read", file))?;
    let object = OpaqueObject {
        opaque_data_type: POLICY_DATA_TYPE,
        opaque_data_value: Secret::copy_from_slice(&bundle),
    };
    let operator = Operator::of_target(target)?;
    let request = RegisterRequest {
        object_type: ObjectType::OpaqueObject,
        attributes: Attributes::default(),
        object: ManagedObject::OpaqueObject(object),
        protection_storage_masks: None,
    };
    operator.call::<RegisterResponse>(request).await?;
    let told = told(&operator).await?.ok_or(Error::Answer("a policy"))?;
    if json {
        output::line(
            &json!({ "applied": told.version, "digest": told.digest, "signer": told.signer }).to_string(),
        );
    } else {
        output::line(&format!("policy {} of {} is in force ({})", told.version, told.signer, told.digest));
    }
    Ok(ExitCode::SUCCESS)
}

/// What the Core tells about the bundle that is in force there.
struct Told {
    version: String,
    digest: String,
    signer: String,
    bundle: String,
    /// How the Core's store stands to it; `None`: the Core does not tell.
    stored: Option<String>,
}

impl Told {
    /// What is wrong with the Core's store, if anything is, and what helps.
    fn problem(&self) -> Option<&'static str> {
        Some(match self.stored.as_deref()? {
            "in force" => return None,
            "missing" => "it is missing in the Core's store: apply the newest bundle again",
            "damaged" => {
                "its record in the Core's store is damaged: restore it, or delete it and apply the newest bundle again"
            }
            _ => "the Core's store has another one: apply the newest bundle again",
        })
    }
}

/// `None` if no bundle is in force.
async fn told(operator: &Operator) -> Result<Option<Told>, Error> {
    let request = GetAttributesRequest {
        unique_identifier: Some(UniqueIdentifier::Text(ByteString::from_static(POLICY_OBJECT))),
        attribute_references: Vec::new(),
    };
    let attributes = match operator.call::<GetAttributesResponse>(request).await {
        Err(Error::Refused { reason: ResultReason::ObjectNotFound | ResultReason::ItemNotFound, .. }) => {
            return Ok(None);
        }
        answer => answer?.attributes,
    };
    // The store has one, and the Core does not take it.
    if own_value(attributes.iter(), POLICY_VERSION).is_none() {
        return Ok(None);
    }
    let value = |name| {
        let value = own_value(attributes.iter(), name).map(|value| value.to_string());
        value.ok_or(Error::Answer("a policy"))
    };
    Ok(Some(Told {
        version: value(POLICY_VERSION)?,
        digest: value(POLICY_DIGEST)?,
        signer: value(POLICY_SIGNER)?,
        bundle: value(POLICY_BUNDLE)?,
        stored: own_value(attributes.iter(), POLICY_STORED).map(|value| value.to_string()),
    }))
}

async fn show(target: &Target, json: bool) -> Result<ExitCode, Error> {
    let told = told(&Operator::of_target(target)?).await?;
    if let Some(problem) = told.as_ref().and_then(Told::problem) {
        eprintln!("krypton: this policy is in force, and {problem}");
    }
    match told {
        Some(Told { version, digest, signer, bundle, stored }) if json => {
            let shown = json!({
                "version": version,
                "digest": digest,
                "signer": signer,
                "stored": stored,
                "bundle": bundle,
            });
            output::line(&shown.to_string());
        }
        Some(told) => {
            output::line(&format!("# policy {} of {} ({})", told.version, told.signer, told.digest));
            output::line(told.bundle.trim_end());
        }
        None if json => output::line(&json!({ "version": null }).to_string()),
        None => output::line(
            "no bundle is in force: the built-in policies are (krypton policy show --default), or nothing where the Core requires a \
             bundle or cannot use the one in its store",
        ),
    }
    Ok(ExitCode::SUCCESS)
}

fn shipped(text: &str, json: bool) -> Result<ExitCode, Error> {
    if json {
        output::line(&json!({ "text": text }).to_string());
    } else {
        output::line(text.trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

fn sign(target: &Target, settings: &SignSettings, json: bool) -> Result<ExitCode, Error> {
    let policies = read_text(&settings.file)?;
    // Nothing is signed that no Core would take.
    let region = settings.region.first().map_or("*", String::as_str);
    let compiled = governance::Policies::new(&policies, region)
        .map_err(|error| Error::Unfit { path: settings.file.clone(), problem: error.to_string() })?;
    let instant = |text: &Option<String>| match text {
        Some(text) => parse_instant(text).map(Some).ok_or_else(|| {
            Error::Option(format!("\"{text}\" is no point in time such as 2026-12-01T00:00:00Z"))
        }),
        None => Ok(None),
    };
    let header = Header {
        version: settings.policy_version,
        regions: settings.region.clone(),
        not_before: instant(&settings.not_before)?,
        not_after: instant(&settings.not_after)?,
    };
    let key = signing_key(target, settings)?;
    let bundle = Bundle::sign(&header, &policies, &key)
        .map_err(|error| Error::Unfit { path: settings.file.clone(), problem: error.to_string() })?;
    match &settings.out {
        Some(out) => fs::write(out, &bundle).map_err(Error::file("write", out))?,
        None if json => (),
        None => output::line(bundle.trim_end()),
    }
    if json {
        let signed = json!({
            "version": header.version,
            "policies": compiled.len(),
            "warnings": compiled.warnings(),
            "bundle": settings.out.is_none().then_some(&bundle),
        });
        output::line(&signed.to_string());
    } else {
        compiled.warnings().iter().for_each(|warning| eprintln!("krypton: {warning}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// The key that is named, or that of the development stack.
fn signing_key(target: &Target, settings: &SignSettings) -> Result<SigningKey, Error> {
    let path = match &settings.signing_key {
        Some(path) => path.clone(),
        None => Layout::new(&target.dir)?.pki().headquarters().signing_key(),
    };
    if settings.signing_key.is_none() && (target.core.is_some() || !path.exists()) {
        let problem = "--signing-key is needed: there is no development stack that has a key";
        return Err(Error::Option(problem.to_owned()));
    }
    let key = Zeroizing::new(read_text(&path)?);
    SigningKey::parse(&key).map_err(|error| Error::Unfit { path, problem: error.to_string() })
}

fn keygen(name: &str, out: &Path, json: bool) -> Result<ExitCode, Error> {
    let unfit = |error: key_service::audit_log::NoteError| Error::Option(error.to_string());
    let key = SigningKey::generate(name, &SystemEntropy::new()).map_err(unfit)?;
    let secret = key.encode().map_err(unfit)?;
    durable_files::create(out, Readers::Owner, &secret).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            Error::Option(format!("{} is there already: keys are not overwritten", out.display()))
        }
        _ => Error::file("write", out)(error),
    })?;
    let public = key.verifier().to_string();
    if json {
        output::line(&json!({ "trusted_key": public, "signing_key_file": out }).to_string());
    } else {
        output::line(&public);
    }
    Ok(ExitCode::SUCCESS)
}

fn read_text(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(Error::file("read", path))
}
