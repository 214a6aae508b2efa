//! A future that is given up when a token is cancelled.

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use super::CancelSignal;

pin_project! {
    /// The future of [`run_until_cancelled`](super::CancellationToken::run_until_cancelled): `Some` with the value, or
    /// `None` if the token was cancelled.
    ///
    /// The first poll looks at the token first; the token as it is then, not as it was when this was made. Later polls ask
    /// the future first, so that a value that is ready wins.
    ///
    /// `None` leaves the future inside as it is: [`inner_pin_mut`](Self::inner_pin_mut) lets one that must not be dropped half
    /// way be finished.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the future, then its place among those who wait for the token.
    ///
    /// # Panics
    ///
    /// Polling it after it was ready panics.
    ///
    /// # Size and cost
    ///
    /// The future and about 72 bytes on a 64-bit machine. If the future is ready at its first poll, nothing waits and no lock
    /// is taken.
    #[must_use = "futures do nothing unless polled"]
    pub struct RunUntilCancelled<F, C> {
        #[pin]
        inner: F,
        #[pin]
        cancelled: C,
        stage: Stage,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    New,
    Running,
    Over,
}

// === impl RunUntilCancelled ===

impl<F, C> RunUntilCancelled<F, C> {
    pub(super) const fn new(inner: F, cancelled: C) -> Self {
        Self { inner, cancelled, stage: Stage::New }
    }

    /// The future inside.
    ///
    /// ```
    /// # use tollgate::CancellationToken;
    /// # futures_lite::future::block_on(async {
    /// let (connection, program) = (CancellationToken::new(), CancellationToken::new());
    /// let mut closing = core::pin::pin!(program.run_until_cancelled(connection.on_cancel(|| "closed")));
    /// program.cancel();
    /// assert_eq!(closing.as_mut().await, None);
    /// assert!(closing.inner().is_armed(), "it was not called");
    /// # });
    /// ```
    pub fn inner(&self) -> &F {
        &self.inner
    }

    /// The future inside, if this one is not pinned or need not be.
    ///
    /// ```
    /// # use tollgate::CancellationToken;
    /// let token = CancellationToken::new();
    /// let mut answer = token.run_until_cancelled(core::future::ready(41));
    /// *answer.inner_mut() = core::future::ready(42); // before it is begun
    /// assert_eq!(futures_lite::future::block_on(answer), Some(42));
    /// ```
    pub fn inner_mut(&mut self) -> &mut F {
        &mut self.inner
    }

    /// The future inside, to be finished after `None`, say.
    ///
    /// ```
    /// # use tollgate::CancellationToken;
    /// # futures_lite::future::block_on(async {
    /// let token = CancellationToken::new();
    /// let mut write = core::pin::pin!(token.run_until_cancelled(async { "all written" }));
    /// token.cancel();
    /// assert_eq!(write.as_mut().await, None);
    /// assert_eq!(write.inner_pin_mut().await, "all written");
    /// # });
    /// ```
    pub fn inner_pin_mut(self: Pin<&mut Self>) -> Pin<&mut F> {
        self.project().inner
    }

    /// The future inside, without the token.
    ///
    /// ```
    /// # use tollgate::CancellationToken;
    /// let token = CancellationToken::new();
    /// let job = token.run_until_cancelled(async { 42 });
    /// token.cancel();
    /// assert_eq!(futures_lite::future::block_on(job.into_inner()), 42, "the token does not matter any more");
    /// ```
    pub fn into_inner(self) -> F {
        self.inner
    }
}

impl<F: Future, C: CancelSignal> Future for RunUntilCancelled<F, C> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match *this.stage {
            Stage::New if this.cancelled.is_cancelled() => {
                *this.stage = Stage::Over;
                return Poll::Ready(None);
            }
            Stage::New => *this.stage = Stage::Running,
            Stage::Running => {}
            Stage::Over => panic!("`RunUntilCancelled` polled after it was finished"),
        }
        let polled = match this.inner.poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => this.cancelled.poll(cx).map(|()| None),
        };
        if polled.is_ready() {
            *this.stage = Stage::Over;
        }
        polled
    }
}

impl<F: Future, C: CancelSignal> FusedFuture for RunUntilCancelled<F, C> {
    fn is_terminated(&self) -> bool {
        self.stage == Stage::Over
    }
}

impl<F: fmt::Debug, C: fmt::Debug> fmt::Debug for RunUntilCancelled<F, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunUntilCancelled")
            .field("inner", &self.inner)
            .field("cancelled", &self.cancelled)
            .field("stage", &self.stage)
            .finish()
    }
}
