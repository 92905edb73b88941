//! Changes to inputs: to their bytes, and where they are made of items, to the tree of items.

use std::ops::Range;

use bytes::Bytes;

use crate::corpus::Corpus;
use crate::random::Random;

/// Bytes that one change inserts at most.
const MAXIMUM_INSERTED: usize = 64;
/// Values at which lengths, counts and numbers go wrong.
const EDGES: [u32; 12] = [0, 1, 2, 7, 8, 9, 0x7f, 0xff, 0x7fff_ffff, 0x8000_0000, 0xffff_fff8, 0xffff_ffff];
/// What text forms are made of.
const TOKENS: [&str; 18] = [
    "<",
    "/>",
    "</",
    "\"",
    "&#0;",
    "&amp;",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\\ud800",
    "0x",
    "-",
    "null",
    "\u{1F511}",
    "<TTLV tag=\"0x540001\">",
];

/// An input of the corpus with a few changes.
pub(crate) fn mutate(corpus: &Corpus, random: &mut Random) -> Vec<u8> {
    let input = random.pick(&corpus.inputs).to_vec();
    if corpus.form.is_binary() {
        return changed(input, corpus, change, random);
    }
    // Items first, characters then: text that has lost its shape is refused before anything is made of it.
    let written = |message: Vec<u8>| corpus.form.text(&message.into());
    let message = changed(input.clone(), corpus, change_items, random);
    let Some(text) = written(message).or_else(|| written(input)) else { return Vec::new() };
    if random.below(2) == 0 { text } else { changed(text, corpus, change_text, random) }
}

type Change = fn(&mut Vec<u8>, &[u8], &mut Random);

/// Changes the input once half of the time, twice a quarter of the time, and so on.
fn changed(mut input: Vec<u8>, corpus: &Corpus, change: Change, random: &mut Random) -> Vec<u8> {
    for _ in 0..=random.number().trailing_zeros() {
        let other: &Bytes = random.pick(&corpus.inputs);
        change(&mut input, other, random);
    }
    input
}

fn change(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    if random.below(3) > 0 { change_items(input, other, random) } else { change_bytes(input, other, random) }
}

fn change_text(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(input.len());
    match random.below(3) {
        0 => splice(input, at..at, random.pick(&TOKENS).as_bytes().to_vec()),
        1 => overwrite(input, at, &[b' ' + random.below(95) as u8]),
        _ => change_bytes(input, other, random),
    }
}

fn change_bytes(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(input.len());
    match random.below(7) {
        0 => input.truncate(at),
        1 => drop(input.drain(range(input.len(), random))),
        2 => {
            let inserted = (0..random.below(MAXIMUM_INSERTED)).map(|_| random.number() as u8).collect();
            splice(input, at..at, inserted);
        }
        3 => splice(input, range(input.len(), random), other[range(other.len(), random)].to_vec()),
        4 => overwrite(input, at / 4 * 4, &random.pick(&EDGES).to_be_bytes()),
        5 => overwrite(input, at, &[random.number() as u8]),
        _ => {
            let bit = 1 << random.below(8);
            input.get_mut(at).into_iter().for_each(|byte| *byte ^= bit);
        }
    }
}

fn splice(input: &mut Vec<u8>, at: Range<usize>, inserted: Vec<u8>) {
    input.splice(at, inserted);
}

fn overwrite(input: &mut [u8], at: usize, bytes: &[u8]) {
    input.iter_mut().skip(at).zip(bytes).for_each(|(old, new)| *old = *new);
}

/// A short range most of the time.
fn range(length: usize, random: &mut Random) -> Range<usize> {
    let start = random.below(length + 1);
    let longest = if random.below(4) == 0 { length } else { MAXIMUM_INSERTED };
    start..start + random.below(longest.min(length - start) + 1)
}

/// An item of a message, and the structures around it.
struct Place {
    item: Range<usize>,
    /// Where their headers begin.
    parents: Vec<usize>,
}

const HEADER_BYTES: usize = 8;

/// Every item of a message, as far as it is well-formed.
fn places(input: &[u8]) -> Vec<Place> {
    fn walk(input: &[u8], within: Range<usize>, parents: &[usize], found: &mut Vec<Place>) {
        let mut at = within.start;
        while at + HEADER_BYTES <= within.end {
            let length = length_at(input, at);
            let end = at + HEADER_BYTES + length.next_multiple_of(8);
            if end > within.end {
                return;
            }
            found.push(Place { item: at..end, parents: parents.to_vec() });
            if input[at + 3] == 1 && parents.len() < 40 {
                let parents = [parents, &[at]].concat();
                walk(input, at + HEADER_BYTES..end, &parents, found);
            }
            at = end;
        }
    }
    let mut found = Vec::new();
    walk(input, 0..input.len(), &[], &mut found);
    found
}

fn length_at(input: &[u8], header: usize) -> usize {
    let bytes: [u8; 4] = input[header + 4..header + HEADER_BYTES].try_into().expect("it is four bytes");
    u32::from_be_bytes(bytes) as usize
}

/// Takes out, repeats, replaces, renames, retypes or revalues an item; lengths of structures around it stay right.
fn change_items(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let (own, others) = (places(input), places(other));
    if own.is_empty() || others.is_empty() {
        return change_bytes(input, other, random);
    }
    let place = random.pick(&own);
    let start = place.item.start;
    let donor = other[random.pick(&others).item.clone()].to_vec();
    match random.below(8) {
        0 => replace(input, place, place.item.clone(), Vec::new()),
        1 => replace(input, place, start..start, input[place.item.clone()].to_vec()),
        2 => replace(input, place, start..start, donor),
        3 => replace(input, place, place.item.clone(), donor),
        4 => overwrite(input, start, &donor[..3]),
        5 => overwrite(input, start + 3, &[1 + random.below(11) as u8]),
        // Half of an item's value: small numbers are often values of enumerations.
        6 => overwrite_value(input, &place.item, random.below(64) as u32),
        _ => overwrite_value(input, &place.item, *random.pick(&EDGES)),
    }
}

fn overwrite_value(input: &mut [u8], item: &Range<usize>, number: u32) {
    let value = &mut input[item.start + HEADER_BYTES..item.end];
    overwrite(value, 0, &number.to_be_bytes());
}

fn replace(input: &mut Vec<u8>, place: &Place, at: Range<usize>, by: Vec<u8>) {
    let (taken, added) = (at.len(), by.len());
    for parent in &place.parents {
        let length = length_at(input, *parent) + added - taken;
        overwrite(input, parent + 4, &(length as u32).to_be_bytes());
    }
    input.splice(at, by);
}
