//! RFC 7512 URIs, as far as they name one secret key in one token. What is not understood is refused: a key that was
//! chosen by half of its name could be another one.

use std::fmt;
use std::path::PathBuf;

/// Bytes of a URI at most.
const MAXIMUM_BYTES: usize = 1024;

/// Where a key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) token: TokenAddress,
    pub(super) key: KeyName,
}

/// A token, and how to get into it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct TokenAddress {
    pub(super) module: ModuleChoice,
    pub(super) label: String,
    pub(super) serial: Option<String>,
    /// The file that holds the PIN.
    pub(super) pin_source: Option<PathBuf>,
}

/// Which of the modules of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum ModuleChoice {
    Only,
    Name(String),
    Path(PathBuf),
}

/// A key in its token: by label, by identifier or by both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyName {
    pub(super) label: Option<String>,
    pub(super) id: Option<Vec<u8>>,
}

impl fmt::Display for TokenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:?}")
    }
}

/// Reads a URI; says what is wrong with it.
pub(super) fn parse(uri: &str) -> Result<Location, &'static str> {
    let rest = uri.strip_prefix("pkcs11:").ok_or("it is no pkcs11: URI")?;
    if uri.len() > MAXIMUM_BYTES {
        return Err("it is too long");
    }
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut parts = Parts::default();
    for part in path.split(';').filter(|part| !part.is_empty()) {
        parts.take_path(part)?;
    }
    for part in query.split('&').filter(|part| !part.is_empty()) {
        parts.take_query(part)?;
    }
    parts.assemble()
}

#[derive(Default)]
struct Parts {
    token: Option<String>,
    serial: Option<String>,
    object: Option<String>,
    id: Option<Vec<u8>>,
    class: Option<String>,
    module_name: Option<String>,
    module_path: Option<String>,
    pin_source: Option<String>,
}

impl Parts {
    fn take_path(&mut self, part: &str) -> Result<(), &'static str> {
        match split(part)? {
            ("token", value) => put(&mut self.token, text(value)?),
            ("serial", value) => put(&mut self.serial, text(value)?),
            ("object", value) => put(&mut self.object, text(value)?),
            ("id", value) => put(&mut self.id, bytes(value)?),
            ("type", value) => put(&mut self.class, text(value)?),
            _ => Err("of the path, token, serial, object, id and type are understood"),
        }
    }

    fn take_query(&mut self, part: &str) -> Result<(), &'static str> {
        match split(part)? {
            ("module-name", value) => put(&mut self.module_name, text(value)?),
            ("module-path", value) => put(&mut self.module_path, text(value)?),
            ("pin-source", value) => put(&mut self.pin_source, text(value)?),
            ("pin-value", _) => Err("a PIN does not belong into a URI: use pin-source"),
            _ => Err("of the query, module-name, module-path and pin-source are understood"),
        }
    }

    fn assemble(self) -> Result<Location, &'static str> {
        let label = self.token.ok_or("it names no token")?;
        if self.class.is_some_and(|class| class != "secret-key") {
            return Err("its type is not secret-key");
        }
        if self.object.is_none() && self.id.is_none() {
            return Err("it names no key: object or id is needed");
        }
        let module = match (self.module_name, self.module_path) {
            (None, None) => ModuleChoice::Only,
            (Some(name), None) => ModuleChoice::Name(name),
            (None, Some(path)) => ModuleChoice::Path(path.into()),
            _ => return Err("module-name and module-path are alternatives"),
        };
        let pin_source = self.pin_source.as_deref().map(file).transpose()?;
        let token = TokenAddress { module, label, serial: self.serial, pin_source };
        Ok(Location { token, key: KeyName { label: self.object, id: self.id } })
    }
}

/// `file:/path` or `file:///path`.
fn file(uri: &str) -> Result<PathBuf, &'static str> {
    let path = uri.strip_prefix("file:").ok_or("its pin-source is no file: URI")?;
    let path = PathBuf::from(path.strip_prefix("//").unwrap_or(path));
    if path.is_absolute() { Ok(path) } else { Err("its pin-source is no absolute path") }
}

fn split(part: &str) -> Result<(&str, &str), &'static str> {
    part.split_once('=').ok_or("a part of it has no value")
}

fn put<T>(place: &mut Option<T>, value: T) -> Result<(), &'static str> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err("a part of it is there twice"),
    }
}

fn text(value: &str) -> Result<String, &'static str> {
    match String::from_utf8(bytes(value)?) {
        Ok(text) if !text.is_empty() && !text.contains('\0') => Ok(text),
        _ => Err("a value of it is empty or no text"),
    }
}

/// Percent decoding.
fn bytes(value: &str) -> Result<Vec<u8>, &'static str> {
    let mut decoded = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        decoded.push(match first {
            b'%' => {
                let (digits, tail) = rest.split_first_chunk::<2>().ok_or(CUT)?;
                rest = tail;
                let digit =
                    |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(digits[0]).ok_or(CUT)? << 4 | digit(digits[1]).ok_or(CUT)?
            }
            byte => *byte,
        });
    }
    Ok(decoded)
}

const CUT: &str = "a percent sign in it is not followed by two hexadecimal digits";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_whole_uri_is_understood() {
        let uri = "pkcs11:token=Acme%20HSM;serial=0a;object=l1;id=%01%FF;type=secret-key\
                   ?pin-source=file:/etc/pin&module-path=/usr/lib/token.so";
        let Location { token, key } = parse(uri).unwrap();
        assert_eq!((token.label.as_str(), token.serial.as_deref()), ("Acme HSM", Some("0a")));
        assert_eq!(token.module, ModuleChoice::Path("/usr/lib/token.so".into()));
        assert_eq!(token.pin_source, Some("/etc/pin".into()));
        assert_eq!((key.label.as_deref(), key.id.as_deref()), (Some("l1"), Some(&[1, 255][..])));
    }

    #[test]
    fn the_least_is_a_token_and_a_key() {
        let location = parse("pkcs11:token=t;id=%41").unwrap();
        assert_eq!(location.token.module, ModuleChoice::Only);
        assert_eq!(location.key, KeyName { label: None, id: Some(b"A".to_vec()) });
        assert_eq!(
            parse("pkcs11:token=t;object=o?pin-source=file:///p").unwrap().token.pin_source,
            Some("/p".into())
        );
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for uri in [
            "software:x",
            "pkcs11:",
            "pkcs11:token=t",
            "pkcs11:object=o",
            "pkcs11:token=;object=o",
            "pkcs11:token=t;object=o;type=private",
            "pkcs11:token=t;object=o;object=p",
            "pkcs11:token=t;object=%4",
            "pkcs11:token=t;object=%zz",
            "pkcs11:token=t;object=%ff",
            "pkcs11:token=t;object=a%00",
            "pkcs11:token=t;object=o;slot-id=1",
            "pkcs11:token=t;object",
            "pkcs11:token=t;object=o?pin-value=1234",
            "pkcs11:token=t;object=o?pin-source=/p",
            "pkcs11:token=t;object=o?pin-source=file:p",
            "pkcs11:token=t;object=o?pin-source=|cat",
            "pkcs11:token=t;object=o?module-name=a&module-path=/b",
        ] {
            assert!(parse(uri).is_err(), "{uri}");
        }
        assert!(parse(&format!("pkcs11:token=t;object={}", "x".repeat(MAXIMUM_BYTES))).is_err());
    }
}
