//! Records: what a store keeps of an object, and how it is written down.
//!
//! A record is a TTLV structure of Krypton's own (tags of the extension range, see docs/STORAGE.md). It never holds a
//! secret: only what a [`Sealer`](crate::port::Sealer) has sealed.

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use kmip_protocol::attribute::{Attribute, AttributeType, Attributes, Instance, Link};
use kmip_protocol::codec::{DateTime, Item};
use kmip_protocol::enumeration::{LinkType, ObjectType, ResultReason, State};
use kmip_protocol::identifier::UniqueIdentifier;
use kmip_protocol::mask::CryptographicUsageMask;
use kmip_protocol::version::V2_1;
use kmip_protocol::{Tag, lifecycle, tag};
use kmip_ttlv::{Error, Limits, Reader, Writer};

use crate::fault::Fault;
use crate::guard::Guard;
use crate::index;
pub use crate::index::{INDEX_VERSION, index_key, outlives_destruction};
use crate::port::{Binding, IndexKey, Sealed};

/// What a store keeps of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The tenant that owns the object.
    pub tenant: ByteString,
    /// The service whose L3 seals the object.
    pub service: ByteString,
    /// The object's identifier, unique within the tenant.
    pub unique_identifier: ByteString,
    /// Orders records by age ([`Clock::stamp`](crate::port::Clock::stamp) of the creation).
    pub sequence: u64,
    /// Counts the changes, from 1.
    pub version: u64,
    /// The type of the object.
    pub object_type: ObjectType,
    /// All attributes but those that are computed when asked for.
    pub attributes: Attributes,
    /// The sealed object; `None` if it was destroyed, or never had a value here.
    pub sealed: Option<Sealed>,
    /// The same object sealed under further keys, any of which opens it: an L2 has a seal for each of its anchors.
    pub further_seals: Vec<Sealed>,
    /// What vouches for the record.
    pub guard: Guard,
}

// The tags of a record, from the range that KMIP leaves to extensions.
const RECORD: Tag = Tag::new(0x54_0100);
const TENANT: Tag = Tag::new(0x54_0101);
const SERVICE: Tag = Tag::new(0x54_0102);
const SEQUENCE: Tag = Tag::new(0x54_0103);
const VERSION: Tag = Tag::new(0x54_0104);
const SEALED: Tag = Tag::new(0x54_0105);
const SEALED_KEY: Tag = Tag::new(0x54_0106);
const SEALED_ENVELOPE: Tag = Tag::new(0x54_0107);

impl Record {
    /// The record in bytes.
    pub fn encode(&self) -> Bytes {
        self.write(true)
    }

    /// What the tag of an authenticator is made over: the record in bytes, without the proof itself.
    pub fn authenticated_bytes(&self) -> Bytes {
        self.write(false)
    }

    fn write(&self, with_proof: bool) -> Bytes {
        let mut writer = Writer::with_capacity(USUAL_RECORD_BYTES);
        writer.structure(RECORD, |writer| {
            writer.text_string(TENANT, &self.tenant);
            writer.text_string(SERVICE, &self.service);
            writer.text_string(tag::UNIQUE_IDENTIFIER, &self.unique_identifier);
            writer.long_integer(SEQUENCE, self.sequence.cast_signed());
            writer.long_integer(VERSION, self.version.cast_signed());
            self.object_type.write(writer, tag::OBJECT_TYPE, V2_1);
            self.attributes.write_record(writer);
            for sealed in self.seals() {
                writer.structure(SEALED, |writer| {
                    writer.text_string(SEALED_KEY, &sealed.key);
                    writer.byte_string(SEALED_ENVELOPE, &sealed.envelope);
                });
            }
            self.guard.write(writer, with_proof);
        });
        writer.finish().into_bytes()
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// If the bytes are not a record.
    pub fn decode(bytes: &Bytes) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes, RECORD_LIMITS)?;
        let record = reader.structure(RECORD, |reader| {
            Ok::<_, Error>(Self {
                tenant: reader.text(TENANT)?,
                service: reader.text(SERVICE)?,
                unique_identifier: reader.text(tag::UNIQUE_IDENTIFIER)?,
                sequence: reader.long_integer(SEQUENCE)?.cast_unsigned(),
                version: reader.long_integer(VERSION)?.cast_unsigned(),
                object_type: ObjectType::read(reader, tag::OBJECT_TYPE, V2_1)?,
                attributes: Attributes::read_record(reader)?,
                sealed: read_sealed(reader)?,
                further_seals: std::iter::from_fn(|| read_sealed(reader).transpose())
                    .collect::<Result<_, _>>()?,
                guard: Guard::read(reader)?,
            })
        })?;
        reader.finish()?;
        Ok(record)
    }

    /// The record as stores keep it: for long, and so without room for further attributes.
    pub fn kept(mut self) -> Arc<Self> {
        self.attributes.instances.shrink_to_fit();
        Arc::new(self)
    }

    /// The state of the object; Templates and the like have none.
    pub fn state(&self) -> Option<State> {
        self.attributes.iter().find_map(|attribute| match attribute {
            Attribute::State(state) => Some(*state),
            _ => None,
        })
    }

    /// Whether the material of the object is gone.
    pub fn is_destroyed(&self) -> bool {
        self.state().is_some_and(lifecycle::is_destroyed)
    }

    /// All seals of the object: any of them opens it.
    pub fn seals(&self) -> impl Iterator<Item = &Sealed> {
        self.sealed.iter().chain(&self.further_seals)
    }

    /// Seals the object under one key more.
    pub fn add_seal(&mut self, sealed: Sealed) {
        match self.sealed {
            Some(_) => self.further_seals.push(sealed),
            None => self.sealed = Some(sealed),
        }
    }

    /// Drops the seals that do not fit; the object stays with those that are left.
    pub fn retain_seals(&mut self, fits: impl Fn(&Sealed) -> bool) {
        let seals = self.sealed.take().into_iter().chain(std::mem::take(&mut self.further_seals));
        let mut left = seals.filter(fits);
        self.sealed = left.next();
        self.further_seals = left.collect();
    }

    /// What the object's secret is bound to.
    pub fn binding(&self) -> Binding {
        let mut binding = Binding {
            tenant: self.tenant.clone(),
            service: self.service.clone(),
            unique_identifier: self.unique_identifier.clone(),
            object_type: self.object_type,
            cryptographic_algorithm: None,
            cryptographic_length: None,
        };
        for attribute in self.attributes.iter() {
            match attribute {
                Attribute::CryptographicAlgorithm(algorithm) => {
                    binding.cryptographic_algorithm = Some(*algorithm)
                }
                Attribute::CryptographicLength(length) => binding.cryptographic_length = Some(*length),
                _ => (),
            }
        }
        binding
    }

    /// The first instance of an attribute.
    pub fn attribute(&self, attribute_type: AttributeType) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.attribute_type() == Some(attribute_type))
    }

    /// The keys by which the record is found. A destroyed object is found by its identifier, by what guards it, and by
    /// [what outlives it](outlives_destruction).
    pub fn index_keys(&self) -> Vec<IndexKey> {
        index::keys(self)
    }

    /// Those keys that no other live object of the tenant may have: the names.
    pub fn unique_keys(&self) -> Vec<IndexKey> {
        let is_name = |instance: &&Instance| matches!(instance.attribute, Attribute::Name(_));
        if self.is_destroyed() {
            return Vec::new();
        }
        self.attributes
            .instances
            .iter()
            .filter(is_name)
            .filter_map(|instance| index_key(&instance.attribute))
            .collect()
    }
}

/// Room for the record of a symmetric key with a few attributes, so that it is written without growing.
const USUAL_RECORD_BYTES: usize = 1024;

/// A record's bytes are those of one message at most, and its attributes again as much.
pub const MAXIMUM_RECORD_BYTES: usize = 4 << 20;

/// What is taken of a record's bytes.
pub(crate) const RECORD_LIMITS: Limits =
    Limits { message_bytes: MAXIMUM_RECORD_BYTES, value_bytes: MAXIMUM_RECORD_BYTES, ..Limits::DEFAULT };

/// The next seal, if there is one more.
fn read_sealed(reader: &mut Reader<'_>) -> Result<Option<Sealed>, Error> {
    if reader.peek_tag()? != Some(SEALED) {
        return Ok(None);
    }
    let sealed = reader.structure(SEALED, |reader| {
        Ok::<_, Error>(Sealed { key: reader.text(SEALED_KEY)?, envelope: reader.bytes(SEALED_ENVELOPE)? })
    })?;
    Ok(Some(sealed))
}

/// The attributes of a record as a set: the rules of who may change what are elsewhere.
impl Record {
    /// The date that an attribute holds.
    pub fn date(&self, attribute_type: AttributeType) -> Option<DateTime> {
        index::date(self.attribute(attribute_type)?)
    }

    /// The first object that a link of this type leads to.
    pub fn linked(&self, link_type: LinkType) -> Option<&UniqueIdentifier> {
        self.attributes.iter().find_map(|attribute| match attribute {
            Attribute::Link(link) if link.link_type == link_type => Some(&link.linked_object_identifier),
            _ => None,
        })
    }

    /// Adds a link to another object.
    pub fn link(&mut self, link_type: LinkType, unique_identifier: &ByteString) {
        let linked_object_identifier = UniqueIdentifier::Text(unique_identifier.clone());
        self.add(Attribute::Link(Link { link_type, linked_object_identifier }));
    }

    /// Whether a Boolean attribute is true.
    pub fn flag(&self, attribute_type: AttributeType) -> bool {
        match self.attribute(attribute_type) {
            Some(
                Attribute::Sensitive(flag)
                | Attribute::Extractable(flag)
                | Attribute::Fresh(flag)
                | Attribute::AlwaysSensitive(flag)
                | Attribute::NeverExtractable(flag),
            ) => *flag,
            _ => false,
        }
    }

    /// What the object may be used for.
    pub fn usage_mask(&self) -> CryptographicUsageMask {
        match self.attribute(AttributeType::CryptographicUsageMask) {
            Some(Attribute::CryptographicUsageMask(mask)) => *mask,
            _ => CryptographicUsageMask::default(),
        }
    }

    /// Sets an attribute that has one instance at most.
    pub fn set(&mut self, attribute: Attribute) {
        let attribute_type = attribute.attribute_type();
        let mut instances = self.attributes.instances.iter_mut();
        match instances.find(|instance| instance.attribute.attribute_type() == attribute_type) {
            Some(instance) => instance.attribute = attribute,
            None => self.attributes.instances.push(Instance { index: Some(0), attribute }),
        }
    }

    /// Adds an instance of an attribute; returns its index. Indexes are not used twice as long as a later instance
    /// lives.
    pub fn add(&mut self, attribute: Attribute) -> i32 {
        let reference = attribute.reference();
        let same =
            self.attributes.instances.iter().filter(|instance| instance.attribute.reference() == reference);
        let index = same.filter_map(|instance| instance.index).max().map_or(0, |last| last + 1);
        self.attributes.instances.push(Instance { index: Some(index), attribute });
        index
    }

    /// Removes all instances of an attribute.
    pub fn remove(&mut self, attribute_type: AttributeType) {
        self.attributes
            .instances
            .retain(|instance| instance.attribute.attribute_type() != Some(attribute_type));
    }

    /// Notes a change.
    pub fn touch(&mut self, now: DateTime) {
        self.set(Attribute::LastChangeDate(now));
    }

    /// Refuses an archived object: it has to be recovered first (6.1.43).
    pub(crate) fn refuse_archived(&self) -> Result<(), Fault> {
        match self.attribute(AttributeType::ArchiveDate) {
            Some(_) => {
                Err(Fault::new(ResultReason::ObjectArchived, "the object is archived: recover it first"))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::guard::{Authenticator, Burial, Proof, Standing, burial_pending, guarded_by};

    fn sealed(key: &'static str) -> Sealed {
        Sealed { key: key.into(), envelope: Bytes::from_static(b"envelope") }
    }

    fn record(seals: &[&'static str]) -> Record {
        let mut record = Record {
            tenant: "t".into(),
            service: ByteString::new(),
            unique_identifier: "l2".into(),
            sequence: 1,
            version: 1,
            object_type: ObjectType::SymmetricKey,
            attributes: Attributes::default(),
            sealed: None,
            further_seals: Vec::new(),
            guard: Guard::default(),
        };
        seals.iter().for_each(|key| record.add_seal(sealed(key)));
        record
    }

    #[test]
    fn a_record_comes_back_with_all_its_seals() {
        for seals in [&[][..], &["a"], &["a", "b", "c"]] {
            let record = record(seals);
            assert_eq!(record.seals().count(), seals.len());
            assert_eq!(Record::decode(&record.encode()).unwrap(), record);
        }
    }

    #[test]
    fn seals_go_one_by_one_and_the_rest_stays() {
        let mut record = record(&["a", "b", "c"]);
        record.retain_seals(|sealed| sealed.key != "a");
        assert_eq!(record.seals().map(|sealed| &*sealed.key).collect::<Vec<_>>(), ["b", "c"]);
        record.retain_seals(|_| false);
        assert_eq!((record.sealed, record.further_seals), (None, Vec::new()));
    }

    #[test]
    fn a_record_comes_back_with_what_vouches_for_it() {
        let proofs = [
            Proof::Tag(Bytes::from_static(&[5; 32])),
            Proof::Restricts(record(&[]).encode()),
            Proof::Nothing,
        ];
        for (proof, burial) in proofs.into_iter().zip([Burial::None, Burial::Pending, Burial::Confirmed]) {
            let mut record = record(&["a"]);
            record.guard.authenticator = Some(Authenticator { key: "a".into(), proof });
            record.guard.burial = burial;
            assert_eq!(Record::decode(&record.encode()).unwrap(), record);
            assert!(record.index_keys().contains(&guarded_by("a")));
            assert_eq!(record.index_keys().contains(&burial_pending()), burial == Burial::Pending);
        }
    }

    #[test]
    fn a_tag_is_made_over_everything_but_itself() {
        let mut first = record(&["a"]);
        let proof = Proof::Tag(Bytes::from_static(&[5; 32]));
        first.guard.authenticator = Some(Authenticator { key: "a".into(), proof });
        let mut second = first.clone();
        second.guard.authenticator.as_mut().unwrap().proof = Proof::Nothing;
        assert_eq!(first.authenticated_bytes(), second.authenticated_bytes());
        second.guard.burial = Burial::Pending;
        assert_ne!(first.authenticated_bytes(), second.authenticated_bytes());
        first.guard.authenticator.as_mut().unwrap().key = "b".into();
        assert_ne!(first.authenticated_bytes(), record(&["a"]).authenticated_bytes());
    }

    #[test]
    fn a_changed_copy_is_not_verified_and_doubt_stays() {
        let mut record = record(&["a"]);
        record.guard.standing.note_verified();
        assert!(record.guard.standing.is_verified() && !record.clone().guard.standing.is_verified());
        record.guard.standing = Standing::doubtful(crate::port::SealerError::NoKey);
        assert!(record.clone().guard.standing.doubt().is_some());
    }
}
