//! What users call.

use core::time::Duration;

use futures_core::Stream;

use super::{Deadline, ItemTimeout, OnElapsed, StreamDeadline, Timer, Until};

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
    ///
    /// ```
    /// use core::future::{pending, ready};
    /// use futures_lite::future::block_on;
    /// use tollgate::DeadlineExt;
    ///
    /// let button = || ready("pressed");
    /// assert_eq!(block_on(pending::<u8>().until(button())), Err("pressed"));
    /// assert_eq!(block_on(ready(42).until(button())), Ok(42));
    /// ```
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
    ///
    /// ```
    /// use core::{pin::pin, future::pending, time::Duration};
    /// use futures_lite::future::{block_on, poll_once};
    /// use tollgate::DeadlineExt;
    /// use tollgate::time::{Elapsed, ManualClock};
    ///
    /// let clock = ManualClock::new();
    /// let mut slow = pin!(pending::<u8>().timeout(&clock, Duration::from_secs(1)));
    /// assert_eq!(block_on(poll_once(slow.as_mut())), None);
    /// clock.advance(Duration::from_secs(1));
    /// assert_eq!(block_on(slow), Err(Elapsed));
    /// ```
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
    ///
    /// ```
    /// use core::{future::{pending, ready}, time::Duration};
    /// use futures_lite::future::block_on;
    /// use tollgate::DeadlineExt;
    /// use tollgate::time::{Elapsed, ManualClock};
    ///
    /// let clock = ManualClock::new();
    /// let at = Duration::from_secs(1);
    /// assert_eq!(block_on(ready(1).deadline(&clock, at)), Ok(1));
    /// clock.advance(Duration::from_secs(1)); // what the first step has left
    /// assert_eq!(block_on(pending::<u8>().deadline(&clock, at)), Err(Elapsed));
    /// ```
    fn deadline<T>(self, timer: T, at: T::Instant) -> Deadline<Self, T>
    where
        Self: Sized,
        T: Timer,
    {
        Deadline::at(self, timer, at)
    }

    /// Runs `f` once if the future is still pending at the instant `at` of the timer's clock, and lets it go on.
    ///
    /// For a log line, a second request to another server, or a cancellation that the future may answer in its own time.
    /// Finishing or dropping the future stops it; so does [`OnElapsed::stop`].
    ///
    /// ```
    /// use core::time::Duration;
    /// use futures_lite::future::{block_on, yield_now};
    /// use tollgate::DeadlineExt;
    /// use tollgate::time::ManualClock;
    ///
    /// let clock = ManualClock::new();
    /// let mut late = false;
    /// let slow = async {
    ///     yield_now().await;
    ///     clock.advance(Duration::from_secs(1));
    ///     yield_now().await;
    ///     42
    /// };
    /// assert_eq!(block_on(slow.on_elapsed(&clock, Duration::from_secs(1), || late = true)), 42);
    /// assert!(late);
    /// ```
    fn on_elapsed<T, C>(self, timer: T, at: T::Instant, f: C) -> OnElapsed<Self, T, C>
    where
        Self: Sized,
        T: Timer,
        C: FnOnce(),
    {
        OnElapsed::new(self, timer, at, f)
    }
}

impl<F: Future + ?Sized> DeadlineExt for F {}

/// Limits for any stream: for each of its items, or for the whole of it.
///
/// ```
/// use core::pin::pin;
/// use core::time::Duration;
/// use futures_lite::{StreamExt, future::block_on, stream};
/// use tollgate::DeadlineStreamExt;
/// use tollgate::time::{Elapsed, ManualClock};
///
/// let clock = ManualClock::new();
/// let stuck = stream::iter([1, 2]).chain(stream::pending()).item_timeout(&clock, Duration::ZERO);
/// assert_eq!(block_on(stuck.collect::<Vec<_>>()), [Ok(1), Ok(2), Err(Elapsed)]);
///
/// let mut hot = pin!(stream::repeat(1).stream_deadline(&clock, Duration::from_secs(1)));
/// assert_eq!(block_on(hot.next()), Some(Ok(1)));
/// clock.advance(Duration::from_secs(1));
/// assert_eq!(block_on(hot.next()), Some(Err(Elapsed)));
/// assert_eq!(block_on(hot.next()), None);
/// ```
pub trait DeadlineStreamExt: Stream {
    /// Waits for each item for at most `duration`, counted from the first poll that finds the stream pending.
    ///
    /// The time between two items that the consumer takes is not counted.
    ///
    /// # Errors
    ///
    /// One item [`Elapsed`](super::Elapsed) once the stream is pending and the duration is over, then the end, or with
    /// [`repeating`](ItemTimeout::repeating) a fresh wait. A duration that the clock cannot represent is never over.
    ///
    /// ```
    /// use core::{pin::pin, time::Duration};
    /// use futures_lite::{StreamExt, future::block_on, stream};
    /// use tollgate::DeadlineStreamExt;
    /// use tollgate::time::{Elapsed, ManualClock};
    ///
    /// let clock = ManualClock::new();
    /// let mut stuck = pin!(stream::iter([1]).chain(stream::pending()).item_timeout(&clock, Duration::ZERO));
    /// assert_eq!(block_on(stuck.next()), Some(Ok(1)));
    /// assert_eq!(block_on(stuck.next()), Some(Err(Elapsed)));
    /// assert_eq!(block_on(stuck.next()), None);
    /// ```
    fn item_timeout<T>(self, timer: T, duration: Duration) -> ItemTimeout<Self, T>
    where
        Self: Sized,
        T: Timer,
    {
        ItemTimeout::new(self, timer, duration)
    }

    /// Ends the stream at the instant `at` of the timer's clock, however busy it is.
    ///
    /// # Errors
    ///
    /// One item [`Elapsed`](super::Elapsed) in the first poll at or after `at`, even if the stream has an item then, which
    /// stays in it; then the end.
    ///
    /// ```
    /// use core::{pin::pin, time::Duration};
    /// use futures_lite::{StreamExt, future::block_on, stream};
    /// use tollgate::DeadlineStreamExt;
    /// use tollgate::time::{Elapsed, ManualClock};
    ///
    /// let clock = ManualClock::new();
    /// let mut hot = pin!(stream::repeat(1).stream_deadline(&clock, Duration::from_secs(1)));
    /// assert_eq!(block_on(hot.next()), Some(Ok(1)));
    /// clock.advance(Duration::from_secs(1));
    /// assert_eq!(block_on(hot.next()), Some(Err(Elapsed)));
    /// ```
    fn stream_deadline<T>(self, timer: T, at: T::Instant) -> StreamDeadline<Self, T>
    where
        Self: Sized,
        T: Timer,
    {
        StreamDeadline::new(self, timer, at)
    }
}

impl<S: Stream + ?Sized> DeadlineStreamExt for S {}
