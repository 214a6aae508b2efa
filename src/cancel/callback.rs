//! A function that is called when a token is cancelled.

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use super::CancelSignal;

pin_project! {
    /// The future of [`on_cancel`](super::CancellationToken::on_cancel): it calls its function when the token is cancelled,
    /// at most once, and is ready with what that returns.
    ///
    /// # Where the function runs
    ///
    /// In the task that polls this: joined with the work that it belongs to, or spawned as a task of its own. It runs in
    /// neither the task nor the interrupt handler that cancels. So it may block on what the canceller holds, may borrow from
    /// its task, needs not be `Send`, and is over or not begun when [`stop`](Self::stop) returns. A callback that `cancel`
    /// itself runs has none of that: stopping it would have to wait for it, which is a deadlock where it waits for the
    /// stopper.
    ///
    /// If the token was cancelled before the first poll, the function is called then.
    ///
    /// # Cancel safety
    ///
    /// Dropping it is stopping it.
    #[must_use = "futures do nothing unless polled: the function is called by whoever polls this"]
    pub struct OnCancel<F, C> {
        f: Option<F>,
        #[pin]
        cancelled: C,
    }
}

// === impl OnCancel ===

impl<F, C> OnCancel<F, C> {
    pub(super) const fn new(f: F, cancelled: C) -> Self {
        Self { f: Some(f), cancelled }
    }

    /// Calls it off, and returns the function unless it was called, or stopped, already.
    ///
    /// Polling it is pending from then on. It takes a pinned reference, for it may be registered already; before that,
    /// dropping it is enough.
    ///
    /// ```
    /// use tollgate::CancellationToken;
    ///
    /// let token = CancellationToken::new();
    /// let mut undo = std::pin::pin!(token.on_cancel(|| "undone"));
    /// assert!(undo.as_mut().stop().is_some(), "it was not called, and will not be");
    /// token.cancel();
    /// assert!(undo.as_mut().stop().is_none());
    /// ```
    pub fn stop(self: Pin<&mut Self>) -> Option<F>
    where
        C: CancelSignal,
    {
        let this = self.project();
        this.cancelled.end();
        this.f.take()
    }

    /// The function, unless it was called or stopped already.
    ///
    /// ```
    /// # use tollgate::CancellationToken;
    /// let token = CancellationToken::new();
    /// let cleanup = token.on_cancel(|| "cleaned up");
    /// // The work ended before anybody cancelled it; it cleans up itself.
    /// let cleanup = cleanup.into_inner().unwrap();
    /// assert_eq!(cleanup(), "cleaned up");
    /// ```
    pub fn into_inner(self) -> Option<F> {
        self.f
    }

    /// Whether the function may still be called.
    ///
    /// ```
    /// # use tollgate::CancellationToken;
    /// let token = CancellationToken::new();
    /// let mut closing = core::pin::pin!(token.on_cancel(|| "closed"));
    /// assert!(closing.is_armed());
    /// token.cancel();
    /// assert_eq!(futures_lite::future::block_on(closing.as_mut()), "closed");
    /// assert!(!closing.is_armed(), "it is called once");
    /// ```
    #[must_use]
    pub fn is_armed(&self) -> bool {
        self.f.is_some()
    }
}

impl<F: FnOnce() -> T, T, C: CancelSignal> Future for OnCancel<F, C> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = self.project();
        if this.f.is_none() {
            return Poll::Pending;
        }
        ready!(this.cancelled.poll(cx));
        let f = this.f.take().expect("it was there");
        Poll::Ready(f())
    }
}

impl<F: FnOnce() -> T, T, C: CancelSignal> FusedFuture for OnCancel<F, C> {
    /// True once the function was called or stopped.
    fn is_terminated(&self) -> bool {
        self.f.is_none()
    }
}

impl<F, C: fmt::Debug> fmt::Debug for OnCancel<F, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnCancel").field("armed", &self.is_armed()).field("cancelled", &self.cancelled).finish()
    }
}
