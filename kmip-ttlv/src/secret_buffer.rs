//! A growing buffer that leaves no copy of its contents behind.

use std::fmt;
use std::ops::{Deref, DerefMut};

use bytes::Bytes;
use zeroize::{Zeroize, ZeroizeOnDrop};

const SMALLEST_CAPACITY: usize = 64;

/// Bytes that may hold keys: zeroized when dropped, when cut and when moved to a larger allocation.
///
/// Invariant: the capacity beyond the length never holds anything written through this type.
#[derive(Default)]
pub struct SecretBuffer {
    bytes: Vec<u8>,
}

impl SecretBuffer {
    /// An empty buffer without an allocation.
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// An empty buffer with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity) }
    }

    /// Bytes held.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes that fit before the buffer moves.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Makes room for `additional` more bytes. The allocation left behind is zeroized.
    pub fn reserve(&mut self, additional: usize) {
        if self.bytes.capacity() - self.bytes.len() < additional {
            self.grow(additional);
        }
    }

    /// Appends bytes.
    pub fn extend_from_slice(&mut self, slice: &[u8]) {
        self.reserve(slice.len());
        self.bytes.extend_from_slice(slice);
    }

    /// Appends one byte.
    pub fn push(&mut self, byte: u8) {
        self.extend_from_slice(&[byte]);
    }

    /// Lengthens with zeros or cuts (and zeroizes the cut) to `len` bytes, for reading into.
    pub fn resize(&mut self, len: usize) {
        self.truncate(len);
        self.reserve(len - self.bytes.len());
        self.bytes.resize(len, 0);
    }

    /// Cuts down to `len` bytes and zeroizes the rest. Does nothing if `len` is not smaller.
    pub fn truncate(&mut self, len: usize) {
        if let Some(cut) = self.bytes.get_mut(len..) {
            cut.zeroize();
            self.bytes.truncate(len);
        }
    }

    /// Empties and zeroizes; the allocation stays.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Hands the contents over without a copy. They are zeroized when the last slice of them is dropped.
    pub fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }

    #[cold]
    fn grow(&mut self, additional: usize) {
        let needed = self.bytes.len().checked_add(additional).expect("a length fits the address space");
        let capacity = needed.max(self.bytes.capacity().saturating_mul(2)).max(SMALLEST_CAPACITY);
        let mut moved = Vec::with_capacity(capacity);
        moved.extend_from_slice(&self.bytes);
        self.bytes.as_mut_slice().zeroize();
        self.bytes = moved;
    }
}

impl Drop for SecretBuffer {
    fn drop(&mut self) {
        self.bytes.as_mut_slice().zeroize();
    }
}

impl ZeroizeOnDrop for SecretBuffer {}

/// Takes over the allocation; what it held beyond the vector's length is zeroized here.
impl From<Vec<u8>> for SecretBuffer {
    fn from(mut bytes: Vec<u8>) -> Self {
        bytes.spare_capacity_mut().zeroize();
        Self { bytes }
    }
}

impl Deref for SecretBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for SecretBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl AsRef<[u8]> for SecretBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Appends text, so that `write!` formats straight into the buffer.
impl fmt::Write for SecretBuffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

impl fmt::Debug for SecretBuffer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SecretBuffer({} bytes)", self.bytes.len())
    }
}
