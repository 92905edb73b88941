//! Entries: an event as one line of canonical JSON (RFC 8785), the bytes that the tree hashes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use crate::port::{Event, Outcome};

/// Bytes of a text of an entry at most; longer ones are cut, and the entry says so.
pub const MAXIMUM_TEXT_BYTES: usize = 512;
/// Details of an entry at most.
pub const MAXIMUM_DETAILS: usize = 12;
/// Bytes of all values of details together at most: one may be long, such as the keys that a revocation closes.
pub const MAXIMUM_DETAIL_BYTES: usize = 5_500;
/// Bytes of a detail's name at most.
pub const MAXIMUM_DETAIL_NAME_BYTES: usize = 64;

/// The version of the form of entries.
const VERSION: u32 = 1;

/// What kind of server a log is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerKind {
    /// The vault.
    Core,
    /// What speaks to applications.
    Gateway,
}

impl ServerKind {
    /// The name in names of other things.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Gateway => "gateway",
        }
    }
}

impl fmt::Display for ServerKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Core => "Core",
            Self::Gateway => "Gateway",
        })
    }
}

/// An event as the log keeps it. Absent fields are left out of the JSON; their order is that of canonical JSON.
///
/// What is read owns its texts; what is written borrows them of the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "Text: Deserialize<'de> + Ord"))]
pub struct Entry<Text = String> {
    /// The client's correlation value.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub client_correlation_value: Option<Text>,
    /// What else is to be remembered, such as the scope of a revocation.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub details: BTreeMap<Text, Text>,
    /// What: the operation's KMIP name.
    pub operation: Text,
    /// `Success`, `Failure`, or `Intent` before what cannot be taken back.
    pub outcome: Text,
    /// Who: the principal within the tenant.
    pub principal: Text,
    /// The KMIP Result Reason of a failure.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<Text>,
    /// What kind of server did it.
    pub server: ServerKind,
    /// The server's correlation value.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub server_correlation_value: Option<Text>,
    /// Who: the tenant of the principal.
    pub tenant: Text,
    /// When, in seconds since 1970.
    pub time: i64,
    /// Whether something was too long and has been cut.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub truncated: bool,
    /// Which object.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unique_identifier: Option<Text>,
    /// The version of this form: 1.
    pub version: u32,
}

impl<'e, Text: From<Cow<'e, str>> + Ord> Entry<Text> {
    /// The entry of an event.
    pub(super) fn new(event: &'e Event, server: ServerKind) -> Self {
        let mut cut = Cut::default();
        let (outcome, reason) = match event.outcome {
            Outcome::Intent => ("Intent", None),
            Outcome::Success => ("Success", None),
            Outcome::Failure(reason) => ("Failure", Some(Text::from(reason.to_string().into()))),
        };
        Self {
            client_correlation_value: cut.optional(event.client_correlation_value.as_ref()),
            details: cut.details(&event.details),
            operation: cut.text(&event.operation),
            outcome: Text::from(outcome.into()),
            principal: cut.text(&event.principal),
            reason,
            server,
            server_correlation_value: cut.optional(event.server_correlation_value.as_ref()),
            tenant: cut.text(&event.tenant),
            time: event.time.0,
            unique_identifier: cut.optional(event.unique_identifier.as_ref()),
            truncated: cut.happened,
            version: VERSION,
        }
    }
}

impl<Text: Serialize> Entry<Text> {
    /// Appends the bytes that are logged.
    pub(super) fn encode(&self, into: &mut Vec<u8>) {
        serde_json::to_writer(into, self).expect("an entry is made of texts and numbers, which JSON has");
    }
}

impl Entry {
    /// Reads an entry.
    ///
    /// # Errors
    /// If the bytes are no entry of this or an older version.
    pub fn decode(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

/// Cuts texts so that no client can make an event too long to be remembered.
#[derive(Default)]
struct Cut {
    happened: bool,
}

impl Cut {
    fn text<'e, Text: From<Cow<'e, str>>>(&mut self, text: &'e str) -> Text {
        self.to(text, MAXIMUM_TEXT_BYTES).into()
    }

    fn optional<'e, Text: From<Cow<'e, str>>>(&mut self, text: Option<&'e ByteString>) -> Option<Text> {
        text.map(|text| self.text(text))
    }

    fn details<'e, Text: From<Cow<'e, str>> + Ord>(
        &mut self,
        details: &'e BTreeMap<ByteString, ByteString>,
    ) -> BTreeMap<Text, Text> {
        self.happened |= details.len() > MAXIMUM_DETAILS;
        let mut room = MAXIMUM_DETAIL_BYTES;
        let kept = details.iter().take(MAXIMUM_DETAILS);
        let kept = kept.map(|(name, value)| {
            let value = self.to(value, room);
            room -= value.len();
            (self.to(name, MAXIMUM_DETAIL_NAME_BYTES).into(), value.into())
        });
        kept.collect()
    }

    fn to<'e>(&mut self, text: &'e str, maximum_bytes: usize) -> Cow<'e, str> {
        if text.len() <= maximum_bytes {
            return text.into();
        }
        self.happened = true;
        let whole = (0..=maximum_bytes).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text[..whole].into()
    }
}
