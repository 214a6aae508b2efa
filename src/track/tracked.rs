//! What is tracked: futures, and whatever else lives for a while.

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use super::Tracker;
use super::engine::End;
use super::handle::{Handle, Ticket};

pin_project! {
    /// A future that counts as alive from [`Tracker::track`] until it is gone: the future itself, not this wrapper.
    ///
    /// When the future is ready it is dropped where it is, and after its destructor it counts as finished, before its output is
    /// handed out. If it is dropped before that, it counts as dropped unfinished, after its destructor too. Its
    /// output is not a part of it.
    ///
    /// # Panics
    ///
    /// When polled after it has completed. A panic of the future goes on; the future then is alive until it is dropped, as its
    /// destructor has not run. A panic of its destructor goes on as well, and the future no longer counts.
    ///
    /// # Size and cost
    ///
    /// The future, a pointer, the marks that tell whether they are there, and a byte with the feature `locations`. See
    /// [`Tracker`] for the cost in time.
    #[must_use = "futures do nothing unless polled; a `Tracked` counts as alive all the same"]
    pub struct Tracked<F, H = &'static Tracker>
    where
        H: Handle,
    {
        // Both are there until the future is gone.
        #[pin]
        future: Option<F>,
        ticket: Option<Ticket<H>>,
    }

    impl<F, H> PinnedDrop for Tracked<F, H>
    where
        H: Handle,
    {
        #[inline]
        fn drop(this: Pin<&mut Self>) {
            this.end(End::Dropped);
        }
    }
}

/// Something that counts as alive until it is dropped: a thread, a connection, an interrupt's job, a buffer that is lent.
///
/// Made by [`Tracker::guard`]. Its drop counts as finished. It can be sent and moved like any value.
#[must_use = "a `Guard` counts as alive until it is dropped, which is at once if nobody keeps it"]
pub struct Guard<H = &'static Tracker>
where
    H: Handle,
{
    ticket: Ticket<H>,
}

// === impl Tracked ===

impl<F, H: Handle> Tracked<F, H> {
    #[inline]
    pub(super) const fn new(future: F, ticket: Ticket<H>) -> Self {
        Self { future: Some(future), ticket: Some(ticket) }
    }

    /// Drops the future where it is, and counts after that.
    #[inline]
    fn end(self: Pin<&mut Self>, end: End) {
        let mut this = self.project();
        let leaving = this.ticket.take().map(|ticket| ticket.leaving(end));
        // If this panics, `leaving` leaves all the same.
        this.future.set(None);
        drop(leaving);
    }
}

impl<F: Future, H: Handle> Future for Tracked<F, H> {
    type Output = F::Output;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let future = self.as_mut().project().future.as_pin_mut();
        let output = ready!(future.expect("a tracked future was polled after it had completed").poll(cx));
        self.end(End::Finished);
        Poll::Ready(output)
    }
}

impl<F: Future, H: Handle> FusedFuture for Tracked<F, H> {
    fn is_terminated(&self) -> bool {
        self.future.is_none()
    }
}

impl<F, H: Handle> fmt::Debug for Tracked<F, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracked").field("alive", &self.ticket.is_some()).finish_non_exhaustive()
    }
}

// === impl Guard ===

impl<H: Handle> Guard<H> {
    #[inline]
    pub(super) const fn new(ticket: Ticket<H>) -> Self {
        Self { ticket }
    }
}

impl<H: Handle> Drop for Guard<H> {
    #[inline]
    fn drop(&mut self) {
        self.ticket.leave(End::Finished);
    }
}

impl<H: Handle> fmt::Debug for Guard<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("tracker", self.ticket.tracker()).finish()
    }
}
