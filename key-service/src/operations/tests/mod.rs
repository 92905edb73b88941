//! One focused test an operation, through the bytes of a message and back.

#![allow(clippy::unwrap_used)]

mod attributes;
mod batches;
mod batches_as_a_whole;
mod certificates;
mod cryptography;
mod guards;
mod intents;
mod keys;
mod known_answers;
mod lifecycle;
mod locate;
mod locate_by_index;
mod looks;
mod streaming;
mod wrapping;

use std::mem::{size_of, size_of_val};

use kmip_protocol::operation::Request;
use kmip_protocol::version::V2_1;

use crate::batch::Operations;
use crate::context::Context;
use crate::testing::{Server, get_request};

/// What an allocator has at hand for each thread (glibc: up to this much). More it searches for, and tidies up for.
const AT_HAND_BYTES: usize = 1_032;

#[test]
fn a_get_waits_in_places_that_the_allocator_has_at_hand() {
    fn place<A, B, F>(_: impl FnOnce(A, B) -> F) -> usize {
        size_of::<F>()
    }
    let server = Server::new();
    let mut context = Context::new(&server.service, &server.principal, V2_1);
    let request = Request::from(get_request(&"key".into()));
    let outermost = size_of_val(&*server.service.handle(&mut context, request));
    let places = [outermost, place(super::handle), place(super::get::handle)];
    assert!(places.iter().all(|bytes| *bytes <= AT_HAND_BYTES), "{places:?}");
}
