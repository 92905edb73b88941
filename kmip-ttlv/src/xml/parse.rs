//! Reads the XML form. Document types, and with them all entities but the five of XML itself, are refused.

use quick_xml::events::attributes::Attribute;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader as XmlReader;
use zeroize::Zeroizing;

use super::{UNNAMED, is_xml};
use crate::text::builder::Builder;
use crate::text::spelling::{self, Scalar};
use crate::text::{SecretText, admit};
use crate::{Dictionary, ItemType, Limits, SecretBuffer, Tag, TextError, TextErrorKind};

type Parsed<T> = Result<T, TextErrorKind>;

const BYTE_ORDER_MARK: &str = "\u{FEFF}";

/// Reads a message in its XML form and encodes it as TTLV.
///
/// Prefixes and attributes other than `tag`, `type` and `value` mean nothing. [`Limits::message_bytes`] bounds the
/// text as well as the message.
///
/// # Errors
/// What is wrong with the text, and about where.
pub fn to_ttlv(text: &[u8], dictionary: &dyn Dictionary, limits: Limits) -> Result<SecretBuffer, TextError> {
    let text = admit(text, &limits)?;
    let mut reader = XmlReader::from_str(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text));
    let mut parser = Parser {
        dictionary,
        builder: Builder::new(dictionary, limits),
        open: Vec::new(),
        done: false,
        tag: None,
    };
    loop {
        let offset = usize::try_from(reader.buffer_position()).unwrap_or(text.len());
        let outcome = match reader.read_event() {
            Ok(Event::Eof) if parser.done => return Ok(parser.builder.finish()),
            Ok(event) => parser.event(&event),
            Err(_) => Err(TextErrorKind::Syntax),
        };
        outcome.map_err(|kind| TextError { kind, offset, tag: parser.tag })?;
    }
}

struct Parser<'d> {
    dictionary: &'d dyn Dictionary,
    builder: Builder<'d>,
    /// The elements around here. No longer than the builder allows structures, plus one.
    open: Vec<OpenElement>,
    /// Whether the root element has ended.
    done: bool,
    /// The tag read last, for errors.
    tag: Option<Tag>,
}

struct OpenElement {
    tag: Tag,
    is_structure: bool,
}

impl Parser<'_> {
    fn event(&mut self, event: &Event<'_>) -> Parsed<()> {
        match event {
            Event::Start(element) => self.begin(element),
            Event::Empty(element) => self.begin(element).and_then(|()| self.end()),
            Event::End(_) => self.end(),
            Event::Text(text) if text.trim_ascii().is_empty() => Ok(()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => Ok(()),
            Event::Eof => Err(TextErrorKind::Syntax),
            _ => Err(TextErrorKind::UnexpectedMarkup),
        }
    }

    fn begin(&mut self, element: &BytesStart<'_>) -> Parsed<()> {
        if self.done {
            return Err(TextErrorKind::UnexpectedMarkup);
        }
        if self.open.last().is_some_and(|around| !around.is_structure) {
            return Err(TextErrorKind::UnexpectedValue);
        }
        let properties = Properties::read(element)?;
        let tag = self.tag_of(element, &properties)?;
        self.tag = Some(tag);
        let item_type = properties.item_type()?;
        match (item_type, properties.value) {
            (ItemType::Structure, None) => self.builder.begin()?,
            (ItemType::Structure, Some(_)) => return Err(TextErrorKind::UnexpectedValue),
            (_, None) => return Err(TextErrorKind::MissingValue),
            (_, Some(value)) => self.builder.leaf(tag, item_type, &Scalar::Text(value))?,
        }
        self.open.push(OpenElement { tag, is_structure: item_type == ItemType::Structure });
        Ok(())
    }

    fn end(&mut self) -> Parsed<()> {
        let element = self.open.pop().ok_or(TextErrorKind::Syntax)?;
        if element.is_structure {
            self.builder.end(element.tag);
        }
        self.done = self.open.is_empty();
        Ok(())
    }

    fn tag_of(&self, element: &BytesStart<'_>, properties: &Properties<'_>) -> Parsed<Tag> {
        match (element.local_name().into_inner(), &properties.tag) {
            (UNNAMED, Some(tag)) => spelling::tag(self.dictionary, tag),
            (UNNAMED, None) => Err(TextErrorKind::MissingTag),
            (name, _) => spelling::tag(self.dictionary, name),
        }
    }
}

/// The attributes that mean something. The others are passed over without being kept.
#[derive(Default)]
struct Properties<'a> {
    tag: Option<SecretText<'a>>,
    item_type: Option<SecretText<'a>>,
    value: Option<SecretText<'a>>,
}

impl<'a> Properties<'a> {
    fn read(element: &'a BytesStart<'_>) -> Parsed<Self> {
        let mut properties = Self::default();
        let mut attributes = element.attributes();
        // Its own check for duplicates takes quadratic time.
        for attribute in attributes.with_checks(false) {
            let attribute = attribute.map_err(|_| TextErrorKind::Syntax)?;
            let place = match attribute.key.into_inner() {
                "tag" => &mut properties.tag,
                "type" => &mut properties.item_type,
                "value" => &mut properties.value,
                _ => continue,
            };
            if place.replace(attribute_value(attribute)?).is_some() {
                return Err(TextErrorKind::DuplicateProperty);
            }
        }
        Ok(properties)
    }

    fn item_type(&self) -> Parsed<ItemType> {
        match &self.item_type {
            None => Ok(ItemType::Structure),
            Some(name) => ItemType::from_name(name).ok_or(TextErrorKind::UnknownType),
        }
    }
}

/// The value behind references and white space (XML 1.0, section 3.3.3). A copy is made only where there are any.
fn attribute_value(attribute: Attribute<'_>) -> Parsed<SecretText<'_>> {
    let is_plain = |text: &str| !text.contains(['&', '<', '\t', '\n', '\r']) && text.chars().all(is_xml);
    match attribute.value {
        std::borrow::Cow::Borrowed(raw) if is_plain(raw) => Ok(SecretText::Shared(raw)),
        raw => unescape(&raw).map(SecretText::Owned),
    }
}

fn unescape(raw: &str) -> Parsed<Zeroizing<String>> {
    // References are never shorter than what they stand for, so this does not move.
    let mut text = Zeroizing::new(String::with_capacity(raw.len()));
    let mut rest = raw.chars();
    while let Some(character) = rest.next() {
        text.push(match character {
            '&' => {
                let (reference, after) = rest.as_str().split_once(';').ok_or(TextErrorKind::Syntax)?;
                rest = after.chars();
                dereference(reference)?
            }
            '\r' if rest.as_str().starts_with('\n') => continue,
            '\t' | '\n' | '\r' => ' ',
            '<' => return Err(TextErrorKind::Syntax),
            other if is_xml(other) => other,
            _ => return Err(TextErrorKind::Syntax),
        });
    }
    Ok(text)
}

fn dereference(reference: &str) -> Parsed<char> {
    let number = |digits: &str, radix| {
        let plain = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
        let code = if plain { u32::from_str_radix(digits, radix).ok() } else { None };
        code.and_then(char::from_u32).filter(|character| is_xml(*character)).ok_or(TextErrorKind::Syntax)
    };
    match reference {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => match reference.strip_prefix('#') {
            Some(code) => code.strip_prefix('x').map_or_else(|| number(code, 10), |hex| number(hex, 16)),
            None => Err(TextErrorKind::UnexpectedMarkup),
        },
    }
}
