//! Locked memory for secrets: never swapped, dumped or inherited by a child, zeroized when given back.
//!
//! Owns the arena ([`LockedMemory`]), the secrets in it ([`LockedSecret`]) and the hardening of the process
//! ([`harden_process`]). Plaintext that lives only as long as a request does not belong here.

mod harden;
#[allow(unsafe_code)]
mod pages;
mod stack;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;
use zeroize::Zeroize;

pub use harden::{HardeningReport, harden_process};
use pages::Span;
pub use stack::{keys_taken_back, wipe_stack, wipe_stack_if_due};

/// The smallest slot. A 256-bit key fills it.
const SMALLEST_SLOT_BYTES: usize = 32;
/// The largest slot of the slab; a longer secret has pages of its own.
const LARGEST_SLOT_BYTES: usize = 4096;
/// Slots double in size from the smallest to the largest.
const SLOT_CLASSES: usize = (LARGEST_SLOT_BYTES / SMALLEST_SLOT_BYTES).ilog2() as usize + 1;
/// How much the slab grows by: few enough mappings for a million keys, little enough for a test.
const CHUNK_BYTES: usize = 64 * 1024;

/// What kind of pages hold the secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryKind {
    /// `Secret` where the kernel offers it, else `Locked`.
    Auto,
    /// Pages of `memfd_secret(2)`: absent from the kernel's own map, so not even root reads them through `/proc`.
    Secret,
    /// Anonymous pages, locked against swapping.
    Locked,
    /// Anonymous pages that may be swapped. For development where nothing else is allowed.
    InsecureUnlocked,
}

/// Why a secret could not be placed in locked memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MemoryError {
    /// The capacity is used up.
    #[error("locked memory is exhausted")]
    Exhausted,
    /// The kernel refused to provide pages of the kind asked for. Often RLIMIT_MEMLOCK is too small.
    #[error(
        "the kernel refuses {call} for locked memory (errno {errno}); is the limit on locked memory too small?"
    )]
    Refused {
        /// The system call.
        call: &'static str,
        /// Its error number.
        errno: i32,
    },
}

/// An arena of locked pages, shared by all clones of this handle.
#[derive(Clone)]
pub struct LockedMemory {
    arena: Arc<Arena>,
}

struct Arena {
    kind: MemoryKind,
    capacity_bytes: usize,
    slab: Mutex<Slab>,
}

/// Free spans by size class. A span never grows again: memory once cut for small secrets stays with small secrets.
#[derive(Default)]
struct Slab {
    free: [Vec<Span>; SLOT_CLASSES],
    mapped_bytes: usize,
    used_bytes: usize,
}

impl LockedMemory {
    /// An arena that holds up to `capacity_bytes` (slots and their rounding included).
    ///
    /// # Errors
    ///
    /// [`MemoryError::Refused`] when the kernel would not lock that much now: a server then refuses to start.
    pub fn new(kind: MemoryKind, capacity_bytes: usize) -> Result<Self, MemoryError> {
        let kind = match kind {
            MemoryKind::Auto if Span::map(MemoryKind::Secret, 1).is_ok() => MemoryKind::Secret,
            MemoryKind::Auto => MemoryKind::Locked,
            chosen => chosen,
        };
        // Map all of it once, to learn of a limit at start-up and not under load. Pages are kept only as needed.
        Span::map(kind, capacity_bytes.max(1))?;
        Ok(Self { arena: Arc::new(Arena { kind, capacity_bytes, slab: Mutex::default() }) })
    }

    /// Copies `secret` into the arena. The caller wipes its own copy.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Exhausted`] when it does not fit.
    pub fn store(&self, secret: &[u8]) -> Result<LockedSecret, MemoryError> {
        self.build(secret.len(), |slot| slot.copy_from_slice(secret))
    }

    /// Builds a secret of `length` bytes in place: `fill` gets zero bytes.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Exhausted`] when it does not fit.
    pub fn build(&self, length: usize, fill: impl FnOnce(&mut [u8])) -> Result<LockedSecret, MemoryError> {
        self.try_build(length, |slot| {
            fill(slot);
            Ok(())
        })
    }

    /// As [`LockedMemory::build`], where filling may fail.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Exhausted`], or what `fill` answers; the slot is zeroized then.
    pub fn try_build<E: From<MemoryError>>(
        &self,
        length: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<LockedSecret, E> {
        let span = Some(self.arena.take(length)?);
        let mut secret = LockedSecret { arena: Arc::clone(&self.arena), span, length };
        fill(secret.slot_mut())?;
        Ok(secret)
    }

    /// The kind of pages in use, never [`MemoryKind::Auto`].
    pub fn kind(&self) -> MemoryKind {
        self.arena.kind
    }

    /// The limit given to [`LockedMemory::new`].
    pub fn capacity_bytes(&self) -> usize {
        self.arena.capacity_bytes
    }

    /// Bytes of the slots that hold a secret now.
    pub fn used_bytes(&self) -> usize {
        self.arena.slab().used_bytes
    }
}

impl fmt::Debug for LockedMemory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LockedMemory")
            .field("kind", &self.kind())
            .field("capacity_bytes", &self.capacity_bytes())
            .field("used_bytes", &self.used_bytes())
            .finish()
    }
}

impl Arena {
    fn slab(&self) -> MutexGuard<'_, Slab> {
        // Every change below leaves the slab whole, so a panic elsewhere does not spoil it.
        self.slab.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, length: usize) -> Result<Span, MemoryError> {
        let mut slab = self.slab();
        let span = match class_of(length) {
            Some(class) => self.take_slot(&mut slab, class),
            None => self.map(&mut slab, length),
        }?;
        slab.used_bytes += span.length();
        Ok(span)
    }

    /// A free slot of the class, else half of a slot of the class above.
    fn take_slot(&self, slab: &mut Slab, class: usize) -> Result<Span, MemoryError> {
        if slab.free[class].is_empty() && class + 1 == SLOT_CLASSES {
            return self.grow(slab);
        }
        if let Some(span) = slab.free[class].pop() {
            return Ok(span);
        }
        let (first, second) = self.take_slot(slab, class + 1)?.split_at(slot_bytes(class));
        slab.free[class].push(second);
        Ok(first)
    }

    /// Maps a chunk of the largest slots and answers one of them. The last chunk may be smaller than the others.
    fn grow(&self, slab: &mut Slab) -> Result<Span, MemoryError> {
        let room =
            self.capacity_bytes.saturating_sub(slab.mapped_bytes) / LARGEST_SLOT_BYTES * LARGEST_SLOT_BYTES;
        if room == 0 {
            return Err(MemoryError::Exhausted);
        }
        let (first, mut rest) = self.map(slab, room.min(CHUNK_BYTES))?.split_at(LARGEST_SLOT_BYTES);
        while rest.length() >= LARGEST_SLOT_BYTES {
            let (slot, remaining) = rest.split_at(LARGEST_SLOT_BYTES);
            slab.free[SLOT_CLASSES - 1].push(slot);
            rest = remaining;
        }
        Ok(first)
    }

    fn map(&self, slab: &mut Slab, length: usize) -> Result<Span, MemoryError> {
        if length > self.capacity_bytes.saturating_sub(slab.mapped_bytes) {
            return Err(MemoryError::Exhausted);
        }
        let span = Span::map(self.kind, length)?;
        slab.mapped_bytes += span.length();
        Ok(span)
    }

    fn give_back(&self, mut span: Span) {
        span.bytes_mut().zeroize();
        let mut slab = self.slab();
        slab.used_bytes -= span.length();
        match class_of(span.length()) {
            Some(class) => slab.free[class].push(span),
            None => slab.mapped_bytes -= span.length(),
        }
    }
}

/// The class of the smallest slot that holds `length` bytes, if the slab has one.
fn class_of(length: usize) -> Option<usize> {
    (0..SLOT_CLASSES).find(|&class| length <= slot_bytes(class))
}

const fn slot_bytes(class: usize) -> usize {
    SMALLEST_SLOT_BYTES << class
}

/// A secret in locked memory. Its bytes are zeroized and the slot is given back when it is dropped.
pub struct LockedSecret {
    arena: Arc<Arena>,
    /// `None` only during drop.
    span: Option<Span>,
    length: usize,
}

impl LockedSecret {
    /// The secret bytes.
    pub fn expose(&self) -> &[u8] {
        match &self.span {
            Some(span) => &span.bytes()[..self.length],
            None => &[],
        }
    }

    /// The length of the secret in bytes.
    pub fn length(&self) -> usize {
        self.length
    }

    fn slot_mut(&mut self) -> &mut [u8] {
        match &mut self.span {
            Some(span) => &mut span.bytes_mut()[..self.length],
            None => &mut [],
        }
    }
}

impl Drop for LockedSecret {
    fn drop(&mut self) {
        if let Some(span) = self.span.take() {
            self.arena.give_back(span);
        }
    }
}

impl fmt::Debug for LockedSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "LockedSecret({} bytes)", self.length)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    const KINDS: [MemoryKind; 4] =
        [MemoryKind::Auto, MemoryKind::Secret, MemoryKind::Locked, MemoryKind::InsecureUnlocked];

    fn memory(capacity_bytes: usize) -> LockedMemory {
        LockedMemory::new(MemoryKind::Locked, capacity_bytes).unwrap()
    }

    #[test]
    fn every_kind_holds_what_was_stored() {
        for kind in KINDS {
            // A kernel without memfd_secret is a platform's fact, not a failure.
            let Ok(memory) = LockedMemory::new(kind, 128 * 1024) else {
                assert_eq!(kind, MemoryKind::Secret);
                continue;
            };
            assert_ne!(memory.kind(), MemoryKind::Auto);
            for length in [0, 1, 32, 33, 4096, 4097, 20_000] {
                let secret = memory.store(&vec![0xA5; length]).unwrap();
                assert_eq!(secret.expose(), vec![0xA5; length]);
            }
            assert_eq!(memory.used_bytes(), 0);
        }
    }

    #[test]
    fn dropped_slots_are_zero_and_used_again() {
        let memory = memory(CHUNK_BYTES);
        let secret = memory.store(&[0x5A; 32]).unwrap();
        let address = secret.expose().as_ptr();
        drop(secret);
        let slab = memory.arena.slab();
        let freed = slab.free[0].last().unwrap();
        assert_eq!((freed.bytes().as_ptr(), freed.bytes()), (address, &[0; 32][..]));
        drop(slab);
        assert_eq!(memory.store(&[1]).unwrap().expose().as_ptr(), address);
    }

    #[test]
    fn a_failed_or_panicking_fill_leaves_nothing_behind() {
        let memory = memory(CHUNK_BYTES);
        let failed = memory.try_build(32, |slot| {
            slot.fill(7);
            Err(MemoryError::Exhausted)
        });
        assert_eq!(failed.err(), Some(MemoryError::Exhausted));
        let panicked = std::panic::catch_unwind(|| {
            memory.build(32, |slot| {
                slot.fill(7);
                panic!("a fill that panics");
            })
        });
        assert!(panicked.is_err());
        assert_eq!(memory.used_bytes(), 0);
        assert!(memory.arena.slab().free[0].iter().all(|span| span.bytes() == [0; 32]));
    }

    #[test]
    fn the_capacity_is_a_limit_and_comes_back() {
        let memory = memory(2 * LARGEST_SLOT_BYTES);
        let held = [(); 2].map(|()| memory.store(&[1; LARGEST_SLOT_BYTES]).unwrap());
        assert_eq!(memory.store(&[1]).err(), Some(MemoryError::Exhausted));
        assert_eq!(memory.store(&[1; 5000]).err(), Some(MemoryError::Exhausted));
        drop(held);
        assert!(memory.store(&[1]).is_ok());
        assert_eq!(memory.store(&vec![1; 1 << 20]).err(), Some(MemoryError::Exhausted));
        assert_eq!(self::memory(0).store(&[]).err(), Some(MemoryError::Exhausted));
    }

    #[test]
    fn a_capacity_the_kernel_cannot_give_is_refused_at_once() {
        let refused = LockedMemory::new(MemoryKind::Locked, usize::MAX / 2);
        assert!(matches!(refused, Err(MemoryError::Refused { .. })), "{refused:?}");
        assert_eq!(LockedMemory::new(MemoryKind::Locked, usize::MAX).err(), Some(MemoryError::Exhausted));
    }

    #[test]
    fn debug_tells_no_byte() {
        let secret = memory(CHUNK_BYTES).store(b"hunter2").unwrap();
        assert_eq!(format!("{secret:?}"), "LockedSecret(7 bytes)");
    }

    #[test]
    fn threads_share_the_arena() {
        let memory = memory(1024 * 1024);
        std::thread::scope(|scope| {
            for thread in 0..4u8 {
                let memory = &memory;
                scope.spawn(move || {
                    for round in 0..500usize {
                        let kept = memory.store(&vec![thread; round % 300]).unwrap();
                        let other = memory.store(&[thread + 100; 64]).unwrap();
                        assert!(kept.expose().iter().all(|&byte| byte == thread));
                        assert_eq!(other.expose(), [thread + 100; 64]);
                    }
                });
            }
        });
        assert_eq!(memory.used_bytes(), 0);
    }

    #[test]
    fn hardening_reports_what_it_did() {
        let report = harden_process();
        assert!(report.core_dumps_disabled && report.tracing_disabled);
    }

    proptest! {
        /// Whatever is allocated and freed, every live secret keeps its own bytes and nothing is lost.
        #[test]
        fn live_secrets_never_overlap(steps in proptest::collection::vec((0usize..6000, any::<u8>(), any::<bool>()), 1..60)) {
            let memory = memory(1024 * 1024);
            let mut live: Vec<(LockedSecret, u8)> = Vec::new();
            for (length, byte, free_one) in steps {
                if free_one && !live.is_empty() {
                    live.swap_remove(length % live.len());
                }
                live.push((memory.build(length, |slot| {
                    assert!(slot.iter().all(|&b| b == 0));
                    slot.fill(byte);
                }).unwrap(), byte));
                for (secret, byte) in &live {
                    prop_assert!(secret.expose().iter().all(|b| b == byte));
                }
            }
            live.clear();
            prop_assert_eq!(memory.used_bytes(), 0);
        }
    }
}
