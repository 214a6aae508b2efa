//! The error of a deadline.

use core::fmt;

/// A deadline was reached before the future was ready.
///
/// The future is still there: see [`Deadline`](super::Deadline).
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
