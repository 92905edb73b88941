//! How policies travel: a signed note (<https://c2sp.org/signed-note>) of headquarters. Its text is
//!
//! ```text
//! krypton-policy v1
//! version: 7
//! regions: eu-1 eu-2
//! not-before: 2026-12-01T00:00:00Z
//! not-after: 2027-12-01T00:00:00Z
//!
//! permit (principal, action, resource in Krypton::Tenant::"acme");
//! ```
//!
//! The last two lines of the head may be left out; `regions: *` is all of them. The policies begin after the first empty line.

use std::fmt::Write as _;

use key_service::audit_log::{NoteError, SigningKey, VerifierKey};
use key_service::crypto::sha256;
use thiserror::Error;

use crate::instant::{format_instant, parse_instant};

/// Bytes of a bundle at most, its signatures included: it has to fit into one message of KMIP.
pub const MAXIMUM_BUNDLE_BYTES: usize = 768 * 1024;

const FIRST_LINE: &str = "krypton-policy v1";
const ALL_REGIONS: &str = "*";

/// Why a bundle is refused. Its words are for headquarters and operators.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BundleError {
    /// Longer than any bundle.
    #[error("the bundle has more than {MAXIMUM_BUNDLE_BYTES} bytes")]
    TooLong,
    /// No signature of a trusted key.
    #[error("the bundle is not signed by a trusted key")]
    NotTrusted,
    /// A signature of a trusted key that does not fit, or no signed note at all.
    #[error("the bundle does not verify: {0}")]
    Unverified(NoteError),
    /// The head of the text.
    #[error("line {line} of the bundle: {problem}")]
    Head {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A signed note cannot hold the character.
    #[error("line {line} has a tab or another control character, which a signed text cannot have")]
    ControlCharacter {
        /// The line of the policies, from 1.
        line: usize,
    },
}

/// The head of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its number: a Core takes only a higher one than it has.
    pub version: u64,
    /// The regions that it is for; `*` is all.
    pub regions: Vec<String>,
    /// Seconds since 1970 before which it is not taken.
    pub not_before: Option<i64>,
    /// Seconds since 1970 from which it permits nothing any more.
    pub not_after: Option<i64>,
}

/// A bundle whose signature has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The head.
    pub header: Header,
    /// The policies, in Cedar.
    pub policies: String,
    /// The bundle as it came: text and signatures.
    pub note: String,
    /// The name of the trusted key that signed it.
    pub signer: String,
    /// SHA-256 of the signed text, in hexadecimal digits. Signatures do not count.
    pub digest: String,
}

impl Bundle {
    /// Reads a bundle that one of the `trusted` keys has signed.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn open(note: &str, trusted: &[VerifierKey]) -> Result<Self, BundleError> {
        if note.len() > MAXIMUM_BUNDLE_BYTES {
            return Err(BundleError::TooLong);
        }
        let mut refused = BundleError::NotTrusted;
        for key in trusted {
            match key.open_within(note, MAXIMUM_BUNDLE_BYTES) {
                Ok(text) => return Self::read(text, note, key.name()),
                Err(NoteError::NotSigned) => (),
                Err(error) => refused = BundleError::Unverified(error),
            }
        }
        Err(refused)
    }

    /// Head and policies of a bundle whose signature nobody has looked at: for trying policies, never for using them.
    ///
    /// # Errors
    /// If it is no bundle.
    pub fn unverified(note: &str) -> Result<(Header, String), BundleError> {
        let end = note.rfind("\n\n").ok_or(BundleError::Unverified(NoteError::Malformed))?;
        let (header, policies) = Header::read(&note[..=end])?;
        Ok((header, policies.to_owned()))
    }

    fn read(text: &str, note: &str, signer: &str) -> Result<Self, BundleError> {
        let (header, policies) = Header::read(text)?;
        let digest = sha256(text.as_bytes()).iter().fold(String::new(), |mut digits, byte| {
            // Writing to a string does not fail.
            let _ = write!(digits, "{byte:02x}");
            digits
        });
        let (policies, note) = (policies.to_owned(), note.to_owned());
        Ok(Self { header, policies, note, signer: signer.to_owned(), digest })
    }

    /// Signs policies.
    ///
    /// # Errors
    /// If the text cannot be signed.
    pub fn sign(header: &Header, policies: &str, key: &SigningKey) -> Result<String, BundleError> {
        let is_control = |line: &str| line.contains(|c: char| c < ' ');
        if let Some(line) = policies.lines().position(is_control) {
            return Err(BundleError::ControlCharacter { line: line + 1 });
        }
        let policies: String = policies.lines().flat_map(|line| [line, "\n"]).collect();
        let text = format!("{}\n{policies}", header.text());
        let note = key.sign(&text).map_err(BundleError::Unverified)?;
        // Read back, so that nothing is signed that no Core reads.
        Self::open(&note, std::slice::from_ref(key.verifier()))?;
        Ok(note)
    }
}

impl Header {
    /// Whether it is for a region.
    pub fn is_for(&self, region: &str) -> bool {
        self.regions.iter().any(|named| named == region || named == ALL_REGIONS)
    }

    fn text(&self) -> String {
        let mut text =
            format!("{FIRST_LINE}\nversion: {}\nregions: {}\n", self.version, self.regions.join(" "));
        for (name, instant) in [("not-before", self.not_before), ("not-after", self.not_after)] {
            if let Some(instant) = instant {
                text += &format!("{name}: {}\n", format_instant(instant));
            }
        }
        text
    }

    /// The head of a text, and what follows it.
    fn read(text: &str) -> Result<(Self, &str), BundleError> {
        let (head, policies) = text.split_once("\n\n").ok_or(BundleError::Head {
            line: 1,
            problem: "an empty line between head and policies is missing",
        })?;
        let mut lines = head.lines().enumerate().map(|(index, line)| (index + 1, line)).peekable();
        if lines.next() != Some((1, FIRST_LINE)) {
            return Err(BundleError::Head { line: 1, problem: "it is not \"krypton-policy v1\"" });
        }
        let mut field = |name: &str| {
            let (line, text) = *lines.peek()?;
            let value = text.strip_prefix(name)?.strip_prefix(": ")?;
            lines.next();
            Some((line, value))
        };
        let missing = |line, problem| BundleError::Head { line, problem };
        let (line, version) = field("version").ok_or(missing(2, "\"version: NUMBER\" is missing"))?;
        let version = version.parse().ok().filter(|number| *number > 0 && version == u64::to_string(number));
        let version = version.ok_or(missing(line, "the version is a number from 1"))?;
        let (line, regions) = field("regions").ok_or(missing(3, "\"regions: NAME NAME\" is missing"))?;
        let regions: Vec<String> = regions.split(' ').map(str::to_owned).collect();
        if regions.iter().any(String::is_empty) {
            return Err(missing(line, "names of regions are separated by single spaces"));
        }
        let mut instant = |name: &str| match field(name) {
            Some((line, text)) => parse_instant(text)
                .map(Some)
                .ok_or(missing(line, "a point in time is written as 2026-12-01T00:00:00Z")),
            None => Ok(None),
        };
        let (not_before, not_after) = (instant("not-before")?, instant("not-after")?);
        match lines.next() {
            Some((line, _)) => Err(missing(line, "the line is not known, or stands in the wrong place")),
            None => Ok((Self { version, regions, not_before, not_after }, policies)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use key_service::crypto::SystemEntropy;

    use super::*;

    const POLICY: &str = "permit (principal, action, resource);\n\nforbid (principal, action, resource);\n";

    fn key(name: &str) -> SigningKey {
        SigningKey::generate(name, &SystemEntropy::new()).unwrap()
    }

    fn header() -> Header {
        Header {
            version: 7,
            regions: vec!["eu-1".to_owned(), "eu-2".to_owned()],
            not_before: Some(0),
            not_after: Some(1_795_650_746),
        }
    }

    #[test]
    fn what_is_signed_is_read() {
        let key = key("headquarters");
        for header in [header(), Header { not_before: None, not_after: None, ..header() }] {
            let note = Bundle::sign(&header, POLICY, &key).unwrap();
            let bundle = Bundle::open(&note, std::slice::from_ref(key.verifier())).unwrap();
            assert_eq!((&bundle.header, &*bundle.policies), (&header, POLICY));
            assert_eq!(bundle.signer, "headquarters");
            assert_eq!(Bundle::unverified(&note).unwrap(), (header, POLICY.to_owned()));
        }
        assert!(header().is_for("eu-1") && !header().is_for("us-1"));
        assert!(Header { regions: vec!["*".to_owned()], ..header() }.is_for("us-1"));
    }

    #[test]
    fn nothing_else_is_read() {
        let (trusted, other) = (key("headquarters"), key("headquarters"));
        let trust = std::slice::from_ref(trusted.verifier());
        let note = Bundle::sign(&header(), POLICY, &trusted).unwrap();
        let forged = Bundle::sign(&header(), POLICY, &other).unwrap();
        assert_eq!(Bundle::open(&forged, trust), Err(BundleError::NotTrusted));
        assert_eq!(Bundle::open(&note, &[]), Err(BundleError::NotTrusted));
        let changed = note.replace("version: 7", "version: 8");
        assert_eq!(Bundle::open(&changed, trust), Err(BundleError::Unverified(NoteError::BadSignature)));
        assert!(matches!(Bundle::open("permit", trust), Err(BundleError::Unverified(NoteError::Malformed))));
        let long = "x".repeat(MAXIMUM_BUNDLE_BYTES + 1);
        assert_eq!(Bundle::open(&long, trust), Err(BundleError::TooLong));
    }

    #[test]
    fn every_bit_of_the_text_counts() {
        let key = key("headquarters");
        let note = Bundle::sign(&header(), POLICY, &key).unwrap();
        let text = note.rfind("\n\n").unwrap();
        for at in (0..text).filter(|at| note.as_bytes()[*at] != b'\n') {
            let mut bytes = note.clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            assert!(Bundle::open(&changed, std::slice::from_ref(key.verifier())).is_err(), "{at}");
        }
    }

    #[test]
    fn heads_are_judged_line_by_line() {
        let key = key("headquarters");
        let line =
            |text: &str| match Bundle::open(&key.sign(text).unwrap(), std::slice::from_ref(key.verifier())) {
                Err(BundleError::Head { line, .. }) => line,
                other => panic!("{text}: {other:?}"),
            };
        assert_eq!(line("krypton-policy v2\nversion: 1\nregions: *\n\npermit\n"), 1);
        for version in ["0", "07", "-1", "x", ""] {
            assert_eq!(line(&format!("krypton-policy v1\nversion: {version}\nregions: *\n\n\n")), 2);
        }
        assert_eq!(line("krypton-policy v1\nversion: 1\nregions: a  b\n\n\n"), 3);
        assert_eq!(line("krypton-policy v1\nversion: 1\nregions: a\nnot-after: today\n\n\n"), 4);
        assert_eq!(line("krypton-policy v1\nversion: 1\nregions: a\nnot-now: x\n\n\n"), 4);
        assert_eq!(line("krypton-policy v1\nversion: 1\nregions: a\n"), 1);
    }

    #[test]
    fn control_characters_are_found() {
        let signed = Bundle::sign(&header(), "permit\n  (\tprincipal", &key("headquarters"));
        assert_eq!(signed, Err(BundleError::ControlCharacter { line: 2 }));
    }
}
