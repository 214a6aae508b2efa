//! A stream with a timeout for each of its items.

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;

use super::alarm::Alarm;
use super::{Elapsed, Timer};

pin_project! {
    /// The stream of [`item_timeout`](super::DeadlineStreamExt::item_timeout): the items in `Ok`, and `Err(Elapsed)` when one
    /// was waited for too long.
    ///
    /// A wait begins with the first poll in which the stream is pending, not when the item before it is given out, so the time
    /// that the consumer takes is not counted against the stream. Each poll asks the stream first, then the clock, and then
    /// the timer: an item that is ready always wins.
    ///
    /// After the error comes the end, unless it is [`repeating`](Self::repeating). The stream inside is not touched by
    /// that: [`inner_pin_mut`](Self::inner_pin_mut) leads to it, [`into_inner`](Self::into_inner) gives it back where the
    /// timer's sleeps may be moved, and who wraps `&mut stream` has kept it.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost with the future that waits for the next item, and the wait goes on with the next such future: its
    /// time is counted from the first.
    ///
    /// # Cost
    ///
    /// No clock is read and no timer made while the stream is ready whenever it is polled.
    #[must_use = "streams do nothing unless polled"]
    pub struct ItemTimeout<S, T>
    where
        T: Timer,
    {
        #[pin]
        inner: S,
        #[pin]
        alarm: Alarm<T>,
        duration: Duration,
        repeats: bool,
    }
}

// === impl ItemTimeout ===

impl<S, T: Timer> ItemTimeout<S, T> {
    pub(super) const fn new(inner: S, timer: T, duration: Duration) -> Self {
        Self { inner, alarm: Alarm::after(timer, duration), duration, repeats: false }
    }

    /// Makes each `Err(Elapsed)` the beginning of a fresh wait instead of the end.
    ///
    /// With a duration of zero, whoever asks on gets an error whenever the stream is pending.
    ///
    /// ```
    /// use core::pin::pin;
    /// use core::time::Duration;
    /// use futures_lite::{StreamExt, future::block_on, stream};
    /// use tollgate::DeadlineStreamExt;
    /// use tollgate::time::{Elapsed, ManualClock};
    ///
    /// let clock = ManualClock::new();
    /// let mut patient = pin!(stream::pending::<()>().item_timeout(&clock, Duration::ZERO).repeating());
    /// for _ in 0..3 {
    ///     assert_eq!(block_on(patient.next()), Some(Err(Elapsed)));
    /// }
    /// ```
    pub const fn repeating(mut self) -> Self {
        self.repeats = true;
        self
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
    /// let limited = stream::iter([1, 2, 3]).item_timeout(&clock, Duration::from_secs(1));
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
    /// use tollgate::time::ManualClock;
    ///
    /// let clock = ManualClock::new();
    /// let mut limited = stream::iter([1, 2]).item_timeout(&clock, Duration::from_secs(1));
    /// assert_eq!(block_on(limited.inner_mut().next()), Some(1), "with all the time it takes");
    /// assert_eq!(block_on(limited.collect::<Vec<_>>()), [Ok(2)]);
    /// ```
    pub fn inner_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The stream inside.
    ///
    /// ```
    /// use core::{pin::pin, time::Duration};
    /// use futures_lite::{StreamExt, future::{block_on, yield_now}, stream};
    /// use tollgate::DeadlineStreamExt;
    /// use tollgate::time::{Elapsed, ManualClock};
    ///
    /// let clock = ManualClock::new();
    /// let late = stream::once_future(async { yield_now().await; 42 });
    /// let mut limited = pin!(late.item_timeout(&clock, Duration::ZERO));
    /// assert_eq!(block_on(limited.next()), Some(Err(Elapsed)));
    /// assert_eq!(block_on(limited.as_mut().inner_pin_mut().next()), Some(42));
    /// ```
    pub fn inner_pin_mut(self: Pin<&mut Self>) -> Pin<&mut S> {
        self.project().inner
    }

    /// The stream inside, without timeouts. No item is lost.
    ///
    /// ```
    /// use core::time::Duration;
    /// use futures_lite::{StreamExt, future::block_on, stream};
    /// use tollgate::DeadlineStreamExt;
    /// use tollgate::time::ManualClock;
    ///
    /// let clock = ManualClock::new();
    /// let limited = stream::iter([1, 2]).item_timeout(&clock, Duration::from_secs(1));
    /// assert_eq!(block_on(limited.into_inner().collect::<Vec<_>>()), [1, 2]);
    /// ```
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// When the wait under way times out. `None` if there is none, or it never does.
    ///
    /// ```
    /// use core::{pin::pin, time::Duration};
    /// use futures_lite::{StreamExt, future::{block_on, poll_once}, stream};
    /// use tollgate::DeadlineStreamExt;
    /// use tollgate::time::ManualClock;
    ///
    /// let clock = ManualClock::new();
    /// let mut limited = pin!(stream::pending::<u8>().item_timeout(&clock, Duration::from_secs(1)));
    /// assert_eq!(limited.expires_at(), None);
    /// block_on(poll_once(limited.next()));
    /// assert_eq!(limited.expires_at(), Some(Duration::from_secs(1)));
    /// ```
    pub fn expires_at(&self) -> Option<T::Instant> {
        self.alarm.instant()
    }
}

impl<S: Stream, T: Timer> Stream for ItemTimeout<S, T> {
    type Item = Result<S::Item, Elapsed>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        if this.alarm.is_over() {
            return Poll::Ready(None);
        }
        match this.inner.poll_next(cx) {
            Poll::Ready(Some(item)) => {
                this.alarm.restart(*this.duration);
                Poll::Ready(Some(Ok(item)))
            }
            Poll::Ready(None) => {
                this.alarm.finish();
                Poll::Ready(None)
            }
            Poll::Pending => {
                ready!(this.alarm.as_mut().poll_elapsed(cx));
                if *this.repeats {
                    this.alarm.restart(*this.duration);
                } else {
                    this.alarm.finish();
                }
                Poll::Ready(Some(Err(Elapsed)))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (lower, upper) = self.inner.size_hint();
        if self.alarm.is_over() {
            (0, Some(0))
        } else if self.repeats {
            // Any number of errors between.
            (lower, None)
        } else {
            // The first item, or the error in its place; and an error at any time.
            (lower.min(1), upper.and_then(|upper| upper.checked_add(1)))
        }
    }
}

impl<S: Stream, T: Timer> FusedStream for ItemTimeout<S, T> {
    fn is_terminated(&self) -> bool {
        self.alarm.is_over()
    }
}

impl<S: fmt::Debug, T: Timer> fmt::Debug for ItemTimeout<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ItemTimeout")
            .field("inner", &self.inner)
            .field("alarm", &self.alarm)
            .field("repeats", &self.repeats)
            .finish_non_exhaustive()
    }
}
