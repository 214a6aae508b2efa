//! A timer made of a clock and a function.

use core::fmt;
use core::time::Duration;

use super::{Clock, Timer};

/// A timer made of a clock and of a function from a duration to a future that takes about that long.
///
/// It fits whatever sleeps there are: those of a runtime that has no adapter here, or a hardware delay. The future may end
/// early, for a [`Deadline`](super::Deadline) looks at the clock.
#[cfg_attr(feature = "std", doc = "```")]
#[cfg_attr(not(feature = "std"), doc = "```ignore")]
/// use core::time::Duration;
/// use tollgate::DeadlineExt;
/// use tollgate::time::{Elapsed, FnTimer, StdClock};
///
/// let timer = FnTimer(StdClock, |d: Duration| async move { std::thread::sleep(d) }); // your runtime's `sleep`
/// let slow = core::future::pending::<()>().timeout(&timer, Duration::from_millis(2));
/// assert_eq!(futures_lite::future::block_on(slow), Err(Elapsed));
/// ```
#[derive(Clone, Copy)]
pub struct FnTimer<C, F>(
    /// The clock.
    pub C,
    /// Makes a future that takes as long as it is told.
    pub F,
);

// === impl FnTimer ===

impl<C: Clock, F> Clock for FnTimer<C, F> {
    type Instant = C::Instant;

    fn now(&self) -> Self::Instant {
        self.0.now()
    }

    fn checked_add(&self, at: Self::Instant, duration: Duration) -> Option<Self::Instant> {
        self.0.checked_add(at, duration)
    }

    fn saturating_since(&self, later: Self::Instant, earlier: Self::Instant) -> Duration {
        self.0.saturating_since(later, earlier)
    }

    fn after(&self, now: Self::Instant, duration: Duration) -> Option<Self::Instant> {
        self.0.after(now, duration)
    }
}

impl<C: Clock, F: Fn(Duration) -> S, S: Future> Timer for FnTimer<C, F> {
    type Sleep = S;

    fn sleep_until(&self, at: Self::Instant) -> S {
        self.sleep_from(self.0.now(), at)
    }

    fn sleep_from(&self, now: Self::Instant, at: Self::Instant) -> S {
        (self.1)(self.0.saturating_since(at, now))
    }
}

impl<C: fmt::Debug, F> fmt::Debug for FnTimer<C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FnTimer").field(&self.0).finish_non_exhaustive()
    }
}
