//! Reads test cases: the XML files of the KMIP Profiles, and our own in the same form.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use kmip_protocol::dictionary::Names;
use kmip_ttlv::{Dictionary, ItemType, Tag};
use roxmltree::{Document, Node};
use thiserror::Error;

use crate::item::{Item, Value};
use crate::tag;

/// What comes before every symbolic identifier.
const SYMBOL_SIGN: char = '$';

/// Which collection a case belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, clap::ValueEnum)]
pub enum Set {
    /// A case that a server conforming to the profile must pass.
    Mandatory,
    /// A case of the Profiles that need not be passed.
    Optional,
    /// A case of this project.
    Own,
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mandatory => "mandatory",
            Self::Optional => "optional",
            Self::Own => "own",
        })
    }
}

/// One test case: requests and the responses that belong to them.
#[derive(Clone, Debug)]
pub struct Case {
    /// The file's name without its ending, for example `TL-M-3-21`.
    pub label: String,
    /// The protocol version in the file's name, for example `2.1`.
    pub version: String,
    /// The collection.
    pub set: Set,
    /// Requests and responses, in their order.
    pub steps: Vec<Step>,
}

/// A request and the response expected to it.
#[derive(Clone, Debug)]
pub struct Step {
    /// What is sent.
    pub request: Request,
    /// What is to come back. Symbolic identifiers are still in it.
    pub response: Item,
}

/// What a step sends.
#[derive(Clone, Debug)]
pub enum Request {
    /// A message. Symbolic identifiers are still in it.
    Message(Item),
    /// These bytes, whatever they are; only our own cases have this.
    Bytes(Vec<u8>),
}

/// Why a case cannot be read.
#[derive(Debug, Error)]
pub enum CaseError {
    /// The file or folder cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// What was to be read.
        path: PathBuf,
        /// Why it was not.
        source: std::io::Error,
    },
    /// The file is no XML.
    #[error("{path}: {source}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        source: roxmltree::Error,
    },
    /// The XML is no test case.
    #[error("{path}, line {line}: {what}")]
    Meaning {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: u32,
        /// What is wrong there.
        what: String,
    },
}

/// What is wrong with an element, and where in the document it stands.
struct Fault {
    at: usize,
    what: String,
}

type Parsed<T> = Result<T, Fault>;

impl Case {
    /// Reads one case.
    ///
    /// # Errors
    /// Why the file is no test case.
    pub fn read(path: &Path, set: Set) -> Result<Self, CaseError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| CaseError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(path, &text, set)
    }

    /// Reads one case from its text. The name of the file is the case's label; the file itself is not opened.
    ///
    /// # Errors
    /// Why the text is no test case.
    pub fn parse(path: &Path, text: &str, set: Set) -> Result<Self, CaseError> {
        let document =
            Document::parse(text).map_err(|source| CaseError::Syntax { path: path.to_owned(), source })?;
        let label = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let meaning = |fault: Fault| CaseError::Meaning {
            path: path.to_owned(),
            line: document.text_pos_at(fault.at).row,
            what: fault.what,
        };
        let version = version_of(&label).ok_or_else(|| Fault {
            at: 0,
            what: "the name does not end in the digits of a version, as in `-21`".to_owned(),
        });
        Ok(Self { version: version.map_err(meaning)?, steps: steps(&document).map_err(meaning)?, label, set })
    }

    /// Reads all cases of a folder, in the order in which they are to be run: by profile, then by number, so that a case
    /// which needs what an earlier one leaves behind comes after it.
    ///
    /// # Errors
    /// The first file that is no test case. A folder that does not exist holds no cases.
    pub fn read_folder(folder: &Path, set: Set) -> Result<Vec<Self>, CaseError> {
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let unreadable = |source| CaseError::Unreadable { path: folder.to_owned(), source };
        let mut cases = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|extension| extension == "xml") {
                cases.push(Self::read(&path, set)?);
            }
        }
        cases.sort_by_cached_key(|case| natural(&case.label));
        Ok(cases)
    }

    /// The profile, mandatory or optional mark included: `CS-BC-M` for `CS-BC-M-GCM-1-21`, `TL-M` for `TL-M-3-21`.
    pub fn profile(&self) -> &str {
        let end = ["-M-", "-O-"].iter().find_map(|mark| self.label.find(mark));
        end.map_or(&self.label, |end| &self.label[..end + 2])
    }
}

/// `2.1` for a label that ends in `-21`.
fn version_of(label: &str) -> Option<String> {
    let digits = label.rsplit('-').next()?.as_bytes();
    match digits {
        [major @ b'0'..=b'9', minor @ b'0'..=b'9'] => {
            Some(format!("{}.{}", char::from(*major), char::from(*minor)))
        }
        _ => None,
    }
}

/// A key that sorts `X-2` before `X-10`.
fn natural(label: &str) -> Vec<(String, u32)> {
    label
        .split('-')
        .map(|part| (part.parse().map_or(part.to_owned(), |_: u32| String::new()), part.parse().unwrap_or(0)))
        .collect()
}

fn steps(document: &Document<'_>) -> Parsed<Vec<Step>> {
    let mut messages = document.root_element().children().filter(Node::is_element);
    let mut steps = Vec::new();
    while let Some(request) = messages.next() {
        let response = messages.next().ok_or_else(|| fault(&request, "no response follows this request"))?;
        steps.push(Step {
            request: read_request(&request)?,
            response: read_message(&response, tag::RESPONSE_MESSAGE)?,
        });
    }
    if steps.is_empty() { Err(fault(&document.root_element(), "there is no request")) } else { Ok(steps) }
}

fn read_request(node: &Node<'_, '_>) -> Parsed<Request> {
    if node.has_tag_name("RequestBytes") {
        let text = node.attribute("value").unwrap_or_default();
        return hex(text).map(Request::Bytes).ok_or_else(|| fault(node, "the value is no hex"));
    }
    read_message(node, tag::REQUEST_MESSAGE).map(Request::Message)
}

fn read_message(node: &Node<'_, '_>, expected: Tag) -> Parsed<Item> {
    let item = read_item(node, None)?;
    if item.tag == expected { Ok(item) } else { Err(fault(node, "requests and responses do not alternate")) }
}

/// Reads an element. `attribute` is what an Attribute Value in it belongs to (KMIP 1.x).
fn read_item(node: &Node<'_, '_>, attribute: Option<Tag>) -> Parsed<Item> {
    let tag = tag_named(node.tag_name().name()).ok_or_else(|| fault(node, "no such tag"))?;
    let item_type = match node.attribute("type") {
        None => ItemType::Structure,
        Some(name) => ItemType::from_name(name).ok_or_else(|| fault(node, "no such type"))?,
    };
    if item_type == ItemType::Structure {
        return read_structure(node).map(|children| Item::new(tag, Value::Structure(children)));
    }
    let text = node.attribute("value").ok_or_else(|| fault(node, "no value"))?;
    let meaning = attribute.filter(|_| tag == tag::ATTRIBUTE_VALUE).unwrap_or(tag);
    let value = if text.starts_with(SYMBOL_SIGN) {
        Some(Value::Symbol(item_type, text.to_owned()))
    } else {
        read_value(item_type, meaning, text)
    };
    value.map(|value| Item::new(tag, value)).ok_or_else(|| fault(node, "the value does not fit the type"))
}

fn read_structure(node: &Node<'_, '_>) -> Parsed<Vec<Item>> {
    let named = |child: &Node<'_, '_>| child.has_tag_name("AttributeName");
    let attribute = node.children().find(named).and_then(|child| child.attribute("value"));
    let attribute = attribute.and_then(|name| Names.tag_of_attribute(name));
    node.children().filter(Node::is_element).map(|child| read_item(&child, attribute)).collect()
}

fn read_value(item_type: ItemType, meaning: Tag, text: &str) -> Option<Value> {
    Some(match item_type {
        ItemType::Structure => return None,
        ItemType::Integer => Value::Integer(read_integer(meaning, text)?),
        ItemType::LongInteger => Value::LongInteger(text.parse().ok()?),
        ItemType::BigInteger => Value::BigInteger(hex(text).filter(|bytes| bytes.len().is_multiple_of(8))?),
        ItemType::Enumeration => Value::Enumeration(read_enumeration(meaning, text)?),
        ItemType::Boolean => Value::Boolean(match text {
            "true" | "1" => true,
            "false" | "0" => false,
            _ => return None,
        }),
        ItemType::TextString => Value::TextString(text.to_owned()),
        ItemType::ByteString => Value::ByteString(hex(text)?),
        ItemType::DateTime => Value::DateTime(read_instant(text)?),
        ItemType::Interval => Value::Interval(text.parse().ok()?),
        ItemType::DateTimeExtended => Value::DateTimeExtended(text.parse().ok()?),
    })
}

/// A number, or the names of a mask's bits with spaces between them.
fn read_integer(meaning: Tag, text: &str) -> Option<i32> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let bits = |name: &str| match name.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok().map(u32::cast_signed),
        None => Names.mask_bits(meaning, name),
    };
    text.split_whitespace().try_fold(0, |mask, name| Some(mask | bits(name)?))
}

fn read_enumeration(meaning: Tag, text: &str) -> Option<u32> {
    if let Some(digits) = text.strip_prefix("0x") {
        return u32::from_str_radix(digits, 16).ok();
    }
    match meaning {
        tag::ATTRIBUTE_REFERENCE => Names.tag_by_name(text).map(Tag::value),
        _ => Names.enumeration_value(meaning, text),
    }
}

fn tag_named(name: &str) -> Option<Tag> {
    match name.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok().and_then(Tag::checked),
        None => Names.tag_by_name(name),
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// Seconds since 1970 of `2000-02-01T00:00:00+10:00` and its like.
fn read_instant(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once('T')?;
    let (time, zone) = rest.split_at(rest.find(['+', '-', 'Z'])?);
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time, ':')?;
    let offset = match zone {
        "Z" => 0,
        _ => {
            let [hours, minutes] = numbers(&zone[1..], ':')?;
            (hours * 60 + minutes) * if zone.starts_with('-') { -60 } else { 60 }
        }
    };
    Some(days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset)
}

fn numbers<const COUNT: usize>(text: &str, separator: char) -> Option<[i64; COUNT]> {
    let numbers: Option<Vec<i64>> = text.split(separator).map(|part| part.parse().ok()).collect();
    numbers?.try_into().ok()
}

/// Days from 1970-01-01 to a day of the Gregorian calendar. Years are counted from March, so that the leap day comes last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Seconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn fault(node: &Node<'_, '_>, what: &str) -> Fault {
    Fault { at: node.range().start, what: format!("{}: {what}", node.tag_name().name()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn cases_are_sorted_by_number_not_by_digit() {
        let mut labels =
            ["SKFF-M-10-21", "TL-M-3-21", "SKFF-M-2-21", "TL-M-2-21", "CS-BC-M-GCM-1-21", "CS-BC-M-2-21"];
        labels.sort_by_key(|label| natural(label));
        assert_eq!(
            labels,
            ["CS-BC-M-2-21", "CS-BC-M-GCM-1-21", "SKFF-M-2-21", "SKFF-M-10-21", "TL-M-2-21", "TL-M-3-21"]
        );
    }

    #[test]
    fn instants_have_zones() {
        assert_eq!(read_instant("1970-01-01T00:00:06+00:00"), Some(6));
        assert_eq!(read_instant("2000-02-01T00:00:00+10:00"), Some(949_327_200));
        assert_eq!(read_instant("2000-03-01T00:00:00Z"), Some(951_868_800));
        assert_eq!(read_instant("1969-12-31T23:59:59Z"), Some(-1));
        assert_eq!(read_instant("2000-02-01T00:00:00"), None);
    }

    #[test]
    fn masks_are_written_in_any_order() {
        let mask = tag::CRYPTOGRAPHIC_USAGE_MASK;
        assert_eq!(read_integer(mask, "Encrypt Decrypt"), read_integer(mask, "Decrypt Encrypt"));
        assert_eq!(read_integer(mask, "Encrypt 0x00000008"), Some(12));
        assert_eq!(read_integer(mask, "Encript"), None);
    }

    #[test]
    fn the_version_is_in_the_name() {
        assert_eq!(version_of("SUITEB_128-M-1-14").as_deref(), Some("1.4"));
        assert_eq!(version_of("notes"), None);
    }
}
