//! What can be read in a running process: its writable memory, region by region.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};

use memchr::memmem;

/// An image of the memory of a process, as a core dump would show it, and more: nothing is left out of it.
pub struct Image(Vec<Region>);

struct Region {
    name: String,
    bytes: Vec<u8>,
}

impl Image {
    /// All readable and writable memory of a process.
    pub fn of(process: u32) -> Self {
        let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
        let mut memory =
            File::open(format!("/proc/{process}/mem")).expect("needs the right to trace processes");
        let mut regions = Vec::new();
        for line in maps.lines().filter(|line| line.contains(" rw")) {
            let (from, rest) = line.split_once('-').unwrap();
            let to = rest.split_once(' ').unwrap().0;
            let [from, to] = [from, to].map(|address| u64::from_str_radix(address, 16).unwrap());
            let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
            // Some mappings of devices cannot be read; no key is there.
            if memory.seek(SeekFrom::Start(from)).is_ok() && memory.read_exact(&mut bytes).is_ok() {
                regions.push(Region { name: line.to_owned(), bytes });
            }
        }
        Self(regions)
    }

    /// Where `needle` is: a line for each place.
    pub fn places(&self, needle: &[u8]) -> Vec<String> {
        let finder = memmem::Finder::new(needle);
        let in_region = |region: &Region| {
            let found = finder.find_iter(&region.bytes);
            found.map(|offset| format!("{offset:#x} in {}", region.name)).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(in_region).collect()
    }

    pub fn holds(&self, needle: &[u8]) -> bool {
        !self.places(needle).is_empty()
    }
}
