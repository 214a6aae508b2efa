//! A stream that ends with a context.

use core::fmt;
use core::pin::Pin;
use core::task::{Context as TaskContext, Poll};

use futures_core::Stream;
use futures_core::stream::FusedStream;
use pin_project_lite::pin_project;

use super::{Context, Interrupted, Interruption};
use crate::sync::{DefaultLock, RawLock};
use crate::time::Timer;

pin_project! {
    /// A stream that goes on as long as a context does: its items as `Ok`; then, if the context was interrupted, one `Err`, and
    /// the end.
    ///
    /// Made by [`FanOut::within`](crate::FanOut::within) and by `within` of the workers' `Results`. With the `Err` the stream
    /// inside is dropped, and all that it had in flight.
    ///
    /// The context is asked first at each poll, so a stream that is always ready cannot outrun it.
    ///
    /// # Cancel safety
    ///
    /// Waiting for the next item can be given up at any moment.
    ///
    /// # Size and cost
    ///
    /// The stream, one of the timer's sleeps, and 104 bytes on a 64-bit machine. A poll reads one atomic, and the clock if the
    /// context has a deadline.
    ///
    /// ```
    /// use core::pin::pin;
    /// use futures_lite::{StreamExt, future::block_on, stream};
    /// use tollgate::FanOutExt;
    /// use tollgate::context::Context;
    /// use tollgate::time::ManualClock;
    ///
    /// let clock = ManualClock::new();
    /// let request = Context::new(&clock);
    /// let mut endless = pin!(stream::iter(1..).fan_out_with(1, |n| async move { n }).within(&request));
    /// assert_eq!(block_on(endless.next()), Some(Ok(1)));
    /// request.cancel();
    /// assert!(block_on(endless.next()).unwrap().is_err());
    /// assert_eq!(block_on(endless.next()), None);
    /// ```
    #[must_use = "streams do nothing unless polled"]
    pub struct Within<'a, S, T, L = DefaultLock>
    where
        T: Timer,
        L: RawLock,
    {
        // None when it is over.
        #[pin]
        stream: Option<S>,
        #[pin]
        interruption: Interruption<'a, T, L>,
    }
}

/// A [`Context`] or an `OwnedContext`, which streams can run [within](Within). Nobody else implements it.
///
/// ```
/// use futures_lite::{StreamExt, future::block_on, stream};
/// use tollgate::FanOutExt;
/// use tollgate::context::{Context, Contextual};
/// use tollgate::time::ManualClock;
///
/// /// Its callers have a borrowed context or an owned one.
/// fn sum(ctx: &impl Contextual) -> u64 {
///     let squares = stream::iter([1, 2, 3]).fan_out_with(2, |n| async move { n * n }).within(ctx);
///     block_on(squares.fold(0, |sum, n| sum + n.unwrap_or(0)))
/// }
///
/// let clock = ManualClock::new();
/// assert_eq!(sum(&Context::new(&clock)), 14);
/// ```
pub trait Contextual: sealed::Sealed {
    /// What the context's deadline is on.
    type Timer: Timer;
    /// The lock of its token.
    type Lock: RawLock;

    #[doc(hidden)]
    fn interruption(&self) -> Interruption<'_, Self::Timer, Self::Lock>;
}

mod sealed {
    pub trait Sealed {}
}

// === impl Contextual ===

impl<T: Timer, L: RawLock> sealed::Sealed for Context<'_, T, L> {}

impl<T: Timer, L: RawLock> Contextual for Context<'_, T, L> {
    type Timer = T;
    type Lock = L;

    fn interruption(&self) -> Interruption<'_, T, L> {
        self.interrupted()
    }
}

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
impl<T: Timer, L: RawLock> sealed::Sealed for super::OwnedContext<T, L> {}

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
impl<T: Timer, L: RawLock> Contextual for super::OwnedContext<T, L> {
    type Timer = T;
    type Lock = L;

    fn interruption(&self) -> Interruption<'_, T, L> {
        self.interrupted()
    }
}

// === impl Within ===

impl<'a, S, T: Timer, L: RawLock> Within<'a, S, T, L> {
    pub(crate) fn new<C>(stream: S, context: &'a C) -> Self
    where
        C: Contextual<Timer = T, Lock = L>,
    {
        Self { stream: Some(stream), interruption: context.interruption() }
    }

    /// The stream inside, until the end.
    ///
    /// ```
    /// use futures_lite::stream;
    /// use tollgate::FanOutExt;
    /// use tollgate::context::Context;
    /// use tollgate::time::ManualClock;
    ///
    /// let clock = ManualClock::new();
    /// let request = Context::new(&clock);
    /// let squares = stream::iter([1, 2, 3]).fan_out_with(2, |n| async move { n * n }).within(&request);
    /// assert_eq!(squares.inner().unwrap().in_flight(), 0);
    /// ```
    pub fn inner(&self) -> Option<&S> {
        self.stream.as_ref()
    }

    /// The stream inside, until the end.
    ///
    /// ```
    /// use core::pin::pin;
    /// use futures_lite::{StreamExt, future::block_on, stream};
    /// use tollgate::FanOutExt;
    /// use tollgate::context::Context;
    /// use tollgate::time::ManualClock;
    ///
    /// let clock = ManualClock::new();
    /// let request = Context::new(&clock);
    /// let mut squares = pin!(stream::iter([2]).fan_out_with(1, |n| async move { n * n }).within(&request));
    /// request.cancel();
    /// let mut last = squares.as_mut().inner_pin_mut().unwrap();
    /// assert_eq!(block_on(last.next()), Some(4), "the context is not asked");
    /// ```
    pub fn inner_pin_mut(self: Pin<&mut Self>) -> Option<Pin<&mut S>> {
        self.project().stream.as_pin_mut()
    }
}

impl<S: Stream, T: Timer, L: RawLock> Stream for Within<'_, S, T, L> {
    type Item = Result<S::Item, Interrupted>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        let Some(stream) = this.stream.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let polled = match this.interruption.check() {
            Err(interrupted) => Poll::Ready(Some(Err(interrupted))),
            Ok(()) => match stream.poll_next(cx) {
                Poll::Ready(item) => Poll::Ready(item.map(Ok)),
                Poll::Pending => this.interruption.as_mut().poll(cx).map(|interrupted| Some(Err(interrupted))),
            },
        };
        if let Poll::Ready(None | Some(Err(_))) = polled {
            this.stream.set(None);
            this.interruption.end();
        }
        polled
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // One more than the stream has: the error.
        self.stream.as_ref().map_or((0, Some(0)), |stream| {
            let (_, upper) = stream.size_hint();
            (0, upper.and_then(|upper| upper.checked_add(1)))
        })
    }
}

impl<S: Stream, T: Timer, L: RawLock> FusedStream for Within<'_, S, T, L> {
    fn is_terminated(&self) -> bool {
        self.stream.is_none()
    }
}

impl<S: fmt::Debug, T: Timer, L: RawLock> fmt::Debug for Within<'_, S, T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Within").field("stream", &self.stream).field("interruption", &self.interruption).finish()
    }
}
