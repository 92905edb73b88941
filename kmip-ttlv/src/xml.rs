//! The XML form of a message (Profiles 2.1, section 5.4; Additional Message Encodings 1.0, section 6).

mod parse;

use bytes::Bytes;

use crate::text::spelling::{write_date_time, write_enumeration, write_hex, write_mask, write_number};
use crate::text::walk_message;
use crate::value::{Value, Visitor};
use crate::{Dictionary, Header, Limits, SecretBuffer, Tag, TextError, TextErrorKind};

pub use parse::to_ttlv;

/// Elements of tags that have no name are called this and carry the tag as an attribute.
const UNNAMED: &str = "TTLV";

/// Room for a usual message.
const USUAL_TEXT_BYTES: usize = 2048;

/// Writes an encoded message as XML, one element a line. What is written, [`to_ttlv`] reads.
///
/// # Errors
/// What is wrong with the message; [`TextErrorKind::Unrepresentable`] if text holds a control character, which XML
/// cannot write at all.
pub fn from_ttlv(
    message: &Bytes,
    dictionary: &dyn Dictionary,
    limits: Limits,
) -> Result<SecretBuffer, TextError> {
    let mut writer = XmlWriter { dictionary, out: SecretBuffer::with_capacity(USUAL_TEXT_BYTES) };
    walk_message(message, dictionary, limits, &mut writer)?;
    Ok(writer.out)
}

struct XmlWriter<'d> {
    dictionary: &'d dyn Dictionary,
    out: SecretBuffer,
}

impl XmlWriter<'_> {
    fn push(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn begin_element(&mut self, tag: Tag) {
        match self.dictionary.tag_name(tag) {
            Some(name) => write_number(&mut self.out, format_args!("<{name}")),
            None => write_number(&mut self.out, format_args!("<{UNNAMED} tag=\"{tag}\"")),
        }
    }

    fn write_value(&mut self, meaning: Tag, value: &Value<'_>) -> Result<(), TextErrorKind> {
        let out = &mut self.out;
        match value {
            Value::Integer(number) => {
                if !write_mask(out, self.dictionary, meaning, *number, " ") {
                    write_number(out, format_args!("{number}"));
                }
            }
            Value::LongInteger(number) | Value::DateTimeExtended(number) => {
                write_number(out, format_args!("{number}"));
            }
            Value::Interval(seconds) => write_number(out, format_args!("{seconds}")),
            Value::Boolean(value) => write_number(out, format_args!("{value}")),
            Value::Enumeration(number) => write_enumeration(out, self.dictionary, meaning, *number),
            Value::DateTime(seconds) => write_date_time(out, *seconds),
            Value::BigInteger(bytes) | Value::ByteString(bytes) => write_hex(out, bytes),
            Value::TextString(text) => return write_escaped(out, text),
        }
        Ok(())
    }
}

impl Visitor for XmlWriter<'_> {
    type Error = TextError;

    fn open(&mut self, header: &Header) -> Result<(), TextError> {
        self.begin_element(header.tag);
        self.push(if header.length == 0 { "/>\n" } else { ">\n" });
        Ok(())
    }

    fn close(&mut self, header: &Header) -> Result<(), TextError> {
        if header.length > 0 {
            let name = self.dictionary.tag_name(header.tag).unwrap_or(UNNAMED);
            write_number(&mut self.out, format_args!("</{name}>\n"));
        }
        Ok(())
    }

    fn value(&mut self, header: &Header, meaning: Tag, value: Value<'_>) -> Result<(), TextError> {
        self.begin_element(header.tag);
        write_number(&mut self.out, format_args!(" type=\"{}\" value=\"", header.item_type.name()));
        self.write_value(meaning, &value).map_err(|kind| TextError {
            kind,
            offset: header.offset,
            tag: Some(header.tag),
        })?;
        self.push("\"/>\n");
        Ok(())
    }
}

/// White space other than plain spaces is written as a reference, or readers would take it for a space.
fn write_escaped(out: &mut SecretBuffer, text: &str) -> Result<(), TextErrorKind> {
    for piece in text.split_inclusive(needs_escape) {
        let special = piece.chars().next_back().filter(|last| needs_escape(*last));
        let plain = piece.len() - special.map_or(0, char::len_utf8);
        out.extend_from_slice(&piece.as_bytes()[..plain]);
        match special {
            None => {}
            Some('&') => out.extend_from_slice(b"&amp;"),
            Some('<') => out.extend_from_slice(b"&lt;"),
            Some('>') => out.extend_from_slice(b"&gt;"),
            Some('"') => out.extend_from_slice(b"&quot;"),
            Some(space @ ('\t' | '\n' | '\r')) => write_number(out, format_args!("&#{};", u32::from(space))),
            Some(_) => return Err(TextErrorKind::Unrepresentable),
        }
    }
    Ok(())
}

fn needs_escape(character: char) -> bool {
    matches!(character, '&' | '<' | '>' | '"') || character < ' ' || !is_xml(character)
}

/// The characters that XML 1.0 admits (section 2.2).
fn is_xml(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..)
}
