//! What users call.

use core::time::Duration;

use super::{Deadline, Timer, Until};

/// Limits for any future: until a signal, for a duration, or up to an instant.
///
/// ```
/// use core::future::{pending, ready};
/// use core::time::Duration;
/// use futures_lite::future::block_on;
/// use tollgate::DeadlineExt;
/// use tollgate::time::{Elapsed, ManualClock};
///
/// let clock = ManualClock::new();
/// assert_eq!(block_on(ready(1).timeout(&clock, Duration::from_secs(1))), Ok(1));
/// assert_eq!(block_on(pending::<()>().deadline(&clock, Duration::ZERO)), Err(Elapsed));
/// assert_eq!(block_on(pending::<()>().until(ready("stop"))), Err("stop"));
/// ```
///
/// Libraries do well not to take a timeout for each operation, but to leave it to their callers, who have these.
pub trait DeadlineExt: Future {
    /// Waits for the future until `signal` comes: a cancellation, a button, or any other future.
    ///
    /// It needs no clock. With a driver that has nothing but a delay it is a timeout:
    /// `read.until(delay.delay_ms(500))`.
    fn until<S>(self, signal: S) -> Until<Self, S::IntoFuture>
    where
        Self: Sized,
        S: IntoFuture,
    {
        Until::new(self, signal.into_future())
    }

    /// Waits for the future for at most `duration`, which counts from the first poll.
    ///
    /// A future that was made long before it is awaited has its full time. Where the time since some request came in is
    /// what counts, use [`deadline`](Self::deadline). Neither clock nor runtime are needed to make it.
    ///
    /// # Errors
    ///
    /// [`Elapsed`](super::Elapsed) once the future is pending and the duration is over, in the first poll already if it is
    /// zero. A duration that the clock cannot represent is never over.
    fn timeout<T>(self, timer: T, duration: Duration) -> Deadline<Self, T>
    where
        Self: Sized,
        T: Timer,
    {
        Deadline::after(self, timer, duration)
    }

    /// Waits for the future until the instant `at` of the timer's clock.
    ///
    /// Several steps of one request share one deadline this way, whatever each of them takes.
    ///
    /// # Errors
    ///
    /// [`Elapsed`](super::Elapsed) once the future is pending and the clock has reached `at`, in the first poll already if
    /// that is past.
    fn deadline<T>(self, timer: T, at: T::Instant) -> Deadline<Self, T>
    where
        Self: Sized,
        T: Timer,
    {
        Deadline::at(self, timer, at)
    }
}

impl<F: Future + ?Sized> DeadlineExt for F {}
