//! The names behind the numbers, for the XML and JSON encodings and for dumps.

use kmip_ttlv::{Dictionary, Tag};

use crate::attribute::AttributeType;
use crate::{enumeration, mask, tag};

/// The names of KMIP 1.0 to 2.1.
#[derive(Debug, Clone, Copy, Default)]
pub struct Names;

/// The functions of `CK_FUNCTION_LIST_3_0` in their order; a function's value is its offset, counted from 1 (KMIP 2.1
/// section 11.38).
const PKCS11_FUNCTIONS: &[&str] = &[
    "C_Initialize",
    "C_Finalize",
    "C_GetInfo",
    "C_GetFunctionList",
    "C_GetSlotList",
    "C_GetSlotInfo",
    "C_GetTokenInfo",
    "C_GetMechanismList",
    "C_GetMechanismInfo",
    "C_InitToken",
    "C_InitPIN",
    "C_SetPIN",
    "C_OpenSession",
    "C_CloseSession",
    "C_CloseAllSessions",
    "C_GetSessionInfo",
    "C_GetOperationState",
    "C_SetOperationState",
    "C_Login",
    "C_Logout",
    "C_CreateObject",
    "C_CopyObject",
    "C_DestroyObject",
    "C_GetObjectSize",
    "C_GetAttributeValue",
    "C_SetAttributeValue",
    "C_FindObjectsInit",
    "C_FindObjects",
    "C_FindObjectsFinal",
    "C_EncryptInit",
    "C_Encrypt",
    "C_EncryptUpdate",
    "C_EncryptFinal",
    "C_DecryptInit",
    "C_Decrypt",
    "C_DecryptUpdate",
    "C_DecryptFinal",
    "C_DigestInit",
    "C_Digest",
    "C_DigestUpdate",
    "C_DigestKey",
    "C_DigestFinal",
    "C_SignInit",
    "C_Sign",
    "C_SignUpdate",
    "C_SignFinal",
    "C_SignRecoverInit",
    "C_SignRecover",
    "C_VerifyInit",
    "C_Verify",
    "C_VerifyUpdate",
    "C_VerifyFinal",
    "C_VerifyRecoverInit",
    "C_VerifyRecover",
    "C_DigestEncryptUpdate",
    "C_DecryptDigestUpdate",
    "C_SignEncryptUpdate",
    "C_DecryptVerifyUpdate",
    "C_GenerateKey",
    "C_GenerateKeyPair",
    "C_WrapKey",
    "C_UnwrapKey",
    "C_DeriveKey",
    "C_SeedRandom",
    "C_GenerateRandom",
    "C_GetFunctionStatus",
    "C_CancelFunction",
    "C_WaitForSlotEvent",
];

/// The only return code that has a name here: `CKR_OK`.
const PKCS11_OK: &str = "OK";

impl Dictionary for Names {
    fn tag_by_name(&self, name: &str) -> Option<Tag> {
        tag::by_name(name)
    }

    fn tag_name(&self, tag: Tag) -> Option<&str> {
        tag::row(tag).map(|row| row.name)
    }

    fn enumeration_value(&self, tag: Tag, name: &str) -> Option<u32> {
        match tag {
            tag::PKCS11_FUNCTION => {
                let at = PKCS11_FUNCTIONS.iter().position(|function| *function == name)?;
                u32::try_from(at + 1).ok()
            }
            tag::PKCS11_RETURN_CODE => (name == PKCS11_OK).then_some(0),
            _ => enumeration::table(tag)?.value(name),
        }
    }

    fn enumeration_name(&self, tag: Tag, value: u32) -> Option<&str> {
        match tag {
            tag::PKCS11_FUNCTION => {
                PKCS11_FUNCTIONS.get(usize::try_from(value.checked_sub(1)?).ok()?).copied()
            }
            tag::PKCS11_RETURN_CODE => (value == 0).then_some(PKCS11_OK),
            _ => enumeration::table(tag)?.row(value).map(|row| row.names[0]),
        }
    }

    fn mask_bits(&self, tag: Tag, name: &str) -> Option<i32> {
        mask::table(tag)?.rows.iter().find(|row| row.name == name).map(|row| row.bit)
    }

    fn mask_name(&self, tag: Tag, bit: i32) -> Option<&str> {
        mask::table(tag)?.rows.iter().find(|row| row.bit == bit).map(|row| row.name)
    }

    fn tag_of_attribute(&self, name: &str) -> Option<Tag> {
        AttributeType::from_name(name).map(|attribute_type| attribute_type.row().tag)
    }

    fn shows_text(&self, tag: Tag) -> bool {
        matches!(tag, tag::UNIQUE_IDENTIFIER | tag::ATTRIBUTE_NAME | tag::OBJECT_GROUP | tag::NAME_VALUE)
    }
}
