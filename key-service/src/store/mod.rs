//! The stores: implementations of the port [`Store`](crate::port::Store), and how an operator picks one.

mod memory;
mod transition;

pub use memory::{MemoryLimits, MemoryStore};
