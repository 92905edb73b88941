//! Reads known answers: `fixtures/crypto/NAME.txt` holds records of `field = value` lines, parted by empty lines.

use std::collections::HashMap;

/// One record of a file of known answers.
pub(super) struct Vectors {
    fields: HashMap<String, String>,
}

impl Vectors {
    /// All records of `fixtures/crypto/NAME.txt`. Lines with `#` are comments.
    pub(super) fn read(name: &str) -> Vec<Self> {
        let path = format!("{}/../fixtures/crypto/{name}.txt", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let records: Vec<Self> = text
            .split("\n\n")
            .map(|record| {
                let lines = record.lines().filter(|line| !line.starts_with('#'));
                let fields = lines.filter_map(|line| line.split_once('='));
                Self { fields: fields.map(|(k, v)| (k.trim().into(), v.trim().into())).collect() }
            })
            .filter(|record| !record.fields.is_empty())
            .collect();
        assert!(!records.is_empty(), "{path} holds no record");
        records
    }

    /// A field as text.
    pub(super) fn text(&self, field: &str) -> &str {
        self.optional(field).unwrap_or_else(|| panic!("{field} is missing in {:?}", self.fields))
    }

    /// A field that may be absent.
    pub(super) fn optional(&self, field: &str) -> Option<&str> {
        self.fields.get(field).map(String::as_str)
    }

    /// A field of hexadecimal digits.
    pub(super) fn bytes(&self, field: &str) -> Vec<u8> {
        unhex(self.text(field))
    }
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of hexadecimal digits.
pub(super) fn unhex(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex")).collect()
}

/// The value of an enumeration whose Rust name a record gives.
pub(super) fn named<T: Copy + std::fmt::Debug>(all: &[T], name: &str) -> T {
    all.iter().copied().find(|value| format!("{value:?}") == name).unwrap_or_else(|| panic!("no {name}"))
}
