//! From a verified peer to the tenant and principal it acts for: a rule that the operator configures.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use bytestring::ByteString;
use serde::{Deserialize, Deserializer};
use thiserror::Error;

use crate::Peer;

/// A name longer than this is refused, in bytes.
const LONGEST_NAME: usize = 255;

/// Who a peer acts for. Made once a connection: its names are shared, not copied, by each request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The tenant, if the certificate names one.
    pub tenant: Option<ByteString>,
    /// The principal within the tenant.
    pub principal: ByteString,
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tenant {
            Some(tenant) => write!(formatter, "{tenant}/{}", self.principal),
            None => write!(formatter, "{}", self.principal),
        }
    }
}

/// Where in a certificate the tenant and the principal stand. The default: the tenant is the subject's organizational unit, the
/// principal its common name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IdentityRule {
    /// Where the tenant stands. A certificate without it belongs to no tenant.
    pub tenant: IdentitySource,
    /// Where the principal stands. A certificate without it is refused.
    pub principal: IdentitySource,
}

impl Default for IdentityRule {
    fn default() -> Self {
        Self { tenant: IdentitySource::OrganizationalUnit, principal: IdentitySource::CommonName }
    }
}

/// One place in a certificate. In configuration: `"organizational-unit"`, `"common-name"`, `"none"`, or `"uri:"` with a pattern.
///
/// A pattern is a URI whose path segments are literal, `*` for any one segment, or `{}` for the segment that is taken; exactly one
/// is taken. `uri:spiffe://example.org/{}/gateway/*` takes `acme` from `spiffe://example.org/acme/gateway/7`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentitySource {
    /// Nowhere: nothing is taken.
    None,
    /// The subject's common name.
    CommonName,
    /// The subject's organizational unit.
    OrganizationalUnit,
    /// A segment of a URI among the subject's alternative names.
    Uri(UriPattern),
}

/// The pattern of an [`IdentitySource::Uri`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UriPattern {
    segments: Vec<String>,
}

/// Why a peer has no identity, or a rule cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The certificate has several values where one decides.
    #[error("the certificate has {count} values for its {part} ({place}): one must decide")]
    Ambiguous {
        /// Tenant or principal.
        part: &'static str,
        /// Where they stand.
        place: &'static str,
        /// How many there are.
        count: usize,
    },
    /// The certificate does not name a principal.
    #[error("the certificate names no principal ({place})")]
    NoPrincipal {
        /// Where it was looked for.
        place: &'static str,
    },
    /// A name is empty or too long.
    #[error("the {part} in the certificate ({place}) is empty or longer than {LONGEST_NAME} bytes")]
    UnfitName {
        /// Tenant or principal.
        part: &'static str,
        /// Where it stands.
        place: &'static str,
    },
    /// The text of a source is none of those known.
    #[error(
        "\"{0}\" is no source of an identity: use \"organizational-unit\", \"common-name\", \"none\" or \
         \"uri:scheme://authority/path\" with one segment {{}}"
    )]
    UnknownSource(String),
}

impl IdentityRule {
    /// Decides who a peer acts for.
    ///
    /// # Errors
    /// Several values where one must decide, no principal, or a name that is empty or too long. Nothing is guessed.
    pub fn identify(&self, peer: &Peer) -> Result<Identity, IdentityError> {
        let tenant = self.tenant.take(peer, "tenant")?;
        let principal = self.principal.take(peer, "principal")?;
        let place = self.principal.place();
        Ok(Identity { tenant, principal: principal.ok_or(IdentityError::NoPrincipal { place })? })
    }
}

impl IdentitySource {
    fn take(&self, peer: &Peer, part: &'static str) -> Result<Option<ByteString>, IdentityError> {
        let place = self.place();
        let values = self.values(peer);
        match values.as_slice() {
            [] => Ok(None),
            [value] if value.is_empty() || value.len() > LONGEST_NAME => {
                Err(IdentityError::UnfitName { part, place })
            }
            [value] => Ok(Some(ByteString::from(*value))),
            several => Err(IdentityError::Ambiguous { part, place, count: several.len() }),
        }
    }

    fn values<'a>(&self, peer: &'a Peer) -> Vec<&'a str> {
        match self {
            Self::None => Vec::new(),
            Self::CommonName => peer.common_names.iter().map(String::as_str).collect(),
            Self::OrganizationalUnit => peer.organizational_units.iter().map(String::as_str).collect(),
            Self::Uri(pattern) => peer.uris.iter().filter_map(|uri| pattern.capture(uri)).collect(),
        }
    }

    fn place(&self) -> &'static str {
        match self {
            Self::None => "nowhere",
            Self::CommonName => "common name",
            Self::OrganizationalUnit => "organizational unit",
            Self::Uri(_) => "URI",
        }
    }
}

impl UriPattern {
    fn parse(text: &str) -> Option<Self> {
        let segments: Vec<String> = text.split('/').map(str::to_owned).collect();
        let taken = segments.iter().filter(|segment| *segment == "{}").count();
        let has_authority = segments.len() > 3 && segments[0].ends_with(':') && segments[1].is_empty();
        (taken == 1 && has_authority).then_some(Self { segments })
    }

    fn capture<'a>(&self, uri: &'a str) -> Option<&'a str> {
        let mut found = None;
        let mut segments = uri.split('/');
        for expected in &self.segments {
            let segment = segments.next()?;
            match expected.as_str() {
                "{}" => found = Some(segment),
                "*" => {}
                literal if literal == segment => {}
                _ => return None,
            }
        }
        if segments.next().is_none() { found } else { None }
    }
}

impl FromStr for IdentitySource {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let unknown = || IdentityError::UnknownSource(text.to_owned());
        match text {
            "none" => Ok(Self::None),
            "common-name" => Ok(Self::CommonName),
            "organizational-unit" => Ok(Self::OrganizationalUnit),
            _ => {
                let pattern = text.strip_prefix("uri:").ok_or_else(unknown)?;
                UriPattern::parse(pattern).map(Self::Uri).ok_or_else(unknown)
            }
        }
    }
}

impl<'de> Deserialize<'de> for IdentitySource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn peer(common_names: &[&str], units: &[&str], uris: &[&str]) -> Peer {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Peer {
            common_names: owned(common_names),
            organizational_units: owned(units),
            uris: owned(uris),
            dns_names: Vec::new(),
            fingerprint: String::new(),
            remote_address: ([127, 0, 0, 1], 1).into(),
        }
    }

    fn identity(tenant: Option<&str>, principal: &str) -> Identity {
        Identity { tenant: tenant.map(ByteString::from), principal: principal.into() }
    }

    #[test]
    fn the_default_takes_the_unit_and_the_common_name() {
        let rule = IdentityRule::default();
        assert_eq!(rule.identify(&peer(&["app"], &["acme"], &[])).unwrap(), identity(Some("acme"), "app"));
        assert_eq!(rule.identify(&peer(&["operator"], &[], &[])).unwrap(), identity(None, "operator"));
    }

    #[test]
    fn several_units_are_refused_rather_than_one_picked() {
        let refused = IdentityRule::default().identify(&peer(&["app"], &["acme", "globex"], &[]));
        let place = "organizational unit";
        assert_eq!(refused, Err(IdentityError::Ambiguous { part: "tenant", place, count: 2 }));
    }

    #[test]
    fn a_missing_or_unfit_principal_is_refused() {
        let rule = IdentityRule::default();
        assert_eq!(
            rule.identify(&peer(&[], &["acme"], &[])),
            Err(IdentityError::NoPrincipal { place: "common name" })
        );
        let long = "x".repeat(256);
        for unfit in ["", long.as_str()] {
            let error = rule.identify(&peer(&[unfit], &[], &[])).unwrap_err();
            assert_eq!(error, IdentityError::UnfitName { part: "principal", place: "common name" });
        }
    }

    #[test]
    fn uris_are_taken_apart_by_segments() {
        let rule: IdentityRule = toml::from_str(
            "tenant = \"uri:spiffe://example.org/{}/gateway/*\"\n\
             principal = \"uri:spiffe://example.org/*/gateway/{}\"",
        )
        .unwrap();
        let uris = ["https://example.org/other", "spiffe://example.org/acme/gateway/7"];
        assert_eq!(rule.identify(&peer(&[], &[], &uris)).unwrap(), identity(Some("acme"), "7"));
        for other in [
            "spiffe://evil.org/acme/gateway/7",
            "spiffe://example.org/acme/gateway/7/8",
            "spiffe://example.org/acme/gateway",
            "spiffe://example.org.evil.org/acme/gateway/7",
        ] {
            assert!(rule.identify(&peer(&[], &[], &[other])).is_err(), "{other}");
        }
    }

    #[test]
    fn sources_that_mean_nothing_are_refused() {
        for text in ["", "ou", "uri:", "uri:spiffe://example.org/acme", "uri:spiffe://x/{}/{}", "uri:/a/b/{}"]
        {
            assert_eq!(text.parse::<IdentitySource>(), Err(IdentityError::UnknownSource(text.to_owned())));
        }
        assert!(toml::from_str::<IdentityRule>("tenants = \"none\"").is_err());
    }
}
