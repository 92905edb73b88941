//! Create (6.1.8): generates a symmetric key.

use bytestring::ByteString;
use kmip_protocol::attribute::{Attribute, Attributes};
use kmip_protocol::codec::Secret;
use kmip_protocol::enumeration::{CryptographicAlgorithm, KeyFormatType, ObjectType, ResultReason};
use kmip_protocol::key_block::{KeyBlock, KeyValue};
use kmip_protocol::object::{ManagedObject, SymmetricKey};
use kmip_protocol::operation::{CreateRequest, CreateResponse};
use kmip_ttlv::SecretBuffer;

use crate::context::Context;
use crate::creation::{self, Origin};
use crate::fault::Fault;
use crate::{crypto, key_material};

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: CreateRequest,
) -> Result<CreateResponse, Fault> {
    if request.object_type != ObjectType::SymmetricKey {
        return Err(Fault::new(ResultReason::InvalidObjectType, "Create makes symmetric keys only"));
    }
    let attributes = creation::with_templates(context, request.attributes).await?;
    let key = generate(context, &attributes)?;
    let unique_identifier = keep(context, attributes, key).await?;
    Ok(CreateResponse { object_type: ObjectType::SymmetricKey, unique_identifier })
}

/// Keeps a generated symmetric key in the format that the client asks for.
async fn keep(
    context: &mut Context<'_>,
    attributes: Attributes,
    mut key: ManagedObject,
) -> Result<ByteString, Fault> {
    let wanted = creation::wanted_format(&attributes);
    let mut record = creation::draft(context, Origin::Generated, attributes, &key).await?;
    if let Some(wanted) = wanted.filter(|wanted| *wanted != KeyFormatType::Raw) {
        key_material::convert(&mut key, wanted, None)?;
        creation::reform(&mut record, &key);
    }
    creation::finish(context, record, &key).await
}

/// Generates the key that `attributes` ask for.
pub(super) fn generate(context: &Context<'_>, attributes: &Attributes) -> Result<ManagedObject, Fault> {
    let (algorithm, length) = wanted(attributes)?;
    judge_algorithm(context, algorithm)?;
    judge_quantum_safe(attributes, length >= QUANTUM_SAFE_BITS)?;
    let key_bytes = key_bytes(algorithm, length)?;
    let mut material = SecretBuffer::from(vec![0; key_bytes]);
    context.service.entropy.fill(&mut material)?;
    Ok(symmetric_key(algorithm, length, Secret::from(material)))
}

/// A symmetric key of the format Raw.
pub(super) fn symmetric_key(
    algorithm: CryptographicAlgorithm,
    length: i32,
    material: Secret,
) -> ManagedObject {
    let key_block = KeyBlock {
        key_format_type: KeyFormatType::Raw,
        key_compression_type: None,
        key_value: Some(KeyValue::plain(material)),
        cryptographic_algorithm: Some(algorithm),
        cryptographic_length: Some(length),
        key_wrapping_data: None,
    };
    ManagedObject::SymmetricKey(SymmetricKey { key_block })
}

/// The algorithm and length asked for. A missing length is the algorithm's own, where it has one.
fn wanted(attributes: &Attributes) -> Result<(CryptographicAlgorithm, i32), Fault> {
    let mut algorithm = None;
    let mut length = None;
    for attribute in attributes.iter() {
        match attribute {
            Attribute::CryptographicAlgorithm(wanted) => algorithm = Some(*wanted),
            Attribute::CryptographicLength(wanted) => length = Some(*wanted),
            _ => (),
        }
    }
    let algorithm = algorithm.ok_or_else(|| Fault::missing("Cryptographic Algorithm is needed"))?;
    let length = length.or_else(|| default_length(algorithm));
    Ok((algorithm, length.ok_or_else(|| Fault::missing("Cryptographic Length is needed"))?))
}

fn default_length(algorithm: CryptographicAlgorithm) -> Option<i32> {
    match algorithm {
        CryptographicAlgorithm::ChaCha20 | CryptographicAlgorithm::ChaCha20Poly1305 => Some(256),
        CryptographicAlgorithm::TripleDes => Some(168),
        _ => None,
    }
}

/// 3DES is for old tapes only, where the operator says so.
pub(super) fn judge_algorithm(context: &Context<'_>, algorithm: CryptographicAlgorithm) -> Result<(), Fault> {
    if algorithm == CryptographicAlgorithm::TripleDes && !context.service.settings.insecure_allow_triple_des {
        return Err(Fault::new(ResultReason::InvalidField, "3DES is switched off on this server"));
    }
    Ok(())
}

/// A 128-bit key does not count as quantum safe (case QS-M-2-21), and no key pair does.
pub(super) fn judge_quantum_safe(attributes: &Attributes, is_safe: bool) -> Result<(), Fault> {
    let wanted = attributes.iter().any(|attribute| matches!(attribute, Attribute::QuantumSafe(true)));
    if wanted && !is_safe {
        return Err(Fault::general_failure("a key of this algorithm and length is not quantum safe"));
    }
    Ok(())
}

/// Bits of a symmetric key that withstand Grover's algorithm.
const QUANTUM_SAFE_BITS: i32 = 256;

/// Bytes of a key of `length` bits, if the algorithm has such keys.
pub(super) fn key_bytes(algorithm: CryptographicAlgorithm, length: i32) -> Result<usize, Fault> {
    use CryptographicAlgorithm as A;
    let bounds = match algorithm {
        A::Aes | A::TripleDes | A::ChaCha20 | A::ChaCha20Poly1305 => 0..=i32::MAX,
        A::Camellia | A::Aria => 128..=256,
        A::Blowfish | A::Cast5 | A::Rc4 => 40..=448,
        A::HmacMd5
        | A::HmacSha1
        | A::HmacSha224
        | A::HmacSha256
        | A::HmacSha384
        | A::HmacSha512
        | A::HmacSha3_224
        | A::HmacSha3_256
        | A::HmacSha3_384
        | A::HmacSha3_512 => 64..=4096,
        _ => return Err(Fault::invalid_field("keys of this algorithm are not made here")),
    };
    let bytes = crypto::symmetric_key_bytes(algorithm, length).filter(|_| bounds.contains(&length));
    bytes.ok_or_else(|| Fault::invalid_field("the algorithm has no keys of this length"))
}
