//! Writes items, the mirror of [`Reader`](crate::Reader): one method a type, lengths patched in afterwards.

use std::fmt;

use crate::item::{HEADER_BYTES, padded};
use crate::{ItemType, SecretBuffer, Tag};

/// Room for a usual request or response, so that it is written without a second allocation.
const USUAL_MESSAGE_BYTES: usize = 512;

/// Writes TTLV (KMIP 2.1, section 9.1) into one zeroizing buffer. What it writes, [`Reader`](crate::Reader) accepts.
///
/// # Panics
/// The methods panic on a value of 4 GiB or more: no length can say that.
#[derive(Default)]
pub struct Writer {
    buffer: SecretBuffer,
}

impl Writer {
    /// An empty writer with room for a usual message.
    pub fn new() -> Self {
        Self::with_capacity(USUAL_MESSAGE_BYTES)
    }

    /// An empty writer with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { buffer: SecretBuffer::with_capacity(capacity) }
    }

    /// Writes an Integer.
    pub fn integer(&mut self, tag: Tag, value: i32) {
        self.word(tag, ItemType::Integer, value.to_be_bytes());
    }

    /// Writes a Long Integer.
    pub fn long_integer(&mut self, tag: Tag, value: i64) {
        self.double_word(tag, ItemType::LongInteger, value.to_be_bytes());
    }

    /// Writes a Big Integer from two's complement, big-endian, of any length; none at all is zero.
    pub fn big_integer(&mut self, tag: Tag, value: &[u8]) {
        let length = padded(value.len().max(1));
        let sign = if value.first().is_some_and(|byte| byte & 0x80 != 0) { 0xFF } else { 0x00 };
        self.header(tag, ItemType::BigInteger, length, length);
        self.buffer.extend_from_slice(&[sign; 8][..length - value.len()]);
        self.buffer.extend_from_slice(value);
    }

    /// Writes an Enumeration.
    pub fn enumeration(&mut self, tag: Tag, value: u32) {
        self.word(tag, ItemType::Enumeration, value.to_be_bytes());
    }

    /// Writes a Boolean.
    pub fn boolean(&mut self, tag: Tag, value: bool) {
        self.double_word(tag, ItemType::Boolean, u64::from(value).to_be_bytes());
    }

    /// Writes a Text String.
    pub fn text_string(&mut self, tag: Tag, value: &str) {
        self.string(tag, ItemType::TextString, value.as_bytes());
    }

    /// Writes a Byte String.
    pub fn byte_string(&mut self, tag: Tag, value: &[u8]) {
        self.string(tag, ItemType::ByteString, value);
    }

    /// Writes a Date-Time, in seconds since 1970.
    pub fn date_time(&mut self, tag: Tag, seconds: i64) {
        self.double_word(tag, ItemType::DateTime, seconds.to_be_bytes());
    }

    /// Writes an Interval, in seconds.
    pub fn interval(&mut self, tag: Tag, seconds: u32) {
        self.word(tag, ItemType::Interval, seconds.to_be_bytes());
    }

    /// Writes a Date-Time Extended, in microseconds since 1970.
    pub fn date_time_extended(&mut self, tag: Tag, microseconds: i64) {
        self.double_word(tag, ItemType::DateTimeExtended, microseconds.to_be_bytes());
    }

    /// Writes a Structure holding what `write` writes.
    pub fn structure<T>(&mut self, tag: Tag, write: impl FnOnce(&mut Self) -> T) -> T {
        let start = self.begin_structure();
        let result = write(self);
        self.end_structure(tag, start);
        result
    }

    /// Writes an item that is encoded already, header and padding included.
    pub fn raw(&mut self, encoded_item: &[u8]) {
        debug_assert!(encoded_item.len().is_multiple_of(8), "an encoded item is padded");
        self.buffer.extend_from_slice(encoded_item);
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Takes back what was written after the first `len` bytes, and zeroizes it. The caller cuts between whole
    /// items of one structure: `len` is what [`Writer::len`] said before they were written.
    pub fn truncate(&mut self, len: usize) {
        self.buffer.truncate(len);
    }

    /// What has been written so far.
    pub fn as_slice(&self) -> &[u8] {
        &self.buffer
    }

    /// The encoded items.
    pub fn finish(self) -> SecretBuffer {
        self.buffer
    }

    /// Opens a structure whose tag or end is not known in the same function; see [`Writer::structure`].
    pub(crate) fn begin_structure(&mut self) -> usize {
        self.buffer.extend_from_slice(&[0; HEADER_BYTES]);
        self.buffer.len()
    }

    /// Closes the structure that [`Writer::begin_structure`] opened at `start`.
    pub(crate) fn end_structure(&mut self, tag: Tag, start: usize) {
        let header = header(tag, ItemType::Structure, self.buffer.len() - start);
        self.buffer[start - HEADER_BYTES..start].copy_from_slice(&header);
    }

    /// Writes the header and makes room for `room` bytes of value and padding.
    fn header(&mut self, tag: Tag, item_type: ItemType, length: usize, room: usize) {
        self.buffer.reserve(HEADER_BYTES + room);
        self.buffer.extend_from_slice(&header(tag, item_type, length));
    }

    fn word(&mut self, tag: Tag, item_type: ItemType, value: [u8; 4]) {
        let mut item = [0; HEADER_BYTES + 8];
        item[..HEADER_BYTES].copy_from_slice(&header(tag, item_type, 4));
        item[HEADER_BYTES..HEADER_BYTES + 4].copy_from_slice(&value);
        self.buffer.extend_from_slice(&item);
    }

    fn double_word(&mut self, tag: Tag, item_type: ItemType, value: [u8; 8]) {
        let mut item = [0; HEADER_BYTES + 8];
        item[..HEADER_BYTES].copy_from_slice(&header(tag, item_type, 8));
        item[HEADER_BYTES..].copy_from_slice(&value);
        self.buffer.extend_from_slice(&item);
    }

    fn string(&mut self, tag: Tag, item_type: ItemType, value: &[u8]) {
        let padding = padded(value.len()) - value.len();
        self.header(tag, item_type, value.len(), value.len() + padding);
        self.buffer.extend_from_slice(value);
        self.buffer.extend_from_slice(&[0; 8][..padding]);
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Writer({} bytes)", self.buffer.len())
    }
}

fn header(tag: Tag, item_type: ItemType, length: usize) -> [u8; HEADER_BYTES] {
    let [_, tag_high, tag_middle, tag_low] = tag.value().to_be_bytes();
    let [a, b, c, d] = wire_length(length);
    [tag_high, tag_middle, tag_low, item_type.code(), a, b, c, d]
}

fn wire_length(length: usize) -> [u8; 4] {
    u32::try_from(length).expect("an item is shorter than 4 GiB").to_be_bytes()
}
