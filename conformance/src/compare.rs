//! Compares a response with the one that the case prints. What may differ, `variation.rs` says; nothing else may.

use std::collections::{HashMap, HashSet};
use std::fmt;

use kmip_protocol::enumeration::{ObjectType, Operation, PaddingMethod};
use kmip_ttlv::Tag;

use crate::item::{Item, Value, name};
use crate::placeholder::{Bindings, seconds_from_now};
use crate::tag;
use crate::variation::{Facts, Freedom, MULTIPLE, Variation};

/// The clocks of client and server may be this far apart.
const CLOCK_TOLERANCE_SECONDS: i64 = 5;

/// The first thing that is not as printed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// Where: the names of the structures around it, joined by `/`.
    pub path: String,
    /// What the case prints.
    pub expected: String,
    /// What the server said.
    pub actual: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, got {}", self.path, self.expected, self.actual)
    }
}

/// What the runner knows of the objects on a server, from all cases run so far.
#[derive(Clone, Default, Debug)]
pub struct Objects(HashMap<String, Object>);

/// One object on the server.
#[derive(Clone, Copy, Debug)]
struct Object {
    is_generated: bool,
    object_type: Option<ObjectType>,
    /// The padding in the Cryptographic Parameters that came with it.
    padding: Option<u32>,
    /// When the case began that made it, in seconds since 1970.
    since: i64,
}

/// A step of a case as it was sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// The case's profile.
    pub profile: &'a str,
    /// The request, where it was a message.
    pub request: Option<&'a Item>,
    /// For each batch item: whether it held output of an earlier step.
    pub fed_back: &'a [bool],
    /// The dates that the case's requests give as fixed values.
    pub fixed_dates: &'a HashSet<(Tag, i64)>,
    /// When the case began, in seconds since 1970.
    pub began: i64,
    /// When the response came, in seconds since 1970.
    pub now: i64,
}

impl Objects {
    /// Takes note of the objects that a response tells of.
    pub fn learn(&mut self, sent: &Sent<'_>, response: &Item) {
        let asked = sent.request.into_iter().flat_map(|request| request.all(tag::BATCH_ITEM));
        for (asked, answered) in asked.zip(response.all(tag::BATCH_ITEM)) {
            let Some(payload) = answered.child(tag::RESPONSE_PAYLOAD) else { continue };
            let padding = asked.child(tag::REQUEST_PAYLOAD).and_then(padding);
            let object_type = asked.at(&[tag::REQUEST_PAYLOAD, tag::OBJECT_TYPE]).and_then(object_type);
            let mut insert = |identifier, is_generated, object_type| {
                let object = Object { is_generated, object_type, padding, since: sent.began };
                if let Some(identifier) = payload.child(identifier).and_then(Item::text) {
                    self.0.insert(identifier.to_owned(), object);
                }
            };
            match operation(answered) {
                Some(Operation::Create | Operation::DeriveKey | Operation::ReKey) => {
                    insert(tag::UNIQUE_IDENTIFIER, true, object_type);
                }
                Some(Operation::CreateKeyPair | Operation::ReKeyKeyPair) => {
                    insert(tag::PRIVATE_KEY_UNIQUE_IDENTIFIER, true, Some(ObjectType::PrivateKey));
                    insert(tag::PUBLIC_KEY_UNIQUE_IDENTIFIER, true, Some(ObjectType::PublicKey));
                }
                Some(Operation::Register | Operation::Import) => {
                    insert(tag::UNIQUE_IDENTIFIER, false, object_type);
                }
                _ => {}
            }
        }
    }
}

/// Compares a response with the expected one, and gives the symbols in it their values.
///
/// # Errors
/// The first difference that no variation allows.
pub fn compare(
    expected: &Item,
    actual: &Item,
    sent: &Sent<'_>,
    objects: &Objects,
    bindings: &mut Bindings,
) -> Result<(), Difference> {
    let expected = in_the_version_asked(expected, sent.request);
    let mut comparison = Comparison {
        sent,
        objects,
        bindings,
        facts: sent.facts(None, None, None),
        object: None,
        since: sent.began,
        batch_items_seen: 0,
        expected_around: Vec::new(),
        actual_around: Vec::new(),
    };
    comparison.item(&expected, actual).map_err(|mut difference| {
        difference.actual.push_str(&excuse(&expected, actual));
        difference
    })
}

/// A response carries the version of its request. One case prints another one by mistake (OMOS-O-1-14: 1.3 for 1.4).
fn in_the_version_asked(expected: &Item, request: Option<&Item>) -> Item {
    let mut expected = expected.clone();
    let asked = request.and_then(|request| request.at(&[tag::REQUEST_HEADER, tag::PROTOCOL_VERSION]));
    if let (Some(asked), Value::Structure(parts)) = (asked, &mut expected.value)
        && let Some(Item { tag: tag::RESPONSE_HEADER, value: Value::Structure(fields) }) = parts.first_mut()
        && let Some(version) = fields.iter_mut().find(|field| field.tag == tag::PROTOCOL_VERSION)
    {
        *version = asked.clone();
    }
    expected
}

impl<'a> Sent<'a> {
    /// What is known of a part of the response: of the answer to one batch item, or of the header.
    fn facts(&self, asked: Option<&'a Item>, expected: Option<&Item>, object: Option<&Object>) -> Facts<'a> {
        let payload = expected.and_then(|item| item.child(tag::RESPONSE_PAYLOAD));
        let asked = asked.and_then(|item| item.child(tag::REQUEST_PAYLOAD));
        let padding = asked.and_then(padding).or_else(|| object.and_then(|object| object.padding));
        Facts {
            profile: self.profile,
            version: self.request.and_then(version).unwrap_or_default(),
            operation: expected.and_then(operation),
            asked,
            is_generated: object.is_some_and(|object| object.is_generated),
            object_type: object.and_then(|object| object.object_type),
            is_salted: padding == Some(PaddingMethod::Pss.value()),
            makes_vector: payload.is_some_and(|payload| payload.child(tag::IV_COUNTER_NONCE).is_some()),
            fed_back: false,
            fixed_dates: self.fixed_dates,
        }
    }
}

struct Comparison<'a, 'b> {
    sent: &'b Sent<'a>,
    objects: &'b Objects,
    bindings: &'b mut Bindings,
    facts: Facts<'a>,
    /// The identifier of the object that the batch item is about.
    object: Option<String>,
    /// The earliest time that a date of that object can have.
    since: i64,
    batch_items_seen: usize,
    expected_around: Vec<&'b Item>,
    actual_around: Vec<&'b Item>,
}

/// A part of a structure: one item, or a list whose items stand for themselves.
enum Part<'b> {
    One(&'b Item),
    List(Tag, Freedom, Vec<&'b Item>),
}

impl Part<'_> {
    fn tag(&self) -> Tag {
        match self {
            Self::One(item) => item.tag,
            Self::List(tag, ..) => *tag,
        }
    }
}

impl<'b> Comparison<'_, 'b> {
    fn item(&mut self, expected: &'b Item, actual: &'b Item) -> Result<(), Difference> {
        if expected.tag != actual.tag {
            return Err(self.difference(name(expected.tag), name(actual.tag)));
        }
        if expected.tag == tag::BATCH_ITEM {
            self.begin_batch_item(expected, actual);
        }
        let is_structure = actual.value.item_type() == kmip_ttlv::ItemType::Structure;
        match &expected.value {
            Value::Structure(_)
                if is_structure && self.frees(expected, |freedom| freedom == Freedom::Contents) =>
            {
                Ok(())
            }
            Value::Structure(_) if is_structure => self.inside(expected, actual),
            Value::Structure(_) => Err(self.difference_in(expected, actual)),
            _ => self.leaf(expected, actual),
        }
    }

    fn frees(&self, expected: &Item, is_wanted: impl Fn(Freedom) -> bool) -> bool {
        Variation::find(expected, &self.expected_around, &self.facts, is_wanted).is_some()
    }

    fn begin_batch_item(&mut self, expected: &Item, actual: &Item) {
        let index = self.batch_items_seen;
        self.batch_items_seen += 1;
        let asked = self.sent.request.and_then(|request| request.all(tag::BATCH_ITEM).nth(index));
        let identifier = |item: Option<&Item>, payload| {
            item?.at(&[payload, tag::UNIQUE_IDENTIFIER])?.text().map(str::to_owned)
        };
        self.object = identifier(Some(actual), tag::RESPONSE_PAYLOAD)
            .or_else(|| identifier(asked, tag::REQUEST_PAYLOAD));
        let object = self.object.as_ref().and_then(|identifier| self.objects.0.get(identifier));
        self.since = object.map_or(self.sent.began, |object| object.since);
        self.facts = self.sent.facts(asked, Some(expected), object);
        self.facts.fed_back = self.sent.fed_back.get(index).copied().unwrap_or(false);
    }

    fn inside(&mut self, expected: &'b Item, actual: &'b Item) -> Result<(), Difference> {
        let is_set = self.frees(expected, |freedom| freedom == Freedom::MoreInside);
        self.expected_around.push(expected);
        self.actual_around.push(actual);
        let result = if is_set {
            let all = |item: &'b Item| item.children().iter().collect::<Vec<_>>();
            self.set(&all(expected), &all(actual))
        } else {
            self.sequence(expected, actual)
        };
        self.expected_around.pop();
        self.actual_around.pop();
        result
    }

    /// The same items in the same order, apart from lists and from what may be there or not.
    fn sequence(&mut self, expected: &'b Item, actual: &'b Item) -> Result<(), Difference> {
        let expected_parts = self.parts(expected, &self.expected_around, None);
        let actual_parts = self.parts(actual, &self.actual_around, Some(&expected_parts));
        let mut actual_parts = actual_parts.iter();
        for part in &expected_parts {
            match (part, actual_parts.next()) {
                (Part::One(expected), Some(Part::One(actual))) if expected.tag == actual.tag => {
                    self.item(expected, actual)?;
                }
                (Part::List(tag, freedom, expected), Some(Part::List(actual_tag, _, actual)))
                    if tag == actual_tag =>
                {
                    if *freedom == Freedom::More {
                        self.set(expected, actual)?;
                    }
                }
                (_, found) => {
                    let found = found.map_or("nothing".to_owned(), |part| self.describe(part));
                    return Err(self.difference(name(part.tag()), found));
                }
            }
        }
        match actual_parts.next() {
            None => Ok(()),
            Some(part) => Err(self.difference("nothing more".to_owned(), self.describe(part))),
        }
    }

    /// Takes a structure apart. Of a response (`printed` is what the case has), what may be added is left out.
    fn parts(&self, structure: &'b Item, around: &[&Item], printed: Option<&[Part<'_>]>) -> Vec<Part<'b>> {
        let is_printed = |tag| printed.is_none_or(|parts| parts.iter().any(|part| part.tag() == tag));
        let freed = |item: &Item, is_wanted: &dyn Fn(Freedom) -> bool| {
            Variation::find(item, around, &self.facts, is_wanted).map(|row| row.freedom)
        };
        let mut parts: Vec<Part<'b>> = Vec::new();
        for item in structure.children() {
            let list = freed(item, &|freedom| matches!(freedom, Freedom::More | Freedom::Others));
            let may_be_added =
                list.is_some() || freed(item, &|freedom| freedom == Freedom::Addition).is_some();
            if freed(item, &|freedom| freedom == Freedom::Presence).is_some()
                || may_be_added && !is_printed(item.tag)
            {
                continue;
            }
            match (list, parts.last_mut()) {
                (Some(_), Some(Part::List(tag, _, items))) if *tag == item.tag => items.push(item),
                (Some(freedom), _) => parts.push(Part::List(item.tag, freedom, vec![item])),
                (None, _) => parts.push(Part::One(item)),
            }
        }
        parts
    }

    /// Each expected item has an equal one; more may be there, but no second answer to what has one answer.
    fn set(&mut self, expected: &[&'b Item], actual: &[&'b Item]) -> Result<(), Difference> {
        let mut left: Vec<&'b Item> = actual.to_vec();
        for wanted in expected {
            let found = self.member(wanted, &left)?;
            left.remove(found);
        }
        let identities: HashSet<_> = expected.iter().map(|item| identity(item)).collect();
        let twice = left.iter().find(|item| !is_multiple(item) && identities.contains(&identity(item)));
        match twice {
            None => Ok(()),
            Some(item) => Err(self.difference(format!("{} once", identity(item)), "it twice".to_owned())),
        }
    }

    /// Where the item equal to `wanted` is.
    fn member(&mut self, wanted: &'b Item, among: &[&'b Item]) -> Result<usize, Difference> {
        let mut first_difference = None;
        for (index, candidate) in
            among.iter().enumerate().filter(|(_, item)| identity(item) == identity(wanted))
        {
            let bindings = self.bindings.clone();
            match self.item(wanted, candidate) {
                Ok(()) => return Ok(index),
                Err(difference) => {
                    *self.bindings = bindings;
                    first_difference.get_or_insert(difference);
                }
            }
        }
        Err(first_difference.unwrap_or_else(|| self.difference(identity(wanted), "no such item".to_owned())))
    }

    fn leaf(&mut self, expected: &'b Item, actual: &'b Item) -> Result<(), Difference> {
        if expected.value.item_type() != actual.value.item_type() {
            return Err(self.difference_in(expected, actual));
        }
        let is_value = |freedom| {
            matches!(
                freedom,
                Freedom::Value(_) | Freedom::FreshValue(_) | Freedom::AnyValue | Freedom::Moment
            )
        };
        let row = Variation::find(expected, &self.expected_around, &self.facts, is_value);
        match row.map(|row| row.freedom) {
            Some(Freedom::AnyValue) => Ok(()),
            Some(Freedom::Moment) => self.moment(expected, actual),
            Some(Freedom::Value(form) | Freedom::FreshValue(form)) => {
                form.admits(&actual.value, &expected.value, &self.actual_around)
                    .map_err(|wanted| self.difference_at(expected, wanted, actual.show(None)))?;
                self.bind(
                    expected,
                    actual,
                    row.is_some_and(|row| matches!(row.freedom, Freedom::FreshValue(_))),
                )
            }
            _ if expected.value.says(&actual.value) => Ok(()),
            _ => Err(self.difference_in(expected, actual)),
        }
    }

    fn bind(&mut self, expected: &Item, actual: &Item, is_fresh: bool) -> Result<(), Difference> {
        let bound = match (&expected.value, &actual.value) {
            (Value::Symbol(_, symbol), value) => self.bindings.bind_symbol(symbol, value).clone(),
            (Value::ByteString(printed), Value::ByteString(bytes)) if is_fresh => {
                self.bindings.rebind_literal(expected.tag, printed, bytes);
                return Ok(());
            }
            (Value::ByteString(printed), Value::ByteString(bytes)) => {
                let bound = self.bindings.bind_literal(expected.tag, printed, self.object.as_deref(), bytes);
                Value::ByteString(bound.to_vec())
            }
            _ => return Ok(()),
        };
        if bound.says(&actual.value) {
            return Ok(());
        }
        let wanted = Item::new(expected.tag, bound).show(None);
        Err(self.difference_at(expected, format!("{wanted}, as before"), actual.show(None)))
    }

    /// A date that the server set lies between the making of the object and now; `$NOW` with an offset, that much beside.
    fn moment(&self, expected: &Item, actual: &Item) -> Result<(), Difference> {
        let offset = match &expected.value {
            Value::Symbol(_, symbol) => seconds_from_now(symbol).unwrap_or(0),
            _ => 0,
        };
        let earliest = self.since + offset - CLOCK_TOLERANCE_SECONDS;
        let latest = self.sent.now + offset + CLOCK_TOLERANCE_SECONDS;
        match actual.value {
            Value::DateTime(seconds) if (earliest..=latest).contains(&seconds) => Ok(()),
            _ => Err(self.difference_at(
                expected,
                format!("a time from {earliest} s to {latest} s"),
                actual.show(None),
            )),
        }
    }

    fn describe(&self, part: &Part<'_>) -> String {
        match part {
            Part::One(item) => {
                format!("{} {}", name(item.tag), item.show(self.actual_around.last().copied()))
            }
            Part::List(tag, _, items) => format!("a list of {} {}", items.len(), name(*tag)),
        }
    }

    fn difference(&self, expected: String, actual: String) -> Difference {
        Difference { path: path(&self.expected_around, None), expected, actual }
    }

    fn difference_at(&self, item: &Item, expected: String, actual: String) -> Difference {
        Difference { path: path(&self.expected_around, Some(item)), expected, actual }
    }

    fn difference_in(&self, expected: &Item, actual: &Item) -> Difference {
        let mut shown = actual.show(self.actual_around.last().copied());
        let types = (expected.value.item_type(), actual.value.item_type());
        if types.0 != types.1 {
            shown = format!("{} {shown}", types.1.name());
        }
        let wanted = expected.show(self.expected_around.last().copied());
        self.difference_at(expected, wanted, shown)
    }
}

/// Why the server says that it failed, where it should not have.
fn excuse(expected: &Item, actual: &Item) -> String {
    let wanted: Vec<_> = expected.all(tag::BATCH_ITEM).map(|item| item.child(tag::RESULT_REASON)).collect();
    let mut failures = actual.all(tag::BATCH_ITEM).enumerate().filter_map(|(index, item)| {
        let reason = item.child(tag::RESULT_REASON)?;
        (wanted.get(index) != Some(&Some(reason))).then_some((item, reason))
    });
    let Some((item, reason)) = failures.next() else { return String::new() };
    match item.child(tag::RESULT_MESSAGE).and_then(Item::text) {
        Some(message) => format!(" ({}: {message})", reason.show(None)),
        None => format!(" ({})", reason.show(None)),
    }
}

fn path(around: &[&Item], last: Option<&Item>) -> String {
    let names: Vec<_> = around.iter().copied().chain(last).map(label).collect();
    names.join("/")
}

/// The name of an item; with it that of the attribute that it is.
fn label(item: &Item) -> String {
    match item.child(tag::ATTRIBUTE_NAME).and_then(Item::text) {
        Some(attribute) if item.tag == tag::ATTRIBUTE => format!("Attribute({attribute})"),
        _ => name(item.tag),
    }
}

/// What tells the members of a set apart before their values are looked at.
fn identity(item: &Item) -> String {
    match (item.tag, item.children()) {
        (tag::ATTRIBUTE, _) => {
            let vendor = item.child(tag::VENDOR_IDENTIFICATION).and_then(Item::text).unwrap_or_default();
            format!("{}{vendor}", label(item))
        }
        (
            tag::ATTRIBUTE_NAME
            | tag::ATTRIBUTE_REFERENCE
            | tag::OPERATION
            | tag::OBJECT_TYPE
            | tag::PROTOCOL_VERSION,
            _,
        ) => {
            format!("{} {}", name(item.tag), item.show(None))
        }
        _ => name(item.tag),
    }
}

fn is_multiple(item: &Item) -> bool {
    let attribute = item.child(tag::ATTRIBUTE_VALUE).map(|value| value.meaning(Some(item)));
    MULTIPLE.contains(&attribute.unwrap_or(item.tag))
}

fn operation(batch_item: &Item) -> Option<Operation> {
    batch_item.child(tag::OPERATION)?.enumeration().and_then(Operation::from_value)
}

fn object_type(item: &Item) -> Option<ObjectType> {
    item.enumeration().and_then(ObjectType::from_value)
}

/// The first Padding Method in a payload.
fn padding(payload: &Item) -> Option<u32> {
    let mut padding = None;
    payload.walk(None, &mut |item, _| {
        if item.tag == tag::PADDING_METHOD && padding.is_none() {
            padding = item.enumeration();
        }
    });
    padding
}

fn version(request: &Item) -> Option<(i32, i32)> {
    let version = request.at(&[tag::REQUEST_HEADER, tag::PROTOCOL_VERSION])?;
    let number = |tag| version.child(tag).and_then(Item::integer);
    Some((number(tag::PROTOCOL_VERSION_MAJOR)?, number(tag::PROTOCOL_VERSION_MINOR)?))
}
