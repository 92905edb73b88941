//! What this crate gives back to the allocator holds no trace of a secret, and reading allocates nothing at all.
//! The allocator of this test binary looks at every piece of memory that is given back.

#![allow(unsafe_code, reason = "an allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::Bytes;
use kmip_ttlv::dump::Dump;
use kmip_ttlv::{Limits, NoDictionary, Reader, SecretBuffer, Tag, Writer, json, xml};

use crate::tables::unhex;

const LIMITS: Limits = Limits::DEFAULT;
const BYTES: Tag = Tag::new(0x42_0043);
const TEXT: Tag = Tag::new(0x42_0094);
/// The secret as bytes; the forms that it takes in text contain it as characters.
const SECRET: [u8; 16] = *b"\x9d3cR\xf1\x07wZ\xe8=\x12\xb6Kp\xaa\x5e";
const SECRET_HEX: &str = "9d336352f107775ae83d12b64b70aa5e";
const SECRET_WORD: &str = "correct horse battery";

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static TRACES: Cell<usize> = const { Cell::new(0) };
    static LOOKING: Cell<bool> = const { Cell::new(false) };
}

struct LookingAllocator;

#[global_allocator]
static ALLOCATOR: LookingAllocator = LookingAllocator;

// SAFETY: both methods hand on to the system's allocator. Reallocation is left to the trait, which goes through both.
unsafe impl GlobalAlloc for LookingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise is passed on. Zeroed, so that all of it may be read when it comes back.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if LOOKING.get() {
            // SAFETY: the caller gives back this whole piece, and `alloc` has initialised it.
            let memory = unsafe { std::slice::from_raw_parts(pointer, layout.size()) };
            let holds = |secret: &[u8]| memory.windows(secret.len()).any(|window| window == secret);
            if holds(&SECRET) || holds(SECRET_HEX.as_bytes()) || holds(SECRET_WORD.as_bytes()) {
                TRACES.set(TRACES.get() + 1);
            }
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// How many pieces of memory are given back with a secret in them.
fn traces(work: impl FnOnce()) -> usize {
    TRACES.set(0);
    LOOKING.set(true);
    work();
    LOOKING.set(false);
    TRACES.get()
}

fn message() -> Bytes {
    let mut writer = Writer::with_capacity(0);
    writer.structure(Tag::new(0x42_0078), |message| {
        for _ in 0..100 {
            message.byte_string(BYTES, &SECRET);
            message.text_string(TEXT, SECRET_WORD);
            message.text_string(TEXT, concat!("\"<", "correct horse battery", ">\"\n"));
            message.big_integer(BYTES, &SECRET);
        }
    });
    writer.finish().into_bytes()
}

#[test]
fn the_allocator_sees_traces() {
    assert_eq!(traces(|| drop(SECRET.to_vec())), 1);
    assert_eq!(traces(|| drop(SECRET_WORD.to_owned())), 1);
}

#[test]
fn writing_leaves_no_trace() {
    assert_eq!(traces(|| drop(message())), 0);
    let taken_back = || {
        let mut writer = Writer::new();
        writer.byte_string(BYTES, &SECRET);
        writer.truncate(0);
        assert!(writer.is_empty());
    };
    assert_eq!(traces(taken_back), 0);
}

#[test]
fn reading_leaves_no_trace() {
    let read = || {
        let source = message();
        let mut reader = Reader::new(&source, LIMITS).unwrap();
        let raw = reader.raw().unwrap();
        drop(source);
        let mut reader = raw.reader(LIMITS);
        let value = reader.structure(raw.tag, |inside| {
            let value = inside.bytes(BYTES)?;
            while !inside.is_empty() {
                inside.skip()?;
            }
            Ok::<_, kmip_ttlv::Error>(value)
        });
        drop(raw);
        assert_eq!(value.unwrap(), SECRET[..]);
    };
    assert_eq!(traces(read), 0);
}

#[test]
fn the_text_forms_leave_no_trace() {
    let as_xml = || {
        let text = xml::from_ttlv(&message(), &NoDictionary, LIMITS).unwrap();
        assert_eq!(&*xml::to_ttlv(&text, &NoDictionary, LIMITS).unwrap(), &message()[..]);
    };
    assert_eq!(traces(as_xml), 0);
    let as_json = || {
        let text = json::from_ttlv(&message(), &NoDictionary, LIMITS).unwrap();
        assert_eq!(&*json::to_ttlv(&text, &NoDictionary, LIMITS).unwrap(), &message()[..]);
    };
    assert_eq!(traces(as_json), 0);
    assert_eq!(traces(|| drop(Dump::new(&message(), &NoDictionary, LIMITS).to_string())), 0);
}

#[test]
fn buffers_leave_no_trace() {
    let moved = || {
        let mut buffer = SecretBuffer::new();
        for byte in SECRET.iter().cycle().take(1000) {
            buffer.push(*byte);
        }
        buffer.resize(2000);
        assert_eq!(buffer[1000..], [0; 1000]);
        assert_eq!(format!("{buffer:?}"), "SecretBuffer(2000 bytes)");
        buffer.clear();
        assert!(buffer.is_empty() && buffer.capacity() >= 2000);
    };
    assert_eq!(traces(moved), 0);
    let taken_over = || {
        let mut plain = Vec::with_capacity(64);
        plain.extend_from_slice(&SECRET);
        plain.extend_from_slice(&SECRET);
        plain.truncate(8);
        drop(SecretBuffer::from(plain));
    };
    assert_eq!(traces(taken_over), 0);
    let shared = || {
        let mut buffer = SecretBuffer::from(unhex(SECRET_HEX));
        buffer.extend_from_slice(&SECRET);
        let shared = buffer.into_bytes();
        let part = shared.slice(16..);
        drop(shared);
        assert_eq!(part, SECRET[..]);
    };
    // `unhex` leaves its digits' values, never the secret itself.
    assert_eq!(traces(shared), 0);
}

#[test]
fn reading_allocates_nothing() {
    let source = message();
    let before = ALLOCATIONS.get();
    let mut reader = Reader::new(&source, LIMITS).unwrap();
    let count = reader.structure(Tag::new(0x42_0078), |inside| {
        let mut count = 0;
        while !inside.is_empty() {
            inside.bytes(BYTES)?;
            inside.text(TEXT)?;
            inside.raw()?;
            inside.big_integer(BYTES)?;
            count += 1;
        }
        Ok::<_, kmip_ttlv::Error>(count)
    });
    assert_eq!((count, ALLOCATIONS.get() - before), (Ok(100), 0));
}
