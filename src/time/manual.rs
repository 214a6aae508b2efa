//! A clock that a test sets.

use core::fmt;
use core::pin::Pin;
use core::time::Duration;

use super::queue::NEVER;
use super::{Clock, QueueSleep, Timer, TimerQueue};
use crate::sync::{DefaultLock, RawLock, const_fn, if_default_lock};

/// A clock that stands still until a test moves it, and a timer on any executor.
///
/// Its reference is the [`Timer`]. Instants are durations since its start, exact to the nanosecond and up to 584 years;
/// what is beyond is never reached.
///
/// ```
/// use core::future::{Future, pending};
/// use core::pin::pin;
/// use core::task::{Context, Poll, Waker};
/// use core::time::Duration;
/// use tollgate::DeadlineExt;
/// use tollgate::time::{Elapsed, ManualClock};
///
/// let clock = ManualClock::new();
/// let mut limited = pin!(pending::<()>().timeout(&clock, Duration::from_secs(3600)));
/// let mut cx = Context::from_waker(Waker::noop());
///
/// assert!(limited.as_mut().poll(&mut cx).is_pending());
/// clock.advance(Duration::from_secs(3599));
/// assert!(limited.as_mut().poll(&mut cx).is_pending());
/// clock.advance(Duration::from_secs(1));
/// assert_eq!(limited.as_mut().poll(&mut cx), Poll::Ready(Err(Elapsed)));
/// ```
pub struct ManualClock<L = DefaultLock> {
    queue: TimerQueue<L>,
}

// === impl ManualClock ===

if_default_lock! {
    impl ManualClock<DefaultLock> {
        const_fn! {
            /// A clock at its start, with the default lock.
            ///
            /// ```
            /// use tollgate::time::{Clock, ManualClock};
            ///
            /// static CLOCK: ManualClock = ManualClock::new();
            /// assert!(CLOCK.now().is_zero());
            /// ```
            #[must_use]
            pub const fn new() -> Self {
                Self::with_lock()
            }
        }
    }

    impl Default for ManualClock<DefaultLock> {
        fn default() -> Self {
            Self::new()
        }
    }
}

impl<L: RawLock> ManualClock<L> {
    const_fn! {
        /// As `new`, with a lock of another type.
        ///
        /// ```
        /// use tollgate::LocalLock;
        /// use tollgate::time::{Clock, ManualClock};
        ///
        /// let clock = ManualClock::<LocalLock>::with_lock();
        /// assert!(clock.now().is_zero());
        /// ```
        #[must_use]
        pub const fn with_lock() -> Self {
            Self { queue: TimerQueue::with_lock().ticks_per_second(1_000_000_000) }
        }
    }

    /// Moves the time on by `duration`, from one sleep's end to the next, so that each waker is woken at its own time.
    ///
    /// What is woken runs when its executor lets it. A task that is to go on at the time at which it was woken, and not at
    /// the end of the whole step, needs [`advance_with`](Self::advance_with).
    ///
    /// ```
    /// use core::{pin::pin, time::Duration};
    /// use futures_lite::future::{block_on, poll_once};
    /// use tollgate::time::ManualClock;
    ///
    /// let clock = ManualClock::new();
    /// let mut sleep = pin!(clock.sleep(Duration::from_secs(3600)));
    /// assert_eq!(block_on(poll_once(sleep.as_mut())), None);
    /// clock.advance(Duration::from_secs(3600)); // an hour in no time
    /// block_on(sleep);
    /// ```
    pub fn advance(&self, duration: Duration) {
        self.advance_with(duration, || {});
    }

    /// Moves the time on by `duration`, and calls `run` after each sleep's end on the way and at the end, so that tasks
    /// can run then.
    ///
    /// ```
    /// use core::{pin::pin, time::Duration};
    /// use futures_lite::future::{block_on, poll_once};
    /// use tollgate::time::{Clock, ManualClock};
    ///
    /// let (clock, second) = (ManualClock::new(), Duration::from_secs(1));
    /// let mut task = pin!(async {
    ///     clock.sleep(second).await;
    ///     clock.sleep(second).await; // begins at one second, not at five
    ///     clock.now()
    /// });
    /// let mut end = block_on(poll_once(task.as_mut()));
    /// clock.advance_with(5 * second, || end = end.or_else(|| block_on(poll_once(task.as_mut()))));
    /// assert_eq!(end, Some(2 * second));
    /// ```
    pub fn advance_with(&self, duration: Duration, mut run: impl FnMut()) {
        let end = self.now().saturating_add(duration);
        while self.step_within(end) {
            run();
        }
        self.queue.advance(ticks(end).unwrap_or(NEVER));
        run();
    }

    /// Moves the time on to the next sleep's end; false if nobody sleeps.
    ///
    /// ```
    /// use core::{pin::pin, time::Duration};
    /// use futures_lite::future::{block_on, poll_once};
    /// use tollgate::time::{Clock, ManualClock};
    ///
    /// let clock = ManualClock::new();
    /// let mut sleep = pin!(clock.sleep(Duration::from_secs(7)));
    /// block_on(poll_once(sleep.as_mut()));
    /// assert!(clock.step());
    /// assert_eq!(clock.now(), Duration::from_secs(7));
    /// assert!(!clock.step(), "nobody sleeps any more");
    /// ```
    pub fn step(&self) -> bool {
        self.step_within(Duration::MAX)
    }

    /// How many sleeps are waiting to be woken.
    ///
    /// ```
    /// use core::{pin::pin, time::Duration};
    /// use futures_lite::future::{block_on, poll_once};
    /// use tollgate::time::ManualClock;
    ///
    /// let clock = ManualClock::new();
    /// let mut sleep = pin!(clock.sleep(Duration::from_secs(1)));
    /// block_on(poll_once(sleep.as_mut()));
    /// assert_eq!(clock.sleepers(), 1);
    /// clock.advance(Duration::from_secs(1));
    /// assert_eq!(clock.sleepers(), 0);
    /// ```
    pub fn sleepers(&self) -> usize {
        self.queue.sleepers()
    }

    /// A sleep that ends at `at`, and never if that is beyond what the clock can represent.
    ///
    /// ```
    /// use core::time::Duration;
    /// use tollgate::time::ManualClock;
    ///
    /// let clock = ManualClock::new();
    /// clock.advance(Duration::from_secs(2));
    /// futures_lite::future::block_on(clock.sleep_until(Duration::from_secs(1))); // is past
    /// ```
    pub fn sleep_until(&self, at: Duration) -> QueueSleep<'_, L> {
        self.queue.sleep_until(ticks(at).unwrap_or(NEVER))
    }

    /// A sleep that ends `duration` after this call.
    ///
    /// ```
    /// use core::{pin::pin, time::Duration};
    /// use futures_lite::future::{block_on, poll_once};
    /// use tollgate::time::ManualClock;
    ///
    /// let clock = ManualClock::new();
    /// let mut sleep = pin!(clock.sleep(Duration::from_secs(1)));
    /// assert_eq!(block_on(poll_once(sleep.as_mut())), None);
    /// clock.advance(Duration::from_secs(1));
    /// block_on(sleep);
    /// ```
    pub fn sleep(&self, duration: Duration) -> QueueSleep<'_, L> {
        self.sleep_until(self.now().saturating_add(duration))
    }

    fn step_within(&self, end: Duration) -> bool {
        let next = self.queue.next_deadline().filter(|at| Duration::from_nanos(*at) <= end);
        if let Some(next) = next {
            self.queue.advance(next);
        }
        next.is_some()
    }
}

/// Nanoseconds, if they can be represented.
fn ticks(at: Duration) -> Option<u64> {
    u64::try_from(at.as_nanos()).ok()
}

impl<L: RawLock> fmt::Debug for ManualClock<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock").field("now", &self.now()).field("sleepers", &self.sleepers()).finish()
    }
}

impl<L: RawLock> Clock for ManualClock<L> {
    /// The time since the start.
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_nanos(self.queue.now())
    }

    fn checked_add(&self, at: Duration, duration: Duration) -> Option<Duration> {
        at.checked_add(duration).filter(|at| ticks(*at).is_some_and(|at| at != NEVER))
    }

    fn saturating_since(&self, later: Duration, earlier: Duration) -> Duration {
        later.saturating_sub(earlier)
    }
}

impl<'c, L: RawLock> Timer for &'c ManualClock<L> {
    type Sleep = QueueSleep<'c, L>;

    fn sleep_until(&self, at: Duration) -> QueueSleep<'c, L> {
        ManualClock::sleep_until(self, at)
    }

    fn reset(&self, sleep: Pin<&mut QueueSleep<'c, L>>, at: Duration) {
        sleep.reset(ticks(at).unwrap_or(NEVER));
    }
}
