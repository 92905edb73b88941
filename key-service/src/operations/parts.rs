//! Operations with a key, at once or in several parts: which part a request is, and what is judged at each.

use std::sync::Arc;

use bytes::Bytes;
use kmip_protocol::codec::Secret;
use kmip_protocol::enumeration::ResultReason;
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::lifecycle::Purpose;
use kmip_protocol::mask::CryptographicUsageMask;
use kmip_protocol::object::ManagedObject;
use kmip_protocol::operation::Operation;

use crate::context::Context;
use crate::fault::Fault;
use crate::record::Record;
use crate::streams::{self, State, Subject};
use crate::usage;

/// Which part of an operation a request is.
#[derive(Debug, Clone)]
pub(super) enum Part {
    /// The first and last.
    Only,
    /// The first; more will come.
    First,
    /// One in between, of the stream of this Correlation Value.
    Next(Bytes),
    /// The last.
    Last(Bytes),
}

impl Part {
    /// Reads the indicators of a request.
    pub(super) fn of(
        correlation: Option<Bytes>,
        init: Option<bool>,
        last: Option<bool>,
    ) -> Result<Self, Fault> {
        match (correlation, init == Some(true), last == Some(true)) {
            (None, true, false) => Ok(Self::First),
            (None, _, _) => Ok(Self::Only),
            (Some(correlation), false, true) => Ok(Self::Last(correlation)),
            (Some(correlation), false, false) => Ok(Self::Next(correlation)),
            (Some(_), true, _) => Err(Fault::new(
                ResultReason::InvalidCorrelationValue,
                "an operation that begins has no Correlation Value yet",
            )),
        }
    }

    /// The data of the request, which only an operation in several parts may leave out.
    pub(super) fn data(&self, data: Option<Secret>) -> Result<Secret, Fault> {
        match (self, data) {
            (Self::Only, None) => Err(Fault::missing("Data is needed")),
            (_, data) => Ok(data.unwrap_or_else(|| Secret::copy_from_slice(&[]))),
        }
    }

    /// Whether no part comes before this one.
    pub(super) fn begins(&self) -> bool {
        matches!(self, Self::Only | Self::First)
    }

    /// Whether no part comes after this one.
    pub(super) fn ends(&self) -> bool {
        matches!(self, Self::Only | Self::Last(_))
    }

    fn correlation(&self) -> Option<&Bytes> {
        match self {
            Self::Next(correlation) | Self::Last(correlation) => Some(correlation),
            Self::Only | Self::First => None,
        }
    }
}

/// What an operation asks of its key.
#[derive(Clone, Copy)]
pub(super) struct Use {
    pub(super) operation: Operation,
    pub(super) mask: CryptographicUsageMask,
    pub(super) purpose: Purpose,
}

/// A key that may be used, opened.
pub(super) struct Key {
    pub(super) record: Arc<Record>,
    pub(super) object: ManagedObject,
    /// Under which lease on the L3 above it the object was opened, or an earlier one. Known of operations in several parts.
    lease: u64,
}

impl Key {
    /// What a stream of an operation with this key is about.
    pub(super) fn subject(&self, operation: Operation) -> Subject {
        Subject::of(operation, &self.record, self.lease)
    }
}

/// Judges whether a part may be done with its key now, counts it, and opens the key. Every part has to pass: a key that
/// was revoked in between, or whose vault refuses it, ends the stream.
pub(super) async fn admit(
    context: &mut Context<'_>,
    part: &Part,
    identifier: Option<&UniqueIdentifier>,
    wanted: Use,
    bytes: usize,
) -> Result<Key, Fault> {
    let admitted = judge(context, part, identifier, wanted, bytes).await;
    if let (Err(fault), Some(correlation)) = (&admitted, part.correlation())
        && !fault.conflict
        && fault.reason != ResultReason::InvalidCorrelationValue
    {
        context.service.streams.end(context, wanted.operation, correlation);
    }
    admitted
}

async fn judge(
    context: &mut Context<'_>,
    part: &Part,
    identifier: Option<&UniqueIdentifier>,
    wanted: Use,
    bytes: usize,
) -> Result<Key, Fault> {
    let record = match part.correlation() {
        None => context.live_object(identifier).await?,
        Some(correlation) => {
            let of_stream = context.service.streams.object_of(context, wanted.operation, correlation)?;
            let named = identifier.map(|identifier| context.resolve(Some(identifier))).transpose()?;
            if named.is_some_and(|named| named != of_stream) {
                return Err(streams::no_stream());
            }
            context.live_object(Some(&of_stream.into())).await?
        }
    };
    usage::judge(context, &record, wanted.mask, wanted.purpose)?;
    if wanted.purpose == Purpose::Protect {
        usage::count(context, &record, bytes, part.begins())?;
    }
    if matches!(part, Part::Only) {
        let object = context.unseal(&record).await?;
        return Ok(Key { record, object, lease: 0 });
    }
    // Before the object is opened: a lease that begins meanwhile is not the stream's.
    let lease = context.hold(&record).await?;
    let object = context.unseal(&record).await?;
    context.commit_early().await?;
    Ok(Key { record, object, lease })
}

/// Where an operation is after a part.
#[expect(clippy::large_enum_variant, reason = "moved once a part, never kept")]
pub(super) enum Progress {
    /// That was the last part.
    Done(State),
    /// More will come, under this Correlation Value.
    Waiting(Bytes),
}

/// Brings an operation through a part. `fresh` is the state of one that begins; `update` adds the part and tells how
/// many bytes of it the state holds back.
pub(super) fn advance(
    context: &Context<'_>,
    part: Part,
    subject: Subject,
    fresh: Option<State>,
    update: impl FnOnce(&mut State) -> Result<usize, Fault>,
) -> Result<Progress, Fault> {
    let (streams, operation) = (&context.service.streams, subject.operation());
    match (part, fresh) {
        (Part::Only, Some(mut state)) => {
            update(&mut state)?;
            Ok(Progress::Done(state))
        }
        (Part::First, Some(mut state)) => {
            let held_bytes = update(&mut state)?;
            streams.begin(context, subject, state, held_bytes).map(Progress::Waiting)
        }
        (Part::Next(correlation), _) => {
            let mut state = streams.take(context, operation, &correlation)?;
            let held_bytes =
                update(&mut state).inspect_err(|_| streams.end(context, operation, &correlation))?;
            streams.put_back(context, &correlation, state, held_bytes)?;
            Ok(Progress::Waiting(correlation))
        }
        (Part::Last(correlation), _) => {
            let mut state = streams.take(context, operation, &correlation)?;
            streams.end(context, operation, &correlation);
            update(&mut state)?;
            Ok(Progress::Done(state))
        }
        (Part::Only | Part::First, None) => Err(streams::no_stream()),
    }
}
