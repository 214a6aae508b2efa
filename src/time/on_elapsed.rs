//! A future with something to do if it takes too long.

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use super::Timer;
use super::alarm::Alarm;

pin_project! {
    /// The future of [`on_elapsed`](super::DeadlineExt::on_elapsed): the output of the one inside, which is not cut short.
    ///
    /// Each poll asks the future first, then the clock, and then the timer. If the instant has come and the future is
    /// pending, the function runs, within that poll and once for all. If the future is ready then, it does not run.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the future, then the sleep, then the function if that has not run: it never will.
    ///
    /// # Panics
    ///
    /// Polling it after it was ready panics. If the function panics, the panic goes on, and the future may be polled on
    /// without it.
    ///
    /// # Size and cost
    ///
    /// The future, the function, the timer's sleep, and about 24 bytes. Once the function has run the clock is not read any
    /// more.
    #[must_use = "futures do nothing unless polled"]
    pub struct OnElapsed<F, T, C>
    where
        T: Timer,
    {
        #[pin]
        inner: F,
        #[pin]
        alarm: Alarm<T>,
        action: Option<C>,
    }
}

// === impl OnElapsed ===

impl<F, T: Timer, C> OnElapsed<F, T, C> {
    pub(super) const fn new(inner: F, timer: T, at: T::Instant, action: C) -> Self {
        Self { inner, alarm: Alarm::at(timer, at), action: Some(action) }
    }

    /// The future inside.
    ///
    /// ```
    /// use core::{future::pending, time::Duration};
    /// use tollgate::DeadlineExt;
    /// use tollgate::time::ManualClock;
    ///
    /// let clock = ManualClock::new();
    /// let limited = pending::<()>().deadline(&clock, Duration::from_secs(5));
    /// let noisy = limited.on_elapsed(&clock, Duration::from_secs(1), || println!("slow"));
    /// assert_eq!(noisy.inner().expires_at(), Some(Duration::from_secs(5)));
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
    /// let mut noisy = ready(1).on_elapsed(&clock, Duration::from_secs(1), || println!("slow"));
    /// *noisy.inner_mut() = ready(2);
    /// assert_eq!(futures_lite::future::block_on(noisy), 2);
    /// ```
    pub fn inner_mut(&mut self) -> &mut F {
        &mut self.inner
    }

    /// The future inside.
    ///
    /// ```
    /// use core::{pin::pin, time::Duration};
    /// use futures_lite::future::{block_on, yield_now};
    /// use tollgate::DeadlineExt;
    /// use tollgate::time::ManualClock;
    ///
    /// let clock = ManualClock::new();
    /// let answer = async { yield_now().await; 42 };
    /// let mut noisy = pin!(answer.on_elapsed(&clock, Duration::ZERO, || unreachable!("it is not asked")));
    /// assert_eq!(block_on(noisy.as_mut().inner_pin_mut()), 42);
    /// ```
    pub fn inner_pin_mut(self: Pin<&mut Self>) -> Pin<&mut F> {
        self.project().inner
    }

    /// The future inside alone. The function is dropped unless it has run.
    ///
    /// ```
    /// use core::time::Duration;
    /// use futures_lite::future::{block_on, yield_now};
    /// use tollgate::DeadlineExt;
    /// use tollgate::time::ManualClock;
    ///
    /// let clock = ManualClock::new();
    /// let answer = async { yield_now().await; 42 };
    /// let noisy = answer.on_elapsed(&clock, Duration::ZERO, || unreachable!("it was dropped"));
    /// assert_eq!(block_on(noisy.into_inner()), 42);
    /// ```
    pub fn into_inner(self) -> F {
        self.inner
    }

    /// When the function runs. `None` if it has run, was stopped, or is not needed any more.
    ///
    /// ```
    /// use core::{future::pending, pin::pin, time::Duration};
    /// use tollgate::DeadlineExt;
    /// use tollgate::time::ManualClock;
    ///
    /// let clock = ManualClock::new();
    /// let mut noisy = pin!(pending::<()>().on_elapsed(&clock, Duration::from_secs(1), || println!("slow")));
    /// assert_eq!(noisy.expires_at(), Some(Duration::from_secs(1)));
    /// noisy.as_mut().stop();
    /// assert_eq!(noisy.expires_at(), None);
    /// ```
    pub fn expires_at(&self) -> Option<T::Instant> {
        self.alarm.instant()
    }

    /// Sees to it that the function will not run, and hands it out if it has not. The future goes on as before.
    ///
    /// ```
    /// use core::future::ready;
    /// use core::pin::pin;
    /// use core::time::Duration;
    /// use futures_lite::future::block_on;
    /// use tollgate::DeadlineExt;
    /// use tollgate::time::ManualClock;
    ///
    /// let clock = ManualClock::new();
    /// let mut answer = pin!(ready(42).on_elapsed(&clock, Duration::ZERO, || unreachable!("it was stopped")));
    /// assert!(answer.as_mut().stop().is_some());
    /// assert_eq!(block_on(answer), 42);
    /// ```
    pub fn stop(self: Pin<&mut Self>) -> Option<C> {
        let this = self.project();
        this.alarm.clear();
        this.action.take()
    }
}

impl<F: Future, T: Timer, C: FnOnce()> Future for OnElapsed<F, T, C> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        assert!(!this.alarm.is_over(), "`OnElapsed` polled after it was finished");
        if let Poll::Ready(output) = this.inner.poll(cx) {
            this.alarm.finish();
            return Poll::Ready(output);
        }
        if this.alarm.as_mut().poll_elapsed(cx).is_ready() {
            this.alarm.clear();
            if let Some(action) = this.action.take() {
                action();
            }
        }
        Poll::Pending
    }
}

impl<F: Future, T: Timer, C: FnOnce()> FusedFuture for OnElapsed<F, T, C> {
    fn is_terminated(&self) -> bool {
        self.alarm.is_over()
    }
}

impl<F: fmt::Debug, T: Timer, C> fmt::Debug for OnElapsed<F, T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnElapsed").field("inner", &self.inner).field("alarm", &self.alarm).finish_non_exhaustive()
    }
}
