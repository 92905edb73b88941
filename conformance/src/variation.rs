//! What a response may say otherwise than the case prints it: the one table, each row with the rule that allows it.
//!
//! The rules are those of KMIP Profiles 2.1, section 4.1.1 "Variable Items": `(n)` is item n of its first list, `response (n)`
//! item n of its second list ("response variations"). `symbol` is section 4: a symbolic identifier stands for "a reasonable
//! appearing datum of the expected type". `1.x` is the list "Permitted Test Case Variations" of the profile documents for KMIP
//! 1.0 to 1.2. Everything that no row allows must match: "other variations ... SHALL be deemed non-conformant".
//!
//! Of the first list, these allow nothing here: (4) Unique Batch Item ID, for the runner sends the printed ones and a response
//! repeats its request's; (18) prefixes of test identifiers, for the runner adds none.

use std::collections::HashSet;

use kmip_protocol::enumeration::{CryptographicAlgorithm, ObjectType, Operation};
use kmip_ttlv::Tag;

use crate::item::{Item, Value};
use crate::tag;

/// One thing that may be otherwise.
#[derive(Debug)]
pub struct Variation {
    /// The item, or in KMIP 1.x the attribute whose value it is.
    pub item: Tag,
    /// The structure it must stand in, where that matters.
    pub within: Option<Tag>,
    /// What of it is free.
    pub freedom: Freedom,
    /// Under which circumstances.
    pub when: When,
    /// The rule that allows it.
    pub rule: &'static str,
}

/// What of an item is free.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Freedom {
    /// The value, within a form. Where the case prints the same again, it must be the same again.
    Value(Form),
    /// The value, within a form, anew each time.
    FreshValue(Form),
    /// The value: any of the printed type.
    AnyValue,
    /// The value: a time at which the server may have set it.
    Moment,
    /// All that is in the structure. The structure must be there.
    Contents,
    /// Whether it is there, and what it holds.
    Presence,
    /// It may be there although the case does not print it.
    Addition,
    /// The list may hold more, in any order. What is printed must be in it.
    More,
    /// The list may hold other things, in any order. If something is printed, something must be there.
    Others,
    /// The items inside are a set, which may hold more.
    MoreInside,
}

/// What a free value must still look like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Not empty.
    NotEmpty,
    /// As long as this, in bytes.
    Bytes(usize),
    /// As long as printed; not empty where a symbol is printed.
    PrintedLength,
    /// As long as printed; where a symbol is printed, as long as a key of the key block's algorithm and length.
    KeyLength,
    /// As long as printed; where a symbol is printed, not empty, and a block of AES unless there is an authentication tag.
    InitializationVector,
    /// A `CK_INFO` of PKCS#11: manufacturer and library description are the server's.
    LibraryInformation,
}

/// When a variation is allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// Always.
    Always,
    /// Where the case prints a symbol. All rows that free a value allow this too.
    Symbol,
    /// The server has made the object.
    Generated,
    /// As [`Self::Generated`], up to KMIP 1.2: later there are default formats.
    GeneratedUpTo1_2,
    /// Output of a cryptographic operation under a key that the server has made, unless the case feeds the output back and so knows
    /// what must come of it.
    UnderGeneratedKey,
    /// Output of an operation that never repeats itself: random bytes, salted signatures, and encryption with a public key or
    /// with an Initialization Vector that the server has picked.
    Unrepeatable,
    /// The requests of the case do not give this date as a fixed value.
    NotGiven,
    /// In the answer to this operation.
    In(Operation),
    /// In the answer to a Query of the cases for message encodings and Suite B, whose text says that the lists may vary.
    InQueryOfEncodings,
    /// In the answer to a Discover Versions that names no version.
    InOpenDiscovery,
    /// The item says that it is not critical.
    NotCritical,
    /// The item is 0 and the version KMIP 1.1 or later.
    ZeroSince1_1,
}

/// What is known of the answer to a batch item.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The case's profile, such as `MSGENC-XML-M`.
    pub profile: &'a str,
    /// The protocol version asked in.
    pub version: (i32, i32),
    /// The operation.
    pub operation: Option<Operation>,
    /// The payload of the request, as sent.
    pub asked: Option<&'a Item>,
    /// Whether the server has made the object that the answer is about.
    pub is_generated: bool,
    /// The type of that object, where it is known.
    pub object_type: Option<ObjectType>,
    /// Whether the padding is one with salt: PSS.
    pub is_salted: bool,
    /// Whether the printed answer holds an Initialization Vector, which only one picked by the server does.
    pub makes_vector: bool,
    /// Whether the request held output of an earlier step.
    pub fed_back: bool,
    /// The dates that the case's requests give as fixed values.
    pub fixed_dates: &'a HashSet<(Tag, i64)>,
}

const fn vary(item: Tag, freedom: Freedom, when: When, rule: &'static str) -> Variation {
    Variation { item, within: None, freedom, when, rule }
}

const fn vary_in(within: Tag, item: Tag, freedom: Freedom, when: When, rule: &'static str) -> Variation {
    Variation { item, within: Some(within), freedom, when, rule }
}

use Form::{Bytes, InitializationVector, KeyLength, LibraryInformation, NotEmpty, PrintedLength};
use Freedom::{
    Addition, AnyValue, Contents, FreshValue, Moment, More, MoreInside, Others, Presence, Value as Free,
};
use When::{
    Always, Generated, GeneratedUpTo1_2, In, InOpenDiscovery, InQueryOfEncodings, NotCritical, NotGiven,
    Symbol, UnderGeneratedKey, Unrepeatable, ZeroSince1_1,
};

/// All that may vary.
#[rustfmt::skip]
pub static VARIATIONS: &[Variation] = &[
    vary(tag::UNIQUE_IDENTIFIER, Free(NotEmpty), Symbol, "(1)"),
    vary(tag::PRIVATE_KEY_UNIQUE_IDENTIFIER, Free(NotEmpty), Symbol, "(2)"),
    vary(tag::PUBLIC_KEY_UNIQUE_IDENTIFIER, Free(NotEmpty), Symbol, "(3)"),
    vary(tag::SHORT_UNIQUE_IDENTIFIER, Free(Bytes(32)), Symbol, "(1), symbol"),
    vary(tag::ASYNCHRONOUS_CORRELATION_VALUE, Free(NotEmpty), Always, "(5)"),
    vary(tag::TIME_STAMP, AnyValue, Always, "(6)"),
    vary(tag::KEY_MATERIAL, Free(KeyLength), Generated, "(7a)"),
    vary(tag::KEY_VALUE, Free(PrintedLength), Generated, "(7b)"),
    vary(tag::DATA, FreshValue(PrintedLength), Unrepeatable, "(8b)"),
    vary(tag::DATA, Free(PrintedLength), UnderGeneratedKey, "(8a)"),
    vary(tag::SIGNATURE_DATA, FreshValue(PrintedLength), Unrepeatable, "(8b)"),
    vary(tag::SIGNATURE_DATA, Free(PrintedLength), UnderGeneratedKey, "(8a)"),
    vary(tag::MAC_DATA, Free(PrintedLength), UnderGeneratedKey, "(8a)"),
    vary(tag::IV_COUNTER_NONCE, FreshValue(InitializationVector), Unrepeatable, "(8b)"),
    vary(tag::AUTHENTICATED_ENCRYPTION_TAG, FreshValue(PrintedLength), Unrepeatable, "(8b), as part of the output"),
    vary(tag::AUTHENTICATED_ENCRYPTION_TAG, Free(PrintedLength), UnderGeneratedKey, "(8a), as part of the output"),
    vary(tag::CORRELATION_VALUE, Free(NotEmpty), Symbol, "symbol"),
    vary(tag::ACTIVATION_DATE, Moment, NotGiven, "(9a)"),
    vary(tag::ARCHIVE_DATE, Moment, NotGiven, "(9b)"),
    vary(tag::COMPROMISE_DATE, Moment, NotGiven, "(9c)"),
    vary(tag::COMPROMISE_OCCURRENCE_DATE, Moment, NotGiven, "(9d)"),
    vary(tag::DEACTIVATION_DATE, Moment, NotGiven, "(9e)"),
    vary(tag::DESTROY_DATE, Moment, NotGiven, "(9f)"),
    vary(tag::INITIAL_DATE, Moment, NotGiven, "(9g)"),
    vary(tag::LAST_CHANGE_DATE, Moment, NotGiven, "(9h)"),
    vary(tag::PROCESS_START_DATE, Moment, NotGiven, "(9i), printed there as Protect Start Date"),
    vary(tag::PROTECT_STOP_DATE, Moment, NotGiven, "(9j), printed there as Process Stop Date"),
    vary(tag::VALIDITY_DATE, Moment, NotGiven, "(9k)"),
    vary(tag::ORIGINAL_CREATION_DATE, Moment, NotGiven, "(9l)"),
    vary(tag::ATTRIBUTE_VALUE, Moment, Symbol, "symbol: $NOW in an attribute of the client's own"),
    vary(tag::LINKED_OBJECT_IDENTIFIER, Free(NotEmpty), Symbol, "(10)"),
    vary_in(tag::DIGEST, tag::DIGEST_VALUE, Free(PrintedLength), Generated, "(11), (13b)"),
    vary(tag::KEY_FORMAT_TYPE, AnyValue, GeneratedUpTo1_2, "(12) as the 1.x list has it"),
    vary_in(tag::RESPONSE_PAYLOAD, tag::EXTENSION_INFORMATION, Others, In(Operation::Query), "(14)"),
    vary_in(tag::RESPONSE_PAYLOAD, tag::APPLICATION_NAMESPACE, Others, In(Operation::Query), "(15)"),
    vary_in(tag::RESPONSE_PAYLOAD, tag::OBJECT_TYPE, Others, InQueryOfEncodings, "5.3.3, 5.4.4 and the cases' text"),
    vary_in(tag::RESPONSE_PAYLOAD, tag::OPERATION, Others, InQueryOfEncodings, "5.3.3, 5.4.4 and the cases' text"),
    vary_in(tag::RESPONSE_PAYLOAD, tag::OBJECT_TYPE, More, In(Operation::Query), "(16)"),
    vary_in(tag::RESPONSE_PAYLOAD, tag::OPERATION, More, In(Operation::Query), "(17)"),
    vary(tag::SERVER_CORRELATION_VALUE, Presence, Always, "(19)"),
    vary(tag::CLIENT_CORRELATION_VALUE, Presence, Always, "(20)"),
    vary(tag::ATTRIBUTES, MoreInside, In(Operation::GetAttributes), "(21), response (1), (2), 4.1.2 (5)"),
    vary_in(tag::RESPONSE_PAYLOAD, tag::ATTRIBUTE, More, In(Operation::GetAttributes), "(21), response (1), (2), 4.1.2 (5)"),
    vary_in(tag::RESPONSE_PAYLOAD, tag::ATTRIBUTE_NAME, More, In(Operation::GetAttributeList), "(21)"),
    vary_in(tag::RESPONSE_PAYLOAD, tag::ATTRIBUTE_REFERENCE, More, In(Operation::GetAttributeList), "(21)"),
    vary(tag::MESSAGE_EXTENSION, Addition, NotCritical, "response (3)"),
    vary_in(tag::BATCH_ITEM, tag::RESULT_MESSAGE, Presence, Always, "response (4)"),
    vary_in(tag::RESPONSE_PAYLOAD, tag::PROTOCOL_VERSION, More, InOpenDiscovery, "response (5)"),
    vary_in(tag::RESPONSE_PAYLOAD, tag::VENDOR_IDENTIFICATION, AnyValue, In(Operation::Query), "response (6)"),
    vary_in(tag::RANDOM_NUMBER_GENERATOR, tag::RNG_ALGORITHM, AnyValue, Always, "response (7)"),
    vary_in(tag::RANDOM_NUMBER_GENERATOR, tag::CRYPTOGRAPHIC_ALGORITHM, Presence, Always, "response (7)"),
    vary_in(tag::RANDOM_NUMBER_GENERATOR, tag::CRYPTOGRAPHIC_LENGTH, Presence, Always, "response (7)"),
    vary_in(tag::RANDOM_NUMBER_GENERATOR, tag::HASHING_ALGORITHM, Presence, Always, "response (7)"),
    vary_in(tag::RANDOM_NUMBER_GENERATOR, tag::DRBG_ALGORITHM, Presence, Always, "response (7)"),
    vary_in(tag::RANDOM_NUMBER_GENERATOR, tag::RECOMMENDED_CURVE, Presence, Always, "response (7)"),
    vary_in(tag::RANDOM_NUMBER_GENERATOR, tag::FIPS186_VARIATION, Presence, Always, "response (7)"),
    vary_in(tag::RANDOM_NUMBER_GENERATOR, tag::PREDICTION_RESISTANCE, Presence, Always, "response (7)"),
    vary_in(tag::RESPONSE_PAYLOAD, tag::LOCATED_ITEMS, Addition, In(Operation::Locate), "response (8)"),
    vary_in(tag::RESPONSE_PAYLOAD, tag::SERVER_INFORMATION, Contents, In(Operation::Query), "response (9)"),
    vary_in(tag::RESPONSE_PAYLOAD, tag::TEMPLATE_ATTRIBUTE, Addition, Always, "1.x: Template-Attribute"),
    vary_in(tag::RESPONSE_PAYLOAD, tag::PRIVATE_KEY_TEMPLATE_ATTRIBUTE, Addition, Always, "1.x: Template-Attribute"),
    vary_in(tag::RESPONSE_PAYLOAD, tag::PUBLIC_KEY_TEMPLATE_ATTRIBUTE, Addition, Always, "1.x: Template-Attribute"),
    vary_in(tag::ATTRIBUTE, tag::ATTRIBUTE_INDEX, Presence, ZeroSince1_1, "1.x: Attribute Index"),
    vary(tag::PKCS11_OUTPUT_PARAMETERS, FreshValue(LibraryInformation), In(Operation::Pkcs11), "not listed: no two servers can answer alike"),
];

/// The attributes of which an object may have several, so that more of them beside the printed ones are additional attributes
/// and not a second answer (KMIP 2.1, section 4; in 1.x, section 3). Vendor attributes differ by name.
pub static MULTIPLE: &[Tag] = &[
    tag::ALTERNATIVE_NAME,
    tag::APPLICATION_SPECIFIC_INFORMATION,
    tag::CRYPTOGRAPHIC_PARAMETERS,
    tag::DIGEST,
    tag::LINK,
    tag::NAME,
    tag::OBJECT_GROUP,
];

impl Variation {
    /// The first row that frees something of `item`, of the kind that `is_wanted` picks. `around` are the structures around the
    /// item, the outermost first.
    pub fn find(
        item: &Item,
        around: &[&Item],
        facts: &Facts<'_>,
        is_wanted: impl Fn(Freedom) -> bool,
    ) -> Option<&'static Self> {
        let meaning = item.meaning(around.last().copied());
        let place = around.split_last().map(|(last, outer)| last.meaning(outer.last().copied()));
        VARIATIONS.iter().find(|row| {
            row.item == meaning
                && (row.within.is_none() || row.within == place)
                && is_wanted(row.freedom)
                && row.holds(item, meaning, facts)
        })
    }

    fn holds(&self, item: &Item, meaning: Tag, facts: &Facts<'_>) -> bool {
        if matches!(item.value, Value::Symbol(..)) {
            return true;
        }
        let is = |operation| facts.operation == Some(operation);
        match self.when {
            Always => true,
            Symbol => false,
            Generated => facts.is_generated,
            GeneratedUpTo1_2 => facts.is_generated && facts.version <= (1, 2),
            UnderGeneratedKey => facts.is_generated && !(is(Operation::Decrypt) && facts.fed_back),
            Unrepeatable => facts.is_unrepeatable(),
            NotGiven => match item.value {
                Value::DateTime(seconds) => !facts.fixed_dates.contains(&(meaning, seconds)),
                _ => false,
            },
            In(operation) => is(operation),
            InQueryOfEncodings => {
                is(Operation::Query)
                    && ["MSGENC-", "SUITEB_"].iter().any(|name| facts.profile.starts_with(name))
            }
            InOpenDiscovery => {
                is(Operation::DiscoverVersions)
                    && facts.asked.is_none_or(|asked| asked.child(tag::PROTOCOL_VERSION).is_none())
            }
            NotCritical => item
                .child(tag::CRITICALITY_INDICATOR)
                .is_some_and(|critical| critical.value == Value::Boolean(false)),
            ZeroSince1_1 => facts.version >= (1, 1) && item.value == Value::Integer(0),
        }
    }
}

impl Facts<'_> {
    fn is_unrepeatable(&self) -> bool {
        match self.operation {
            Some(Operation::RngRetrieve) => true,
            Some(Operation::Sign) => self.is_salted,
            Some(Operation::Encrypt) => self.makes_vector || self.object_type == Some(ObjectType::PublicKey),
            _ => false,
        }
    }
}

impl Form {
    /// Whether `actual` looks as it must. `around` are the structures around it in the response, the outermost first.
    ///
    /// # Errors
    /// What was expected.
    pub fn admits(self, actual: &Value, printed: &Value, around: &[&Item]) -> Result<(), String> {
        let length = length(actual).unwrap_or(0);
        let printed_length = match printed {
            Value::Symbol(..) => None,
            literal => self::length(literal),
        };
        let expected = match (self, printed_length) {
            (Self::Bytes(expected), _) => Some(expected),
            (Self::PrintedLength | Self::KeyLength | Self::InitializationVector, Some(printed)) => {
                Some(printed)
            }
            (Self::KeyLength, None) => key_bytes(around),
            (Self::InitializationVector, None) => {
                let has_tag = around
                    .last()
                    .is_some_and(|payload| payload.child(tag::AUTHENTICATED_ENCRYPTION_TAG).is_some());
                if has_tag { None } else { Some(16) }
            }
            (Self::LibraryInformation, _) => return library_information(actual, printed),
            (Self::NotEmpty | Self::PrintedLength, _) => None,
        };
        match expected {
            Some(expected) if length != expected => Err(format!("{expected} bytes")),
            None if length == 0 => Err("something".to_owned()),
            _ => Ok(()),
        }
    }
}

fn length(value: &Value) -> Option<usize> {
    match value {
        Value::TextString(text) => Some(text.len()),
        Value::ByteString(bytes) | Value::BigInteger(bytes) => Some(bytes.len()),
        _ => None,
    }
}

/// The bytes of a symmetric key, from the key block around it. Triple DES counts 7 bits in each byte.
fn key_bytes(around: &[&Item]) -> Option<usize> {
    let block = around.iter().rev().find(|item| item.tag == tag::KEY_BLOCK)?;
    let bits = block.child(tag::CRYPTOGRAPHIC_LENGTH)?.integer()?;
    let algorithm = block.child(tag::CRYPTOGRAPHIC_ALGORITHM)?.enumeration()?;
    let bits_in_a_byte = match CryptographicAlgorithm::from_value(algorithm)? {
        CryptographicAlgorithm::TripleDes | CryptographicAlgorithm::Des if bits % 7 == 0 => 7,
        _ => 8,
    };
    usize::try_from(bits / bits_in_a_byte).ok()
}

/// `CK_INFO`: version of the interface, manufacturer (32 bytes), flags (8), description (32), version of the library.
fn library_information(actual: &Value, printed: &Value) -> Result<(), String> {
    let (Value::ByteString(actual), Value::ByteString(printed)) = (actual, printed) else {
        return Err("a Byte String".to_owned());
    };
    let fixed = |bytes: &[u8]| {
        Some((bytes.get(..2)?.to_vec(), bytes.get(34..42)?.to_vec(), bytes.get(74..)?.to_vec()))
    };
    if actual.len() == printed.len() && fixed(actual) == fixed(printed) {
        Ok(())
    } else {
        Err("the printed CK_INFO but for manufacturer and description".to_owned())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn bytes(length: usize) -> Value {
        Value::ByteString(vec![1; length])
    }

    fn symbol() -> Value {
        Value::Symbol(kmip_ttlv::ItemType::ByteString, "$X".to_owned())
    }

    #[test]
    fn forms_say_what_a_free_value_looks_like() {
        assert!(NotEmpty.admits(&bytes(1), &symbol(), &[]).is_ok());
        assert!(NotEmpty.admits(&bytes(0), &symbol(), &[]).is_err());
        assert!(Bytes(32).admits(&bytes(32), &symbol(), &[]).is_ok());
        assert_eq!(Bytes(32).admits(&bytes(31), &symbol(), &[]).unwrap_err(), "32 bytes");
        assert!(PrintedLength.admits(&bytes(16), &bytes(16), &[]).is_ok());
        assert!(PrintedLength.admits(&bytes(17), &bytes(16), &[]).is_err());
        assert!(PrintedLength.admits(&bytes(17), &symbol(), &[]).is_ok());
    }

    #[test]
    fn an_initialization_vector_is_a_block_unless_authenticated() {
        let payload = |children| Item::new(tag::RESPONSE_PAYLOAD, Value::Structure(children));
        let plain = payload(vec![]);
        assert!(InitializationVector.admits(&bytes(16), &symbol(), &[&plain]).is_ok());
        assert!(InitializationVector.admits(&bytes(12), &symbol(), &[&plain]).is_err());
        let authenticated = payload(vec![Item::new(tag::AUTHENTICATED_ENCRYPTION_TAG, bytes(12))]);
        assert!(InitializationVector.admits(&bytes(12), &symbol(), &[&authenticated]).is_ok());
    }

    #[test]
    fn keys_are_as_long_as_their_block_says() {
        let block = |algorithm: CryptographicAlgorithm, bits| {
            let children = vec![
                Item::new(tag::CRYPTOGRAPHIC_ALGORITHM, Value::Enumeration(algorithm.value())),
                Item::new(tag::CRYPTOGRAPHIC_LENGTH, Value::Integer(bits)),
            ];
            Item::new(tag::KEY_BLOCK, Value::Structure(children))
        };
        let aes = block(CryptographicAlgorithm::Aes, 256);
        assert!(KeyLength.admits(&bytes(32), &symbol(), &[&aes]).is_ok());
        assert!(KeyLength.admits(&bytes(16), &symbol(), &[&aes]).is_err());
        let triple_des = block(CryptographicAlgorithm::TripleDes, 168);
        assert!(KeyLength.admits(&bytes(24), &symbol(), &[&triple_des]).is_ok());
    }

    #[test]
    fn only_two_fields_of_the_library_information_are_free() {
        let printed: Vec<u8> = (0..76).collect();
        for changed in 0..76 {
            let mut actual = printed.clone();
            actual[changed] ^= 0xFF;
            let is_free = (2..34).contains(&changed) || (42..74).contains(&changed);
            let admitted = LibraryInformation.admits(
                &Value::ByteString(actual),
                &Value::ByteString(printed.clone()),
                &[],
            );
            assert_eq!(admitted.is_ok(), is_free, "byte {changed}");
        }
    }

    #[test]
    fn every_row_names_its_rule() {
        assert!(VARIATIONS.iter().all(|row| !row.rule.is_empty()));
    }
}
