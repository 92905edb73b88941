//! The JSON form of a message (Profiles 2.1, section 5.5; Additional Message Encodings 1.0, section 4).

mod lexer;
mod parse;

use bytes::Bytes;

use crate::text::spelling::{write_date_time, write_enumeration, write_hex, write_mask, write_number};
use crate::text::walk_message;
use crate::value::{Value, Visitor};
use crate::{Dictionary, Header, Limits, SecretBuffer, Tag, TextError};

pub use parse::to_ttlv;

/// Room for a usual message.
const USUAL_TEXT_BYTES: usize = 2048;

/// Writes an encoded message as JSON, one item a line. What is written, [`to_ttlv`] reads.
///
/// Numbers are written in hex of their full width, as the published exchanges do: exact beyond 2^52, too.
///
/// # Errors
/// What is wrong with the message.
pub fn from_ttlv(
    message: &Bytes,
    dictionary: &dyn Dictionary,
    limits: Limits,
) -> Result<SecretBuffer, TextError> {
    let mut writer =
        JsonWriter { dictionary, out: SecretBuffer::with_capacity(USUAL_TEXT_BYTES), place: Place::Root };
    walk_message(message, dictionary, limits, &mut writer)?;
    Ok(writer.out)
}

/// What stands in front of the next item.
enum Place {
    Root,
    FirstInside,
    AfterAnother,
}

struct JsonWriter<'d> {
    dictionary: &'d dyn Dictionary,
    out: SecretBuffer,
    place: Place,
}

impl JsonWriter<'_> {
    fn push(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn begin_object(&mut self, tag: Tag) {
        self.push(match self.place {
            Place::Root => "",
            Place::FirstInside => "\n",
            Place::AfterAnother => ",\n",
        });
        match self.dictionary.tag_name(tag) {
            Some(name) => write_number(&mut self.out, format_args!("{{\"tag\":\"{name}\", ")),
            None => write_number(&mut self.out, format_args!("{{\"tag\":\"{tag}\", ")),
        }
    }

    fn write_value(&mut self, meaning: Tag, value: &Value<'_>) {
        if let Value::Boolean(value) = value {
            return write_number(&mut self.out, format_args!("{value}"));
        }
        self.push("\"");
        self.write_text(meaning, value);
        self.push("\"");
    }

    fn write_text(&mut self, meaning: Tag, value: &Value<'_>) {
        let out = &mut self.out;
        match value {
            Value::Integer(number) => {
                if !write_mask(out, self.dictionary, meaning, *number, "|") {
                    write_number(out, format_args!("0x{number:08x}"));
                }
            }
            Value::LongInteger(number) | Value::DateTimeExtended(number) => {
                write_number(out, format_args!("0x{number:016x}"));
            }
            Value::Interval(seconds) => write_number(out, format_args!("0x{seconds:08x}")),
            Value::Boolean(value) => write_number(out, format_args!("{value}")),
            Value::Enumeration(number) => write_enumeration(out, self.dictionary, meaning, *number),
            Value::DateTime(seconds) => write_date_time(out, *seconds),
            Value::BigInteger(bytes) => {
                out.extend_from_slice(b"0x");
                write_hex(out, bytes);
            }
            Value::ByteString(bytes) => write_hex(out, bytes),
            Value::TextString(text) => write_escaped(out, text),
        }
    }
}

impl Visitor for JsonWriter<'_> {
    type Error = TextError;

    fn open(&mut self, header: &Header) -> Result<(), TextError> {
        self.begin_object(header.tag);
        self.push("\"value\":[");
        self.place = Place::FirstInside;
        Ok(())
    }

    fn close(&mut self, header: &Header) -> Result<(), TextError> {
        self.push(if header.length == 0 { "]}" } else { "\n]}" });
        self.place = Place::AfterAnother;
        Ok(())
    }

    fn value(&mut self, header: &Header, meaning: Tag, value: Value<'_>) -> Result<(), TextError> {
        self.begin_object(header.tag);
        write_number(&mut self.out, format_args!("\"type\":\"{}\", \"value\":", header.item_type.name()));
        self.write_value(meaning, &value);
        self.push("}");
        self.place = Place::AfterAnother;
        Ok(())
    }
}

fn write_escaped(out: &mut SecretBuffer, text: &str) {
    let needs_escape = |character: char| matches!(character, '"' | '\\') || character < ' ';
    for piece in text.split_inclusive(needs_escape) {
        let special = piece.chars().next_back().filter(|last| needs_escape(*last));
        out.extend_from_slice(&piece.as_bytes()[..piece.len() - usize::from(special.is_some())]);
        match special {
            None => {}
            Some(quoted @ ('"' | '\\')) => write_number(out, format_args!("\\{quoted}")),
            Some(control) => write_number(out, format_args!("\\u{:04x}", u32::from(control))),
        }
    }
}
