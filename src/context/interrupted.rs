//! The error of a context.

use core::fmt;

use crate::cancel::Cause;
use crate::time::Elapsed;

/// Why a [`Context`](super::Context) let something go.
///
/// ```
/// # use std::time::Duration;
/// # use tollgate::context::{Context, Interrupted};
/// # use tollgate::time::ManualClock;
/// fn status(interrupted: Interrupted) -> u16 {
///     match interrupted {
///         Interrupted::Cancelled(_) => 499,
///         Interrupted::DeadlineExceeded => 504,
///     }
/// }
///
/// let clock = ManualClock::new();
/// let root = Context::new(&clock);
/// assert_eq!(root.with_timeout(Duration::ZERO).check().map_err(status), Err(504));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Interrupted {
    /// It was cancelled, or a context above it was.
    Cancelled(Cause),
    /// Its deadline has passed.
    DeadlineExceeded,
}

// === impl Interrupted ===

impl Interrupted {
    /// As the token says it.
    pub(super) fn by(cause: Cause) -> Self {
        if cause == Cause::DEADLINE_EXCEEDED { Self::DeadlineExceeded } else { Self::Cancelled(cause) }
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled(Cause::CANCELLED) => f.pad("cancelled"),
            Self::Cancelled(cause) => write!(f, "cancelled: {cause}"),
            Self::DeadlineExceeded => f.pad("deadline exceeded"),
        }
    }
}

impl core::error::Error for Interrupted {}

impl From<Elapsed> for Interrupted {
    fn from(_: Elapsed) -> Self {
        Self::DeadlineExceeded
    }
}

/// An error of kind [`TimedOut`](crate::sync::io::ErrorKind::TimedOut) for the deadline, and of kind `Other` for a
/// cancellation. That is not of kind `Interrupted`, which asks to try again.
#[cfg(feature = "std")]
impl From<Interrupted> for crate::sync::io::Error {
    fn from(interrupted: Interrupted) -> Self {
        match interrupted {
            Interrupted::Cancelled(_) => Self::other(interrupted),
            Interrupted::DeadlineExceeded => Elapsed.into(),
        }
    }
}
