//! Split keys (KMIP 2.1 section 13.1): sharing by XOR, and by polynomials over GF(2^8) and GF(2^16).
//!
//! The fields are those of KMIP 2.1: GF(2^8) by x^8+x^4+x^3+x^2+1 (285; 1.x named AES's polynomial), GF(2^16) over it by
//! y^2+y+m. It is a page of code of our own because the libraries for Shamir's scheme know neither GF(2^16) nor the
//! numbering of the parts, and mix randomness of another generation. All arithmetic on shares takes a time that does
//! not depend on them: no tables, no branches.

use kmip_protocol::enumeration::SplitKeyMethod;
use kmip_ttlv::SecretBuffer;

use super::{CryptoError, Entropy};

/// The most parts that a key is split into: GF(2^8) has no more places.
pub const SPLIT_PARTS_LIMIT: usize = 255;

/// Splits `secret` into `parts` shares, of which `threshold` give it back. The n-th share belongs to Key Part
/// Identifier n + 1 and is as long as the secret.
///
/// # Errors
///
/// [`CryptoError::UnsupportedParameters`] for a prime field; [`CryptoError::BadParameters`] unless 2 <= `threshold` <=
/// `parts` <= [`SPLIT_PARTS_LIMIT`], and `threshold` = `parts` for XOR; [`CryptoError::InvalidLength`] for an empty secret, or an
/// odd one with GF(2^16).
pub fn split_secret(
    method: SplitKeyMethod,
    secret: &[u8],
    parts: usize,
    threshold: usize,
    entropy: &dyn Entropy,
) -> Result<Vec<SecretBuffer>, CryptoError> {
    if !(2..=parts).contains(&threshold) || parts > SPLIT_PARTS_LIMIT {
        return Err(CryptoError::BadParameters);
    }
    match method {
        SplitKeyMethod::Xor if threshold != parts => Err(CryptoError::BadParameters),
        SplitKeyMethod::Xor => split_by_xor(secret, parts, entropy),
        SplitKeyMethod::PolynomialSharingGf2_8 => split::<u8>(secret, parts, threshold, entropy),
        SplitKeyMethod::PolynomialSharingGf2_16 => split::<u16>(secret, parts, threshold, entropy),
        _ => Err(CryptoError::UnsupportedParameters),
    }
}

/// Joins shares, each with its Key Part Identifier. There have to be as many as the threshold; all are used, and shares
/// of something else give something else.
///
/// # Errors
///
/// As [`split_secret`]; [`CryptoError::BadParameters`] for a part that is there twice, or an identifier out of range.
pub fn join_secret(method: SplitKeyMethod, shares: &[(usize, &[u8])]) -> Result<SecretBuffer, CryptoError> {
    let Some((_, first)) = shares.first() else { return Err(CryptoError::BadParameters) };
    if first.is_empty() || shares.iter().any(|(_, share)| share.len() != first.len()) {
        return Err(CryptoError::InvalidLength);
    }
    let in_range = |identifier: &usize| (1..=SPLIT_PARTS_LIMIT).contains(identifier);
    for (index, (identifier, _)) in shares.iter().enumerate() {
        let is_twice = shares[..index].iter().any(|(other, _)| other == identifier);
        if is_twice || !in_range(identifier) {
            return Err(CryptoError::BadParameters);
        }
    }
    match method {
        SplitKeyMethod::Xor => Ok(join_by_xor(shares)),
        SplitKeyMethod::PolynomialSharingGf2_8 => join::<u8>(shares),
        SplitKeyMethod::PolynomialSharingGf2_16 => join::<u16>(shares),
        _ => Err(CryptoError::UnsupportedParameters),
    }
}

fn split_by_xor(
    secret: &[u8],
    parts: usize,
    entropy: &dyn Entropy,
) -> Result<Vec<SecretBuffer>, CryptoError> {
    if secret.is_empty() {
        return Err(CryptoError::InvalidLength);
    }
    let mut last = copy(secret);
    let mut shares = Vec::with_capacity(parts);
    for _ in 1..parts {
        let mut share = zeros(secret.len());
        entropy.fill(&mut share)?;
        last.iter_mut().zip(&*share).for_each(|(byte, other)| *byte ^= other);
        shares.push(share);
    }
    shares.push(last);
    Ok(shares)
}

fn join_by_xor(shares: &[(usize, &[u8])]) -> SecretBuffer {
    let mut joined = zeros(shares.first().map_or(0, |(_, share)| share.len()));
    for (_, share) in shares {
        joined.iter_mut().zip(*share).for_each(|(byte, other)| *byte ^= other);
    }
    joined
}

/// Shamir's scheme, piece by piece: the secret and random coefficients make a polynomial, evaluated at each identifier.
fn split<F: Field>(
    secret: &[u8],
    parts: usize,
    threshold: usize,
    entropy: &dyn Entropy,
) -> Result<Vec<SecretBuffer>, CryptoError> {
    if secret.is_empty() || !secret.len().is_multiple_of(F::BYTES) {
        return Err(CryptoError::InvalidLength);
    }
    let mut coefficients = zeros(secret.len() * (threshold - 1));
    entropy.fill(&mut coefficients)?;
    let mut shares: Vec<_> = (0..parts).map(|_| SecretBuffer::with_capacity(secret.len())).collect();
    for (index, share) in shares.iter_mut().enumerate() {
        let x = F::place(index + 1);
        for (piece, constant) in secret.chunks_exact(F::BYTES).enumerate() {
            let own = coefficients[piece * F::BYTES * (threshold - 1)..].chunks_exact(F::BYTES);
            let sum = own.take(threshold - 1).fold(F::ZERO, |sum, term| sum.times(x).plus(F::read(term)));
            sum.times(x).plus(F::read(constant)).write(share);
        }
    }
    Ok(shares)
}

/// Lagrange's interpolation at zero.
fn join<F: Field>(shares: &[(usize, &[u8])]) -> Result<SecretBuffer, CryptoError> {
    let length = shares.first().map_or(0, |(_, share)| share.len());
    if !length.is_multiple_of(F::BYTES) {
        return Err(CryptoError::InvalidLength);
    }
    let weights: Vec<F> = (0..shares.len()).map(|index| weight(shares, index)).collect();
    let mut joined = SecretBuffer::with_capacity(length);
    for at in (0..length).step_by(F::BYTES) {
        let terms = shares.iter().zip(&weights);
        let sum = terms.fold(F::ZERO, |sum, ((_, share), weight)| {
            sum.plus(F::read(&share[at..at + F::BYTES]).times(*weight))
        });
        sum.write(&mut joined);
    }
    Ok(joined)
}

fn weight<F: Field>(shares: &[(usize, &[u8])], index: usize) -> F {
    let own = F::place(shares[index].0);
    let others = shares.iter().enumerate().filter(|(other, _)| *other != index);
    others.fold(F::ONE, |product, (_, (other, _))| {
        let other = F::place(*other);
        product.times(other).times(other.plus(own).inverse())
    })
}

/// A field of characteristic two.
trait Field: Copy {
    const BYTES: usize;
    const ZERO: Self;
    const ONE: Self;
    fn read(bytes: &[u8]) -> Self;
    fn write(self, buffer: &mut SecretBuffer);
    /// The place of a share on the polynomial. Identifiers are below 256.
    fn place(identifier: usize) -> Self;
    fn plus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    fn inverse(self) -> Self;
}

impl Field for u8 {
    const BYTES: usize = 1;
    const ZERO: Self = 0;
    const ONE: Self = 1;

    fn read(bytes: &[u8]) -> Self {
        bytes[0]
    }

    fn write(self, buffer: &mut SecretBuffer) {
        buffer.push(self);
    }

    fn place(identifier: usize) -> Self {
        identifier as u8
    }

    fn plus(self, other: Self) -> Self {
        self ^ other
    }

    fn times(self, other: Self) -> Self {
        /// x^8 = x^4+x^3+x^2+1
        const REDUCTION: u8 = 0x1d;
        let (mut product, mut shifted) = (0, self);
        for bit in 0..8 {
            product ^= shifted & ((other >> bit) & 1).wrapping_neg();
            shifted = (shifted << 1) ^ (REDUCTION & (shifted >> 7).wrapping_neg());
        }
        product
    }

    /// The power 254.
    fn inverse(self) -> Self {
        (1..8)
            .fold((1, self), |(product, power), _| {
                let power = power.times(power);
                (product.times(power), power)
            })
            .0
    }
}

/// uy + v is the bytes u, v.
impl Field for u16 {
    const BYTES: usize = 2;
    const ZERO: Self = 0;
    const ONE: Self = 1;

    fn read(bytes: &[u8]) -> Self {
        Self::from_be_bytes([bytes[0], bytes[1]])
    }

    fn write(self, buffer: &mut SecretBuffer) {
        buffer.extend_from_slice(&self.to_be_bytes());
    }

    fn place(identifier: usize) -> Self {
        identifier as Self
    }

    fn plus(self, other: Self) -> Self {
        self ^ other
    }

    fn times(self, other: Self) -> Self {
        let ([r, s], [u, v]) = (self.to_be_bytes(), other.to_be_bytes());
        let low = s.times(v);
        let high = (r ^ s).times(u ^ v) ^ low;
        Self::from_be_bytes([high, r.times(u).times(M) ^ low])
    }

    fn inverse(self) -> Self {
        let [u, v] = self.to_be_bytes();
        let d = ((u ^ v).times(v) ^ M.times(u.times(u))).inverse();
        Self::from_be_bytes([u.times(d), (u ^ v).times(d)])
    }
}

/// x^5+x^4+x^3+x
const M: u8 = 0x3a;

fn zeros(length: usize) -> SecretBuffer {
    let mut zeros = SecretBuffer::new();
    zeros.resize(length);
    zeros
}

fn copy(bytes: &[u8]) -> SecretBuffer {
    let mut copy = SecretBuffer::with_capacity(bytes.len());
    copy.extend_from_slice(bytes);
    copy
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::SystemEntropy;
    use super::*;
    use proptest::prelude::*;
    use proptest::sample::subsequence;

    use SplitKeyMethod::{PolynomialSharingGf2_8, PolynomialSharingGf2_16, PolynomialSharingPrimeField, Xor};

    #[test]
    fn every_element_has_its_inverse() {
        for element in 1..=u8::MAX {
            assert_eq!(element.times(element.inverse()), 1);
        }
        for element in (1..=u16::MAX).step_by(7) {
            assert_eq!(element.times(element.inverse()), 1, "{element:04x}");
        }
    }

    #[test]
    fn the_field_is_that_of_the_specification() {
        // x^7 times x is x^8, and 285 without its highest bit.
        assert_eq!(0x80u8.times(2), 0x1d);
        // y^2 = y + m
        assert_eq!(0x0100u16.times(0x0100), 0x013a);
    }

    /// 1 + 2x at the places 1 and 2, worked out by hand: 1 + 2 and 1 + 4.
    #[test]
    fn shares_lie_on_the_polynomial() {
        struct Two;
        impl Entropy for Two {
            fn fill(&self, bytes: &mut [u8]) -> Result<(), CryptoError> {
                bytes.fill(2);
                Ok(())
            }
        }
        let shares = split_secret(PolynomialSharingGf2_8, &[1], 2, 2, &Two).unwrap();
        assert_eq!((&*shares[0], &*shares[1]), (&[3][..], &[5][..]));
    }

    #[test]
    fn wrong_requests_are_told_apart() {
        let split = |method, secret: &[u8], parts, threshold| {
            split_secret(method, secret, parts, threshold, &SystemEntropy::new()).unwrap_err()
        };
        for (parts, threshold) in [(1, 1), (3, 4), (3, 1), (256, 2)] {
            let refused = split(PolynomialSharingGf2_8, &[1], parts, threshold);
            assert_eq!(refused, CryptoError::BadParameters);
        }
        assert_eq!(split(Xor, &[1], 3, 2), CryptoError::BadParameters);
        assert_eq!(split(Xor, &[], 2, 2), CryptoError::InvalidLength);
        assert_eq!(split(PolynomialSharingGf2_16, &[1], 2, 2), CryptoError::InvalidLength);
        assert_eq!(split(PolynomialSharingPrimeField, &[1], 2, 2), CryptoError::UnsupportedParameters);
        let join = |shares: &[(usize, &[u8])]| join_secret(PolynomialSharingGf2_8, shares).unwrap_err();
        assert_eq!(join(&[]), CryptoError::BadParameters);
        assert_eq!(join(&[(1, &[1]), (1, &[1])]), CryptoError::BadParameters);
        assert_eq!(join(&[(0, &[1]), (1, &[1])]), CryptoError::BadParameters);
        assert_eq!(join(&[(1, &[1]), (2, &[1, 2])]), CryptoError::InvalidLength);
    }

    proptest! {
        #[test]
        fn any_threshold_of_the_shares_gives_the_secret(
            secret in proptest::collection::vec(any::<[u8; 2]>(), 1..20),
            chosen in subsequence((0..7).collect::<Vec<usize>>(), 4),
        ) {
            let secret = secret.concat();
            for method in [PolynomialSharingGf2_8, PolynomialSharingGf2_16] {
                let shares = split_secret(method, &secret, 7, 4, &SystemEntropy::new()).unwrap();
                let some: Vec<_> = chosen.iter().map(|&index| (index + 1, &*shares[index])).collect();
                prop_assert_eq!(&*join_secret(method, &some).unwrap(), &secret[..]);
                prop_assert!(secret.len() < 8 || *join_secret(method, &some[..3]).unwrap() != *secret);
            }
            let shares = split_secret(Xor, &secret, 3, 3, &SystemEntropy::new()).unwrap();
            let all: Vec<_> = shares.iter().enumerate().map(|(index, share)| (index + 1, &**share)).collect();
            prop_assert_eq!(&*join_secret(Xor, &all).unwrap(), &secret[..]);
        }
    }
}
