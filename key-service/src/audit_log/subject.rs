//! Which object an operation was about, as far as request and response tell.

use bytestring::ByteString;
use kmip_protocol::codec::Item;
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::message::RequestBatchItem;
use kmip_protocol::operation::*;
use kmip_protocol::version::V2_1;
use kmip_protocol::{Tag, tag};
use kmip_ttlv::{Error, Limits};

/// The object that a request names first, if it names one: so failures are recorded with what they were about.
pub(crate) fn requested(item: &RequestBatchItem, limits: Limits) -> Option<UniqueIdentifier> {
    let payload = item.payload.as_ref()?;
    let mut reader = payload.reader(limits);
    let first = reader.structure(tag::REQUEST_PAYLOAD, |reader| {
        let first = match reader.peek_tag()? {
            Some(next) if is_identifier(next) => Some(UniqueIdentifier::read(reader, next, V2_1)?),
            _ => None,
        };
        while reader.peek_tag()?.is_some() {
            reader.skip()?;
        }
        Ok::<_, Error>(first)
    });
    first.ok().flatten()
}

fn is_identifier(tag: Tag) -> bool {
    matches!(tag, tag::UNIQUE_IDENTIFIER | tag::PRIVATE_KEY_UNIQUE_IDENTIFIER)
}

/// The object that a response is about; of a pair, the private key.
pub fn answered(response: &Response) -> Option<&ByteString> {
    use Response as R;
    match response {
        R::Activate(ActivateResponse { unique_identifier, .. })
        | R::AddAttribute(AddAttributeResponse { unique_identifier, .. })
        | R::AdjustAttribute(AdjustAttributeResponse { unique_identifier, .. })
        | R::Archive(ArchiveResponse { unique_identifier, .. })
        | R::Certify(CertifyResponse { unique_identifier, .. })
        | R::Check(CheckResponse { unique_identifier, .. })
        | R::Create(CreateResponse { unique_identifier, .. })
        | R::Decrypt(DecryptResponse { unique_identifier, .. })
        | R::DeleteAttribute(DeleteAttributeResponse { unique_identifier, .. })
        | R::DeriveKey(DeriveKeyResponse { unique_identifier, .. })
        | R::Destroy(DestroyResponse { unique_identifier, .. })
        | R::Encrypt(EncryptResponse { unique_identifier, .. })
        | R::Export(ExportResponse { unique_identifier, .. })
        | R::Get(GetResponse { unique_identifier, .. })
        | R::GetAttributeList(GetAttributeListResponse { unique_identifier, .. })
        | R::GetAttributes(GetAttributesResponse { unique_identifier, .. })
        | R::GetUsageAllocation(GetUsageAllocationResponse { unique_identifier, .. })
        | R::Import(ImportResponse { unique_identifier, .. })
        | R::JoinSplitKey(JoinSplitKeyResponse { unique_identifier, .. })
        | R::Mac(MacResponse { unique_identifier, .. })
        | R::MacVerify(MacVerifyResponse { unique_identifier, .. })
        | R::ModifyAttribute(ModifyAttributeResponse { unique_identifier, .. })
        | R::ObtainLease(ObtainLeaseResponse { unique_identifier, .. })
        | R::ReCertify(ReCertifyResponse { unique_identifier, .. })
        | R::ReKey(ReKeyResponse { unique_identifier, .. })
        | R::Recover(RecoverResponse { unique_identifier, .. })
        | R::Register(RegisterResponse { unique_identifier, .. })
        | R::Revoke(RevokeResponse { unique_identifier, .. })
        | R::SetAttribute(SetAttributeResponse { unique_identifier, .. })
        | R::Sign(SignResponse { unique_identifier, .. })
        | R::SignatureVerify(SignatureVerifyResponse { unique_identifier, .. }) => Some(unique_identifier),
        R::CreateKeyPair(CreateKeyPairResponse { private_key_unique_identifier, .. })
        | R::ReKeyKeyPair(ReKeyKeyPairResponse { private_key_unique_identifier, .. }) => {
            Some(private_key_unique_identifier)
        }
        _ => None,
    }
}
