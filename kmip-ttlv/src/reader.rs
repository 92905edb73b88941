//! Reads items: strict, bounded, without copying or allocating.

use std::fmt;

use bytes::Bytes;
use bytestring::ByteString;
use nom::IResult;
use nom::Parser;
use nom::bytes::complete::take;

use crate::item::{HEADER_BYTES, padded};
use crate::{Error, ErrorKind, Header, ItemType, Limits, Tag};

/// Reads the items of a message, or of one structure in it, in their order (KMIP 2.1, section 9.1).
///
/// Every method that reads an item takes the tag that the caller expects there. After an error the reader
/// still stands before the item at fault.
#[derive(Clone)]
pub struct Reader<'a> {
    source: &'a Bytes,
    /// What the caller calls offset zero may lie before the source: offsets are absolute.
    base: usize,
    position: usize,
    end: usize,
    depth: usize,
    items_left: usize,
    limits: Limits,
}

/// Where a reader stands in its structure.
struct Place {
    position: usize,
    items_left: usize,
}

impl<'a> Reader<'a> {
    /// Stands before the first item of `source`.
    ///
    /// # Errors
    /// [`ErrorKind::MessageTooLarge`] above [`Limits::message_bytes`].
    pub fn new(source: &'a Bytes, limits: Limits) -> Result<Self, Error> {
        if source.len() > limits.message_bytes {
            return Err(Error { kind: ErrorKind::MessageTooLarge, offset: 0, tag: None });
        }
        Ok(Self::at(source, 0, limits))
    }

    /// Where the next item begins, in bytes from the start of the message.
    pub fn offset(&self) -> usize {
        self.base + self.position
    }

    /// Whether nothing is left in this structure.
    pub fn is_empty(&self) -> bool {
        self.position == self.end
    }

    /// The head of the next item: its type, its length against its type, its bounds and the limits are checked.
    ///
    /// # Errors
    /// Whatever is wrong with the header.
    #[inline(always)] // here and below: headers then stay in registers, which nearly halves the time of decoding
    pub fn peek(&self) -> Result<Option<Header>, Error> {
        if self.is_empty() {
            return Ok(None);
        }
        let (tag, code, length) = header(&self.source[self.position..self.end])
            .map(|(_, fields)| fields)
            .map_err(|_| self.error_without_tag(ErrorKind::Truncated))?;
        let fail = |kind| Error { kind, offset: self.offset(), tag: Some(tag) };
        let item_type = ItemType::from_code(code).ok_or(fail(ErrorKind::InvalidType))?;
        let header = Header { tag, item_type, length, offset: self.offset() };
        self.judge(&header).map_err(fail)?;
        Ok(Some(header))
    }

    /// The tag of the next item, or none at the end of the structure.
    ///
    /// # Errors
    /// As [`Reader::peek`].
    pub fn peek_tag(&self) -> Result<Option<Tag>, Error> {
        Ok(self.peek()?.map(|header| header.tag))
    }

    /// Reads an Integer.
    ///
    /// # Errors
    /// The item is missing, has another tag or type, or is malformed; so for all methods below.
    pub fn integer(&mut self, tag: Tag) -> Result<i32, Error> {
        self.number(tag, ItemType::Integer, i32::from_be_bytes)
    }

    /// Reads a Long Integer.
    pub fn long_integer(&mut self, tag: Tag) -> Result<i64, Error> {
        self.number(tag, ItemType::LongInteger, i64::from_be_bytes)
    }

    /// Reads a Big Integer: two's complement, big-endian, a positive multiple of 8 bytes.
    pub fn big_integer(&mut self, tag: Tag) -> Result<&'a [u8], Error> {
        self.value(tag, ItemType::BigInteger)
    }

    /// Reads an Enumeration.
    pub fn enumeration(&mut self, tag: Tag) -> Result<u32, Error> {
        self.number(tag, ItemType::Enumeration, u32::from_be_bytes)
    }

    /// Reads an Enumeration as what `known` takes its number for.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidValue`] for a number that is not known.
    pub fn known_enumeration<T>(
        &mut self,
        tag: Tag,
        known: impl FnOnce(u32) -> Option<T>,
    ) -> Result<T, Error> {
        let before = self.place();
        let number = self.enumeration(tag)?;
        known(number).ok_or_else(|| self.back_to(before, tag, ErrorKind::InvalidValue))
    }

    /// Reads a Boolean.
    pub fn boolean(&mut self, tag: Tag) -> Result<bool, Error> {
        let before = self.place();
        match self.number(tag, ItemType::Boolean, u64::from_be_bytes)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.back_to(before, tag, ErrorKind::InvalidBoolean)),
        }
    }

    /// Reads a Text String.
    pub fn text_string(&mut self, tag: Tag) -> Result<&'a str, Error> {
        let before = self.place();
        let value = self.value(tag, ItemType::TextString)?;
        std::str::from_utf8(value).map_err(|_| self.back_to(before, tag, ErrorKind::InvalidUtf8))
    }

    /// Reads a Byte String.
    pub fn byte_string(&mut self, tag: Tag) -> Result<&'a [u8], Error> {
        self.value(tag, ItemType::ByteString)
    }

    /// Reads a Date-Time, in seconds since 1970.
    pub fn date_time(&mut self, tag: Tag) -> Result<i64, Error> {
        self.number(tag, ItemType::DateTime, i64::from_be_bytes)
    }

    /// Reads an Interval, in seconds.
    pub fn interval(&mut self, tag: Tag) -> Result<u32, Error> {
        self.number(tag, ItemType::Interval, u32::from_be_bytes)
    }

    /// Reads a Date-Time Extended, in microseconds since 1970.
    pub fn date_time_extended(&mut self, tag: Tag) -> Result<i64, Error> {
        self.number(tag, ItemType::DateTimeExtended, i64::from_be_bytes)
    }

    /// Reads a Text String as a share of the source, without a copy.
    pub fn text(&mut self, tag: Tag) -> Result<ByteString, Error> {
        let value = self.text_string(tag)?;
        let shared = self.source.slice_ref(value.as_bytes());
        Ok(ByteString::try_from(shared).expect("text_string has checked the UTF-8"))
    }

    /// Reads a Byte String as a share of the source, without a copy.
    pub fn bytes(&mut self, tag: Tag) -> Result<Bytes, Error> {
        self.byte_string(tag).map(|value| self.source.slice_ref(value))
    }

    /// Reads a Structure. `read` must read all of it.
    ///
    /// # Errors
    /// What `read` returns; [`ErrorKind::TooDeep`]; [`ErrorKind::UnexpectedItem`] if `read` leaves an item.
    pub fn structure<T, E: From<Error>>(
        &mut self,
        tag: Tag,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut inside = self.enter(tag)?;
        let result = read(&mut inside);
        self.items_left = inside.items_left;
        let value = result?;
        if !inside.is_empty() {
            return Err(inside.error(ErrorKind::UnexpectedItem).into());
        }
        self.position = inside.end;
        Ok(value)
    }

    /// Takes the next item whole. What a structure holds is not looked at.
    pub fn raw(&mut self) -> Result<RawItem, Error> {
        let Some(header) = self.peek()? else {
            return Err(self.error_without_tag(ErrorKind::Truncated));
        };
        let start = self.position;
        self.consume(&header)?;
        let bytes = self.source.slice(start..self.position);
        Ok(RawItem {
            tag: header.tag,
            item_type: header.item_type,
            bytes,
            offset: header.offset,
            length: header.length,
        })
    }

    /// Passes over the next item. What a structure holds is not looked at.
    pub fn skip(&mut self) -> Result<(), Error> {
        match self.pass_over()? {
            Some(_) => Ok(()),
            None => Err(self.error_without_tag(ErrorKind::Truncated)),
        }
    }

    /// As [`skip`](Self::skip), and tells the tag of what it passed over: none at the end of the structure.
    pub fn pass_over(&mut self) -> Result<Option<Tag>, Error> {
        let Some(header) = self.peek()? else { return Ok(None) };
        self.consume(&header)?;
        Ok(Some(header.tag))
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    /// [`ErrorKind::TrailingBytes`].
    pub fn finish(&self) -> Result<(), Error> {
        if self.is_empty() { Ok(()) } else { Err(self.error(ErrorKind::TrailingBytes)) }
    }

    /// A caller's own complaint about the next item.
    pub fn error(&self, kind: ErrorKind) -> Error {
        let tag = header(&self.source[self.position..self.end]).ok().map(|(_, (tag, ..))| tag);
        Error { kind, offset: self.offset(), tag }
    }

    fn at(source: &'a Bytes, base: usize, limits: Limits) -> Self {
        Self { source, base, position: 0, end: source.len(), depth: 0, items_left: limits.items, limits }
    }

    /// What a header must satisfy before its value is touched.
    #[inline(always)]
    fn judge(&self, header: &Header) -> Result<(), ErrorKind> {
        if !header.tag.is_assignable() {
            return Err(ErrorKind::InvalidTag);
        }
        if !header.item_type.admits_length(header.length) {
            return Err(ErrorKind::InvalidLength);
        }
        if header.item_type != ItemType::Structure && header.length > self.limits.value_bytes {
            return Err(ErrorKind::ValueTooLarge);
        }
        if header.length > self.end - self.position - HEADER_BYTES
            || header.item_bytes() > self.end - self.position
        {
            return Err(ErrorKind::Truncated);
        }
        if self.items_left == 0 {
            return Err(ErrorKind::TooManyItems);
        }
        Ok(())
    }

    /// The header of the next item, which must have this tag and type.
    #[inline(always)]
    fn expect(&self, tag: Tag, item_type: ItemType) -> Result<Header, Error> {
        let Some(header) = self.peek()? else {
            return Err(self.error_without_tag(ErrorKind::MissingItem { expected: tag }));
        };
        if header.tag != tag {
            return Err(self.error(ErrorKind::UnexpectedTag { expected: tag }));
        }
        if header.item_type != item_type {
            return Err(
                self.error(ErrorKind::UnexpectedType { expected: item_type, found: header.item_type })
            );
        }
        Ok(header)
    }

    /// Steps over the item with this header, checks its padding and returns its value.
    #[inline(always)]
    fn consume(&mut self, header: &Header) -> Result<&'a [u8], Error> {
        let value_start = self.position + HEADER_BYTES;
        let value_end = value_start + header.length;
        let item_end = value_start + padded(header.length);
        let source: &'a [u8] = self.source;
        // All padding is in the last word. An item without a value has none, and its header for a last word.
        let padding = (1 << ((item_end - value_end) * 8)) - 1;
        let (_, last) = array(&source[item_end - HEADER_BYTES..]).expect("an item has a header");
        if u64::from_be_bytes(last) & padding != 0 {
            return Err(self.error(ErrorKind::NonZeroPadding));
        }
        self.items_left -= 1;
        self.position = item_end;
        Ok(&source[value_start..value_end])
    }

    fn value(&mut self, tag: Tag, item_type: ItemType) -> Result<&'a [u8], Error> {
        let header = self.expect(tag, item_type)?;
        self.consume(&header)
    }

    fn number<T, const BYTES: usize>(
        &mut self,
        tag: Tag,
        item_type: ItemType,
        from_bytes: impl FnOnce([u8; BYTES]) -> T,
    ) -> Result<T, Error> {
        let value = self.value(tag, item_type)?;
        let (_, bytes) = array(value).expect("peek has checked the length against the type");
        Ok(from_bytes(bytes))
    }

    /// A reader of the inside of the structure that comes next; the outside still stands before it.
    fn enter(&mut self, tag: Tag) -> Result<Reader<'a>, Error> {
        let header = self.expect(tag, ItemType::Structure)?;
        if self.depth >= self.limits.depth {
            return Err(self.error(ErrorKind::TooDeep));
        }
        let start = self.position + HEADER_BYTES;
        Ok(Reader {
            position: start,
            end: start + header.length,
            depth: self.depth + 1,
            items_left: self.items_left - 1,
            ..self.clone()
        })
    }

    fn place(&self) -> Place {
        Place { position: self.position, items_left: self.items_left }
    }

    fn back_to(&mut self, before: Place, tag: Tag, kind: ErrorKind) -> Error {
        (self.position, self.items_left) = (before.position, before.items_left);
        Error { kind, offset: self.offset(), tag: Some(tag) }
    }

    fn error_without_tag(&self, kind: ErrorKind) -> Error {
        Error { kind, offset: self.offset(), tag: None }
    }
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Reader({} to {})", self.offset(), self.base + self.end)
    }
}

/// An item that nobody has looked into yet: an owned share of the message.
#[derive(Clone)]
pub struct RawItem {
    /// The item's name.
    pub tag: Tag,
    /// The type of its value.
    pub item_type: ItemType,
    /// The item as it was sent, header and padding included.
    pub bytes: Bytes,
    /// Where it begins, in bytes from the start of the message.
    pub offset: usize,
    length: usize,
}

impl RawItem {
    /// A reader that stands before this item, and whose errors count from the start of the message.
    /// Depth and items are counted anew from here.
    pub fn reader(&self, limits: Limits) -> Reader<'_> {
        Reader::at(&self.bytes, self.offset, limits)
    }

    /// The value without header and padding; of a structure, the items in it.
    pub fn value_bytes(&self) -> Bytes {
        self.bytes.slice(HEADER_BYTES..HEADER_BYTES + self.length)
    }
}

impl fmt::Debug for RawItem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RawItem({} {}, {} bytes)", self.tag, self.item_type.name(), self.length)
    }
}

/// Bytes of the whole message, from its first eight: what a transport waits for, and may allocate.
///
/// # Errors
/// The header is not that of a KMIP message ([`ErrorKind::InvalidTag`], [`ErrorKind::InvalidType`],
/// [`ErrorKind::InvalidLength`]), or declares more than [`Limits::message_bytes`].
pub fn message_length(first_bytes: &[u8; HEADER_BYTES], limits: &Limits) -> Result<usize, Error> {
    let (_, (tag, code, length)) = header(first_bytes).expect("the array holds a whole header");
    let fail = |kind| Err(Error { kind, offset: 0, tag: Some(tag) });
    if !tag.is_specified() {
        return fail(ErrorKind::InvalidTag);
    }
    if code != ItemType::Structure.code() {
        return fail(ErrorKind::InvalidType);
    }
    if !ItemType::Structure.admits_length(length) {
        return fail(ErrorKind::InvalidLength);
    }
    match length.checked_add(HEADER_BYTES) {
        Some(total) if total <= limits.message_bytes => Ok(total),
        _ => fail(ErrorKind::MessageTooLarge),
    }
}

/// Tag, number of the type, declared length: read as one number, which is the fastest way to take it apart.
fn header(input: &[u8]) -> IResult<&[u8], (Tag, u8, usize), ()> {
    let take_apart = |word: u64| (Tag::new((word >> 40) as u32), (word >> 32) as u8, word as u32 as usize);
    array.map(u64::from_be_bytes).map(take_apart).parse(input)
}

/// As many bytes, in one load: nom's own numbers are put together byte by byte.
fn array<const BYTES: usize>(input: &[u8]) -> IResult<&[u8], [u8; BYTES], ()> {
    take(BYTES).map(|bytes: &[u8]| *bytes.first_chunk().expect("it takes as many")).parse(input)
}
