//! Bounded concurrency without a runtime.
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
