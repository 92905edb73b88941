//! Protocol versions as data: what is known since when (and until when).

use std::fmt;

/// A protocol version (KMIP 2.1 section 8.14).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Protocol Version Major.
    pub major: i32,
    /// Protocol Version Minor.
    pub minor: i32,
}

impl Version {
    const fn new(major: i32, minor: i32) -> Self {
        Self { major, minor }
    }

    /// Whether this is one of the versions that Krypton speaks.
    pub fn is_supported(self) -> bool {
        SUPPORTED.contains(&self)
    }

    /// Whether attributes are spelled as tagged children of `Attributes` (2.x) rather than as names in
    /// `Attribute` structures (1.x).
    pub const fn tags_attributes(self) -> bool {
        self.major >= 2
    }

    const fn is_before(self, other: Self) -> bool {
        self.major < other.major || self.major == other.major && self.minor < other.minor
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// KMIP 1.0
pub const V1_0: Version = Version::new(1, 0);
/// KMIP 1.1
pub const V1_1: Version = Version::new(1, 1);
/// KMIP 1.2
pub const V1_2: Version = Version::new(1, 2);
/// KMIP 1.3
pub const V1_3: Version = Version::new(1, 3);
/// KMIP 1.4
pub const V1_4: Version = Version::new(1, 4);
/// KMIP 2.0
pub const V2_0: Version = Version::new(2, 0);
/// KMIP 2.1
pub const V2_1: Version = Version::new(2, 1);

/// The version of records at rest: spells as the newest one does, and knows everything that any version ever did.
pub const AT_REST: Version = Version::new(i32::MAX, 0);

/// The versions that Krypton speaks, the preferred one first (as Discover Versions answers them).
pub const SUPPORTED: &[Version] = &[V2_1, V2_0, V1_4, V1_3, V1_2, V1_1, V1_0];

/// The versions that know something: from a first one on, and up to a last one if it was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since {
    /// The first version that knows it.
    pub first: Version,
    /// The last version that knows it; `None` if it is still known.
    pub last: Option<Version>,
}

impl Since {
    /// `&[first]` or `&[first, last]`, as the tables write it.
    pub const fn new(bounds: &[Version]) -> Self {
        Self { first: bounds[0], last: if bounds.len() > 1 { Some(bounds[1]) } else { None } }
    }

    /// Whether `version` knows it.
    pub const fn knows(self, version: Version) -> bool {
        !version.is_before(self.first)
            && match self.last {
                Some(last) => !last.is_before(version) || version.major == AT_REST.major,
                None => true,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_inclusive() {
        let dropped = Since::new(&[V1_1, V1_4]);
        let known: Vec<_> = SUPPORTED.iter().rev().map(|version| dropped.knows(*version)).collect();
        assert_eq!(known, [false, true, true, true, true, false, false]);
        assert!(Since::new(&[V1_0]).knows(V2_1));
        assert!(dropped.knows(AT_REST) && !AT_REST.is_supported());
    }
}
