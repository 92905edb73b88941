//! The stacks of threads: where a library has worked with a key, copies stay until other calls use the place.
//!
//! A thread wipes below itself when it has nothing to do ([`wipe_stack`], to be called as it parks) and, where it never rests,
//! with the first request that it has answered after keys were taken back ([`keys_taken_back`]). A wipe is a `memset`, no
//! more: it needs no knowledge of who used the stack, and how.

use std::cell::Cell;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

/// How deep is wiped: deeper than any request reaches. Without optimization, frames are several times as large.
const DEPTH_BYTES: usize = if cfg!(debug_assertions) { 640 * 1024 } else { 128 * 1024 };

static TAKEN_BACK: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static WIPED_AFTER: Cell<u64> = const { Cell::new(0) };
}

/// Zeroes the stack below the caller.
#[inline(never)]
pub fn wipe_stack() {
    WIPED_AFTER.set(TAKEN_BACK.load(Ordering::Acquire));
    let mut below = [0_u8; DEPTH_BYTES];
    black_box(&mut below);
}

/// Keys may be used no more: every thread is to wipe its stack.
pub fn keys_taken_back() {
    TAKEN_BACK.fetch_add(1, Ordering::AcqRel);
}

/// To be called when a request has been answered: wipes if keys were taken back since this thread last did.
pub fn wipe_stack_if_due() {
    if TAKEN_BACK.load(Ordering::Acquire) != WIPED_AFTER.get() {
        wipe_stack();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wipe_is_due_once_after_keys_were_taken_back() {
        let due = || TAKEN_BACK.load(Ordering::Acquire) != WIPED_AFTER.get();
        keys_taken_back();
        assert!(due());
        wipe_stack_if_due();
        assert!(!due());
    }
}
