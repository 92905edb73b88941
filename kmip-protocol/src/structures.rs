//! Structures that belong to operations rather than to objects (KMIP 2.1 section 7).

use bytes::Bytes;
use bytestring::ByteString;
use kmip_ttlv::{Error, Reader, Tag, Writer};

use crate::attribute::{Attributes, CryptographicParameters, UsageLimits};
use crate::codec::{Choice, DateTime, Item, Secret, structure};
use crate::enumeration::{ObjectType, Operation, ProcessingStage, TicketType};
use crate::mask::ProtectionStorageMask;
use crate::tag;
use crate::version::Version;

structure! {
    /// Sets of places where an object may be kept, in the order of preference (7.33).
    #[derive(Clone)]
    pub struct ProtectionStorageMasks {
        /// The sets.
        repeated masks: ProtectionStorageMask = PROTECTION_STORAGE_MASK;
    }

    /// What a method of derivation needs (7.12).
    pub struct DerivationParameters {
        /// The algorithm and hash.
        optional cryptographic_parameters: CryptographicParameters = CRYPTOGRAPHIC_PARAMETERS;
        /// For the method Encrypt.
        optional initialization_vector: Bytes = INITIALIZATION_VECTOR;
        /// What to derive from, besides the key.
        repeated derivation_data: Secret = DERIVATION_DATA;
        /// For PBKDF2 and HKDF.
        optional salt: Bytes = SALT;
        /// For PBKDF2.
        optional iteration_count: i32 = ITERATION_COUNT;
    }

    /// Object groups by name (7.22).
    pub struct ObjectGroups {
        /// The names.
        repeated object_groups: ByteString = OBJECT_GROUP;
    }

    /// Object types (7.23).
    pub struct ObjectTypes {
        /// The types.
        repeated object_types: ObjectType = OBJECT_TYPE;
    }

    /// Objects by identifier (7.21).
    pub struct Objects {
        /// The identifiers.
        repeated unique_identifiers: ByteString = UNIQUE_IDENTIFIER;
    }

    /// Operations (7.25).
    pub struct Operations {
        /// The operations.
        repeated operations: Operation = OPERATION;
    }

    /// Defaults of attributes (7.11).
    pub struct DefaultsInformation {
        /// For one or several types of object each.
        repeated object_defaults: ObjectDefaults = OBJECT_DEFAULTS;
    }

    /// Defaults for types of objects (7.24).
    pub struct ObjectDefaults {
        /// The type.
        optional object_type: ObjectType = OBJECT_TYPE;
        /// The types.
        optional object_types: ObjectTypes = OBJECT_TYPES [V2_1];
        /// The defaults.
        attributes attributes: Attributes = TEMPLATE;
        /// The groups to which they apply.
        optional object_groups: ObjectGroups = OBJECT_GROUPS [V2_1];
    }

    /// Limits of attributes (7.6).
    pub struct Constraints {
        /// One for types or groups of objects each.
        repeated constraints: Constraint = CONSTRAINT;
    }

    /// Limits of attributes for types or groups of objects (7.6).
    pub struct Constraint {
        /// The types.
        optional object_types: ObjectTypes = OBJECT_TYPES;
        /// The groups.
        optional object_groups: ObjectGroups = OBJECT_GROUPS;
        /// The limits.
        attributes attributes: Attributes = OPTIONAL_TEMPLATE;
    }

    /// A proof of having logged in (7.36).
    pub struct Ticket {
        /// The kind of ticket.
        required ticket_type: TicketType = TICKET_TYPE;
        /// The ticket.
        required ticket_value: Secret = TICKET_VALUE;
    }

    /// What a delegated ticket allows (7.35).
    pub struct Rights {
        /// Any of these.
        repeated rights: Right = RIGHT;
    }

    /// One thing that a delegated ticket allows (7.35).
    pub struct Right {
        /// How often.
        optional usage_limits: UsageLimits = USAGE_LIMITS;
        /// Which operations.
        optional operations: Operations = OPERATIONS;
        /// On which objects.
        optional objects: Objects = OBJECTS;
        /// On which groups.
        optional object_groups: ObjectGroups = OBJECT_GROUPS [V2_1];
    }

    /// Asynchronous operations by correlation value (7.1).
    pub struct AsynchronousCorrelationValues {
        /// The values.
        repeated values: Bytes = ASYNCHRONOUS_CORRELATION_VALUE;
    }

    /// An asynchronous operation (7.2).
    pub struct AsynchronousRequest {
        /// Its correlation value.
        required asynchronous_correlation_value: Bytes = ASYNCHRONOUS_CORRELATION_VALUE;
        /// The operation.
        required operation: Operation = OPERATION;
        /// When it was submitted.
        required submission_date: DateTime = SUBMISSION_DATE;
        /// How far it is.
        required processing_stage: ProcessingStage = PROCESSING_STAGE;
    }
}

/// A number of PKCS#11 on the wire: a function's offset or a CK_RV (KMIP names no values, 11.36).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pkcs11Code(pub u32);

impl Item for Pkcs11Code {
    fn read(reader: &mut Reader<'_>, tag: Tag, _version: Version) -> Result<Self, Error> {
        reader.enumeration(tag).map(Self)
    }

    fn write(&self, writer: &mut Writer, tag: Tag, _version: Version) {
        writer.enumeration(tag, self.0);
    }
}

/// The bytes of a certificate request: `Certificate Request` in 1.x, `Certificate Request Value` in 2.x.
#[derive(Debug)]
pub struct CertificateRequestValue(pub Bytes);

impl Choice for CertificateRequestValue {
    fn accepts(tag: Tag) -> bool {
        tag == tag::CERTIFICATE_REQUEST || tag == tag::CERTIFICATE_REQUEST_VALUE
    }

    fn read(reader: &mut Reader<'_>, _version: Version) -> Result<Self, Error> {
        match reader.peek_tag()? {
            Some(next) => reader.bytes(next).map(Self),
            None => Err(crate::codec::missing(reader, tag::CERTIFICATE_REQUEST_VALUE)),
        }
    }

    fn write(&self, writer: &mut Writer, version: Version) {
        let tag =
            if version.tags_attributes() { tag::CERTIFICATE_REQUEST_VALUE } else { tag::CERTIFICATE_REQUEST };
        writer.byte_string(tag, &self.0);
    }

    fn is_known(&self, _version: Version) -> bool {
        true
    }
}
