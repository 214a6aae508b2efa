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
//! | up to `n` futures of a stream in flight | [`FanOutExt::fan_out`], [`FanOutExt::fan_out_with`] |
//! | ... with the results in the order of the input, and a bound on what piles up | [`FanOut::ordered`], [`FanOut::window`] |
//! | ... without an allocator | [`FanOutExt::fan_out_inline`], [`FanOut::wake_table`] |
//! | something done with each result while the rest goes on | [`FanOut::for_each`], [`FanOut::drive_while`] |
//! | futures added as they come, and their results as they complete | [`FutureSet`] |
//! | to give up after a while, or at an instant | [`DeadlineExt::timeout`], [`DeadlineExt::deadline`] |
//! | to give up when something else happens | [`DeadlineExt::until`] |
//! | to do something when it takes long, and go on | [`DeadlineExt::on_elapsed`] |
//! | a stream to end in time, or each of its items to come in time | [`DeadlineStreamExt`] |
//! | a timer | one of [`time`] |
//! | the work on several cores, threads or executors | [`workers()`] |
//! | to know what is alive, wait until nothing is, and find leaks | [`Tracker`] |
//! | to tell work to stop, and everything below it | [`CancellationToken`], [`OwnedCancellationToken`] |
//! | ... and a deadline and a trace id along with it | [`context`] |
//!
//! The [guide] has chapters on what the parts are for, and on migrating from other crates.
//!
//! # What the crate never does
//!
//! * It starts no runtime, spawns no task, reads no clock and logs nothing on its own. Only `ThreadTimer` has a thread.
//! * It never wakes, clones or drops a waker, polls a future or runs a closure of yours with a lock held.
//! * It never spins on a lock. Where the platform has no lock to offer, you name one, or it does not compile.
//! * Waiting for a permit never allocates.
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `std` | yes | the system's mutex as [`DefaultLock`], blocking forms, `ThreadTimer`; implies `alloc` |
//! | `alloc` | by `std` | the fan-out of any width, in one allocation; owned permits, where the target has compare-and-swap (they need an `Arc`) |
//! | `critical-section` | | [`DefaultLock`] without `std`: critical sections, safe in interrupts |
//! | `portable-atomic` | | targets without compare-and-swap; the application picks the backend |
//! | `tokio`, `async-io`, `futures-timer`, `embassy-time` | | that runtime's timer |
//! | `locations` | | where each tracked work was started, told by [`track::Leaks`] |
//! | `defmt` | | `defmt::Format` for errors |
#![no_std]
// The maps above name things that are not there without `alloc`.
#![cfg_attr(not(feature = "alloc"), allow(rustdoc::broken_intra_doc_links))]
// Of the library only: examples and tests are programs, nobody reads their documentation, and they have std.
#![deny(missing_docs, missing_debug_implementations)]
#![deny(clippy::std_instead_of_core, clippy::std_instead_of_alloc, clippy::alloc_instead_of_core)]

#[cfg(any(feature = "alloc", test))]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

mod adapters;
pub mod cancel;
#[cfg(doctest)]
mod compile_fail;
pub mod context;
pub mod fan_out;
#[cfg(any(doc, all(doctest, feature = "std")))]
pub mod guide;
pub mod semaphore;
mod sync;
pub mod time;
pub mod track;
mod wait;
// Tasks share it by `Arc`, and it needs a lock that it can make without being told which.
#[cfg(all(
    feature = "alloc",
    target_has_atomic = "ptr",
    any(feature = "std", feature = "critical-section", tollgate_loom)
))]
pub mod workers;

pub use cancel::CancellationToken;
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub use cancel::OwnedCancellationToken;
#[cfg(feature = "alloc")]
pub use fan_out::FutureSet;
pub use fan_out::{FanOut, FanOutExt, Limit, WakeTable};
pub use semaphore::{Acquire, Closed, Permit, Semaphore, TryAcquireError};
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
pub use semaphore::{AcquireOwned, OwnedPermit};
pub use sync::{DefaultLock, LocalLock, RawLock};
pub use time::{DeadlineExt, DeadlineStreamExt, Elapsed};
pub use track::{Tracked, Tracker};
#[cfg(all(
    feature = "alloc",
    target_has_atomic = "ptr",
    any(feature = "std", feature = "critical-section", tollgate_loom)
))]
pub use workers::{Results, Worker, workers};

/// The README's example, compiled and run with the doc tests.
#[cfg(all(doctest, feature = "std"))]
#[doc = include_str!("../README.md")]
#[derive(Debug)]
pub struct Readme;
