//! The service: the rules of KMIP over the ports, and its settings.

use std::sync::Arc;

use async_trait::async_trait;
use bytestring::ByteString;
use kmip_protocol::codec::{Choice, Interval, Secret};
use kmip_protocol::object::ManagedObject;
use kmip_protocol::operation::{Operation, Request, Response};
use kmip_protocol::version::AT_REST;
use kmip_ttlv::{Limits, Reader, Writer};
use serde::Deserialize;

use crate::auditing::Correlations;
use crate::batch::Operations;
use crate::context::Context;
use crate::fault::Fault;
use crate::operations;
use crate::port::{Audit, Clock, Entropy, Sealer, Store};
use crate::principal::Principal;
use crate::record::Record;
use crate::streams::Streams;
use crate::workers::Workers;

/// What an operator may choose.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceSettings {
    /// Items of a batch at most.
    pub maximum_batch_items: usize,
    /// Bytes of one response at most. An item of a batch whose answer does not fit fails by itself, and has done nothing.
    pub maximum_response_bytes: usize,
    /// Identifiers that one Locate returns at most, and records that it looks at in one go.
    pub maximum_located_items: usize,
    /// The Lease Time of objects, in seconds: how long a client may use a key before it asks again.
    pub lease_time_seconds: u32,
    /// Bytes that RNG Retrieve returns at most.
    pub maximum_random_bytes: usize,
    /// Attributes that an object may have at most.
    pub maximum_attributes: usize,
    /// Operations in several parts that are under way at most.
    pub maximum_streams: usize,
    /// Operations in several parts that are under way for one principal at most.
    pub maximum_streams_per_principal: usize,
    /// Bytes that operations in several parts hold back at most, all together: some modes answer at the end only.
    pub maximum_stream_bytes: usize,
    /// Seconds after which an operation in several parts is given up if no further part comes.
    pub stream_idle_timeout_seconds: u32,
    /// Operations with private keys that run at a time; further ones wait. Each keeps a processor busy for
    /// milliseconds. One principal gets half of the places, one tenant never has others wait for more than one round.
    pub maximum_private_key_operations: usize,
    /// Key pairs that are generated at a time; further ones wait. An RSA pair keeps a processor busy for up to seconds.
    pub maximum_key_pair_generations: usize,
    /// Whether 3DES keys may be made and used. Old tapes and the conformance cases need them, nobody else.
    pub insecure_allow_triple_des: bool,
    /// Names of principals (`*` for all) whose clients decode few attributes, and give up an answer that holds another
    /// one. Where they ask for all attributes they get those few.
    pub legacy_attribute_clients: Vec<String>,
    /// What Query tells as Vendor Identification.
    pub vendor_identification: String,
    /// What Query tells as the name of this server.
    pub server_name: String,
}

impl Default for ServiceSettings {
    fn default() -> Self {
        Self {
            maximum_batch_items: 256,
            maximum_response_bytes: 8 << 20,
            maximum_located_items: 1_000,
            lease_time_seconds: 3_600,
            maximum_random_bytes: 64 * 1024,
            maximum_attributes: 256,
            maximum_streams: 4_096,
            maximum_streams_per_principal: 64,
            maximum_stream_bytes: 64 << 20,
            stream_idle_timeout_seconds: 120,
            maximum_private_key_operations: 8,
            maximum_key_pair_generations: 2,
            insecure_allow_triple_des: false,
            legacy_attribute_clients: Vec::new(),
            vendor_identification: "Krypton".to_owned(),
            server_name: "krypton".to_owned(),
        }
    }
}

impl ServiceSettings {
    /// Whether a principal's clients decode few attributes.
    pub fn is_legacy_attribute_client(&self, principal: &Principal) -> bool {
        self.legacy_attribute_clients.iter().any(|name| name == "*" || *name == *principal.name)
    }
}

/// The rules of KMIP over the ports.
pub struct Service {
    /// Where records are kept.
    pub store: Arc<dyn Store>,
    /// What seals objects.
    pub sealer: Arc<dyn Sealer>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The audit log.
    pub audit: Arc<dyn Audit>,
    /// What the operator chose.
    pub settings: ServiceSettings,
    /// The operations that this server offers, as Query tells them.
    pub offered: &'static [Operation],
    /// Operations in several parts that are under way.
    pub streams: Arc<Streams>,
    /// Where long computations go.
    pub workers: Workers,
    /// Names for requests.
    pub(crate) correlations: Correlations,
}

/// Limits of an encoded object: those of a message, since it came in one.
const OBJECT_LIMITS: Limits =
    Limits { message_bytes: 4 << 20, value_bytes: 4 << 20, depth: 32, items: 16_384 };

impl Service {
    /// The rules over these ports, with nothing under way.
    pub fn new(
        store: Arc<dyn Store>,
        sealer: Arc<dyn Sealer>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        audit: Arc<dyn Audit>,
        settings: ServiceSettings,
        offered: &'static [Operation],
    ) -> Self {
        let streams = Arc::new(Streams::new(&settings));
        let workers = Workers::new(&settings);
        let correlations = Correlations::new(&*entropy, &*clock);
        Self { store, sealer, clock, entropy, audit, settings, offered, streams, workers, correlations }
    }

    /// The lease time of objects.
    pub fn lease_time(&self) -> Interval {
        Interval(self.settings.lease_time_seconds)
    }

    /// A new Unique Identifier: a random UUID (version 4).
    ///
    /// # Errors
    /// If there is no randomness.
    pub fn new_identifier(&self) -> Result<ByteString, Fault> {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes)?;
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let mut text = String::with_capacity(36);
        for (index, byte) in bytes.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 0x0f)]));
        }
        Ok(ByteString::from(text))
    }

    /// Seals an object for the record that will hold it.
    ///
    /// # Errors
    /// If the vault does not seal it.
    pub async fn seal(&self, record: &mut Record, object: &ManagedObject) -> Result<(), Fault> {
        let mut writer = Writer::new();
        object.write(&mut writer, AT_REST);
        let sealed = self.sealer.seal(&record.binding(), Secret::from(writer.finish())).await?;
        record.sealed = Some(sealed);
        Ok(())
    }

    /// Opens the object of a record.
    ///
    /// # Errors
    /// If the object is destroyed, has no value here, or the vault does not open it.
    pub async fn unseal(&self, record: &Record) -> Result<ManagedObject, Fault> {
        let Some(sealed) = &record.sealed else {
            if record.is_destroyed() {
                return Err(Fault::object_destroyed());
            }
            return Err(Fault::new(
                kmip_protocol::enumeration::ResultReason::KeyValueNotPresent,
                "the value of the key is not held here",
            ));
        };
        let plaintext = self.sealer.unseal(&record.binding(), sealed).await?.into_bytes();
        let mut reader = Reader::new(&plaintext, OBJECT_LIMITS)?;
        Ok(<ManagedObject as Choice>::read(&mut reader, AT_REST)?)
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

#[async_trait]
impl Operations for Service {
    fn offers(&self, operation: Operation) -> bool {
        self.offered.contains(&operation)
    }

    async fn handle(&self, context: &mut Context<'_>, request: Request) -> Result<Response, Fault> {
        // In a place of its own: together the two are larger than what the allocator has at hand.
        Box::pin(operations::handle(context, request)).await
    }
}
