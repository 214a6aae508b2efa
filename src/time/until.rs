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
    pub fn inner(&self) -> &F {
        &self.inner
    }

    /// The future inside, if this one is not pinned or need not be.
    pub fn inner_mut(&mut self) -> &mut F {
        &mut self.inner
    }

    /// The future inside, to be polled past the signal, say.
    pub fn inner_pin_mut(self: Pin<&mut Self>) -> Pin<&mut F> {
        self.project().inner
    }

    /// The future inside, without the signal.
    pub fn into_inner(self) -> F {
        self.inner
    }

    /// Races against a new signal. Poll this future again after it; after `Ok` that is still an error.
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
