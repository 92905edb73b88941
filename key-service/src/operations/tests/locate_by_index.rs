//! Whatever index Locate follows, it finds what a look at every record finds, in the same order.

use std::sync::Arc;

use kmip_protocol::attribute::{Attribute, AttributeType, Attributes};
use kmip_protocol::codec::DateTime;
use kmip_protocol::enumeration::{CryptographicAlgorithm, ObjectType, State};
use kmip_protocol::mask::StorageStatusMask;
use kmip_protocol::operation::{LocateRequest, LocateResponse};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};

use crate::port::Change;
use crate::record::Record;
use crate::store::suite::{name, record};
use crate::testing::{BEGINNING, Server};

const OBJECTS: u64 = 1500;
const TYPES: [ObjectType; 3] = [ObjectType::SymmetricKey, ObjectType::SecretData, ObjectType::PrivateKey];
const ALGORITHMS: [CryptographicAlgorithm; 3] =
    [CryptographicAlgorithm::Aes, CryptographicAlgorithm::Rsa, CryptographicAlgorithm::HmacSha256];
const STATES: [State; 4] = [State::PreActive, State::Active, State::Deactivated, State::Compromised];

/// A date that is the moment of creation, one near by, or one far away.
fn dates() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), -8..8i64, -400_000..400_000i64, -90_000_000..90_000_000i64, Just(-BEGINNING)]
}

fn object(number: u64) -> impl Strategy<Value = Record> {
    let dates = prop::collection::vec(dates(), 4);
    let choice = (select(&TYPES), select(&ALGORITHMS), select(&STATES), 0..20u64, dates);
    choice.prop_map(move |(object_type, algorithm, state, group, dates)| {
        let created = BEGINNING + number as i64 * 600;
        let sequence = created as u64 * 1_000_000 + number;
        let mut made = record("acme", &format!("k{number}"), sequence);
        made.object_type = object_type;
        let date = |number: usize| DateTime(created + dates[number]);
        let mut attributes = vec![
            Attribute::State(state),
            Attribute::CryptographicAlgorithm(algorithm),
            Attribute::ObjectGroup(format!("g{group}").into()),
            Attribute::InitialDate(date(0)),
            Attribute::LastChangeDate(date(1)),
            name(&format!("n{number}")),
        ];
        if group % 2 == 0 {
            attributes.push(Attribute::ActivationDate(date(2)));
        }
        if group % 3 == 0 {
            attributes.push(Attribute::DeactivationDate(date(3)));
        }
        made.attributes = Attributes::default();
        attributes.into_iter().for_each(|attribute| _ = made.add(attribute));
        made
    })
}

fn criterion() -> impl Strategy<Value = Vec<Attribute>> {
    let moment = (-400_000..(OBJECTS as i64 * 600 + 400_000)).prop_map(|offset| BEGINNING + offset);
    let wide = (-BEGINNING..BEGINNING).prop_map(|offset| BEGINNING + offset);
    let ends = prop_oneof![3 => (moment.clone(), moment), 1 => (wide.clone(), wide)];
    let make = [
        Attribute::InitialDate as fn(DateTime) -> Attribute,
        Attribute::LastChangeDate,
        Attribute::ActivationDate,
        Attribute::DeactivationDate,
    ];
    prop_oneof![
        1 => select(&TYPES).prop_map(|object_type| vec![Attribute::ObjectType(object_type)]),
        1 => select(&ALGORITHMS).prop_map(|algorithm| vec![Attribute::CryptographicAlgorithm(algorithm)]),
        2 => select(&STATES).prop_map(|state| vec![Attribute::State(state)]),
        1 => (0..21u64).prop_map(|group| vec![Attribute::ObjectGroup(format!("g{group}").into())]),
        1 => (0..OBJECTS + 2).prop_map(|number| vec![name(&format!("n{number}"))]),
        3 => (select(make.to_vec()), ends)
            .prop_map(|(make, (from, to))| vec![make(DateTime(from)), make(DateTime(to))]),
    ]
}

fn locate(criteria: &[Attribute], everything: bool, offset: i32, maximum: Option<i32>) -> LocateRequest {
    LocateRequest {
        maximum_items: maximum,
        offset_items: Some(offset),
        // Destroyed objects are in no index, so whoever asks for them, too, looks at every record. There are none.
        storage_status_mask: everything
            .then_some(StorageStatusMask::ON_LINE_STORAGE | StorageStatusMask::DESTROYED_STORAGE),
        object_group_member: None,
        attributes: Attributes::new(criteria.iter().cloned()),
    }
}

#[test]
fn every_index_finds_what_a_look_at_every_record_finds() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut runner = TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
    let server = Server::new();
    let objects: Vec<_> = (0..OBJECTS).map(object).collect();
    let objects = objects.new_tree(&mut runner).unwrap().current();
    let changes = objects.into_iter().map(|object| Change::Insert(Arc::new(object)));
    runtime.block_on(server.service.store.commit(changes.collect())).unwrap();
    // Time passes: states move that are written down otherwise.
    server.pass(OBJECTS as i64 * 300);

    let criteria = prop::collection::vec(criterion(), 0..4).prop_filter("one range of a date", |criteria| {
        let mut types: Vec<Option<AttributeType>> =
            criteria.iter().map(|criterion| criterion[0].attribute_type()).collect();
        types.sort_unstable();
        types.windows(2).all(|pair| pair[0] != pair[1])
    });
    let page = (0..30i32, prop::option::of(1..40i32));
    let found = std::cell::Cell::new(0);
    let outcome = runner.run(&(criteria, page), |(criteria, (offset, maximum))| {
        let criteria = criteria.concat();
        let ask = |everything| locate(&criteria, everything, offset, maximum);
        let by_index: LocateResponse = runtime.block_on(server.done(ask(false)));
        let by_looking: LocateResponse = runtime.block_on(server.done(ask(true)));
        prop_assert_eq!(&by_index.unique_identifiers, &by_looking.unique_identifiers);
        found.set(found.get() + by_index.unique_identifiers.len());
        if let (Some(one), Some(other)) = (by_index.located_items, by_looking.located_items) {
            prop_assert_eq!(one, other);
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    assert!(found.get() > 1000, "nothing is ever found: the test proves nothing");
}
