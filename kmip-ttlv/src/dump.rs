//! A message as people read it in a debug log: names, types and lengths, but nothing that could be a secret.

use std::fmt::{self, Formatter};

use bytes::Bytes;

use crate::dictionary::enumeration_name;
use crate::text::instant::Instant;
use crate::value::{Value, Visitor, walk};
use crate::{Dictionary, Error, Header, Limits, Reader, Tag};

const SHOWN_CHARACTERS: usize = 128;

/// Prints an encoded message as an indented tree, one item a line, without copying it.
///
/// Byte strings and big integers show as their length only, and so do text strings unless
/// [`Dictionary::shows_text`] allows their tag. A malformed message is printed as far as it can be read.
pub struct Dump<'a> {
    message: &'a Bytes,
    dictionary: &'a dyn Dictionary,
    limits: Limits,
}

impl<'a> Dump<'a> {
    /// Prepares the dump of an encoded message. The work is done when it is printed.
    pub fn new(message: &'a Bytes, dictionary: &'a dyn Dictionary, limits: Limits) -> Self {
        Self { message, dictionary, limits }
    }
}

impl fmt::Display for Dump<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let mut printer = Printer { formatter, dictionary: self.dictionary, depth: 0 };
        let outcome = Reader::new(self.message, self.limits)
            .map_err(Stop::from)
            .and_then(|mut reader| walk(&mut reader, self.dictionary, &mut printer));
        match outcome {
            Ok(()) => Ok(()),
            Err(Stop::Malformed(error)) => writeln!(formatter, "malformed: {error}"),
            Err(Stop::Formatter) => Err(fmt::Error),
        }
    }
}

impl fmt::Debug for Dump<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

struct Printer<'a, 'f> {
    formatter: &'a mut Formatter<'f>,
    dictionary: &'a dyn Dictionary,
    depth: usize,
}

impl Printer<'_, '_> {
    fn head(&mut self, header: &Header) -> fmt::Result {
        write!(self.formatter, "{:indent$}", "", indent = self.depth * 2)?;
        match self.dictionary.tag_name(header.tag) {
            Some(name) => write!(self.formatter, "{name} ")?,
            None => write!(self.formatter, "{} ", header.tag)?,
        }
        self.formatter.write_str(header.item_type.name())
    }

    fn print(&mut self, header: &Header, meaning: Tag, value: &Value<'_>) -> fmt::Result {
        self.head(header)?;
        let formatter = &mut *self.formatter;
        match value {
            Value::Integer(number) => writeln!(formatter, " {number}"),
            Value::LongInteger(number) | Value::DateTimeExtended(number) => writeln!(formatter, " {number}"),
            Value::Interval(seconds) => writeln!(formatter, " {seconds}"),
            Value::Boolean(value) => writeln!(formatter, " {value}"),
            Value::DateTime(seconds) => writeln!(formatter, " {}", Instant(*seconds)),
            Value::Enumeration(number) => match enumeration_name(self.dictionary, meaning, *number) {
                Some(name) => writeln!(formatter, " {name}"),
                None => writeln!(formatter, " 0x{number:08x}"),
            },
            Value::TextString(text) if self.dictionary.shows_text(header.tag) => {
                let shown = text.char_indices().nth(SHOWN_CHARACTERS).map_or(*text, |(end, _)| &text[..end]);
                writeln!(formatter, " {shown:?}")
            }
            Value::TextString(_) | Value::ByteString(_) | Value::BigInteger(_) => {
                writeln!(formatter, " ({} bytes)", header.length)
            }
        }
    }
}

impl Visitor for Printer<'_, '_> {
    type Error = Stop;

    fn open(&mut self, header: &Header) -> Result<(), Stop> {
        self.head(header)?;
        writeln!(self.formatter, " ({} bytes)", header.length)?;
        self.depth += 1;
        Ok(())
    }

    fn close(&mut self, _: &Header) -> Result<(), Stop> {
        self.depth -= 1;
        Ok(())
    }

    fn value(&mut self, header: &Header, meaning: Tag, value: Value<'_>) -> Result<(), Stop> {
        Ok(self.print(header, meaning, &value)?)
    }
}

/// Why a dump ends early.
enum Stop {
    Malformed(Error),
    Formatter,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Malformed(error)
    }
}

impl From<fmt::Error> for Stop {
    fn from(_: fmt::Error) -> Self {
        Self::Formatter
    }
}
