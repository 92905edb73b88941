//! The bit masks of KMIP (2.1 sections 11.15, 11.41, 11.52): Integers on the wire, names in XML and JSON.
//!
//! Bits that a version does not know are left out when a mask is written for it. A mask permits: a client that is told
//! fewer permissions than there are, all of which it could name, is told nothing false. To leave out the whole mask
//! would say that nothing is permitted; to refuse the answer, that the object cannot be used at all.

use kmip_ttlv::Tag;

use crate::tag;
use crate::version::{Since, V1_0, V1_4, V2_0, Version};

/// One bit of a mask.
#[derive(Debug, Clone, Copy)]
pub struct MaskRow {
    /// The bit.
    pub bit: i32,
    /// Its name in XML and JSON.
    pub name: &'static str,
    /// The versions that know it.
    pub since: Since,
}

/// A mask as a table, for the text encodings and for tests.
#[derive(Debug, Clone, Copy)]
pub struct MaskTable {
    /// The tag under which the mask stands.
    pub tag: Tag,
    /// Its bits.
    pub rows: &'static [MaskRow],
}

impl MaskTable {
    /// Whether `version` knows all of `bits`. Bits that no version has a name for are extensions: known to all.
    pub fn knows(&self, bits: i32, version: Version) -> bool {
        self.rows.iter().all(|row| row.bit & bits == 0 || row.since.knows(version))
    }
}

/// The mask that stands under `tag`.
pub fn table(tag: Tag) -> Option<&'static MaskTable> {
    TABLES.iter().find(|table| table.tag == tag)
}

macro_rules! masks {
    ($($(#[$doc:meta])* $name:ident: $tag:ident {
        $($bit:ident = $value:literal $text:literal [$($since:ident),+];)*
    })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
            pub struct $name(pub i32);

            impl $name {
                /// The mask as a table.
                pub const TABLE: MaskTable = MaskTable {
                    tag: tag::$tag,
                    rows: &[$(MaskRow { bit: $value, name: $text, since: Since::new(&[$($since),+]) },)*],
                };

                $(
                    #[doc = concat!("`", $text, "`")]
                    pub const $bit: Self = Self($value);
                )*

                /// Whether all bits of `other` are set.
                pub const fn contains(self, other: Self) -> bool {
                    self.0 & other.0 == other.0
                }

                /// The bits that can be told to a peer of `version`: those that it knows, and extensions, which no
                /// version has a name for.
                pub fn for_version(self, version: Version) -> Self {
                    let unknown = Self::TABLE.rows.iter().filter(|row| !row.since.knows(version));
                    Self(unknown.fold(self.0, |bits, row| bits & !row.bit))
                }
            }

            impl std::ops::BitOr for $name {
                type Output = Self;

                fn bitor(self, other: Self) -> Self {
                    Self(self.0 | other.0)
                }
            }

            impl std::fmt::Debug for $name {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    let names = Self::TABLE.rows.iter().filter(|row| self.0 & row.bit != 0).map(|row| row.name);
                    f.debug_tuple(stringify!($name)).field(&names.collect::<Vec<_>>().join(" ")).finish()
                }
            }

            crate::codec::mask_item!($name);
        )*

        /// All masks.
        pub static TABLES: &[MaskTable] = &[$($name::TABLE,)*];
    };
}

masks! {
    /// Cryptographic Usage Mask.
    CryptographicUsageMask: CRYPTOGRAPHIC_USAGE_MASK {
        SIGN = 0x1 "Sign" [V1_0];
        VERIFY = 0x2 "Verify" [V1_0];
        ENCRYPT = 0x4 "Encrypt" [V1_0];
        DECRYPT = 0x8 "Decrypt" [V1_0];
        WRAP_KEY = 0x10 "WrapKey" [V1_0];
        UNWRAP_KEY = 0x20 "UnwrapKey" [V1_0];
        EXPORT = 0x40 "Export" [V1_0, V1_4];
        MAC_GENERATE = 0x80 "MACGenerate" [V1_0];
        MAC_VERIFY = 0x100 "MACVerify" [V1_0];
        DERIVE_KEY = 0x200 "DeriveKey" [V1_0];
        CONTENT_COMMITMENT_NON_REPUDIATION = 0x400 "ContentCommitmentNonRepudiation" [V1_0, V1_4];
        KEY_AGREEMENT = 0x800 "KeyAgreement" [V1_0];
        CERTIFICATE_SIGN = 0x1000 "CertificateSign" [V1_0];
        CRL_SIGN = 0x2000 "CRLSign" [V1_0];
        GENERATE_CRYPTOGRAM = 0x4000 "GenerateCryptogram" [V1_0, V1_4];
        VALIDATE_CRYPTOGRAM = 0x8000 "ValidateCryptogram" [V1_0, V1_4];
        TRANSLATE_ENCRYPT = 0x10000 "TranslateEncrypt" [V1_0, V1_4];
        TRANSLATE_DECRYPT = 0x20000 "TranslateDecrypt" [V1_0, V1_4];
        TRANSLATE_WRAP = 0x40000 "TranslateWrap" [V1_0, V1_4];
        TRANSLATE_UNWRAP = 0x80000 "TranslateUnwrap" [V1_0, V1_4];
        AUTHENTICATE = 0x100000 "Authenticate" [V2_0];
        UNRESTRICTED = 0x200000 "Unrestricted" [V2_0];
        FPE_ENCRYPT = 0x400000 "FPEEncrypt" [V2_0];
        FPE_DECRYPT = 0x800000 "FPEDecrypt" [V2_0];
    }

    /// Protection Storage Mask.
    ProtectionStorageMask: PROTECTION_STORAGE_MASK {
        SOFTWARE = 0x1 "Software" [V2_0];
        HARDWARE = 0x2 "Hardware" [V2_0];
        ON_PROCESSOR = 0x4 "OnProcessor" [V2_0];
        ON_SYSTEM = 0x8 "OnSystem" [V2_0];
        OFF_SYSTEM = 0x10 "OffSystem" [V2_0];
        HYPERVISOR = 0x20 "Hypervisor" [V2_0];
        OPERATING_SYSTEM = 0x40 "OperatingSystem" [V2_0];
        CONTAINER = 0x80 "Container" [V2_0];
        ON_PREMISES = 0x100 "OnPremises" [V2_0];
        OFF_PREMISES = 0x200 "OffPremises" [V2_0];
        SELF_MANAGED = 0x400 "SelfManaged" [V2_0];
        OUTSOURCED = 0x800 "Outsourced" [V2_0];
        VALIDATED = 0x1000 "Validated" [V2_0];
        SAME_JURISDICTION = 0x2000 "SameJurisdiction" [V2_0];
    }

    /// Storage Status Mask.
    StorageStatusMask: STORAGE_STATUS_MASK {
        ON_LINE_STORAGE = 0x1 "OnLineStorage" [V1_0];
        ARCHIVAL_STORAGE = 0x2 "ArchivalStorage" [V1_0];
        DESTROYED_STORAGE = 0x4 "DestroyedStorage" [V2_0];
    }

}
