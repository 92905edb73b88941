//! Reads the JSON form in one pass, whatever the order of an object's properties.

use super::lexer::Lexer;
use crate::text::builder::Builder;
use crate::text::spelling::{self, Scalar};
use crate::text::{SecretText, admit};
use crate::{Dictionary, ItemType, Limits, SecretBuffer, Tag, TextError, TextErrorKind};

type Parsed<T> = Result<T, TextErrorKind>;

/// Reads a message in its JSON form and encodes it as TTLV. [`Limits::message_bytes`] bounds the text as well as the
/// message.
///
/// # Errors
/// What is wrong with the text, and about where. Properties other than `tag`, `name`, `type` and `value` are refused.
pub fn to_ttlv(text: &[u8], dictionary: &dyn Dictionary, limits: Limits) -> Result<SecretBuffer, TextError> {
    let text = admit(text, &limits)?;
    let mut parser =
        Parser { dictionary, lexer: Lexer::new(text), builder: Builder::new(dictionary, limits), tag: None };
    match parser.message() {
        Ok(()) => Ok(parser.builder.finish()),
        Err(kind) => Err(TextError { kind, offset: parser.lexer.position(), tag: parser.tag }),
    }
}

struct Parser<'a, 'd> {
    dictionary: &'d dyn Dictionary,
    lexer: Lexer<'a>,
    builder: Builder<'d>,
    /// The tag read last, for errors.
    tag: Option<Tag>,
}

/// The value of an item whose tag and type may not be known yet.
enum Pending<'a> {
    Scalar(Scalar<'a>),
    /// The builder has its items.
    Structure,
}

/// The properties of an object, as far as they have been read.
#[derive(Default)]
struct Properties<'a> {
    tag: Option<Tag>,
    item_type: Option<ItemType>,
    name: Option<SecretText<'a>>,
    value: Option<Pending<'a>>,
}

impl<'a> Parser<'a, '_> {
    fn message(&mut self) -> Parsed<()> {
        self.item()?;
        match self.lexer.peek() {
            None => Ok(()),
            Some(_) => Err(TextErrorKind::UnexpectedMarkup),
        }
    }

    /// Recursion is bounded: the builder refuses to open structures beyond the limit on depth.
    fn item(&mut self) -> Parsed<()> {
        self.lexer.expect(b'{')?;
        let mut properties = Properties::default();
        if !self.lexer.take(b'}') {
            loop {
                self.property(&mut properties)?;
                if !self.lexer.take(b',') {
                    break;
                }
            }
            self.lexer.expect(b'}')?;
        }
        self.write(properties)
    }

    fn property(&mut self, properties: &mut Properties<'a>) -> Parsed<()> {
        let key = self.lexer.string()?;
        self.lexer.expect(b':')?;
        match &*key {
            "tag" => {
                let tag = spelling::tag(self.dictionary, &self.lexer.string()?)?;
                self.tag = Some(tag);
                once(&mut properties.tag, tag)
            }
            "type" => {
                let item_type =
                    ItemType::from_name(&self.lexer.string()?).ok_or(TextErrorKind::UnknownType)?;
                once(&mut properties.item_type, item_type)
            }
            "name" => once(&mut properties.name, self.lexer.string()?),
            "value" if properties.value.is_some() => Err(TextErrorKind::DuplicateProperty),
            "value" => {
                properties.value = Some(self.value()?);
                Ok(())
            }
            _ => Err(TextErrorKind::UnexpectedMarkup),
        }
    }

    fn value(&mut self) -> Parsed<Pending<'a>> {
        if self.lexer.peek() != Some(b'[') {
            return self.lexer.scalar().map(Pending::Scalar);
        }
        self.builder.begin()?;
        self.lexer.expect(b'[')?;
        if !self.lexer.take(b']') {
            loop {
                self.item()?;
                if !self.lexer.take(b',') {
                    break;
                }
            }
            self.lexer.expect(b']')?;
        }
        Ok(Pending::Structure)
    }

    fn write(&mut self, properties: Properties<'a>) -> Parsed<()> {
        let tag = properties.tag.ok_or(TextErrorKind::MissingTag)?;
        self.tag = Some(tag);
        match (properties.item_type.unwrap_or(ItemType::Structure), properties.value) {
            (ItemType::Structure, Some(Pending::Structure)) => {
                self.builder.end(tag);
                Ok(())
            }
            (ItemType::Structure, None | Some(Pending::Scalar(Scalar::Null))) => {
                self.builder.begin()?;
                self.builder.end(tag);
                Ok(())
            }
            (_, Some(Pending::Structure)) => Err(TextErrorKind::UnexpectedValue),
            (_, None) => Err(TextErrorKind::MissingValue),
            (item_type, Some(Pending::Scalar(value))) => self.builder.leaf(tag, item_type, &value),
        }
    }
}

fn once<T>(place: &mut Option<T>, value: T) -> Parsed<()> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(TextErrorKind::DuplicateProperty),
    }
}
