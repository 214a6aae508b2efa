//! A future with a deadline.

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use super::alarm::Alarm;
use super::{Elapsed, Timer};

pin_project! {
    /// The future of [`timeout`](super::DeadlineExt::timeout) and [`deadline`](super::DeadlineExt::deadline).
    ///
    /// Each poll asks the future first, then the clock, and then the timer, which is made when it is first needed. A value
    /// that is ready always wins. If the deadline is reached, be it zero or past from the beginning, the same poll
    /// gives `Err(Elapsed)`.
    ///
    /// # After the deadline
    ///
    /// `Err(Elapsed)` is not the end. The future is still inside and may be polled on by itself
    /// ([`inner_pin_mut`](Self::inner_pin_mut)), or under a new deadline ([`reset`](Self::reset), [`extend`](Self::extend)),
    /// or under none ([`clear`](Self::clear)) by polling this one again. So a future that must not be dropped half way
    /// survives its deadline.
    ///
    /// ```
    /// use core::pin::pin;
    /// use core::time::Duration;
    /// use futures_lite::future::block_on;
    /// use tollgate::DeadlineExt;
    /// use tollgate::time::{Elapsed, ManualClock};
    ///
    /// let clock = ManualClock::new();
    /// let (mut answer, mut polls) = (pin!(async { futures_lite::future::yield_now().await; 42 }), 0);
    /// let counted = core::future::poll_fn(|cx| { polls += 1; answer.as_mut().poll(cx) });
    /// let mut limited = pin!(counted.timeout(&clock, Duration::ZERO));
    /// assert_eq!(block_on(limited.as_mut()), Err(Elapsed));
    /// limited.as_mut().clear();
    /// assert_eq!(block_on(limited.as_mut()), Ok(42));
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the future, then the sleep, which takes itself off its timer where the timer can. Nothing else
    /// is lost.
    ///
    /// # Panics
    ///
    /// Polling it after `Ok` panics. Nothing panics for any duration or instant.
    ///
    /// # Size and cost
    ///
    /// The future, the timer's sleep, and at most 24 bytes. The clock is read in each poll in which the future is
    /// pending, and nothing at all happens to clock or timer if the first poll is ready. It passes the caller's own waker
    /// down and makes none, so that timers which accept their own executor's wakers alone work under it.
    #[must_use = "futures do nothing unless polled"]
    pub struct Deadline<F, T>
    where
        T: Timer,
    {
        #[pin]
        inner: F,
        #[pin]
        alarm: Alarm<T>,
    }
}

// === impl Deadline ===

impl<F, T: Timer> Deadline<F, T> {
    pub(super) const fn after(inner: F, timer: T, duration: Duration) -> Self {
        Self { inner, alarm: Alarm::after(timer, duration) }
    }

    pub(super) const fn at(inner: F, timer: T, at: T::Instant) -> Self {
        Self { inner, alarm: Alarm::at(timer, at) }
    }

    /// The future inside.
    ///
    /// ```
    /// use core::{future::pending, time::Duration};
    /// use tollgate::DeadlineExt;
    /// use tollgate::time::ManualClock;
    ///
    /// let clock = ManualClock::new();
    /// let step = pending::<()>().deadline(&clock, Duration::from_secs(1));
    /// let request = step.deadline(&clock, Duration::from_secs(5));
    /// assert_eq!(request.inner().expires_at(), Some(Duration::from_secs(1)));
    /// ```
    pub fn inner(&self) -> &F {
        &self.inner
    }

    /// The future inside, if this one is not pinned or need not be.
    ///
    /// ```
    /// use core::{future::ready, time::Duration};
    /// use tollgate::DeadlineExt;
    /// use tollgate::time::ManualClock;
    ///
    /// let clock = ManualClock::new();
    /// let mut limited = ready(1).timeout(&clock, Duration::from_secs(1));
    /// *limited.inner_mut() = ready(2);
    /// assert_eq!(futures_lite::future::block_on(limited), Ok(2));
    /// ```
    pub fn inner_mut(&mut self) -> &mut F {
        &mut self.inner
    }

    /// The future inside, to be polled past its deadline, say.
    ///
    /// ```
    /// use core::{pin::pin, time::Duration};
    /// use futures_lite::future::{block_on, yield_now};
    /// use tollgate::DeadlineExt;
    /// use tollgate::time::{Elapsed, ManualClock};
    ///
    /// let clock = ManualClock::new();
    /// let answer = async { yield_now().await; 42 };
    /// let mut limited = pin!(answer.timeout(&clock, Duration::ZERO));
    /// assert_eq!(block_on(limited.as_mut()), Err(Elapsed));
    /// assert_eq!(block_on(limited.as_mut().inner_pin_mut()), 42);
    /// ```
    pub fn inner_pin_mut(self: Pin<&mut Self>) -> Pin<&mut F> {
        self.project().inner
    }

    /// The future inside, without its deadline.
    ///
    /// ```
    /// use core::{future::ready, time::Duration};
    /// use tollgate::DeadlineExt;
    /// use tollgate::time::ManualClock;
    ///
    /// let clock = ManualClock::new();
    /// let limited = ready(42).timeout(&clock, Duration::from_secs(1));
    /// assert_eq!(futures_lite::future::block_on(limited.into_inner()), 42);
    /// ```
    pub fn into_inner(self) -> F {
        self.inner
    }

    /// The timer.
    ///
    /// ```
    /// use core::{future::pending, time::Duration};
    /// use tollgate::DeadlineExt;
    /// use tollgate::time::{Clock, ManualClock};
    ///
    /// let clock = ManualClock::new();
    /// let limited = pending::<()>().deadline(&clock, Duration::from_secs(3));
    /// let left = limited.timer().saturating_since(limited.expires_at().unwrap(), limited.timer().now());
    /// assert_eq!(left, Duration::from_secs(3));
    /// ```
    pub fn timer(&self) -> &T {
        self.alarm.timer()
    }

    /// When the deadline is, or was. `None` if there is none, or if it counts from a first poll that was not yet.
    ///
    /// ```
    /// use core::{future::pending, pin::pin, time::Duration};
    /// use futures_lite::future::{block_on, poll_once};
    /// use tollgate::DeadlineExt;
    /// use tollgate::time::ManualClock;
    ///
    /// let clock = ManualClock::new();
    /// let mut limited = pin!(pending::<()>().timeout(&clock, Duration::from_secs(1)));
    /// assert_eq!(limited.expires_at(), None);
    /// block_on(poll_once(limited.as_mut()));
    /// assert_eq!(limited.expires_at(), Some(Duration::from_secs(1)));
    /// ```
    pub fn expires_at(&self) -> Option<T::Instant> {
        self.alarm.instant()
    }

    /// Puts the deadline at `at`, earlier or later, past ones and none included. Poll this future again after it.
    ///
    /// A sleep that is under way is moved in place. After `Ok` this does nothing.
    ///
    /// ```
    /// use core::{future::pending, pin::pin, time::Duration};
    /// use futures_lite::future::{block_on, poll_once};
    /// use tollgate::DeadlineExt;
    /// use tollgate::time::{Elapsed, ManualClock};
    ///
    /// let clock = ManualClock::new();
    /// let mut limited = pin!(pending::<()>().deadline(&clock, Duration::ZERO));
    /// assert_eq!(block_on(limited.as_mut()), Err(Elapsed));
    /// limited.as_mut().reset(Duration::from_secs(1));
    /// assert_eq!(block_on(poll_once(limited)), None, "it has time again");
    /// ```
    pub fn reset(self: Pin<&mut Self>, at: T::Instant) {
        self.project().alarm.reset(at);
    }

    /// Moves the deadline by `duration`, counted from where it was and not from now. Poll this future again after it.
    ///
    /// A deadline that leaves what the clock can represent is never reached. One that was cleared stays cleared.
    ///
    /// ```
    /// use core::{future::pending, pin::pin, time::Duration};
    /// use tollgate::DeadlineExt;
    /// use tollgate::time::ManualClock;
    ///
    /// let clock = ManualClock::new();
    /// let mut limited = pin!(pending::<()>().deadline(&clock, Duration::from_secs(1)));
    /// limited.as_mut().extend(Duration::from_secs(2));
    /// assert_eq!(limited.expires_at(), Some(Duration::from_secs(3)));
    /// ```
    pub fn extend(self: Pin<&mut Self>, duration: Duration) {
        self.project().alarm.extend(duration);
    }

    /// Takes the deadline away. Poll this future again after it.
    ///
    /// ```
    /// use core::{pin::pin, time::Duration};
    /// use futures_lite::future::{block_on, yield_now};
    /// use tollgate::DeadlineExt;
    /// use tollgate::time::ManualClock;
    ///
    /// let clock = ManualClock::new();
    /// let answer = async { yield_now().await; 42 };
    /// let mut limited = pin!(answer.timeout(&clock, Duration::ZERO));
    /// limited.as_mut().clear();
    /// assert_eq!(block_on(limited), Ok(42));
    /// ```
    pub fn clear(self: Pin<&mut Self>) {
        self.project().alarm.clear();
    }
}

impl<F: Future, T: Timer> Future for Deadline<F, T> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        assert!(!this.alarm.is_over(), "`Deadline` polled after it was finished");
        if let Poll::Ready(output) = this.inner.poll(cx) {
            this.alarm.finish();
            return Poll::Ready(Ok(output));
        }
        ready!(this.alarm.as_mut().poll_elapsed(cx));
        Poll::Ready(Err(Elapsed))
    }
}

impl<F: Future, T: Timer> FusedFuture for Deadline<F, T> {
    /// True after `Ok`. After `Err` there is still something to wait for.
    fn is_terminated(&self) -> bool {
        self.alarm.is_over()
    }
}

impl<F: fmt::Debug, T: Timer> fmt::Debug for Deadline<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadline").field("inner", &self.inner).field("alarm", &self.alarm).finish()
    }
}
