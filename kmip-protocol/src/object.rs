//! Managed objects (KMIP 2.1 section 2).

use bytes::Bytes;
use kmip_ttlv::{Error, ErrorKind, Reader, Tag, Writer};

use crate::attribute::Attributes;
use crate::codec::{BigInteger, Choice, Item, Secret, structure};
use crate::enumeration::{
    CertificateRequestType, CertificateType, ObjectType, OpaqueDataType, SecretDataType, SplitKeyMethod,
};
use crate::key_block::KeyBlock;
use crate::tag;
use crate::version::Version;

structure! {
    /// A certificate (2.1).
    #[derive(Clone)]
    pub struct Certificate {
        /// X.509 or PGP.
        required certificate_type: CertificateType = CERTIFICATE_TYPE;
        /// The encoded certificate.
        required certificate_value: Bytes = CERTIFICATE_VALUE;
    }

    /// A certificate request (2.2).
    pub struct CertificateRequest {
        /// The form of the request.
        required certificate_request_type: CertificateRequestType = CERTIFICATE_REQUEST_TYPE;
        /// The encoded request.
        required certificate_request_value: Bytes = CERTIFICATE_REQUEST_VALUE;
    }

    /// Bytes that the server does not look into (2.3).
    pub struct OpaqueObject {
        /// What the client calls them.
        required opaque_data_type: OpaqueDataType = OPAQUE_DATA_TYPE;
        /// The bytes.
        required opaque_data_value: Secret = OPAQUE_DATA_VALUE;
    }

    /// A PGP key (2.4).
    pub struct PgpKey {
        /// The version of the format.
        required pgp_key_version: i32 = PGP_KEY_VERSION;
        /// The key.
        required key_block: KeyBlock = KEY_BLOCK;
    }

    /// The private half of a key pair (2.5).
    pub struct PrivateKey {
        /// The key.
        required key_block: KeyBlock = KEY_BLOCK;
    }

    /// The public half of a key pair (2.6).
    pub struct PublicKey {
        /// The key.
        required key_block: KeyBlock = KEY_BLOCK;
    }

    /// A secret that is not a key: a password or a seed (2.7).
    pub struct SecretData {
        /// What it is.
        required secret_data_type: SecretDataType = SECRET_DATA_TYPE;
        /// The secret.
        required key_block: KeyBlock = KEY_BLOCK;
    }

    /// A part of a key (2.8).
    pub struct SplitKey {
        /// Parts in all.
        required split_key_parts: i32 = SPLIT_KEY_PARTS;
        /// The number of this part.
        required key_part_identifier: i32 = KEY_PART_IDENTIFIER;
        /// Parts needed.
        required split_key_threshold: i32 = SPLIT_KEY_THRESHOLD;
        /// How it was split.
        required split_key_method: SplitKeyMethod = SPLIT_KEY_METHOD;
        /// The field, for the methods over a prime field.
        optional prime_field_size: BigInteger = PRIME_FIELD_SIZE;
        /// The part.
        required key_block: KeyBlock = KEY_BLOCK;
    }

    /// A symmetric key (2.9).
    pub struct SymmetricKey {
        /// The key.
        required key_block: KeyBlock = KEY_BLOCK;
    }

    /// Attributes for objects to come (1.4 section 2.2.6; gone in 2.0).
    pub struct Template {
        /// The attributes.
        attributes attributes: Attributes = BARE;
    }
}

macro_rules! objects {
    ($($name:ident: $tag:ident;)*) => {
        /// An object that the server manages.
        #[derive(Debug)]
        pub enum ManagedObject {
            $(
                #[doc = concat!("`", stringify!($name), "`")]
                $name($name),
            )*
        }

        impl ManagedObject {
            /// The type of the object.
            pub fn object_type(&self) -> ObjectType {
                match self {
                    $(Self::$name(_) => ObjectType::$name,)*
                }
            }
        }

        impl Choice for ManagedObject {
            fn accepts(tag: Tag) -> bool {
                matches!(tag, $(tag::$tag)|*)
            }

            fn read(reader: &mut Reader<'_>, version: Version) -> Result<Self, Error> {
                match reader.peek_tag()? {
                    $(Some(tag::$tag) => $name::read(reader, tag::$tag, version).map(Self::$name),)*
                    _ => Err(reader.error(ErrorKind::UnexpectedItem)),
                }
            }

            fn write(&self, writer: &mut Writer, version: Version) {
                match self {
                    $(Self::$name(object) => object.write(writer, tag::$tag, version),)*
                }
            }

            fn is_known(&self, version: Version) -> bool {
                self.object_type().since().knows(version)
                    && match self {
                        $(Self::$name(object) => object.is_known(version),)*
                    }
            }
        }
    };
}

objects! {
    Certificate: CERTIFICATE;
    CertificateRequest: CERTIFICATE_REQUEST;
    OpaqueObject: OPAQUE_OBJECT;
    PgpKey: PGP_KEY;
    PrivateKey: PRIVATE_KEY;
    PublicKey: PUBLIC_KEY;
    SecretData: SECRET_DATA;
    SplitKey: SPLIT_KEY;
    SymmetricKey: SYMMETRIC_KEY;
    Template: TEMPLATE;
}

impl ManagedObject {
    /// The key block of an object that has one.
    pub fn key_block(&self) -> Option<&KeyBlock> {
        match self {
            Self::SymmetricKey(SymmetricKey { key_block })
            | Self::PrivateKey(PrivateKey { key_block })
            | Self::PublicKey(PublicKey { key_block })
            | Self::SecretData(SecretData { key_block, .. })
            | Self::SplitKey(SplitKey { key_block, .. })
            | Self::PgpKey(PgpKey { key_block, .. }) => Some(key_block),
            Self::Certificate(_)
            | Self::CertificateRequest(_)
            | Self::OpaqueObject(_)
            | Self::Template(_) => None,
        }
    }

    /// As [`key_block`](Self::key_block), to be changed.
    pub fn key_block_mut(&mut self) -> Option<&mut KeyBlock> {
        match self {
            Self::SymmetricKey(SymmetricKey { key_block })
            | Self::PrivateKey(PrivateKey { key_block })
            | Self::PublicKey(PublicKey { key_block })
            | Self::SecretData(SecretData { key_block, .. })
            | Self::SplitKey(SplitKey { key_block, .. })
            | Self::PgpKey(PgpKey { key_block, .. }) => Some(key_block),
            Self::Certificate(_)
            | Self::CertificateRequest(_)
            | Self::OpaqueObject(_)
            | Self::Template(_) => None,
        }
    }
}
