//! A stream with a deadline for the whole of it.

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;

use super::alarm::Alarm;
use super::{Elapsed, Timer};

pin_project! {
    /// The stream of [`stream_deadline`](super::DeadlineStreamExt::stream_deadline): the items in `Ok` until the deadline, then
    /// one `Err(Elapsed)`, then the end.
    ///
    /// Each poll asks the clock first, then the stream, and then the timer. So a stream that is ready whenever it is
    /// polled cannot outrun its deadline, and no item is lost: what was not given out is still in the stream inside.
    /// [`inner_pin_mut`](Self::inner_pin_mut) leads to it, [`into_inner`](Self::into_inner) gives it back where the timer's
    /// sleeps may be moved, and who wraps `&mut stream` has kept it.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost with the future that waits for the next item. Dropping this stream drops the one inside, then the
    /// sleep.
    ///
    /// # Cost
    ///
    /// The clock is read once a poll. The timer is made when the stream is pending for the first time.
    #[must_use = "streams do nothing unless polled"]
    pub struct StreamDeadline<S, T>
    where
        T: Timer,
    {
        #[pin]
        inner: S,
        #[pin]
        alarm: Alarm<T>,
    }
}

// === impl StreamDeadline ===

impl<S, T: Timer> StreamDeadline<S, T> {
    pub(super) const fn new(inner: S, timer: T, at: T::Instant) -> Self {
        Self { inner, alarm: Alarm::at(timer, at) }
    }

    /// The stream inside.
    ///
    /// ```
    /// use core::time::Duration;
    /// use futures_lite::{Stream, stream};
    /// use tollgate::DeadlineStreamExt;
    /// use tollgate::time::ManualClock;
    ///
    /// let clock = ManualClock::new();
    /// let limited = stream::iter([1, 2, 3]).stream_deadline(&clock, Duration::from_secs(1));
    /// assert_eq!(limited.inner().size_hint(), (3, Some(3)));
    /// ```
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// The stream inside, if this one is not pinned or need not be.
    ///
    /// ```
    /// use core::time::Duration;
    /// use futures_lite::{StreamExt, future::block_on, stream};
    /// use tollgate::DeadlineStreamExt;
    /// use tollgate::time::{Elapsed, ManualClock};
    ///
    /// let clock = ManualClock::new();
    /// let mut limited = stream::iter([1, 2]).stream_deadline(&clock, Duration::ZERO);
    /// assert_eq!(block_on(limited.inner_mut().next()), Some(1));
    /// assert_eq!(block_on(limited.collect::<Vec<_>>()), [Err(Elapsed)]);
    /// ```
    pub fn inner_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The stream inside.
    ///
    /// ```
    /// use core::{pin::pin, time::Duration};
    /// use futures_lite::{StreamExt, future::block_on, stream};
    /// use tollgate::DeadlineStreamExt;
    /// use tollgate::time::{Elapsed, ManualClock};
    ///
    /// let clock = ManualClock::new();
    /// let mut limited = pin!(stream::iter([1, 2]).stream_deadline(&clock, Duration::ZERO));
    /// assert_eq!(block_on(limited.next()), Some(Err(Elapsed)));
    /// assert_eq!(block_on(limited.as_mut().inner_pin_mut().next()), Some(1), "it was not lost");
    /// ```
    pub fn inner_pin_mut(self: Pin<&mut Self>) -> Pin<&mut S> {
        self.project().inner
    }

    /// The stream inside, without a deadline. No item is lost.
    ///
    /// ```
    /// use core::time::Duration;
    /// use futures_lite::{StreamExt, future::block_on, stream};
    /// use tollgate::DeadlineStreamExt;
    /// use tollgate::time::ManualClock;
    ///
    /// let clock = ManualClock::new();
    /// let limited = stream::iter([1, 2]).stream_deadline(&clock, Duration::ZERO);
    /// assert_eq!(block_on(limited.into_inner().collect::<Vec<_>>()), [1, 2]);
    /// ```
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// When the deadline is. `None` if there is none, or the stream has come to its end.
    ///
    /// ```
    /// use core::{pin::pin, time::Duration};
    /// use futures_lite::{StreamExt, future::block_on, stream};
    /// use tollgate::DeadlineStreamExt;
    /// use tollgate::time::ManualClock;
    ///
    /// let clock = ManualClock::new();
    /// let mut limited = pin!(stream::empty::<u8>().stream_deadline(&clock, Duration::from_secs(1)));
    /// assert_eq!(limited.expires_at(), Some(Duration::from_secs(1)));
    /// assert_eq!(block_on(limited.next()), None);
    /// assert_eq!(limited.expires_at(), None);
    /// ```
    pub fn expires_at(&self) -> Option<T::Instant> {
        self.alarm.instant()
    }

    /// Puts the deadline at `at`, earlier or later. Poll this stream again after it. After the end this does nothing.
    ///
    /// ```
    /// use core::{pin::pin, time::Duration};
    /// use futures_lite::{StreamExt, future::block_on, stream};
    /// use tollgate::DeadlineStreamExt;
    /// use tollgate::time::{Elapsed, ManualClock};
    ///
    /// let clock = ManualClock::new();
    /// let mut limited = pin!(stream::repeat(1).stream_deadline(&clock, Duration::from_secs(1)));
    /// limited.as_mut().reset(Duration::ZERO); // at once
    /// assert_eq!(block_on(limited.next()), Some(Err(Elapsed)));
    /// ```
    pub fn reset(self: Pin<&mut Self>, at: T::Instant) {
        self.project().alarm.reset(at);
    }

    /// Moves the deadline by `duration`, counted from where it was and not from now. Poll this stream again after it.
    ///
    /// A deadline that leaves what the clock can represent is never reached. After the end this does nothing.
    ///
    /// ```
    /// use core::{pin::pin, time::Duration};
    /// use futures_lite::stream;
    /// use tollgate::DeadlineStreamExt;
    /// use tollgate::time::ManualClock;
    ///
    /// let clock = ManualClock::new();
    /// let mut limited = pin!(stream::repeat(1).stream_deadline(&clock, Duration::from_secs(1)));
    /// limited.as_mut().extend(Duration::from_secs(2));
    /// assert_eq!(limited.expires_at(), Some(Duration::from_secs(3)));
    /// ```
    pub fn extend(self: Pin<&mut Self>, duration: Duration) {
        self.project().alarm.extend(duration);
    }

    /// Takes the deadline away. After the end this does nothing.
    ///
    /// ```
    /// use core::{pin::pin, time::Duration};
    /// use futures_lite::{StreamExt, future::block_on, stream};
    /// use tollgate::DeadlineStreamExt;
    /// use tollgate::time::ManualClock;
    ///
    /// let clock = ManualClock::new();
    /// let mut limited = pin!(stream::repeat(1).stream_deadline(&clock, Duration::ZERO));
    /// limited.as_mut().clear();
    /// assert_eq!(block_on(limited.next()), Some(Ok(1)));
    /// ```
    pub fn clear(self: Pin<&mut Self>) {
        self.project().alarm.clear();
    }
}

impl<S: Stream, T: Timer> Stream for StreamDeadline<S, T> {
    type Item = Result<S::Item, Elapsed>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        if this.alarm.is_over() {
            return Poll::Ready(None);
        }
        if this.alarm.as_mut().look().is_ok() {
            match this.inner.poll_next(cx) {
                Poll::Ready(Some(item)) => return Poll::Ready(Some(Ok(item))),
                Poll::Ready(None) => {
                    this.alarm.finish();
                    return Poll::Ready(None);
                }
                // The clock was read before the stream was polled, so only the timer is asked.
                Poll::Pending => ready!(this.alarm.as_mut().poll_sleep(None, cx)),
            }
        }
        this.alarm.finish();
        Poll::Ready(Some(Err(Elapsed)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (lower, upper) = self.inner.size_hint();
        if self.alarm.is_over() {
            (0, Some(0))
        } else if self.alarm.instant().is_none() {
            (lower, upper)
        } else {
            // The first item, or the error in its place; and an error at any time.
            (lower.min(1), upper.and_then(|upper| upper.checked_add(1)))
        }
    }
}

impl<S: Stream, T: Timer> FusedStream for StreamDeadline<S, T> {
    fn is_terminated(&self) -> bool {
        self.alarm.is_over()
    }
}

impl<S: fmt::Debug, T: Timer> fmt::Debug for StreamDeadline<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamDeadline").field("inner", &self.inner).field("alarm", &self.alarm).finish()
    }
}
