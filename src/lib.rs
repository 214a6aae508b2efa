//! Bounded concurrency without a runtime: a counting semaphore, stream fan-out and deadlines that work on any executor,
//! from servers to bare metal.
//!
//! # Want -> type
//!
//! | you want | you take |
//! |---|---|
//! | at most `n` of something at once, in turn | [`Semaphore`] |
//! | ... with permits that move between tasks | [`Semaphore::acquire_owned`] |
//! | ... on one thread, without atomics | `Semaphore<`[`LocalLock`]`>` |
//!
//! # What the crate never does
//!
//! * It starts no runtime, spawns no task, reads no clock and logs nothing on its own.
//! * It never wakes, clones or drops a waker, polls a future or runs a closure of yours with a lock held.
//! * It never spins on a lock. Where the platform has no lock to offer, you name one, or it does not compile.
//! * Waiting for a permit never allocates.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `std` | yes | the system's mutex as [`DefaultLock`], blocking forms; implies `alloc` |
//! | `alloc` | by `std` | owned permits |
//! | `critical-section` | | [`DefaultLock`] without `std`: critical sections, safe in interrupts |
//! | `portable-atomic` | | targets without compare-and-swap; the application picks the backend |
//! | `defmt` | | `defmt::Format` for errors |
#![no_std]

#[cfg(any(feature = "alloc", test))]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

pub mod semaphore;
mod sync;
mod wait;

pub use semaphore::{Acquire, Closed, Permit, Semaphore, TryAcquireError};
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub use semaphore::{AcquireOwned, OwnedPermit};
pub use sync::{DefaultLock, LocalLock, RawLock};

/// The README's example, compiled and run with the doc tests.
#[cfg(all(doctest, feature = "std"))]
#[doc = include_str!("../README.md")]
#[derive(Debug)]
pub struct Readme;
