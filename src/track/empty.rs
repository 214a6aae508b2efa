//! Waiting until nothing is alive.

use core::fmt;
use core::ops::Deref;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use super::engine::Engine;
use super::{Leaks, Tracker};
use crate::sync::{DefaultLock, RawLock};
use crate::time::{Deadline, Elapsed, Timer};
use crate::wait::waiting::Waiting;

pin_project! {
    /// The future of [`Tracker::wait_empty`].
    ///
    /// It may be polled by one task after another; the newest waker counts.
    ///
    /// # Cancel safety
    ///
    /// Drop it at any moment; nothing is lost.
    ///
    /// # Panics
    ///
    /// When polled after it has completed.
    #[must_use = "futures do nothing unless polled"]
    pub struct WaitEmpty<'t, L: RawLock = DefaultLock> {
        #[pin]
        wait: Waiting<Borrowed<'t, L>, Engine<L>>,
    }
}

pin_project! {
    /// The future of [`Tracker::verify_none_within`].
    ///
    /// # Cancel safety
    ///
    /// Drop it at any moment; nothing is lost.
    ///
    /// # Panics
    ///
    /// When polled after `Ok`. After `Err` it may be polled again, and looks again.
    #[must_use = "futures do nothing unless polled"]
    pub struct VerifyNone<'t, T, L = DefaultLock>
    where
        T: Timer,
        L: RawLock,
    {
        #[pin]
        wait: Deadline<WaitEmpty<'t, L>, T>,
        tracker: &'t Tracker<L>,
    }
}

struct Borrowed<'t, L: RawLock>(&'t Tracker<L>);

// === impl WaitEmpty ===

impl<'t, L: RawLock> WaitEmpty<'t, L> {
    #[inline]
    pub(super) fn new(tracker: &'t Tracker<L>) -> Self {
        Self { wait: Waiting::new(Borrowed(tracker), 0, 0) }
    }
}

impl<L: RawLock> Future for WaitEmpty<'_, L> {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut wait = self.project().wait;
        assert!(!wait.is_done(), "a `WaitEmpty` was polled after it had completed");
        if wait.is_idle() && wait.handle().word().live() == 0 {
            wait.as_mut().skip();
            return Poll::Ready(());
        }
        wait.poll(cx.waker(), |engine, list, joined| engine.admit(list, joined)).map(drop)
    }
}

impl<L: RawLock> FusedFuture for WaitEmpty<'_, L> {
    fn is_terminated(&self) -> bool {
        self.wait.is_done()
    }
}

impl<L: RawLock> fmt::Debug for WaitEmpty<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitEmpty").field("wait", &self.wait).finish_non_exhaustive()
    }
}

impl<L: RawLock> Deref for Borrowed<'_, L> {
    type Target = Engine<L>;

    #[inline]
    fn deref(&self) -> &Engine<L> {
        &self.0.engine
    }
}

// === impl VerifyNone ===

impl<'t, T: Timer, L: RawLock> VerifyNone<'t, T, L> {
    pub(super) fn new(tracker: &'t Tracker<L>, wait: Deadline<WaitEmpty<'t, L>, T>) -> Self {
        Self { wait, tracker }
    }
}

impl<T: Timer, L: RawLock> Future for VerifyNone<'_, T, L> {
    type Output = Result<(), Leaks>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match ready!(this.wait.poll(cx)) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(Elapsed) => Poll::Ready(this.tracker.verify_none()),
        }
    }
}

impl<T: Timer, L: RawLock> FusedFuture for VerifyNone<'_, T, L> {
    /// True after `Ok`.
    fn is_terminated(&self) -> bool {
        self.wait.is_terminated()
    }
}

impl<T: Timer, L: RawLock> fmt::Debug for VerifyNone<'_, T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyNone").field("wait", &self.wait).finish_non_exhaustive()
    }
}
