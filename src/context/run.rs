//! Waiting for the end of a context, and what is run until then.

use core::fmt;
use core::future::{Pending, pending};
use core::pin::Pin;
use core::task::{Context as TaskContext, Poll};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use super::Interrupted;
use super::limits::View;
use crate::cancel::{CancelSignal, Cancelled};
use crate::sync::{DefaultLock, RawLock};
use crate::time::{Deadline, DeadlineExt, Timer};

pin_project! {
    /// The future of [`interrupted`](super::Context::interrupted): ready once the context is cancelled or its deadline has
    /// passed, and from then on, with what happened first.
    ///
    /// Each poll looks at the token, then at the clock, then at the timer, as far as there is a deadline.
    ///
    /// # Cancel safety
    ///
    /// Drop it at any moment; it leaves nothing behind, and its sleep takes itself off its timer where the timer can.
    #[must_use = "futures do nothing unless polled"]
    pub struct Interruption<'a, T, L = DefaultLock>
    where
        T: Timer,
        L: RawLock,
    {
        #[pin]
        cancelled: Cancelled<'a, L>,
        #[pin]
        deadline: Option<Deadline<Pending<()>, &'a T>>,
        view: View<'a, T, L>,
    }
}

pin_project! {
    /// The future of [`run`](super::Context::run): `Ok` with the value, or `Err` if the context was interrupted.
    ///
    /// The first poll checks the context first; the context as it is then, not as it was when this was made. Later polls ask
    /// the future first, so that a value that is ready wins.
    ///
    /// `Err` leaves the future inside as it is: [`inner_pin_mut`](Self::inner_pin_mut) lets one that must not be dropped half
    /// way be finished.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the future, then what waits for the context.
    ///
    /// # Panics
    ///
    /// Polling it after it was ready panics.
    ///
    /// # Size and cost
    ///
    /// The future, one of the timer's sleeps, and 112 bytes on a 64-bit machine. If the future is ready at its first
    /// poll, nothing waits, and there is neither a lock nor a timer.
    #[must_use = "futures do nothing unless polled"]
    pub struct Run<'a, F, T, L = DefaultLock>
    where
        T: Timer,
        L: RawLock,
    {
        #[pin]
        inner: F,
        #[pin]
        interruption: Interruption<'a, T, L>,
        stage: Stage,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    New,
    Running,
    Over,
}

// === impl Interruption ===

impl<'a, T: Timer, L: RawLock> Interruption<'a, T, L> {
    pub(super) fn new(view: View<'a, T, L>) -> Self {
        let limits = view.limits();
        let deadline = limits.deadline().map(|at| pending().deadline(limits.timer(), at));
        Self { cancelled: view.cancelled(), deadline, view }
    }

    /// Waits no more: nobody is going to be woken.
    pub(super) fn end(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.deadline.set(None);
        this.cancelled.end();
    }

    /// Whether the context has been interrupted, without waiting for it.
    pub(super) fn check(&self) -> Result<(), Interrupted> {
        self.view.check()
    }
}

impl<T: Timer, L: RawLock> Future for Interruption<'_, T, L> {
    type Output = Interrupted;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Interrupted> {
        let mut this = self.project();
        if this.cancelled.as_mut().poll(cx).is_ready() {
            this.deadline.set(None);
            return Poll::Ready(this.view.why());
        }
        match this.deadline.as_mut().as_pin_mut().map(|deadline| deadline.poll(cx)) {
            None | Some(Poll::Pending) => Poll::Pending,
            Some(Poll::Ready(_)) => {
                this.deadline.set(None);
                this.cancelled.end();
                Poll::Ready(this.view.exceeded())
            }
        }
    }
}

impl<T: Timer, L: RawLock> FusedFuture for Interruption<'_, T, L> {
    fn is_terminated(&self) -> bool {
        self.cancelled.is_terminated()
    }
}

impl<T: Timer, L: RawLock> fmt::Debug for Interruption<'_, T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interruption").field("cancelled", &self.cancelled).field("deadline", &self.deadline).finish()
    }
}

// === impl Run ===

impl<'a, F, T: Timer, L: RawLock> Run<'a, F, T, L> {
    pub(super) fn new(inner: F, view: View<'a, T, L>) -> Self {
        Self { inner, interruption: Interruption::new(view), stage: Stage::New }
    }

    /// The future inside.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tollgate::DeadlineExt;
    /// # use tollgate::context::Context;
    /// # use tollgate::time::ManualClock;
    /// let clock = ManualClock::new();
    /// let root = Context::new(&clock);
    /// let step = root.run(core::future::pending::<()>().deadline(&clock, Duration::from_secs(1)));
    /// assert_eq!(step.inner().expires_at(), Some(Duration::from_secs(1)));
    /// ```
    pub fn inner(&self) -> &F {
        &self.inner
    }

    /// The future inside, if this one is not pinned or need not be.
    ///
    /// ```
    /// # use core::future::ready;
    /// # use tollgate::context::Context;
    /// # use tollgate::time::ManualClock;
    /// let clock = ManualClock::new();
    /// let root = Context::new(&clock);
    /// let mut step = root.run(ready(1));
    /// *step.inner_mut() = ready(2);
    /// assert_eq!(futures_lite::future::block_on(step), Ok(2));
    /// ```
    pub fn inner_mut(&mut self) -> &mut F {
        &mut self.inner
    }

    /// The future inside, to be finished after `Err`, say.
    ///
    /// ```
    /// # use core::pin::pin;
    /// # use futures_lite::future::{block_on, yield_now};
    /// # use tollgate::context::Context;
    /// # use tollgate::time::ManualClock;
    /// let clock = ManualClock::new();
    /// let root = Context::new(&clock);
    /// let mut step = pin!(root.run(async {
    ///     yield_now().await;
    ///     root.cancel(); // half way
    ///     yield_now().await;
    ///     42
    /// }));
    /// assert!(block_on(step.as_mut()).is_err());
    /// assert_eq!(block_on(step.as_mut().inner_pin_mut()), 42);
    /// ```
    pub fn inner_pin_mut(self: Pin<&mut Self>) -> Pin<&mut F> {
        self.project().inner
    }

    /// The future inside, without the context.
    ///
    /// ```
    /// # use tollgate::context::Context;
    /// # use tollgate::time::ManualClock;
    /// let clock = ManualClock::new();
    /// let root = Context::new(&clock);
    /// root.cancel();
    /// let step = root.run(async { 42 });
    /// assert_eq!(futures_lite::future::block_on(step.into_inner()), 42, "whatever has become of the context");
    /// ```
    pub fn into_inner(self) -> F {
        self.inner
    }
}

impl<F: Future, T: Timer, L: RawLock> Future for Run<'_, F, T, L> {
    type Output = Result<F::Output, Interrupted>;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        match *this.stage {
            Stage::New => {
                if let Err(interrupted) = this.interruption.check() {
                    *this.stage = Stage::Over;
                    return Poll::Ready(Err(interrupted));
                }
                *this.stage = Stage::Running;
            }
            Stage::Running => {}
            Stage::Over => panic!("`Run` polled after it was finished"),
        }
        let polled = match this.inner.poll(cx) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => this.interruption.as_mut().poll(cx).map(Err),
        };
        if polled.is_ready() {
            *this.stage = Stage::Over;
            this.interruption.end();
        }
        polled
    }
}

impl<F: Future, T: Timer, L: RawLock> FusedFuture for Run<'_, F, T, L> {
    fn is_terminated(&self) -> bool {
        self.stage == Stage::Over
    }
}

impl<F: fmt::Debug, T: Timer, L: RawLock> fmt::Debug for Run<'_, F, T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("inner", &self.inner)
            .field("interruption", &self.interruption)
            .field("stage", &self.stage)
            .finish()
    }
}
