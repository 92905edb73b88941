//! One promise of Reader and Writer a test.

use bytes::Bytes;
use kmip_ttlv::{Error, ErrorKind, ItemType, Limits, Reader, Tag, Writer, message_length};

const OUTER: Tag = Tag::new(0x42_0078);
const INNER: Tag = Tag::new(0x42_0079);
const NUMBER: Tag = Tag::new(0x42_000D);
const NAME: Tag = Tag::new(0x42_0094);
const OTHER: Tag = Tag::new(0x54_0001);
const LIMITS: Limits = Limits::DEFAULT;

fn message() -> Bytes {
    let mut writer = Writer::new();
    writer.structure(OUTER, |outer| {
        outer.integer(NUMBER, 7);
        outer.structure(INNER, |inner| inner.text_string(NAME, "key-1"));
    });
    writer.finish().into_bytes()
}

fn read<T>(source: &Bytes, read: impl FnOnce(&mut Reader<'_>) -> Result<T, Error>) -> Result<T, Error> {
    let mut reader = Reader::new(source, LIMITS)?;
    reader.structure(OUTER, read)
}

#[test]
fn tags_are_patterns_and_print_as_hex() {
    let found = match Tag::new(0x42_000D) {
        NUMBER => "number",
        _ => "other",
    };
    assert_eq!(found, "number");
    assert_eq!(format!("{OTHER:?} {OTHER}"), "0x540001 0x540001");
    assert_eq!(Tag::checked(0x0100_0000), None);
}

#[test]
fn types_have_their_numbers_and_names() {
    for (position, item_type) in ItemType::ALL.into_iter().enumerate() {
        assert_eq!(usize::from(item_type.code()), position + 1);
        assert_eq!(ItemType::from_code(item_type.code()), Some(item_type));
        assert_eq!(ItemType::from_name(item_type.name()), Some(item_type));
    }
    assert_eq!((ItemType::from_code(0), ItemType::from_code(12)), (None, None));
}

#[test]
fn errors_say_what_and_where() {
    let source = message();
    let wrong_tag = read(&source, |outer| outer.integer(NAME)).unwrap_err();
    assert_eq!(
        wrong_tag,
        Error { kind: ErrorKind::UnexpectedTag { expected: NAME }, offset: 8, tag: Some(NUMBER) }
    );
    let wrong_type = read(&source, |outer| outer.enumeration(NUMBER)).unwrap_err();
    let kind = ErrorKind::UnexpectedType { expected: ItemType::Enumeration, found: ItemType::Integer };
    assert_eq!(wrong_type, Error { kind, offset: 8, tag: Some(NUMBER) });
    let unread = read(&source, |outer| outer.integer(NUMBER)).unwrap_err();
    assert_eq!(unread, Error { kind: ErrorKind::UnexpectedItem, offset: 24, tag: Some(INNER) });
    let missing = read(&source, |outer| {
        outer.skip()?;
        outer.skip()?;
        outer.integer(NUMBER)
    });
    let kind = ErrorKind::MissingItem { expected: NUMBER };
    assert_eq!(missing.unwrap_err(), Error { kind, offset: source.len(), tag: None });
    assert_eq!(wrong_tag.to_string(), "item 0x420094 expected at byte 8, item 0x42000D");
}

#[test]
fn an_error_leaves_the_reader_before_the_item() {
    let source = message();
    read(&source, |outer| {
        assert!(outer.text_string(NUMBER).is_err());
        assert!(outer.integer(NAME).is_err());
        assert_eq!((outer.offset(), outer.integer(NUMBER)?), (8, 7));
        assert!(outer.structure(INNER, |inner| inner.integer(NAME)).is_err());
        let name = outer.structure(INNER, |inner| inner.text(NAME))?;
        assert_eq!(name, "key-1");
        Ok(())
    })
    .unwrap();
}

#[test]
fn an_unknown_number_leaves_the_reader_before_the_item() {
    let mut writer = Writer::new();
    writer.enumeration(NUMBER, 7);
    let source = writer.finish().into_bytes();
    let mut reader = Reader::new(&source, LIMITS).unwrap();
    let unknown = reader.known_enumeration(NUMBER, |_| None::<u32>).unwrap_err();
    assert_eq!(unknown, Error { kind: ErrorKind::InvalidValue, offset: 0, tag: Some(NUMBER) });
    assert_eq!(reader.known_enumeration(NUMBER, |number| (number == 7).then_some("seven")), Ok("seven"));
}

#[test]
fn a_type_admits_its_lengths_only() {
    for item_type in ItemType::ALL {
        for length in 0..=17_u32 {
            let admitted = match item_type {
                ItemType::Integer | ItemType::Enumeration | ItemType::Interval => length == 4,
                ItemType::BigInteger => matches!(length, 8 | 16),
                ItemType::Structure => matches!(length, 0 | 8 | 16),
                ItemType::TextString | ItemType::ByteString => true,
                _ => length == 8,
            };
            let head =
                u64::from(NUMBER.value()) << 40 | u64::from(item_type.code()) << 32 | u64::from(length);
            let source = Bytes::from([&head.to_be_bytes()[..], &[0; 24]].concat());
            let refused = Reader::new(&source, LIMITS).unwrap().peek().map_err(|error| error.kind).err();
            let expected = (!admitted).then_some(ErrorKind::InvalidLength);
            assert_eq!(refused, expected, "{item_type:?} of {length} bytes");
        }
    }
}

#[test]
fn every_byte_of_padding_is_zero() {
    for length in 0..=16 {
        let mut writer = Writer::new();
        writer.byte_string(NAME, &vec![0xFF; length]);
        let written = writer.finish().into_bytes();
        assert!(Reader::new(&written, LIMITS).unwrap().byte_string(NAME).is_ok());
        for place in 8 + length..written.len() {
            let mut padded = written.to_vec();
            padded[place] = 1;
            let padded = Bytes::from(padded);
            let refused = Reader::new(&padded, LIMITS).unwrap().byte_string(NAME).unwrap_err();
            assert_eq!(refused, Error { kind: ErrorKind::NonZeroPadding, offset: 0, tag: Some(NAME) });
        }
    }
}

#[test]
fn values_are_shares_of_the_source() {
    let source = message();
    let inside = source.as_ptr_range();
    let name = read(&source, |outer| {
        outer.skip()?;
        outer.structure(INNER, |inner| inner.text(NAME))
    })
    .unwrap();
    assert!(inside.contains(&name.as_bytes().as_ptr()));
    let raw = read(&source, |outer| {
        outer.skip()?;
        outer.raw()
    })
    .unwrap();
    assert!(inside.contains(&raw.bytes.as_ptr()) && inside.contains(&raw.value_bytes().as_ptr()));
}

#[test]
fn raw_items_keep_their_place() {
    let source = message();
    let raw = read(&source, |outer| {
        outer.skip()?;
        outer.raw()
    })
    .unwrap();
    assert_eq!((raw.tag, raw.item_type, raw.offset), (INNER, ItemType::Structure, 24));
    assert_eq!(raw.bytes, source.slice(24..));
    assert_eq!(raw.value_bytes(), source.slice(32..));
    let error = raw.reader(LIMITS).structure(INNER, |inner| inner.integer(NAME)).unwrap_err();
    assert_eq!(error.offset, 32);
    let mut writer = Writer::new();
    writer.raw(&raw.bytes);
    assert_eq!(writer.as_slice(), &raw.bytes[..]);
}

#[test]
fn the_end_is_checked() {
    let source = Bytes::from([message(), message()].concat());
    let mut reader = Reader::new(&source, LIMITS).unwrap();
    reader.skip().unwrap();
    assert_eq!(reader.finish().unwrap_err().kind, ErrorKind::TrailingBytes);
    reader.skip().unwrap();
    assert_eq!((reader.finish(), reader.peek_tag()), (Ok(()), Ok(None)));
    assert_eq!(reader.skip().unwrap_err().kind, ErrorKind::Truncated);
}

#[test]
fn limits_hold() {
    let source = message();
    let kind = |limits: Limits| {
        let mut reader = Reader::new(&source, limits).map_err(|error| error.kind)?;
        let outcome = reader.structure(OUTER, |outer| {
            outer.integer(NUMBER)?;
            outer.structure(INNER, |inner| inner.text_string(NAME).map(str::len))
        });
        outcome.map_err(|error| error.kind)
    };
    assert_eq!(kind(Limits { message_bytes: source.len(), value_bytes: 5, depth: 2, items: 4 }), Ok(5));
    assert_eq!(kind(Limits { message_bytes: source.len() - 1, ..LIMITS }), Err(ErrorKind::MessageTooLarge));
    assert_eq!(kind(Limits { value_bytes: 4, ..LIMITS }), Err(ErrorKind::ValueTooLarge));
    assert_eq!(kind(Limits { depth: 1, ..LIMITS }), Err(ErrorKind::TooDeep));
    assert_eq!(kind(Limits { items: 3, ..LIMITS }), Err(ErrorKind::TooManyItems));
}

#[test]
fn items_are_counted_over_the_whole_message() {
    let mut writer = Writer::new();
    writer.structure(OUTER, |outer| {
        for _ in 0..2 {
            outer.structure(INNER, |inner| inner.integer(NUMBER, 1));
        }
    });
    let source = writer.finish().into_bytes();
    let outcome = |items| {
        let mut reader = Reader::new(&source, Limits { items, ..LIMITS })?;
        reader.structure(OUTER, |outer| {
            outer.structure(INNER, |inner| inner.integer(NUMBER))?;
            outer.structure(INNER, |inner| inner.integer(NUMBER))
        })
    };
    assert_eq!(outcome(5), Ok(1));
    assert_eq!(outcome(4).map_err(|error: Error| error.kind), Err(ErrorKind::TooManyItems));
}

#[test]
fn a_message_declares_its_length() {
    let header = |text: &str| <[u8; 8]>::try_from(crate::tables::unhex(text)).unwrap();
    let limits = Limits { message_bytes: 1024, ..LIMITS };
    let length = |text| message_length(&header(text), &limits).map_err(|error| error.kind);
    assert_eq!(length("4200780100000000"), Ok(8));
    assert_eq!(length("42007801000003f8"), Ok(1024));
    assert_eq!(length("4200780100000400"), Err(ErrorKind::MessageTooLarge));
    assert_eq!(length("42007801fffffff8"), Err(ErrorKind::MessageTooLarge));
    assert_eq!(length("4200780100000004"), Err(ErrorKind::InvalidLength));
    assert_eq!(length("4200780200000004"), Err(ErrorKind::InvalidType));
    assert_eq!(length("5400010100000008"), Err(ErrorKind::InvalidTag));
    assert_eq!(length("474554202f206874"), Err(ErrorKind::InvalidTag)); // "GET / ht"
}

#[test]
fn big_integers_are_padded_with_their_sign() {
    let written = |value: &[u8]| {
        let mut writer = Writer::new();
        writer.big_integer(NUMBER, value);
        let source = writer.finish().into_bytes();
        Reader::new(&source, LIMITS).unwrap().big_integer(NUMBER).unwrap().to_vec()
    };
    assert_eq!(written(&[]), [0; 8]);
    assert_eq!(written(&[0x7F]), [0, 0, 0, 0, 0, 0, 0, 0x7F]);
    assert_eq!(written(&[0x80]), [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x80]);
    assert_eq!(written(&[1; 8]), [1; 8]);
    assert_eq!(written(&[1; 9]), [[0, 0, 0, 0, 0, 0, 0, 1], [1; 8]].concat());
}

#[test]
fn writing_can_be_taken_back() {
    let mut writer = Writer::with_capacity(0);
    writer.structure(OUTER, |outer| {
        outer.integer(NUMBER, 1);
        let before = outer.len();
        outer.byte_string(NAME, &[0xAA; 100]);
        outer.truncate(before);
        outer.integer(OTHER, 2);
    });
    let source = writer.finish().into_bytes();
    let numbers = read(&source, |outer| Ok((outer.integer(NUMBER)?, outer.integer(OTHER)?)));
    assert_eq!(numbers, Ok((1, 2)));
}
