//! A dictionary for tests, from the published tables where they are present and a few names of its own where not.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use kmip_ttlv::{Dictionary, Tag};
use serde_json::Value;

/// What PKCS#11 defines and the tables therefore do not list, as far as the test cases use it.
const PKCS_11: [(&str, &str, u32); 4] = [
    ("PKCS#11 Function", "C_Initialize", 1),
    ("PKCS#11 Function", "C_Finalize", 2),
    ("PKCS#11 Function", "C_GetInfo", 3),
    ("PKCS#11 Return Code", "OK", 0),
];

/// Tags that hold the enumeration or mask of another.
const BORROWED: [(&str, &str); 3] = [
    ("Mask Generator Hashing Algorithm", "Hashing Algorithm"),
    ("Common Protection Storage Masks", "Protection Storage Mask"),
    ("Protection Storage Masks", "Protection Storage Mask"),
];

#[derive(Default)]
pub(crate) struct Tables {
    tags: HashMap<String, Tag>,
    names: HashMap<Tag, String>,
    attributes: HashMap<String, Tag>,
    values: HashMap<(Tag, String), u32>,
    value_names: HashMap<(Tag, u32), String>,
    masks: HashMap<(Tag, String), i32>,
    mask_names: HashMap<(Tag, i32), String>,
}

impl Tables {
    /// The folder with the OASIS vectors, if there is one.
    pub(crate) fn vectors() -> Option<PathBuf> {
        let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/kmip/vectors");
        let folder = std::env::var_os("KMIP_VECTORS").map_or(default, PathBuf::from);
        folder.is_dir().then_some(folder)
    }

    /// The published tables, which lie beside the vectors.
    pub(crate) fn published() -> Option<Self> {
        let folder = Self::vectors()?.join("../tables");
        let load = |name: &str| -> Option<Value> {
            serde_json::from_slice(&std::fs::read(folder.join(name)).ok()?).ok()
        };
        let (tags, enumerations, masks) =
            (load("tags.json")?, load("enumerations.json")?, load("masks.json")?);
        let mut tables = Self::default();
        for entry in tags["tags"].as_array()? {
            tables.add_tag(string(&entry["name"]), string(&entry["xml"]), number(&entry["value"]));
        }
        let kinds = [(&enumerations["enumerations"], false), (&masks["masks"], true)];
        for (table, is_mask) in kinds {
            for lender in table.as_object()?.values().filter(|lender| lender["tag"].is_string()) {
                tables.add_values(Tag::new(number(&lender["tag"])), &lender["values"], is_mask);
            }
        }
        for (borrower, lender) in BORROWED {
            let tag = tables.attributes[borrower];
            for (table, is_mask) in kinds {
                tables.add_values(tag, &table[lender]["values"], is_mask);
            }
        }
        for (attribute, spelling, value) in PKCS_11 {
            tables.add_value(tables.attributes[attribute], spelling, value, false);
        }
        Some(tables)
    }

    pub(crate) fn add_tag(&mut self, name: &str, spelling: &str, value: u32) {
        let tag = Tag::new(value);
        self.tags.insert(spelling.to_owned(), tag);
        self.names.insert(tag, spelling.to_owned());
        self.attributes.insert(name.to_owned(), tag);
    }

    fn add_values(&mut self, tag: Tag, values: &Value, is_mask: bool) {
        for value in values.as_array().into_iter().flatten() {
            for alias in value["xml_aliases"].as_array().into_iter().flatten() {
                self.values.insert((tag, string(alias).to_owned()), number(&value["value"]));
            }
            self.add_value(tag, string(&value["xml"]), number(&value["value"]), is_mask);
        }
    }

    pub(crate) fn add_value(&mut self, tag: Tag, spelling: &str, value: u32, is_mask: bool) {
        if is_mask {
            self.masks.insert((tag, spelling.to_owned()), value as i32);
            self.mask_names.insert((tag, value as i32), spelling.to_owned());
        } else {
            self.values.insert((tag, spelling.to_owned()), value);
            self.value_names.insert((tag, value), spelling.to_owned());
        }
    }
}

impl Dictionary for Tables {
    fn tag_by_name(&self, name: &str) -> Option<Tag> {
        self.tags.get(name).copied()
    }

    fn tag_name(&self, tag: Tag) -> Option<&str> {
        self.names.get(&tag).map(String::as_str)
    }

    fn enumeration_value(&self, tag: Tag, name: &str) -> Option<u32> {
        self.values.get(&(tag, name.to_owned())).copied()
    }

    fn enumeration_name(&self, tag: Tag, value: u32) -> Option<&str> {
        self.value_names.get(&(tag, value)).map(String::as_str)
    }

    fn mask_bits(&self, tag: Tag, name: &str) -> Option<i32> {
        self.masks.get(&(tag, name.to_owned())).copied()
    }

    fn mask_name(&self, tag: Tag, bit: i32) -> Option<&str> {
        self.mask_names.get(&(tag, bit)).map(String::as_str)
    }

    fn tag_of_attribute(&self, name: &str) -> Option<Tag> {
        self.attributes.get(name).copied()
    }

    fn shows_text(&self, tag: Tag) -> bool {
        self.tag_name(tag) == Some("AttributeName")
    }
}

pub(crate) fn unhex(digits: &str) -> Vec<u8> {
    let digits: Vec<u32> = digits.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn number(value: &Value) -> u32 {
    u32::from_str_radix(string(value).trim_start_matches("0x"), 16).unwrap()
}
