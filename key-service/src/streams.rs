//! Operations in several parts (Init Indicator, Final Indicator, Correlation Value): a bounded table of those that are
//! under way.
//!
//! The state of a stream lives in memory only, belongs to the principal that began it, and is zeroized when the stream
//! ends, fails, is given up, or is forgotten because its object was destroyed or the lease has ended under which that was opened. A part takes its stream out of the table
//! and puts it back: two parts at a time cannot be.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use kmip_protocol::enumeration::{HashingAlgorithm, ResultReason};
use kmip_protocol::operation::Operation;
use kmip_ttlv::SecretBuffer;

use crate::context::Context;
use crate::crypto::{
    CipherParameters, CryptoError, Decryptor, Encryptor, HELD_BACK_LIMIT_BYTES, Hasher, Mac, SignatureInput,
};
use crate::fault::Fault;
use crate::port::Clock;
use crate::principal::Principal;
use crate::record::Record;
use crate::service::ServiceSettings;

/// Bytes of a Correlation Value: nobody guesses one.
const CORRELATION_BYTES: usize = 16;

/// The operations in several parts that are under way.
#[derive(Debug)]
pub struct Streams {
    maximum_streams: usize,
    maximum_streams_per_principal: usize,
    maximum_bytes: usize,
    idle_timeout: Duration,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    streams: HashMap<Bytes, Slot>,
    /// Of all streams, also of those that are taken out.
    held_bytes: usize,
}

#[derive(Debug)]
struct Slot {
    principal: Principal,
    last_used: Duration,
    subject: Subject,
    held_bytes: usize,
    /// `None` while a part is being worked on. In a place of its own: what is moved out of the table leaves its bytes behind there.
    state: Option<Box<State>>,
}

/// What a stream is about.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    operation: Operation,
    unique_identifier: ByteString,
    /// The L3 that the object is sealed under, if there is one, and the lease on it under which it was opened.
    sealed_under: Option<(ByteString, u64)>,
}

impl Subject {
    /// An operation with an object that was opened under a lease, or a later one.
    pub(crate) fn of(operation: Operation, record: &Record, lease: u64) -> Self {
        let sealed_under = record.sealed.as_ref().map(|sealed| (sealed.key.clone(), lease));
        Self { operation, unique_identifier: record.unique_identifier.clone(), sealed_under }
    }

    /// An operation that no object takes part in.
    pub(crate) fn without_object(operation: Operation) -> Self {
        Self { operation, unique_identifier: ByteString::new(), sealed_under: None }
    }

    pub(crate) fn operation(&self) -> Operation {
        self.operation
    }
}

/// What is between two parts of an operation.
#[derive(Debug)]
pub(crate) enum State {
    Decrypt {
        decryptor: Decryptor,
        tag: Option<Bytes>,
    },
    Encrypt(Encryptor),
    Hash(Hasher),
    /// Of MAC, and with the code to compare of MAC Verify.
    Mac {
        mac: Mac,
        code: Option<Bytes>,
    },
    Pkcs11,
    /// Of Sign, and with the signature to compare of Signature Verify.
    Signature {
        digesting: Digesting,
        parameters: CipherParameters,
        signature: Option<Bytes>,
    },
}

/// Data on its way to a signature: digested as it comes, or collected where the scheme signs the message itself.
#[derive(Debug)]
pub(crate) enum Digesting {
    Digest(Hasher),
    Message(SecretBuffer),
}

/// What [`Digesting`] has come to.
#[derive(Debug)]
pub(crate) enum Digested {
    Digest(Vec<u8>),
    Message(SecretBuffer),
}

impl Streams {
    /// An empty table with the limits of `settings`.
    pub fn new(settings: &ServiceSettings) -> Self {
        Self {
            maximum_streams: settings.maximum_streams,
            maximum_streams_per_principal: settings.maximum_streams_per_principal,
            maximum_bytes: settings.maximum_stream_bytes,
            idle_timeout: Duration::from_secs(settings.stream_idle_timeout_seconds.into()),
            table: Mutex::default(),
        }
    }

    /// How many streams are under way.
    pub fn count(&self) -> usize {
        self.table().streams.len()
    }

    /// The L3s that the objects of streams are sealed under, and the tenants of these objects.
    pub fn sealing_keys(&self) -> HashMap<ByteString, ByteString> {
        let table = self.table();
        let of_slot = |slot: &Slot| {
            let (key, _) = slot.subject.sealed_under.clone()?;
            Some((key, slot.principal.tenant.clone()))
        };
        table.streams.values().filter_map(of_slot).collect()
    }

    /// Zeroizes the streams whose objects are sealed under an L3 that may not be used under the lease any more that they were
    /// opened under.
    pub fn keep_under(&self, may_be_used: impl Fn(&ByteString, u64) -> bool) {
        let is_lost = |(key, lease): &(ByteString, u64)| !may_be_used(key, *lease);
        self.table().remove_where(|slot| slot.subject.sealed_under.as_ref().is_some_and(is_lost));
    }

    /// Zeroizes the streams of an object.
    pub fn forget_object(&self, unique_identifier: &str) {
        self.table().remove_where(|slot| slot.subject.unique_identifier == unique_identifier);
    }

    /// Zeroizes the streams that have waited too long for their next part.
    pub fn forget_idle(&self, clock: &dyn Clock) {
        let now = clock.monotonic();
        self.table().remove_where(|slot| now.saturating_sub(slot.last_used) > self.idle_timeout);
    }

    /// Begins a stream; returns its Correlation Value.
    pub(crate) fn begin(
        &self,
        context: &Context<'_>,
        subject: Subject,
        state: State,
        held_bytes: usize,
    ) -> Result<Bytes, Fault> {
        let (principal, clock) = (context.principal, &*context.service.clock);
        self.forget_idle(clock);
        let mut correlation = [0; CORRELATION_BYTES];
        context.service.entropy.fill(&mut correlation)?;
        let correlation = Bytes::copy_from_slice(&correlation);
        let mut table = self.table();
        let own = table.streams.values().filter(|slot| slot.principal == *principal).count();
        if table.streams.len() >= self.maximum_streams || own >= self.maximum_streams_per_principal {
            return Err(limit("too many operations in several parts are under way"));
        }
        table.hold(0, held_bytes, self.maximum_bytes)?;
        let slot = Slot {
            principal: principal.clone(),
            last_used: clock.monotonic(),
            subject,
            held_bytes,
            state: Some(Box::new(state)),
        };
        table.streams.insert(correlation.clone(), slot);
        Ok(correlation)
    }

    /// The object that a stream works with.
    pub(crate) fn object_of(
        &self,
        context: &Context<'_>,
        operation: Operation,
        correlation: &Bytes,
    ) -> Result<ByteString, Fault> {
        self.forget_idle(&*context.service.clock);
        let table = self.table();
        let slot = table.streams.get(correlation);
        let slot = slot.filter(|slot| slot.is_of(context.principal, operation)).ok_or_else(no_stream)?;
        Ok(slot.subject.unique_identifier.clone())
    }

    /// Takes the state out to work on it. Whoever does not [`put_back`](Self::put_back) has to [`end`](Self::end). Where the lease
    /// has ended under which the object was opened, the stream has: what was destroyed since, this server may not have been told.
    pub(crate) fn take(
        &self,
        context: &Context<'_>,
        operation: Operation,
        correlation: &Bytes,
    ) -> Result<State, Fault> {
        let own = |slot: &Slot| slot.is_of(context.principal, operation);
        let sealed_under = {
            let table = self.table();
            let slot = table.streams.get(correlation).filter(|slot| own(slot)).ok_or_else(no_stream)?;
            slot.subject.sealed_under.clone()
        };
        // Not under the lock of the table, which is taken under that of the leases elsewhere.
        if sealed_under.is_some_and(|(key, lease)| context.service.sealer.lease(&key) != Some(lease)) {
            self.table().remove(correlation);
            return Err(no_stream());
        }
        let mut table = self.table();
        let slot = table.streams.get_mut(correlation).filter(|slot| own(slot)).ok_or_else(no_stream)?;
        slot.state.take().map(|state| *state).ok_or_else(no_stream)
    }

    /// Keeps the state for the next part; `more_held_bytes` is how much of this one was not answered yet.
    pub(crate) fn put_back(
        &self,
        context: &Context<'_>,
        correlation: &Bytes,
        state: State,
        more_held_bytes: usize,
    ) -> Result<(), Fault> {
        let mut table = self.table();
        // The stream may have been forgotten meanwhile: then the state goes here, too.
        let held_bytes = table.streams.get(correlation).ok_or_else(no_stream)?.held_bytes;
        let holds = held_bytes.saturating_add(more_held_bytes);
        if let Err(fault) = table.hold(held_bytes, holds, self.maximum_bytes) {
            table.remove(correlation);
            return Err(fault);
        }
        if let Some(slot) = table.streams.get_mut(correlation) {
            slot.held_bytes = holds;
            slot.last_used = context.service.clock.monotonic();
            slot.state = Some(Box::new(state));
        }
        Ok(())
    }

    /// Ends a stream.
    pub(crate) fn end(&self, context: &Context<'_>, operation: Operation, correlation: &Bytes) {
        let mut table = self.table();
        if table.streams.get(correlation).is_some_and(|slot| slot.is_of(context.principal, operation)) {
            table.remove(correlation);
        }
    }

    // A poisoned lock is used as it is: nothing that runs under it panics half way through a change.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn hold(&mut self, before: usize, after: usize, maximum: usize) -> Result<(), Fault> {
        let held_bytes = self.held_bytes.saturating_sub(before).saturating_add(after);
        if after > before && held_bytes > maximum {
            return Err(limit("operations in several parts hold back too much data"));
        }
        self.held_bytes = held_bytes;
        Ok(())
    }

    fn remove(&mut self, correlation: &Bytes) {
        if let Entry::Occupied(slot) = self.streams.entry(correlation.clone()) {
            self.held_bytes = self.held_bytes.saturating_sub(slot.remove().held_bytes);
        }
    }

    fn remove_where(&mut self, mut goes: impl FnMut(&Slot) -> bool) {
        let gone: usize =
            self.streams.extract_if(|_, slot| goes(slot)).map(|(_, slot)| slot.held_bytes).sum();
        self.held_bytes = self.held_bytes.saturating_sub(gone);
    }
}

impl Slot {
    fn is_of(&self, principal: &Principal, operation: Operation) -> bool {
        self.principal == *principal && self.subject.operation == operation
    }
}

impl Digesting {
    /// `hash` as [`PrivateKey::signature_hash`](crate::crypto::PrivateKey::signature_hash) gives it.
    pub(crate) fn new(hash: Option<HashingAlgorithm>) -> Result<Self, CryptoError> {
        Ok(match hash {
            Some(hash) => Self::Digest(Hasher::new(hash)?),
            None => Self::Message(SecretBuffer::new()),
        })
    }

    /// Adds data; returns how much of it is held.
    pub(crate) fn update(&mut self, data: &[u8]) -> Result<usize, CryptoError> {
        match self {
            Self::Digest(hasher) => {
                hasher.update(data);
                Ok(0)
            }
            Self::Message(message) if data.len() > HELD_BACK_LIMIT_BYTES - message.len() => {
                Err(CryptoError::InvalidLength)
            }
            Self::Message(message) => {
                message.extend_from_slice(data);
                Ok(data.len())
            }
        }
    }

    pub(crate) fn finish(self) -> Digested {
        match self {
            Self::Digest(hasher) => Digested::Digest(hasher.finish()),
            Self::Message(message) => Digested::Message(message),
        }
    }
}

impl Digested {
    pub(crate) fn input(&self) -> SignatureInput<'_> {
        match self {
            Self::Digest(digest) => SignatureInput::Digest(digest),
            Self::Message(message) => SignatureInput::Data(message),
        }
    }
}

/// No such stream, or another's, or one of another operation: they are not told apart.
pub(crate) fn no_stream() -> Fault {
    Fault::new(
        ResultReason::InvalidCorrelationValue,
        "no operation in several parts is under way under this Correlation Value",
    )
}

fn limit(message: &'static str) -> Fault {
    Fault::new(ResultReason::ServerLimitExceeded, message)
}
