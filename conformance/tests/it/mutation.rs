//! Changes every item of every expected response in turn. What still passes must be what the rules of the Profiles allow, and
//! all of that: the lists below are written from the Profiles, not from the runner's table.

use std::collections::BTreeSet;

use conformance::case::Case;
use conformance::item::{Item, Value, name};
use kmip_protocol::tag;

use crate::{all_cases, ideal};

/// Values that may be others. Linked Object Identifier is free too, but nowhere the first to name an object.
const FREE_VALUES: &[&str] = &[
    "ActivationDate",
    "AuthenticatedEncryptionTag",
    "CorrelationValue",
    "Data",
    "DestroyDate",
    "DigestValue",
    "IVCounterNonce",
    "InitialDate",
    "KeyFormatType up to KMIP 1.2",
    "KeyMaterial",
    "KeyValue",
    "LastChangeDate",
    "OriginalCreationDate",
    "PKCS_11OutputParameters",
    "PrivateKeyUniqueIdentifier",
    "PublicKeyUniqueIdentifier",
    "ResultMessage",
    "ServerCorrelationValue",
    "ShortUniqueIdentifier",
    "SignatureData",
    "TimeStamp",
    "UniqueIdentifier",
    // A date that the client set to $NOW.
    "AttributeValue of x-VendorAttribute3",
    "AttributeValue of VendorAttribute3",
    // Random Number Generator, whatever is in it.
    "RNGAlgorithm",
    "CryptographicAlgorithm in RandomNumberGenerator",
    "CryptographicLength in RandomNumberGenerator",
    // Query.
    "VendorIdentification in Query",
    "ObjectType in Query of encodings",
    "Operation in Query of encodings",
];

/// Items that may be missing.
const FREE_TO_MISS: &[&str] = &[
    "ResultMessage",
    "ServerCorrelationValue",
    "CryptographicAlgorithm in RandomNumberGenerator",
    "CryptographicLength in RandomNumberGenerator",
    "ObjectType in Query of encodings",
    "Operation in Query of encodings",
];

#[test]
fn exactly_the_permitted_values_may_differ() {
    let mut free = BTreeSet::new();
    ideal::walk(&all_cases(), |case, _, judgement| {
        for (path, place) in places(&judgement.answer, case) {
            let mut changed = judgement.answer.clone();
            if change(at(&mut changed, &path)) && judgement.of(&changed).is_ok() {
                free.insert(place);
            }
        }
    });
    assert_permitted(&free, FREE_VALUES);
}

#[test]
fn exactly_the_permitted_items_may_be_missing() {
    let mut free = BTreeSet::new();
    ideal::walk(&all_cases(), |case, _, judgement| {
        for (path, place) in places(&judgement.answer, case) {
            let mut changed = judgement.answer.clone();
            let Some((last, around)) = path.split_last() else { continue };
            if let Value::Structure(children) = &mut at(&mut changed, around).value {
                children.remove(*last);
            }
            if judgement.of(&changed).is_ok() {
                free.insert(place);
            }
        }
    });
    assert_permitted(&free, FREE_TO_MISS);
}

#[test]
fn a_foreign_item_is_noticed_wherever_no_set_is() {
    let mut open = BTreeSet::new();
    ideal::walk(&all_cases(), |case, _, judgement| {
        for (path, place) in structures(&judgement.answer, case) {
            let mut changed = judgement.answer.clone();
            if let Value::Structure(children) = &mut at(&mut changed, &path).value {
                children.push(Item::new(tag::COMMENT, Value::TextString("foreign".to_owned())));
            }
            if judgement.of(&changed).is_ok() {
                open.insert(place);
            }
        }
    });
    let permitted = ["Attributes", "ServerInformation"];
    assert_permitted(&open, &permitted);
}

/// All that passed is permitted. Nothing is said of what is permitted and did not occur: without the OASIS cases, few do.
fn assert_permitted(passed: &BTreeSet<String>, permitted: &[&str]) {
    let excess: Vec<_> = passed.iter().filter(|place| !permitted.contains(&place.as_str())).collect();
    assert!(excess.is_empty(), "passes although changed: {excess:?}");
    if all_cases().len() > 100 {
        let missing: Vec<_> = permitted.iter().filter(|place| !passed.contains(**place)).collect();
        assert!(missing.is_empty(), "permitted, but noticed: {missing:?}");
    }
}

/// The leaves of a message with the way to them, and with what to call them.
fn places(message: &Item, case: &Case) -> Vec<(Vec<usize>, String)> {
    let mut places = Vec::new();
    collect(message, &mut Vec::new(), &mut Vec::new(), &mut |path, around, item| {
        if !matches!(item.value, Value::Structure(_)) {
            places.push((path.to_vec(), place(item, around, case)));
        }
    });
    places
}

fn structures(message: &Item, case: &Case) -> Vec<(Vec<usize>, String)> {
    let mut structures = Vec::new();
    collect(message, &mut Vec::new(), &mut Vec::new(), &mut |path, around, item| {
        if matches!(item.value, Value::Structure(_)) {
            structures.push((path.to_vec(), place(item, around, case)));
        }
    });
    structures
}

fn collect<'a>(
    item: &'a Item,
    path: &mut Vec<usize>,
    around: &mut Vec<&'a Item>,
    found: &mut impl FnMut(&[usize], &[&'a Item], &'a Item),
) {
    found(path, around, item);
    around.push(item);
    for (index, child) in item.children().iter().enumerate() {
        path.push(index);
        collect(child, path, around, found);
        path.pop();
    }
    around.pop();
}

fn place(item: &Item, around: &[&Item], case: &Case) -> String {
    let parent = around.last().copied();
    let item_name = name(item.meaning(parent));
    let is_in_generator =
        around.windows(2).any(|pair| pair[1].meaning(Some(pair[0])) == tag::RANDOM_NUMBER_GENERATOR);
    let is_in_query = parent.is_some_and(|parent| parent.tag == tag::RESPONSE_PAYLOAD)
        && around.iter().any(|item| {
            item.child(tag::OPERATION).is_some_and(|operation| operation.value == Value::Enumeration(0x18))
        });
    let attribute = parent.and_then(|parent| parent.child(tag::ATTRIBUTE_NAME)).and_then(Item::text);
    match (item_name.as_str(), attribute) {
        ("AttributeValue", Some(attribute)) => format!("AttributeValue of {attribute}"),
        ("CryptographicAlgorithm" | "CryptographicLength", _) if is_in_generator => {
            format!("{item_name} in RandomNumberGenerator")
        }
        ("ObjectType" | "Operation", _)
            if is_in_query && ["MSGENC", "SUITEB"].iter().any(|start| case.profile().starts_with(start)) =>
        {
            format!("{item_name} in Query of encodings")
        }
        ("KeyFormatType", _) if ["1.0", "1.2"].contains(&case.version.as_str()) => {
            format!("{item_name} up to KMIP 1.2")
        }
        ("VendorIdentification", _) if is_in_query => format!("{item_name} in Query"),
        _ => item_name,
    }
}

fn at<'a>(message: &'a mut Item, path: &[usize]) -> &'a mut Item {
    path.iter().fold(message, |item, index| match &mut item.value {
        Value::Structure(children) => &mut children[*index],
        _ => unreachable!("paths lead through structures"),
    })
}

/// Gives a leaf another value of the same type and length; false if there is none.
fn change(item: &mut Item) -> bool {
    match &mut item.value {
        Value::Integer(number) => *number ^= 1,
        Value::LongInteger(number) | Value::DateTimeExtended(number) => *number ^= 1,
        Value::Enumeration(number) => *number ^= 1,
        Value::Boolean(value) => *value = !*value,
        Value::TextString(text) => text.push('x'),
        // The third byte: in PKCS#11 library information, the first that is free.
        Value::BigInteger(bytes) | Value::ByteString(bytes) => match bytes.len() {
            0 => return false,
            length => bytes[2.min(length - 1)] ^= 1,
        },
        Value::DateTime(seconds) => *seconds += 1,
        Value::Interval(seconds) => *seconds += 1,
        Value::Structure(_) | Value::Symbol(..) => return false,
    }
    true
}
