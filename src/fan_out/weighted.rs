//! Items that count for more than one, or for less.

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::launch::{Launch, Never, admit_as_inner, limit_as_inner, stop_as_inner};
use super::{FanOut, Order, Storage, sealed};

pin_project! {
    /// Items have weights; see [`FanOut::weighted`].
    pub struct Weighted<M, W> {
        #[pin]
        inner: M,
        weigh: W,
    }
}

impl<St, M, O, S> FanOut<St, M, O, S>
where
    St: Stream,
    M: Launch<St::Item>,
    O: Order,
    S: Storage,
{
    /// Counts each item for as much as `weigh` says: what runs weighs no more than the limit altogether.
    ///
    /// An item heavier than the limit counts for the limit, and so runs alone. One that weighs nothing can always start;
    /// it takes up a place in the [window](Self::window) like any other, which bounds how many of those there are.
    ///
    /// As the unit is up to you (bytes, connections, rows), the window may be below the limit here. Its default is the
    /// limit all the same; set it when the limit is a large number.
    ///
    /// `weigh` is called once an item, when it is taken.
    ///
    /// # Fairness
    ///
    /// Items start strictly in the order of the input: a heavy one is not overtaken by light ones behind it, and what is
    /// free meanwhile stays free. Unless a window was set, nothing is taken while an item waits.
    ///
    /// # Panics
    ///
    /// If the stream was polled. If `weigh` panics, its item is gone.
    ///
    /// ```
    /// use futures_lite::{StreamExt, future::block_on, future::yield_now, stream};
    /// use tollgate::FanOutExt;
    ///
    /// // Files are read side by side as long as they have 100 bytes together, and no more than 8 of them.
    /// let sizes = stream::iter([60, 30, 70, 1000, 10]);
    /// let read = sizes.fan_out_with(100, |size| async move {
    ///     yield_now().await;
    ///     size
    /// });
    /// let read = read.weighted(|&size| size).window(8);
    /// assert_eq!(block_on(read.collect::<Vec<_>>()), [60, 30, 70, 1000, 10]);
    /// ```
    #[track_caller]
    pub fn weighted<W>(self, weigh: W) -> FanOut<St, Weighted<M, W>, O, S>
    where
        W: FnMut(&St::Item) -> usize,
    {
        self.relaunch(|inner| Weighted { inner, weigh })
    }
}

impl<M, W> sealed::Sealed for Weighted<M, W> {}

impl<Item, M, W> Launch<Item> for Weighted<M, W>
where
    M: Launch<Item>,
    W: FnMut(&Item) -> usize,
{
    type Future = M::Future;
    type Weight = usize;
    type Key = M::Key;
    type Alarm = M::Alarm;

    stop_as_inner!();
    admit_as_inner!(Item);
    limit_as_inner!();

    #[inline]
    fn weight(self: Pin<&mut Self>, item: &Item) -> usize {
        (self.project().weigh)(item)
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

impl<M: fmt::Debug, W> fmt::Debug for Weighted<M, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Weighted").field("inner", &self.inner).finish_non_exhaustive()
    }
}
