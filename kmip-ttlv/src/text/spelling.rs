//! How values are spelled (Profiles 2.1, sections 5.4.1.6 and 5.5.1.6). Reading takes what either form allows;
//! the forms differ in what they write.

use std::fmt::Write as _;

use super::instant::{self, Instant};
use super::{SecretText, TextErrorKind};
use crate::dictionary::{enumeration_name, enumeration_value};
use crate::{Dictionary, SecretBuffer, Tag};

type Spelled<T> = Result<T, TextErrorKind>;

/// A value as it stands in the text. XML knows text only.
pub(crate) enum Scalar<'a> {
    Null,
    Boolean(bool),
    Number(&'a str),
    Text(SecretText<'a>),
}

impl Scalar<'_> {
    fn text(&self) -> Spelled<&str> {
        match self {
            Self::Text(text) => Ok(text),
            _ => Err(TextErrorKind::InvalidValue),
        }
    }

    /// Digits, wherever they stand.
    fn digits(&self) -> Spelled<&str> {
        match self {
            Self::Number(digits) => Ok(digits),
            Self::Text(text) => Ok(text),
            _ => Err(TextErrorKind::InvalidValue),
        }
    }
}

/// A tag by name, or as `0x` and six digits.
pub(crate) fn tag(dictionary: &dyn Dictionary, text: &str) -> Spelled<Tag> {
    let by_number = || fixed_hex(text, 3).and_then(|number| Tag::checked(number as u32));
    let tag = dictionary.tag_by_name(text).or_else(by_number).ok_or(TextErrorKind::UnknownTag)?;
    if tag.is_assignable() { Ok(tag) } else { Err(TextErrorKind::UnknownTag) }
}

/// Decimal, hex, or the names of a mask's bits with spaces or bars between them.
pub(crate) fn integer(dictionary: &dyn Dictionary, meaning: Tag, value: &Scalar<'_>) -> Spelled<i32> {
    let text = value.digits()?;
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    let mut components = text.split([' ', '\t', '\n', '\r', '|']).filter(|name| !name.is_empty()).peekable();
    components.peek().ok_or(TextErrorKind::InvalidValue)?;
    components
        .try_fold(0, |mask, name| {
            let by_number = || fixed_hex(name, 4).map(|bits| bits as u32 as i32);
            Some(mask | dictionary.mask_bits(meaning, name).or_else(by_number)?)
        })
        .ok_or(TextErrorKind::InvalidValue)
}

/// Decimal or hex.
pub(crate) fn long_integer(value: &Scalar<'_>) -> Spelled<i64> {
    let text = value.digits()?;
    let number = text.parse().ok().or_else(|| fixed_hex(text, 8).map(|bits| bits as i64));
    number.ok_or(TextErrorKind::InvalidValue)
}

/// Hex of whole groups of eight bytes, with or without `0x`; in JSON a number, too.
pub(crate) fn big_integer(value: &Scalar<'_>) -> Spelled<SecretBuffer> {
    if let Scalar::Number(digits) = value {
        let number: i64 = digits.parse().map_err(|_| TextErrorKind::InvalidValue)?;
        return Ok(SecretBuffer::from(number.to_be_bytes().to_vec()));
    }
    let text = value.text()?;
    let bytes = hex(text.strip_prefix("0x").unwrap_or(text))?;
    if bytes.is_empty() || !bytes.len().is_multiple_of(8) {
        return Err(TextErrorKind::InvalidValue);
    }
    Ok(bytes)
}

/// A name, hex, or in JSON a number.
pub(crate) fn enumeration(dictionary: &dyn Dictionary, meaning: Tag, value: &Scalar<'_>) -> Spelled<u32> {
    let number = match value {
        Scalar::Number(digits) => digits.parse().ok(),
        _ => {
            let text = value.text()?;
            let by_number = || fixed_hex(text, 4).map(|number| number as u32);
            enumeration_value(dictionary, meaning, text).or_else(by_number)
        }
    };
    number.ok_or(TextErrorKind::InvalidValue)
}

/// `true` or `false`, as XML Schema also `1` or `0`, as JSON also hex.
pub(crate) fn boolean(value: &Scalar<'_>) -> Spelled<bool> {
    match value {
        Scalar::Boolean(value) => Ok(*value),
        Scalar::Text(text) => match &**text {
            "true" | "1" | "0x0000000000000001" => Ok(true),
            "false" | "0" | "0x0000000000000000" => Ok(false),
            _ => Err(TextErrorKind::InvalidValue),
        },
        _ => Err(TextErrorKind::InvalidValue),
    }
}

/// Text, as it is.
pub(crate) fn text_string<'a>(value: &'a Scalar<'_>) -> Spelled<&'a str> {
    value.text()
}

/// Hex without `0x`.
pub(crate) fn byte_string(value: &Scalar<'_>) -> Spelled<SecretBuffer> {
    hex(value.text()?)
}

/// A date with a time zone, or hex.
pub(crate) fn date_time(value: &Scalar<'_>) -> Spelled<i64> {
    let text = value.text()?;
    let seconds = instant::parse(text).or_else(|| fixed_hex(text, 8).map(|bits| bits as i64));
    seconds.ok_or(TextErrorKind::InvalidValue)
}

/// Decimal or hex, not negative.
pub(crate) fn interval(value: &Scalar<'_>) -> Spelled<u32> {
    let text = value.digits()?;
    let seconds = text.parse().ok().or_else(|| fixed_hex(text, 4).map(|bits| bits as u32));
    seconds.ok_or(TextErrorKind::InvalidValue)
}

/// Writes the name of an enumeration's value, or its number in hex.
pub(crate) fn write_enumeration(
    out: &mut SecretBuffer,
    dictionary: &dyn Dictionary,
    meaning: Tag,
    value: u32,
) {
    match enumeration_name(dictionary, meaning, value) {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        None => write_number(out, format_args!("0x{value:08x}")),
    }
}

/// Writes the names of a mask's bits, the unnamed ones in hex, and says whether the tag holds a mask at all.
pub(crate) fn write_mask(
    out: &mut SecretBuffer,
    dictionary: &dyn Dictionary,
    meaning: Tag,
    value: i32,
    separator: &str,
) -> bool {
    let bits = || (0..i32::BITS).map(|shift| 1_i32 << shift).filter(|bit| value & bit != 0);
    let names = || bits().filter_map(|bit| dictionary.mask_name(meaning, bit));
    let unnamed =
        bits().filter(|bit| dictionary.mask_name(meaning, *bit).is_none()).fold(0, |mask, bit| mask | bit);
    for (position, name) in names().enumerate() {
        let before = if position == 0 { "" } else { separator };
        write_number(out, format_args!("{before}{name}"));
    }
    let named = names().next().is_some();
    if named && unnamed != 0 {
        write_number(out, format_args!("{separator}0x{unnamed:08x}"));
    }
    named
}

/// Writes a date, or hex where the year does not have four digits.
pub(crate) fn write_date_time(out: &mut SecretBuffer, seconds: i64) {
    write_number(out, format_args!("{}", Instant(seconds)));
}

/// Writes hex without `0x`.
pub(crate) fn write_hex(out: &mut SecretBuffer, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0x0F)]]);
    }
}

/// Writes a number that was formatted.
pub(crate) fn write_number(out: &mut SecretBuffer, number: std::fmt::Arguments<'_>) {
    out.write_fmt(number).expect("a buffer takes all text");
}

/// `0x` and exactly two digits a byte, as the specification wants of numbers with a fixed width.
fn fixed_hex(text: &str, bytes: usize) -> Option<u64> {
    let digits = text.strip_prefix("0x")?;
    let plain = digits.len() == bytes * 2 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if plain { u64::from_str_radix(digits, 16).ok() } else { None }
}

fn hex(digits: &str) -> Spelled<SecretBuffer> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return Err(TextErrorKind::InvalidValue);
    }
    let mut bytes = SecretBuffer::with_capacity(pairs.len());
    for [high, low] in pairs {
        bytes.push(hex_digit(*high)? << 4 | hex_digit(*low)?);
    }
    Ok(bytes)
}

fn hex_digit(digit: u8) -> Spelled<u8> {
    let value = char::from(digit).to_digit(16).ok_or(TextErrorKind::InvalidValue)?;
    Ok(value as u8)
}
