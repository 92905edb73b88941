//! What is written is read back the same: in binary, XML and JSON, with names and without.

use kmip_ttlv::dump::Dump;
use kmip_ttlv::{Dictionary, Limits, NoDictionary, json, xml};
use proptest::prelude::*;

use crate::tree::{Item, item, small_tables, xml_text};

const LIMITS: Limits = Limits::DEFAULT;

proptest! {
    #[test]
    fn binary(item in item(any::<String>())) {
        prop_assert_eq!(Item::decode(&item.encode(), LIMITS), Ok(item));
    }

    #[test]
    fn as_xml(item in item(xml_text()), with_names: bool) {
        let tables = small_tables();
        let dictionary: &dyn Dictionary = if with_names { &tables } else { &NoDictionary };
        let ttlv = item.encode();
        let text = xml::from_ttlv(&ttlv, dictionary, LIMITS).unwrap();
        let back = xml::to_ttlv(&text, dictionary, LIMITS).unwrap();
        prop_assert_eq!(&back[..], &ttlv[..]);
    }

    #[test]
    fn as_json(item in item(any::<String>()), with_names: bool) {
        let tables = small_tables();
        let dictionary: &dyn Dictionary = if with_names { &tables } else { &NoDictionary };
        let ttlv = item.encode();
        let text = json::from_ttlv(&ttlv, dictionary, LIMITS).unwrap();
        let back = json::to_ttlv(&text, dictionary, LIMITS).unwrap();
        prop_assert_eq!(&back[..], &ttlv[..]);
        // Another parser reads it, and what it writes (properties in alphabetical order, no white space) reads back.
        let other = serde_json::from_slice::<serde_json::Value>(&text).unwrap().to_string();
        let back = json::to_ttlv(other.as_bytes(), dictionary, LIMITS).unwrap();
        prop_assert_eq!(&back[..], &ttlv[..]);
    }

    #[test]
    fn dumps_are_complete_and_name_no_text(item in item("[!-~]{40,60}")) {
        let dump = Dump::new(&item.encode(), &NoDictionary, LIMITS).to_string();
        prop_assert!(!dump.contains("malformed"));
        prop_assert!(dump.lines().all(|line| line.trim().len() < 70), "{dump}");
        prop_assert_eq!(dump.lines().count(), count(&item));
    }
}

fn count(item: &Item) -> usize {
    match &item.value {
        crate::tree::Value::Structure(items) => 1 + items.iter().map(count).sum::<usize>(),
        _ => 1,
    }
}
