//! Hash (6.1.24): digests data. No object takes part.

use bytes::Bytes;
use kmip_protocol::operation::{HashRequest, HashResponse, Operation};

use super::parts::{self, Part, Progress};
use crate::context::Context;
use crate::crypto::Hasher;
use crate::fault::Fault;
use crate::streams::{State, Subject, no_stream};

pub(super) fn handle(context: &Context<'_>, request: HashRequest) -> Result<HashResponse, Fault> {
    let part = Part::of(request.correlation_value, request.init_indicator, request.final_indicator)?;
    let data = part.data(request.data)?;
    let algorithm = request.cryptographic_parameters.hashing_algorithm;
    let begin = || {
        let algorithm = algorithm.ok_or_else(|| Fault::missing("Hashing Algorithm is needed"))?;
        Ok::<_, Fault>(State::Hash(Hasher::new(algorithm)?))
    };
    let fresh = part.begins().then(begin).transpose()?;
    let progress = parts::advance(context, part, Subject::without_object(Operation::Hash), fresh, |state| {
        let State::Hash(hasher) = state else { return Err(no_stream()) };
        hasher.update(data.expose());
        Ok(0)
    })?;
    match progress {
        Progress::Waiting(correlation) => {
            Ok(HashResponse { data: None, correlation_value: Some(correlation) })
        }
        Progress::Done(State::Hash(hasher)) => {
            Ok(HashResponse { data: Some(Bytes::from(hasher.finish())), correlation_value: None })
        }
        Progress::Done(_) => Err(no_stream()),
    }
}
