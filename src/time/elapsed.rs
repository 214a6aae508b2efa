//! The error of a deadline.

use core::fmt;

/// A deadline was reached before the future was ready.
///
/// The future is still there: see [`Deadline`](super::Deadline).
///
/// ```
/// use core::{future::pending, time::Duration};
/// use tollgate::DeadlineExt;
/// use tollgate::time::{Elapsed, ManualClock};
///
/// let clock = ManualClock::new();
/// let answer = futures_lite::future::block_on(pending::<u8>().timeout(&clock, Duration::ZERO));
/// assert_eq!(answer, Err(Elapsed));
/// assert_eq!(Elapsed.to_string(), "deadline has elapsed");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Elapsed;

// === impl Elapsed ===

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deadline has elapsed")
    }
}

impl core::error::Error for Elapsed {}

/// An error of kind [`TimedOut`](crate::sync::io::ErrorKind::TimedOut), made without an allocation.
#[cfg(feature = "std")]
impl From<Elapsed> for crate::sync::io::Error {
    fn from(_: Elapsed) -> Self {
        crate::sync::io::ErrorKind::TimedOut.into()
    }
}
