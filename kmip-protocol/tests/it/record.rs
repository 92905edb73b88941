//! Attributes at rest: nothing of an object is forgotten, whatever version it came in.

use kmip_protocol::attribute::{ATTRIBUTES, Attributes, Instance};
use kmip_protocol::version::{AT_REST, SUPPORTED, Version};
use kmip_ttlv::{Error, Limits, Reader, Writer};
use proptest::prelude::*;

use crate::sample::{Entropy, Sample, attribute, cases, numbers};

fn written(attributes: &Attributes) -> bytes::Bytes {
    let mut writer = Writer::new();
    attributes.write_record(&mut writer);
    writer.finish().into_bytes()
}

fn read(record: &bytes::Bytes) -> Result<Attributes, Error> {
    let mut reader = Reader::new(record, Limits::DEFAULT)?;
    let attributes = Attributes::read_record(&mut reader)?;
    reader.finish()?;
    Ok(attributes)
}

/// An object's instances always have an index.
fn indexed(mut attributes: Attributes) -> Attributes {
    attributes.instances.iter_mut().for_each(|instance| {
        instance.index.get_or_insert(0);
    });
    attributes
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn lists_of_any_version(numbers in numbers()) {
        for version in SUPPORTED.iter().chain([&AT_REST]) {
            let attributes = Attributes::sample(&mut Entropy::straying(&numbers, *version));
            let record = written(&attributes);
            prop_assert_eq!(&read(&record), &Ok(indexed(attributes)));
            prop_assert_eq!(written(&read(&record).unwrap()), record);
        }
    }

    #[test]
    fn every_attribute(numbers in numbers(), index in any::<Option<i32>>()) {
        for row in ATTRIBUTES {
            let sample = |version: Version| Instance {
                index,
                attribute: attribute(row.attribute_type, &mut Entropy::known(&numbers, version)),
            };
            let instances = SUPPORTED.iter().map(|version| sample(*version)).collect();
            let attributes = Attributes { instances, templates: Vec::new() };
            prop_assert_eq!(&read(&written(&attributes)), &Ok(indexed(attributes)));
        }
    }

    #[test]
    fn broken_records_do_not_panic(
        numbers in numbers(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let attributes = Attributes::sample(&mut Entropy::known(&numbers, AT_REST));
        let mut record = written(&attributes).to_vec();
        for (place, byte) in changes {
            let at = place.index(record.len());
            record[at] = byte;
        }
        let _ = read(&record.into());
    }
}
