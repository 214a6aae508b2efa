//! What the first error does to the rest.

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_core::stream::FusedStream;
use pin_project_lite::pin_project;

use super::consume::MOST_OUTPUTS;
use super::{DriveWhile, ForEach, Progress};

/// What the first error does to the rest; see [`FanOut::try_policy`](super::FanOut::try_policy).
///
/// An error is noticed when its turn comes to be handed out. In [order](super::FanOut::ordered) that is after the outputs
/// of all earlier items, and while the consumer is away it is not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TryPolicy {
    /// Drops the rest, and that is everything: what is in flight, what waits, what is finished, and the source. Then the
    /// error is handed out, and then the stream ends.
    CancelRest,
    /// Takes no more from the source, finishes what was taken, and hands out what succeeds of that. The error comes last,
    /// and then the stream ends.
    ///
    /// So a consumer that stops at the first error, as `?` does, has seen all that was done. Of several errors the first
    /// one is kept, and the others are dropped: there is room for one. Who wants all of them takes `Continue`, and
    /// [`stop`](super::FanOut::stop)s when one comes.
    Drain,
    /// An error is an output like any other.
    Continue,
}

pin_project! {
    /// Outputs up to the first error; made by [`FanOut::try_policy`](super::FanOut::try_policy).
    ///
    /// # Cancel safety
    ///
    /// As [`FanOut`](super::FanOut): a `next()` future that is dropped loses nothing, an error that is kept back neither.
    #[must_use = "streams do nothing unless polled"]
    pub struct TryFanOut<S, E> {
        // None when the rest was cancelled.
        #[pin]
        stream: Option<S>,
        policy: TryPolicy,
        // Comes last.
        failed: Option<E>,
    }
}

impl<S, E> TryFanOut<S, E> {
    pub(super) fn new(stream: S, policy: TryPolicy) -> Self {
        Self { stream: Some(stream), policy, failed: None }
    }

    /// What the first error does.
    ///
    /// ```
    /// use core::future::ready;
    /// use futures_lite::stream;
    /// use tollgate::{FanOutExt, fan_out::TryPolicy};
    ///
    /// let outputs = stream::iter([Ok(1), Err("no")]).fan_out_with(2, ready).try_policy(TryPolicy::Drain);
    /// assert_eq!(outputs.policy(), TryPolicy::Drain);
    /// ```
    pub fn policy(&self) -> TryPolicy {
        self.policy
    }

    /// The fan-out, unless an error cancelled it.
    ///
    /// ```
    /// use core::future::ready;
    /// use futures_lite::{StreamExt, future::block_on, stream};
    /// use tollgate::{FanOutExt, fan_out::TryPolicy};
    ///
    /// let mut outputs = stream::repeat(Err::<(), _>("no")).fan_out_with(2, ready).try_policy(TryPolicy::Continue);
    /// assert_eq!(block_on(outputs.next()), Some(Err("no")));
    /// outputs.get_ref().unwrap().stop(); // and all errors of what is in flight still come
    /// assert!(block_on(outputs.count()) < 2);
    /// ```
    pub fn get_ref(&self) -> Option<&S> {
        self.stream.as_ref()
    }

    /// The fan-out, pinned, unless an error cancelled it. Errors that are taken from it directly do nothing.
    ///
    /// ```
    /// use core::{future::ready, pin::pin};
    /// use futures_lite::{StreamExt, future::block_on, stream};
    /// use tollgate::{FanOutExt, fan_out::TryPolicy};
    ///
    /// let outputs = stream::iter([Err("may fail"), Ok(1)]).fan_out_with(1, ready);
    /// let mut outputs = pin!(outputs.try_policy(TryPolicy::CancelRest));
    /// assert_eq!(block_on(outputs.as_mut().get_pin_mut().unwrap().next()), Some(Err("may fail")));
    /// assert_eq!(block_on(outputs.next()), Some(Ok(1)));
    /// ```
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Option<Pin<&mut S>> {
        self.project().stream.as_pin_mut()
    }

    /// The fan-out alone, unless an error cancelled it. An error that was kept for the end is dropped.
    ///
    /// ```
    /// use core::future::ready;
    /// use futures_lite::{StreamExt, future::block_on, stream};
    /// use tollgate::{FanOutExt, fan_out::TryPolicy};
    ///
    /// let outputs = || stream::iter([Ok(1), Err("no")]).fan_out_with(1, ready).try_policy(TryPolicy::CancelRest);
    /// assert_eq!(block_on(outputs().into_inner().unwrap().count()), 2);
    /// let mut failed = outputs();
    /// assert!(block_on(failed.find(Result::is_err)).is_some());
    /// assert!(failed.into_inner().is_none(), "the error has dropped it");
    /// ```
    pub fn into_inner(self) -> Option<S> {
        self.stream
    }
}

impl<S, T, E> TryFanOut<S, E>
where
    S: Progress<Item = Result<T, E>>,
{
    /// As [`FanOut::for_each`](super::FanOut::for_each): `f` gets each success, and what the policy lets through of errors.
    ///
    /// ```
    /// use core::future::ready;
    /// use futures_lite::{future::block_on, stream};
    /// use tollgate::{FanOutExt, fan_out::TryPolicy};
    ///
    /// let outputs = stream::iter([Ok(1), Err("no"), Ok(2)]).fan_out_with(2, ready);
    /// let mut seen = Vec::new();
    /// block_on(outputs.try_policy(TryPolicy::CancelRest).for_each(|outcome| ready(seen.push(outcome))));
    /// assert_eq!(seen, [Ok(1), Err("no")]);
    /// ```
    pub fn for_each<F, B>(self, f: F) -> ForEach<Self, F, B>
    where
        F: FnMut(Result<T, E>) -> B,
        B: Future<Output = ()>,
    {
        ForEach::new(self, f)
    }

    /// As [`FanOut::drive_while`](super::FanOut::drive_while).
    ///
    /// ```
    /// use core::pin::pin;
    /// use futures_lite::{StreamExt, future::block_on, future::yield_now, stream};
    /// use tollgate::{FanOutExt, fan_out::TryPolicy};
    ///
    /// let outputs = stream::iter(["1", "2", "x"]).fan_out_with(2, |text| async { text.parse::<u32>() });
    /// let mut outputs = pin!(outputs.ordered().try_policy(TryPolicy::CancelRest));
    /// block_on(async {
    ///     while let Some(Ok(_)) = outputs.next().await {
    ///         outputs.as_mut().drive_while(yield_now()).await; // where the number is saved
    ///     }
    /// });
    /// assert!(outputs.get_ref().is_none());
    /// ```
    pub fn drive_while<B: Future>(self: Pin<&mut Self>, future: B) -> DriveWhile<'_, Self, B> {
        DriveWhile::new(self, future)
    }

    /// As [`FanOut::poll_progress`](super::FanOut::poll_progress).
    ///
    /// ```
    /// use core::{future::ready, pin::Pin, task::{Context, Waker}};
    /// use futures_lite::stream;
    /// use tollgate::{FanOutExt, fan_out::TryPolicy};
    ///
    /// let outputs = stream::iter([Ok(1), Err("no"), Ok(2)]).fan_out_with(2, ready);
    /// let mut outputs = outputs.try_policy(TryPolicy::CancelRest);
    /// assert!(Pin::new(&mut outputs).poll_progress(&mut Context::from_waker(Waker::noop())).is_ready());
    /// assert_eq!(outputs.get_ref().unwrap().finished(), 2); // an error counts when it is handed out
    /// ```
    pub fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Progress::poll_progress(self, cx)
    }
}

impl<S, T, E> Stream for TryFanOut<S, E>
where
    S: Progress<Item = Result<T, E>>,
{
    type Item = Result<T, E>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        for _ in 0..MOST_OUTPUTS {
            let Some(mut stream) = this.stream.as_mut().as_pin_mut() else { return Poll::Ready(None) };
            let error = match ready!(stream.as_mut().poll_next(cx)) {
                Some(Err(error)) => error,
                Some(Ok(output)) => return Poll::Ready(Some(Ok(output))),
                None => return Poll::Ready(this.failed.take().map(Err)),
            };
            match this.policy {
                TryPolicy::Continue => return Poll::Ready(Some(Err(error))),
                TryPolicy::CancelRest => {
                    this.stream.set(None);
                    return Poll::Ready(Some(Err(error)));
                }
                TryPolicy::Drain => {
                    stream.stop();
                    this.failed.get_or_insert(error);
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (lower, upper) = self.stream.as_ref().map_or((0, Some(0)), Stream::size_hint);
        match self.policy {
            TryPolicy::Continue => (lower, upper),
            // Whatever comes first may be the last.
            TryPolicy::CancelRest => (lower.min(1), upper),
            TryPolicy::Drain => {
                let failed = usize::from(self.failed.is_some());
                (lower.min(1).max(failed), upper.and_then(|upper| upper.checked_add(failed)))
            }
        }
    }
}

impl<S, T, E> FusedStream for TryFanOut<S, E>
where
    S: Progress<Item = Result<T, E>> + FusedStream,
{
    fn is_terminated(&self) -> bool {
        self.failed.is_none() && self.stream.as_ref().is_none_or(FusedStream::is_terminated)
    }
}

impl<S: super::sealed::Sealed, E> super::sealed::Sealed for TryFanOut<S, E> {}

impl<S, T, E> Progress for TryFanOut<S, E>
where
    S: Progress<Item = Result<T, E>>,
{
    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().stream.as_pin_mut().map_or(Poll::Ready(()), |stream| stream.poll_progress(cx))
    }

    fn stop(&self) {
        if let Some(stream) = &self.stream {
            stream.stop();
        }
    }

    fn rest(self: Pin<&mut Self>) {
        if let Some(stream) = self.project().stream.as_pin_mut() {
            stream.rest();
        }
    }
}

impl<S: fmt::Debug, E> fmt::Debug for TryFanOut<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryFanOut")
            .field("stream", &self.stream)
            .field("policy", &self.policy)
            .field("has_failed", &(self.failed.is_some() || self.stream.is_none()))
            .finish_non_exhaustive()
    }
}
