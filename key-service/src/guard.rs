//! What vouches for a record in a store that anybody may have edited: its authenticator, and what this process knows of it.
//!
//! The rules do not look at it, but for [`Standing::doubt`]: nothing is used or shown of a record that nobody vouches for. Who
//! makes and checks authenticators is the server's matter; one that trusts its store leaves all of this empty.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use bytestring::ByteString;
use kmip_protocol::Tag;
use kmip_ttlv::{Error, ErrorKind, Reader, Writer};

use crate::port::{IndexKey, SealerError};

/// What vouches for a record.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Guard {
    /// The authenticator, kept with the record.
    pub authenticator: Option<Authenticator>,
    /// How far the burial of a destroyed object is, kept with the record.
    pub burial: Burial,
    /// What this process knows of the record; not kept.
    pub standing: Standing,
}

/// Vouches for the rest of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticator {
    /// Unique Identifier of the key of the vault (an L3 version) that the record's key is derived from.
    pub key: ByteString,
    /// What there is to check.
    pub proof: Proof,
}

/// What an authenticator has to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// HMAC-SHA-256 over the record without this tag.
    Tag(Bytes),
    /// The record in bytes as it was when it was last authenticated. The object was revoked since, while there was no key
    /// for a tag: what differs may be that and no more.
    Restricts(Bytes),
    /// Nothing. The object was destroyed while there was no key for a tag: nothing of it is believed but that.
    Nothing,
}

/// How far the burial of an object is: the tombstone that keeps a restored backup of it from being opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Burial {
    /// The object lives, or needs none.
    #[default]
    None,
    /// It was destroyed; the tombstone is not confirmed yet.
    Pending,
    /// The tombstone is in its place.
    Confirmed,
}

/// What this process knows of a record. A changed copy is another record: it has not been verified, and doubt stays with it.
#[derive(Default)]
pub struct Standing {
    verified: AtomicBool,
    /// Boxed: few records are in doubt, and all of them have room for it.
    doubt: Option<Box<SealerError>>,
}

impl Standing {
    /// Of a record that cannot be verified now, for this reason.
    pub fn doubtful(reason: SealerError) -> Self {
        Self { verified: AtomicBool::new(false), doubt: Some(Box::new(reason)) }
    }

    /// Whether exactly this record was found to be authentic.
    pub fn is_verified(&self) -> bool {
        self.verified.load(Ordering::Acquire)
    }

    /// Notes that it was.
    pub fn note_verified(&self) {
        self.verified.store(true, Ordering::Release);
    }

    /// Why the record cannot be verified now: nothing of it may be used or shown.
    pub fn doubt(&self) -> Option<&SealerError> {
        self.doubt.as_deref()
    }
}

impl Clone for Standing {
    fn clone(&self) -> Self {
        Self { verified: AtomicBool::new(false), doubt: self.doubt.clone() }
    }
}

/// Records are equal whatever is known of them.
impl PartialEq for Standing {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = if self.is_verified() { "verified" } else { "not verified" };
        f.write_str(if self.doubt.is_some() { "doubtful" } else { known })
    }
}

// Tags of a record, from the range that KMIP leaves to extensions.
const AUTHENTICATOR: Tag = Tag::new(0x54_0108);
const KEY: Tag = Tag::new(0x54_0109);
const TAG: Tag = Tag::new(0x54_010A);
const RESTRICTS: Tag = Tag::new(0x54_010B);
const BURIAL: Tag = Tag::new(0x54_010C);

const PENDING: u32 = 1;
const CONFIRMED: u32 = 2;

impl Guard {
    /// The proof is left out of what a tag is made over.
    pub(crate) fn write(&self, writer: &mut Writer, with_proof: bool) {
        match self.burial {
            Burial::None => (),
            Burial::Pending => writer.enumeration(BURIAL, PENDING),
            Burial::Confirmed => writer.enumeration(BURIAL, CONFIRMED),
        }
        let Some(authenticator) = &self.authenticator else { return };
        writer.structure(AUTHENTICATOR, |writer| {
            writer.text_string(KEY, &authenticator.key);
            match &authenticator.proof {
                Proof::Tag(tag) if with_proof => writer.byte_string(TAG, tag),
                Proof::Restricts(bytes) if with_proof => writer.byte_string(RESTRICTS, bytes),
                _ => (),
            }
        });
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let burial = match reader.peek_tag()? {
            Some(BURIAL) => {
                let invalid = reader.error(ErrorKind::InvalidValue);
                match reader.enumeration(BURIAL)? {
                    PENDING => Burial::Pending,
                    CONFIRMED => Burial::Confirmed,
                    _ => return Err(invalid),
                }
            }
            _ => Burial::None,
        };
        let authenticator = match reader.peek_tag()? {
            Some(AUTHENTICATOR) => Some(reader.structure(AUTHENTICATOR, Authenticator::read)?),
            _ => None,
        };
        Ok(Self { authenticator, burial, standing: Standing::default() })
    }

    /// The keys by which a record is found for what vouches for it.
    pub(crate) fn index_keys(&self) -> impl Iterator<Item = IndexKey> {
        let pending = (self.burial == Burial::Pending).then(burial_pending);
        self.authenticator.iter().map(|authenticator| guarded_by(&authenticator.key)).chain(pending)
    }
}

impl Authenticator {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let key = reader.text(KEY)?;
        let proof = match reader.peek_tag()? {
            Some(RESTRICTS) => Proof::Restricts(reader.bytes(RESTRICTS)?),
            Some(_) => Proof::Tag(reader.bytes(TAG)?),
            None => Proof::Nothing,
        };
        Ok(Self { key, proof })
    }
}

/// Finds the records whose authenticator hangs on a key of the vault, destroyed ones included. A sealed record's authenticator
/// hangs on the key that sealed it.
pub fn guarded_by(key: &str) -> IndexKey {
    index_key(AUTHENTICATOR, key.as_bytes())
}

/// Finds the destroyed records whose tombstone is not confirmed.
pub fn burial_pending() -> IndexKey {
    index_key(BURIAL, b"")
}

/// As the index keys of attributes: the tag, and a digest of the value.
fn index_key(tag: Tag, value: &[u8]) -> IndexKey {
    crate::index::digest_key(tag.value(), value)
}
