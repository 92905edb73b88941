//! What Core and Gateway agree on beside KMIP itself: how objects of the chain of keys are marked with their tenant, and
//! what a Gateway tells the Core about an object that it wants sealed.

use bytes::Bytes;
use bytestring::ByteString;
use kmip_protocol::attribute::{Attribute, CustomValue};
use kmip_protocol::codec::Item;
use kmip_protocol::enumeration::{CryptographicAlgorithm, ObjectType, OpaqueDataType};
use kmip_protocol::version::V2_1;
use kmip_protocol::{Tag, tag};
use kmip_ttlv::{Error, Limits, Reader, Writer};

use crate::port::Binding;

/// Vendor Identification of Krypton's own attributes.
pub const VENDOR: &str = "krypton";

/// Attribute Name of the attribute that marks an L1, L2 or L3 with its tenant.
pub const TENANT: &str = "Tenant";

/// Bytes of the name of a tenant or service at most.
pub const MAXIMUM_NAME_BYTES: usize = 128;

/// What a Gateway sends as Data of MAC to have the key that authenticates its records: the Core makes no other MAC. What
/// it answers as MAC Data is that key, derived from the L3 for this purpose alone.
pub const RECORD_KEY_LABEL: &[u8] = b"krypton record key";

/// Attributes of the vendor krypton that a Core works out when an operator asks for them by name. They tell of the Core that
/// answers, and of this moment.
pub mod computed {
    /// Whether an L2 or L3 is unsealed: a Boolean.
    pub const OPEN: &str = "Open";
    /// Unique Identifier of the L1 that opened an L2.
    pub const OPENED_BY: &str = "Opened By";
    /// How an L1 answered last: `proved`, `denied`, `unreachable`, or `unasked`.
    pub const STANDING: &str = "Standing";
    /// When an L1, or any anchor of an L2, was last asked and did its work: a Date-Time.
    pub const LAST_PROVED: &str = "Last Proved";
    /// Whether an open L2 should have been proved again by now: a Boolean.
    pub const PROOF_OVERDUE: &str = "Proof Overdue";
    /// A Gateway that has a live lease on an L3, and which life of it: `NAME/LIFE`. There may be several.
    pub const LEASE_HOLDER: &str = "Lease Holder";
    /// How often an L3 has wrapped: a Long Integer.
    pub const WRAPS: &str = "Wraps";
    /// How often an L3 has unwrapped: a Long Integer.
    pub const UNWRAPS: &str = "Unwraps";

    /// All of them.
    pub const ALL: &[&str] =
        &[OPEN, OPENED_BY, STANDING, LAST_PROVED, PROOF_OVERDUE, LEASE_HOLDER, WRAPS, UNWRAPS];
}

/// An attribute of the vendor krypton.
pub fn vendor_attribute(name: &'static str, value: CustomValue) -> Attribute {
    Attribute::custom(ByteString::from_static(VENDOR), ByteString::from_static(name), value)
}

/// Attribute Name of the attribute that holds the receipt of a Destroy or Revoke. It is made when it is asked for by name.
pub const RECEIPT: &str = "Receipt";

/// Attribute Name of the attribute that marks a retired L3 version for shredding.
pub const SHRED: &str = "Shred";

/// Attribute Name of a Gateway's report on how far the shredding of a version is. The Core keeps one for each store of each Gateway, under
/// this name followed by a space and [`spoken_for`].
pub const SHRED_REPORT: &str = "Shred Report";

/// Attribute Name, followed by a space and the name of a store: on the object of a Gateway, for each store that a Gateway of this name has
/// spoken for. Its value says since when.
pub const STORE: &str = "Store";

/// How the name of a store begins that is gone with its process.
pub const PASSING_STORE: &str = "memory-";

/// Bytes of the name of a store at most.
const MAXIMUM_STORE_BYTES: usize = 24;

/// Between the name of a Gateway and that of its store. No Gateway has it in its name.
pub const BEFORE_STORE: &str = " @";

/// The name by which a life of a Gateway goes (its Client Correlation Value): the name of its store, a dot, and whatever tells it from
/// other lives.
pub fn life_of(store: &str, life: &str) -> ByteString {
    ByteString::from(format!("{store}.{life}"))
}

/// The store of a life. Empty for one that does not name its store.
pub fn store_of(life: &str) -> &str {
    let is_fit = |store: &&str| {
        let fits = (1..=MAXIMUM_STORE_BYTES).contains(&store.len());
        fits && store.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    life.split_once('.').map(|(store, _)| store).filter(is_fit).unwrap_or_default()
}

/// A Gateway and its store, as reports name them.
pub fn spoken_for(gateway: &str, store: &str) -> String {
    match store {
        "" => gateway.to_owned(),
        _ => format!("{gateway}{BEFORE_STORE}{store}"),
    }
}

/// How the report of a Gateway begins that has nothing left under the version.
pub const SHRED_DONE: &str = "done";

/// The attribute that marks a retired L3 version: the Gateways seal anew what hangs on it, so that it can be destroyed.
pub fn shred_mark() -> Attribute {
    vendor_attribute(SHRED, CustomValue::Boolean(true))
}

/// Whether an L3 version is marked for shredding.
pub fn is_to_be_shredded<'a>(attributes: impl IntoIterator<Item = &'a Attribute>) -> bool {
    let mark = shred_mark();
    attributes.into_iter().any(|attribute| *attribute == mark)
}

/// The Unique Identifier of the policy bundle in force.
pub const POLICY_OBJECT: &str = "policy:bundle";

/// The Opaque Data Type of policy bundles, from the range that KMIP leaves to extensions.
pub const POLICY_DATA_TYPE: OpaqueDataType = OpaqueDataType::Extension(0x8b50_0001);

/// The Object Group of the policy bundle.
pub const POLICY_GROUP: &str = "krypton:policy";

/// Attribute Names of what a policy bundle tells about itself.
pub const POLICY_VERSION: &str = "Policy Version";
/// The SHA-256 of its text.
pub const POLICY_DIGEST: &str = "Policy Digest";
/// The name of the key that signed it.
pub const POLICY_SIGNER: &str = "Policy Signer";
/// The bundle itself.
pub const POLICY_BUNDLE: &str = "Policy Bundle";
/// How the store of the Core stands to the bundle that is in force: `in force`, `another`, `missing`, `damaged`.
pub const POLICY_STORED: &str = "Policy Stored";

/// What the Unique Identifiers of Gateways begin with; the name in their certificates follows.
pub const GATEWAY_PREFIX: &str = "gateway:";

/// The Object Group of Gateways.
pub const GATEWAY_GROUP: &str = "krypton:gateways";

/// The object of a Gateway: who revokes it expels the Gateway.
pub fn gateway_object(name: &str) -> ByteString {
    ByteString::from(format!("{GATEWAY_PREFIX}{name}"))
}

/// An attribute of the vendor krypton that is text.
pub fn own_attribute(name: &'static str, value: &str) -> Attribute {
    vendor_attribute(name, CustomValue::Text(ByteString::from(value)))
}

/// The value of an attribute of Krypton's own.
pub fn own_value<'a>(
    attributes: impl IntoIterator<Item = &'a Attribute>,
    wanted: &str,
) -> Option<&'a ByteString> {
    attributes.into_iter().find_map(|attribute| match attribute {
        Attribute::Custom(custom) if custom.vendor == VENDOR && custom.name == wanted => {
            custom.value.as_text()
        }
        _ => None,
    })
}

/// The attribute that marks an object of the chain with its tenant.
pub fn tenant_attribute(tenant: &str) -> Attribute {
    own_attribute(TENANT, tenant)
}

/// The tenant that an object of the chain is marked with.
pub fn tenant_of<'a>(attributes: impl IntoIterator<Item = &'a Attribute>) -> Option<&'a ByteString> {
    own_value(attributes, TENANT)
}

/// What the Gateway tells the Core about an object, in the Authenticated Encryption Additional Data of Encrypt and
/// Decrypt. Tenant, service and version are not in it: the Core takes them from its own L3, not from anybody's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectBinding {
    /// The object.
    pub unique_identifier: ByteString,
    /// Its type.
    pub object_type: ObjectType,
    /// Its algorithm, if it has one.
    pub cryptographic_algorithm: Option<CryptographicAlgorithm>,
    /// Bits of the key, if it is one.
    pub cryptographic_length: Option<i32>,
}

/// The structure around an encoded binding, from the range that KMIP leaves to extensions.
const BINDING: Tag = Tag::new(0x54_0110);

impl From<&Binding> for ObjectBinding {
    fn from(binding: &Binding) -> Self {
        Self {
            unique_identifier: binding.unique_identifier.clone(),
            object_type: binding.object_type,
            cryptographic_algorithm: binding.cryptographic_algorithm,
            cryptographic_length: binding.cryptographic_length,
        }
    }
}

impl ObjectBinding {
    /// The binding in bytes: one encoding for one binding, since TTLV has no choices left here.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::new();
        writer.structure(BINDING, |writer| {
            writer.text_string(tag::UNIQUE_IDENTIFIER, &self.unique_identifier);
            self.object_type.write(writer, tag::OBJECT_TYPE, V2_1);
            if let Some(algorithm) = self.cryptographic_algorithm {
                algorithm.write(writer, tag::CRYPTOGRAPHIC_ALGORITHM, V2_1);
            }
            if let Some(length) = self.cryptographic_length {
                writer.integer(tag::CRYPTOGRAPHIC_LENGTH, length);
            }
        });
        writer.finish().into_bytes()
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// If the bytes are no binding.
    pub fn decode(bytes: &Bytes) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes, Limits::default())?;
        let binding = reader.structure(BINDING, |reader| {
            Ok::<_, Error>(Self {
                unique_identifier: reader.text(tag::UNIQUE_IDENTIFIER)?,
                object_type: ObjectType::read(reader, tag::OBJECT_TYPE, V2_1)?,
                cryptographic_algorithm: match reader.peek_tag()? {
                    Some(next @ tag::CRYPTOGRAPHIC_ALGORITHM) => {
                        Some(CryptographicAlgorithm::read(reader, next, V2_1)?)
                    }
                    _ => None,
                },
                cryptographic_length: match reader.peek_tag()? {
                    Some(next @ tag::CRYPTOGRAPHIC_LENGTH) => Some(reader.integer(next)?),
                    _ => None,
                },
            })
        })?;
        reader.finish()?;
        Ok(binding)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binding_survives_its_encoding() -> Result<(), Error> {
        let binding = ObjectBinding {
            unique_identifier: ByteString::from_static("4f0c"),
            object_type: ObjectType::SymmetricKey,
            cryptographic_algorithm: Some(CryptographicAlgorithm::Aes),
            cryptographic_length: None,
        };
        assert_eq!(ObjectBinding::decode(&binding.encode())?, binding);
        Ok(())
    }
}
