//! Query (6.1.38 of KMIP 2.1): asks what the server can do.

use bytestring::ByteString;
use kmip_ttlv::{Error, ErrorKind, Reader, Tag, Writer};

use crate::attribute::RngParameters;
use crate::codec::{DATE_TIME_EXTENDED, Item, structure};
use crate::enumeration::{
    AttestationType, ClientRegistrationMethod, DestroyAction, ItemType, ObjectType, Operation, ProfileName,
    QueryFunction, RngMode, ShreddingAlgorithm, UnwrapMode, ValidationAuthorityType, ValidationType,
};
use crate::structures::{DefaultsInformation, ObjectGroups, ProtectionStorageMasks};
use crate::version::Version;

structure! {
    /// Asks what the server can do.
    pub struct QueryRequest {
        /// What is asked.
        repeated query_functions: QueryFunction = QUERY_FUNCTION;
        /// The groups whose defaults are asked.
        optional object_groups: ObjectGroups = OBJECT_GROUPS [V2_1];
    }

    /// The answer to [`QueryRequest`].
    #[derive(Default)]
    pub struct QueryResponse {
        /// Operations that the server supports.
        repeated operations: Operation = OPERATION;
        /// Object types that the server supports.
        repeated object_types: ObjectType = OBJECT_TYPE;
        /// Who made the server.
        optional vendor_identification: ByteString = VENDOR_IDENTIFICATION;
        /// What the vendor says about the server.
        optional server_information: Box<ServerInformation> = SERVER_INFORMATION;
        /// Namespaces of Application Specific Information that the server can fill.
        repeated application_namespaces: ByteString = APPLICATION_NAMESPACE;
        /// Extensions that the server knows.
        repeated extension_information: ExtensionInformation = EXTENSION_INFORMATION [V1_1];
        /// Attestations that the server takes.
        repeated attestation_types: AttestationType = ATTESTATION_TYPE [V1_2];
        /// Random number generators.
        repeated rng_parameters: RngParameters = RNG_PARAMETERS [V1_3];
        /// Profiles that the server conforms to.
        repeated profile_information: ProfileInformation = PROFILE_INFORMATION [V1_3];
        /// Validations of the server.
        repeated validation_information: ValidationInformation = VALIDATION_INFORMATION [V1_3];
        /// Capabilities of the server.
        repeated capability_information: CapabilityInformation = CAPABILITY_INFORMATION [V1_3];
        /// Ways in which clients are registered.
        repeated client_registration_methods: ClientRegistrationMethod = CLIENT_REGISTRATION_METHOD [V1_3];
        /// Defaults of attributes.
        optional defaults_information: DefaultsInformation = DEFAULTS_INFORMATION [V2_0];
        /// Where objects may be kept.
        optional protection_storage_masks: ProtectionStorageMasks = PROTECTION_STORAGE_MASKS [V2_0];
    }

    /// What the vendor says about the server (7.31 of KMIP 2.1; free in 1.x).
    #[derive(Default)]
    pub struct ServerInformation {
        /// Name of the server.
        optional server_name: ByteString = SERVER_NAME [V2_0];
        /// Its serial number.
        optional server_serial_number: ByteString = SERVER_SERIAL_NUMBER [V2_0];
        /// Its version.
        optional server_version: ByteString = SERVER_VERSION [V2_0];
        /// How busy it is.
        optional server_load: ByteString = SERVER_LOAD [V2_0];
        /// The product.
        optional product_name: ByteString = PRODUCT_NAME [V2_0];
        /// The build.
        optional build_level: ByteString = BUILD_LEVEL [V2_0];
        /// When it was built.
        optional build_date: ByteString = BUILD_DATE [V2_0];
        /// The cluster that it belongs to.
        optional cluster_info: ByteString = CLUSTER_INFO [V2_0];
    }

    /// An extension of the protocol (7.13).
    pub struct ExtensionInformation {
        /// Its name.
        required extension_name: ByteString = EXTENSION_NAME;
        /// Its tag.
        optional extension_tag: i32 = EXTENSION_TAG;
        /// Its type.
        optional extension_type: ExtensionType = EXTENSION_TYPE;
    }

    /// A profile and where it is offered (7.30).
    pub struct ProfileInformation {
        /// The profile.
        required profile_name: ProfileName = PROFILE_NAME;
        /// Where, as a URI.
        optional server_uri: ByteString = SERVER_URI;
        /// On which port.
        optional server_port: i32 = SERVER_PORT;
    }

    /// A validation of the server by an authority (7.38).
    pub struct ValidationInformation {
        /// The authority.
        required validation_authority_type: ValidationAuthorityType = VALIDATION_AUTHORITY_TYPE;
        /// Its country.
        optional validation_authority_country: ByteString = VALIDATION_AUTHORITY_COUNTRY;
        /// Where it is found.
        optional validation_authority_uri: ByteString = VALIDATION_AUTHORITY_URI;
        /// Version of the scheme.
        required validation_version_major: i32 = VALIDATION_VERSION_MAJOR;
        /// Version of the scheme.
        optional validation_version_minor: i32 = VALIDATION_VERSION_MINOR;
        /// What was validated.
        required validation_type: ValidationType = VALIDATION_TYPE;
        /// The level reached.
        required validation_level: i32 = VALIDATION_LEVEL;
        /// The certificate.
        optional validation_certificate_identifier: ByteString = VALIDATION_CERTIFICATE_IDENTIFIER;
        /// Where the certificate is found.
        optional validation_certificate_uri: ByteString = VALIDATION_CERTIFICATE_URI;
        /// Where the vendor is found.
        optional validation_vendor_uri: ByteString = VALIDATION_VENDOR_URI;
        /// Profiles of the validation.
        repeated validation_profiles: ByteString = VALIDATION_PROFILE;
    }

    /// What the server can do (7.7).
    pub struct CapabilityInformation {
        /// Multi-part cryptography.
        optional streaming_capability: bool = STREAMING_CAPABILITY;
        /// Asynchronous operations.
        optional asynchronous_capability: bool = ASYNCHRONOUS_CAPABILITY;
        /// Attestation.
        optional attestation_capability: bool = ATTESTATION_CAPABILITY;
        /// Undo of batches.
        optional batch_undo_capability: bool = BATCH_UNDO_CAPABILITY [V1_4];
        /// Continuing of batches.
        optional batch_continue_capability: bool = BATCH_CONTINUE_CAPABILITY [V1_4];
        /// How wrapped keys are treated.
        optional unwrap_mode: UnwrapMode = UNWRAP_MODE;
        /// What Destroy does.
        optional destroy_action: DestroyAction = DESTROY_ACTION;
        /// How data is shredded.
        optional shredding_algorithm: ShreddingAlgorithm = SHREDDING_ALGORITHM;
        /// Which generators serve whom.
        optional rng_mode: RngMode = RNG_MODE;
        /// Whether there are quantum safe algorithms.
        optional quantum_safe_capability: bool = QUANTUM_SAFE_CAPABILITY [V2_0];
    }
}

/// Extension Type: an Integer in 1.x, an enumeration in 2.x (11.25).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtensionType(pub ItemType);

impl Item for ExtensionType {
    fn read(reader: &mut Reader<'_>, tag: Tag, version: Version) -> Result<Self, Error> {
        let unknown = reader.error(ErrorKind::InvalidValue);
        if reader.peek()?.is_some_and(|header| header.item_type == kmip_ttlv::ItemType::Integer) {
            let number = reader.integer(tag)?.cast_unsigned();
            return ItemType::from_value(number).map(Self).ok_or(unknown);
        }
        ItemType::read(reader, tag, version).map(Self)
    }

    fn write(&self, writer: &mut Writer, tag: Tag, version: Version) {
        if version.tags_attributes() {
            self.0.write(writer, tag, version);
        } else {
            writer.integer(tag, self.0.value().cast_signed());
        }
    }

    fn is_known(&self, version: Version) -> bool {
        match self.0 {
            ItemType::DateTimeExtended => DATE_TIME_EXTENDED.knows(version),
            _ => true,
        }
    }
}
