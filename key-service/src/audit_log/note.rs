//! Signed notes (<https://c2sp.org/signed-note>) with Ed25519, and the text forms of their keys.

use std::fmt;
use std::str::FromStr;

use base64ct::{Base64, Encoding};
use kmip_protocol::enumeration::{CryptographicAlgorithm, KeyFormatType};
use kmip_ttlv::SecretBuffer;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::crypto::{
    CipherParameters, CryptoError, Entropy, PrivateKey, PublicKey, SignatureInput, SystemEntropy, sha256,
};

/// The signature type "Ed25519" of signed notes.
const ED25519: u8 = 1;
const KEY_BYTES: usize = 32;
const KEY_ID_BYTES: usize = 4;
const PRIVATE_KEY_PREFIX: &str = "PRIVATE+KEY+";

/// Notes longer than this are refused unless their kind has a limit of its own: room for 16 signatures of the largest kind, and more.
pub const MAXIMUM_NOTE_BYTES: usize = 128 * 1024;

/// Why a note, or the text of a key, is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoteError {
    /// It is no signed note.
    #[error("this is not a signed note")]
    Malformed,
    /// None of the signatures is of the key that was asked for.
    #[error("the note is not signed by this key")]
    NotSigned,
    /// The signature of the key does not fit the text.
    #[error("the signature does not fit the text of the note")]
    BadSignature,
    /// The name of a key is empty, or has a space, a control character or a plus in it.
    #[error("a name must not be empty nor have spaces, control characters or a plus in it")]
    BadName,
    /// The text of a key is not in the form of signed notes, or its parts do not fit each other.
    #[error("this is not an Ed25519 key in the form of signed notes")]
    BadKey,
    /// The key cannot be made or used.
    #[error("the signing key fails: {0}")]
    Crypto(#[from] CryptoError),
}

/// What verifies notes of one signer. Its text form is `NAME+ID+BASE64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: [u8; KEY_ID_BYTES],
    key: PublicKey,
}

impl VerifierKey {
    /// The name of the signer: for a log, its origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn new(name: &str, key: PublicKey) -> Result<Self, NoteError> {
        if !is_name(name) {
            return Err(NoteError::BadName);
        }
        let encoded = typed(&point(&key)?);
        let digest = sha256(&[name.as_bytes(), b"\n", &encoded[..]].concat());
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&digest[..KEY_ID_BYTES]);
        Ok(Self { name: name.to_owned(), id, key })
    }

    /// The text of a note that this key has signed. Signatures of other keys do not count, neither for nor against.
    ///
    /// # Errors
    /// [`NoteError::Malformed`], [`NoteError::NotSigned`], [`NoteError::BadSignature`].
    pub fn open<'n>(&self, note: &'n str) -> Result<&'n str, NoteError> {
        self.open_within(note, MAXIMUM_NOTE_BYTES)
    }

    /// As [`open`](Self::open), for notes of up to `maximum_bytes`.
    ///
    /// # Errors
    /// [`NoteError::Malformed`], [`NoteError::NotSigned`], [`NoteError::BadSignature`].
    pub fn open_within<'n>(&self, note: &'n str, maximum_bytes: usize) -> Result<&'n str, NoteError> {
        let (text, signatures) = split(note, maximum_bytes)?;
        let mut signed = false;
        for line in signatures.lines() {
            let (name, signature) = signature(line)?;
            if name != self.name || signature[..KEY_ID_BYTES] != self.id {
                continue;
            }
            let input = SignatureInput::Data(text.as_bytes());
            if !self.key.verify(&CipherParameters::default(), input, &signature[KEY_ID_BYTES..])? {
                return Err(NoteError::BadSignature);
            }
            signed = true;
        }
        if signed { Ok(text) } else { Err(NoteError::NotSigned) }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoded = typed(&point(&self.key).map_err(|_| fmt::Error)?);
        let id = u32::from_be_bytes(self.id);
        write!(formatter, "{}+{id:08x}+{}", self.name, Base64::encode_string(&encoded))
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let (name, id, encoded) = key_parts(text)?;
        let encoded = Base64::decode_vec(encoded).map_err(|_| NoteError::BadKey)?;
        let key = public_key(untyped(&encoded)?)?;
        let verifier = Self::new(name, key)?;
        if format!("{:08x}", u32::from_be_bytes(verifier.id)) == id {
            Ok(verifier)
        } else {
            Err(NoteError::BadKey)
        }
    }
}

/// What signs notes. Its text form is `PRIVATE+KEY+NAME+ID+BASE64`, a secret.
#[derive(Debug)]
pub struct SigningKey {
    key: PrivateKey,
    verifier: VerifierKey,
}

impl SigningKey {
    /// A new key.
    ///
    /// # Errors
    /// [`NoteError::BadName`]; [`NoteError::Crypto`] if there is no randomness.
    pub fn generate(name: &str, entropy: &dyn Entropy) -> Result<Self, NoteError> {
        let key = PrivateKey::generate(CryptographicAlgorithm::Ed25519, None, None, entropy)?;
        let verifier = VerifierKey::new(name, key.public_key())?;
        Ok(Self { key, verifier })
    }

    /// A key from its text form.
    ///
    /// # Errors
    /// [`NoteError::BadKey`], [`NoteError::BadName`].
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_prefix(PRIVATE_KEY_PREFIX).ok_or(NoteError::BadKey)?;
        let (name, id, encoded) = key_parts(text)?;
        let encoded = Zeroizing::new(Base64::decode_vec(encoded).map_err(|_| NoteError::BadKey)?);
        let key = PrivateKey::from_scalar(CryptographicAlgorithm::Ed25519, None, untyped(&encoded)?)?;
        let verifier = VerifierKey::new(name, key.public_key())?;
        if format!("{:08x}", u32::from_be_bytes(verifier.id)) != id {
            return Err(NoteError::BadKey);
        }
        Ok(Self { key, verifier })
    }

    /// The text form: a secret.
    ///
    /// # Errors
    /// [`NoteError::Crypto`], never for a key that was made here.
    pub fn encode(&self) -> Result<SecretBuffer, NoteError> {
        let seed = self.key.encode(KeyFormatType::Raw)?;
        let encoded = Zeroizing::new(typed(&seed));
        let base64 = Zeroizing::new(Base64::encode_string(&encoded));
        let mut text = SecretBuffer::new();
        let id = u32::from_be_bytes(self.verifier.id);
        let head = format!("{PRIVATE_KEY_PREFIX}{}+{id:08x}+", self.verifier.name);
        text.extend_from_slice(head.as_bytes());
        text.extend_from_slice(base64.as_bytes());
        text.extend_from_slice(b"\n");
        Ok(text)
    }

    /// The public half.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The note of a text, which must end with a newline.
    ///
    /// # Errors
    /// [`NoteError::Malformed`] if the text cannot be one of a note; [`NoteError::Crypto`].
    pub fn sign(&self, text: &str) -> Result<String, NoteError> {
        if !is_note_text(text) {
            return Err(NoteError::Malformed);
        }
        let input = SignatureInput::Data(text.as_bytes());
        let signature = self.key.sign(&CipherParameters::default(), input, &SystemEntropy::new())?;
        let signature = Base64::encode_string(&[&self.verifier.id[..], &signature].concat());
        Ok(format!("{text}\n\u{2014} {} {signature}\n", self.verifier.name))
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

fn is_note_text(text: &str) -> bool {
    text.ends_with('\n') && !text.contains(|c: char| c < ' ' && c != '\n')
}

/// The text of a note, and its signature lines.
fn split(note: &str, maximum_bytes: usize) -> Result<(&str, &str), NoteError> {
    if note.len() > maximum_bytes || !is_note_text(note) {
        return Err(NoteError::Malformed);
    }
    let at = note.rfind("\n\n").ok_or(NoteError::Malformed)?;
    let (text, signatures) = (&note[..=at], &note[at + 2..]);
    if signatures.is_empty() { Err(NoteError::Malformed) } else { Ok((text, signatures)) }
}

/// The name in a signature line, and its key id and signature.
fn signature(line: &str) -> Result<(&str, Vec<u8>), NoteError> {
    let (name, encoded) = line
        .strip_prefix("\u{2014} ")
        .and_then(|line| line.split_once(' '))
        .filter(|(name, _)| is_name(name))
        .ok_or(NoteError::Malformed)?;
    let signature = Base64::decode_vec(encoded).map_err(|_| NoteError::Malformed)?;
    if signature.len() > KEY_ID_BYTES { Ok((name, signature)) } else { Err(NoteError::Malformed) }
}

fn key_parts(text: &str) -> Result<(&str, &str, &str), NoteError> {
    let mut parts = text.splitn(3, '+');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(name), Some(id), Some(encoded)) => Ok((name, id, encoded)),
        _ => Err(NoteError::BadKey),
    }
}

/// A key after the byte that tells its type.
fn typed(key: &[u8]) -> Vec<u8> {
    [&[ED25519], key].concat()
}

fn untyped(encoded: &[u8]) -> Result<&[u8], NoteError> {
    match encoded.split_first() {
        Some((&ED25519, key)) if key.len() == KEY_BYTES => Ok(key),
        _ => Err(NoteError::BadKey),
    }
}

fn public_key(point: &[u8]) -> Result<PublicKey, NoteError> {
    PublicKey::from_point(CryptographicAlgorithm::Ed25519, None, point).map_err(|_| NoteError::BadKey)
}

fn point(key: &PublicKey) -> Result<Vec<u8>, CryptoError> {
    key.encode(KeyFormatType::Raw)
}
