//! What the symbolic identifiers of a case stand for while it runs (Profiles 2.1, section 4).
//!
//! A symbol, `$UNIQUE_IDENTIFIER_0`, is bound where a response first has it, stands for that value in later requests, and must
//! mean the same in later responses. A literal that a real server cannot repeat, such as the bytes of a key that it makes, is
//! treated in the same way: as a symbol without a name. Which literals those are, `variation.rs` says.

use std::collections::{HashMap, HashSet};

use kmip_ttlv::{ItemType, Tag};
use thiserror::Error;

use crate::item::{Item, Value, name};
use crate::tag;

/// The symbol for the time of sending, alone or with an offset in seconds behind it.
const NOW: &str = "$NOW";

/// The symbols and literals of one case that have a value by now.
#[derive(Clone, Default, Debug)]
pub struct Bindings {
    symbols: HashMap<String, Value>,
    /// By the item's tag, the bytes printed, and the object that they belong to.
    literals: HashMap<(Tag, Vec<u8>, Option<String>), Vec<u8>>,
    /// What a printed literal is replaced by in requests, which know no object: the value bound last.
    replacements: HashMap<(Tag, Vec<u8>), Vec<u8>>,
    /// The value that the latest response with such an item had.
    latest: HashMap<Tag, Value>,
}

/// A request as it is sent.
#[derive(Debug)]
pub struct Substituted {
    /// The message, without symbols.
    pub message: Item,
    /// For each batch item: whether a literal in it was replaced by what the server had answered before.
    pub fed_back: Vec<bool>,
}

/// A request needs a symbol that no response has given a value.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{symbol} in {item} has no value: no response had one")]
pub struct Unbound {
    symbol: String,
    item: String,
}

impl Bindings {
    /// Replaces the symbols of a request, and the literals that turned out otherwise. `now` is the time of sending in seconds
    /// since 1970.
    ///
    /// # Errors
    /// The first symbol that nothing has given a value.
    pub fn substitute(&mut self, message: &Item, now: i64) -> Result<Substituted, Unbound> {
        let mut fed_back = Vec::new();
        let mut parts = Vec::new();
        for part in message.children() {
            let mut replaced = false;
            parts.push(self.replace(part, now, &mut replaced)?);
            if part.tag == tag::BATCH_ITEM {
                fed_back.push(replaced);
            }
        }
        Ok(Substituted { message: Item::new(message.tag, Value::Structure(parts)), fed_back })
    }

    fn replace(&mut self, item: &Item, now: i64, replaced: &mut bool) -> Result<Item, Unbound> {
        let value = match &item.value {
            Value::Structure(children) => {
                let children: Result<_, _> =
                    children.iter().map(|child| self.replace(child, now, replaced)).collect();
                Value::Structure(children?)
            }
            Value::Symbol(item_type, symbol) => self.value_of(item.tag, *item_type, symbol, now)?,
            Value::ByteString(printed) => match self.replacements.get(&(item.tag, printed.clone())) {
                Some(actual) => {
                    *replaced = true;
                    Value::ByteString(actual.clone())
                }
                None => item.value.clone(),
            },
            literal => literal.clone(),
        };
        Ok(Item::new(item.tag, value))
    }

    /// A symbol that is unbound when a request needs it means the value of the same item in the latest response that had one:
    /// CS-AC-M-6 passes back as `$MAC_DATA` what the step before prints as a literal.
    fn value_of(&mut self, tag: Tag, item_type: ItemType, symbol: &str, now: i64) -> Result<Value, Unbound> {
        if let Some(offset) = seconds_from_now(symbol) {
            return Ok(Value::DateTime(now + offset));
        }
        let known = self.symbols.get(symbol).or_else(|| self.latest.get(&tag)).cloned();
        let value = known
            .filter(|value| value.item_type() == item_type)
            .ok_or_else(|| Unbound { symbol: symbol.to_owned(), item: name(tag) })?;
        self.symbols.insert(symbol.to_owned(), value.clone());
        Ok(value)
    }

    /// Gives a symbol its value, or tells the value that it has already.
    pub fn bind_symbol(&mut self, symbol: &str, actual: &Value) -> &Value {
        self.symbols.entry(symbol.to_owned()).or_insert_with(|| actual.clone())
    }

    /// Gives a printed literal its value, or tells the value that it has already for this object.
    pub fn bind_literal(&mut self, tag: Tag, printed: &[u8], object: Option<&str>, actual: &[u8]) -> &[u8] {
        self.replacements.entry((tag, printed.to_vec())).or_insert_with(|| actual.to_vec());
        let key = (tag, printed.to_vec(), object.map(str::to_owned));
        self.literals.entry(key).or_insert_with(|| actual.to_vec())
    }

    /// Gives a printed literal a new value: the output of an operation that never repeats itself.
    pub fn rebind_literal(&mut self, tag: Tag, printed: &[u8], actual: &[u8]) {
        self.replacements.insert((tag, printed.to_vec()), actual.to_vec());
    }

    /// Remembers the values of a response for symbols that only requests have.
    pub fn observe(&mut self, response: &Item) {
        response.walk(None, &mut |item, _| {
            if !matches!(item.value, Value::Structure(_)) {
                self.latest.insert(item.tag, item.value.clone());
            }
        });
    }
}

/// The offset in `$NOW`, `$NOW-3600` or `$NOW+3600`; none for any other symbol.
pub fn seconds_from_now(symbol: &str) -> Option<i64> {
    match symbol.strip_prefix(NOW)? {
        "" => Some(0),
        offset => offset.parse().ok(),
    }
}

/// The dates that a case's requests give as fixed values, with what they are dates of.
pub fn fixed_dates<'a>(requests: impl Iterator<Item = &'a Item>) -> HashSet<(Tag, i64)> {
    let mut dates = HashSet::new();
    for request in requests {
        request.walk(None, &mut |item, around| {
            if let Value::DateTime(seconds) = item.value {
                dates.insert((item.meaning(around), seconds));
            }
        });
    }
    dates
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn request(tag: Tag, value: Value) -> Item {
        let payload = Item::new(tag::REQUEST_PAYLOAD, Value::Structure(vec![Item::new(tag, value)]));
        let batch_item = Item::new(tag::BATCH_ITEM, Value::Structure(vec![payload]));
        Item::new(tag::REQUEST_MESSAGE, Value::Structure(vec![batch_item]))
    }

    fn sent(bindings: &mut Bindings, tag: Tag, value: Value) -> Result<Value, Unbound> {
        let sent = bindings.substitute(&request(tag, value), 1_000_000)?.message;
        let path = [tag::BATCH_ITEM, tag::REQUEST_PAYLOAD, tag];
        Ok(sent.at(&path).unwrap().value.clone())
    }

    fn symbol(item_type: ItemType, name: &str) -> Value {
        Value::Symbol(item_type, name.to_owned())
    }

    fn text(text: &str) -> Value {
        Value::TextString(text.to_owned())
    }

    #[test]
    fn a_symbol_keeps_its_first_value() {
        let mut bindings = Bindings::default();
        assert_eq!(bindings.bind_symbol("$UNIQUE_IDENTIFIER_0", &text("a")), &text("a"));
        assert_eq!(bindings.bind_symbol("$UNIQUE_IDENTIFIER_0", &text("b")), &text("a"));
        let asked = symbol(ItemType::TextString, "$UNIQUE_IDENTIFIER_0");
        assert_eq!(sent(&mut bindings, tag::UNIQUE_IDENTIFIER, asked), Ok(text("a")));
    }

    #[test]
    fn an_unbound_symbol_means_the_same_item_of_the_latest_response_that_had_it() {
        let mut bindings = Bindings::default();
        let asked = || symbol(ItemType::ByteString, "$MAC_DATA");
        let unbound = sent(&mut bindings, tag::MAC_DATA, asked()).unwrap_err();
        assert_eq!(unbound.to_string(), "$MAC_DATA in MACData has no value: no response had one");
        bindings.observe(&request(tag::MAC_DATA, Value::ByteString(vec![7])));
        bindings.observe(&request(tag::DATA, Value::ByteString(vec![8])));
        assert_eq!(sent(&mut bindings, tag::MAC_DATA, asked()), Ok(Value::ByteString(vec![7])));
        bindings.observe(&request(tag::MAC_DATA, Value::ByteString(vec![9])));
        assert_eq!(
            sent(&mut bindings, tag::MAC_DATA, asked()),
            Ok(Value::ByteString(vec![7])),
            "bound by now"
        );
    }

    #[test]
    fn now_is_the_time_of_sending() {
        let mut bindings = Bindings::default();
        let mut date =
            |name: &str| sent(&mut bindings, tag::ACTIVATION_DATE, symbol(ItemType::DateTime, name));
        assert_eq!(date("$NOW"), Ok(Value::DateTime(1_000_000)));
        assert_eq!(date("$NOW-3600"), Ok(Value::DateTime(996_400)));
        assert_eq!(date("$NOW+3600"), Ok(Value::DateTime(1_003_600)));
        assert!(date("$NOWHERE").is_err());
    }

    #[test]
    fn a_literal_is_replaced_in_requests_under_the_same_tag_only() {
        let mut bindings = Bindings::default();
        assert_eq!(bindings.bind_literal(tag::DATA, &[1, 2], Some("a"), &[3, 4]), [3, 4]);
        let printed = || Value::ByteString(vec![1, 2]);
        assert_eq!(sent(&mut bindings, tag::DATA, printed()), Ok(Value::ByteString(vec![3, 4])));
        assert_eq!(sent(&mut bindings, tag::MAC_DATA, printed()), Ok(printed()));
        let substituted = bindings.substitute(&request(tag::DATA, printed()), 0).unwrap();
        assert_eq!(substituted.fed_back, [true]);
    }

    #[test]
    fn a_literal_is_bound_for_each_object() {
        let mut bindings = Bindings::default();
        bindings.bind_literal(tag::KEY_MATERIAL, &[1], Some("a"), &[2]);
        assert_eq!(bindings.bind_literal(tag::KEY_MATERIAL, &[1], Some("a"), &[3]), [2]);
        assert_eq!(bindings.bind_literal(tag::KEY_MATERIAL, &[1], Some("b"), &[3]), [3]);
    }

    #[test]
    fn output_that_never_repeats_is_bound_anew() {
        let mut bindings = Bindings::default();
        bindings.rebind_literal(tag::DATA, &[1], &[2]);
        bindings.rebind_literal(tag::DATA, &[1], &[3]);
        let sent = sent(&mut bindings, tag::DATA, Value::ByteString(vec![1]));
        assert_eq!(sent, Ok(Value::ByteString(vec![3])));
    }

    #[test]
    fn fixed_dates_are_known_by_what_they_date() {
        let dates = fixed_dates([request(tag::ACTIVATION_DATE, Value::DateTime(5))].iter());
        assert!(dates.contains(&(tag::ACTIVATION_DATE, 5)));
        assert!(!dates.contains(&(tag::INITIAL_DATE, 5)));
    }
}
