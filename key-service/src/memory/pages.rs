//! Pages that hold secrets: the one place of the project with `unsafe` code.
//!
//! A mapping lies between two inaccessible guard pages, is left out of core dumps and forks, and is handed out as
//! [`Span`]s. A span owns its bytes alone, as a `Box<[u8]>` would, and can only be cut in two, so no allocator
//! above can make two secrets overlap.

use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::mm::{self, Advice, MapFlags, ProtFlags};

use super::{MemoryError, MemoryKind};

/// The reservation, guards included. Unmapped when its last span is gone.
struct Mapping {
    base: NonNull<u8>,
    reserved_bytes: usize,
}

// SAFETY: the mapping is not bound to a thread, and it never hands out its bytes itself: spans do.
unsafe impl Send for Mapping {}
// SAFETY: as above; a shared `Mapping` has nothing to read or write.
unsafe impl Sync for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly the range that `reserve` obtained, and no span points into it any more.
        let unmapped = unsafe { mm::munmap(self.base.as_ptr().cast(), self.reserved_bytes) };
        debug_assert!(unmapped.is_ok());
    }
}

/// A range of secret memory that belongs to its holder alone.
pub(super) struct Span {
    mapping: Arc<Mapping>,
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: a span owns its bytes like a `Box<[u8]>`, which is Send and Sync.
unsafe impl Send for Span {}
// SAFETY: shared access gives `&[u8]` only.
unsafe impl Sync for Span {}

impl Span {
    /// Maps at least `length` zero bytes of `kind`, whole pages. `Auto` is not a kind of page: the caller has chosen.
    pub(super) fn map(kind: MemoryKind, length: usize) -> Result<Self, MemoryError> {
        let page = rustix::param::page_size();
        let length = length.checked_next_multiple_of(page).ok_or(MemoryError::Exhausted)?;
        let mapping = Mapping::reserve(length.checked_add(2 * page).ok_or(MemoryError::Exhausted)?)?;
        // SAFETY: one page into a reservation of at least two pages more than `length`.
        let start = unsafe { mapping.base.add(page) };
        match kind {
            MemoryKind::Secret | MemoryKind::Auto => map_secret(start, length)?,
            MemoryKind::Locked => {
                map_anonymous(start, length)?;
                // SAFETY: the range was mapped the line before.
                unsafe { mm::mlock(start.as_ptr().cast(), length) }.map_err(refused("mlock"))?;
            }
            MemoryKind::InsecureUnlocked => map_anonymous(start, length)?,
        }
        Ok(Self { mapping: Arc::new(mapping), start, length })
    }

    pub(super) fn length(&self) -> usize {
        self.length
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: the range is mapped readable as long as `mapping` lives, was zeroed by the kernel, and is ours.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and `&mut self` makes us the only reader and writer.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }

    /// Cuts the span after `length` bytes.
    ///
    /// # Panics
    ///
    /// When the span is shorter than that.
    pub(super) fn split_at(self, length: usize) -> (Self, Self) {
        assert!(length <= self.length);
        // SAFETY: within the range, or one past its end where the second part is empty.
        let middle = unsafe { self.start.add(length) };
        let rest = Self { mapping: Arc::clone(&self.mapping), start: middle, length: self.length - length };
        (Self { length, ..self }, rest)
    }
}

impl Mapping {
    /// Reserves inaccessible address space, which costs nothing and serves as the guards.
    fn reserve(reserved_bytes: usize) -> Result<Self, MemoryError> {
        // SAFETY: the kernel picks the place, so nothing that exists is replaced.
        let base = unsafe {
            mm::mmap_anonymous(ptr::null_mut(), reserved_bytes, ProtFlags::empty(), MapFlags::PRIVATE)
        };
        let base = base.map_err(refused("mmap"))?;
        let base = NonNull::new(base.cast()).expect("mmap without MAP_FIXED never answers address 0");
        Ok(Self { base, reserved_bytes })
    }
}

/// Puts pages of a fresh `memfd_secret` at `start`, which lies in a reservation. They count as locked from the start.
fn map_secret(start: NonNull<u8>, length: usize) -> Result<(), MemoryError> {
    let file = memfd_secret().map_err(refused("memfd_secret"))?;
    rustix::fs::ftruncate(&file, length as u64).map_err(refused("ftruncate"))?;
    // SAFETY: MAP_FIXED replaces only reserved pages that nobody uses yet.
    unsafe {
        mm::mmap(
            start.as_ptr().cast(),
            length,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::SHARED | MapFlags::FIXED,
            file.as_fd(),
            0,
        )
    }
    .map_err(refused("mmap of memfd_secret"))?;
    advise(start, length, Advice::LinuxDontDump)?;
    advise(start, length, Advice::LinuxDontFork)
}

/// Opens the page range at `start`, which lies in a reservation, as private anonymous memory.
fn map_anonymous(start: NonNull<u8>, length: usize) -> Result<(), MemoryError> {
    // SAFETY: MAP_FIXED replaces only reserved pages that nobody uses yet.
    unsafe {
        mm::mmap_anonymous(
            start.as_ptr().cast(),
            length,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE | MapFlags::FIXED,
        )
    }
    .map_err(refused("mmap"))?;
    advise(start, length, Advice::LinuxDontDump)?;
    advise(start, length, Advice::LinuxWipeOnFork)
}

fn advise(start: NonNull<u8>, length: usize, advice: Advice) -> Result<(), MemoryError> {
    // SAFETY: none of the advice used here changes the content that this process sees.
    unsafe { mm::madvise(start.as_ptr().cast(), length, advice) }.map_err(refused("madvise"))
}

fn memfd_secret() -> Result<OwnedFd, Errno> {
    // SAFETY: the call takes one flag word and touches no memory of ours.
    let descriptor = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
    match i32::try_from(descriptor) {
        // SAFETY: the kernel has just made this descriptor for us.
        Ok(descriptor) if descriptor >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::NOSYS)),
    }
}

fn refused(call: &'static str) -> impl Fn(Errno) -> MemoryError {
    move |errno| MemoryError::Refused { call, errno: errno.raw_os_error() }
}
