//! The tokens of JSON (RFC 8259), for a text whose every copy must be zeroized: general parsers keep scratch space.

use zeroize::Zeroizing;

use crate::TextErrorKind;
use crate::text::SecretText;
use crate::text::spelling::Scalar;

type Lexed<T> = Result<T, TextErrorKind>;

pub(super) struct Lexer<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, position: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// The next byte behind white space.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.position..];
        let white = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.position += white;
        rest.get(white).copied()
    }

    /// Takes this byte if it is the next behind white space.
    pub(super) fn take(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.position += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, wanted: u8) -> Lexed<()> {
        if self.take(wanted) { Ok(()) } else { Err(TextErrorKind::Syntax) }
    }

    /// Any value but an array or an object.
    pub(super) fn scalar(&mut self) -> Lexed<Scalar<'a>> {
        match self.peek() {
            Some(b'"') => self.string().map(Scalar::Text),
            Some(b'-' | b'0'..=b'9') => self.number().map(Scalar::Number),
            Some(b't') => self.literal("true", Scalar::Boolean(true)),
            Some(b'f') => self.literal("false", Scalar::Boolean(false)),
            Some(b'n') => self.literal("null", Scalar::Null),
            Some(b'{') => Err(TextErrorKind::UnexpectedValue),
            _ => Err(TextErrorKind::Syntax),
        }
    }

    pub(super) fn string(&mut self) -> Lexed<SecretText<'a>> {
        self.expect(b'"')?;
        let rest = &self.text[self.position..];
        let end = string_end(rest).ok_or(TextErrorKind::Syntax)?;
        self.position += end + 1;
        let raw = &rest[..end];
        if raw.bytes().any(|byte| byte < b' ') {
            return Err(TextErrorKind::Syntax);
        }
        if raw.contains('\\') { unescape(raw).map(SecretText::Owned) } else { Ok(SecretText::Shared(raw)) }
    }

    /// A whole number: no type of ours has fractions.
    fn number(&mut self) -> Lexed<&'a str> {
        let rest = &self.text[self.position..];
        let is_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let number = &rest[..rest.bytes().take_while(is_number).count()];
        self.position += number.len();
        let digits = number.strip_prefix('-').unwrap_or(number);
        let whole = digits.bytes().all(|byte| byte.is_ascii_digit());
        match digits.len() {
            0 => Err(TextErrorKind::Syntax),
            2.. if digits.starts_with('0') && whole => Err(TextErrorKind::Syntax),
            _ if !whole => Err(TextErrorKind::InvalidValue),
            _ => Ok(number),
        }
    }

    fn literal(&mut self, word: &str, value: Scalar<'a>) -> Lexed<Scalar<'a>> {
        if !self.text[self.position..].starts_with(word) {
            return Err(TextErrorKind::Syntax);
        }
        self.position += word.len();
        Ok(value)
    }
}

/// Where the closing quote stands.
fn string_end(text: &str) -> Option<usize> {
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some(at),
            b'\\' => bytes.next().map(|_| ())?,
            _ => {}
        }
    }
    None
}

fn unescape(raw: &str) -> Lexed<Zeroizing<String>> {
    // Escapes are never shorter than what they stand for, so this does not move.
    let mut text = Zeroizing::new(String::with_capacity(raw.len()));
    let mut rest = raw.chars();
    while let Some(character) = rest.next() {
        text.push(match character {
            '\\' => escaped(&mut rest)?,
            other => other,
        });
    }
    Ok(text)
}

fn escaped(rest: &mut std::str::Chars<'_>) -> Lexed<char> {
    Ok(match rest.next() {
        Some(same @ ('"' | '\\' | '/')) => same,
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('u') => return unicode(rest),
        _ => return Err(TextErrorKind::Syntax),
    })
}

/// Four digits; where they are the first half of a surrogate pair, the second half must follow.
fn unicode(rest: &mut std::str::Chars<'_>) -> Lexed<char> {
    let first = code_unit(rest)?;
    let code = match first {
        0xD800..=0xDBFF if rest.as_str().starts_with("\\u") => {
            rest.nth(1);
            match code_unit(rest)? {
                second @ 0xDC00..=0xDFFF => 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00),
                _ => return Err(TextErrorKind::Syntax),
            }
        }
        code => code,
    };
    char::from_u32(code).ok_or(TextErrorKind::Syntax)
}

fn code_unit(rest: &mut std::str::Chars<'_>) -> Lexed<u32> {
    (0..4).try_fold(0, |code, _| {
        let digit = rest.next().and_then(|character| character.to_digit(16)).ok_or(TextErrorKind::Syntax)?;
        Ok(code << 4 | digit)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn string(text: &str) -> Option<String> {
        Lexer::new(text).string().ok().map(|read| read.to_string())
    }

    #[test]
    fn refuses_broken_strings() {
        for text in
            [r#"""#, r#""\"#, r#""\""#, r#""\x""#, r#""\u12""#, r#""\ud800""#, r#""\ud800\u0041""#, "\"\n\""]
        {
            assert_eq!(string(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn reads_strings_as_another_writer_writes_them(text in any::<String>()) {
            prop_assert_eq!(string(&serde_json::to_string(&text).unwrap()), Some(text));
        }

        #[test]
        fn judges_strings_as_another_reader_does(inside in r#"[ -~]{0,8}(\\[ubfnrt"/\\][0-9a-fD]{0,4}){0,3}"#) {
            let text = format!("\"{inside}\"");
            let mut other = serde_json::Deserializer::from_str(&text).into_iter::<String>();
            prop_assert_eq!(string(&text), other.next().unwrap().ok());
        }
    }
}
