//! Bounded concurrency without a runtime.
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(feature = "std", test, tollgate_loom))]
extern crate std;

mod sync;
mod wait;

pub use sync::{DefaultLock, LocalLock, RawLock};
