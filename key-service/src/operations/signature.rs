//! What Sign and Signature Verify share: the way of the data to the digest that is signed.

use bytes::Bytes;
use kmip_protocol::codec::Secret;
use kmip_protocol::enumeration::HashingAlgorithm;
use kmip_protocol::operation::Operation;

use super::parts::{self, Key, Part, Progress};
use crate::context::Context;
use crate::crypto::CipherParameters;
use crate::fault::Fault;
use crate::streams::{Digested, Digesting, State, no_stream};

/// What to sign, or what was signed.
pub(super) enum Input {
    /// The data, or a part of it.
    Data(Secret),
    /// The digest of the data.
    Digest(Bytes),
}

impl Input {
    /// A digest comes in one part, and instead of the data.
    pub(super) fn of(part: &Part, data: Option<Secret>, digest: Option<Bytes>) -> Result<Self, Fault> {
        match (digest, &data, part) {
            (None, _, _) => part.data(data).map(Self::Data),
            (Some(digest), None, Part::Only) => Ok(Self::Digest(digest)),
            _ => Err(Fault::invalid_field("Digested Data stands alone and instead of Data")),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Data(data) => data.len(),
            Self::Digest(digest) => digest.len(),
        }
    }
}

/// How an operation that begins is to be done.
pub(super) struct Scheme {
    pub(super) hash: Option<HashingAlgorithm>,
    pub(super) parameters: CipherParameters,
}

/// Data that is ready for its signature.
pub(super) struct Digestion {
    pub(super) digested: Digested,
    pub(super) parameters: CipherParameters,
    /// The one to verify, if a part has brought it.
    pub(super) signature: Option<Bytes>,
}

/// Where the operation is after a part.
pub(super) enum Step {
    Done(Digestion),
    Waiting(Bytes),
}

/// Brings the data of a part to the digest. An operation that begins has a `scheme`.
pub(super) fn digest(
    context: &Context<'_>,
    part: Part,
    (operation, key): (Operation, &Key),
    scheme: Option<Scheme>,
    input: Input,
    told: Option<Bytes>,
) -> Result<Step, Fault> {
    let data = match input {
        Input::Data(data) => data,
        Input::Digest(digest) => {
            let Scheme { parameters, .. } = scheme.ok_or_else(no_stream)?;
            let digested = Digested::Digest(digest.to_vec());
            return Ok(Step::Done(Digestion { digested, parameters, signature: told }));
        }
    };
    let begin = |Scheme { hash, parameters }| {
        Ok::<_, Fault>(State::Signature { digesting: Digesting::new(hash)?, parameters, signature: None })
    };
    let fresh = scheme.map(begin).transpose()?;
    let stream = key.subject(operation);
    let progress = parts::advance(context, part, stream, fresh, |state| match state {
        State::Signature { digesting, signature, .. } => {
            // Any part may bring the signature; the last one counts.
            *signature = told.map(|told| Bytes::copy_from_slice(&told)).or_else(|| signature.take());
            Ok(digesting.update(data.expose())?)
        }
        _ => Err(no_stream()),
    })?;
    match progress {
        Progress::Waiting(correlation) => Ok(Step::Waiting(correlation)),
        Progress::Done(State::Signature { digesting, parameters, signature }) => {
            Ok(Step::Done(Digestion { digested: digesting.finish(), parameters, signature }))
        }
        Progress::Done(_) => Err(no_stream()),
    }
}
