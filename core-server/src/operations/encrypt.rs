//! Encrypt: wraps data of a Gateway under an Active L3. The data comes back as an envelope that opens only under the
//! same L3 and the same Authenticated Encryption Additional Data, an [`ObjectBinding`].
//!
//! Once an L3 is open, a wrap reads nothing of the store but whether the object has a tombstone: what it needs to know of the L3 is kept with it.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use bytestring::ByteString;
use governance::Action;
use key_service::chain::ObjectBinding;
use key_service::context::{Absence, Context};
use key_service::crypto::{self, CryptoError, SEALING_KEY_BYTES};
use key_service::fault::Fault;
use key_service::record::Record;
use key_service::{lifecycle_dates, usage};
use kmip_protocol::codec::Secret;
use kmip_protocol::enumeration::{ResultReason, State};
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::lifecycle::Purpose;
use kmip_protocol::mask::CryptographicUsageMask;
use kmip_protocol::operation::{EncryptRequest, EncryptResponse};
use kmip_ttlv::SecretBuffer;

use crate::metrics::Use;
use crate::policy::authorization::{authorize, authorize_use, resource_of};
use crate::seat::Seat;
use crate::tombstones::Plot;
use crate::vault::UnsealedKey;

pub(super) async fn handle(
    seat: &Seat,
    context: &Context<'_>,
    request: EncryptRequest,
) -> Result<EncryptResponse, Fault> {
    let started = Instant::now();
    let wrapped = wrap(seat, context, request).await;
    seat.metrics.used(Use::Wrap, wrapped.is_ok(), started);
    let (grave, response) = wrapped?;
    refuse_if_buried(seat, context, grave).await?;
    Ok(response)
}

async fn wrap(
    seat: &Seat,
    context: &Context<'_>,
    request: EncryptRequest,
) -> Result<(Absence, EncryptResponse), Fault> {
    let in_parts = request.init_indicator.is_some() || request.final_indicator.is_some();
    let chosen = request.iv_counter_nonce.is_some() || request.cryptographic_parameters.is_some();
    refuse_choices(in_parts || request.correlation_value.is_some(), chosen)?;
    let data = request.data.ok_or_else(|| Fault::missing("Data is needed"))?;
    if data.len() > seat.maximum_plaintext_bytes {
        return Err(Fault::new(ResultReason::ServerLimitExceeded, "the data is too long to be wrapped"));
    }
    let (object, bound) = object_binding(request.authenticated_encryption_additional_data)?;
    let entropy = &*context.service.entropy;
    let identifier = request.unique_identifier.as_ref();
    let (unique_identifier, (plot, envelope)) =
        use_key(seat, context, identifier, Action::Wrap, |key, bytes| {
            let envelope = crypto::seal(bytes, &key.binding(&bound), data.expose(), entropy)?;
            key.uses().wrapped();
            Ok((Plot::of(key.tenant(), key.record()), envelope))
        })
        .await?;
    let response = EncryptResponse {
        unique_identifier,
        data: Some(Secret::from(SecretBuffer::from(envelope))),
        iv_counter_nonce: None,
        correlation_value: None,
        authenticated_encryption_tag: None,
    };
    Ok((plot.grave(&object.unique_identifier), response))
}

/// The envelope decides about algorithm, nonce and tag, and takes its data in one piece.
pub(super) fn refuse_choices(in_parts: bool, chosen: bool) -> Result<(), Fault> {
    if in_parts {
        return Err(Fault::feature_not_supported("data is wrapped in one piece"));
    }
    if chosen {
        return Err(Fault::invalid_field("the envelope has its own algorithm, nonce and tag"));
    }
    Ok(())
}

/// What the Gateway tells about the object, and its bytes; without it a blob could be moved to another one.
pub(super) fn object_binding(associated_data: Option<Bytes>) -> Result<(ObjectBinding, Bytes), Fault> {
    let message = "Authenticated Encryption Additional Data is needed: it binds the blob to its object";
    let associated_data = associated_data.ok_or_else(|| Fault::missing(message))?;
    match ObjectBinding::decode(&associated_data) {
        Ok(object) => Ok((object, associated_data)),
        Err(_) => {
            Err(Fault::invalid_field("Authenticated Encryption Additional Data is no binding of an object"))
        }
    }
}

/// Refuses what was done with an object that was destroyed. Asked when it is done, right before the answer: one that is buried
/// meanwhile is refused, too.
pub(super) async fn refuse_if_buried(
    seat: &Seat,
    context: &Context<'_>,
    grave: Absence,
) -> Result<(), Fault> {
    let Some(grave) = context.look_later(grave) else { return Ok(()) };
    refuse_buried(seat, &[grave]).await?.into_iter().collect()
}

/// As [`refuse_if_buried`], of many objects: what becomes of each.
pub(super) async fn refuse_buried(seat: &Seat, graves: &[Absence]) -> Result<Vec<Result<(), Fault>>, Fault> {
    let refuse = |is_buried| {
        if is_buried {
            seat.metrics.buried_uses.inc();
            return Err(Fault::object_destroyed());
        }
        Ok(())
    };
    Ok(seat.tombstones.are_buried(graves).await?.into_iter().map(refuse).collect())
}

/// How often a key is opened again when it is forgotten between being opened and being used.
const ATTEMPTS: usize = 8;

/// Works with the L3 of an identifier, if policy, budget and its state allow. Answers with the identifier of the key.
pub(super) async fn use_key<T>(
    seat: &Seat,
    context: &Context<'_>,
    identifier: Option<&UniqueIdentifier>,
    action: Action,
    work: impl Fn(&UnsealedKey, &[u8; SEALING_KEY_BYTES]) -> Result<T, CryptoError>,
) -> Result<(ByteString, T), Fault> {
    let unique_identifier = context.resolve(identifier)?;
    let mut is_metered = false;
    for _ in 0..ATTEMPTS {
        let key = match seat.vault.opened(&unique_identifier).filter(|key| seat.sees(key)) {
            Some(key) => key,
            None => open(seat, context, identifier, action).await?,
        };
        // From here on nothing is waited for: a revoked Gateway is told apart before the key is used, or after.
        let _admitted = seat.admission.enter()?;
        let record = lifecycle_dates::settle(Arc::clone(key.record()), context.service.clock.now());
        context.note("tenant", key.tenant().clone());
        let authorized = authorize_use(seat, context, action, &key, record.state())?;
        judge(context, &record, action)?;
        if !std::mem::replace(&mut is_metered, true) {
            meter(seat, context, action, &key)?;
        }
        if let Some(done) = authorized.work_with(&key, |bytes| work(&key, bytes)) {
            return Ok((key.record().unique_identifier.clone(), done?));
        }
    }
    Err(Fault::general_failure("the key is being changed; try again"))
}

/// Counts a use once, however often it has to be tried.
fn meter(seat: &Seat, context: &Context<'_>, action: Action, key: &UnsealedKey) -> Result<(), Fault> {
    let gateway = &context.principal.name;
    match action {
        Action::Wrap => {
            seat.meter.wrap(gateway, key.tenant()).inspect_err(|_| seat.metrics.over_wrap_budget(gateway))
        }
        Action::Unwrap => {
            seat.meter.unwrap(gateway, key.tenant()).inspect_err(|_| seat.metrics.over_budget(gateway))
        }
        _ => Ok(()),
    }
}

/// Opens a cold key, after policy and record have been asked: the root of a tenant is not asked in vain.
async fn open(
    seat: &Seat,
    context: &Context<'_>,
    identifier: Option<&UniqueIdentifier>,
    action: Action,
) -> Result<Arc<UnsealedKey>, Fault> {
    let record = context.live_object(identifier).await?;
    authorize(seat, context, action, resource_of(&record))?;
    judge(context, &record, action)?;
    let tenant = crate::chain::tenant(&record).ok_or_else(Fault::object_not_found)?;
    Ok(seat.vault.open(&record.unique_identifier, tenant).await?)
}

/// Active wraps and unwraps, Deactivated unwraps; nothing else does either.
fn judge(context: &Context<'_>, record: &Arc<Record>, action: Action) -> Result<(), Fault> {
    if record.state() == Some(State::Compromised) {
        return Err(Fault::wrong_state("the key is Compromised and is used no more"));
    }
    match action {
        Action::Wrap => usage::judge(context, record, CryptographicUsageMask::ENCRYPT, Purpose::Protect),
        _ => usage::judge(context, record, CryptographicUsageMask::DECRYPT, Purpose::Process),
    }
}
