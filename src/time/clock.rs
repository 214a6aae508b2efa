//! The two traits that deadlines stand on.

use core::pin::Pin;
use core::time::Duration;

/// Something that tells the time.
///
/// The arithmetic sits on the clock and not on its instants, so that instants of other crates need no newtype and a clock
/// that counts ticks converts a duration once, where it knows its rate.
///
/// ```
/// use core::time::Duration;
/// use tollgate::time::{Clock, ManualClock};
///
/// let clock = ManualClock::new();
/// let at = clock.checked_add(clock.now(), Duration::from_secs(2)).unwrap();
/// clock.advance(Duration::from_secs(5));
/// assert_eq!(clock.saturating_since(clock.now(), at), Duration::from_secs(3));
/// assert_eq!(clock.checked_add(at, Duration::MAX), None, "never");
/// ```
pub trait Clock {
    /// A point in time. Instants do not wrap: what comes later is greater.
    type Instant: Copy + Ord;

    /// The time now. It never goes back.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tollgate::time::{Clock, ManualClock};
    ///
    /// let clock = ManualClock::new();
    /// clock.advance(Duration::from_secs(1));
    /// assert_eq!(clock.now(), Duration::from_secs(1));
    /// ```
    fn now(&self) -> Self::Instant;

    /// The instant that is `duration` after `at`, rounded up; `None` if the clock cannot represent it, which stands for
    /// never.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tollgate::time::{Clock, TimerQueue};
    ///
    /// let timers = TimerQueue::new(); // a tick is a millisecond
    /// assert_eq!(timers.checked_add(5, Duration::from_micros(1500)), Some(7));
    /// assert_eq!(timers.checked_add(5, Duration::MAX), None);
    /// ```
    fn checked_add(&self, at: Self::Instant, duration: Duration) -> Option<Self::Instant>;

    /// The time from `earlier` to `later`, rounded up, and zero if they come the other way round.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tollgate::time::{Clock, TimerQueue};
    ///
    /// let timers = TimerQueue::new(); // a tick is a millisecond
    /// assert_eq!(timers.saturating_since(7, 5), Duration::from_millis(2));
    /// assert_eq!(timers.saturating_since(5, 7), Duration::ZERO);
    /// ```
    fn saturating_since(&self, later: Self::Instant, earlier: Self::Instant) -> Duration;

    /// The first instant that is surely `duration` after a `now` just read; `None` stands for never, and zero is now.
    ///
    /// A clock whose ticks are long has part of the present tick behind it already, and adds one for that. All others
    /// keep this default, which is [`checked_add`](Self::checked_add).
    ///
    /// ```
    /// use core::time::Duration;
    /// use tollgate::time::{Clock, TimerQueue};
    ///
    /// let timers = TimerQueue::new(); // a tick is a millisecond
    /// assert_eq!(timers.after(5, Duration::from_millis(2)), Some(8));
    /// assert_eq!(timers.after(5, Duration::ZERO), Some(5));
    /// ```
    fn after(&self, now: Self::Instant, duration: Duration) -> Option<Self::Instant> {
        self.checked_add(now, duration)
    }
}

/// A clock that can wake a task.
///
/// A timer need not be exact, and a [`Deadline`](super::Deadline) does not trust it: a sleep that ends early is armed
/// again, and one that ends late is overtaken by the clock whenever the task runs.
///
/// There is no lifetime in [`Sleep`](Self::Sleep). A timer that its sleeps borrow implements the trait on its reference,
/// as `&TimerQueue` does.
///
/// ```
/// use core::{future::pending, time::Duration};
/// use tollgate::DeadlineExt;
/// use tollgate::time::{Elapsed, ManualClock, Timer};
///
/// /// Its callers choose the timer, and its tests a [`ManualClock`].
/// async fn read<T: Timer>(timer: T) -> Result<u8, Elapsed> {
///     pending().timeout(timer, Duration::ZERO).await
/// }
///
/// assert_eq!(futures_lite::future::block_on(read(&ManualClock::new())), Err(Elapsed));
/// ```
pub trait Timer: Clock {
    /// Ends at an instant; its output does not matter.
    type Sleep: Future;

    /// A sleep that ends at `at`, or as soon as it is polled if that is past.
    ///
    /// ```
    /// use core::time::Duration;
    /// use futures_lite::future::block_on;
    /// use tollgate::time::{ManualClock, Timer};
    ///
    /// async fn wait<T: Timer>(timer: T, at: T::Instant) {
    ///     timer.sleep_until(at).await;
    /// }
    ///
    /// let clock = ManualClock::new();
    /// clock.advance(Duration::from_secs(1));
    /// block_on(wait(&clock, Duration::from_secs(1))); // it is that late already
    /// ```
    fn sleep_until(&self, at: Self::Instant) -> Self::Sleep;

    /// As [`sleep_until`](Self::sleep_until), for who has just read the clock and has seen `now`, which is before `at`.
    ///
    /// A deadline calls this. A timer that would read the clock too can do without; the default ignores `now`.
    ///
    /// ```
    /// use core::{pin::pin, time::Duration};
    /// use futures_lite::future::{block_on, poll_once};
    /// use tollgate::time::{Clock, ManualClock, Timer};
    ///
    /// let clock = &ManualClock::new();
    /// let mut sleep = pin!(clock.sleep_from(clock.now(), Duration::from_secs(1)));
    /// assert_eq!(block_on(poll_once(sleep.as_mut())), None);
    /// clock.advance(Duration::from_secs(1));
    /// block_on(sleep);
    /// ```
    fn sleep_from(&self, now: Self::Instant, at: Self::Instant) -> Self::Sleep {
        let _ = now;
        self.sleep_until(at)
    }

    /// Makes a sleep, ended or not, end at `at`. It has to be polled again.
    ///
    /// The default puts a new sleep in the place of the old one.
    ///
    /// ```
    /// use core::{pin::pin, time::Duration};
    /// use futures_lite::future::{block_on, poll_once};
    /// use tollgate::time::{ManualClock, Timer};
    ///
    /// let clock = &ManualClock::new();
    /// let mut sleep = pin!(clock.sleep(Duration::ZERO));
    /// block_on(sleep.as_mut());
    /// clock.reset(sleep.as_mut(), Duration::from_secs(1));
    /// assert_eq!(block_on(poll_once(sleep)), None, "it sleeps again");
    /// ```
    fn reset(&self, mut sleep: Pin<&mut Self::Sleep>, at: Self::Instant) {
        sleep.set(self.sleep_until(at));
    }
}

// === impl for references ===

impl<T: Clock + ?Sized> Clock for &T {
    type Instant = T::Instant;

    #[inline]
    fn now(&self) -> Self::Instant {
        T::now(self)
    }

    #[inline]
    fn checked_add(&self, at: Self::Instant, duration: Duration) -> Option<Self::Instant> {
        T::checked_add(self, at, duration)
    }

    #[inline]
    fn saturating_since(&self, later: Self::Instant, earlier: Self::Instant) -> Duration {
        T::saturating_since(self, later, earlier)
    }

    #[inline]
    fn after(&self, now: Self::Instant, duration: Duration) -> Option<Self::Instant> {
        T::after(self, now, duration)
    }
}

impl<T: Timer + ?Sized> Timer for &T {
    type Sleep = T::Sleep;

    #[inline]
    fn sleep_until(&self, at: Self::Instant) -> Self::Sleep {
        T::sleep_until(self, at)
    }

    #[inline]
    fn sleep_from(&self, now: Self::Instant, at: Self::Instant) -> Self::Sleep {
        T::sleep_from(self, now, at)
    }

    #[inline]
    fn reset(&self, sleep: Pin<&mut Self::Sleep>, at: Self::Instant) {
        T::reset(self, sleep, at);
    }
}
