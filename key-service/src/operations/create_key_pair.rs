//! Create Key Pair (6.1.9): generates a private key and its public key.

use bytestring::ByteString;
use kmip_protocol::attribute::{Attribute, Attributes, CryptographicDomainParameters, Instance, Instances};
use kmip_protocol::enumeration::{
    CryptographicAlgorithm, KeyFormatType, LinkType, ObjectType, RecommendedCurve,
};
use kmip_protocol::object::ManagedObject;
use kmip_protocol::operation::{CreateKeyPairRequest, CreateKeyPairResponse};

use super::create::judge_quantum_safe;
use crate::context::Context;
use crate::creation::{self, Origin, wanted_format};
use crate::crypto;
use crate::fault::Fault;
use crate::key_material;
use crate::record::Record;

pub(super) async fn handle(
    context: &mut Context<'_>,
    request: CreateKeyPairRequest,
) -> Result<CreateKeyPairResponse, Fault> {
    let common = creation::with_templates(context, request.common_attributes).await?;
    let private = creation::with_templates(context, request.private_key_attributes).await?;
    let public = creation::with_templates(context, request.public_key_attributes).await?;
    let (private, public) = (merged(private, &common), merged(public, &common));
    let pair = generate(context, &private, &public).await?;
    let mut private_record =
        creation::draft(context, Origin::Generated, private, &pair.private.default).await?;
    let mut public_record = creation::draft(context, Origin::Generated, public, &pair.public.default).await?;
    pair.describe(&mut private_record, &mut public_record);
    keep(context, pair, private_record, public_record).await
}

/// The attributes of one key: its own go before those for both, where there can be one only (6.1.9).
pub(super) fn merged(own: Attributes, common: &Attributes) -> Attributes {
    let mut merged = own;
    for attribute in common.iter() {
        let same = |own: &Attribute| match attribute.instances() {
            Instances::Single => own.reference() == attribute.reference(),
            Instances::Multiple => own == attribute,
        };
        if !merged.iter().any(same) {
            merged.instances.push(Instance { index: None, attribute: attribute.clone() });
        }
    }
    merged
}

/// A generated pair, each half in the formats that it is to be known in.
pub(super) struct Pair {
    pub(super) private: Half,
    pub(super) public: Half,
    curve: Option<RecommendedCurve>,
}

/// A key of a pair.
pub(super) struct Half {
    /// In the default format.
    pub(super) default: ManagedObject,
    /// In the format that the client asks for, if it is another.
    other: Option<ManagedObject>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
struct Kind {
    algorithm: CryptographicAlgorithm,
    length: Option<i32>,
    curve: Option<RecommendedCurve>,
    private_format: Option<KeyFormatType>,
    public_format: Option<KeyFormatType>,
}

/// Generates the pair that the attributes of its halves ask for.
pub(super) async fn generate(
    context: &Context<'_>,
    private: &Attributes,
    public: &Attributes,
) -> Result<Pair, Fault> {
    for attributes in [private, public] {
        judge_quantum_safe(attributes, false)?;
    }
    let kind = Kind::of(private, public)?;
    let entropy = context.service.entropy.clone();
    let compute = move || {
        let key = crypto::PrivateKey::generate(kind.algorithm, kind.length, kind.curve, &*entropy)?;
        Pair::encode(&key, kind)
    };
    context.service.workers.generate_key_pair(context.principal, compute).await?
}

/// Keeps a pair; the halves are linked to each other.
pub(super) async fn keep(
    context: &mut Context<'_>,
    pair: Pair,
    mut private: Record,
    mut public: Record,
) -> Result<CreateKeyPairResponse, Fault> {
    private.link(LinkType::PublicKeyLink, &public.unique_identifier);
    public.link(LinkType::PrivateKeyLink, &private.unique_identifier);
    Ok(CreateKeyPairResponse {
        private_key_unique_identifier: keep_half(context, private, pair.private).await?,
        public_key_unique_identifier: keep_half(context, public, pair.public).await?,
    })
}

async fn keep_half(context: &mut Context<'_>, mut record: Record, half: Half) -> Result<ByteString, Fault> {
    if let Some(other) = &half.other {
        creation::reform(&mut record, other);
    }
    creation::finish(context, record, half.other.as_ref().unwrap_or(&half.default)).await
}

impl Kind {
    fn of(private: &Attributes, public: &Attributes) -> Result<Self, Fault> {
        let both = || private.iter().chain(public.iter());
        let algorithm = both().find_map(|attribute| match attribute {
            Attribute::CryptographicAlgorithm(algorithm) => Some(*algorithm),
            _ => None,
        });
        let algorithm = algorithm.ok_or_else(|| Fault::missing("Cryptographic Algorithm is needed"))?;
        let length = both().find_map(|attribute| match attribute {
            Attribute::CryptographicLength(length) => Some(*length),
            _ => None,
        });
        let curve = both().find_map(|attribute| match attribute {
            Attribute::CryptographicDomainParameters(parameters) => parameters.recommended_curve,
            _ => None,
        });
        if algorithm == CryptographicAlgorithm::Rsa && length.is_none() {
            return Err(Fault::missing("Cryptographic Length is needed"));
        }
        Ok(Self {
            algorithm,
            length,
            curve,
            private_format: wanted_format(private),
            public_format: wanted_format(public),
        })
    }
}

impl Pair {
    fn encode(key: &crypto::PrivateKey, kind: Kind) -> Result<Self, Fault> {
        let (algorithm, curve) = (kind.algorithm, key.recommended_curve());
        let default = |object_type| key_material::default_format(object_type, algorithm, curve);
        let private = |format| key_material::private_key_object(key, algorithm, format);
        let public_key = key.public_key();
        let public = |format| key_material::public_key_object(&public_key, algorithm, format);
        Ok(Self {
            private: Half::encode(private, default(ObjectType::PrivateKey), kind.private_format)?,
            public: Half::encode(public, default(ObjectType::PublicKey), kind.public_format)?,
            curve,
        })
    }

    /// Notes the curve of the pair.
    pub(super) fn describe(&self, private: &mut Record, public: &mut Record) {
        if let Some(curve) = self.curve {
            for record in [private, public] {
                let parameters =
                    CryptographicDomainParameters { qlength: None, recommended_curve: Some(curve) };
                creation::set_default(record, Attribute::CryptographicDomainParameters(parameters));
            }
        }
    }
}

impl Half {
    fn encode(
        encode: impl Fn(KeyFormatType) -> Result<ManagedObject, Fault>,
        default: KeyFormatType,
        wanted: Option<KeyFormatType>,
    ) -> Result<Self, Fault> {
        let other = wanted.filter(|wanted| *wanted != default).map(&encode).transpose()?;
        Ok(Self { default: encode(default)?, other })
    }
}
