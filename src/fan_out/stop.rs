//! The end of a stream, brought about by a future.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::launch::{Launch, Never, admit_as_inner, limit_as_inner};
use super::{FanOut, Order, Storage, sealed};

pin_project! {
    /// Items are taken until a future completes; see [`FanOut::stop_when`].
    pub struct StopWhen<M, Fut> {
        #[pin]
        inner: M,
        // None when it has completed.
        #[pin]
        stop: Option<Fut>,
    }
}

impl<St, M, O, S> FanOut<St, M, O, S>
where
    St: Stream,
    M: Launch<St::Item>,
    O: Order,
    S: Storage,
{
    /// Stops when `stop` completes, as [`stop`](Self::stop) does: takes no more, and finishes what was taken.
    ///
    /// The future is polled whenever there is room for an item, before that is taken, and also while a
    /// [`Limit`](super::Limit) of 0 keeps the stream from taking it.
    ///
    /// # Panics
    ///
    /// If the stream was polled.
    ///
    /// ```
    /// use core::future::ready;
    /// use futures_lite::{StreamExt, future::block_on, stream};
    /// use tollgate::FanOutExt;
    ///
    /// let endless = stream::repeat(1).fan_out_with(2, |n| async move { n });
    /// assert_eq!(block_on(endless.stop_when(ready(())).count()), 0);
    /// ```
    #[track_caller]
    pub fn stop_when<Fut: Future>(self, stop: Fut) -> FanOut<St, StopWhen<M, Fut>, O, S> {
        self.relaunch(|inner| StopWhen { inner, stop: Some(stop) })
    }
}

impl<M, Fut> sealed::Sealed for StopWhen<M, Fut> {}

impl<Item, M, Fut> Launch<Item> for StopWhen<M, Fut>
where
    M: Launch<Item>,
    Fut: Future,
{
    type Future = M::Future;
    type Weight = M::Weight;
    type Key = M::Key;
    type Alarm = M::Alarm;

    const STOPS: bool = true;

    admit_as_inner!(Item);
    limit_as_inner!();

    #[inline]
    fn poll_stop(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let completed = this.stop.as_mut().as_pin_mut().is_none_or(|stop| stop.poll(cx).is_ready());
        if completed {
            this.stop.set(None);
            return Poll::Ready(());
        }
        this.inner.poll_stop(cx)
    }

    #[inline]
    fn weight(self: Pin<&mut Self>, item: &Item) -> M::Weight {
        self.project().inner.weight(item)
    }

    #[inline]
    fn key(self: Pin<&mut Self>, item: &Item) -> M::Key {
        self.project().inner.key(item)
    }

    #[inline]
    fn launch(self: Pin<&mut Self>, item: Item) -> M::Future {
        self.project().inner.launch(item)
    }
}

impl<M: fmt::Debug, Fut> fmt::Debug for StopWhen<M, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stopped = self.stop.is_none();
        f.debug_struct("StopWhen").field("inner", &self.inner).field("stopped", &stopped).finish_non_exhaustive()
    }
}
