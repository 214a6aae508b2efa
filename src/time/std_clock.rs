//! The system's monotonic clock.

use core::time::Duration;

use super::Clock;
use crate::sync::Instant;

/// The system's monotonic clock, [`std::time::Instant`](crate::sync::Instant).
///
/// A clock alone; with a way to sleep, as in [`FnTimer`](super::FnTimer), it is a timer.
///
/// ```
/// use core::time::Duration;
/// use tollgate::time::{Clock, StdClock};
///
/// let begun = StdClock.now();
/// let at = StdClock.checked_add(begun, Duration::from_secs(1)).unwrap();
/// assert_eq!(StdClock.saturating_since(at, begun), Duration::from_secs(1));
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct StdClock;

// === impl StdClock ===

impl Clock for StdClock {
    type Instant = Instant;

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn checked_add(&self, at: Instant, duration: Duration) -> Option<Instant> {
        at.checked_add(duration)
    }

    fn saturating_since(&self, later: Instant, earlier: Instant) -> Duration {
        later.saturating_duration_since(earlier)
    }
}

/// Makes a type a clock by the system's.
#[allow(unused_macros, reason = "a model build without adapters has no use for it")]
macro_rules! std_clock {
    ($Clock:ty) => {
        impl $crate::time::Clock for $Clock {
            type Instant = $crate::sync::Instant;

            fn now(&self) -> Self::Instant {
                $crate::time::StdClock.now()
            }

            fn checked_add(&self, at: Self::Instant, duration: ::core::time::Duration) -> Option<Self::Instant> {
                $crate::time::StdClock.checked_add(at, duration)
            }

            fn saturating_since(&self, later: Self::Instant, earlier: Self::Instant) -> ::core::time::Duration {
                $crate::time::StdClock.saturating_since(later, earlier)
            }
        }
    };
}
#[allow(unused_imports, reason = "as above")]
pub(crate) use std_clock;
