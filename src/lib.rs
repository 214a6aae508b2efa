//! Bounded concurrency without a runtime.
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(feature = "std", test, tollgate_loom))]
extern crate std;

mod adapters;
mod sync;
pub mod time;
mod wait;

pub use sync::{DefaultLock, LocalLock, RawLock};
pub use time::{DeadlineExt, Elapsed};
