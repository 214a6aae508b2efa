//! A future raced against a signal.

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

pin_project! {
    /// The future of [`until`](super::DeadlineExt::until): `Ok` with its value, or `Err` with the signal's.
    ///
    /// Each poll asks the future first and then the signal, so a value that is ready always wins.
    ///
    /// # After the signal
    ///
    /// `Err` is not the end. The future is still inside: polling this one again polls it on without a signal, or with
    /// a new one given to [`set_signal`](Self::set_signal).
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the future, then the signal. Nothing else is lost.
    ///
    /// # Panics
    ///
    /// Polling it after `Ok` panics.
    #[must_use = "futures do nothing unless polled"]
    pub struct Until<F, S> {
        #[pin]
        inner: F,
        #[pin]
        signal: S,
        stage: Stage,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Racing,
    /// The signal has come, the future goes on alone.
    Alone,
    Over,
}

// === impl Until ===

impl<F, S> Until<F, S> {
    pub(super) const fn new(inner: F, signal: S) -> Self {
        Self { inner, signal, stage: Stage::Racing }
    }

    /// The future inside.
    ///
    /// ```
    /// use core::{future::{pending, ready}, time::Duration};
    /// use tollgate::DeadlineExt;
    /// use tollgate::time::ManualClock;
    ///
    /// let clock = ManualClock::new();
    /// let answer = pending::<()>().deadline(&clock, Duration::from_secs(1)).until(ready("stop"));
    /// assert_eq!(answer.inner().expires_at(), Some(Duration::from_secs(1)));
    /// ```
    pub fn inner(&self) -> &F {
        &self.inner
    }

    /// The future inside, if this one is not pinned or need not be.
    ///
    /// ```
    /// use core::future::{pending, ready};
    /// use tollgate::DeadlineExt;
    ///
    /// let mut answer = ready(1).until(pending::<()>());
    /// *answer.inner_mut() = ready(2);
    /// assert_eq!(futures_lite::future::block_on(answer), Ok(2));
    /// ```
    pub fn inner_mut(&mut self) -> &mut F {
        &mut self.inner
    }

    /// The future inside, to be polled past the signal, say.
    ///
    /// ```
    /// use core::{future::ready, pin::pin};
    /// use futures_lite::future::{block_on, yield_now};
    /// use tollgate::DeadlineExt;
    ///
    /// let mut answer = pin!(async { yield_now().await; 42 }.until(ready("stop")));
    /// assert_eq!(block_on(answer.as_mut()), Err("stop"));
    /// assert_eq!(block_on(answer.as_mut().inner_pin_mut()), 42, "it was stopped half way, and finished");
    /// ```
    pub fn inner_pin_mut(self: Pin<&mut Self>) -> Pin<&mut F> {
        self.project().inner
    }

    /// The future inside, without the signal.
    ///
    /// ```
    /// use core::future::{pending, ready};
    /// use tollgate::DeadlineExt;
    ///
    /// let answer = ready(42).until(pending::<()>());
    /// assert_eq!(futures_lite::future::block_on(answer.into_inner()), 42);
    /// ```
    pub fn into_inner(self) -> F {
        self.inner
    }

    /// Races against a new signal. Poll this future again after it; after `Ok` that is still an error.
    ///
    /// ```
    /// use core::{future::{pending, ready}, pin::pin};
    /// use futures_lite::future::block_on;
    /// use tollgate::DeadlineExt;
    ///
    /// let mut answer = pin!(pending::<u8>().until(ready("first")));
    /// assert_eq!(block_on(answer.as_mut()), Err("first"));
    /// answer.as_mut().set_signal(ready("second"));
    /// assert_eq!(block_on(answer), Err("second"));
    /// ```
    pub fn set_signal(self: Pin<&mut Self>, signal: S) {
        let mut this = self.project();
        this.signal.set(signal);
        if *this.stage == Stage::Alone {
            *this.stage = Stage::Racing;
        }
    }
}

impl<F: Future, S: Future> Future for Until<F, S> {
    type Output = Result<F::Output, S::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        assert!(*this.stage != Stage::Over, "`Until` polled after it was finished");
        if let Poll::Ready(output) = this.inner.poll(cx) {
            *this.stage = Stage::Over;
            return Poll::Ready(Ok(output));
        }
        if *this.stage == Stage::Racing {
            if let Poll::Ready(signal) = this.signal.poll(cx) {
                *this.stage = Stage::Alone;
                return Poll::Ready(Err(signal));
            }
        }
        Poll::Pending
    }
}

impl<F: Future, S: Future> FusedFuture for Until<F, S> {
    /// True after `Ok`. After `Err` the future is still there.
    fn is_terminated(&self) -> bool {
        self.stage == Stage::Over
    }
}

impl<F: fmt::Debug, S> fmt::Debug for Until<F, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Until").field("inner", &self.inner).field("stage", &self.stage).finish_non_exhaustive()
    }
}
