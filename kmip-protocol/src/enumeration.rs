//! The enumerations of KMIP (2.1 section 11): values, names in XML and JSON, and the versions that know them.
//!
//! Every enumeration keeps the extension range `0x8XXXXXXX` in its variant `Extension`; any other value that no row
//! names is refused when read.

use std::ops::RangeInclusive;

use kmip_ttlv::Tag;

use crate::tag;
use crate::version::{Since, V1_0, V1_1, V1_2, V1_3, V1_4, V2_0, V2_1, Version};

/// The values that KMIP leaves to extensions.
pub const EXTENSIONS: RangeInclusive<u32> = 0x8000_0000..=0x8fff_ffff;

/// One value of an enumeration.
#[derive(Debug, Clone, Copy)]
pub struct EnumerationRow {
    /// The number on the wire.
    pub value: u32,
    /// Its names in XML and JSON; the first one is written, all are read.
    pub names: &'static [&'static str],
    /// The versions that know it.
    pub since: Since,
}

/// An enumeration as a table, for the text encodings and for tests.
#[derive(Debug, Clone, Copy)]
pub struct EnumerationTable {
    /// The tag under which the enumeration usually stands.
    pub tag: Tag,
    /// Its values.
    pub rows: &'static [EnumerationRow],
}

impl EnumerationTable {
    /// The value that `name` stands for.
    pub fn value(&self, name: &str) -> Option<u32> {
        self.rows.iter().find(|row| row.names.contains(&name)).map(|row| row.value)
    }

    /// Whether `version` knows `value`. Extensions are known to all.
    pub fn knows(&self, value: u32, version: Version) -> bool {
        match self.row(value) {
            Some(row) => row.since.knows(version),
            None => EXTENSIONS.contains(&value),
        }
    }

    /// The row of `value`.
    pub fn row(&self, value: u32) -> Option<&'static EnumerationRow> {
        self.rows.iter().find(|row| row.value == value)
    }
}

/// The enumeration that stands under `tag`, also where a second tag holds the values of another enumeration.
pub fn table(tag: Tag) -> Option<&'static EnumerationTable> {
    let tag = match tag {
        tag::MASK_GENERATOR_HASHING_ALGORITHM => tag::HASHING_ALGORITHM,
        tag::PRIVATE_KEY_UNIQUE_IDENTIFIER
        | tag::PUBLIC_KEY_UNIQUE_IDENTIFIER
        | tag::CERTIFICATE_REQUEST_UNIQUE_IDENTIFIER
        | tag::LINKED_OBJECT_IDENTIFIER => tag::UNIQUE_IDENTIFIER,
        other => other,
    };
    TABLES.iter().find(|table| table.tag == tag)
}

macro_rules! enumerations {
    ($($(#[$doc:meta])* $name:ident: $tag:ident {
        $($variant:ident = $value:literal $($text:literal)|+ [$($since:ident),+];)*
    })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
            #[allow(clippy::upper_case_acronyms)]
            pub enum $name {
                $(
                    #[doc = concat!("`", stringify!($value), "`")]
                    $variant,
                )*
                /// A value of the extension range.
                Extension(u32),
            }

            impl $name {
                /// The enumeration as a table.
                pub const TABLE: EnumerationTable = EnumerationTable {
                    tag: tag::$tag,
                    rows: &[$(EnumerationRow {
                        value: $value, names: &[$($text),+], since: Since::new(&[$($since),+]),
                    },)*],
                };

                /// All values that the specification names.
                pub const ALL: &[Self] = &[$(Self::$variant,)*];

                /// The number on the wire.
                pub const fn value(self) -> u32 {
                    match self {
                        $(Self::$variant => $value,)*
                        Self::Extension(value) => value,
                    }
                }

                /// The variant of a number, or `None` where neither a row nor the extension range has it.
                pub const fn from_value(value: u32) -> Option<Self> {
                    match value {
                        $($value => Some(Self::$variant),)*
                        0x8000_0000..=0x8fff_ffff => Some(Self::Extension(value)),
                        _ => None,
                    }
                }

                /// The versions that know this value; an extension is known to all.
                pub fn since(self) -> Since {
                    Self::TABLE.row(self.value()).map_or(Since::new(&[V1_0]), |row| row.since)
                }
            }

            impl std::fmt::Display for $name {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    match Self::TABLE.row(self.value()) {
                        Some(row) => f.write_str(row.names[0]),
                        None => write!(f, "0x{:08X}", self.value()),
                    }
                }
            }

            crate::codec::enumeration_item!($name);
        )*

        /// All enumerations.
        pub static TABLES: &[EnumerationTable] = &[$($name::TABLE,)*];
    };
}

enumerations! {
    /// Adjustment Type.
    AdjustmentType: ADJUSTMENT_TYPE {
        Increment = 0x1 "Increment" [V2_0];
        Decrement = 0x2 "Decrement" [V2_0];
        Negate = 0x3 "Negate" [V2_0];
    }

    /// Alternative Name Type.
    AlternativeNameType: ALTERNATIVE_NAME_TYPE {
        UninterpretedTextString = 0x1 "UninterpretedTextString" [V1_2];
        Uri = 0x2 "URI" [V1_2];
        ObjectSerialNumber = 0x3 "ObjectSerialNumber" [V1_2];
        EmailAddress = 0x4 "EmailAddress" [V1_2];
        DnsName = 0x5 "DNSName" [V1_2];
        X500DistinguishedName = 0x6 "X_500DistinguishedName" [V1_2];
        IpAddress = 0x7 "IPAddress" [V1_2];
    }

    /// Asynchronous Indicator.
    AsynchronousIndicator: ASYNCHRONOUS_INDICATOR {
        Mandatory = 0x1 "Mandatory" [V2_0];
        Optional = 0x2 "Optional" [V2_0];
        Prohibited = 0x3 "Prohibited" [V2_0];
    }

    /// Attestation Type.
    AttestationType: ATTESTATION_TYPE {
        TpmQuote = 0x1 "TPMQuote" [V1_2];
        TcgIntegrityReport = 0x2 "TCGIntegrityReport" [V1_2];
        SamlAssertion = 0x3 "SAMLAssertion" [V1_2];
    }

    /// Batch Error Continuation Option.
    BatchErrorContinuationOption: BATCH_ERROR_CONTINUATION_OPTION {
        Continue = 0x1 "Continue" [V1_0];
        Stop = 0x2 "Stop" [V1_0];
        Undo = 0x3 "Undo" [V1_0];
    }

    /// Block Cipher Mode.
    BlockCipherMode: BLOCK_CIPHER_MODE {
        Cbc = 0x1 "CBC" [V1_0];
        Ecb = 0x2 "ECB" [V1_0];
        Pcbc = 0x3 "PCBC" [V1_0];
        Cfb = 0x4 "CFB" [V1_0];
        Ofb = 0x5 "OFB" [V1_0];
        Ctr = 0x6 "CTR" [V1_0];
        Cmac = 0x7 "CMAC" [V1_0];
        Ccm = 0x8 "CCM" [V1_0];
        Gcm = 0x9 "GCM" [V1_0];
        CbcMac = 0xa "CBC_MAC" [V1_0];
        Xts = 0xb "XTS" [V1_0];
        AesKeyWrapPadding = 0xc "AESKeyWrapPadding" [V1_0];
        NistKeyWrap = 0xd "NISTKeyWrap" [V1_0];
        X9_102Aeskw = 0xe "X9_102AESKW" [V1_0];
        X9_102Tdkw = 0xf "X9_102TDKW" [V1_0];
        X9_102Akw1 = 0x10 "X9_102AKW1" [V1_0];
        X9_102Akw2 = 0x11 "X9_102AKW2" [V1_0];
        Aead = 0x12 "AEAD" [V1_4];
    }

    /// Cancellation Result.
    CancellationResult: CANCELLATION_RESULT {
        Canceled = 0x1 "Canceled" [V1_0];
        UnableToCancel = 0x2 "UnableToCancel" [V1_0];
        Completed = 0x3 "Completed" [V1_0];
        Failed = 0x4 "Failed" [V1_0];
        Unavailable = 0x5 "Unavailable" [V1_0];
    }

    /// Certificate Request Type.
    CertificateRequestType: CERTIFICATE_REQUEST_TYPE {
        Crmf = 0x1 "CRMF" [V1_0];
        Pkcs10 = 0x2 "PKCS_10" [V1_0];
        Pem = 0x3 "PEM" [V1_0];
        Pgp = 0x4 "PGP" [V1_0, V1_4];
    }

    /// Certificate Type.
    CertificateType: CERTIFICATE_TYPE {
        X509 = 0x1 "X_509" [V1_0];
        Pgp = 0x2 "PGP" [V1_0];
    }

    /// Client Registration Method.
    ClientRegistrationMethod: CLIENT_REGISTRATION_METHOD {
        Unspecified = 0x1 "Unspecified" [V1_3];
        ServerPreGenerated = 0x2 "ServerPreGenerated" [V1_3];
        ServerOnDemand = 0x3 "ServerOnDemand" [V1_3];
        ClientGenerated = 0x4 "ClientGenerated" [V1_3];
        ClientRegistered = 0x5 "ClientRegistered" [V1_3];
    }

    /// Credential Type.
    CredentialType: CREDENTIAL_TYPE {
        UsernameAndPassword = 0x1 "UsernameAndPassword" [V1_0];
        Device = 0x2 "Device" [V1_1];
        Attestation = 0x3 "Attestation" [V1_2];
        OneTimePassword = 0x4 "OneTimePassword" [V2_0];
        HashedPassword = 0x5 "HashedPassword" [V2_0];
        Ticket = 0x6 "Ticket" [V2_0];
    }

    /// Cryptographic Algorithm.
    CryptographicAlgorithm: CRYPTOGRAPHIC_ALGORITHM {
        Des = 0x1 "DES" [V1_0];
        TripleDes = 0x2 "DES3" [V1_0];
        Aes = 0x3 "AES" [V1_0];
        Rsa = 0x4 "RSA" [V1_0];
        Dsa = 0x5 "DSA" [V1_0];
        Ecdsa = 0x6 "ECDSA" [V1_0];
        HmacSha1 = 0x7 "HMAC_SHA1" [V1_0];
        HmacSha224 = 0x8 "HMAC_SHA224" [V1_0];
        HmacSha256 = 0x9 "HMAC_SHA256" [V1_0];
        HmacSha384 = 0xa "HMAC_SHA384" [V1_0];
        HmacSha512 = 0xb "HMAC_SHA512" [V1_0];
        HmacMd5 = 0xc "HMAC_MD5" [V1_0];
        Dh = 0xd "DH" [V1_0];
        Ecdh = 0xe "ECDH" [V1_0];
        Ecmqv = 0xf "ECMQV" [V1_0];
        Blowfish = 0x10 "Blowfish" [V1_0];
        Camellia = 0x11 "Camellia" [V1_0];
        Cast5 = 0x12 "CAST5" [V1_0];
        Idea = 0x13 "IDEA" [V1_0];
        Mars = 0x14 "MARS" [V1_0];
        Rc2 = 0x15 "RC2" [V1_0];
        Rc4 = 0x16 "RC4" [V1_0];
        Rc5 = 0x17 "RC5" [V1_0];
        Skipjack = 0x18 "SKIPJACK" [V1_0];
        Twofish = 0x19 "Twofish" [V1_0];
        Ec = 0x1a "EC" [V1_2];
        OneTimePad = 0x1b "OneTimePad" [V1_3];
        ChaCha20 = 0x1c "ChaCha20" [V1_4];
        Poly1305 = 0x1d "Poly1305" [V1_4];
        ChaCha20Poly1305 = 0x1e "ChaCha20Poly1305" [V1_4];
        Sha3_224 = 0x1f "SHA3_224" [V1_4];
        Sha3_256 = 0x20 "SHA3_256" [V1_4];
        Sha3_384 = 0x21 "SHA3_384" [V1_4];
        Sha3_512 = 0x22 "SHA3_512" [V1_4];
        HmacSha3_224 = 0x23 "HMAC_SHA3_224" [V1_4];
        HmacSha3_256 = 0x24 "HMAC_SHA3_256" [V1_4];
        HmacSha3_384 = 0x25 "HMAC_SHA3_384" [V1_4];
        HmacSha3_512 = 0x26 "HMAC_SHA3_512" [V1_4];
        Shake128 = 0x27 "SHAKE_128" [V1_4];
        Shake256 = 0x28 "SHAKE_256" [V1_4];
        Aria = 0x29 "ARIA" [V2_0];
        Seed = 0x2a "SEED" [V2_0];
        Sm2 = 0x2b "SM2" [V2_0];
        Sm3 = 0x2c "SM3" [V2_0];
        Sm4 = 0x2d "SM4" [V2_0];
        GostR34_10_2012 = 0x2e "GOSTR34_10_2012" [V2_0];
        GostR34_11_2012 = 0x2f "GOSTR34_11_2012" [V2_0];
        GostR34_13_2015 = 0x30 "GOSTR34_13_2015" [V2_0];
        Gost28147_89 = 0x31 "GOST28147_89" [V2_0];
        Xmss = 0x32 "XMSS" [V2_0];
        Sphincs256 = 0x33 "SPHINCS_256" [V2_0];
        McEliece = 0x34 "McEliece" [V2_0];
        McEliece6960119 = 0x35 "McEliece_6960119" [V2_0];
        McEliece8192128 = 0x36 "McEliece_8192128" [V2_0];
        Ed25519 = 0x37 "Ed25519" [V2_0];
        Ed448 = 0x38 "Ed448" [V2_0];
    }

    /// DRBG Algorithm.
    DrbgAlgorithm: DRBG_ALGORITHM {
        Unspecified = 0x1 "Unspecified" [V1_3];
        DualEc = 0x2 "Dual_EC" [V1_3];
        Hash = 0x3 "Hash" [V1_3];
        Hmac = 0x4 "HMAC" [V1_3];
        Ctr = 0x5 "CTR" [V1_3];
    }

    /// Data.
    DataPlaceholder: DATA {
        Decrypt = 0x1 "Decrypt" [V2_0];
        Encrypt = 0x2 "Encrypt" [V2_0];
        Hash = 0x3 "Hash" [V2_0];
        MacMacData = 0x4 "MACMACData" [V2_0];
        RngRetrieve = 0x5 "RNGRetrieve" [V2_0];
        SignSignatureData = 0x6 "SignSignatureData" [V2_0];
        SignatureVerify = 0x7 "SignatureVerify" [V2_0];
    }

    /// Derivation Method.
    DerivationMethod: DERIVATION_METHOD {
        Pbkdf2 = 0x1 "PBKDF2" [V1_0];
        Hash = 0x2 "HASH" [V1_0];
        Hmac = 0x3 "HMAC" [V1_0];
        Encrypt = 0x4 "ENCRYPT" [V1_0];
        Nist800_108C = 0x5 "NIST800_108_C" [V1_0];
        Nist800_108F = 0x6 "NIST800_108_F" [V1_0];
        Nist800_108Dpi = 0x7 "NIST800_108_DPI" [V1_0];
        AsymmetricKey = 0x8 "AsymmetricKey" [V1_4];
        AwsSignatureVersion4 = 0x9 "AWSSignatureVersion4" [V2_0];
        Hkdf = 0xa "HKDF" [V2_0];
    }

    /// Destroy Action.
    DestroyAction: DESTROY_ACTION {
        Unspecified = 0x1 "Unspecified" [V1_3];
        KeyMaterialDeleted = 0x2 "KeyMaterialDeleted" [V1_3];
        KeyMaterialShredded = 0x3 "KeyMaterialShredded" [V1_3];
        MetaDataDeleted = 0x4 "MetaDataDeleted" [V1_3];
        MetaDataShredded = 0x5 "MetaDataShredded" [V1_3];
        Deleted = 0x6 "Deleted" [V1_3];
        Shredded = 0x7 "Shredded" [V1_3];
    }

    /// Digital Signature Algorithm.
    DigitalSignatureAlgorithm: DIGITAL_SIGNATURE_ALGORITHM {
        Md2WithRsaEncryption = 0x1 "MD2WithRSAEncryption" | "MD2WithRSAEncryptionPKCS_1V1_5" [V1_1];
        Md5WithRsaEncryption = 0x2 "MD5WithRSAEncryption" | "MD5WithRSAEncryptionPKCS_1V1_5" [V1_1];
        Sha1WithRsaEncryption = 0x3 "SHA_1WithRSAEncryption" | "SHA_1WithRSAEncryptionPKCS_1V1_5" [V1_1];
        Sha224WithRsaEncryption = 0x4 "SHA_224WithRSAEncryption" | "SHA_224WithRSAEncryptionPKCS_1V1_5" [V1_1];
        Sha256WithRsaEncryption = 0x5 "SHA_256WithRSAEncryption" | "SHA_256WithRSAEncryptionPKCS_1V1_5" [V1_1];
        Sha384WithRsaEncryption = 0x6 "SHA_384WithRSAEncryption" | "SHA_384WithRSAEncryptionPKCS_1V1_5" [V1_1];
        Sha512WithRsaEncryption = 0x7 "SHA_512WithRSAEncryption" | "SHA_512WithRSAEncryptionPKCS_1V1_5" [V1_1];
        RsassaPss = 0x8 "RSASSA_PSS" | "RSASSA_PSSPKCS_1V2_1" [V1_1];
        DsaWithSha1 = 0x9 "DSAWithSHA_1" [V1_1];
        DsaWithSha224 = 0xa "DSAWithSHA224" [V1_1];
        DsaWithSha256 = 0xb "DSAWithSHA256" [V1_1];
        EcdsaWithSha1 = 0xc "ECDSAWithSHA_1" [V1_1];
        EcdsaWithSha224 = 0xd "ECDSAWithSHA224" [V1_1];
        EcdsaWithSha256 = 0xe "ECDSAWithSHA256" [V1_1];
        EcdsaWithSha384 = 0xf "ECDSAWithSHA384" [V1_1];
        EcdsaWithSha512 = 0x10 "ECDSAWithSHA512" [V1_1];
        Sha3_256WithRsaEncryption = 0x11 "SHA3_256WithRSAEncryption" [V1_4];
        Sha3_384WithRsaEncryption = 0x12 "SHA3_384WithRSAEncryption" [V1_4];
        Sha3_512WithRsaEncryption = 0x13 "SHA3_512WithRSAEncryption" [V1_4];
    }

    /// Encoding Option.
    EncodingOption: ENCODING_OPTION {
        NoEncoding = 0x1 "NoEncoding" [V1_1];
        TtlvEncoding = 0x2 "TTLVEncoding" [V1_1];
    }

    /// Endpoint Role.
    EndpointRole: ENDPOINT_ROLE {
        Client = 0x1 "Client" [V2_0];
        Server = 0x2 "Server" [V2_0];
    }

    /// FIPS186 Variation.
    Fips186Variation: FIPS186_VARIATION {
        Unspecified = 0x1 "Unspecified" [V1_3];
        GpXOriginal = 0x2 "GPXOriginal" [V1_3];
        GpXChangeNotice = 0x3 "GPXChangeNotice" [V1_3];
        XOriginal = 0x4 "XOriginal" [V1_3];
        XChangeNotice = 0x5 "XChangeNotice" [V1_3];
        KOriginal = 0x6 "KOriginal" [V1_3];
        KChangeNotice = 0x7 "KChangeNotice" [V1_3];
    }

    /// Hashing Algorithm.
    HashingAlgorithm: HASHING_ALGORITHM {
        Md2 = 0x1 "MD2" [V1_0];
        Md4 = 0x2 "MD4" [V1_0];
        Md5 = 0x3 "MD5" [V1_0];
        Sha1 = 0x4 "SHA_1" [V1_0];
        Sha224 = 0x5 "SHA_224" [V1_0];
        Sha256 = 0x6 "SHA_256" [V1_0];
        Sha384 = 0x7 "SHA_384" [V1_0];
        Sha512 = 0x8 "SHA_512" [V1_0];
        Ripemd160 = 0x9 "RIPEMD_160" [V1_0];
        Tiger = 0xa "Tiger" [V1_0];
        Whirlpool = 0xb "Whirlpool" [V1_0];
        Sha512_224 = 0xc "SHA_512_224" [V1_2];
        Sha512_256 = 0xd "SHA_512_256" [V1_2];
        Sha3_224 = 0xe "SHA3_224" | "SHA_3_224" [V1_4];
        Sha3_256 = 0xf "SHA3_256" | "SHA_3_256" [V1_4];
        Sha3_384 = 0x10 "SHA3_384" | "SHA_3_384" [V1_4];
        Sha3_512 = 0x11 "SHA3_512" | "SHA_3_512" [V1_4];
    }

    /// Interop Function.
    InteropFunction: INTEROP_FUNCTION {
        Begin = 0x1 "Begin" [V2_0];
        End = 0x2 "End" [V2_0];
        Reset = 0x3 "Reset" [V2_0];
    }

    /// Item Type.
    ItemType: EXTENSION_TYPE {
        Structure = 0x1 "Structure" [V2_0];
        Integer = 0x2 "Integer" [V2_0];
        LongInteger = 0x3 "LongInteger" [V2_0];
        BigInteger = 0x4 "BigInteger" [V2_0];
        Enumeration = 0x5 "Enumeration" [V2_0];
        Boolean = 0x6 "Boolean" [V2_0];
        TextString = 0x7 "TextString" [V2_0];
        ByteString = 0x8 "ByteString" [V2_0];
        DateTime = 0x9 "DateTime" [V2_0];
        Interval = 0xa "Interval" [V2_0];
        DateTimeExtended = 0xb "DateTimeExtended" [V2_0];
    }

    /// Key Compression Type.
    KeyCompressionType: KEY_COMPRESSION_TYPE {
        EcPublicKeyTypeUncompressed = 0x1 "ECPublicKeyTypeUncompressed" [V1_0];
        EcPublicKeyTypeX9_62CompressedPrime = 0x2 "ECPublicKeyTypeX9_62CompressedPrime" [V1_0];
        EcPublicKeyTypeX9_62CompressedChar2 = 0x3 "ECPublicKeyTypeX9_62CompressedChar2" [V1_0];
        EcPublicKeyTypeX9_62Hybrid = 0x4 "ECPublicKeyTypeX9_62Hybrid" [V1_0];
    }

    /// Key Format Type.
    KeyFormatType: KEY_FORMAT_TYPE {
        Raw = 0x1 "Raw" [V1_0];
        Opaque = 0x2 "Opaque" [V1_0];
        Pkcs1 = 0x3 "PKCS_1" [V1_0];
        Pkcs8 = 0x4 "PKCS_8" [V1_0];
        X509 = 0x5 "X_509" [V1_0];
        EcPrivateKey = 0x6 "ECPrivateKey" [V1_0];
        TransparentSymmetricKey = 0x7 "TransparentSymmetricKey" [V1_0];
        TransparentDsaPrivateKey = 0x8 "TransparentDSAPrivateKey" [V1_0];
        TransparentDsaPublicKey = 0x9 "TransparentDSAPublicKey" [V1_0];
        TransparentRsaPrivateKey = 0xa "TransparentRSAPrivateKey" [V1_0];
        TransparentRsaPublicKey = 0xb "TransparentRSAPublicKey" [V1_0];
        TransparentDhPrivateKey = 0xc "TransparentDHPrivateKey" [V1_0];
        TransparentDhPublicKey = 0xd "TransparentDHPublicKey" [V1_0];
        TransparentEcdsaPrivateKey = 0xe "TransparentECDSAPrivateKey" [V1_0, V1_4];
        TransparentEcdsaPublicKey = 0xf "TransparentECDSAPublicKey" [V1_0, V1_4];
        TransparentEcdhPrivateKey = 0x10 "TransparentECDHPrivateKey" [V1_0, V1_4];
        TransparentEcdhPublicKey = 0x11 "TransparentECDHPublicKey" [V1_0, V1_4];
        TransparentEcmqvPrivateKey = 0x12 "TransparentECMQVPrivateKey" [V1_0, V1_4];
        TransparentEcmqvPublicKey = 0x13 "TransparentECMQVPublicKey" [V1_0, V1_4];
        TransparentEcPrivateKey = 0x14 "TransparentECPrivateKey" [V1_3];
        TransparentEcPublicKey = 0x15 "TransparentECPublicKey" [V1_3];
        Pkcs12 = 0x16 "PKCS_12" [V1_4];
        Pkcs10 = 0x17 "PKCS_10" [V2_0];
    }

    /// Key Role Type.
    KeyRoleType: KEY_ROLE_TYPE {
        Bdk = 0x1 "BDK" [V1_0];
        Cvk = 0x2 "CVK" [V1_0];
        Dek = 0x3 "DEK" [V1_0];
        Mkac = 0x4 "MKAC" [V1_0];
        Mksmc = 0x5 "MKSMC" [V1_0];
        Mksmi = 0x6 "MKSMI" [V1_0];
        Mkdac = 0x7 "MKDAC" [V1_0];
        Mkdn = 0x8 "MKDN" [V1_0];
        Mkcp = 0x9 "MKCP" [V1_0];
        Mkoth = 0xa "MKOTH" [V1_0];
        Kek = 0xb "KEK" [V1_0];
        Mac16609 = 0xc "MAC16609" [V1_0];
        Mac97971 = 0xd "MAC97971" [V1_0];
        Mac97972 = 0xe "MAC97972" [V1_0];
        Mac97973 = 0xf "MAC97973" [V1_0];
        Mac97974 = 0x10 "MAC97974" [V1_0];
        Mac97975 = 0x11 "MAC97975" [V1_0];
        Zpk = 0x12 "ZPK" [V1_0];
        Pvkibm = 0x13 "PVKIBM" [V1_0];
        Pvkpvv = 0x14 "PVKPVV" [V1_0];
        Pvkoth = 0x15 "PVKOTH" [V1_0];
        Dukpt = 0x16 "DUKPT" [V1_4];
        Iv = 0x17 "IV" [V1_4];
        Trkbk = 0x18 "TRKBK" [V1_4];
    }

    /// Key Value Location Type.
    KeyValueLocationType: KEY_VALUE_LOCATION_TYPE {
        UninterpretedTextString = 0x1 "UninterpretedTextString" [V1_2];
        Uri = 0x2 "URI" [V1_2];
    }

    /// Key Wrap Type.
    KeyWrapType: KEY_WRAP_TYPE {
        NotWrapped = 0x1 "NotWrapped" [V1_4];
        AsRegistered = 0x2 "AsRegistered" [V1_4];
    }

    /// Link Type.
    LinkType: LINK_TYPE {
        CertificateLink = 0x101 "CertificateLink" [V1_0];
        PublicKeyLink = 0x102 "PublicKeyLink" [V1_0];
        PrivateKeyLink = 0x103 "PrivateKeyLink" [V1_0];
        DerivationBaseObjectLink = 0x104 "DerivationBaseObjectLink" [V1_0];
        DerivedKeyLink = 0x105 "DerivedKeyLink" [V1_0];
        ReplacementObjectLink = 0x106 "ReplacementObjectLink" [V1_0];
        ReplacedObjectLink = 0x107 "ReplacedObjectLink" [V1_0];
        ParentLink = 0x108 "ParentLink" [V1_2];
        ChildLink = 0x109 "ChildLink" [V1_2];
        PreviousLink = 0x10a "PreviousLink" [V1_2];
        NextLink = 0x10b "NextLink" [V1_2];
        Pkcs12CertificateLink = 0x10c "PKCS_12CertificateLink" [V1_4];
        Pkcs12PasswordLink = 0x10d "PKCS_12PasswordLink" [V1_4];
        WrappingKeyLink = 0x10e "WrappingKeyLink" [V2_0];
    }

    /// Mask Generator.
    MaskGenerator: MASK_GENERATOR {
        Mgf1 = 0x1 "MGF1" | "MFG1" [V1_4];
    }

    /// NIST Key Type.
    NistKeyType: NIST_KEY_TYPE {
        PrivateSignatureKey = 0x1 "PrivateSignatureKey" [V2_0];
        PublicSignatureVerificationKey = 0x2 "PublicSignatureVerificationKey" [V2_0];
        SymmetricAuthenticationKey = 0x3 "SymmetricAuthenticationKey" [V2_0];
        PrivateAuthenticationKey = 0x4 "PrivateAuthenticationKey" [V2_0];
        PublicAuthenticationKey = 0x5 "PublicAuthenticationKey" [V2_0];
        SymmetricDataEncryptionKey = 0x6 "SymmetricDataEncryptionKey" [V2_0];
        SymmetricKeyWrappingKey = 0x7 "SymmetricKeyWrappingKey" [V2_0];
        SymmetricRandomNumberGenerationKey = 0x8 "SymmetricRandomNumberGenerationKey" [V2_0];
        SymmetricMasterKey = 0x9 "SymmetricMasterKey" [V2_0];
        PrivateKeyTransportKey = 0xa "PrivateKeyTransportKey" [V2_0];
        PublicKeyTransportKey = 0xb "PublicKeyTransportKey" [V2_0];
        SymmetricKeyAgreementKey = 0xc "SymmetricKeyAgreementKey" [V2_0];
        PrivateStaticKeyAgreementKey = 0xd "PrivateStaticKeyAgreementKey" [V2_0];
        PublicStaticKeyAgreementKey = 0xe "PublicStaticKeyAgreementKey" [V2_0];
        PrivateEphemeralKeyAgreementKey = 0xf "PrivateEphemeralKeyAgreementKey" [V2_0];
        PublicEphemeralKeyAgreementKey = 0x10 "PublicEphemeralKeyAgreementKey" [V2_0];
        SymmetricAuthorizationKey = 0x11 "SymmetricAuthorizationKey" [V2_0];
        PrivateAuthorizationKey = 0x12 "PrivateAuthorizationKey" [V2_0];
        PublicAuthorizationKey = 0x13 "PublicAuthorizationKey" [V2_0];
    }

    /// Name Type.
    NameType: NAME_TYPE {
        UninterpretedTextString = 0x1 "UninterpretedTextString" [V1_0];
        Uri = 0x2 "URI" [V1_0];
    }

    /// Object Group Member.
    ObjectGroupMember: OBJECT_GROUP_MEMBER {
        GroupMemberFresh = 0x1 "GroupMemberFresh" [V1_1];
        GroupMemberDefault = 0x2 "GroupMemberDefault" [V1_1];
    }

    /// Object Type.
    ObjectType: OBJECT_TYPE {
        Certificate = 0x1 "Certificate" [V1_0];
        SymmetricKey = 0x2 "SymmetricKey" [V1_0];
        PublicKey = 0x3 "PublicKey" [V1_0];
        PrivateKey = 0x4 "PrivateKey" [V1_0];
        SplitKey = 0x5 "SplitKey" [V1_0];
        Template = 0x6 "Template" [V1_0, V1_4];
        SecretData = 0x7 "SecretData" [V1_0];
        OpaqueObject = 0x8 "OpaqueObject" [V1_0];
        PgpKey = 0x9 "PGPKey" [V1_2];
        CertificateRequest = 0xa "CertificateRequest" [V2_0];
    }

    /// Opaque Data Type.
    OpaqueDataType: OPAQUE_DATA_TYPE {

    }

    /// Operation.
    Operation: OPERATION {
        Create = 0x1 "Create" [V1_0];
        CreateKeyPair = 0x2 "CreateKeyPair" [V1_0];
        Register = 0x3 "Register" [V1_0];
        ReKey = 0x4 "ReKey" [V1_0];
        DeriveKey = 0x5 "DeriveKey" [V1_0];
        Certify = 0x6 "Certify" [V1_0];
        ReCertify = 0x7 "ReCertify" [V1_0];
        Locate = 0x8 "Locate" [V1_0];
        Check = 0x9 "Check" [V1_0];
        Get = 0xa "Get" [V1_0];
        GetAttributes = 0xb "GetAttributes" [V1_0];
        GetAttributeList = 0xc "GetAttributeList" [V1_0];
        AddAttribute = 0xd "AddAttribute" [V1_0];
        ModifyAttribute = 0xe "ModifyAttribute" [V1_0];
        DeleteAttribute = 0xf "DeleteAttribute" [V1_0];
        ObtainLease = 0x10 "ObtainLease" [V1_0];
        GetUsageAllocation = 0x11 "GetUsageAllocation" [V1_0];
        Activate = 0x12 "Activate" [V1_0];
        Revoke = 0x13 "Revoke" [V1_0];
        Destroy = 0x14 "Destroy" [V1_0];
        Archive = 0x15 "Archive" [V1_0];
        Recover = 0x16 "Recover" [V1_0];
        Validate = 0x17 "Validate" [V1_0];
        Query = 0x18 "Query" [V1_0];
        Cancel = 0x19 "Cancel" [V1_0];
        Poll = 0x1a "Poll" [V1_0];
        Notify = 0x1b "Notify" [V1_0];
        Put = 0x1c "Put" [V1_0];
        ReKeyKeyPair = 0x1d "ReKeyKeyPair" [V1_1];
        DiscoverVersions = 0x1e "DiscoverVersions" [V1_1];
        Encrypt = 0x1f "Encrypt" [V1_2];
        Decrypt = 0x20 "Decrypt" [V1_2];
        Sign = 0x21 "Sign" [V1_2];
        SignatureVerify = 0x22 "SignatureVerify" [V1_2];
        Mac = 0x23 "MAC" [V1_2];
        MacVerify = 0x24 "MACVerify" [V1_2];
        RngRetrieve = 0x25 "RNGRetrieve" [V1_2];
        RngSeed = 0x26 "RNGSeed" [V1_2];
        Hash = 0x27 "Hash" [V1_2];
        CreateSplitKey = 0x28 "CreateSplitKey" [V1_2];
        JoinSplitKey = 0x29 "JoinSplitKey" [V1_2];
        Import = 0x2a "Import" [V1_4];
        Export = 0x2b "Export" [V1_4];
        Log = 0x2c "Log" [V2_0];
        Login = 0x2d "Login" [V2_0];
        Logout = 0x2e "Logout" [V2_0];
        DelegatedLogin = 0x2f "DelegatedLogin" [V2_0];
        AdjustAttribute = 0x30 "AdjustAttribute" [V2_0];
        SetAttribute = 0x31 "SetAttribute" [V2_0];
        SetEndpointRole = 0x32 "SetEndpointRole" [V2_0];
        Pkcs11 = 0x33 "PKCS_11" [V2_0];
        Interop = 0x34 "Interop" [V2_0];
        ReProvision = 0x35 "ReProvision" [V2_0];
        SetDefaults = 0x36 "SetDefaults" [V2_1];
        SetConstraints = 0x37 "SetConstraints" [V2_1];
        GetConstraints = 0x38 "GetConstraints" [V2_1];
        QueryAsynchronousRequests = 0x39 "QueryAsynchronousRequests" [V2_1];
        Process = 0x3a "Process" [V2_1];
        Ping = 0x3b "Ping" [V2_1];
    }

    /// Padding Method.
    PaddingMethod: PADDING_METHOD {
        None = 0x1 "None" [V1_0];
        Oaep = 0x2 "OAEP" [V1_0];
        Pkcs5 = 0x3 "PKCS5" [V1_0];
        Ssl3 = 0x4 "SSL3" [V1_0];
        Zeros = 0x5 "Zeros" [V1_0];
        AnsiX9_23 = 0x6 "ANSIX9_23" [V1_0];
        Iso10126 = 0x7 "ISO10126" [V1_0];
        Pkcs1V1_5 = 0x8 "PKCS1V1_5" [V1_0];
        X9_31 = 0x9 "X9_31" [V1_0];
        Pss = 0xa "PSS" [V1_0];
    }

    /// Processing Stage.
    ProcessingStage: PROCESSING_STAGE {
        Submitted = 0x1 "Submitted" [V2_1];
        InProcess = 0x2 "InProcess" [V2_1];
        Completed = 0x3 "Completed" [V2_1];
    }

    /// Profile Name.
    ProfileName: PROFILE_NAME {
        BaselineServerBasicKmipV1_2 = 0x1 "BaselineServerBasicKMIPV1_2" [V1_3, V1_4];
        BaselineServerTlsV1_2KmipV1_2 = 0x2 "BaselineServerTLSV1_2KMIPV1_2" [V1_3, V1_4];
        BaselineClientBasicKmipV1_2 = 0x3 "BaselineClientBasicKMIPV1_2" [V1_3, V1_4];
        BaselineClientTlsV1_2KmipV1_2 = 0x4 "BaselineClientTLSV1_2KMIPV1_2" [V1_3, V1_4];
        CompleteServerBasicKmipV1_2 = 0x5 "CompleteServerBasicKMIPV1_2" [V1_3, V1_4];
        CompleteServerTlsV1_2KmipV1_2 = 0x6 "CompleteServerTLSV1_2KMIPV1_2" [V1_3, V1_4];
        TapeLibraryClientKmipV1_0 = 0x7 "TapeLibraryClientKMIPV1_0" [V1_3, V1_4];
        TapeLibraryClientKmipV1_1 = 0x8 "TapeLibraryClientKMIPV1_1" [V1_3, V1_4];
        TapeLibraryClientKmipV1_2 = 0x9 "TapeLibraryClientKMIPV1_2" [V1_3, V1_4];
        TapeLibraryServerKmipV1_0 = 0xa "TapeLibraryServerKMIPV1_0" [V1_3, V1_4];
        TapeLibraryServerKmipV1_1 = 0xb "TapeLibraryServerKMIPV1_1" [V1_3, V1_4];
        TapeLibraryServerKmipV1_2 = 0xc "TapeLibraryServerKMIPV1_2" [V1_3, V1_4];
        SymmetricKeyLifecycleClientKmipV1_0 = 0xd "SymmetricKeyLifecycleClientKMIPV1_0" [V1_3, V1_4];
        SymmetricKeyLifecycleClientKmipV1_1 = 0xe "SymmetricKeyLifecycleClientKMIPV1_1" [V1_3, V1_4];
        SymmetricKeyLifecycleClientKmipV1_2 = 0xf "SymmetricKeyLifecycleClientKMIPV1_2" [V1_3, V1_4];
        SymmetricKeyLifecycleServerKmipV1_0 = 0x10 "SymmetricKeyLifecycleServerKMIPV1_0" [V1_3, V1_4];
        SymmetricKeyLifecycleServerKmipV1_1 = 0x11 "SymmetricKeyLifecycleServerKMIPV1_1" [V1_3, V1_4];
        SymmetricKeyLifecycleServerKmipV1_2 = 0x12 "SymmetricKeyLifecycleServerKMIPV1_2" [V1_3, V1_4];
        AsymmetricKeyLifecycleClientKmipV1_0 = 0x13 "AsymmetricKeyLifecycleClientKMIPV1_0" [V1_3, V1_4];
        AsymmetricKeyLifecycleClientKmipV1_1 = 0x14 "AsymmetricKeyLifecycleClientKMIPV1_1" [V1_3, V1_4];
        AsymmetricKeyLifecycleClientKmipV1_2 = 0x15 "AsymmetricKeyLifecycleClientKMIPV1_2" [V1_3, V1_4];
        AsymmetricKeyLifecycleServerKmipV1_0 = 0x16 "AsymmetricKeyLifecycleServerKMIPV1_0" [V1_3, V1_4];
        AsymmetricKeyLifecycleServerKmipV1_1 = 0x17 "AsymmetricKeyLifecycleServerKMIPV1_1" [V1_3, V1_4];
        AsymmetricKeyLifecycleServerKmipV1_2 = 0x18 "AsymmetricKeyLifecycleServerKMIPV1_2" [V1_3, V1_4];
        BasicCryptographicClientKmipV1_2 = 0x19 "BasicCryptographicClientKMIPV1_2" [V1_3, V1_4];
        BasicCryptographicServerKmipV1_2 = 0x1a "BasicCryptographicServerKMIPV1_2" [V1_3, V1_4];
        AdvancedCryptographicClientKmipV1_2 = 0x1b "AdvancedCryptographicClientKMIPV1_2" [V1_3, V1_4];
        AdvancedCryptographicServerKmipV1_2 = 0x1c "AdvancedCryptographicServerKMIPV1_2" [V1_3, V1_4];
        RngCryptographicClientKmipV1_2 = 0x1d "RNGCryptographicClientKMIPV1_2" [V1_3, V1_4];
        RngCryptographicServerKmipV1_2 = 0x1e "RNGCryptographicServerKMIPV1_2" [V1_3, V1_4];
        BasicSymmetricKeyFoundryClientKmipV1_0 = 0x1f "BasicSymmetricKeyFoundryClientKMIPV1_0" [V1_3, V1_4];
        IntermediateSymmetricKeyFoundryClientKmipV1_0 = 0x20 "IntermediateSymmetricKeyFoundryClientKMIPV1_0" [V1_3, V1_4];
        AdvancedSymmetricKeyFoundryClientKmipV1_0 = 0x21 "AdvancedSymmetricKeyFoundryClientKMIPV1_0" [V1_3, V1_4];
        BasicSymmetricKeyFoundryClientKmipV1_1 = 0x22 "BasicSymmetricKeyFoundryClientKMIPV1_1" [V1_3, V1_4];
        IntermediateSymmetricKeyFoundryClientKmipV1_1 = 0x23 "IntermediateSymmetricKeyFoundryClientKMIPV1_1" [V1_3, V1_4];
        AdvancedSymmetricKeyFoundryClientKmipV1_1 = 0x24 "AdvancedSymmetricKeyFoundryClientKMIPV1_1" [V1_3, V1_4];
        BasicSymmetricKeyFoundryClientKmipV1_2 = 0x25 "BasicSymmetricKeyFoundryClientKMIPV1_2" [V1_3, V1_4];
        IntermediateSymmetricKeyFoundryClientKmipV1_2 = 0x26 "IntermediateSymmetricKeyFoundryClientKMIPV1_2" [V1_3, V1_4];
        AdvancedSymmetricKeyFoundryClientKmipV1_2 = 0x27 "AdvancedSymmetricKeyFoundryClientKMIPV1_2" [V1_3, V1_4];
        SymmetricKeyFoundryServerKmipV1_0 = 0x28 "SymmetricKeyFoundryServerKMIPV1_0" [V1_3, V1_4];
        SymmetricKeyFoundryServerKmipV1_1 = 0x29 "SymmetricKeyFoundryServerKMIPV1_1" [V1_3, V1_4];
        SymmetricKeyFoundryServerKmipV1_2 = 0x2a "SymmetricKeyFoundryServerKMIPV1_2" [V1_3, V1_4];
        OpaqueManagedObjectStoreClientKmipV1_0 = 0x2b "OpaqueManagedObjectStoreClientKMIPV1_0" [V1_3, V1_4];
        OpaqueManagedObjectStoreClientKmipV1_1 = 0x2c "OpaqueManagedObjectStoreClientKMIPV1_1" [V1_3, V1_4];
        OpaqueManagedObjectStoreClientKmipV1_2 = 0x2d "OpaqueManagedObjectStoreClientKMIPV1_2" [V1_3, V1_4];
        OpaqueManagedObjectStoreServerKmipV1_0 = 0x2e "OpaqueManagedObjectStoreServerKMIPV1_0" [V1_3, V1_4];
        OpaqueManagedObjectStoreServerKmipV1_1 = 0x2f "OpaqueManagedObjectStoreServerKMIPV1_1" [V1_3, V1_4];
        OpaqueManagedObjectStoreServerKmipV1_2 = 0x30 "OpaqueManagedObjectStoreServerKMIPV1_2" [V1_3, V1_4];
        SuiteBMinLos128ClientKmipV1_0 = 0x31 "SuiteBMinLOS_128ClientKMIPV1_0" [V1_3, V1_4];
        SuiteBMinLos128ClientKmipV1_1 = 0x32 "SuiteBMinLOS_128ClientKMIPV1_1" [V1_3, V1_4];
        SuiteBMinLos128ClientKmipV1_2 = 0x33 "SuiteBMinLOS_128ClientKMIPV1_2" [V1_3, V1_4];
        SuiteBMinLos128ServerKmipV1_0 = 0x34 "SuiteBMinLOS_128ServerKMIPV1_0" [V1_3, V1_4];
        SuiteBMinLos128ServerKmipV1_1 = 0x35 "SuiteBMinLOS_128ServerKMIPV1_1" [V1_3, V1_4];
        SuiteBMinLos128ServerKmipV1_2 = 0x36 "SuiteBMinLOS_128ServerKMIPV1_2" [V1_3, V1_4];
        SuiteBMinLos192ClientKmipV1_0 = 0x37 "SuiteBMinLOS_192ClientKMIPV1_0" [V1_3, V1_4];
        SuiteBMinLos192ClientKmipV1_1 = 0x38 "SuiteBMinLOS_192ClientKMIPV1_1" [V1_3, V1_4];
        SuiteBMinLos192ClientKmipV1_2 = 0x39 "SuiteBMinLOS_192ClientKMIPV1_2" [V1_3, V1_4];
        SuiteBMinLos192ServerKmipV1_0 = 0x3a "SuiteBMinLOS_192ServerKMIPV1_0" [V1_3, V1_4];
        SuiteBMinLos192ServerKmipV1_1 = 0x3b "SuiteBMinLOS_192ServerKMIPV1_1" [V1_3, V1_4];
        SuiteBMinLos192ServerKmipV1_2 = 0x3c "SuiteBMinLOS_192ServerKMIPV1_2" [V1_3, V1_4];
        StorageArrayWithSelfEncryptingDriveClientKmipV1_0 = 0x3d "StorageArrayWithSelfEncryptingDriveClientKMIPV1_0" [V1_3, V1_4];
        StorageArrayWithSelfEncryptingDriveClientKmipV1_1 = 0x3e "StorageArrayWithSelfEncryptingDriveClientKMIPV1_1" [V1_3, V1_4];
        StorageArrayWithSelfEncryptingDriveClientKmipV1_2 = 0x3f "StorageArrayWithSelfEncryptingDriveClientKMIPV1_2" [V1_3, V1_4];
        StorageArrayWithSelfEncryptingDriveServerKmipV1_0 = 0x40 "StorageArrayWithSelfEncryptingDriveServerKMIPV1_0" [V1_3, V1_4];
        StorageArrayWithSelfEncryptingDriveServerKmipV1_1 = 0x41 "StorageArrayWithSelfEncryptingDriveServerKMIPV1_1" [V1_3, V1_4];
        StorageArrayWithSelfEncryptingDriveServerKmipV1_2 = 0x42 "StorageArrayWithSelfEncryptingDriveServerKMIPV1_2" [V1_3, V1_4];
        HttpsClientKmipV1_0 = 0x43 "HTTPSClientKMIPV1_0" [V1_3, V1_4];
        HttpsClientKmipV1_1 = 0x44 "HTTPSClientKMIPV1_1" [V1_3, V1_4];
        HttpsClientKmipV1_2 = 0x45 "HTTPSClientKMIPV1_2" [V1_3, V1_4];
        HttpsServerKmipV1_0 = 0x46 "HTTPSServerKMIPV1_0" [V1_3, V1_4];
        HttpsServerKmipV1_1 = 0x47 "HTTPSServerKMIPV1_1" [V1_3, V1_4];
        HttpsServerKmipV1_2 = 0x48 "HTTPSServerKMIPV1_2" [V1_3, V1_4];
        JsonClientKmipV1_0 = 0x49 "JSONClientKMIPV1_0" [V1_3, V1_4];
        JsonClientKmipV1_1 = 0x4a "JSONClientKMIPV1_1" [V1_3, V1_4];
        JsonClientKmipV1_2 = 0x4b "JSONClientKMIPV1_2" [V1_3, V1_4];
        JsonServerKmipV1_0 = 0x4c "JSONServerKMIPV1_0" [V1_3, V1_4];
        JsonServerKmipV1_1 = 0x4d "JSONServerKMIPV1_1" [V1_3, V1_4];
        JsonServerKmipV1_2 = 0x4e "JSONServerKMIPV1_2" [V1_3, V1_4];
        XmlClientKmipV1_0 = 0x4f "XMLClientKMIPV1_0" [V1_3, V1_4];
        XmlClientKmipV1_1 = 0x50 "XMLClientKMIPV1_1" [V1_3, V1_4];
        XmlClientKmipV1_2 = 0x51 "XMLClientKMIPV1_2" [V1_3, V1_4];
        XmlServerKmipV1_0 = 0x52 "XMLServerKMIPV1_0" [V1_3, V1_4];
        XmlServerKmipV1_1 = 0x53 "XMLServerKMIPV1_1" [V1_3, V1_4];
        XmlServerKmipV1_2 = 0x54 "XMLServerKMIPV1_2" [V1_3, V1_4];
        BaselineServerBasicKmipV1_3 = 0x55 "BaselineServerBasicKMIPV1_3" [V1_3, V1_4];
        BaselineServerTlsV1_2KmipV1_3 = 0x56 "BaselineServerTLSV1_2KMIPV1_3" [V1_3, V1_4];
        BaselineClientBasicKmipV1_3 = 0x57 "BaselineClientBasicKMIPV1_3" [V1_3, V1_4];
        BaselineClientTlsV1_2KmipV1_3 = 0x58 "BaselineClientTLSV1_2KMIPV1_3" [V1_3, V1_4];
        CompleteServerBasicKmipV1_3 = 0x59 "CompleteServerBasicKMIPV1_3" [V1_3, V1_4];
        CompleteServerTlsV1_2KmipV1_3 = 0x5a "CompleteServerTLSV1_2KMIPV1_3" [V1_3, V1_4];
        TapeLibraryClientKmipV1_3 = 0x5b "TapeLibraryClientKMIPV1_3" [V1_3, V1_4];
        TapeLibraryServerKmipV1_3 = 0x5c "TapeLibraryServerKMIPV1_3" [V1_3, V1_4];
        SymmetricKeyLifecycleClientKmipV1_3 = 0x5d "SymmetricKeyLifecycleClientKMIPV1_3" [V1_3, V1_4];
        SymmetricKeyLifecycleServerKmipV1_3 = 0x5e "SymmetricKeyLifecycleServerKMIPV1_3" [V1_3, V1_4];
        AsymmetricKeyLifecycleClientKmipV1_3 = 0x5f "AsymmetricKeyLifecycleClientKMIPV1_3" [V1_3, V1_4];
        AsymmetricKeyLifecycleServerKmipV1_3 = 0x60 "AsymmetricKeyLifecycleServerKMIPV1_3" [V1_3, V1_4];
        BasicCryptographicClientKmipV1_3 = 0x61 "BasicCryptographicClientKMIPV1_3" [V1_3, V1_4];
        BasicCryptographicServerKmipV1_3 = 0x62 "BasicCryptographicServerKMIPV1_3" [V1_3, V1_4];
        AdvancedCryptographicClientKmipV1_3 = 0x63 "AdvancedCryptographicClientKMIPV1_3" [V1_3, V1_4];
        AdvancedCryptographicServerKmipV1_3 = 0x64 "AdvancedCryptographicServerKMIPV1_3" [V1_3, V1_4];
        RngCryptographicClientKmipV1_3 = 0x65 "RNGCryptographicClientKMIPV1_3" [V1_3, V1_4];
        RngCryptographicServerKmipV1_3 = 0x66 "RNGCryptographicServerKMIPV1_3" [V1_3, V1_4];
        BasicSymmetricKeyFoundryClientKmipV1_3 = 0x67 "BasicSymmetricKeyFoundryClientKMIPV1_3" [V1_3, V1_4];
        IntermediateSymmetricKeyFoundryClientKmipV1_3 = 0x68 "IntermediateSymmetricKeyFoundryClientKMIPV1_3" [V1_3, V1_4];
        AdvancedSymmetricKeyFoundryClientKmipV1_3 = 0x69 "AdvancedSymmetricKeyFoundryClientKMIPV1_3" [V1_3, V1_4];
        SymmetricKeyFoundryServerKmipV1_3 = 0x6a "SymmetricKeyFoundryServerKMIPV1_3" [V1_3, V1_4];
        OpaqueManagedObjectStoreClientKmipV1_3 = 0x6b "OpaqueManagedObjectStoreClientKMIPV1_3" [V1_3, V1_4];
        OpaqueManagedObjectStoreServerKmipV1_3 = 0x6c "OpaqueManagedObjectStoreServerKMIPV1_3" [V1_3, V1_4];
        SuiteBMinLos128ClientKmipV1_3 = 0x6d "SuiteBMinLOS_128ClientKMIPV1_3" [V1_3, V1_4];
        SuiteBMinLos128ServerKmipV1_3 = 0x6e "SuiteBMinLOS_128ServerKMIPV1_3" [V1_3, V1_4];
        SuiteBMinLos192ClientKmipV1_3 = 0x6f "SuiteBMinLOS_192ClientKMIPV1_3" [V1_3, V1_4];
        SuiteBMinLos192ServerKmipV1_3 = 0x70 "SuiteBMinLOS_192ServerKMIPV1_3" [V1_3, V1_4];
        StorageArrayWithSelfEncryptingDriveClientKmipV1_3 = 0x71 "StorageArrayWithSelfEncryptingDriveClientKMIPV1_3" [V1_3, V1_4];
        StorageArrayWithSelfEncryptingDriveServerKmipV1_3 = 0x72 "StorageArrayWithSelfEncryptingDriveServerKMIPV1_3" [V1_3, V1_4];
        HttpsClientKmipV1_3 = 0x73 "HTTPSClientKMIPV1_3" [V1_3, V1_4];
        HttpsServerKmipV1_3 = 0x74 "HTTPSServerKMIPV1_3" [V1_3, V1_4];
        JsonClientKmipV1_3 = 0x75 "JSONClientKMIPV1_3" [V1_3, V1_4];
        JsonServerKmipV1_3 = 0x76 "JSONServerKMIPV1_3" [V1_3, V1_4];
        XmlClientKmipV1_3 = 0x77 "XMLClientKMIPV1_3" [V1_3, V1_4];
        XmlServerKmipV1_3 = 0x78 "XMLServerKMIPV1_3" [V1_3, V1_4];
        BaselineServerBasicKmipV1_4 = 0x79 "BaselineServerBasicKMIPV1_4" [V1_4, V1_4];
        BaselineServerTlsV1_2KmipV1_4 = 0x7a "BaselineServerTLSV1_2KMIPV1_4" [V1_4, V1_4];
        BaselineClientBasicKmipV1_4 = 0x7b "BaselineClientBasicKMIPV1_4" [V1_4, V1_4];
        BaselineClientTlsV1_2KmipV1_4 = 0x7c "BaselineClientTLSV1_2KMIPV1_4" [V1_4, V1_4];
        CompleteServerBasicKmipV1_4 = 0x7d "CompleteServerBasicKMIPV1_4" [V1_4, V1_4];
        CompleteServerTlsV1_2KmipV1_4 = 0x7e "CompleteServerTLSV1_2KMIPV1_4" [V1_4, V1_4];
        TapeLibraryClientKmipV1_4 = 0x7f "TapeLibraryClientKMIPV1_4" [V1_4, V1_4];
        TapeLibraryServerKmipV1_4 = 0x80 "TapeLibraryServerKMIPV1_4" [V1_4, V1_4];
        SymmetricKeyLifecycleClientKmipV1_4 = 0x81 "SymmetricKeyLifecycleClientKMIPV1_4" [V1_4, V1_4];
        SymmetricKeyLifecycleServerKmipV1_4 = 0x82 "SymmetricKeyLifecycleServerKMIPV1_4" [V1_4, V1_4];
        AsymmetricKeyLifecycleClientKmipV1_4 = 0x83 "AsymmetricKeyLifecycleClientKMIPV1_4" [V1_4, V1_4];
        AsymmetricKeyLifecycleServerKmipV1_4 = 0x84 "AsymmetricKeyLifecycleServerKMIPV1_4" [V1_4, V1_4];
        BasicCryptographicClientKmipV1_4 = 0x85 "BasicCryptographicClientKMIPV1_4" [V1_4, V1_4];
        BasicCryptographicServerKmipV1_4 = 0x86 "BasicCryptographicServerKMIPV1_4" [V1_4, V1_4];
        AdvancedCryptographicClientKmipV1_4 = 0x87 "AdvancedCryptographicClientKMIPV1_4" [V1_4, V1_4];
        AdvancedCryptographicServerKmipV1_4 = 0x88 "AdvancedCryptographicServerKMIPV1_4" [V1_4, V1_4];
        RngCryptographicClientKmipV1_4 = 0x89 "RNGCryptographicClientKMIPV1_4" [V1_4, V1_4];
        RngCryptographicServerKmipV1_4 = 0x8a "RNGCryptographicServerKMIPV1_4" [V1_4, V1_4];
        BasicSymmetricKeyFoundryClientKmipV1_4 = 0x8b "BasicSymmetricKeyFoundryClientKMIPV1_4" [V1_4, V1_4];
        IntermediateSymmetricKeyFoundryClientKmipV1_4 = 0x8c "IntermediateSymmetricKeyFoundryClientKMIPV1_4" [V1_4, V1_4];
        AdvancedSymmetricKeyFoundryClientKmipV1_4 = 0x8d "AdvancedSymmetricKeyFoundryClientKMIPV1_4" [V1_4, V1_4];
        SymmetricKeyFoundryServerKmipV1_4 = 0x8e "SymmetricKeyFoundryServerKMIPV1_4" [V1_4, V1_4];
        OpaqueManagedObjectStoreClientKmipV1_4 = 0x8f "OpaqueManagedObjectStoreClientKMIPV1_4" [V1_4, V1_4];
        OpaqueManagedObjectStoreServerKmipV1_4 = 0x90 "OpaqueManagedObjectStoreServerKMIPV1_4" [V1_4, V1_4];
        SuiteBMinLos128ClientKmipV1_4 = 0x91 "SuiteBMinLOS_128ClientKMIPV1_4" [V1_4, V1_4];
        SuiteBMinLos128ServerKmipV1_4 = 0x92 "SuiteBMinLOS_128ServerKMIPV1_4" [V1_4, V1_4];
        SuiteBMinLos192ClientKmipV1_4 = 0x93 "SuiteBMinLOS_192ClientKMIPV1_4" [V1_4, V1_4];
        SuiteBMinLos192ServerKmipV1_4 = 0x94 "SuiteBMinLOS_192ServerKMIPV1_4" [V1_4, V1_4];
        StorageArrayWithSelfEncryptingDriveClientKmipV1_4 = 0x95 "StorageArrayWithSelfEncryptingDriveClientKMIPV1_4" [V1_4, V1_4];
        StorageArrayWithSelfEncryptingDriveServerKmipV1_4 = 0x96 "StorageArrayWithSelfEncryptingDriveServerKMIPV1_4" [V1_4, V1_4];
        HttpsClientKmipV1_4 = 0x97 "HTTPSClientKMIPV1_4" [V1_4, V1_4];
        HttpsServerKmipV1_4 = 0x98 "HTTPSServerKMIPV1_4" [V1_4, V1_4];
        JsonClientKmipV1_4 = 0x99 "JSONClientKMIPV1_4" [V1_4, V1_4];
        JsonServerKmipV1_4 = 0x9a "JSONServerKMIPV1_4" [V1_4, V1_4];
        XmlClientKmipV1_4 = 0x9b "XMLClientKMIPV1_4" [V1_4, V1_4];
        XmlServerKmipV1_4 = 0x9c "XMLServerKMIPV1_4" [V1_4, V1_4];
        CompleteServerBasic = 0x104 "CompleteServerBasic" [V2_0];
        CompleteServerTlsV1_2 = 0x105 "CompleteServerTLSV1_2" [V2_0];
        TapeLibraryClient = 0x106 "TapeLibraryClient" [V2_0];
        TapeLibraryServer = 0x107 "TapeLibraryServer" [V2_0];
        SymmetricKeyLifecycleClient = 0x108 "SymmetricKeyLifecycleClient" [V2_0];
        SymmetricKeyLifecycleServer = 0x109 "SymmetricKeyLifecycleServer" [V2_0];
        AsymmetricKeyLifecycleClient = 0x10a "AsymmetricKeyLifecycleClient" [V2_0];
        AsymmetricKeyLifecycleServer = 0x10b "AsymmetricKeyLifecycleServer" [V2_0];
        BasicCryptographicClient = 0x10c "BasicCryptographicClient" [V2_0];
        BasicCryptographicServer = 0x10d "BasicCryptographicServer" [V2_0];
        AdvancedCryptographicClient = 0x10e "AdvancedCryptographicClient" [V2_0];
        AdvancedCryptographicServer = 0x10f "AdvancedCryptographicServer" [V2_0];
        RngCryptographicClient = 0x110 "RNGCryptographicClient" [V2_0];
        RngCryptographicServer = 0x111 "RNGCryptographicServer" [V2_0];
        BasicSymmetricKeyFoundryClient = 0x112 "BasicSymmetricKeyFoundryClient" [V2_0];
        IntermediateSymmetricKeyFoundryClient = 0x113 "IntermediateSymmetricKeyFoundryClient" [V2_0];
        AdvancedSymmetricKeyFoundryClient = 0x114 "AdvancedSymmetricKeyFoundryClient" [V2_0];
        SymmetricKeyFoundryServer = 0x115 "SymmetricKeyFoundryServer" [V2_0];
        OpaqueManagedObjectStoreClient = 0x116 "OpaqueManagedObjectStoreClient" [V2_0];
        OpaqueManagedObjectStoreServer = 0x117 "OpaqueManagedObjectStoreServer" [V2_0];
        StorageArrayWithSelfEncryptingDriveClient = 0x11c "StorageArrayWithSelfEncryptingDriveClient" [V2_0];
        StorageArrayWithSelfEncryptingDriveServer = 0x11d "StorageArrayWithSelfEncryptingDriveServer" [V2_0];
        HttpsClient = 0x11e "HTTPSClient" [V2_0];
        HttpsServer = 0x11f "HTTPSServer" [V2_0];
        JsonClient = 0x120 "JSONClient" [V2_0];
        JsonServer = 0x121 "JSONServer" [V2_0];
        XmlClient = 0x122 "XMLClient" [V2_0];
        XmlServer = 0x123 "XMLServer" [V2_0];
        AesXtsClient = 0x124 "AESXTSClient" [V2_0];
        AesXtsServer = 0x125 "AESXTSServer" [V2_0];
        QuantumSafeClient = 0x126 "QuantumSafeClient" [V2_0];
        QuantumSafeServer = 0x127 "QuantumSafeServer" [V2_0];
        Pkcs11Client = 0x128 "PKCS_11Client" [V2_0];
        Pkcs11Server = 0x129 "PKCS_11Server" [V2_0];
        BaselineClient = 0x12a "BaselineClient" [V2_0];
        BaselineServer = 0x12b "BaselineServer" [V2_0];
        CompleteServer = 0x12c "CompleteServer" [V2_0];
    }

    /// Protection Level.
    ProtectionLevel: PROTECTION_LEVEL {
        High = 0x1 "High" [V2_0];
        Low = 0x2 "Low" [V2_0];
    }

    /// Put Function.
    PutFunction: PUT_FUNCTION {
        New = 0x1 "New" [V1_0];
        Replace = 0x2 "Replace" [V1_0];
    }

    /// Query Function.
    QueryFunction: QUERY_FUNCTION {
        QueryOperations = 0x1 "QueryOperations" [V1_0];
        QueryObjects = 0x2 "QueryObjects" [V1_0];
        QueryServerInformation = 0x3 "QueryServerInformation" [V1_0];
        QueryApplicationNamespaces = 0x4 "QueryApplicationNamespaces" [V1_0];
        QueryExtensionList = 0x5 "QueryExtensionList" [V1_1];
        QueryExtensionMap = 0x6 "QueryExtensionMap" [V1_1];
        QueryAttestationTypes = 0x7 "QueryAttestationTypes" [V1_2];
        QueryRnGs = 0x8 "QueryRNGs" [V1_3];
        QueryValidations = 0x9 "QueryValidations" [V1_3];
        QueryProfiles = 0xa "QueryProfiles" [V1_3];
        QueryCapabilities = 0xb "QueryCapabilities" [V1_3];
        QueryClientRegistrationMethods = 0xc "QueryClientRegistrationMethods" [V1_3];
        QueryDefaultsInformation = 0xd "QueryDefaultsInformation" [V2_0];
        QueryStorageProtectionMasks = 0xe "QueryStorageProtectionMasks" [V2_0];
    }

    /// RNG Algorithm.
    RngAlgorithm: RNG_ALGORITHM {
        Unspecified = 0x1 "Unspecified" [V1_3];
        Fips186_2 = 0x2 "FIPS186_2" [V1_3];
        Drbg = 0x3 "DRBG" [V1_3];
        Nrbg = 0x4 "NRBG" [V1_3];
        AnsiX9_31 = 0x5 "ANSIX9_31" [V1_3];
        AnsiX9_62 = 0x6 "ANSIX9_62" [V1_3];
    }

    /// RNG Mode.
    RngMode: RNG_MODE {
        Unspecified = 0x1 "Unspecified" [V1_3];
        SharedInstantiation = 0x2 "SharedInstantiation" [V1_3];
        NonSharedInstantiation = 0x3 "NonSharedInstantiation" [V1_3];
    }

    /// Recommended Curve.
    RecommendedCurve: RECOMMENDED_CURVE {
        P192 = 0x1 "P_192" [V1_0];
        K163 = 0x2 "K_163" [V1_0];
        B163 = 0x3 "B_163" [V1_0];
        P224 = 0x4 "P_224" [V1_0];
        K233 = 0x5 "K_233" [V1_0];
        B233 = 0x6 "B_233" [V1_0];
        P256 = 0x7 "P_256" [V1_0];
        K283 = 0x8 "K_283" [V1_0];
        B283 = 0x9 "B_283" [V1_0];
        P384 = 0xa "P_384" [V1_0];
        K409 = 0xb "K_409" [V1_0];
        B409 = 0xc "B_409" [V1_0];
        P521 = 0xd "P_521" [V1_0];
        K571 = 0xe "K_571" [V1_0];
        B571 = 0xf "B_571" [V1_0];
        Secp112R1 = 0x10 "SECP112R1" [V1_2];
        Secp112R2 = 0x11 "SECP112R2" [V1_2];
        Secp128R1 = 0x12 "SECP128R1" [V1_2];
        Secp128R2 = 0x13 "SECP128R2" [V1_2];
        Secp160K1 = 0x14 "SECP160K1" [V1_2];
        Secp160R1 = 0x15 "SECP160R1" [V1_2];
        Secp160R2 = 0x16 "SECP160R2" [V1_2];
        Secp192K1 = 0x17 "SECP192K1" [V1_2];
        Secp224K1 = 0x18 "SECP224K1" [V1_2];
        Secp256K1 = 0x19 "SECP256K1" [V1_2];
        Sect113R1 = 0x1a "SECT113R1" [V1_2];
        Sect113R2 = 0x1b "SECT113R2" [V1_2];
        Sect131R1 = 0x1c "SECT131R1" [V1_2];
        Sect131R2 = 0x1d "SECT131R2" [V1_2];
        Sect163R1 = 0x1e "SECT163R1" [V1_2];
        Sect193R1 = 0x1f "SECT193R1" [V1_2];
        Sect193R2 = 0x20 "SECT193R2" [V1_2];
        Sect239K1 = 0x21 "SECT239K1" [V1_2];
        Ansix9P192V2 = 0x22 "ANSIX9P192V2" [V1_2];
        Ansix9P192V3 = 0x23 "ANSIX9P192V3" [V1_2];
        Ansix9P239V1 = 0x24 "ANSIX9P239V1" [V1_2];
        Ansix9P239V2 = 0x25 "ANSIX9P239V2" [V1_2];
        Ansix9P239V3 = 0x26 "ANSIX9P239V3" [V1_2];
        Ansix9C2Pnb163V1 = 0x27 "ANSIX9C2PNB163V1" [V1_2];
        Ansix9C2Pnb163V2 = 0x28 "ANSIX9C2PNB163V2" [V1_2];
        Ansix9C2Pnb163V3 = 0x29 "ANSIX9C2PNB163V3" [V1_2];
        Ansix9C2Pnb176V1 = 0x2a "ANSIX9C2PNB176V1" [V1_2];
        Ansix9C2Tnb191V1 = 0x2b "ANSIX9C2TNB191V1" [V1_2];
        Ansix9C2Tnb191V2 = 0x2c "ANSIX9C2TNB191V2" [V1_2];
        Ansix9C2Tnb191V3 = 0x2d "ANSIX9C2TNB191V3" [V1_2];
        Ansix9C2Pnb208W1 = 0x2e "ANSIX9C2PNB208W1" [V1_2];
        Ansix9C2Tnb239V1 = 0x2f "ANSIX9C2TNB239V1" [V1_2];
        Ansix9C2Tnb239V2 = 0x30 "ANSIX9C2TNB239V2" [V1_2];
        Ansix9C2Tnb239V3 = 0x31 "ANSIX9C2TNB239V3" [V1_2];
        Ansix9C2Pnb272W1 = 0x32 "ANSIX9C2PNB272W1" [V1_2];
        Ansix9C2Pnb304W1 = 0x33 "ANSIX9C2PNB304W1" [V1_2];
        Ansix9C2Tnb359V1 = 0x34 "ANSIX9C2TNB359V1" [V1_2];
        Ansix9C2Pnb368W1 = 0x35 "ANSIX9C2PNB368W1" [V1_2];
        Ansix9C2Tnb431R1 = 0x36 "ANSIX9C2TNB431R1" [V1_2];
        Brainpoolp160R1 = 0x37 "BRAINPOOLP160R1" [V1_2];
        Brainpoolp160T1 = 0x38 "BRAINPOOLP160T1" [V1_2];
        Brainpoolp192R1 = 0x39 "BRAINPOOLP192R1" [V1_2];
        Brainpoolp192T1 = 0x3a "BRAINPOOLP192T1" [V1_2];
        Brainpoolp224R1 = 0x3b "BRAINPOOLP224R1" [V1_2];
        Brainpoolp224T1 = 0x3c "BRAINPOOLP224T1" [V1_2];
        Brainpoolp256R1 = 0x3d "BRAINPOOLP256R1" [V1_2];
        Brainpoolp256T1 = 0x3e "BRAINPOOLP256T1" [V1_2];
        Brainpoolp320R1 = 0x3f "BRAINPOOLP320R1" [V1_2];
        Brainpoolp320T1 = 0x40 "BRAINPOOLP320T1" [V1_2];
        Brainpoolp384R1 = 0x41 "BRAINPOOLP384R1" [V1_2];
        Brainpoolp384T1 = 0x42 "BRAINPOOLP384T1" [V1_2];
        Brainpoolp512R1 = 0x43 "BRAINPOOLP512R1" [V1_2];
        Brainpoolp512T1 = 0x44 "BRAINPOOLP512T1" [V1_2];
        Curve25519 = 0x45 "CURVE25519" [V2_0];
        Curve448 = 0x46 "CURVE448" [V2_0];
    }

    /// Result Reason.
    ResultReason: RESULT_REASON {
        ItemNotFound = 0x1 "ItemNotFound" [V1_0];
        ResponseTooLarge = 0x2 "ResponseTooLarge" [V1_0];
        AuthenticationNotSuccessful = 0x3 "AuthenticationNotSuccessful" [V1_0];
        InvalidMessage = 0x4 "InvalidMessage" [V1_0];
        OperationNotSupported = 0x5 "OperationNotSupported" [V1_0];
        MissingData = 0x6 "MissingData" [V1_0];
        InvalidField = 0x7 "InvalidField" [V1_0];
        FeatureNotSupported = 0x8 "FeatureNotSupported" [V1_0];
        OperationCanceledByRequester = 0x9 "OperationCanceledByRequester" [V1_0];
        CryptographicFailure = 0xa "CryptographicFailure" [V1_0];
        IllegalOperation = 0xb "IllegalOperation" [V1_0, V1_4];
        PermissionDenied = 0xc "PermissionDenied" [V1_0];
        ObjectArchived = 0xd "ObjectArchived" [V1_0];
        IndexOutOfBounds = 0xe "IndexOutOfBounds" [V1_0, V1_4];
        ApplicationNamespaceNotSupported = 0xf "ApplicationNamespaceNotSupported" [V1_0];
        KeyFormatTypeNotSupported = 0x10 "KeyFormatTypeNotSupported" [V1_0];
        KeyCompressionTypeNotSupported = 0x11 "KeyCompressionTypeNotSupported" [V1_0];
        EncodingOptionError = 0x12 "EncodingOptionError" [V1_1];
        KeyValueNotPresent = 0x13 "KeyValueNotPresent" [V1_2];
        AttestationRequired = 0x14 "AttestationRequired" [V1_2];
        AttestationFailed = 0x15 "AttestationFailed" [V1_2];
        Sensitive = 0x16 "Sensitive" [V1_4];
        NotExtractable = 0x17 "NotExtractable" [V1_4];
        ObjectAlreadyExists = 0x18 "ObjectAlreadyExists" [V1_4];
        InvalidTicket = 0x19 "InvalidTicket" [V2_0];
        UsageLimitExceeded = 0x1a "UsageLimitExceeded" [V2_0];
        NumericRange = 0x1b "NumericRange" [V2_0];
        InvalidDataType = 0x1c "InvalidDataType" [V2_0];
        ReadOnlyAttribute = 0x1d "ReadOnlyAttribute" [V2_0];
        MultiValuedAttribute = 0x1e "MultiValuedAttribute" [V2_0];
        UnsupportedAttribute = 0x1f "UnsupportedAttribute" [V2_0];
        AttributeInstanceNotFound = 0x20 "AttributeInstanceNotFound" [V2_0];
        AttributeNotFound = 0x21 "AttributeNotFound" [V2_0];
        AttributeReadOnly = 0x22 "AttributeReadOnly" [V2_0];
        AttributeSingleValued = 0x23 "AttributeSingleValued" [V2_0];
        BadCryptographicParameters = 0x24 "BadCryptographicParameters" [V2_0];
        BadPassword = 0x25 "BadPassword" [V2_0];
        CodecError = 0x26 "CodecError" [V2_0];
        IllegalObjectType = 0x28 "IllegalObjectType" [V2_0];
        IncompatibleCryptographicUsageMask = 0x29 "IncompatibleCryptographicUsageMask" [V2_0];
        InternalServerError = 0x2a "InternalServerError" [V2_0];
        InvalidAsynchronousCorrelationValue = 0x2b "InvalidAsynchronousCorrelationValue" [V2_0];
        InvalidAttribute = 0x2c "InvalidAttribute" [V2_0];
        InvalidAttributeValue = 0x2d "InvalidAttributeValue" [V2_0];
        InvalidCorrelationValue = 0x2e "InvalidCorrelationValue" [V2_0];
        InvalidCsr = 0x2f "InvalidCSR" [V2_0];
        InvalidObjectType = 0x30 "InvalidObjectType" [V2_0];
        KeyWrapTypeNotSupported = 0x32 "KeyWrapTypeNotSupported" [V2_0];
        MissingInitializationVector = 0x34 "MissingInitializationVector" [V2_0];
        NonUniqueNameAttribute = 0x35 "NonUniqueNameAttribute" [V2_0];
        ObjectDestroyed = 0x36 "ObjectDestroyed" [V2_0];
        ObjectNotFound = 0x37 "ObjectNotFound" [V2_0];
        NotAuthorised = 0x39 "NotAuthorised" [V2_0];
        ServerLimitExceeded = 0x3a "ServerLimitExceeded" [V2_0];
        UnknownEnumeration = 0x3b "UnknownEnumeration" [V2_0];
        UnknownMessageExtension = 0x3c "UnknownMessageExtension" [V2_0];
        UnknownTag = 0x3d "UnknownTag" [V2_0];
        UnsupportedCryptographicParameters = 0x3e "UnsupportedCryptographicParameters" [V2_0];
        UnsupportedProtocolVersion = 0x3f "UnsupportedProtocolVersion" [V2_0];
        WrappingObjectArchived = 0x40 "WrappingObjectArchived" [V2_0];
        WrappingObjectDestroyed = 0x41 "WrappingObjectDestroyed" [V2_0];
        WrappingObjectNotFound = 0x42 "WrappingObjectNotFound" [V2_0];
        WrongKeyLifecycleState = 0x43 "WrongKeyLifecycleState" [V2_0];
        ProtectionStorageUnavailable = 0x44 "ProtectionStorageUnavailable" [V2_0];
        Pkcs11CodecError = 0x45 "PKCS_11CodecError" [V2_0];
        Pkcs11InvalidFunction = 0x46 "PKCS_11InvalidFunction" [V2_0];
        Pkcs11InvalidInterface = 0x47 "PKCS_11InvalidInterface" [V2_0];
        PrivateProtectionStorageUnavailable = 0x48 "PrivateProtectionStorageUnavailable" [V2_0];
        PublicProtectionStorageUnavailable = 0x49 "PublicProtectionStorageUnavailable" [V2_0];
        UnknownObjectGroup = 0x4a "UnknownObjectGroup" [V2_1];
        ConstraintViolation = 0x4b "ConstraintViolation" [V2_1];
        DuplicateProcessRequest = 0x4c "DuplicateProcessRequest" [V2_1];
        GeneralFailure = 0x100 "GeneralFailure" [V1_0];
    }

    /// Result Status.
    ResultStatus: RESULT_STATUS {
        Success = 0x0 "Success" [V1_0];
        OperationFailed = 0x1 "OperationFailed" [V1_0];
        OperationPending = 0x2 "OperationPending" [V1_0];
        OperationUndone = 0x3 "OperationUndone" [V1_0];
    }

    /// Revocation Reason Code.
    RevocationReasonCode: REVOCATION_REASON_CODE {
        Unspecified = 0x1 "Unspecified" [V1_0];
        KeyCompromise = 0x2 "KeyCompromise" [V1_0];
        CaCompromise = 0x3 "CACompromise" [V1_0];
        AffiliationChanged = 0x4 "AffiliationChanged" [V1_0];
        Superseded = 0x5 "Superseded" [V1_0];
        CessationOfOperation = 0x6 "CessationOfOperation" [V1_0];
        PrivilegeWithdrawn = 0x7 "PrivilegeWithdrawn" [V1_0];
    }

    /// Rotate Name Type.
    RotateNameType: ROTATE_NAME_TYPE {
        UninterpretedTextString = 0x1 "UninterpretedTextString" [V2_1];
        Uri = 0x2 "URI" [V2_1];
    }

    /// Secret Data Type.
    SecretDataType: SECRET_DATA_TYPE {
        Password = 0x1 "Password" [V1_0];
        Seed = 0x2 "Seed" [V1_0];
    }

    /// Shredding Algorithm.
    ShreddingAlgorithm: SHREDDING_ALGORITHM {
        Unspecified = 0x1 "Unspecified" [V1_3];
        Cryptographic = 0x2 "Cryptographic" [V1_3];
        Unsupported = 0x3 "Unsupported" [V1_3];
    }

    /// Split Key Method.
    SplitKeyMethod: SPLIT_KEY_METHOD {
        Xor = 0x1 "XOR" [V1_0];
        PolynomialSharingGf2_16 = 0x2 "PolynomialSharingGF2_16" [V1_0];
        PolynomialSharingPrimeField = 0x3 "PolynomialSharingPrimeField" [V1_0];
        PolynomialSharingGf2_8 = 0x4 "PolynomialSharingGF2_8" [V1_2];
    }

    /// State.
    State: STATE {
        PreActive = 0x1 "PreActive" [V1_0];
        Active = 0x2 "Active" [V1_0];
        Deactivated = 0x3 "Deactivated" [V1_0];
        Compromised = 0x4 "Compromised" [V1_0];
        Destroyed = 0x5 "Destroyed" [V1_0];
        DestroyedCompromised = 0x6 "DestroyedCompromised" [V1_0];
    }

    /// Ticket Type.
    TicketType: TICKET_TYPE {
        Login = 0x1 "Login" [V2_0];
    }

    /// Unique Identifier.
    UniqueIdentifierPlaceholder: UNIQUE_IDENTIFIER {
        IdPlaceholder = 0x1 "IDPlaceholder" [V2_0];
        Certify = 0x2 "Certify" [V2_0];
        Create = 0x3 "Create" [V2_0];
        CreateKeyPair = 0x4 "CreateKeyPair" [V2_0];
        CreateKeyPairPrivateKey = 0x5 "CreateKeyPairPrivateKey" [V2_0];
        CreateKeyPairPublicKey = 0x6 "CreateKeyPairPublicKey" [V2_0];
        CreateSplitKey = 0x7 "CreateSplitKey" [V2_0];
        DeriveKey = 0x8 "DeriveKey" [V2_0];
        Import = 0x9 "Import" [V2_0];
        JoinSplitKey = 0xa "JoinSplitKey" [V2_0];
        Locate = 0xb "Locate" [V2_0];
        Register = 0xc "Register" [V2_0];
        ReKey = 0xd "ReKey" [V2_0];
        ReCertify = 0xe "ReCertify" [V2_0];
        ReKeyKeyPair = 0xf "ReKeyKeyPair" [V2_0];
        ReKeyKeyPairPrivateKey = 0x10 "ReKeyKeyPairPrivateKey" [V2_0];
        ReKeyKeyPairPublicKey = 0x11 "ReKeyKeyPairPublicKey" [V2_0];
    }

    /// Unwrap Mode.
    UnwrapMode: UNWRAP_MODE {
        Unspecified = 0x1 "Unspecified" [V1_3];
        Processed = 0x2 "Processed" [V1_3];
        NotProcessed = 0x3 "NotProcessed" [V1_3];
    }

    /// Usage Limits Unit.
    UsageLimitsUnit: USAGE_LIMITS_UNIT {
        Byte = 0x1 "Byte" [V1_0];
        Object = 0x2 "Object" [V1_0];
    }

    /// Validation Authority Type.
    ValidationAuthorityType: VALIDATION_AUTHORITY_TYPE {
        Unspecified = 0x1 "Unspecified" [V1_3];
        NistCmvp = 0x2 "NISTCMVP" [V1_3];
        CommonCriteria = 0x3 "CommonCriteria" [V1_3];
    }

    /// Validation Type.
    ValidationType: VALIDATION_TYPE {
        Unspecified = 0x1 "Unspecified" [V1_3];
        Hardware = 0x2 "Hardware" [V1_3];
        Software = 0x3 "Software" [V1_3];
        Firmware = 0x4 "Firmware" [V1_3];
        Hybrid = 0x5 "Hybrid" [V1_3];
    }

    /// Validity Indicator.
    ValidityIndicator: VALIDITY_INDICATOR {
        Valid = 0x1 "Valid" [V1_0];
        Invalid = 0x2 "Invalid" [V1_0];
        Unknown = 0x3 "Unknown" [V1_0];
    }

    /// Wrapping Method.
    WrappingMethod: WRAPPING_METHOD {
        Encrypt = 0x1 "Encrypt" [V1_0];
        MacSign = 0x2 "MACSign" [V1_0];
        EncryptThenMacSign = 0x3 "EncryptThenMACSign" [V1_0];
        MacSignThenEncrypt = 0x4 "MACSignThenEncrypt" [V1_0];
        Tr31 = 0x5 "TR_31" [V1_0];
    }

}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_names_are_unique_within_an_enumeration() {
        for table in TABLES {
            for (index, row) in table.rows.iter().enumerate() {
                for other in &table.rows[index + 1..] {
                    assert_ne!(row.value, other.value, "{:?}", table.tag);
                    assert!(row.names.iter().all(|name| !other.names.contains(name)), "{:?}", row.names);
                }
            }
        }
    }
}
